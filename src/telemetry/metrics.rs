//! Every metric there is, in one table: what is not here can't be recorded. docs/metrics.md is this table for people.

use metrics_exporter_prometheus::PrometheusRecorder;

use super::meter::{Counter, Gauge, Histogram, Label, Metric, Recorded, Unit};
use crate::model::{Dependency, FailureKind, RejectReason};

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident $label:literal { $($variant:ident = $value:expr,)+ })+) => {
        $($(#[$doc])* #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($variant,)+ }

        impl Label for $name {
            const NAME: &'static str = $label;

            fn values() -> Vec<&'static str> {
                vec![$($value,)+]
            }

            fn index(self) -> usize {
                self as usize
            }
        })+
    };
}

labels! {
    /// What became of an object that was announced.
    ObjectOutcome "outcome" {
        Counted = "counted",
        Duplicate = "duplicate",
        Failed = "failed",
        Discarded = "discarded",
    }
    /// What became of an attempt to commit.
    CommitOutcome "outcome" {
        Committed = "committed",
        Conflict = "conflict",
        Unavailable = "unavailable",
        Unfit = "unfit",
        Refused = "refused",
    }
    /// Where an object's time goes, in the order of its way.
    Stage "stage" {
        WaitForFetch = "wait_for_fetch",
        Fetch = "fetch",
        Count = "count",
        WaitForWriter = "wait_for_writer",
        Commit = "commit",
        Acknowledge = "acknowledge",
    }
    /// Which key of a row the metadata does not know.
    MetadataTable "table" {
        Media = "media",
        Inventory = "inventory",
    }
    /// What an alert is about.
    AlertKind "about" {
        FailedObject = "failed_object",
        Outage = "outage",
        LostNotifications = "lost_notifications",
    }
    Version "version" {
        This = env!("CARGO_PKG_VERSION"),
    }
}

impl Label for FailureKind {
    const NAME: &'static str = "kind";

    fn values() -> Vec<&'static str> {
        FailureKind::ALL.iter().map(|kind| kind.name()).collect()
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Label for RejectReason {
    const NAME: &'static str = "reason";

    fn values() -> Vec<&'static str> {
        RejectReason::ALL.iter().map(|reason| reason.name()).collect()
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Label for Dependency {
    const NAME: &'static str = "dependency";

    fn values() -> Vec<&'static str> {
        Dependency::ALL.iter().map(|dependency| dependency.label()).collect()
    }

    fn index(self) -> usize {
        self as usize
    }
}

macro_rules! metrics {
    ($($field:ident: $kind:ident<$label:ty> = $name:literal, $unit:ident, $help:literal;)+) => {
        /// The table.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: <$kind<$label> as Recorded>::KIND,
            unit: Unit::$unit,
            label: <$label as Label>::NAME,
            values: <$label as Label>::values,
            help: $help,
        },)+];

        /// All metrics, to record with.
        pub struct Meter { $(pub $field: $kind<$label>,)+ }

        impl Meter {
            /// Shown by `recorder`, or by nobody: counters can be read all the same.
            pub fn of(recorder: Option<&PrometheusRecorder>) -> Meter {
                let mut lines = METRICS.iter();
                let mut line = || lines.next().expect("a line for each field");
                Meter { $($field: Recorded::of(line(), recorder),)+ }
            }

            pub(super) fn publish(&self) {
                $(self.$field.publish();)+
            }
        }
    };
}

impl Default for Meter {
    fn default() -> Self {
        Meter::of(None)
    }
}

metrics! {
    deliveries_received: Counter<()> = "xc2_deliveries_received_total", Count,
        "Messages received from the queue, redeliveries included.";
    deliveries_acknowledged: Counter<()> = "xc2_deliveries_acknowledged_total", Count,
        "Messages deleted from the queue, after everything they announce was committed or listed.";
    deliveries_returned: Counter<()> = "xc2_deliveries_returned_total", Count,
        "Messages given back to the queue unfinished, at a stop.";
    objects: Counter<ObjectOutcome> = "xc2_objects_total", Count,
        "Objects by what became of them: counted now, announced again after they had been counted, listed as failed, or announced \
         again after an operator had discarded their content.";
    objects_failed: Counter<FailureKind> = "xc2_objects_failed_total", Count,
        "Objects (and messages) listed as failed, by kind.";
    object_bytes: Counter<()> = "xc2_object_bytes_total", Bytes,
        "Bytes, as stored, of the objects that were counted.";
    rows_counted: Counter<()> = "xc2_rows_counted_total", Count,
        "Rows whose sums are committed.";
    rows_rejected: Counter<RejectReason> = "xc2_rows_rejected_total", Count,
        "Rows of counted objects that were not counted, by reason.";
    rows_unmapped: Counter<MetadataTable> = "xc2_rows_unmapped_total", Count,
        "Rows counted under organization 0 or ALL because the metadata did not know their media or inventory.";
    unmapped_revenue: Counter<MetadataTable> = "xc2_unmapped_revenue_micros_total", Micros,
        "Revenue of the unmapped rows, in millionths of the currency unit; a row that lacks both is in both.";
    commits: Counter<CommitOutcome> = "xc2_commits_total", Count,
        "Attempts to commit: committed, rolled back for a conflict or because the database was out of reach (both are tried again), \
         unfit (its sums do not fit the tables), or refused (the program ends).";
    commit_objects: Histogram<()> = "xc2_commit_objects", Count,
        "Objects of one commit.";
    commit_cells: Histogram<()> = "xc2_commit_cells", Count,
        "Cells (groups of a table) of one commit, before its objects are merged.";
    stage_duration: Histogram<Stage> = "xc2_stage_duration_seconds", Seconds,
        "Time of each stage: for each object, but commit and acknowledge for each transaction and each call of the queue.";
    event_to_commit: Histogram<()> = "xc2_event_to_commit_seconds", Seconds,
        "From S3's event time (or, where the message has none, from when the message was sent) to the commit that counted the object.";
    newest_event_committed: Gauge<()> = "xc2_newest_event_committed_timestamp_seconds", UnixSeconds,
        "The newest timestamp of a counted row, and no later than its commit: how far the reports reach. 0 before the first.";
    last_commit: Gauge<()> = "xc2_last_commit_timestamp_seconds", UnixSeconds,
        "When the last commit was answered. 0 before the first.";
    queue_messages_waiting: Gauge<()> = "xc2_queue_messages_waiting", Count,
        "Messages that wait in the queue, as SQS estimates every 15 seconds. NaN while it can't be asked.";
    queue_messages_in_flight: Gauge<()> = "xc2_queue_messages_in_flight", Count,
        "Messages that somebody has received and not deleted, as SQS estimates, of all replicas. NaN while it can't be asked.";
    queue_oldest_received_age: Gauge<()> = "xc2_queue_oldest_received_age_seconds", Seconds,
        "Age, when it was received, of the oldest message of the last receive; 0 when that came back empty. Stands for the age of \
         the oldest message that waits, which SQS tells to CloudWatch only.";
    deliveries_in_flight: Gauge<()> = "xc2_deliveries_in_flight", Count,
        "Messages that this process holds.";
    deliveries_in_flight_max: Gauge<()> = "xc2_deliveries_in_flight_max", Count,
        "[source] deliveries_max: how many it may hold.";
    objects_in_flight: Gauge<()> = "xc2_objects_in_flight", Count,
        "Objects of the held messages that are neither committed nor listed yet.";
    oldest_in_flight_age: Gauge<()> = "xc2_oldest_in_flight_age_seconds", Seconds,
        "How long the longest held message has been held; 0 when none is.";
    outage: Gauge<Dependency> = "xc2_outage", Truth,
        "1 while the dependency is out of reach and polling has stopped for it.";
    outages_begun: Counter<Dependency> = "xc2_outages_begun_total", Count,
        "Outages of the dependency that began.";
    outages_ended: Counter<Dependency> = "xc2_outages_ended_total", Count,
        "Outages of the dependency that ended: it answers again.";
    stalled: Gauge<()> = "xc2_stalled", Truth,
        "1 while a part of the pipeline makes no progress: what /livez tells.";
    metadata_read: Gauge<()> = "xc2_metadata_read_timestamp_seconds", UnixSeconds,
        "When the metadata at hand was read.";
    metadata_rows: Gauge<MetadataTable> = "xc2_metadata_rows", Count,
        "Rows of the metadata at hand.";
    reconciled: Gauge<()> = "xc2_reconciled_timestamp_seconds", UnixSeconds,
        "When [reconcile] last saw the whole bucket. 0 before the first time.";
    reconcile_missing: Gauge<()> = "xc2_reconcile_missing", Count,
        "Objects of the bucket that were in no book when [reconcile] last saw all of it: their notifications are lost or late.";
    reconcile_failures: Counter<()> = "xc2_reconcile_failures_total", Count,
        "Rounds of [reconcile] that ended before they saw the whole bucket.";
    alerts: Counter<AlertKind> = "xc2_alerts_raised_total", Count,
        "Alerts raised, whether or not a DSN is configured.";
    workers: Gauge<()> = "xc2_workers", Count,
        "[run] workers: objects decoded at a time.";
    build_info: Gauge<Version> = "xc2_build_info", Truth,
        "1, with the version of the program.";
    process_start_time: Gauge<()> = "process_start_time_seconds", UnixSeconds,
        "When the process started.";
    process_cpu: Counter<()> = "process_cpu_seconds_total", Seconds,
        "Processor time of the process, user and system, in whole seconds.";
    process_resident_memory: Gauge<()> = "process_resident_memory_bytes", Bytes,
        "Resident memory of the process.";
    process_open_fds: Gauge<()> = "process_open_fds", Count,
        "Open file descriptors.";
    process_max_fds: Gauge<()> = "process_max_fds", Count,
        "How many file descriptors may be open.";
}

#[cfg(test)]
mod tests;
