//! The data's way from queue to database: the only module that knows all stages.
//!
//! ```text
//!            keys               batches                    rollups, failures
//! poller ───────────▶ batcher ───────────▶ workers (n) ─────────────────────▶ writer
//!   ▲    bounded                bounded     fetch, decode,   bounded            │ commit
//!   │                                       enrich, aggregate                   │ acknowledge
//!   └──────────────────────────── queue ◀─────────────────────────────────────────┘
//! ```
//!
//! Every arrow is a bounded channel, every open delivery holds a place, every waiting rollup its cells: when the
//! database is slow, workers wait for the writer, the batcher for the workers, the poller for places, and the queue
//! keeps the rest. Ending is the same chain: the poller stops, each channel runs dry and closes the next.

mod batcher;
mod copies;
pub mod count;
mod deliveries;
mod events;
pub mod inspect;
mod outage;
mod poller;
mod pulse;
mod reconcile;
mod retry;
mod scan;
mod shutdown;
mod snapshots;
mod tally;
mod work;
mod worker;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{info, warn};

pub use count::Rules;
pub use deliveries::InFlight;
pub use pulse::{Bounds, Pulse, Stall};
pub use reconcile::{ReconcileAction, ReconcileSettings, Reconciler};
pub use scan::{Scan, Scanned, Scope, Uncounted, fill};
pub use shutdown::Shutdown;
pub use tally::{Tallied, Tally};

use crate::source::fetch::{Fetch, FetchError};
use crate::source::visibility::Leases;
use crate::source::{Queue, QueueError};
use crate::store::{Store, StoreError};
use deliveries::Deliveries;
use outage::Outages;
use shutdown::{AbandonOnDrop, LAST_WORDS};
use snapshots::Snapshots;

/// What the pipeline does and how much of it at a time.
#[derive(Clone)]
pub struct Job {
    pub rules: Rules,
    /// How far a timestamp may be ahead of the clock.
    pub ahead: Duration,
    pub batch_size: usize,
    pub batch_wait: Duration,
    pub workers: usize,
    pub deliveries_max: usize,
    pub fetch_attempts_max: u32,
    /// How long an object that S3 fails to give, while it answers otherwise, is asked for.
    pub fetch_patience: Duration,
    pub merge_objects_max: usize,
    pub merge_cells_max: usize,
    /// Whether an object that was counted with other content is listed as failed, or ignored.
    pub quarantine_overwritten: bool,
    pub metadata_refresh: Duration,
    pub metadata_miss_refresh: Duration,
    /// How long single steps can take, see [`Pulse`].
    pub bounds: Bounds,
}

impl Job {
    /// The rules with the window of timestamps as it is now.
    pub fn rules_now(&self) -> Rules {
        let mut rules = self.rules.clone();
        let latest = Timestamp::now().as_second() + self.ahead.as_secs() as i64;
        rules.schema.window = *rules.schema.window.start()..=latest;
        rules
    }
}

/// The most that a cell takes, see [store] merge_cells_max in `config.toml`.
const CELL_BYTES_MAX: u64 = 150;

impl Job {
    /// What one worker may hold at worst: the body it decodes and those fetched ahead, the decoder's memory, the sums.
    pub fn worker_bytes_max(&self) -> u64 {
        let limits = &self.rules.limits;
        let bodies = limits.object_bytes_max.saturating_mul(1 + worker::Worker::FETCH_AHEAD as u64);
        bodies.saturating_add(limits.decoder_bytes_max as u64).saturating_add(limits.cells_max as u64 * CELL_BYTES_MAX)
    }

    /// What waits for the writer at worst, as much again while it is merged, and what is kept of it for sums to come.
    pub fn writer_bytes_max(&self) -> u64 {
        let waiting = self.merge_cells_max.max(self.rules.limits.cells_max) as u64 * CELL_BYTES_MAX;
        2 * waiting + count::Spare::BYTES_MAX as u64
    }
}

/// Why the pipeline ended before its time. Everything unfinished has been returned to the queue.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a task of the pipeline panicked; the log says where")]
    Panic,
}

/// The longest time between two extensions of a delivery; a third of a shorter visibility.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

/// Runs until `shutdown` says stop, the queue comes to its end, or something can't be gone on with. On return every
/// delivery is acknowledged or returned to the queue, as far as the queue could be reached. What it has done is in `tally`,
/// what it is doing in `pulse`; both may be read at any time.
pub async fn run(
    queue: Arc<dyn Queue>,
    objects: Arc<dyn Fetch>,
    store: Arc<dyn Store>,
    job: Arc<Job>,
    tally: Arc<Tally>,
    pulse: Arc<Pulse>,
    shutdown: Shutdown,
) -> Result<Tallied, PipelineError> {
    let outages = Arc::new(Outages::new(tally.clone()));
    let snapshots =
        Snapshots::open(store.clone(), outages.clone(), tally.clone(), &job, pulse.part("metadata")).await?;
    let snapshots = Arc::new(snapshots);
    let leases = Leases::start(queue.clone(), HEARTBEAT);
    let heartbeat_stopped = leases.stopped();
    let deliveries = Arc::new(Deliveries::new(leases, job.deliveries_max));
    pulse.watch(&deliveries, &outages);

    let (keys, keys_in) = mpsc::channel(job.batch_size);
    let (batches, batches_in) = mpsc::channel(job.workers);
    let (processed, processed_in) = mpsc::channel(job.merge_objects_max);
    let batches_in = Arc::new(Mutex::new(batches_in));
    let cells = Arc::new(Semaphore::new(job.merge_cells_max));
    let copies = Arc::new(copies::Copies::new(objects.clone()));

    let mut tasks = JoinSet::new();
    for number in 1..=job.workers {
        let worker = worker::Worker {
            objects: objects.clone(),
            job: job.clone(),
            snapshots: snapshots.clone(),
            outages: outages.clone(),
            copies: copies.clone(),
            shutdown: shutdown.clone(),
            batches: batches_in.clone(),
            processed: processed.clone(),
            cells: cells.clone(),
            pulse: pulse.part(format!("worker {number}")),
        };
        tasks.spawn(worker.run());
    }
    // Only the workers hold it from here on: when they let go, a batcher that waits for room must not wait for ever.
    drop(batches_in);
    let poller = poller::Poller {
        queue: queue.clone(),
        deliveries: deliveries.clone(),
        outages: outages.clone(),
        tally: tally.clone(),
        shutdown: shutdown.clone(),
        keys,
        processed,
        pulse: pulse.part("poller"),
        bounds: job.bounds,
    };
    tasks.spawn(poller.run());
    let batcher = batcher::run(keys_in, batches, job.batch_size, job.batch_wait, pulse.part("batcher"));
    tasks.spawn(async move {
        batcher.await;
        Ok(())
    });
    // The writer ends when the poller and all workers have: then the work is done, and so is reading metadata.
    let refreshing = Shutdown::default();
    let watching = refreshing.clone();
    // Without it everything held would be delivered again and again, to others and to ourselves.
    tasks.spawn(async move {
        tokio::select! {
            () = watching.stopping() => Ok(()),
            () = heartbeat_stopped => Err(PipelineError::Panic),
        }
    });
    let writer = writer::Writer {
        store,
        queue: queue.clone(),
        deliveries: deliveries.clone(),
        copies,
        outages,
        tally: tally.clone(),
        job: job.clone(),
        shutdown: shutdown.clone(),
        pulse: pulse.part("writer"),
    };
    let written = AbandonOnDrop(refreshing.clone());
    tasks.spawn(async move {
        let _written = written;
        writer.run(processed_in).await
    });
    tasks.spawn(async move {
        snapshots.refresh_every(job.metadata_refresh, &refreshing).await;
        Ok(())
    });

    let result = join(tasks, &shutdown).await;
    return_to_queue(queue.as_ref(), deliveries.close(), &tally).await;
    result.map(|()| tally.read())
}

/// Waits for all tasks. The first error lets go of everything else.
async fn join(mut tasks: JoinSet<Result<(), PipelineError>>, shutdown: &Shutdown) -> Result<(), PipelineError> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or(Err(PipelineError::Panic));
        if ended.is_err() && result.is_ok() {
            shutdown.abandon();
            result = ended;
        }
    }
    result
}

async fn return_to_queue(queue: &dyn Queue, unfinished: Vec<deliveries::Finished>, tally: &Tally) {
    if unfinished.is_empty() {
        return;
    }
    let receipts: Vec<_> = unfinished.iter().map(|delivery| delivery.receipt.clone()).collect();
    let deliveries = receipts.len();
    let problem = match tokio::time::timeout(LAST_WORDS, queue.release(&receipts)).await {
        Ok(Ok(_)) => {
            tally.returned(deliveries);
            return info!(deliveries, "unfinished deliveries returned to the queue");
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {LAST_WORDS:?}"),
    };
    warn!(deliveries, problem, "unfinished deliveries come back after their visibility timeout");
}
