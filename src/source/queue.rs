//! What the pipeline asks of a queue, whether SQS, the listing of a bucket or folder, or the simulated one in tests.

use async_trait::async_trait;

use crate::failpoint::Injected;
use crate::model::{Delivery, Disposition, Receipt};

/// What one call of [`Queue::receive`] brought.
#[derive(Debug)]
pub enum Received {
    /// At most as many as there was room for; none when the long poll ended empty.
    Deliveries(Vec<Delivery>),
    /// A listing's end: nothing more will come from this queue.
    End,
}

/// Why a call to the queue failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// No answer, throttled, or a server error: ask again later.
    #[error("queue {url}: {problem}")]
    Unavailable { url: String, problem: String },
    /// It does not exist, or we may not use it.
    #[error("queue {url}: {problem}")]
    Refused { url: String, problem: String },
}

impl QueueError {
    pub fn disposition(&self) -> Disposition {
        match self {
            QueueError::Unavailable { .. } => Disposition::Retry,
            QueueError::Refused { .. } => Disposition::Halt,
        }
    }
}

impl From<Injected> for QueueError {
    fn from(injected: Injected) -> Self {
        QueueError::Unavailable { url: "of a test".into(), problem: injected.to_string() }
    }
}

/// What became of one receipt in a call for several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    Done,
    /// The queue no longer knows this receipt as in flight: asking again is of no use.
    Gone,
    /// A passing error of this entry alone: ask again.
    Failed {
        problem: String,
    },
}

/// How much a queue holds, as far as it can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    pub waiting: u64,
    /// Received by somebody and not deleted.
    pub in_flight: u64,
}

/// A queue of deliveries, at least once each. No call retries by itself: the pipeline owns the retries.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Waits for deliveries as long as one long poll, and returns at most `room` (at least 1) of them, hidden from
    /// other receivers for [`Queue::visibility`]. Bodies that can't be understood come as
    /// [`Content::Unreadable`](crate::model::delivery::Content::Unreadable), not as errors.
    async fn receive(&self, room: usize) -> Result<Received, QueueError>;

    /// Hides the deliveries for another `visibility` from now. One outcome a receipt, in order.
    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError>;

    /// Deletes the messages: only after everything they announce is terminal. One outcome a receipt, in order.
    async fn acknowledge(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError>;

    /// Makes the deliveries visible again at once. One outcome a receipt, in order.
    async fn release(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError>;

    /// How much waits; also the cheapest way to learn whether the queue answers. `None` when it does not tell.
    async fn depth(&self) -> Result<Option<Depth>, QueueError> {
        Ok(None)
    }

    /// How long a delivery stays hidden after `receive` or `extend`; `None` when it never comes back by itself.
    fn visibility(&self) -> Option<std::time::Duration>;

    /// As a person knows it: the queue's URL, or the bucket's or folder's.
    fn url(&self) -> &str;
}
