//! A queue of what failed before and is to be tried again. Each entry is one delivery, which never comes back by itself:
//! what it stands for stays listed in the database until it is settled there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::delivery::Content;
use crate::model::{Delivery, ObjectRef, Receipt};

use super::fetch::Objects;
use super::queue::{Queue, QueueError, ReceiptOutcome, Received};

/// How long `receive` waits for something to be released, before it says that there is nothing for now.
const LONG_POLL: Duration = Duration::from_secs(20);

/// One thing to try again.
#[derive(Clone, Debug)]
pub struct Given {
    pub message_id: String,
    /// How often it had been tried when it was listed.
    pub attempts: u32,
    /// The message that once announced it.
    pub body: Arc<str>,
    pub what: What,
}

/// What is to be read.
#[derive(Clone, Debug)]
pub enum What {
    /// Exactly what this says.
    Announced(Content),
    /// What is under the object's name when its turn comes. Where that can't be told, the announced content is asked
    /// for, so that the failure is one of what was listed.
    Current(ObjectRef),
}

/// The queue of these entries, in their order.
pub struct GivenQueue {
    objects: Arc<Objects>,
    state: Mutex<State>,
    /// A delivery was released or acknowledged.
    changed: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Given>,
    in_flight: HashMap<Receipt, Given>,
    receipts: u64,
}

impl GivenQueue {
    pub fn new(given: Vec<Given>, objects: Arc<Objects>) -> Self {
        let state = State { ready: given.into(), ..State::default() };
        Self { objects, state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and if it did, the state would be whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn content(&self, given: &Given) -> Content {
        match &given.what {
            What::Announced(content) => content.clone(),
            What::Current(object) => {
                let mut object = object.clone();
                // Announced, so that a body is held to it: half of one is not counted.
                if let Ok(current) = self.objects.look(&object).await {
                    object.announced = current;
                }
                Content::Objects(vec![object])
            }
        }
    }

    fn hand_out(&self, given: Given, content: Content) -> Delivery {
        let mut state = self.state();
        state.receipts += 1;
        let receipt = Receipt(state.receipts.to_string().into());
        let delivery = Delivery {
            message_id: given.message_id.clone(),
            receipt: receipt.clone(),
            attempt: given.attempts.saturating_add(1),
            received_at: Timestamp::now(),
            sent_at: None,
            body: given.body.clone(),
            content,
        };
        state.in_flight.insert(receipt, given);
        delivery
    }

    fn settle(&self, receipts: &[Receipt], mut what: impl FnMut(&mut State, Given)) -> Vec<ReceiptOutcome> {
        let mut state = self.state();
        let outcomes = receipts.iter().map(|receipt| match state.in_flight.remove(receipt) {
            Some(given) => {
                what(&mut state, given);
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

#[async_trait]
impl Queue for GivenQueue {
    /// [`Received::End`] means that everything has been acknowledged.
    async fn receive(&self, room: usize) -> Result<Received, QueueError> {
        // Registered before the look at the state: what changes after the look wakes it.
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        let (next, open) = {
            let mut state = self.state();
            let count = room.min(state.ready.len());
            (state.ready.drain(..count).collect::<Vec<_>>(), state.in_flight.len())
        };
        if next.is_empty() && open == 0 {
            return Ok(Received::End);
        }
        if next.is_empty() {
            let _ = tokio::time::timeout(LONG_POLL, changed).await;
            return Ok(Received::Deliveries(Vec::new()));
        }
        let contents = futures::future::join_all(next.iter().map(|given| self.content(given))).await;
        let deliveries = next.into_iter().zip(contents).map(|(given, content)| self.hand_out(given, content));
        Ok(Received::Deliveries(deliveries.collect()))
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
        Ok(self.settle(receipts, |state, given| state.ready.push_back(given)))
    }

    fn visibility(&self) -> Option<Duration> {
        None
    }

    fn url(&self) -> &str {
        "the list of failed objects"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Announced;
    use crate::source::fetch::FOLDER_SCHEME;
    use crate::source::{SourceSettings, SourceUrl};

    fn given(what: What) -> Given {
        Given { message_id: "m".into(), attempts: 3, body: "as it was".into(), what }
    }

    async fn received(queue: &GivenQueue) -> Vec<Delivery> {
        match queue.receive(10).await.unwrap() {
            Received::Deliveries(deliveries) => deliveries,
            Received::End => panic!("the queue is at its end"),
        }
    }

    #[tokio::test]
    async fn object_is_announced_as_it_is_now_and_one_that_is_gone_as_it_was_listed() {
        let folder = tempfile::TempDir::new().unwrap();
        let settings = SourceSettings::new(SourceUrl::Folder(folder.path().into()));
        let objects = Arc::new(Objects::open(&settings).await.unwrap());
        std::fs::write(folder.path().join("there"), b"hello").unwrap();
        let bucket = format!("{FOLDER_SCHEME}{}", folder.path().display());
        let listed = Announced { etag: Some("as listed".into()), ..Announced::default() };
        let object = |key: &str| ObjectRef { bucket: bucket.clone(), key: key.into(), announced: listed.clone() };
        let both = ["there", "gone"].map(|key| given(What::Current(object(key))));
        let queue = GivenQueue::new(both.into(), objects);
        let deliveries = received(&queue).await;
        let announced = |delivery: &Delivery| match &delivery.content {
            Content::Objects(objects) => objects[0].announced.clone(),
            Content::Unreadable { reason } => panic!("{reason}"),
        };
        assert_eq!(announced(&deliveries[0]).bytes, Some(5));
        assert_ne!(announced(&deliveries[0]).etag, listed.etag);
        assert_eq!(announced(&deliveries[1]), listed);
        assert_eq!((deliveries[0].attempt, &*deliveries[0].body), (4, "as it was"));
    }

    #[tokio::test]
    async fn queue_ends_when_everything_is_acknowledged_and_not_before() {
        let objects = Objects::open(&SourceSettings::new(SourceUrl::Folder("/".into()))).await.unwrap();
        let two = vec![given(What::Announced(Content::Objects(Vec::new()))); 2];
        let queue = Arc::new(GivenQueue::new(two, Arc::new(objects)));
        let deliveries = received(&queue).await;
        let receipt = |at: usize| [deliveries[at].receipt.clone()];
        queue.acknowledge(&receipt(0)).await.unwrap();
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.receive(10).await }
        });
        queue.release(&receipt(1)).await.unwrap();
        // Whether it was asked before the release or after.
        let again = match waiting.await.unwrap().unwrap() {
            Received::Deliveries(again) if again.is_empty() => received(&queue).await,
            Received::Deliveries(again) => again,
            Received::End => panic!("one was released"),
        };
        assert_eq!(queue.acknowledge(&receipt(1)).await.unwrap(), [ReceiptOutcome::Gone], "an old receipt");
        queue.acknowledge(&[again[0].receipt.clone()]).await.unwrap();
        assert!(matches!(queue.receive(10).await.unwrap(), Received::End));
    }
}
