//! The one place that commits and acknowledges, in this order. It merges what queued up while the last commit ran, so
//! commits grow with the load.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::copies::Copies;
use super::deliveries::{Deliveries, DeliveryNumber, Finished};
use super::events::{self, Line};
use super::outage::{Dependency, Outages};
use super::pulse::Part;
use super::retry::Waits;
use super::shutdown::Shutdown;
use super::tally::Tally;
use super::work::{Aside, Failing, Outcome, Processed};
use super::{Job, PipelineError};
use crate::model::{Disposition, FailureKind};
use crate::source::Queue;
use crate::source::queue::ReceiptOutcome;
use crate::store::{Counted, ObjectRollup, Quarantined, Store, StoreError};
use crate::telemetry::alert;

pub struct Writer {
    pub store: Arc<dyn Store>,
    pub queue: Arc<dyn Queue>,
    pub deliveries: Arc<Deliveries>,
    pub copies: Arc<Copies>,
    pub outages: Arc<Outages>,
    pub tally: Arc<Tally>,
    pub job: Arc<Job>,
    pub shutdown: Shutdown,
    pub pulse: Arc<Part>,
}

/// Why the writer ends before its channel does.
enum Ended {
    /// The pipeline lets go of what is unfinished.
    Abandoned,
    Error(PipelineError),
}

/// What goes into one commit.
#[derive(Default)]
struct Merge {
    objects: Vec<ObjectRollup>,
    /// One for each of `objects`.
    asides: Vec<Aside>,
    failed: Vec<Failing>,
    /// The deliveries that wait for all of these, once for each object.
    deliveries: Vec<DeliveryNumber>,
    /// Items and cells: what limits a merge.
    items: usize,
    cells: usize,
}

/// What became of one rolled-up object.
enum Fate {
    Counted(Counted),
    /// The database can't hold its sums.
    Unfit(StoreError),
}

impl Writer {
    /// An acknowledgement that fails this often is left: the message comes back and is found to be counted.
    const ACKNOWLEDGE_ATTEMPTS_MAX: u32 = 5;
    /// Copies of failed objects made at a time.
    const COPIES_MAX: usize = 8;

    /// Runs until the channel is closed and empty, or the rest is abandoned.
    pub async fn run(self, mut processed: mpsc::Receiver<Processed>) -> Result<(), PipelineError> {
        let mut held_back = Vec::new();
        loop {
            let first = match held_back.pop() {
                Some(first) => Some(first),
                None => self.shutdown.unless_abandoned(processed.recv()).await.flatten(),
            };
            let Some(first) = first else { return Ok(()) };
            let merge = self.gather(first, &mut held_back, &mut processed);
            match self.settle(merge).await {
                // After the commit, never before.
                Ok(finished) => self.acknowledge(finished).await,
                Err(Ended::Abandoned) => return Ok(()),
                Err(Ended::Error(error)) => return Err(error),
            }
        }
    }

    /// What has queued, up to the limits of one commit. A second rollup of an object is held back for the next commit,
    /// where the ledger decides.
    fn gather(
        &self,
        first: Processed,
        held_back: &mut Vec<Processed>,
        queued: &mut mpsc::Receiver<Processed>,
    ) -> Merge {
        let (mut merge, mut ids) = (Merge::default(), HashSet::new());
        let mut earlier = std::mem::take(held_back);
        let mut next = Some(first);
        while let Some(processed) = next {
            match &processed.outcome {
                Outcome::RolledUp(rolled_up) if !ids.insert(rolled_up.0.id()) => held_back.push(processed),
                _ => merge.add(processed),
            }
            let full =
                merge.items + held_back.len() >= self.job.merge_objects_max || merge.cells >= self.job.merge_cells_max;
            next = if full { None } else { earlier.pop().or_else(|| queued.try_recv().ok()) };
        }
        held_back.append(&mut earlier);
        merge
    }

    /// Commits the rollups, then lists the failures; returns the deliveries that are done with.
    async fn settle(&self, merge: Merge) -> Result<Vec<Finished>, Ended> {
        let Merge { objects, asides, mut failed, deliveries, .. } = merge;
        if !objects.is_empty() {
            let begun = Instant::now();
            let fates = self.commit(&objects).await?;
            self.tell_newest(&asides, &fates);
            for ((object, aside), fate) in objects.into_iter().zip(asides).zip(fates) {
                failed.extend(self.conclude(object, aside, fate, begun.elapsed()));
            }
        }
        // Workers have seen to their own; these are the ones that only the ledger could tell.
        let copies = futures::stream::iter(&mut failed);
        let copies = copies.for_each_concurrent(Self::COPIES_MAX, |failing| self.copies.make(&mut failing.failed));
        self.shutdown.unless_abandoned(copies).await.ok_or(Ended::Abandoned)?;
        if !failed.is_empty() {
            self.quarantine(failed).await?;
        }
        Ok(self.deliveries.settle(&deliveries))
    }

    /// One transaction for all. When their sums do not fit, one for each, so that only the culprits fail.
    async fn commit(&self, objects: &[ObjectRollup]) -> Result<Vec<Fate>, Ended> {
        // Each attempt on its own: what waiting out an outage takes is no transaction's time.
        let attempt = async || {
            let begun = Instant::now();
            let answer = self.store.commit(objects).await;
            match &answer {
                Ok(_) => self.tally.committed(objects, begun.elapsed()),
                Err(error) => self.tally.not_committed(error),
            }
            answer
        };
        let counted = self.until_answered("committing", attempt).await?;
        match counted {
            Ok(counted) => Ok(counted.into_iter().map(Fate::Counted).collect()),
            Err(unfit) if objects.len() == 1 => Ok(vec![Fate::Unfit(unfit)]),
            Err(_) => {
                let mut fates = Vec::new();
                for object in objects {
                    fates.extend(Box::pin(self.commit(std::slice::from_ref(object))).await?);
                }
                Ok(fates)
            }
        }
    }

    /// How far the reports reach, after this commit. Rows of clocks that are ahead are no proof of what lies between.
    fn tell_newest(&self, asides: &[Aside], fates: &[Fate]) {
        let counted = asides.iter().zip(fates).filter(|(_, fate)| matches!(fate, Fate::Counted(Counted::Now)));
        let newest = counted.filter_map(|(aside, _)| aside.newest).max();
        if let Some(newest) = newest {
            self.tally.newest(newest.min(Timestamp::now().as_second()));
        }
    }

    /// Reports what became of an object; returns it when it is to be listed as failed.
    fn conclude(&self, object: ObjectRollup, aside: Aside, fate: Fate, commit: Duration) -> Option<Failing> {
        let work = &aside.work;
        let line = Line { object: &work.object, generation: Some(&object.generation), passage: &aside.passage, commit };
        let (kind, reason) = match fate {
            Fate::Counted(Counted::Now) => {
                self.tally.counted(&object, &aside);
                self.tally.timed(&aside.passage.timings);
                self.tally.event_committed(work.event_at);
                events::counted(&line, &aside.rejects);
                return None;
            }
            Fate::Counted(Counted::Before) => {
                self.tally.duplicate();
                self.tally.timed(&aside.passage.timings);
                events::duplicate(&line);
                return None;
            }
            Fate::Counted(Counted::Overwritten { counted_etag }) => {
                let counted_etag = counted_etag.as_deref().unwrap_or("unknown");
                if !self.job.quarantine_overwritten {
                    self.tally.duplicate();
                    events::overwrite_ignored(&line, counted_etag);
                    return None;
                }
                let reason = format!("it had been counted before, with other content (ETag {counted_etag})");
                (FailureKind::Overwritten, reason)
            }
            Fate::Counted(Counted::Discarded) => {
                self.tally.discarded();
                events::discarded(&line);
                return None;
            }
            Fate::Unfit(error) => (FailureKind::Overflow, error.to_string()),
        };
        let failed = work.failed(kind, reason, Some(object.generation));
        Some(Failing::new(failed, aside.work.object, aside.passage))
    }

    async fn quarantine(&self, failing: Vec<Failing>) -> Result<(), Ended> {
        let begun = Instant::now();
        let failed: Vec<_> = failing.iter().map(|failing| failing.failed.clone()).collect();
        let listed = match self.until_answered("listing failed objects", || self.store.quarantine(&failed)).await? {
            Ok(listed) => listed,
            // A list of failures holds no sums that could be out of range: the database is not as we know it.
            Err(error) => return Err(Ended::Error(PipelineError::Store(error))),
        };
        for (Failing { failed, object, passage }, listed) in failing.iter().zip(listed) {
            let line = Line { object, generation: failed.generation.as_ref(), passage, commit: begun.elapsed() };
            match listed {
                Quarantined::Listed => {
                    self.tally.failed(failed.kind);
                    events::failed(&line, failed);
                    alert::failed_object(failed);
                }
                Quarantined::Discarded => {
                    self.tally.discarded();
                    events::discarded(&line);
                }
                Quarantined::AlreadyCounted => {
                    self.tally.duplicate();
                    events::not_listed(&line, failed);
                }
            }
        }
        Ok(())
    }

    /// Asks the store, whole and anew, until it answers: `Ok`, or that the data is at fault.
    async fn until_answered<T, F>(
        &self,
        doing: &'static str,
        ask: impl Fn() -> F,
    ) -> Result<Result<T, StoreError>, Ended>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut waits = Waits::new();
        loop {
            let step = self.pulse.step(doing, self.job.bounds.transaction);
            let answer = self.shutdown.unless_abandoned(ask()).await.ok_or(Ended::Abandoned)?;
            drop(step);
            let error = match answer {
                Ok(answer) => {
                    self.outages.is_up(Dependency::Database);
                    return Ok(Ok(answer));
                }
                Err(error) => error,
            };
            match error.disposition() {
                Disposition::Quarantine => return Ok(Err(error)),
                Disposition::Halt => return Err(Ended::Error(PipelineError::Store(error))),
                Disposition::Retry => match &error {
                    StoreError::Conflict { .. } => info!(%error, "rolled back; trying again"),
                    _ => self.outages.is_down(Dependency::Database, &error),
                },
            }
            self.shutdown.unless_abandoned(waits.wait()).await.ok_or(Ended::Abandoned)?;
        }
    }

    async fn acknowledge(&self, mut finished: Vec<Finished>) {
        let mut waits = Waits::new();
        while !finished.is_empty() {
            let receipts: Vec<_> = finished.iter().map(|delivery| delivery.receipt.clone()).collect();
            // A call for each ten.
            let bound = self.job.bounds.settle * receipts.len().div_ceil(10) as u32;
            let step = self.pulse.step("acknowledging", bound);
            let begun = Instant::now();
            let answer = self.shutdown.with_last_words(self.queue.acknowledge(&receipts)).await;
            drop(step);
            let problem = match answer {
                None => return,
                Some(Ok(outcomes)) => {
                    let failed = |outcome: &ReceiptOutcome| matches!(outcome, ReceiptOutcome::Failed { .. });
                    let problem = outcomes.iter().find(|outcome| failed(outcome)).map(|outcome| format!("{outcome:?}"));
                    let before = finished.len();
                    let mut outcomes = outcomes.iter();
                    finished.retain(|_| outcomes.next().is_some_and(failed));
                    self.tally.acknowledged(before - finished.len(), begun.elapsed());
                    problem
                }
                Some(Err(error)) => Some(error.to_string()),
            };
            let Some(problem) = problem else { return };
            if waits.attempts() + 1 >= Self::ACKNOWLEDGE_ATTEMPTS_MAX {
                let left = finished.len();
                warn!(left, problem, "not acknowledged: these messages come back and will be found to be counted");
                return;
            }
            info!(left = finished.len(), problem, "not acknowledged yet; trying again");
            if self.shutdown.unless_abandoned(waits.wait()).await.is_none() {
                return;
            }
        }
    }
}

impl Merge {
    fn add(&mut self, mut processed: Processed) {
        processed.outcome.taken();
        self.items += 1;
        self.deliveries.extend(processed.deliveries);
        match processed.outcome {
            Outcome::RolledUp(rolled_up) => {
                let (object, aside) = *rolled_up;
                self.cells += object.rollup.cells();
                self.objects.push(object);
                self.asides.push(aside);
            }
            Outcome::Failed(failed) => self.failed.push(*failed),
            Outcome::Nothing => {}
        }
    }
}
