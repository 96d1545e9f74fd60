//! Record batch -> record batch: joins the metadata and derives the columns that reports group by and sum. Pure: its
//! clock is the row's own timestamp, its metadata an immutable snapshot.

mod join;
pub mod snapshot;
pub mod split;

pub use join::{Enricher, Unmapped};
pub use snapshot::{InvalidMetadata, Snapshot};
