//! Receives deliveries and feeds their objects, one by one, into the bounded channel of keys.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tracing::{debug, info};

use super::PipelineError;
use super::deliveries::{Deliveries, DeliveryNumber};
use super::events::Passage;
use super::outage::{Dependency, Outages};
use super::pulse::{Bounds, Part};
use super::retry::Waits;
use super::shutdown::Shutdown;
use super::tally::Tally;
use super::work::{Failing, Outcome, Processed, Work};
use crate::model::delivery::Content;
use crate::model::{Announced, Copied, Delivery, Disposition, FailedObject, FailureKind, ObjectRef, Trace};
use crate::source::{Queue, QueueError, Received};

pub struct Poller {
    pub queue: Arc<dyn Queue>,
    pub deliveries: Arc<Deliveries>,
    pub outages: Arc<Outages>,
    pub tally: Arc<Tally>,
    pub shutdown: Shutdown,
    pub keys: mpsc::Sender<Work>,
    /// To the writer: messages that hold nothing to fetch.
    pub processed: mpsc::Sender<Processed>,
    pub pulse: Arc<Part>,
    pub bounds: Bounds,
}

impl Poller {
    /// SQS hands out at most ten messages at a time.
    const RECEIVE_MAX: usize = 10;

    /// Polls until it is told to stop or the queue comes to its end.
    pub async fn run(self) -> Result<(), PipelineError> {
        let mut waits = Waits::new();
        while let Some(places) = self.unless_stopping(self.places()).await {
            // Not cut short by a stop: messages on their way to a receiver that has gone stay hidden for a while.
            let Some(answer) = self.shutdown.unless_abandoned(self.receive(places.len())).await else { break };
            let received = match answer {
                Ok(received) => received,
                Err(error) if error.disposition() == Disposition::Retry => {
                    self.outages.is_down(Dependency::Queue, &error);
                    // Other things may fail meanwhile: everything is looked at anew.
                    match self.unless_stopping(waits.wait()).await {
                        Some(()) => continue,
                        None => break,
                    }
                }
                Err(error) => return Err(PipelineError::Queue(error)),
            };
            self.outages.is_up(Dependency::Queue);
            waits = Waits::new();
            if let Received::Deliveries(received) = &received {
                self.tally.received(received);
            }
            match received {
                Received::Deliveries(received) if self.shutdown.is_stopping() => self.return_all(&received).await,
                Received::Deliveries(received) => {
                    if self.shutdown.unless_abandoned(self.hand_on(received, places)).await.is_none() {
                        break;
                    }
                }
                Received::End => {
                    info!(queue = self.queue.url(), "nothing is left to receive");
                    break;
                }
            }
        }
        Ok(())
    }

    async fn receive(&self, room: usize) -> Result<Received, QueueError> {
        let _step = self.pulse.step("receiving from the queue", self.bounds.receive);
        self.queue.receive(room).await
    }

    /// Room for deliveries, at a moment when everything that they need is there.
    async fn places(&self) -> Vec<OwnedSemaphorePermit> {
        loop {
            let places = self.deliveries.places(Self::RECEIVE_MAX).await;
            // Looked at last: room is waited for as long as the work takes.
            if self.outages.are_over_but(Dependency::Queue) {
                return places;
            }
            drop(places);
            self.outages.over_but(Dependency::Queue).await;
        }
    }

    async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.shutdown.stopping() => None,
            done = work => Some(done),
        }
    }

    async fn return_all(&self, received: &[Delivery]) {
        let receipts: Vec<_> = received.iter().map(|delivery| delivery.receipt.clone()).collect();
        if receipts.is_empty() {
            return;
        }
        let _step = self.pulse.step("returning deliveries to the queue", self.bounds.settle);
        match self.shutdown.with_last_words(self.queue.release(&receipts)).await {
            Some(Ok(_)) => self.tally.returned(receipts.len()),
            _ => info!("messages received during the stop come back after their visibility timeout"),
        }
    }

    /// Opens every delivery, so that all are kept hidden, and then sends everything on, which waits while the channels
    /// are full.
    async fn hand_on(&self, received: Vec<Delivery>, places: Vec<OwnedSemaphorePermit>) {
        let (mut works, mut finished): (Vec<Work>, Vec<Processed>) = (Vec::new(), Vec::new());
        for (delivery, place) in received.into_iter().zip(places) {
            debug!(message_id = delivery.message_id, attempt = delivery.attempt, "delivery received");
            match &delivery.content {
                Content::Objects(objects) if !objects.is_empty() => {
                    let number = self.deliveries.open(&delivery, objects.len(), place);
                    objects.iter().for_each(|object| self.add(&mut works, object, &delivery, number));
                }
                // Nothing to fetch: it goes straight to the writer, which acknowledges it.
                Content::Objects(_) => {
                    let deliveries = vec![self.deliveries.open(&delivery, 1, place)];
                    finished.push(Processed { deliveries, outcome: Outcome::Nothing });
                }
                Content::Unreadable { reason } => {
                    let deliveries = vec![self.deliveries.open(&delivery, 1, place)];
                    let outcome = Outcome::Failed(Box::new(unreadable(&delivery, reason)));
                    finished.push(Processed { deliveries, outcome });
                }
            }
        }
        // A closed channel means that the pipeline is ending; what is open is returned to the queue.
        for processed in finished {
            let _ = self.processed.send(processed).await;
        }
        for work in works {
            let _ = self.keys.send(work).await;
        }
    }

    /// The same object in two messages of one receive is read once and settles both.
    fn add(&self, works: &mut Vec<Work>, object: &ObjectRef, delivery: &Delivery, number: DeliveryNumber) {
        match works.iter_mut().find(|work| work.object.is_same_content(object)) {
            Some(work) => {
                work.deliveries.push(number);
                self.tally.duplicate();
            }
            None => works.push(work(object.clone(), delivery, vec![number])),
        }
    }
}

fn work(object: ObjectRef, delivery: &Delivery, deliveries: Vec<DeliveryNumber>) -> Work {
    Work {
        event_at: object.announced.event_at.or(delivery.sent_at),
        object,
        deliveries,
        attempt: delivery.attempt,
        message_id: delivery.message_id.as_str().into(),
        message_body: delivery.body.clone(),
        received: Instant::now(),
    }
}

/// The key under which a message that names no object is listed as failed.
pub(super) fn message_key(message_id: &str) -> String {
    format!("message:{message_id}")
}

fn unreadable(delivery: &Delivery, reason: &str) -> Failing {
    let key = message_key(&delivery.message_id);
    let object = ObjectRef { bucket: String::new(), key: key.clone(), announced: Announced::default() };
    let failed = FailedObject {
        bucket: String::new(),
        key,
        generation: None,
        kind: FailureKind::Notification,
        reason: reason.to_owned(),
        attempts: delivery.attempt,
        message_body: delivery.body.to_string(),
        copy: Copied::Not,
        trace: Trace { message_id: delivery.message_id.clone(), ..Trace::default() },
    };
    let passage = Passage::of(&work(object.clone(), delivery, Vec::new()));
    Failing { failed, object, passage }
}
