//! What goes from one task of the pipeline to the next.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::deliveries::DeliveryNumber;
use crate::enrich::Unmapped;
use crate::model::{Copied, FailedObject, FailureKind, Generation, ObjectRef, Trace};
use crate::store::ObjectRollup;

/// One object to count, and the deliveries that wait for it.
#[derive(Clone, Debug)]
pub struct Work {
    pub object: ObjectRef,
    pub deliveries: Vec<DeliveryNumber>,
    /// How often the queue has delivered it.
    pub attempt: u32,
    pub message_id: Arc<str>,
    pub message_body: Arc<str>,
}

impl Work {
    pub fn failed(&self, kind: FailureKind, reason: String, generation: Option<Generation>) -> FailedObject {
        let announced = &self.object.announced;
        let announced = announced.etag.is_some() || announced.version_id.is_some();
        let as_announced = || Generation {
            version_id: self.object.announced.version_id.clone(),
            etag: self.object.announced.etag.clone(),
            bytes: self.object.announced.bytes.unwrap_or(0),
            content_hash: [0; 32],
        };
        FailedObject {
            bucket: self.object.bucket.clone(),
            key: self.object.key.clone(),
            generation: generation.or_else(|| announced.then(as_announced)),
            kind,
            reason,
            attempts: self.attempt,
            message_body: self.message_body.to_string(),
            copy: Copied::Not,
            trace: Trace { message_id: self.message_id.to_string(), ..Trace::default() },
        }
    }
}

/// The objects that one worker takes together.
#[derive(Debug)]
pub struct Batch {
    /// Names the batch in the ledger and in logs.
    pub id: String,
    pub works: Vec<Work>,
}

/// What became of a work, on its way to the writer.
pub struct Processed {
    pub deliveries: Vec<DeliveryNumber>,
    pub outcome: Outcome,
}

pub enum Outcome {
    /// To be committed.
    RolledUp(Box<(ObjectRollup, Aside)>),
    /// To be listed as failed.
    Failed(Box<FailedObject>),
    /// A message that announces nothing to count: only to be acknowledged.
    Nothing,
}

impl Outcome {
    /// The same, with the batch that it was taken in.
    pub fn of_batch(mut self, batch_id: &str) -> Self {
        if let Outcome::Failed(failed) = &mut self {
            failed.trace.batch_id = Some(batch_id.to_owned());
        }
        self
    }
}

/// What the writer needs to know of a rolled-up object beside what it commits.
pub struct Aside {
    pub work: Work,
    pub unmapped: Unmapped,
    /// Its share of the cells that may be in memory; given back after the commit.
    pub _cells: Option<OwnedSemaphorePermit>,
}
