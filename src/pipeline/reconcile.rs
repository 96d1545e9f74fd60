//! Looks for lost notifications while the daemon runs: objects that have been in the bucket for a while and that the
//! books do not know. It has its own listing and its own end: whatever becomes of it, the daemon goes on.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::scan::{Scan, Scanned, Scope, fill};
use super::{Job, PipelineError, Shutdown, Tally};
use crate::source::{ObjectPages, Objects, Selection, SourceSettings};
use crate::store::{SqlStore, Standing};
use crate::telemetry::alert;

/// What to do about objects that the books lack, beside saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileAction {
    Report,
    /// Count them, one worker at a time. A notification that comes after all finds them in the ledger.
    Count,
}

/// When and where to look.
#[derive(Clone, Debug)]
pub struct ReconcileSettings {
    /// The bucket's prefix or the folder.
    pub source: SourceSettings,
    pub interval: Duration,
    pub min_age: Duration,
    /// Objects last modified longer ago are not looked at.
    pub lookback: Duration,
    pub action: ReconcileAction,
}

pub struct Reconciler {
    settings: ReconcileSettings,
    store: Arc<SqlStore>,
    job: Arc<Job>,
    tally: Arc<Tally>,
}

impl Reconciler {
    /// A page that fails this often, over about a minute, ends the round.
    const ATTEMPTS_MAX: u32 = 12;
    /// Objects that one round names in the log; the others are a number.
    const NAMED_MAX: usize = 20;

    pub fn new(settings: ReconcileSettings, store: Arc<SqlStore>, job: &Job, tally: Arc<Tally>) -> Self {
        // It counts beside the daemon's own workers.
        let job = Arc::new(Job { workers: 1, ..job.clone() });
        Self { settings, store, job, tally }
    }

    /// One round each interval, until the stop. The first comes after an interval: right after a start, the queue may
    /// hold much that is on its way.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.stopping() => return,
                () = tokio::time::sleep(self.settings.interval) => {}
            }
            let round = self.round(&shutdown).await;
            if shutdown.is_stopping() {
                return;
            }
            self.conclude(round);
        }
    }

    /// What was found; and, when it was to be counted, counted.
    async fn round(&self, shutdown: &Shutdown) -> Result<Scanned, PipelineError> {
        let begun = Timestamp::now();
        let scan = self.scan(begun).await?;
        let scanned = tokio::select! {
            biased;
            () = shutdown.stopping() => return Ok(Scanned::default()),
            scanned = compare(scan) => scanned?,
        };
        // Before they are counted: that may fail, and what was lost is news either way.
        if scanned.missing > 0 {
            alert::lost_notifications(&self.settings.source.url.to_string(), scanned.missing);
        }
        if self.settings.action == ReconcileAction::Count && scanned.uncounted() > 0 {
            let objects = Arc::new(Objects::open(&self.settings.source).await?);
            let scan = self.scan(begun).await?;
            let (job, tally) = (self.job.clone(), self.tally.clone());
            fill(scan, objects, self.store.clone(), job, tally, shutdown).await?;
        }
        Ok(scanned)
    }

    async fn scan(&self, now: Timestamp) -> Result<Scan, PipelineError> {
        let pages = ObjectPages::open(&self.settings.source).await?;
        // A lookback beyond the beginning of time is no limit.
        let selection = Selection { dates: None, modified_since: now.checked_sub(self.settings.lookback).ok() };
        let scope = Scope { selection, min_age: self.settings.min_age, attempts_max: Some(Self::ATTEMPTS_MAX) };
        Ok(Scan::new(pages, self.store.clone(), scope))
    }

    fn conclude(&self, round: Result<Scanned, PipelineError>) {
        let url = self.settings.source.url.to_string();
        let scanned = match round {
            Ok(scanned) => scanned,
            Err(error) => {
                error!(url, %error, "reconcile: this round ended early; the next one begins anew");
                alert::reconcile_failed(&url, &error.to_string());
                self.tally.reconcile_failed();
                return;
            }
        };
        info!(
            url,
            listed = scanned.listed,
            counted = scanned.counted,
            failed = scanned.failed,
            young = scanned.young,
            missing = scanned.missing,
            overwritten = scanned.overwritten,
            "reconciled"
        );
        self.tally.reconciled(Timestamp::now(), scanned.missing);
    }
}

/// Goes through everything, and names the first objects that the books lack.
async fn compare(mut scan: Scan) -> Result<Scanned, PipelineError> {
    let (url, numbers) = (scan.url().to_owned(), scan.scanned());
    let mut named = 0;
    while let Some(uncounted) = scan.next().await? {
        for uncounted in uncounted.iter().take(Reconciler::NAMED_MAX - named) {
            named += 1;
            let object = uncounted.found.name.as_str();
            let modified = uncounted.found.modified.map(tracing::field::display);
            match &uncounted.standing {
                Standing::Overwritten { counted_etag } => {
                    let counted_etag = counted_etag.as_deref().unwrap_or("unknown");
                    warn!(object, modified, counted_etag, "overwritten: it was counted under another ETag");
                }
                _ => warn!(object, modified, "missing: its notification did not come, or is still in the queue"),
            }
        }
    }
    let scanned = *numbers.borrow();
    let unnamed = scanned.uncounted() - named as u64;
    if unnamed > 0 {
        warn!(url, unnamed, "more objects are missing or overwritten: `backfill --reconcile` names them all");
    }
    Ok(scanned)
}
