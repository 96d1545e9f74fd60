//! Enriched record batches -> the rollup of one object. Pure: knows no file, no database, no clock.
//!
//! A dimension with those that it determines is an axis (`axis`), on which each combination of values has a small code; a
//! group's key is the codes of all axes side by side in one integer (`groups`). A rollup has a few tables of groups
//! (`level`), from which the reports' are derived: `cells`, in the `order` of the primary key.

mod axis;
mod cells;
mod days;
mod encode;
mod groups;
mod level;
mod order;
mod rollup;
mod spare;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;

use crate::model::Dimension;

pub use cells::{Cell, Cells, KeyValue};
pub use rollup::{DayTotals, Rollup};
pub use spare::Spare;

/// What a rollup can't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// A sum.
    Sum,
    /// That many distinct values of a dimension.
    Values(Dimension),
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Overflow::Sum => f.write_str("a sum exceeds 64 bits"),
            Overflow::Values(dimension) => write!(f, "there are too many values of {}", dimension.name()),
        }
    }
}

impl std::error::Error for Overflow {}

impl From<groups::SumOverflow> for Overflow {
    fn from(groups::SumOverflow: groups::SumOverflow) -> Self {
        Overflow::Sum
    }
}
