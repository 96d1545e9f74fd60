//! Rollups -> the database, exactly once. The only module that names SQL. Knows nothing of queues, files or pickles.
//!
//! [`Store`] is what the pipeline asks for; [`SqlStore`] is the one implementation, for MySQL, MariaDB and SQLite. In
//! reading order: `sql_store` (which connection, which transaction, what an error does to both), `ledger` and `upsert`
//! (counting), `quarantine` and `settle` (listings), `metadata`, `notices`, `notice_facts` and `outbox` (what people are
//! told); `schema`, `schema_check` and `migrate` (the tables as data, compared, brought about); `read` (with `report_sql`,
//! `ranking` and `ratio`), `failed`, `standing`, `audit` and `health` with `privileges` (looking). Below them `session` has the few verbs that all of them
//! are written in, `dialect` the SQL that differs, and `mysql` (with `mysql_settings` and `mysql_errors`) and `sqlite`
//! the connections.

mod audit;
mod dialect;
mod failed;
mod health;
mod ledger;
mod metadata;
mod migrate;
mod mysql;
mod mysql_errors;
mod mysql_settings;
mod notice_facts;
mod notices;
mod outbox;
mod privileges;
mod quarantine;
mod ranking;
mod ratio;
mod read;
mod report_sql;
mod schema;
mod schema_check;
mod session;
mod settings;
mod settle;
mod sql_store;
mod sqlite;
mod standing;
#[cfg(test)]
mod tests;
mod upsert;

use async_trait::async_trait;

use crate::aggregate::Rollup;
use crate::model::{Disposition, FailedObject, Generation, Metadata, ObjectId};

pub use crate::aggregate::KeyValue;
pub use audit::{Audit, AuditDay, Finding};
pub use dialect::Dialect;
pub use failed::{CountedRow, FailedFilter, FailedKey, FailedRow, FailedState, FailedTotal, Which};
pub use notice_facts::{DayFacts, DaySums, FailureFacts};
pub use notices::{DayNotice, NoticeState, QuietDay, Written};
pub use outbox::{Channel, ClaimedNotice, NoticeRow};
pub use privileges::admission;
pub use ratio::ratio;
pub use read::{Filter, OpenReport, ReportFacts, ReportQuery, ReportRow, Sort, SortBy};
pub use schema::{SCHEMA_VERSION, schema_sql};
pub use settings::{DEFAULT_INVENTORY_QUERY, DEFAULT_MEDIA_QUERY, StoreSettings};
pub use settle::Decision;
pub use sql_store::SqlStore;
pub use standing::Standing;

/// One object's rollup with what the ledger records of it.
#[derive(Clone, Debug)]
pub struct ObjectRollup {
    pub bucket: String,
    pub key: String,
    /// As the read returned it.
    pub generation: Generation,
    /// Rows read, rejected ones included.
    pub rows: u64,
    pub rejected_rows: u64,
    /// Names the batch in the ledger and in logs.
    pub batch_id: String,
    pub rollup: Rollup,
}

impl ObjectRollup {
    pub fn id(&self) -> ObjectId {
        ObjectId::of(&self.bucket, &self.key)
    }
}

/// What the ledger said of one object of a commit. All are final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Its sums are in the reports now.
    Now,
    /// The same generation had been counted before: nothing was added.
    Before,
    /// Another generation had been counted before: nothing was added.
    Overwritten { counted_etag: Option<String> },
    /// An operator discarded this generation: nothing was added, and nothing will be until the listing is reopened.
    Discarded,
}

/// What became of a request to list an object as failed. Both are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quarantined {
    Listed,
    /// This generation (or, when it is unknown, this object) is in the ledger: nothing was listed.
    AlreadyCounted,
    /// An operator discarded this generation: its listing stays so.
    Discarded,
}

/// Why the store could not do what was asked. Whatever it was, nothing of it has been done,
/// or the ledger will say so when it is asked again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, lost in the middle, timed out, failed over: try it whole again on a fresh connection.
    #[error("database {database}: {problem}")]
    Unavailable { database: String, problem: String },
    /// A deadlock or a lock-wait timeout: rolled back, try it whole again.
    #[error("database {database}: {problem}")]
    Conflict { database: String, problem: String },
    /// The data does not fit the tables: a sum out of range.
    #[error("database {database}: {problem}")]
    OutOfRange { database: String, problem: String },
    /// A table or column is missing or of another type, or the schema is newer than this program.
    #[error("database {database}: {problem}")]
    Schema { database: String, problem: String },
    /// Wrong password, no privilege, or a statement that the server does not understand.
    #[error("database {database}: {problem}")]
    Refused { database: String, problem: String },
    /// The URL of the database can't be used: no such scheme, no database name, no such folder.
    #[error("database {url}: {problem}")]
    BadUrl { url: String, problem: String },
    /// Metadata that can't be used, such as a rate above 1.
    #[error("metadata in {database}: {problem}")]
    Metadata { database: String, problem: String },
}

impl StoreError {
    pub fn disposition(&self) -> Disposition {
        match self {
            StoreError::Unavailable { .. } | StoreError::Conflict { .. } | StoreError::Metadata { .. } => {
                Disposition::Retry
            }
            StoreError::OutOfRange { .. } => Disposition::Quarantine,
            StoreError::Schema { .. } | StoreError::Refused { .. } | StoreError::BadUrl { .. } => Disposition::Halt,
        }
    }
}

/// What the pipeline asks of a database.
#[async_trait]
pub trait Store: Send + Sync {
    /// Counts the objects in one transaction: ledger rows, control totals, then the merged report rows of those that
    /// the ledger did not hold. One outcome an object, in order; objects are distinct by id. After an error of any
    /// kind nothing is decided: the caller asks again with the same objects, and the ledger tells what was done.
    async fn commit(&self, objects: &[ObjectRollup]) -> Result<Vec<Counted>, StoreError>;

    /// Lists objects as failed, in one transaction, unless the ledger holds them. Listing one again
    /// keeps its first time and the highest number of attempts. One outcome an object, in order.
    async fn quarantine(&self, failed: &[FailedObject]) -> Result<Vec<Quarantined>, StoreError>;

    /// Reads all metadata, in one consistent view.
    async fn metadata(&self) -> Result<Metadata, StoreError>;
}
