//! Heartbeats: a delivery stays hidden from other receivers from its receipt until its work is done or given up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::model::{Delivery, Receipt};

use super::queue::{Queue, QueueError, ReceiptOutcome};

#[cfg(test)]
mod tests;

/// "The maximum visibility timeout is 12 hours from the time that Amazon SQS receives the ReceiveMessage request" (SQS
/// Developer Guide, "Visibility timeout"); extending beyond that is refused. A minute less: that request came up to a
/// long poll before the delivery.
const HELD_TIME_MAX: Duration = Duration::from_secs(12 * 60 * 60 - 60);

/// Leases looked at again between two calls of the queue: no more than one batch of SQS, so that a lease which is dropped
/// meanwhile is not extended by a later one.
const BATCH: usize = 10;

/// After a failure the next attempt comes after this part of `every`, and no more than that.
const RETRY_FRACTION: u32 = 4;

/// Extends the visibility of all held deliveries, in one task, until it is dropped.
pub struct Leases {
    shared: Arc<Shared>,
    every: Duration,
    /// None for a queue whose deliveries never come back by themselves.
    task: Option<JoinHandle<()>>,
    stopped: CancellationToken,
}

/// One delivery that is kept hidden until this is dropped. Once `drop` has returned, no extension begins; one that is
/// already on its way is not called back.
#[must_use = "a delivery is hidden only as long as its lease is held"]
pub struct Lease {
    shared: Arc<Shared>,
    /// None when there is nothing to extend.
    number: Option<u64>,
}

/// Whether deliveries are still being extended, to be asked by whoever has no lease.
#[derive(Clone)]
pub struct Beat {
    shared: Arc<Shared>,
    every: Duration,
}

#[derive(Default)]
struct Shared {
    held: Mutex<Held>,
    /// Something is held again after nothing was.
    added: Notify,
}

#[derive(Default)]
struct Held {
    last: u64,
    leases: BTreeMap<u64, Entry>,
    /// When the heartbeat last looked what is due, or heard from the queue, well or ill.
    turned: Option<Instant>,
}

struct Entry {
    message_id: String,
    receipt: Receipt,
    since: Instant,
    due: Instant,
}

/// The time between two extensions: `every`, or a third of a visibility that is shorter, so that two attempts may fail
/// before a delivery shows again.
pub fn heartbeat(every: Duration, visibility: Duration) -> Duration {
    every.min(visibility / 3).max(Duration::from_millis(1))
}

impl Leases {
    /// Begins to extend, as often as [`heartbeat`] says.
    ///
    /// Must be called within a tokio runtime when the queue has a visibility.
    pub fn start(queue: Arc<dyn Queue>, every: Duration) -> Leases {
        let (shared, stopped) = (Arc::<Shared>::default(), CancellationToken::new());
        let Some(visibility) = queue.visibility() else {
            return Leases { shared, every, task: None, stopped };
        };
        let every = heartbeat(every, visibility);
        let _stopped = stopped.clone().drop_guard();
        shared.turned();
        let heartbeat = Heartbeat { queue, shared: shared.clone(), visibility, every, failures: 0, _stopped };
        Leases { shared, every, task: Some(tokio::spawn(heartbeat.run())), stopped }
    }

    /// Ends when nothing is extended any more, which happens before the drop of this only by a panic.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.stopped.clone().cancelled_owned()
    }

    pub fn beat(&self) -> Beat {
        Beat { shared: self.shared.clone(), every: self.every }
    }

    /// Keeps `delivery` hidden. To be called at once when it was received: the first extension is due `every` after this
    /// call.
    pub fn hold(&self, delivery: &Delivery) -> Lease {
        let shared = self.shared.clone();
        if self.task.is_none() {
            return Lease { shared, number: None };
        }
        let since = Instant::now();
        let (message_id, receipt) = (delivery.message_id.clone(), delivery.receipt.clone());
        let mut held = shared.held();
        held.last += 1;
        let number = held.last;
        held.leases.insert(number, Entry { message_id, receipt, since, due: since + self.every });
        drop(held);
        shared.added.notify_one();
        Lease { shared, number: Some(number) }
    }
}

impl Beat {
    /// Since when nothing was done for what is held; `None` when nothing is.
    pub fn silent_since(&self) -> Option<Instant> {
        let held = self.shared.held();
        let oldest = held.leases.values().map(|entry| entry.since).min()?;
        Some(held.turned.map_or(oldest, |turned| turned.max(oldest)))
    }

    /// One wait and one call that hangs: longer silences have another reason.
    pub fn longest_silence(&self) -> Duration {
        self.every * 2
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.held().leases.remove(&number);
        }
    }
}

impl Shared {
    fn turned(&self) {
        self.held().turned = Some(Instant::now());
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it holds the lock, and if it did, the map would be whole all the same.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task behind [`Leases`].
struct Heartbeat {
    queue: Arc<dyn Queue>,
    shared: Arc<Shared>,
    visibility: Duration,
    every: Duration,
    /// Calls that failed, wholly or in part, since the last one that did not.
    failures: u32,
    /// Tells when the task is gone, however it ends.
    _stopped: DropGuard,
}

impl Heartbeat {
    async fn run(mut self) {
        loop {
            self.until_due().await;
            self.extend_due().await;
        }
    }

    async fn until_due(&self) {
        loop {
            self.shared.turned();
            let next = self.shared.held().leases.values().map(|entry| entry.due).min();
            match next {
                // What is added meanwhile is due later than everything that is held: `every` is the same for all.
                Some(due) => return tokio::time::sleep_until(due).await,
                None => self.shared.added.notified().await,
            }
        }
    }

    async fn extend_due(&mut self) {
        self.give_up_the_oldest();
        // Also those that are due soon, so that what was received together is extended together.
        let horizon = Instant::now() + self.every / 8;
        let due = |entry: &Entry| entry.due <= horizon;
        let numbers: Vec<u64> =
            self.shared.held().leases.iter().filter(|(_, entry)| due(entry)).map(|(number, _)| *number).collect();
        for at in (0..numbers.len()).step_by(BATCH) {
            let end = numbers.len().min(at + BATCH);
            // Looked up only now: some may have been dropped during the call before.
            let batch = self.receipts(&numbers[at..end]);
            if batch.is_empty() {
                continue;
            }
            let receipts: Vec<Receipt> = batch.iter().map(|(_, receipt)| receipt.clone()).collect();
            // A call that hangs must not keep the others from being extended in time.
            let answer = tokio::time::timeout(self.every, self.queue.extend(&receipts)).await;
            self.shared.turned();
            match answer {
                Ok(Ok(outcomes)) => self.settle(&batch, outcomes),
                Ok(Err(error)) => return self.postpone(&numbers[at..], &problem_of(&error)),
                Err(_) => return self.postpone(&numbers[at..], "no answer in time"),
            }
        }
    }

    fn receipts(&self, numbers: &[u64]) -> Vec<(u64, Receipt)> {
        let held = self.shared.held();
        let receipt = |number: &u64| held.leases.get(number).map(|entry| (*number, entry.receipt.clone()));
        numbers.iter().filter_map(receipt).collect()
    }

    fn settle(&mut self, batch: &[(u64, Receipt)], outcomes: Vec<ReceiptOutcome>) {
        let now = Instant::now();
        let mut failed: Vec<u64> = Vec::new();
        let mut problem = "no outcome".to_owned();
        let mut outcomes = outcomes.into_iter();
        for (number, _) in batch {
            let mut held = self.shared.held();
            match outcomes.next() {
                Some(ReceiptOutcome::Done) => {
                    if let Some(entry) = held.leases.get_mut(number) {
                        entry.due = now + self.every;
                    }
                }
                Some(ReceiptOutcome::Gone) => {
                    // One that was dropped meanwhile has been acknowledged or released: of course it is gone.
                    if let Some(entry) = held.leases.remove(number) {
                        tracing::warn!(
                            message_id = entry.message_id,
                            held_seconds = entry.since.elapsed().as_secs(),
                            "delivery is no longer hidden: the queue will deliver it again, and the ledger will know it"
                        );
                    }
                }
                Some(ReceiptOutcome::Failed { problem: words }) => {
                    problem = words;
                    failed.push(*number);
                }
                None => failed.push(*number),
            }
        }
        match failed.is_empty() {
            true => self.recovered(),
            false => self.postpone(&failed, &problem),
        }
    }

    /// Tries these again soon. Told once for all failures in a row: an outage lasts for many calls.
    fn postpone(&mut self, numbers: &[u64], problem: &str) {
        self.failures += 1;
        if self.failures == 1 {
            let url = self.queue.url();
            tracing::warn!(queue = url, deliveries = numbers.len(), problem, "visibility not extended, trying again");
        }
        let due = Instant::now() + jittered(self.every / RETRY_FRACTION);
        let mut held = self.shared.held();
        for number in numbers {
            if let Some(entry) = held.leases.get_mut(number) {
                entry.due = due;
            }
        }
    }

    fn recovered(&mut self) {
        if self.failures > 0 {
            tracing::info!(queue = self.queue.url(), failures = self.failures, "visibility is extended again");
            self.failures = 0;
        }
    }

    fn give_up_the_oldest(&self) {
        let (now, visibility) = (Instant::now(), self.visibility);
        self.shared.held().leases.retain(|_, entry| {
            let may_be_extended = now + visibility <= entry.since + HELD_TIME_MAX;
            if !may_be_extended {
                tracing::warn!(
                    message_id = entry.message_id,
                    held_seconds = entry.since.elapsed().as_secs(),
                    "delivery can't be hidden for more than 12 hours: the queue will deliver it again"
                );
            }
            may_be_extended
        });
    }
}

fn problem_of(error: &QueueError) -> String {
    match error {
        QueueError::Unavailable { problem, .. } | QueueError::Refused { problem, .. } => problem.clone(),
    }
}

/// Between half of `time` and all of it, so that many daemons do not ask at the same moment.
fn jittered(time: Duration) -> Duration {
    (time / 2).mul_f64(1.0 + fastrand::f64())
}
