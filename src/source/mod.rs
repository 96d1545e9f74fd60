//! Where objects come from. The only module that names an AWS crate. Knows nothing of what is inside an object.

use std::sync::Arc;

mod aws;
#[cfg(test)]
mod emulator;
pub mod fetch;
pub mod given;
pub mod listing;
mod look;
pub mod notification;
pub mod queue;
pub mod set_aside;
pub mod settings;
pub mod sqs;
pub mod topic;
pub mod visibility;

pub use fetch::{Fetch, FetchError, Fetched, Objects};
pub use given::{Given, GivenQueue};
pub use listing::Listing;
pub use notification::Filter;
pub use queue::{Queue, QueueError, ReceiptOutcome, Received};
pub use set_aside::{CopyError, CopyTarget};
pub use settings::{SourceSettings, SourceUrl};
pub use sqs::{QueueAttributes, Redrive, SqsQueue};
pub use visibility::{Lease, Leases};

/// The queue of `settings.url`, of whichever kind, proven to be there: a queue by asking for its attributes, a folder by
/// looking. A bucket is asked with the first `receive`.
pub async fn open(settings: &SourceSettings) -> Result<Arc<dyn Queue>, QueueError> {
    Ok(match settings.url {
        SourceUrl::Sqs(_) => Arc::new(SqsQueue::open(settings).await?),
        SourceUrl::Bucket { .. } | SourceUrl::Folder(_) => Arc::new(Listing::open(settings).await?),
    })
}
