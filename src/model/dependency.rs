//! What the program stands on and can't do without.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    Queue,
    Objects,
    Database,
    Metadata,
}

impl Dependency {
    pub const ALL: [Dependency; 4] =
        [Dependency::Queue, Dependency::Objects, Dependency::Database, Dependency::Metadata];

    /// As a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Dependency::Queue => "queue",
            Dependency::Objects => "object storage",
            Dependency::Database => "database",
            Dependency::Metadata => "metadata",
        }
    }

    /// As metrics call it.
    pub fn label(self) -> &'static str {
        match self {
            Dependency::Objects => "objects",
            other => other.name(),
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
