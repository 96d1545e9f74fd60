//! One run of the pipeline as the outside sees it: running, frozen, stopping, or no more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;
use xc2_analyzer::pipeline::Shutdown;

use super::scenario::Dependency;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Running,
    /// It had to let go of everything at once.
    Abandoned,
    /// It came to an orderly end.
    Ended,
    Crashed,
}

pub struct Process {
    pub number: u64,
    pub shutdown: Shutdown,
    /// It was started when nothing failed any more.
    pub born_in_calm: bool,
    stage: Mutex<Stage>,
    frozen: AtomicBool,
    /// Not a `watch`: that one wakes who waits in an order of its own chance.
    thaw: Notify,
    extend_faults: AtomicU32,
    /// It has read the metadata once.
    metadata: AtomicBool,
    /// What it knows to be out of reach, and since when.
    known_outages: Mutex<BTreeMap<Dependency, Instant>>,
}

impl Process {
    pub fn new(number: u64, born_in_calm: bool) -> Process {
        Process {
            number,
            shutdown: Shutdown::default(),
            born_in_calm,
            stage: Mutex::new(Stage::Running),
            frozen: AtomicBool::new(false),
            thaw: Notify::new(),
            extend_faults: AtomicU32::new(0),
            metadata: AtomicBool::new(false),
            known_outages: Mutex::default(),
        }
    }

    pub fn stage(&self) -> Stage {
        *self.stage.lock().unwrap()
    }

    pub fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap() = stage;
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    pub fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Relaxed);
        self.thaw.notify_waiters();
    }

    /// A frozen process sends nothing and notices nothing; one that crashed never will again.
    pub async fn thawed(&self) {
        while self.is_frozen() {
            self.thaw.notified().await;
        }
        if self.stage() == Stage::Crashed {
            // Its tasks are dropped one after the other, and may be woken before it is their turn.
            std::future::pending::<()>().await;
        }
    }

    /// Heartbeats that the queue failed, so far.
    pub fn extend_faults(&self) -> u32 {
        self.extend_faults.load(Ordering::Relaxed)
    }

    /// A call has told it that `dependency` is out of reach, or that it answers.
    pub fn learns(&self, dependency: Dependency, is_out: bool) {
        let mut known = self.known_outages.lock().unwrap();
        if is_out {
            known.entry(dependency).or_insert_with(Instant::now);
        } else {
            known.remove(&dependency);
        }
    }

    /// An outage that it knew of before this moment.
    pub fn known_outage(&self) -> Option<Dependency> {
        let known = self.known_outages.lock().unwrap();
        known.iter().find(|(_, since)| **since < Instant::now()).map(|(dependency, _)| *dependency)
    }

    pub fn has_metadata(&self) -> bool {
        self.metadata.load(Ordering::Relaxed)
    }

    pub fn set_metadata(&self) {
        self.metadata.store(true, Ordering::Relaxed);
    }

    pub fn extend_failed(&self) {
        self.extend_faults.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.number)
    }
}
