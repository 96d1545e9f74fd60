//! Takes batches of keys; fetches, counts and hands on each object of them. One worker decodes one object at a time and
//! fetches the next meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::copies::Copies;
use super::count::{self, CountError, CountedBody, Decoded};
use super::events::{self, Passage, Timings};
use super::outage::{Dependency, Outages};
use super::pulse::{Bounds, Part};
use super::retry::Waits;
use super::shutdown::Shutdown;
use super::snapshots::Snapshots;
use super::work::{Aside, Batch, Failing, Outcome, Processed, Work};
use super::{Job, PipelineError};
use crate::model::{Disposition, FailedObject, FailureKind};
use crate::source::{Fetch, FetchError, Fetched};
use crate::store::ObjectRollup;

pub struct Worker {
    pub objects: Arc<dyn Fetch>,
    pub job: Arc<Job>,
    pub snapshots: Arc<Snapshots>,
    pub outages: Arc<Outages>,
    pub copies: Arc<Copies>,
    pub shutdown: Shutdown,
    pub batches: Arc<Mutex<mpsc::Receiver<Batch>>>,
    pub processed: mpsc::Sender<Processed>,
    /// Cells that may wait for the writer, over all workers.
    pub cells: Arc<Semaphore>,
    pub pulse: Arc<Part>,
}

/// A fetched object and when, or why it can't be had: final either way.
type Body = Result<(Fetched, Timestamp), FailedObject>;

/// Why a body's sums can't be trusted.
struct Uncounted {
    kind: FailureKind,
    reason: String,
    /// The byte that is at fault, when one is.
    offset: Option<u64>,
}

impl Worker {
    /// Bodies in memory beside the one being decoded.
    pub const FETCH_AHEAD: usize = 2;

    /// Runs until the channel of batches is closed and empty, or the rest is abandoned.
    pub async fn run(self) -> Result<(), PipelineError> {
        while let Some(batch) = self.next_batch().await {
            match self.shutdown.unless_abandoned(self.process(batch)).await {
                Some(processed) => processed?,
                None => break,
            }
        }
        Ok(())
    }

    async fn next_batch(&self) -> Option<Batch> {
        let next = async { self.batches.lock().await.recv().await };
        self.shutdown.unless_abandoned(next).await.flatten()
    }

    async fn process(&self, batch: Batch) -> Result<(), PipelineError> {
        debug!(batch = batch.id, objects = batch.works.len(), "batch begun");
        let bodies = futures::stream::iter(batch.works).map(|work| async {
            let wait = work.received.elapsed();
            let begun = Instant::now();
            let body = self.fetch(&work).await;
            let fetched = events::Fetched { fetch: begun.elapsed(), count: None, done: Instant::now() };
            let timings = Timings { received: work.received, wait, fetched: Some(fetched), writer_wait: None };
            let passage = Passage { batch_id: batch.id.clone(), timings, ..Passage::of(&work) };
            (work, passage, body)
        });
        let mut bodies = std::pin::pin!(bodies.buffered(Self::FETCH_AHEAD));
        loop {
            // Each attempt begins it anew: see `fetch`.
            let fetching = self.pulse.step("fetching objects", self.job.bounds.fetch);
            let Some((work, passage, body)) = bodies.next().await else { break };
            drop(fetching);
            let deliveries = work.deliveries.clone();
            let outcome = match body? {
                Ok((fetched, fetched_at)) => self.count(work, passage, fetched, fetched_at).await,
                Err(failed) => Outcome::Failed(Box::new(Failing::new(failed, work.object, passage))),
            };
            let processed = Processed { deliveries, outcome };
            if self.processed.send(processed).await.is_err() {
                break; // the writer has ended: its error ends the pipeline
            }
        }
        Ok(())
    }

    /// Asks for the object until it is there, or it is clear that the object itself is at fault.
    async fn fetch(&self, work: &Work) -> Result<Body, PipelineError> {
        let mut waits = Waits::new();
        let (object, begun) = (&work.object, Instant::now());
        // Attempts in a row that failed although the storage answered for others.
        let mut alone = 0;
        loop {
            let fetched = self.objects.fetch(object, self.job.rules.limits.object_bytes_max).await;
            self.pulse.turn();
            let error = match fetched {
                Ok(fetched) => {
                    self.outages.is_up(Dependency::Objects);
                    return Ok(Ok((fetched, Timestamp::now())));
                }
                Err(error) => error,
            };
            warn!(%object, %error, fetch_attempt = waits.attempts() + 1, "object not read yet");
            let given_up = match error.disposition() {
                Disposition::Halt => return Err(PipelineError::Fetch(error)),
                Disposition::Quarantine => {
                    self.outages.is_up(Dependency::Objects); // a refusal is an answer
                    // One that may still heal is asked for a few times.
                    !error.is_of_object() || waits.attempts() + 1 >= self.job.fetch_attempts_max
                }
                Disposition::Retry => {
                    alone = if self.answers_for_others(work, &error).await { alone + 1 } else { 0 };
                    // Throttling and the end of an outage look like this as well, so it takes time and repetition.
                    alone >= self.job.fetch_attempts_max && begun.elapsed() >= self.job.fetch_patience
                }
            };
            if given_up {
                return Ok(Err(work.failed(error.kind(), error.to_string(), None)));
            }
            waits.wait().await;
        }
    }

    /// Whether the storage is there, so that `error` is this object's own. Otherwise polling stops until it is.
    async fn answers_for_others(&self, work: &Work, error: &FetchError) -> bool {
        let answers = self.objects.probe(&work.object.bucket).await.is_ok();
        self.pulse.turn();
        match answers {
            true => self.outages.is_up(Dependency::Objects),
            false => self.outages.is_down(Dependency::Objects, error),
        }
        answers
    }

    async fn count(&self, work: Work, mut passage: Passage, fetched: Fetched, fetched_at: Timestamp) -> Outcome {
        let Fetched { body, generation } = fetched;
        let body = Arc::new(body);
        let begun = Instant::now();
        let counted = self.count_with_metadata(body, fetched_at).await;
        passage.counted(begun.elapsed());
        let counted = match counted {
            Ok(counted) => counted,
            Err(Uncounted { kind, reason, offset }) => {
                let mut failed = work.failed(kind, reason, Some(generation));
                failed.trace.offset = offset;
                self.copies.make(&mut failed).await;
                return Outcome::Failed(Box::new(Failing::new(failed, work.object, passage)));
            }
        };
        let Decoded { rows, rejects, .. } = counted.decoded;
        (passage.rows, passage.rejected_rows) = (Some(rows), Some(rejects.rows()));
        let cells = counted.rollup.cells().min(self.job.merge_cells_max) as u32;
        // The writer gives them back after its commit, so this is where workers wait for a slow database.
        let cells = self.cells.clone().acquire_many_owned(cells).await.ok();
        let object = ObjectRollup {
            bucket: work.object.bucket.clone(),
            key: work.object.key.clone(),
            generation,
            rows,
            rejected_rows: rejects.rows(),
            batch_id: passage.batch_id.clone(),
            rollup: counted.rollup,
        };
        let (unmapped, newest) = (counted.unmapped, counted.newest);
        let aside = Aside { work, passage, unmapped, rejects, newest, _cells: cells };
        Outcome::RolledUp(Box::new((object, aside)))
    }

    /// Counts with the snapshot at hand, and once more when it lacked keys that a fresh one may have.
    async fn count_with_metadata(&self, body: Arc<Vec<u8>>, fetched_at: Timestamp) -> Result<CountedBody, Uncounted> {
        let snapshot = self.snapshots.current();
        let counted = self.count_once(body.clone(), snapshot.clone()).await;
        match counted {
            Ok(counted) if !counted.unmapped.keys.is_empty() => {
                let missed = &counted.unmapped.keys;
                let fresh = self.snapshots.after_miss(missed, fetched_at).await;
                if Arc::ptr_eq(&fresh, &snapshot) {
                    return Ok(counted);
                }
                self.count_once(body, fresh).await
            }
            counted => counted,
        }
    }

    async fn count_once(
        &self,
        body: Arc<Vec<u8>>,
        snapshot: Arc<crate::enrich::Snapshot>,
    ) -> Result<CountedBody, Uncounted> {
        let (rules, pulse) = (self.job.rules_now(), self.pulse.clone());
        let _step = self.pulse.step("decoding an object", Bounds::DECODE);
        match beside_the_runtime(move || count::count(&body, &rules, snapshot, &mut |_| pulse.turn())).await {
            Some(counted) => counted.map_err(|error: CountError| Uncounted {
                kind: error.kind(),
                offset: error.offset(),
                reason: error.to_string(),
            }),
            // A defect of ours must not stop other objects. The panic's own report goes to the log and to Sentry.
            None => Err(Uncounted {
                kind: FailureKind::Defect,
                offset: None,
                reason: "the decoder panicked; see the log for where".to_owned(),
            }),
        }
    }
}

/// Runs work that keeps a processor busy, on a thread beside the runtime's; `None` when it panicked.
///
/// A runtime of one thread does it in place: what follows what is then decided by nothing but that thread's timers, so
/// that a simulation can be repeated.
async fn beside_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => catch_unwind(AssertUnwindSafe(work)).ok(),
        _ => tokio::task::spawn_blocking(work).await.ok(),
    }
}
