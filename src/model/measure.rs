//! The numbers that are summed, and where each comes from.

use super::{Labels, MeasureKind};

/// Whose share of the revenue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Media,
    Agency,
}

/// Where a measure's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This key of the row.
    Field(String),
    /// A share of the measure at this index.
    Share { of: usize, share: Share },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    pub name: String,
    pub kind: MeasureKind,
    pub origin: Origin,
    pub labels: Labels,
}
