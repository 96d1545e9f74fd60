//! The configuration as written: what each key's value must look like, not yet what it means.

use bytesize::ByteSize;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::report::{MeasureSpec, ReportSpec};

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)+ })+) => {
        $($(#[$doc])* #[derive(Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $(pub $field: $type,)+ })+
    };
}

sections! {
    Raw {
        source: Source,
        store: Store,
        metadata: Metadata,
        log: Log,
        limits: Limits,
        failed: Failed,
        run: Run,
        display: Display,
        reconcile: Reconcile,
        telemetry: Telemetry,
        notice: Notice,
        measure: Vec<MeasureSpec>,
        report: Vec<ReportSpec>,
    }
    Source {
        url: String,
        prefix: String,
        suffix: String,
        batch_size: usize,
        batch_wait: SignedDuration,
        long_poll: SignedDuration,
        visibility: SignedDuration,
        deliveries_max: usize,
        connect_timeout: SignedDuration,
        read_timeout: SignedDuration,
        fetch_timeout: SignedDuration,
        fetch_attempts_max: u32,
        fetch_patience: SignedDuration,
    }
    Store {
        url: String,
        password: String,
        connections_max: usize,
        connect_timeout: SignedDuration,
        statement_timeout: SignedDuration,
        upsert_rows: usize,
        merge_objects_max: usize,
        merge_cells_max: usize,
        on_overwrite: String,
    }
    Metadata {
        media: String,
        inventory: String,
        refresh: SignedDuration,
        miss_refresh: SignedDuration,
    }
    Log {
        timestamp: String,
        media_key: String,
        ads: String,
        inventory: String,
        ad: String,
        demand: String,
        timezone: String,
        earliest: jiff::civil::Date,
        ahead: SignedDuration,
        max_reject_ratio: f64,
    }
    Limits {
        object_bytes_max: ByteSize,
        inflated_bytes_max: ByteSize,
        inflate_ratio_max: u64,
        rows_max: u64,
        cells_max: usize,
        nesting_max: usize,
        text_bytes_max: ByteSize,
        decoder_bytes_max: ByteSize,
        batch_rows: usize,
    }
    Failed {
        copy_to: String,
    }
    Run {
        workers: usize,
        shutdown_grace: SignedDuration,
    }
    Display {
        language: String,
    }
    Reconcile {
        url: String,
        interval: SignedDuration,
        min_age: SignedDuration,
        lookback: SignedDuration,
        action: String,
    }
    Telemetry {
        level: String,
        format: String,
        sentry_dsn: String,
        environment: String,
        listen: String,
    }
    Notice {
        webhook: String,
        topic_arn: String,
        language: String,
        quiet: SignedDuration,
        max_age: SignedDuration,
        failures_every: SignedDuration,
        timeout: SignedDuration,
    }
}
