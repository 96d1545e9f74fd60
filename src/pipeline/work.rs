//! What goes from one task of the pipeline to the next.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::deliveries::DeliveryNumber;
use super::events::Passage;
use crate::enrich::Unmapped;
use crate::model::{Copied, FailedObject, FailureKind, Generation, ObjectRef, Rejects, Trace};
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
    pub received: Instant,
    /// When the object was created, as S3 or the queue tells.
    pub event_at: Option<Timestamp>,
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
    Failed(Box<Failing>),
    /// A message that announces nothing to count: only to be acknowledged.
    Nothing,
}

impl Outcome {
    /// The writer has it.
    pub fn taken(&mut self) {
        match self {
            Outcome::RolledUp(rolled_up) => rolled_up.1.passage.taken(),
            Outcome::Failed(failing) => failing.passage.taken(),
            Outcome::Nothing => {}
        }
    }
}

/// An object that is to be listed as failed, and its way here.
pub struct Failing {
    pub failed: FailedObject,
    pub object: ObjectRef,
    pub passage: Passage,
}

impl Failing {
    /// `failed` knows the batch that its object came in.
    pub fn new(mut failed: FailedObject, object: ObjectRef, passage: Passage) -> Failing {
        failed.trace.batch_id = Some(passage.batch_id.clone()).filter(|id| !id.is_empty());
        Failing { failed, object, passage }
    }
}

/// What the writer needs to know of a rolled-up object beside what it commits.
pub struct Aside {
    pub work: Work,
    pub passage: Passage,
    pub unmapped: Unmapped,
    pub rejects: Rejects,
    /// Unix seconds of the newest row that is counted.
    pub newest: Option<i64>,
    /// Its share of the cells that may be in memory; given back after the commit.
    pub _cells: Option<OwnedSemaphorePermit>,
}
