//! What `check` finds out about a queue or a database, one fact a line.

/// How good a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthLevel {
    Ok,
    /// Works, at a risk that the advice names.
    Warning,
    /// `run` would not work.
    Failure,
}

/// One line of `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthFact {
    pub name: &'static str,
    pub level: HealthLevel,
    pub detail: String,
    /// What to do; empty when the level is `Ok`.
    pub advice: String,
}

pub fn good(name: &'static str, detail: impl Into<String>) -> HealthFact {
    HealthFact { name, level: HealthLevel::Ok, detail: detail.into(), advice: String::new() }
}

pub fn bad(name: &'static str, level: HealthLevel, detail: impl Into<String>, advice: impl Into<String>) -> HealthFact {
    HealthFact { name, level, detail: detail.into(), advice: advice.into() }
}

/// A fact that is good when `holds`.
pub fn judged(name: &'static str, holds: bool, level: HealthLevel, detail: String, advice: &str) -> HealthFact {
    if holds { good(name, detail) } else { bad(name, level, detail, advice) }
}
