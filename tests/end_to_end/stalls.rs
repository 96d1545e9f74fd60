//! What `/livez` calls a stall, and what not, of a whole pipeline among dependencies that are well, fail, or hang. Time is
//! simulated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use xc2_analyzer::config;
use xc2_analyzer::model::delivery::Content;
use xc2_analyzer::model::{Announced, Delivery, FailedObject, Metadata, ObjectRef, Receipt};
use xc2_analyzer::pipeline::{self, Job, Pulse, Shutdown, Stall, Tally};
use xc2_analyzer::source::{Fetch, FetchError, Fetched, Queue, QueueError, ReceiptOutcome, Received};
use xc2_analyzer::store::{Counted, ObjectRollup, Quarantined, Store, StoreError};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What the dependencies of a pipeline do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Fails,
    Hangs,
}

impl Mood {
    async fn met(self) -> Result<(), String> {
        match self {
            Mood::Well => Ok(()),
            Mood::Fails => Err("of a test".to_owned()),
            Mood::Hangs => std::future::pending().await,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Moods {
    receive: Mood,
    extend: Mood,
    acknowledge: Mood,
    fetch: Mood,
    commit: Mood,
    metadata: Mood,
}

const WELL: Moods = Moods {
    receive: Mood::Well,
    extend: Mood::Well,
    acknowledge: Mood::Well,
    fetch: Mood::Well,
    commit: Mood::Well,
    metadata: Mood::Well,
};

/// Queue, storage and database in one, with one message.
struct Surroundings {
    moods: Moods,
    delivered: AtomicBool,
    started: AtomicBool,
}

fn unavailable(problem: String) -> QueueError {
    QueueError::Unavailable { url: "test".into(), problem }
}

#[async_trait]
impl Queue for Surroundings {
    async fn receive(&self, _room: usize) -> Result<Received, QueueError> {
        if !self.delivered.swap(true, Ordering::Relaxed) {
            let object = ObjectRef { bucket: "b".into(), key: "k".into(), announced: Announced::default() };
            return Ok(Received::Deliveries(vec![Delivery {
                message_id: "1".into(),
                receipt: Receipt("1".into()),
                attempt: 1,
                received_at: Timestamp::UNIX_EPOCH,
                sent_at: None,
                body: "".into(),
                content: Content::Objects(vec![object]),
            }]));
        }
        self.moods.receive.met().await.map_err(unavailable)?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        Ok(Received::Deliveries(Vec::new()))
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        self.moods.extend.met().await.map_err(unavailable)?;
        Ok(vec![ReceiptOutcome::Done; receipts.len()])
    }

    async fn acknowledge(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        self.moods.acknowledge.met().await.map_err(unavailable)?;
        Ok(vec![ReceiptOutcome::Done; receipts.len()])
    }

    async fn release(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        Ok(vec![ReceiptOutcome::Done; receipts.len()])
    }

    fn visibility(&self) -> Option<Duration> {
        Some(Duration::from_secs(120))
    }

    fn url(&self) -> &str {
        "test"
    }
}

#[async_trait]
impl Fetch for Surroundings {
    async fn fetch(&self, _object: &ObjectRef, _bytes_max: u64) -> Result<Fetched, FetchError> {
        self.moods.fetch.met().await.map_err(|problem| FetchError::Unavailable { problem })?;
        Ok(Fetched { body: b"(l.".to_vec(), generation: Default::default() })
    }

    async fn probe(&self, _bucket: &str) -> Result<(), FetchError> {
        self.moods.fetch.met().await.map_err(|problem| FetchError::Unavailable { problem })
    }
}

#[async_trait]
impl Store for Surroundings {
    async fn commit(&self, objects: &[ObjectRollup]) -> Result<Vec<Counted>, StoreError> {
        let unavailable = |problem| StoreError::Unavailable { database: "test".into(), problem };
        self.moods.commit.met().await.map_err(unavailable)?;
        Ok(vec![Counted::Now; objects.len()])
    }

    async fn quarantine(&self, failed: &[FailedObject]) -> Result<Vec<Quarantined>, StoreError> {
        Ok(vec![Quarantined::Listed; failed.len()])
    }

    async fn metadata(&self) -> Result<Metadata, StoreError> {
        let unavailable = |problem| StoreError::Unavailable { database: "test".into(), problem };
        // The first read, without which nothing starts, is well.
        if self.started.swap(true, Ordering::Relaxed) {
            self.moods.metadata.met().await.map_err(unavailable)?;
        }
        Ok(Metadata::default())
    }
}

/// Runs a pipeline among dependencies in these moods for six hours, and returns the first stall with when it was told.
async fn first_stall(moods: Moods) -> Option<(Stall, Duration)> {
    let around = Surroundings { moods, delivered: AtomicBool::default(), started: AtomicBool::default() };
    let (around, pulse, shutdown) = (Arc::new(around), Arc::new(Pulse::default()), Shutdown::default());
    let job = Arc::new(Job { workers: 2, ..config::defaults().pipeline });
    let (tally, ending) = (Arc::<Tally>::default(), shutdown.clone());
    let run = pipeline::run(around.clone(), around.clone(), around, job, tally, pulse.clone(), ending);
    let run = tokio::spawn(run);
    let began = Instant::now();
    let mut stall = None;
    while stall.is_none() && began.elapsed() < 6 * HOUR {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stall = pulse.stalled(PATIENCE).map(|stall| (stall, began.elapsed()));
    }
    shutdown.abandon();
    run.await.unwrap().unwrap();
    assert_eq!(pulse.stalled(Duration::ZERO), None, "what has ended does not hang");
    stall
}

/// A part that hangs is named soon after its bounds, and no other part is.
async fn check(moods: Moods, part: &str, doing: &str) {
    let (stall, told_after) = first_stall(moods).await.unwrap_or_else(|| panic!("{moods:?}: nothing told"));
    assert_eq!((stall.part.as_str(), stall.doing), (part, doing), "{moods:?}: {stall}");
    // Some begin only after a while: the metadata is read every five minutes.
    assert!(told_after < stall.bound + PATIENCE + Duration::from_secs(330), "{moods:?}: {told_after:?}, {stall}");
}

#[tokio::test(start_paused = true)]
async fn idle_pipeline_is_not_stalled() {
    assert_eq!(first_stall(WELL).await, None);
}

#[tokio::test(start_paused = true)]
async fn outage_is_no_stall_however_long_it_lasts() {
    for moods in [
        Moods { receive: Mood::Fails, ..WELL },
        Moods { acknowledge: Mood::Fails, extend: Mood::Fails, ..WELL },
        Moods { fetch: Mood::Fails, ..WELL },
        Moods { commit: Mood::Fails, ..WELL },
        Moods { metadata: Mood::Fails, ..WELL },
        Moods { receive: Mood::Fails, extend: Mood::Fails, fetch: Mood::Fails, commit: Mood::Fails, ..WELL },
    ] {
        assert_eq!(first_stall(moods).await, None, "{moods:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn part_that_hangs_is_named() {
    check(Moods { receive: Mood::Hangs, ..WELL }, "poller", "receiving from the queue").await;
    check(Moods { acknowledge: Mood::Hangs, ..WELL }, "writer", "acknowledging").await;
    check(Moods { fetch: Mood::Hangs, ..WELL }, "worker 1", "fetching objects").await;
    check(Moods { commit: Mood::Hangs, ..WELL }, "writer", "committing").await;
    check(Moods { metadata: Mood::Hangs, ..WELL }, "metadata", "reading the metadata").await;
}

#[tokio::test(start_paused = true)]
async fn heartbeat_that_waits_for_an_answer_in_vain_tries_again() {
    // Each call is given up in time; what is held meanwhile waits for a database that does not answer.
    assert_eq!(first_stall(Moods { extend: Mood::Hangs, commit: Mood::Fails, ..WELL }).await, None);
}
