//! Where objects come from. The only module that names an AWS crate. Knows nothing of what is inside an object.

pub mod aws;
#[cfg(test)]
mod emulator;
pub mod fetch;
pub mod listing;
pub mod notification;
pub mod queue;
pub mod settings;
pub mod sqs;
pub mod visibility;

pub use fetch::{FetchError, Fetched, Objects};
pub use listing::Listing;
pub use notification::Filter;
pub use queue::{Queue, QueueError, Received};
pub use settings::{SourceSettings, SourceUrl};
pub use sqs::SqsQueue;
pub use visibility::{Lease, Leases};
