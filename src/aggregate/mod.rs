//! Enriched record batches -> the rollup of one object. Pure: knows no file, no database, no clock.

pub mod groups;
mod order;
pub mod rollup;

pub use groups::Groups;
pub use rollup::{Cells, DayTotals, Overflow, Rollup};
