//! What `check` finds out about a queue, a bucket, a database or this machine, one fact a line.

/// How good a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthLevel {
    Ok,
    /// Works, at a risk that the advice names; or can't be seen from here.
    Warning,
    /// `run` would not work, or would have nothing to do.
    Failure,
}

impl HealthLevel {
    /// As programs read it.
    pub fn name(self) -> &'static str {
        match self {
            HealthLevel::Ok => "ok",
            HealthLevel::Warning => "warning",
            HealthLevel::Failure => "failure",
        }
    }
}

/// One line of `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthFact {
    pub name: &'static str,
    pub level: HealthLevel,
    pub detail: String,
    /// What to do; empty when the level is `Ok`.
    pub advice: String,
    /// One line to paste that does it, a shell's or the database's; empty when no such line is known.
    pub fix: String,
}

impl HealthFact {
    /// The same, with the line that puts it right. Of no use to a fact that is good.
    pub fn fixed_by(mut self, fix: impl Into<String>) -> HealthFact {
        if self.level != HealthLevel::Ok {
            self.fix = fix.into();
        }
        self
    }
}

pub fn good(name: &'static str, detail: impl Into<String>) -> HealthFact {
    HealthFact { name, level: HealthLevel::Ok, detail: detail.into(), advice: String::new(), fix: String::new() }
}

pub fn bad(name: &'static str, level: HealthLevel, detail: impl Into<String>, advice: impl Into<String>) -> HealthFact {
    HealthFact { name, level, detail: detail.into(), advice: advice.into(), fix: String::new() }
}

/// A fact that is good when `holds`.
pub fn judged(name: &'static str, holds: bool, level: HealthLevel, detail: String, advice: &str) -> HealthFact {
    if holds { good(name, detail) } else { bad(name, level, detail, advice) }
}
