//! The one implementation of [`Store`]: which connection, which transaction, and what an error does to both.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::dialect::Dialect;
use super::ledger::{self, Round};
use super::mysql::MysqlPool;
use super::schema::{Table, tables};
use super::session::{Begin, Class, Session, SqlError, SqlResult};
use super::settings::{Address, StoreSettings};
use super::sqlite::SqlitePool;
use super::{Counted, ObjectRollup, Quarantined, Store, StoreError, metadata, migrate, quarantine};
use crate::failpoint;
use crate::model::{FailedObject, Metadata, ObjectId};
use crate::report::Plan;

/// Who counts, unless a command says otherwise.
const DAEMON: &str = "daemon";

/// The reports and their ledger in a MySQL, MariaDB or SQLite database.
pub struct SqlStore {
    connections: Connections,
    plan: Arc<Plan>,
    settings: StoreSettings,
    /// For messages: the URL without its password.
    label: String,
    /// Who resolves and discards listings, as `failed_object.resolved_by` will say.
    who: String,
}

impl std::fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqlStore({})", self.label)
    }
}

enum Connections {
    Mysql(MysqlPool),
    Sqlite(SqlitePool),
}

impl SqlStore {
    /// Connects once, so that an unreachable server, a wrong password or an unknown database is known now. Looks at no
    /// table: see [`SqlStore::verify_schema`].
    pub async fn open(settings: &StoreSettings, plan: Arc<Plan>) -> Result<SqlStore, StoreError> {
        let address = Address::parse(settings)?;
        let label = address.label();
        let opened = match &address {
            Address::Mysql { opts, ca } => MysqlPool::open(opts, ca.as_deref(), settings).await.map(Connections::Mysql),
            Address::Sqlite { path } => SqlitePool::open(path, settings).await.map(Connections::Sqlite),
        };
        let connections = opened.map_err(|error| store_error(&label, error))?;
        Ok(SqlStore { connections, plan, settings: settings.clone(), label, who: DAEMON.to_owned() })
    }

    /// The same, on behalf of this person or command.
    pub fn on_behalf_of(self, who: &str) -> SqlStore {
        SqlStore { who: who.to_owned(), ..self }
    }

    pub(super) fn who(&self) -> &str {
        &self.who
    }

    /// The database as a person knows it: its URL without the password.
    pub fn label(&self) -> &str {
        &self.label
    }

    pub fn dialect(&self) -> Dialect {
        match &self.connections {
            Connections::Mysql(pool) => pool.dialect(),
            Connections::Sqlite(_) => Dialect::Sqlite,
        }
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The statements that would bring the database to the plan; none when it is there. A table that no statement of
    /// ours may correct (another primary key, another type) is an error.
    pub async fn migration(&self) -> Result<Vec<String>, StoreError> {
        let mut session = self.session().await?;
        let outcome = migrate::missing(&mut session, &self.tables()).await;
        self.give_back(session, outcome).await
    }

    /// Runs [`SqlStore::migration`] and returns what it ran. Safe to run twice, and by two at once.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let mut session = self.session().await?;
        let outcome = migrate::migrate(&mut session, &self.tables()).await;
        // Not lent again: after an error it may still hold the migration's lock.
        drop(session);
        outcome.map_err(|error| self.error(error))
    }

    /// `Ok` when every table is there as the plan needs it.
    pub async fn verify_schema(&self) -> Result<(), StoreError> {
        let mut session = self.session().await?;
        let outcome = migrate::verify(&mut session, &self.tables()).await;
        self.give_back(session, outcome).await
    }

    /// Replaces the rows of the default metadata tables.
    pub async fn insert_metadata(&self, metadata: &Metadata) -> Result<(), StoreError> {
        let mut session = self.begin(Begin::Write).await?;
        let outcome = metadata::replace(&mut session, metadata, self.settings.upsert_rows).await;
        self.finish(session, outcome).await
    }

    pub(super) fn tables(&self) -> Vec<Table> {
        tables(&self.plan, self.dialect(), self.settings.default_metadata())
    }

    pub(super) async fn session(&self) -> Result<Session, StoreError> {
        let session = match &self.connections {
            Connections::Mysql(pool) => pool.session().await.map(|session| Session::Mysql(Box::new(session))),
            Connections::Sqlite(pool) => pool.session().await.map(Session::Sqlite),
        };
        session.map_err(|error| self.error(error))
    }

    pub(super) async fn begin(&self, begin: Begin) -> Result<Session, StoreError> {
        let mut session = self.session().await?;
        session.begin(begin).await.map_err(|error| self.error(error))?;
        Ok(session)
    }

    /// Begins to write, into tables whose version this program knows.
    pub(super) async fn begin_write(&self) -> Result<Session, StoreError> {
        let mut session = self.begin(Begin::Write).await?;
        match migrate::version(&mut session).await {
            Ok(_) => Ok(session),
            Err(error) => self.give_back(session, Err(error)).await,
        }
    }

    /// Ends a transaction: COMMIT after success, ROLLBACK after anything else.
    ///
    /// After a conflict the connection is sound: it is rolled back explicitly (error 1205 undoes only the statement)
    /// and lent again. After any other error it is closed: whether it lost its server, leads to one that only reads
    /// now, or was in the middle of a COMMIT, a fresh one is certain.
    pub(super) async fn finish<T>(&self, mut session: Session, outcome: SqlResult<T>) -> Result<T, StoreError> {
        let outcome = match outcome {
            Ok(value) => session.commit().await.map(|()| value),
            Err(error) => Err(error),
        };
        self.give_back(session, outcome).await
    }

    pub(super) async fn give_back<T>(&self, mut session: Session, outcome: SqlResult<T>) -> Result<T, StoreError> {
        match &outcome {
            Ok(_) => session.release(),
            Err(error) if error.class == Class::Conflict => {
                if session.rollback().await.is_ok() {
                    session.release();
                }
            }
            Err(_) => drop(session),
        }
        outcome.map_err(|error| self.error(error))
    }

    pub(super) fn error(&self, error: SqlError) -> StoreError {
        store_error(&self.label, error)
    }

    /// The transaction that counts, from its first statement to its end: COMMIT, or ROLLBACK when content of `objects`
    /// was discarded.
    async fn count(
        &self,
        session: &mut Session,
        objects: &[ObjectRollup],
        discarded: &HashSet<ObjectId>,
    ) -> SqlResult<Round> {
        failpoint::meet("commit.begin.after")?;
        let (now, rows_max) = (now(), self.settings.upsert_rows);
        let counted = ledger::count(session, &self.plan, objects, discarded, (&now, &self.who), rows_max).await?;
        if matches!(counted, Round::Discarded(_)) {
            session.rollback().await?;
            return Ok(counted);
        }
        failpoint::meet("commit.send.before")?;
        failpoint::in_flight("commit.sent", session.commit()).await?;
        failpoint::meet("commit.answered")?;
        Ok(counted)
    }
}

/// The transaction that lists, from its first statement to its end: COMMIT, or ROLLBACK when the ledger holds one of
/// them. What is counted stays counted.
async fn list(
    session: &mut Session,
    failed: &[FailedObject],
    notices_every: Option<Duration>,
) -> SqlResult<Vec<Quarantined>> {
    failpoint::meet("quarantine.begin.after")?;
    let found = quarantine::list(session, failed, &now(), notices_every).await?;
    if found.contains(&Quarantined::AlreadyCounted) {
        session.rollback().await?;
        return Ok(found);
    }
    failpoint::meet("quarantine.send.before")?;
    failpoint::in_flight("quarantine.sent", session.commit()).await?;
    failpoint::meet("quarantine.answered")?;
    Ok(found)
}

#[async_trait]
impl Store for SqlStore {
    async fn commit(&self, objects: &[ObjectRollup]) -> Result<Vec<Counted>, StoreError> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let mut discarded = HashSet::new();
        loop {
            failpoint::meet("commit.begin.before").map_err(|injected| self.error(injected.into()))?;
            let mut session = self.begin_write().await?;
            let outcome = self.count(&mut session, objects, &discarded).await;
            match self.give_back(session, outcome).await? {
                Round::Counted(counted) => return Ok(counted),
                // Everything was undone: count the others again.
                Round::Discarded(found) => discarded.extend(found),
            }
        }
    }

    async fn quarantine(&self, failed: &[FailedObject]) -> Result<Vec<Quarantined>, StoreError> {
        let mut outcomes = vec![Quarantined::Listed; failed.len()];
        loop {
            let open: Vec<usize> = (0..failed.len()).filter(|&at| outcomes[at] == Quarantined::Listed).collect();
            if open.is_empty() {
                return Ok(outcomes);
            }
            let listed: Vec<FailedObject> = open.iter().map(|&at| failed[at].clone()).collect();
            failpoint::meet("quarantine.begin.before").map_err(|injected| self.error(injected.into()))?;
            let mut session = self.begin_write().await?;
            let found = list(&mut session, &listed, self.settings.failures_every).await;
            let found = self.give_back(session, found).await?;
            let undone = found.contains(&Quarantined::AlreadyCounted);
            let settled = |outcome: &Quarantined| !undone || *outcome == Quarantined::AlreadyCounted;
            let settled = open.iter().zip(found).filter(|(_, outcome)| settled(outcome));
            settled.for_each(|(&at, outcome)| outcomes[at] = outcome);
            if !undone {
                return Ok(outcomes);
            }
            // The listing of all was undone: list the others again.
        }
    }

    async fn metadata(&self) -> Result<Metadata, StoreError> {
        failpoint::meet("metadata.read.before").map_err(|injected| self.error(injected.into()))?;
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = metadata::read(&mut session, &self.settings).await;
        let metadata = self.finish(session, outcome).await?;
        failpoint::meet("metadata.read.after").map_err(|injected| self.error(injected.into()))?;
        Ok(metadata)
    }
}

fn store_error(label: &str, error: SqlError) -> StoreError {
    let (database, problem) = (label.to_owned(), error.problem);
    match error.class {
        Class::Unavailable => StoreError::Unavailable { database, problem },
        Class::Conflict => StoreError::Conflict { database, problem },
        Class::OutOfRange => StoreError::OutOfRange { database, problem },
        Class::Schema => StoreError::Schema { database, problem },
        Class::Refused => StoreError::Refused { database, problem },
        Class::Metadata => StoreError::Metadata { database, problem },
        // The ledger handles its own: anywhere else a table has a key that is not ours.
        Class::Duplicate => StoreError::Schema {
            database,
            problem: format!(
                "{problem}: rows of the ledger and of its tables do not belong together; run `xc2-analyzer audit`"
            ),
        },
    }
}

/// Now, as it is stored.
pub(super) fn now() -> String {
    as_stored(Timestamp::now())
}

/// In UTC, as `DATETIME(6)` is written.
pub(super) fn as_stored(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// Runs work that keeps the processor busy (merging a million cells) without keeping other tasks of this thread
/// waiting, where the runtime has other threads.
pub(super) fn on_this_thread<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
