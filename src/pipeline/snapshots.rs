//! The metadata at hand: read at start, on an interval, and when a row names a key that is not in it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::Job;
use super::outage::{Dependency, Outages};
use super::pulse::Part;
use super::retry::Waits;
use super::shutdown::Shutdown;
use super::tally::Tally;
use crate::enrich::Snapshot;
use crate::enrich::snapshot::Absent;
use crate::store::{Store, StoreError};

pub struct Snapshots {
    store: Arc<dyn Store>,
    outages: Arc<Outages>,
    tally: Arc<Tally>,
    /// A key that stayed unknown is looked up again when the snapshot is older than this.
    miss_refresh: Duration,
    current: Mutex<Arc<Snapshot>>,
    /// One refresh at a time: whoever waited finds a snapshot that is new enough.
    refreshing: tokio::sync::Mutex<()>,
    pulse: Arc<Part>,
    /// How long one read takes at most.
    read_bound: Duration,
}

impl Snapshots {
    /// Reads the metadata once, without retries: at start a person is waiting for the reason.
    pub async fn open(
        store: Arc<dyn Store>,
        outages: Arc<Outages>,
        tally: Arc<Tally>,
        job: &Job,
        pulse: Arc<Part>,
    ) -> Result<Snapshots, StoreError> {
        let snapshot = read(store.as_ref(), None).await?;
        tally.metadata(&snapshot);
        let (media, inventories) = snapshot.sizes();
        info!(media, inventories, "metadata read");
        if media == 0 || inventories == 0 {
            warn!(media, inventories, "the metadata has no rows: everything will be counted as unmapped");
        }
        let current = Mutex::new(Arc::new(snapshot));
        let refreshing = tokio::sync::Mutex::default();
        let (miss_refresh, read_bound) = (job.metadata_miss_refresh, job.bounds.transaction);
        Ok(Self { store, outages, tally, miss_refresh, current, refreshing, pulse, read_bound })
    }

    pub fn current(&self) -> Arc<Snapshot> {
        self.current.lock().expect("no panic while this lock is held").clone()
    }

    /// Reads the metadata again and again until the pipeline stops.
    pub async fn refresh_every(&self, interval: Duration, shutdown: &Shutdown) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.stopping() => return,
                () = tokio::time::sleep(interval) => {}
            }
            let refresh = async {
                let _alone = self.refreshing.lock().await;
                self.refresh(&Absent::default()).await;
            };
            if shutdown.unless_abandoned(refresh).await.is_none() {
                return;
            }
        }
    }

    /// A snapshot to count an object with, of which `missed` were not in the one at hand. Metadata that was in the
    /// database before `fetched_at` is in the result, unless the keys had been looked up a moment ago.
    pub async fn after_miss(&self, missed: &Absent, fetched_at: Timestamp) -> Arc<Snapshot> {
        let _alone = self.refreshing.lock().await;
        let current = self.current();
        if current.read_at >= fetched_at || self.looked_up(&current, missed) {
            return current;
        }
        self.refresh(missed).await;
        self.current()
    }

    /// Whether the keys are known to be unknown.
    fn looked_up(&self, snapshot: &Snapshot, missed: &Absent) -> bool {
        let age = Timestamp::now().duration_since(snapshot.read_at);
        snapshot.absent().holds(missed) && age.unsigned_abs() < self.miss_refresh
    }

    /// Reads until it succeeds, whatever the error: an outage of the metadata must never turn into unmapped rows, and a
    /// table that is being swapped for another is back in a moment.
    async fn refresh(&self, missed: &Absent) {
        let mut waits = Waits::new();
        let before = self.current();
        loop {
            let step = self.pulse.step("reading the metadata", self.read_bound);
            let answer = read(self.store.as_ref(), Some(&before)).await;
            drop(step);
            match answer {
                Ok(snapshot) => {
                    self.outages.is_up(Dependency::Metadata);
                    self.tally.metadata(&snapshot);
                    let mut looked_up = missed.clone();
                    looked_up.add_all(before.absent());
                    let snapshot = Arc::new(snapshot.with_absent(&looked_up));
                    *self.current.lock().expect("no panic while this lock is held") = snapshot;
                    return;
                }
                Err(error) => {
                    self.outages.is_down(Dependency::Metadata, &error);
                    waits.wait().await;
                }
            }
        }
    }
}

/// One read. Tables that had rows and have none now are an outage too: somebody is reloading them.
async fn read(store: &dyn Store, before: Option<&Snapshot>) -> Result<Snapshot, StoreError> {
    // Taken before the read, so that nothing registered later seems to have been looked up.
    let read_at = Timestamp::now();
    let wrong = |problem: String| StoreError::Metadata { database: "the metadata tables".into(), problem };
    let metadata = store.metadata().await?;
    let snapshot = Snapshot::new(&metadata, read_at).map_err(|error| wrong(error.to_string()))?;
    let (media_before, inventories_before) = before.map_or((0, 0), Snapshot::sizes);
    match snapshot.sizes() {
        (0, _) if media_before > 0 => Err(wrong(format!("no media are left of {media_before}"))),
        (_, 0) if inventories_before > 0 => Err(wrong(format!("no inventories are left of {inventories_before}"))),
        _ => Ok(snapshot),
    }
}
