//! Where objects come from. The only module that names an AWS crate. Knows nothing of what is inside an object.

use std::sync::Arc;

mod announcements;
pub mod arn;
mod aws;
mod command;
#[cfg(test)]
mod emulator;
pub mod fetch;
pub mod given;
mod health;
pub mod listing;
mod look;
pub mod notification;
pub mod permissions;
mod policy;
pub mod queue;
pub mod set_aside;
pub mod settings;
pub mod sqs;
pub mod topic;
pub mod visibility;

pub use announcements::notification as bucket_notification;
pub use arn::QueueArn;
pub use fetch::{Fetch, FetchError, Fetched, Objects};
pub use given::{Given, GivenQueue};
pub use health::{Habits, health};
pub use listing::{Choice, DateBy, DateRange, Found, Listing, ObjectPages, Selection};
pub use notification::Filter;
pub use permissions::{Resources, iam_policy};
pub use policy::queue_policy;
pub use queue::{Depth, Queue, QueueError, ReceiptOutcome, Received};
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
