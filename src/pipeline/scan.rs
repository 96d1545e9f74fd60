//! Compares what lies in a bucket or a folder with the books, page by page, and counts what they lack.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use super::poller::message_key;
use super::retry::Waits;
use super::{Job, PipelineError, Shutdown, Tally, run};
use crate::model::{Disposition, ObjectId};
use crate::source::{Choice, Fetch, Found, Listing, ObjectPages, Selection};
use crate::store::{SqlStore, Standing};

/// What a scan has found so far. Every object listed is in exactly one of the numbers after `listed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    pub listed: u64,
    /// Kept out by the filter of `[source]`.
    pub filtered: u64,
    /// Of a date that was not asked for.
    pub other_date: u64,
    /// Without a date of the kind that was asked for.
    pub undated: u64,
    /// In the ledger.
    pub counted: u64,
    /// Listed as failed, open or discarded.
    pub failed: u64,
    /// Not in the books, and so new that they may be on their way.
    pub young: u64,
    /// Not in the books.
    pub missing: u64,
    /// Counted with another ETag, and not listed.
    pub overwritten: u64,
    /// Of the missing and the overwritten ones.
    pub uncounted_bytes: u64,
    /// Whether everything has been listed.
    pub complete: bool,
}

impl Scanned {
    /// What a backfill has to read.
    pub fn uncounted(&self) -> u64 {
        self.missing + self.overwritten
    }
}

/// An object that the books lack.
#[derive(Clone, Debug)]
pub struct Uncounted {
    pub found: Found,
    /// `Unknown` or `Overwritten`.
    pub standing: Standing,
}

/// What to compare, and with which patience.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub selection: Selection,
    /// Younger objects are not missing: their notification may be on its way.
    pub min_age: Duration,
    /// How often a page is asked for before the scan fails; `None`: until it comes.
    pub attempts_max: Option<u32>,
}

/// A comparison under way. In memory is one page.
pub struct Scan {
    pages: ObjectPages,
    store: Arc<SqlStore>,
    scope: Scope,
    /// Of a page that is listed and not yet looked up.
    listed: Option<Vec<Found>>,
    scanned: watch::Sender<Scanned>,
}

impl Scan {
    pub fn new(pages: ObjectPages, store: Arc<SqlStore>, scope: Scope) -> Self {
        Self { pages, store, scope, listed: None, scanned: watch::Sender::default() }
    }

    pub fn url(&self) -> &str {
        self.pages.url()
    }

    /// The numbers, while the scan goes on and after it.
    pub fn scanned(&self) -> watch::Receiver<Scanned> {
        self.scanned.subscribe()
    }

    /// What the books lack of the next page; `None` after the last. Passing errors are waited out.
    pub async fn next(&mut self) -> Result<Option<Vec<Uncounted>>, PipelineError> {
        let mut waits = Waits::new();
        loop {
            let error = match self.page().await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let tried = waits.attempts() + 1;
            if !may_pass(&error) || self.scope.attempts_max.is_some_and(|max| tried >= max) {
                return Err(error);
            }
            match tried {
                1 => warn!(url = self.url(), %error, "not compared yet; trying again"),
                _ => debug!(url = self.url(), %error, tried, "not compared yet; trying again"),
            }
            waits.wait().await;
        }
    }

    async fn page(&mut self) -> Result<Option<Vec<Uncounted>>, PipelineError> {
        if self.listed.is_none() {
            let Some(page) = self.pages.next().await? else {
                self.scanned.send_modify(|scanned| scanned.complete = true);
                return Ok(None);
            };
            let chosen = self.choose(page.found, page.filtered);
            self.listed = Some(chosen);
        }
        // Kept until the books have answered: a page is listed once.
        let page = self.listed.as_deref().unwrap_or_default();
        let keys: Vec<_> = page.iter().map(|found| (id(found), etag(found))).collect();
        let standings = self.store.standings(&keys).await?;
        let page = self.listed.take().unwrap_or_default();
        Ok(Some(self.judge(page, standings)))
    }

    fn choose(&self, found: Vec<Found>, filtered: u64) -> Vec<Found> {
        let mut now = *self.scanned.borrow();
        now.listed += found.len() as u64 + filtered;
        now.filtered += filtered;
        let chosen = |found: &Found| {
            let choice = self.scope.selection.choose(found);
            match choice {
                Choice::Chosen => {}
                Choice::OtherDate => now.other_date += 1,
                Choice::Undated => now.undated += 1,
            }
            choice == Choice::Chosen
        };
        let chosen = found.into_iter().filter(chosen).collect();
        self.scanned.send_replace(now);
        chosen
    }

    fn judge(&self, page: Vec<Found>, standings: Vec<Standing>) -> Vec<Uncounted> {
        let mut now = *self.scanned.borrow();
        let mut uncounted = Vec::new();
        for (found, standing) in page.into_iter().zip(standings) {
            match &standing {
                Standing::Counted => now.counted += 1,
                Standing::Failed => now.failed += 1,
                Standing::Unknown | Standing::Overwritten { .. } if self.is_young(&found) => now.young += 1,
                Standing::Unknown | Standing::Overwritten { .. } => {
                    if standing == Standing::Unknown {
                        now.missing += 1;
                    } else {
                        now.overwritten += 1;
                    }
                    now.uncounted_bytes += found.object().and_then(|object| object.announced.bytes).unwrap_or(0);
                    uncounted.push(Uncounted { found, standing });
                }
            }
        }
        self.scanned.send_replace(now);
        uncounted
    }

    fn is_young(&self, found: &Found) -> bool {
        let age = |modified: Timestamp| Duration::try_from(Timestamp::now().duration_since(modified));
        // One from the future is as young as can be.
        found.modified.is_some_and(|modified| age(modified).unwrap_or_default() < self.scope.min_age)
    }
}

fn id(found: &Found) -> ObjectId {
    match found.object() {
        Some(object) => object.id(),
        // As the poller lists what it can't read.
        None => ObjectId::of("", &message_key(&found.name)),
    }
}

fn etag(found: &Found) -> Option<&str> {
    found.object()?.announced.etag.as_deref()
}

fn may_pass(error: &PipelineError) -> bool {
    let disposition = match error {
        PipelineError::Queue(error) => error.disposition(),
        PipelineError::Store(error) => error.disposition(),
        PipelineError::Fetch(error) => error.disposition(),
        PipelineError::Panic => Disposition::Halt,
    };
    disposition == Disposition::Retry
}

/// Counts what `scan` finds uncounted, by a pipeline of its own: beside a daemon's, if there is one, since the ledger
/// decides who is first. Ends when everything is terminal, when `shutdown` says so, or when something can't be gone on
/// with.
pub async fn fill(
    scan: Scan,
    objects: Arc<dyn Fetch>,
    store: Arc<SqlStore>,
    job: Arc<Job>,
    tally: Arc<Tally>,
    shutdown: &Shutdown,
) -> Result<(), PipelineError> {
    // A failure here must not let go of anybody else's work.
    let shutdown = shutdown.child();
    // One page is with the queue, one waits here, one is being compared.
    let (pages, fed) = mpsc::channel(1);
    let queue = Arc::new(Listing::fed(scan.url(), fed));
    let counting = async {
        let counted = run(queue, objects, store, job, tally, Arc::default(), shutdown.clone()).await;
        // However it ended, nobody takes what the scan may still find.
        shutdown.abandon();
        counted
    };
    let (fed, counted) = tokio::join!(feed(scan, pages, &shutdown), counting);
    counted?;
    fed
}

/// Sends everything uncounted. Its end closes the channel, which is the queue's end.
async fn feed(mut scan: Scan, pages: mpsc::Sender<Vec<Found>>, shutdown: &Shutdown) -> Result<(), PipelineError> {
    let feeding = async {
        while let Some(uncounted) = scan.next().await? {
            let found: Vec<Found> = uncounted.into_iter().map(|uncounted| uncounted.found).collect();
            if !found.is_empty() && pages.send(found).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    tokio::select! {
        biased;
        () = shutdown.stopping() => Ok(()),
        fed = feeding => fed,
    }
}
