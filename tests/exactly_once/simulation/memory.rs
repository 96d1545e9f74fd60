//! A database in memory, with the ledger's rules as `store` states them: one writer at a time, a transaction is there as a
//! whole or not at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use xc2_analyzer::model::{FailedObject, FailureKind, Generation, Metadata};
use xc2_analyzer::report::Plan;
use xc2_analyzer::store::{Counted, ObjectRollup, Quarantined, Store, StoreError};

use super::bodies::{self, Cells, add};
use super::books::{Books, Listed};
use super::world::World;

pub struct Memory {
    world: Arc<World>,
    plan: Arc<Plan>,
    writing: tokio::sync::Mutex<()>,
    committed: Mutex<Tables>,
}

/// Bucket and key.
type Name = (String, String);

#[derive(Clone, Default)]
struct Tables {
    ledger: BTreeMap<Name, Generation>,
    /// By name and ETag.
    failed: BTreeMap<(Name, String), Listed>,
    cells: Cells,
}

impl Memory {
    pub fn new(world: Arc<World>, plan: Arc<Plan>) -> Memory {
        Memory { world, plan, writing: tokio::sync::Mutex::default(), committed: Mutex::default() }
    }

    fn tables(&self) -> Tables {
        self.committed.lock().unwrap().clone()
    }

    fn count(&self, tables: &mut Tables, object: &ObjectRollup) -> Counted {
        let name = (object.bucket.clone(), object.key.clone());
        match tables.ledger.get(&name) {
            Some(counted) if is_same(counted, &object.generation) => Counted::Before,
            Some(counted) => Counted::Overwritten { counted_etag: counted.etag.clone() },
            None => {
                tables.ledger.insert(name.clone(), object.generation.clone());
                let of_object = tables.failed.iter_mut().filter(|((failed, _), _)| *failed == name);
                of_object.for_each(|(_, listed)| listed.open = false);
                cells_of(&self.plan, object).into_iter().for_each(|(key, sums)| add(&mut tables.cells, key, sums));
                Counted::Now
            }
        }
    }
}

/// The object's rows of the `ad` report.
pub fn cells_of(plan: &Plan, object: &ObjectRollup) -> Cells {
    let report = plan.report("ad").expect("a default report");
    let cells = object.rollup.report(report).expect("sums that fit");
    let text =
        |cell: &xc2_analyzer::aggregate::Cell| cell.key().map(|value| value.to_string()).collect::<Vec<_>>().join("|");
    cells.iter().map(|cell| (text(&cell), cell.sums().collect::<Vec<i64>>().try_into().unwrap())).collect()
}

fn is_same(counted: &Generation, read: &Generation) -> bool {
    match (&counted.etag, &read.etag) {
        (Some(counted), Some(read)) if counted == read => true,
        _ => counted.content_hash == read.content_hash,
    }
}

fn is_counted(failed: &FailedObject, counted: &Generation) -> bool {
    match &failed.generation {
        None => true,
        Some(_) if failed.kind == FailureKind::Replaced => true,
        Some(generation) => is_same(counted, generation),
    }
}

#[async_trait]
impl Store for Memory {
    async fn commit(&self, objects: &[ObjectRollup]) -> Result<Vec<Counted>, StoreError> {
        let _writing = self.writing.lock().await;
        let mut tables = self.tables();
        let mut counted = Vec::new();
        for object in objects {
            self.world.travel().await;
            counted.push(self.count(&mut tables, object));
        }
        self.world.travel().await;
        *self.committed.lock().unwrap() = tables;
        Ok(counted)
    }

    async fn quarantine(&self, failed: &[FailedObject]) -> Result<Vec<Quarantined>, StoreError> {
        let _writing = self.writing.lock().await;
        let mut tables = self.tables();
        let mut outcomes = Vec::new();
        for failed in failed {
            self.world.travel().await;
            let name = (failed.bucket.clone(), failed.key.clone());
            if tables.ledger.get(&name).is_some_and(|counted| is_counted(failed, counted)) {
                outcomes.push(Quarantined::AlreadyCounted);
                continue;
            }
            let etag = failed.generation.as_ref().and_then(|generation| generation.etag.clone()).unwrap_or_default();
            let listed = Listed { etag: etag.clone(), kind: failed.kind.name().to_owned(), open: true };
            tables.failed.insert((name, etag), listed);
            outcomes.push(Quarantined::Listed);
        }
        self.world.travel().await;
        *self.committed.lock().unwrap() = tables;
        Ok(outcomes)
    }

    async fn metadata(&self) -> Result<Metadata, StoreError> {
        self.world.travel().await;
        Ok(bodies::metadata())
    }
}

impl Books for Memory {
    fn counted(&self, bucket: &str, key: &str) -> Option<String> {
        let tables = self.committed.lock().unwrap();
        tables.ledger.get(&(bucket.to_owned(), key.to_owned())).and_then(|generation| generation.etag.clone())
    }

    fn failed(&self, bucket: &str, key: &str) -> Vec<Listed> {
        let tables = self.committed.lock().unwrap();
        let of_object = |((name, _), _): &(&(Name, String), &Listed)| name.0 == bucket && name.1 == key;
        tables.failed.iter().filter(of_object).map(|(_, listed)| listed.clone()).collect()
    }

    fn cells(&self) -> Cells {
        self.committed.lock().unwrap().cells.clone()
    }
}
