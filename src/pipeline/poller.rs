//! Receives deliveries and feeds their objects, one by one, into the bounded channel of keys.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::{debug, info};

use super::PipelineError;
use super::deliveries::Deliveries;
use super::outage::{Dependency, Outages};
use super::retry::Waits;
use super::shutdown::Shutdown;
use super::tally::Tally;
use super::work::{Outcome, Processed, Work};
use crate::model::delivery::Content;
use crate::model::{Delivery, Disposition, FailedObject, FailureKind};
use crate::source::{Queue, Received};

pub struct Poller {
    pub queue: Arc<dyn Queue>,
    pub deliveries: Arc<Deliveries>,
    pub outages: Arc<Outages>,
    pub tally: Arc<Tally>,
    pub shutdown: Shutdown,
    pub keys: mpsc::Sender<Work>,
    /// To the writer: messages that hold nothing to fetch.
    pub processed: mpsc::Sender<Processed>,
}

impl Poller {
    /// SQS hands out at most ten messages at a time.
    const RECEIVE_MAX: usize = 10;

    /// Polls until it is told to stop or the queue comes to its end.
    pub async fn run(self) -> Result<(), PipelineError> {
        while let Some(places) = self.unless_stopping(self.places()).await {
            // Not cut short by a stop: messages on their way to a receiver that has gone stay hidden for a while.
            let received = self.shutdown.unless_abandoned(self.receive(places.len())).await;
            match received.transpose()?.flatten() {
                Some(Received::Deliveries(received)) if self.shutdown.is_stopping() => {
                    self.return_all(&received).await;
                }
                Some(Received::Deliveries(received)) => {
                    if self.shutdown.unless_abandoned(self.hand_on(received, places)).await.is_none() {
                        break;
                    }
                }
                Some(Received::End) => {
                    info!(queue = self.queue.url(), "nothing is left to receive");
                    break;
                }
                None => break,
            }
        }
        Ok(())
    }

    async fn places(&self) -> Vec<OwnedSemaphorePermit> {
        self.outages.over().await;
        self.deliveries.places(Self::RECEIVE_MAX).await
    }

    async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.shutdown.stopping() => None,
            done = work => Some(done),
        }
    }

    /// `None` when it was stopped while the queue did not answer.
    async fn receive(&self, room: usize) -> Result<Option<Received>, PipelineError> {
        let mut waits = Waits::new();
        loop {
            match self.queue.receive(room).await {
                Ok(received) => {
                    self.outages.is_up(Dependency::Queue);
                    return Ok(Some(received));
                }
                Err(error) if error.disposition() == Disposition::Retry => {
                    self.outages.is_down(Dependency::Queue, &error);
                    if self.unless_stopping(waits.wait()).await.is_none() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(PipelineError::Queue(error)),
            }
        }
    }

    async fn return_all(&self, received: &[Delivery]) {
        let receipts: Vec<_> = received.iter().map(|delivery| delivery.receipt.clone()).collect();
        if !receipts.is_empty()
            && let Err(error) = self.queue.release(&receipts).await
        {
            info!(%error, "messages received during the stop come back after their visibility timeout");
        }
    }

    /// Sends everything on; waits while the channels are full.
    async fn hand_on(&self, received: Vec<Delivery>, places: Vec<OwnedSemaphorePermit>) {
        self.tally.deliveries(received.len() as u64);
        let mut works: Vec<Work> = Vec::new();
        for (delivery, place) in received.into_iter().zip(places) {
            debug!(message_id = delivery.message_id, attempt = delivery.attempt, "delivery received");
            match &delivery.content {
                Content::Objects(objects) if !objects.is_empty() => {
                    let number = self.deliveries.open(&delivery, objects.len(), place);
                    for object in objects {
                        // The same object in two messages of one receive is read once and settles both.
                        match works.iter_mut().find(|work| work.object == *object) {
                            Some(work) => {
                                work.deliveries.push(number);
                                self.tally.duplicates(1);
                            }
                            None => works.push(Work {
                                object: object.clone(),
                                deliveries: vec![number],
                                attempt: delivery.attempt,
                                message_body: delivery.body.clone(),
                            }),
                        }
                    }
                }
                Content::Objects(_) => self.finish(&delivery, place, Outcome::Nothing).await,
                Content::Unreadable { reason } => {
                    let failed = FailedObject {
                        bucket: String::new(),
                        key: format!("message:{}", delivery.message_id),
                        generation: None,
                        kind: FailureKind::Notification,
                        reason: reason.clone(),
                        attempts: delivery.attempt,
                        message_body: delivery.body.to_string(),
                    };
                    self.finish(&delivery, place, Outcome::Failed(Box::new(failed))).await;
                }
            }
        }
        for work in works {
            // A closed channel means that the pipeline is ending; the delivery stays open and is returned.
            let _ = self.keys.send(work).await;
        }
    }

    /// A delivery with nothing to fetch goes straight to the writer, which acknowledges it.
    async fn finish(&self, delivery: &Delivery, place: OwnedSemaphorePermit, outcome: Outcome) {
        let number = self.deliveries.open(delivery, 1, place);
        let _ = self.processed.send(Processed { deliveries: vec![number], outcome }).await;
    }
}
