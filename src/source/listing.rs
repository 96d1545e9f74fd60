//! A queue that is made of what lies in a bucket or a folder, for reading it once.
//!
//! Each object is one delivery. Nothing is stored outside of this process: what is not acknowledged when it ends is
//! listed again the next time, and the ledger knows what has been counted.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::delivery::Content;
use crate::model::{Delivery, ObjectRef, Receipt};

use super::aws::s3_client;
use super::notification::Filter;
use super::queue::{Queue, QueueError, ReceiptOutcome, Received};
use super::settings::{SourceSettings, SourceUrl};

mod bucket;
mod folder;
#[cfg(test)]
mod tests;

/// How long `receive` waits for something to be released, before it says that there is nothing for now.
const LONG_POLL: Duration = Duration::from_secs(20);

/// One thing that was found. What can't be an object is a message too: it is listed as failed, not passed over.
struct Found {
    /// As a person knows it.
    name: String,
    content: Content,
}

impl Found {
    fn object(object: ObjectRef) -> Self {
        Self { name: object.to_string(), content: Content::Objects(vec![object]) }
    }
}

/// Where the listing goes on. A step either brings a page and moves on, or fails and stays.
enum Pages {
    /// Everything is known already.
    Done,
    Folder(folder::Walk),
    Bucket(bucket::Pages),
}

impl Pages {
    /// The next page, in order; `None` after the last. Not to be lost: what it brings is not listed again.
    async fn next(&mut self, url: &str) -> Result<Option<Vec<Found>>, QueueError> {
        let page = match self {
            Pages::Done => Ok(None),
            Pages::Folder(walk) => walk.next(url).await,
            Pages::Bucket(pages) => pages.next(url).await,
        }?;
        if page.is_none() {
            *self = Pages::Done;
        }
        Ok(page)
    }
}

/// Lists a bucket's prefix or a folder, page by page as there is room for it, so that memory does not grow with it.
///
/// Deliveries never come back by themselves. A page that fails is a [`QueueError`], and the next `receive` goes on
/// with the same page.
pub struct Listing {
    url: String,
    /// Held while a page is read, so that two receivers do not read the same one.
    pages: tokio::sync::Mutex<Pages>,
    state: Mutex<State>,
    /// A delivery was released or acknowledged.
    changed: Notify,
    filter: Filter,
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
        let filter = settings.filter.clone();
        match &settings.url {
            SourceUrl::Folder(path) => Self::of_folder(path, filter),
            SourceUrl::Bucket { bucket, prefix } => {
                let refused = |problem| QueueError::Refused { url: settings.url.to_string(), problem };
                let client = s3_client(settings).await.map_err(refused)?;
                Ok(Self::of_bucket(client, bucket, prefix, filter))
            }
            SourceUrl::Sqs(url) => {
                Err(QueueError::Refused { url: url.clone(), problem: "a queue can't be listed".into() })
            }
        }
    }

    /// These objects, in this order, one delivery each, the same one twice when it is there twice.
    pub fn of(objects: Vec<ObjectRef>) -> Self {
        let listing = Self::with("a list of objects".into(), Pages::Done, Filter::default());
        listing.add(objects.into_iter().map(Found::object).collect());
        listing
    }

    /// The files below `path`, in the order of their keys; hidden ones are not listed, nor is what links to folders hold.
    pub fn of_folder(path: &Path, filter: Filter) -> Result<Self, QueueError> {
        let walk = folder::Walk::start(path)?;
        Ok(Self::with(walk.root.clone(), Pages::Folder(walk), filter))
    }

    pub(super) fn of_bucket(client: aws_sdk_s3::Client, bucket: &str, prefix: &str, filter: Filter) -> Self {
        let pages = bucket::Pages::start(client, bucket, prefix);
        Self::with(format!("s3://{bucket}/{prefix}"), Pages::Bucket(pages), filter)
    }

    fn with(url: String, pages: Pages, filter: Filter) -> Self {
        let pages = tokio::sync::Mutex::new(pages);
        Self { url, pages, state: Mutex::default(), changed: Notify::new(), filter }
    }

    fn add(&self, page: Vec<Found>) {
        let passes = |found: &Found| match &found.content {
            Content::Objects(objects) => objects.iter().all(|object| self.filter.passes(object)),
            Content::Unreadable { .. } => true,
        };
        let waiting = page.into_iter().filter(passes).map(|found| Waiting { found: Arc::new(found), attempts: 0 });
        self.state().ready.extend(waiting);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and if it did, the state would be whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists until something is ready. False when there is nothing more to list.
    async fn list(&self) -> Result<bool, QueueError> {
        let mut pages = self.pages.lock().await;
        loop {
            // Another receiver may have listed while this one waited for the lock.
            if !self.state().ready.is_empty() {
                return Ok(true);
            }
            match pages.next(&self.url).await? {
                Some(page) => self.add(page),
                None => return Ok(false),
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
            let more = self.list().await?;
            {
                let mut state = self.state();
                if !state.ready.is_empty() {
                    return Ok(Received::Deliveries(state.hand_out(room, &self.url)));
                }
                if !more && state.in_flight.is_empty() {
                    return Ok(Received::End);
                }
            }
            if !more && tokio::time::timeout_at(deadline, changed).await.is_err() {
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
