//! A queue that is made of what lies in a bucket or a folder, for reading it once, and the pages that it is made of.
//!
//! Each object is one delivery. Nothing is stored outside of this process: what is not acknowledged when it ends is
//! listed again the next time, and the ledger knows what has been counted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::model::{Delivery, ObjectRef, Receipt};

use super::queue::{Queue, QueueError, ReceiptOutcome, Received};
use super::settings::SourceSettings;

mod bucket;
mod folder;
mod key_date;
mod pages;
mod selection;
#[cfg(test)]
mod tests;

pub use key_date::date_in_key;
pub use pages::{Found, ObjectPages, Page};
pub use selection::{Choice, DateBy, DateRange, Selection};

/// How long `receive` waits for something to be released, before it says that there is nothing for now.
const LONG_POLL: Duration = Duration::from_secs(20);

/// Where the next objects come from.
enum Feed {
    /// Everything is known already.
    Done,
    Pages(ObjectPages),
    /// Somebody else lists, and sends what is wanted of it.
    Channel(mpsc::Receiver<Vec<Found>>),
}

/// What one step of a feed brought.
enum Step {
    Found(Vec<Found>),
    /// Nothing yet.
    Waited,
    End,
}

impl Feed {
    /// The next objects, in order; waits for those of somebody else until `deadline`. Not to be lost: what it brings
    /// does not come again.
    async fn next(&mut self, deadline: Instant) -> Result<Step, QueueError> {
        let found = match self {
            Feed::Done => None,
            Feed::Pages(pages) => pages.next().await?.map(|page| page.found),
            Feed::Channel(fed) => match tokio::time::timeout_at(deadline, fed.recv()).await {
                Ok(fed) => fed,
                Err(_) => return Ok(Step::Waited),
            },
        };
        let Some(found) = found else {
            *self = Feed::Done;
            return Ok(Step::End);
        };
        Ok(Step::Found(found))
    }
}

/// Lists a bucket's prefix or a folder, page by page as there is room for it, so that memory does not grow with it.
///
/// Deliveries never come back by themselves. A page that fails is a [`QueueError`], and the next `receive` goes on
/// with the same page.
pub struct Listing {
    url: String,
    /// Held while a page is read, so that two receivers do not read the same one.
    feed: tokio::sync::Mutex<Feed>,
    state: Mutex<State>,
    /// A delivery was released or acknowledged.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Found and not handed out, or released.
    ready: VecDeque<Waiting>,
    in_flight: HashMap<Receipt, Waiting>,
    receipts: u64,
}

struct Waiting {
    found: Arc<Found>,
    /// How often it was handed out.
    attempts: u32,
}

impl Listing {
    /// The listing of `settings.url`, filtered by `settings.filter`. A folder has to exist; a bucket is asked with the
    /// first `receive`.
    pub async fn open(settings: &SourceSettings) -> Result<Self, QueueError> {
        Ok(Self::of_pages(ObjectPages::open(settings).await?))
    }

    /// These objects, in this order, one delivery each, the same one twice when it is there twice.
    pub fn of(objects: Vec<ObjectRef>) -> Self {
        let listing = Self::with("a list of objects".into(), Feed::Done);
        listing.add(objects.into_iter().map(|object| Found::new(object, None)).collect());
        listing
    }

    /// Everything of `pages`.
    pub fn of_pages(pages: ObjectPages) -> Self {
        Self::with(pages.url().to_owned(), Feed::Pages(pages))
    }

    /// What somebody who lists `url` sends on. The end is when all of it is acknowledged and nobody can send any more.
    pub fn fed(url: &str, found: mpsc::Receiver<Vec<Found>>) -> Self {
        Self::with(url.to_owned(), Feed::Channel(found))
    }

    fn with(url: String, feed: Feed) -> Self {
        let feed = tokio::sync::Mutex::new(feed);
        Self { url, feed, state: Mutex::default(), changed: Notify::new() }
    }

    fn add(&self, page: Vec<Found>) {
        let waiting = page.into_iter().map(|found| Waiting { found: Arc::new(found), attempts: 0 });
        self.state().ready.extend(waiting);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and if it did, the state would be whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists until something is ready, or the deadline has come. False when there is nothing more to list.
    async fn list(&self, deadline: Instant) -> Result<bool, QueueError> {
        let mut feed = self.feed.lock().await;
        loop {
            // Another receiver may have listed while this one waited for the lock.
            if !self.state().ready.is_empty() {
                return Ok(true);
            }
            match feed.next(deadline).await? {
                Step::Found(found) => self.add(found),
                Step::Waited => return Ok(true),
                Step::End => return Ok(false),
            }
        }
    }

    fn settle(&self, receipts: &[Receipt], mut what: impl FnMut(&mut State, Waiting)) -> Vec<ReceiptOutcome> {
        let mut state = self.state();
        let outcomes = receipts.iter().map(|receipt| match state.in_flight.remove(receipt) {
            Some(waiting) => {
                what(&mut state, waiting);
                ReceiptOutcome::Done
            }
            None => ReceiptOutcome::Gone,
        });
        let outcomes = outcomes.collect();
        drop(state);
        self.changed.notify_waiters();
        outcomes
    }
}

impl State {
    fn hand_out(&mut self, room: usize, url: &str) -> Vec<Delivery> {
        let count = room.min(self.ready.len());
        let handed: Vec<Waiting> = self.ready.drain(..count).collect();
        handed.into_iter().map(|waiting| self.hand_out_one(waiting, url)).collect()
    }

    fn hand_out_one(&mut self, mut waiting: Waiting, url: &str) -> Delivery {
        self.receipts += 1;
        waiting.attempts += 1;
        let receipt = Receipt(self.receipts.to_string().into());
        let found = &waiting.found;
        let delivery = Delivery {
            message_id: found.name.clone(),
            receipt: receipt.clone(),
            attempt: waiting.attempts,
            received_at: Timestamp::now(),
            sent_at: None,
            body: serde_json::json!({ "object": found.name, "listed_in": url }).to_string().into(),
            content: found.content.clone(),
        };
        self.in_flight.insert(receipt, waiting);
        delivery
    }
}

#[async_trait]
impl Queue for Listing {
    /// The next objects. While some are in flight and no others are left, waits until one of them is released, or the last
    /// is acknowledged; after at most a long poll it returns none. [`Received::End`] means that all that was
    /// handed out has been acknowledged.
    async fn receive(&self, room: usize) -> Result<Received, QueueError> {
        let deadline = Instant::now() + LONG_POLL;
        loop {
            // Registered before the look at the state: what changes after the look wakes it.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let more = self.list(deadline).await?;
            {
                let mut state = self.state();
                if !state.ready.is_empty() {
                    return Ok(Received::Deliveries(state.hand_out(room, &self.url)));
                }
                if !more && state.in_flight.is_empty() {
                    return Ok(Received::End);
                }
            }
            // Listed until the deadline, or waited for what is in flight until then.
            if more || tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Ok(Received::Deliveries(Vec::new()));
            }
        }
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        let state = self.state();
        let outcome = |receipt| match state.in_flight.contains_key(receipt) {
            true => ReceiptOutcome::Done,
            false => ReceiptOutcome::Gone,
        };
        Ok(receipts.iter().map(outcome).collect())
    }

    async fn acknowledge(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        Ok(self.settle(receipts, |_, _| {}))
    }

    async fn release(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        Ok(self.settle(receipts, |state, waiting| state.ready.push_back(waiting)))
    }

    fn visibility(&self) -> Option<Duration> {
        None
    }

    fn url(&self) -> &str {
        &self.url
    }
}
