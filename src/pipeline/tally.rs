//! What the pipeline has done so far: for metrics, progress bars and summaries, from one place. An outcome is counted where
//! it becomes final: by the writer.

use std::time::Duration;

use jiff::Timestamp;

use super::events::{Fetched, Timings};
use super::work::Aside;
use crate::enrich::Snapshot;
use crate::model::{Delivery, Dependency, FailureKind};
use crate::store::{ObjectRollup, StoreError};
use crate::telemetry::Meter;
use crate::telemetry::metrics::{AlertKind, CommitOutcome, MetadataTable, ObjectOutcome, Stage};

/// Running counters of one pipeline.
#[derive(Default)]
pub struct Tally {
    meter: Meter,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// Deliveries received.
    pub deliveries: u64,
    /// Objects counted now.
    pub objects: u64,
    /// Objects that were announced again: folded into one read, or found in the ledger.
    pub duplicates: u64,
    /// Objects (and messages) listed as failed.
    pub failed: u64,
    /// Objects that were announced again after an operator had discarded their content.
    pub discarded: u64,
    /// Rows counted now.
    pub rows: u64,
    pub rejected_rows: u64,
    /// Compressed bytes of the objects counted now.
    pub bytes: u64,
    pub unmapped_media_rows: u64,
    pub unmapped_inventory_rows: u64,
    pub commits: u64,
    pub acknowledged: u64,
    /// Outages that began, and that ended.
    pub outages: u64,
    pub recoveries: u64,
}

impl Tally {
    /// Counts with `meter`, which somebody shows.
    pub fn with(meter: Meter) -> Tally {
        Tally { meter }
    }

    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    pub fn read(&self) -> Tallied {
        let Meter { objects, rows_unmapped, .. } = &self.meter;
        Tallied {
            deliveries: self.meter.deliveries_received.get(()),
            objects: objects.get(ObjectOutcome::Counted),
            duplicates: objects.get(ObjectOutcome::Duplicate),
            failed: objects.get(ObjectOutcome::Failed),
            discarded: objects.get(ObjectOutcome::Discarded),
            rows: self.meter.rows_counted.get(()),
            rejected_rows: self.meter.rows_rejected.sum(),
            bytes: self.meter.object_bytes.get(()),
            unmapped_media_rows: rows_unmapped.get(MetadataTable::Media),
            unmapped_inventory_rows: rows_unmapped.get(MetadataTable::Inventory),
            commits: self.meter.commits.get(CommitOutcome::Committed),
            acknowledged: self.meter.deliveries_acknowledged.get(()),
            outages: self.meter.outages_begun.sum(),
            recoveries: self.meter.outages_ended.sum(),
        }
    }

    /// What one receive brought.
    pub(super) fn received(&self, deliveries: &[Delivery]) {
        self.meter.deliveries_received.add((), deliveries.len() as u64);
        let age = |delivery: &Delivery| Some(seconds_between(delivery.sent_at?, delivery.received_at));
        let oldest = deliveries.iter().filter_map(age).fold(0.0, f64::max);
        self.meter.queue_oldest_received_age.set((), oldest);
    }

    pub(super) fn returned(&self, deliveries: usize) {
        self.meter.deliveries_returned.add((), deliveries as u64);
    }

    pub(super) fn acknowledged(&self, deliveries: usize, took: Duration) {
        self.meter.deliveries_acknowledged.add((), deliveries as u64);
        self.meter.stage_duration.took(Stage::Acknowledge, took);
    }

    /// An object was announced again.
    pub(super) fn duplicate(&self) {
        self.meter.objects.add(ObjectOutcome::Duplicate, 1);
    }

    /// An object was announced again whose content an operator had discarded.
    pub(super) fn discarded(&self) {
        self.meter.objects.add(ObjectOutcome::Discarded, 1);
    }

    pub(super) fn failed(&self, kind: FailureKind) {
        self.meter.objects.add(ObjectOutcome::Failed, 1);
        self.meter.objects_failed.add(kind, 1);
        self.meter.alerts.add(AlertKind::FailedObject, 1);
    }

    /// One object was counted now.
    pub(super) fn counted(&self, object: &ObjectRollup, aside: &Aside) {
        let meter = &self.meter;
        meter.objects.add(ObjectOutcome::Counted, 1);
        meter.object_bytes.add((), object.generation.bytes);
        meter.rows_counted.add((), object.rows - object.rejected_rows);
        for (reason, rejected) in aside.rejects.iter() {
            meter.rows_rejected.add(reason, rejected.rows);
        }
        let unmapped = &aside.unmapped;
        meter.rows_unmapped.add(MetadataTable::Media, unmapped.media_rows);
        meter.rows_unmapped.add(MetadataTable::Inventory, unmapped.inventory_rows);
        meter.unmapped_revenue.add(MetadataTable::Media, unmapped.media_revenue_micros);
        meter.unmapped_revenue.add(MetadataTable::Inventory, unmapped.inventory_revenue_micros);
    }

    /// Of one object that the ledger has answered for.
    pub(super) fn timed(&self, timings: &Timings) {
        let stages = &self.meter.stage_duration;
        stages.took(Stage::WaitForFetch, timings.wait);
        if let Some(Fetched { fetch, count, .. }) = &timings.fetched {
            stages.took(Stage::Fetch, *fetch);
            count.iter().for_each(|count| stages.took(Stage::Count, *count));
        }
        timings.writer_wait.iter().for_each(|wait| stages.took(Stage::WaitForWriter, *wait));
    }

    /// A transaction that counts was answered.
    pub(super) fn committed(&self, objects: &[ObjectRollup], took: Duration) {
        let meter = &self.meter;
        meter.commits.add(CommitOutcome::Committed, 1);
        meter.commit_objects.record((), objects.len() as f64);
        meter.commit_cells.record((), objects.iter().map(|object| object.rollup.cells()).sum::<usize>() as f64);
        meter.stage_duration.took(Stage::Commit, took);
        meter.last_commit.set((), seconds(Timestamp::now()));
    }

    pub(super) fn not_committed(&self, error: &StoreError) {
        let outcome = match error {
            StoreError::Conflict { .. } => CommitOutcome::Conflict,
            StoreError::Unavailable { .. } | StoreError::Metadata { .. } => CommitOutcome::Unavailable,
            StoreError::OutOfRange { .. } => CommitOutcome::Unfit,
            StoreError::Schema { .. } | StoreError::Refused { .. } | StoreError::BadUrl { .. } => {
                CommitOutcome::Refused
            }
        };
        self.meter.commits.add(outcome, 1);
    }

    /// Of an object whose commit was just answered.
    pub(super) fn event_committed(&self, event_at: Option<Timestamp>) {
        if let Some(event_at) = event_at {
            self.meter.event_to_commit.record((), seconds_between(event_at, Timestamp::now()));
        }
    }

    /// How far the reports reach now.
    pub(super) fn newest(&self, row_at: i64) {
        self.meter.newest_event_committed.set((), row_at as f64);
    }

    pub(super) fn outage(&self, dependency: Dependency, is_down: bool) {
        self.meter.outage.set(dependency, if is_down { 1.0 } else { 0.0 });
        if is_down {
            self.meter.outages_begun.add(dependency, 1);
            self.meter.alerts.add(AlertKind::Outage, 1);
        } else {
            self.meter.outages_ended.add(dependency, 1);
        }
    }

    /// [reconcile] saw the whole bucket.
    pub(super) fn reconciled(&self, now: Timestamp, missing: u64) {
        self.meter.reconciled.set((), seconds(now));
        self.meter.reconcile_missing.set((), missing as f64);
        if missing > 0 {
            self.meter.alerts.add(AlertKind::LostNotifications, 1);
        }
    }

    pub(super) fn reconcile_failed(&self) {
        self.meter.reconcile_failures.add((), 1);
    }

    pub(super) fn metadata(&self, snapshot: &Snapshot) {
        let (media, inventories) = snapshot.sizes();
        self.meter.metadata_read.set((), seconds(snapshot.read_at));
        self.meter.metadata_rows.set(MetadataTable::Media, media as f64);
        self.meter.metadata_rows.set(MetadataTable::Inventory, inventories as f64);
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// 0 when two clocks disagree about which came first.
fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
