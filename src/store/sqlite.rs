//! SQLite: one connection behind a mutex, used on a thread that may block.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, InterruptHandle, ffi};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::dialect::Dialect;
use super::mysql::too_many;
use super::session::{Begin, Class, Row, SqlError, SqlResult, Value};
use super::settings::StoreSettings;

/// How long to wait for another process that writes, before it counts as a conflict.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Statements that stay prepared: six sizes of each upsert.
const PREPARED_STATEMENTS_MAX: usize = 128;

/// WAL lets readers and the one writer work side by side. With `synchronous = FULL` a COMMIT has reached the disk
/// when it returns; WAL's usual NORMAL may lose the last commits with the power, after their messages are deleted.
const SET_UP: &str = "-- sqlite set up
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;";

pub(super) struct SqlitePool {
    connection: Arc<Mutex<Connection>>,
    interrupt: Arc<InterruptHandle>,
    statement_timeout: Duration,
}

impl SqlitePool {
    pub async fn open(path: &Path, settings: &StoreSettings) -> SqlResult<SqlitePool> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let problem = format!("there is no folder {}: create it, or correct [store] url", folder.display());
            return Err(SqlError::new(Class::Refused, problem));
        }
        if !settings.create && !path.exists() {
            let problem =
                format!("there is no file {}: correct [store] url, or run `xc2-analyzer migrate`", path.display());
            return Err(SqlError::new(Class::Refused, problem));
        }
        let (path, busy) = (path.to_owned(), settings.statement_timeout.min(BUSY_TIMEOUT_MAX));
        let opened = tokio::task::spawn_blocking(move || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            connection.busy_timeout(busy)?;
            connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS_MAX);
            connection.execute_batch(SET_UP)?;
            Ok(connection)
        });
        let connection = opened.await.map_err(broken_thread)?.map_err(|error| classify(&error))?;
        Ok(SqlitePool {
            interrupt: Arc::new(connection.get_interrupt_handle()),
            connection: Arc::new(Mutex::new(connection)),
            statement_timeout: settings.statement_timeout,
        })
    }

    pub async fn session(&self) -> SqlResult<SqliteSession> {
        let late = |_| SqlError::new(Class::Unavailable, "the database stayed busy with another task of this program");
        let guard = timeout(self.statement_timeout, self.connection.clone().lock_owned()).await.map_err(late)?;
        Ok(SqliteSession {
            held: Some(Held(guard)),
            interrupt: self.interrupt.clone(),
            statement_timeout: self.statement_timeout,
        })
    }
}

/// The connection while it is ours. However it is let go of (an error, a dropped future, a panic), no transaction
/// stays open behind.
struct Held(OwnedMutexGuard<Connection>);

impl Drop for Held {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // A rollback that fails leaves the transaction to the next statement, which reports it.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

pub(super) struct SqliteSession {
    held: Option<Held>,
    interrupt: Arc<InterruptHandle>,
    statement_timeout: Duration,
}

impl SqliteSession {
    pub fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    pub fn set_statement_timeout(&mut self, timeout: Duration) {
        self.statement_timeout = timeout;
    }

    pub fn release(self) {}

    pub async fn run(&mut self, sql: &str) -> SqlResult<()> {
        let sql = sql.to_owned();
        self.on_thread(move |connection| connection.execute_batch(&sql)).await
    }

    pub async fn execute(&mut self, sql: &str, params: Vec<Value>) -> SqlResult<u64> {
        let sql = sql.to_owned();
        let work = move |connection: &Connection| {
            connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(params.iter().map(Param)))
        };
        Ok(self.on_thread(work).await? as u64)
    }

    /// The rows of a SELECT; an error when there are more than `rows_max`.
    pub async fn query(&mut self, sql: &str, params: Vec<Value>, rows_max: usize) -> SqlResult<Vec<Row>> {
        let sql = sql.to_owned();
        let work = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            // MySQL's read-only transactions refuse a configured query that writes; here the statement is asked.
            if !statement.readonly() {
                return Err(rusqlite::Error::InvalidQuery);
            }
            let columns = statement.column_count();
            let mut result = statement.query(rusqlite::params_from_iter(params.iter().map(Param)))?;
            let mut rows = Vec::new();
            while let Some(row) = result.next()? {
                if rows.len() == rows_max {
                    return Ok(None);
                }
                rows.push(row_of(row, columns)?);
            }
            Ok(Some(rows))
        };
        self.on_thread(work).await?.ok_or_else(|| too_many(rows_max))
    }

    pub async fn fold<T: Send + 'static>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        mut state: T,
        mut step: impl FnMut(&mut T, Row) -> SqlResult<ControlFlow<()>> + Send + 'static,
    ) -> SqlResult<(T, ControlFlow<()>)> {
        let sql = sql.to_owned();
        let work = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let columns = statement.column_count();
            let mut result = statement.query(rusqlite::params_from_iter(params.iter().map(Param)))?;
            while let Some(row) = result.next()? {
                match step(&mut state, row_of(row, columns)?) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(flow) => return Ok(Ok((state, flow))),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok((state, ControlFlow::Continue(()))))
        };
        self.on_thread(work).await?
    }

    pub async fn begin(&mut self, begin: Begin) -> SqlResult<()> {
        match begin {
            Begin::Write => self.run("BEGIN IMMEDIATE").await,
            // The first statement after it opens the view.
            Begin::Snapshot => self.run("BEGIN DEFERRED").await,
        }
    }

    pub async fn rollback(&mut self) -> SqlResult<()> {
        self.on_thread(
            |connection| {
                if connection.is_autocommit() { Ok(()) } else { connection.execute_batch("ROLLBACK") }
            },
        )
        .await
    }

    async fn on_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> SqlResult<T> {
        let held = self.held.take().ok_or_else(|| SqlError::new(Class::Unavailable, "the connection is closed"))?;
        // The connection travels with the work, so that it is let go of properly even when nobody awaits the end.
        let mut task = tokio::task::spawn_blocking(move || {
            let outcome = work(&held.0);
            (held, outcome)
        });
        let (joined, in_time) = match timeout(self.statement_timeout, &mut task).await {
            Ok(joined) => (joined, true),
            Err(_) => {
                self.interrupt.interrupt();
                (task.await, false)
            }
        };
        let (held, outcome) = joined.map_err(broken_thread)?;
        self.held = Some(held);
        if !in_time {
            let problem = format!("a statement took longer than {:?}", self.statement_timeout);
            return Err(SqlError::new(Class::Unavailable, problem));
        }
        outcome.map_err(|error| classify(&error))
    }
}

fn broken_thread(error: tokio::task::JoinError) -> SqlError {
    SqlError::new(Class::Unavailable, format!("the database thread ended: {error}"))
}

struct Param<'a>(&'a Value);

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Int(value) | Value::Micros(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Date(date) => ToSqlOutput::Owned(date.to_string().into()),
        })
    }
}

fn row_of(row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<Row> {
    (0..columns).map(|at| row.get_ref(at).map(value_of)).collect::<rusqlite::Result<_>>().map(Row)
}

fn value_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::text(&value.to_string()),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::text(text),
            Err(_) => Value::Bytes(bytes.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

/// What an error of SQLite means for us; the rules are those of [`super::mysql_errors`].
fn classify(error: &rusqlite::Error) -> SqlError {
    let rusqlite::Error::SqliteFailure(ffi::Error { code, extended_code }, message) = error else {
        return SqlError::new(Class::Refused, error.to_string());
    };
    let message = message.clone().unwrap_or_else(|| error.to_string());
    let (class, advice) = match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (Class::Conflict, ""),
        ErrorCode::DiskFull => (Class::Unavailable, ": make room on the disk, nothing is lost"),
        ErrorCode::OperationInterrupted | ErrorCode::OutOfMemory | ErrorCode::SystemIoFailure => {
            (Class::Unavailable, "")
        }
        ErrorCode::TooBig => (Class::Unavailable, ": lower [store] upsert_rows"),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            (Class::Refused, ": check the owner and the permissions of the file and its folder")
        }
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
            (Class::Refused, ": correct [store] url, or restore the file from a copy")
        }
        ErrorCode::ConstraintViolation => constraint(*extended_code, &message),
        ErrorCode::SchemaChanged | ErrorCode::TypeMismatch => (Class::Schema, ""),
        ErrorCode::Unknown => unspecific(&message),
        _ => (Class::Refused, ""),
    };
    SqlError::new(class, format!("{message}{advice}"))
}

fn constraint(extended_code: i32, message: &str) -> (Class, &'static str) {
    match extended_code {
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_ROWID => {
            (Class::Duplicate, "")
        }
        // An integer sum beyond 64 bits becomes a REAL, which a STRICT table refuses.
        ffi::SQLITE_CONSTRAINT_DATATYPE if message.contains("REAL value in INTEGER") => (Class::OutOfRange, ""),
        _ => (Class::Schema, ": run `xc2-analyzer migrate`"),
    }
}

/// SQLite has one code for "SQL error": its words tell which.
fn unspecific(message: &str) -> (Class, &'static str) {
    if message.contains("integer overflow") {
        (Class::OutOfRange, "")
    } else if ["no such table", "no such column", "has no column"].iter().any(|text| message.contains(text)) {
        (Class::Schema, ": run `xc2-analyzer migrate`")
    } else {
        (Class::Refused, "")
    }
}
