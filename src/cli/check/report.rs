//! The lines of `check`, for people and for programs.

use serde_json::{Value, json};

use crate::model::HealthFact;
use crate::model::health::HealthLevel;
use crate::model::object::printable;

/// Raised when a member of the JSON form goes, or changes its meaning.
const VERSION: u32 = 1;

pub struct Report {
    facts: Vec<HealthFact>,
}

impl Report {
    pub fn of(facts: Vec<HealthFact>) -> Report {
        Report { facts }
    }

    pub fn worst(&self) -> HealthLevel {
        self.facts.iter().map(|fact| fact.level).max().unwrap_or(HealthLevel::Ok)
    }

    fn count(&self, level: HealthLevel) -> usize {
        self.facts.iter().filter(|fact| fact.level == level).count()
    }

    /// One line a fact, a second one to paste where one is known, and a last line for all.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for HealthFact { name, level, detail, advice, fix } in &self.facts {
            let level = match level {
                HealthLevel::Ok => "ok      ",
                HealthLevel::Warning => "warning ",
                HealthLevel::Failure => "FAILURE ",
            };
            let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
            text += &format!("{level} {name}: {}{}\n", printable(detail), printable(&advice));
            if !fix.is_empty() {
                // As it is: it is for a shell, which would take an escape for something else.
                text += &format!("         {fix}\n");
            }
        }
        let counted = |level, one: &str, more: &str| {
            let count = self.count(level);
            format!("{count} {}", if count == 1 { one } else { more })
        };
        text += &format!(
            "{} ok, {}, {}\n",
            self.count(HealthLevel::Ok),
            counted(HealthLevel::Warning, "warning", "warnings"),
            counted(HealthLevel::Failure, "failure", "failures")
        );
        text
    }

    pub fn to_json(&self) -> String {
        let or_null = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
        let fact = |fact: &HealthFact| {
            json!({
                "name": fact.name,
                "level": fact.level.name(),
                "detail": fact.detail,
                "advice": or_null(&fact.advice),
                "fix": or_null(&fact.fix),
            })
        };
        let report = json!({
            "version": VERSION,
            "level": self.worst().name(),
            "ok": self.count(HealthLevel::Ok),
            "warnings": self.count(HealthLevel::Warning),
            "failures": self.count(HealthLevel::Failure),
            "facts": self.facts.iter().map(fact).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::health::{bad, good};

    fn report() -> Report {
        let bad =
            bad("privileges", HealthLevel::Failure, "no \u{1b}[31mINSERT", "grant it").fixed_by("GRANT INSERT ...;");
        Report::of(vec![good("server", "MariaDB"), bad])
    }

    #[test]
    fn line_says_what_to_do_and_the_next_one_does_it() {
        let expected = "ok       server: MariaDB\n\
                        FAILURE  privileges: no \\u{1b}[31mINSERT; grant it\n         GRANT INSERT ...;\n\
                        1 ok, 0 warnings, 1 failure\n";
        assert_eq!(report().to_text(), expected);
    }

    #[test]
    fn json_has_every_member_in_every_fact() {
        let value: Value = serde_json::from_str(&report().to_json()).unwrap();
        let expected = json!({
            "version": 1, "level": "failure", "ok": 1, "warnings": 0, "failures": 1,
            "facts": [
                {"name": "server", "level": "ok", "detail": "MariaDB", "advice": null, "fix": null},
                {"name": "privileges", "level": "failure", "detail": "no \u{1b}[31mINSERT", "advice": "grant it",
                 "fix": "GRANT INSERT ...;"},
            ],
        });
        assert_eq!(value, expected);
    }
}
