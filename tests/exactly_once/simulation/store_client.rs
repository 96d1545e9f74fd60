//! The database as one process reaches it: connections break before, in the middle of and after a transaction, answers
//! are lost, and what is asked is looked at.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use xc2_analyzer::model::{FailedObject, Metadata};
use xc2_analyzer::report::Plan;
use xc2_analyzer::store::{Counted, ObjectRollup, Quarantined, Store, StoreError};

use super::books::Books;
use super::memory::cells_of;
use super::process::Process;
use super::scenario::{Content, Dependency, Fault};
use super::world::World;

pub struct StoreClient {
    pub world: Arc<World>,
    pub process: Arc<Process>,
    pub plan: Arc<Plan>,
    pub store: Arc<dyn Store>,
    pub books: Arc<dyn Books>,
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { database: "simulated".into(), problem: "connection lost".into() }
}

/// Runs a future until it has waited `waits` times; `None` when it is not done by then, and dropped.
async fn cut<F: Future>(future: F, waits: u32) -> Option<F::Output> {
    let (mut future, mut waited) = (pin!(future), 0);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if waited == waits => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}

impl StoreClient {
    async fn begin(&self, dependency: Dependency) -> Result<(), StoreError> {
        self.process.thawed().await;
        if self.world.is_out(dependency) {
            self.world.travel().await;
            self.process.thawed().await;
            return Err(unavailable());
        }
        if self.world.strikes(Fault::StoreRefused) {
            return Err(StoreError::Refused { database: "simulated".into(), problem: "no privilege".into() });
        }
        Ok(())
    }

    /// What the pipeline owes the store: each object once, each with its own sums.
    fn check(&self, objects: &[ObjectRollup]) {
        let mut ids = HashSet::new();
        for object in objects {
            if !ids.insert(object.id()) {
                self.world.wrong(format!("{} is twice in one commit", object.key));
            }
            let etag = object.generation.etag.clone().unwrap_or_default();
            let Some(made) = self.world.bodies.iter().flatten().find(|made| made.etag == etag) else {
                self.world.wrong(format!("{} has the unknown content {etag}", object.key));
                continue;
            };
            let rows = (object.rows, object.rejected_rows) == (made.rows, made.rejected_rows);
            // What is refused in the end has no expectation.
            if !rows || !(made.cells.is_empty() || cells_of(&self.plan, object) == made.cells) {
                self.world.wrong(format!("the sums of {} ({etag}) are not its own: {:?}", object.key, object.rollup));
            }
        }
    }

    /// Whether the database would refuse the sums, were it to add them.
    fn is_unfit(&self, object: &ObjectRollup) -> bool {
        let is_it = |(of, upload): (usize, usize)| {
            let plan = &self.world.scenario.objects[of].uploads[upload];
            plan.content == Content::Unfit
                && Some(&self.world.bodies[of][upload].etag) == object.generation.etag.as_ref()
        };
        let objects = self.world.bodies.iter().enumerate();
        let mut uploads = objects.flat_map(|(of, uploads)| (0..uploads.len()).map(move |upload| (of, upload)));
        uploads.any(is_it) && self.books.counted(&object.bucket, &object.key).is_none()
    }

    async fn commit_on_server(&self, objects: &[ObjectRollup]) -> Result<Vec<Counted>, StoreError> {
        if self.world.strikes(Fault::CommitCut) {
            let waits = self.world.rng(|rng| rng.u32(0..30));
            return cut(self.store.commit(objects), waits).await.unwrap_or_else(|| Err(unavailable()));
        }
        if self.world.strikes(Fault::CommitOutlives) {
            let (store, objects) = (self.store.clone(), objects.to_vec());
            let carried_out = tokio::spawn(async move { store.commit(&objects).await });
            return carried_out.await.expect("the store does not panic");
        }
        self.store.commit(objects).await
    }

    async fn count(&self, objects: &[ObjectRollup]) -> Result<Vec<Counted>, StoreError> {
        self.check(objects);
        self.begin(Dependency::Database).await?;
        let world = &self.world;
        if world.strikes(Fault::CommitStalls) {
            world.stall().await;
        }
        if world.strikes(Fault::CommitFails) {
            return Err(unavailable());
        }
        if world.strikes(Fault::CommitConflicts) {
            return Err(StoreError::Conflict { database: "simulated".into(), problem: "deadlock".into() });
        }
        if objects.iter().any(|object| self.is_unfit(object)) {
            return Err(StoreError::OutOfRange { database: "simulated".into(), problem: "sum out of range".into() });
        }
        let committed = self.commit_on_server(objects).await;
        self.process.thawed().await;
        world.say(|| {
            let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
            format!("{} commits {}: {committed:?}", self.process, keys.join(" "))
        });
        if committed.is_ok() && world.strikes(Fault::CommitLost) { Err(unavailable()) } else { committed }
    }

    async fn list(&self, failed: &[FailedObject]) -> Result<Vec<Quarantined>, StoreError> {
        self.begin(Dependency::Database).await?;
        let world = &self.world;
        if world.strikes(Fault::QuarantineFails) {
            return Err(unavailable());
        }
        let listed = self.store.quarantine(failed).await;
        self.process.thawed().await;
        world.say(|| {
            let failed: Vec<String> = failed.iter().map(|failed| format!("{} ({})", failed.key, failed.kind)).collect();
            format!("{} lists {}: {listed:?}", self.process, failed.join(" "))
        });
        if listed.is_ok() && world.strikes(Fault::QuarantineLost) { Err(unavailable()) } else { listed }
    }

    async fn read_metadata(&self) -> Result<Metadata, StoreError> {
        self.begin(Dependency::Database).await?;
        if self.world.is_out(Dependency::Metadata) || self.world.strikes(Fault::MetadataFails) {
            self.world.travel().await;
            return Err(unavailable());
        }
        let read = self.store.metadata().await;
        self.process.thawed().await;
        // At the start there is nothing to compare with: no metadata then means that there is none.
        let empty = self.process.has_metadata() && self.world.strikes(Fault::MetadataEmpty);
        self.process.set_metadata();
        if empty { Ok(Metadata::default()) } else { read }
    }

    /// Passes the answer on, and notes what the process learns from it.
    fn told<T>(&self, dependency: Dependency, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match &answer {
            Ok(_) => self.process.learns(dependency, false),
            Err(StoreError::Unavailable { .. }) => self.process.learns(dependency, true),
            Err(_) => {}
        }
        answer
    }
}

#[async_trait]
impl Store for StoreClient {
    async fn commit(&self, objects: &[ObjectRollup]) -> Result<Vec<Counted>, StoreError> {
        self.told(Dependency::Database, self.count(objects).await)
    }

    async fn quarantine(&self, failed: &[FailedObject]) -> Result<Vec<Quarantined>, StoreError> {
        self.told(Dependency::Database, self.list(failed).await)
    }

    async fn metadata(&self) -> Result<Metadata, StoreError> {
        self.told(Dependency::Metadata, self.read_metadata().await)
    }
}
