//! The queue as SQS.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName,
};
use jiff::Timestamp;

use crate::failpoint;
use crate::model::{Delivery, Receipt};

use super::aws::{Aws, CallFailure, Fault};
use super::notification::{self, Filter};
use super::queue::{Depth, Queue, QueueError, ReceiptOutcome, Received};
use super::settings::{SourceSettings, SourceUrl};

mod attributes;
mod health;
#[cfg(test)]
mod tests;

pub use attributes::{QueueAttributes, Redrive};

/// Of one call, for each of the batch actions and for receiving (SQS API Reference).
const BATCH: usize = 10;

/// SQS API Reference, ReceiveMessage: `WaitTimeSeconds` is at most 20.
const LONG_POLL_MAX: Duration = Duration::from_secs(20);

/// SQS API Reference, ChangeMessageVisibility: 0 to 43,200 seconds.
const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// One SQS queue, standard or FIFO. Its methods make one call for each ten receipts, and retry none.
pub struct SqsQueue {
    /// With a long poll's time to answer.
    receiving: aws_sdk_sqs::Client,
    /// For calls that are answered at once.
    settling: aws_sdk_sqs::Client,
    url: String,
    long_poll: Duration,
    visibility: Duration,
    filter: Filter,
}

impl SqsQueue {
    /// The queue of `settings.url`, proven to be there: a wrong URL or wrong credentials are an error now, not after
    /// the first long poll. Who may receive but not look at the queue's attributes is let in with a warning.
    pub async fn open(settings: &SourceSettings) -> Result<Self, QueueError> {
        let refused = |problem| QueueError::Refused { url: settings.url.to_string(), problem };
        Self::open_at(&Aws::load(settings).await.map_err(refused)?, settings).await
    }

    pub(super) async fn open_at(aws: &Aws, settings: &SourceSettings) -> Result<Self, QueueError> {
        let SourceUrl::Sqs(url) = &settings.url else {
            let (url, problem) = (settings.url.to_string(), "it is not a queue of SQS".to_owned());
            return Err(QueueError::Refused { url, problem });
        };
        let long_poll = whole_seconds(settings.long_poll, LONG_POLL_MAX);
        let queue = Self {
            receiving: aws.sqs(long_poll),
            settling: aws.sqs(Duration::ZERO),
            url: url.clone(),
            long_poll,
            visibility: whole_seconds(settings.visibility, VISIBILITY_MAX).max(Duration::from_secs(1)),
            filter: settings.filter.clone(),
        };
        match queue.attributes().await? {
            None => {
                tracing::warn!(
                    queue = url,
                    "sqs:GetQueueAttributes is not granted: the queue's settings can't be checked"
                );
            }
            Some(attributes) if attributes.fifo => {
                tracing::warn!(queue = url, "a FIFO queue: one message that waits holds up all others of its group");
            }
            Some(_) => {}
        }
        Ok(queue)
    }

    /// The queue's own settings and backlog; `None` when `sqs:GetQueueAttributes` is not granted.
    pub async fn attributes(&self) -> Result<Option<QueueAttributes>, QueueError> {
        let request = self.settling.get_queue_attributes().queue_url(&self.url);
        match request.set_attribute_names(Some(attributes::names())).send().await {
            Ok(answer) => Ok(Some(QueueAttributes::of(&answer.attributes.unwrap_or_default()))),
            Err(error) => {
                let failure = CallFailure::of(&error);
                let denied = failure.code.as_deref().is_some_and(|code| code.contains("AccessDenied"));
                if denied { Ok(None) } else { Err(queue_error(&self.url, &failure)) }
            }
        }
    }

    fn error<E>(&self, error: &SdkError<E>) -> QueueError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        queue_error(&self.url, &CallFailure::of(error))
    }

    fn delivery(&self, message: Message) -> Option<Delivery> {
        let message_id = message.message_id.unwrap_or_default();
        let Some(receipt) = message.receipt_handle else {
            // SQS always gives one. Without it nothing can be done but wait for the message to show again.
            tracing::warn!(queue = self.url, message_id, "message without a receipt handle is left to the queue");
            return None;
        };
        let count = MessageSystemAttributeName::ApproximateReceiveCount;
        let attempt = message.attributes.as_ref().and_then(|attributes| attributes.get(&count)?.parse().ok());
        let sent =
            |attributes: &HashMap<_, String>| attributes.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok();
        let sent_at = message.attributes.as_ref().and_then(sent).and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let body = message.body.unwrap_or_default();
        failpoint::pass("notification.parse.before");
        let content = notification::read(&body, &self.filter);
        failpoint::pass("notification.parse.after");
        Some(Delivery {
            message_id,
            receipt: Receipt(receipt.into()),
            attempt: attempt.unwrap_or(1),
            received_at: Timestamp::now(),
            sent_at,
            content,
            body: body.into(),
        })
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<ReceiptOutcome>, QueueError> {
        let mut outcomes = Outcomes::of(receipts);
        for (at, batch) in batches(receipts) {
            let entry = |(number, receipt): (usize, &Receipt)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id((at + number).to_string())
                    .receipt_handle(&*receipt.0)
                    .visibility_timeout(seconds(visibility))
                    .build()
            };
            let entries = batch.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
            let entries = entries.map_err(|error| refused(&self.url, &error))?;
            let request = self.settling.change_message_visibility_batch().queue_url(&self.url);
            match request.set_entries(Some(entries)).send().await {
                Ok(answer) => {
                    let done = answer.successful.iter().map(|entry| entry.id.as_str());
                    outcomes.answered(done, &answer.failed);
                }
                Err(error) => return outcomes.call_failed(at, self.error(&error)),
            }
        }
        Ok(outcomes.0)
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn receive(&self, room: usize) -> Result<Received, QueueError> {
        let request = self
            .receiving
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(room.clamp(1, BATCH) as i32)
            .wait_time_seconds(seconds(self.long_poll))
            .visibility_timeout(seconds(self.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        failpoint::meet("queue.receive.before")?;
        let answer = request.send().await.map_err(|error| self.error(&error))?;
        failpoint::meet("queue.receive.after")?;
        let messages = answer.messages.unwrap_or_default();
        Ok(Received::Deliveries(messages.into_iter().filter_map(|message| self.delivery(message)).collect()))
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        failpoint::meet("queue.extend.before")?;
        let outcomes = self.change_visibility(receipts, self.visibility).await?;
        failpoint::meet("queue.extend.after")?;
        Ok(outcomes)
    }

    /// An old receipt of a message that has been received again since "succeeds" at SQS and deletes nothing: then the
    /// message comes again, and the ledger knows its objects.
    async fn acknowledge(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        failpoint::meet("queue.acknowledge.before")?;
        let mut outcomes = Outcomes::of(receipts);
        for (at, batch) in batches(receipts) {
            let entry = |(number, receipt): (usize, &Receipt)| {
                let id = (at + number).to_string();
                DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(&*receipt.0).build()
            };
            let entries = batch.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
            let entries = entries.map_err(|error| refused(&self.url, &error))?;
            let request = self.settling.delete_message_batch().queue_url(&self.url);
            match request.set_entries(Some(entries)).send().await {
                Ok(answer) => {
                    let done = answer.successful.iter().map(|entry| entry.id.as_str());
                    outcomes.answered(done, &answer.failed);
                }
                Err(error) => return outcomes.call_failed(at, self.error(&error)),
            }
        }
        failpoint::meet("queue.acknowledge.after")?;
        Ok(outcomes.0)
    }

    async fn release(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        failpoint::meet("queue.release.before")?;
        let outcomes = self.change_visibility(receipts, Duration::ZERO).await?;
        failpoint::meet("queue.release.after")?;
        Ok(outcomes)
    }

    async fn depth(&self) -> Result<Option<Depth>, QueueError> {
        let depth =
            |attributes: QueueAttributes| Depth { waiting: attributes.backlog, in_flight: attributes.in_flight };
        Ok(self.attributes().await?.map(depth))
    }

    fn visibility(&self) -> Option<Duration> {
        Some(self.visibility)
    }

    fn url(&self) -> &str {
        &self.url
    }
}

/// The batches of one call each, with the place of their first receipt. Its place is a receipt's id within all of
/// them, so ids are distinct even where a caller gives one receipt twice.
fn batches(receipts: &[Receipt]) -> impl Iterator<Item = (usize, &[Receipt])> {
    receipts.chunks(BATCH).enumerate().map(|(number, batch)| (number * BATCH, batch))
}

/// What became of each receipt. A batch is answered with HTTP 200 even when all of its entries failed.
struct Outcomes(Vec<ReceiptOutcome>);

impl Outcomes {
    fn of(receipts: &[Receipt]) -> Self {
        let unanswered = ReceiptOutcome::Failed { problem: "the answer does not name this entry".into() };
        Self(vec![unanswered; receipts.len()])
    }

    fn answered<'a>(&mut self, done: impl Iterator<Item = &'a str>, failed: &[BatchResultErrorEntry]) {
        let failed = failed.iter().map(|entry| (entry.id.as_str(), outcome_of(entry)));
        let outcomes: HashMap<&str, ReceiptOutcome> = done.map(|id| (id, ReceiptOutcome::Done)).chain(failed).collect();
        for (id, outcome) in outcomes {
            if let Some(place) = id.parse().ok().and_then(|at: usize| self.0.get_mut(at)) {
                *place = outcome;
            }
        }
    }

    /// The call for the batch at `at` failed as a whole. What the calls before it did is done and must be told, so only a
    /// first call's failure is one of all.
    fn call_failed(mut self, at: usize, error: QueueError) -> Result<Vec<ReceiptOutcome>, QueueError> {
        if at == 0 {
            return Err(error);
        }
        self.0[at..].fill(ReceiptOutcome::Failed { problem: error.to_string() });
        Ok(self.0)
    }
}

/// `InvalidParameterValue` comes for a receipt that has expired, and for an extension beyond 12 hours from receipt.
fn outcome_of(entry: &BatchResultErrorEntry) -> ReceiptOutcome {
    // Old error names carry a namespace: `AWS.SimpleQueueService.MessageNotInflight`.
    match entry.code.rsplit('.').next().unwrap_or_default() {
        "ReceiptHandleIsInvalid" | "MessageNotInflight" | "InvalidParameterValue" => ReceiptOutcome::Gone,
        code => ReceiptOutcome::Failed { problem: format!("{code}: {}", entry.message.as_deref().unwrap_or_default()) },
    }
}

fn queue_error(url: &str, failure: &CallFailure) -> QueueError {
    let (url, problem) = (url.to_owned(), failure.problem.clone());
    match failure.fault() {
        Fault::Passing => QueueError::Unavailable { url, problem },
        Fault::Setup | Fault::Request => QueueError::Refused { url, problem },
    }
}

/// A request that can't be built; no way to that is known.
fn refused(url: &str, error: &dyn std::error::Error) -> QueueError {
    QueueError::Refused { url: url.to_owned(), problem: error.to_string() }
}

/// SQS counts in whole seconds: rounded up, so that nothing shows earlier than was asked for.
fn whole_seconds(time: Duration, most: Duration) -> Duration {
    let up = u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(time.as_secs().saturating_add(up)).min(most)
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
