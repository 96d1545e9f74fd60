//! MySQL and MariaDB: connections, and the verbs of a session on one of them.

use std::future::Future;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Params, Value as Wire};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::dialect::Dialect;
use super::mysql_errors::classify;
use super::mysql_settings::{complete, proven, silence_max};
use super::session::{Begin, Class, Row, SqlError, SqlResult, Value};
use super::settings::StoreSettings;
use crate::model::{Micros, ReportDate};

/// A connection that was idle for longer is asked whether it still lives before it gets a transaction.
const IDLE_UNCHECKED_MAX: Duration = Duration::from_secs(20);
/// How long saying goodbye to a server may take.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The connections to one server: few, since there is one writer.
///
/// The driver's own pool tidies up a connection and then lends it again. Here a connection that saw an error is
/// closed instead, since after one nothing about it is certain: which transaction is open, which server it leads to.
pub(super) struct MysqlPool {
    opts: Opts,
    dialect: Dialect,
    connect_timeout: Duration,
    statement_timeout: Duration,
    idle: Arc<Mutex<Vec<Idle>>>,
    room: Arc<Semaphore>,
}

struct Idle {
    conn: Conn,
    since: Instant,
}

impl MysqlPool {
    /// Connects once, so that a wrong password or host is known now.
    pub async fn open(opts: &Opts, ca: Option<&Path>, settings: &StoreSettings) -> SqlResult<MysqlPool> {
        let mut pool = MysqlPool {
            opts: complete(opts, ca, settings.statement_timeout)?,
            dialect: Dialect::MySql,
            connect_timeout: settings.connect_timeout,
            statement_timeout: settings.statement_timeout,
            idle: Arc::default(),
            room: Arc::new(Semaphore::new(settings.connections_max.max(1))),
        };
        let mut session = pool.session().await?;
        let version = session.query("SELECT VERSION()", Vec::new(), 1).await?;
        pool.dialect = dialect_of(&version[0].text(0)?)?;
        session.release();
        Ok(pool)
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub async fn session(&self) -> SqlResult<MysqlSession> {
        let late = |_| SqlError::new(Class::Unavailable, "all connections of this program stayed busy");
        let permit = timeout(self.statement_timeout, self.room.clone().acquire_owned()).await.map_err(late)?;
        let permit = permit.map_err(|_| SqlError::new(Class::Unavailable, "the store is closed"))?;
        let conn = match self.living().await {
            Some(conn) => conn,
            None => self.connect().await?,
        };
        Ok(MysqlSession {
            conn: Some(conn),
            dialect: self.dialect,
            statement_timeout: self.statement_timeout,
            idle: self.idle.clone(),
            _permit: permit,
        })
    }

    /// An idle connection that still answers.
    async fn living(&self) -> Option<Conn> {
        loop {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if idle.since.elapsed() < IDLE_UNCHECKED_MAX.min(silence_max(self.statement_timeout) / 2) {
                return Some(idle.conn);
            }
            match timeout(self.connect_timeout, idle.conn.ping()).await {
                Ok(Ok(())) => return Some(idle.conn),
                _ => hang_up(idle.conn),
            }
        }
    }

    async fn connect(&self) -> SqlResult<Conn> {
        let problem = |problem: String| SqlError::new(Class::Unavailable, problem);
        let Ok(connected) = timeout(self.connect_timeout, Conn::new(self.opts.clone())).await else {
            return Err(problem(format!(
                "no answer within {:?}: is the server up and reachable?",
                self.connect_timeout
            )));
        };
        let mut conn = connected.map_err(|error| match classify(&error) {
            SqlError { class: Class::Unavailable, problem: text } => problem(format!("can't connect: {text}")),
            other => other,
        })?;
        within(self.connect_timeout, proven(&mut conn)).await??;
        Ok(conn)
    }
}

fn dialect_of(version: &str) -> SqlResult<Dialect> {
    let old = |wanted: &str| {
        let problem = format!("the server is {version}: {wanted} is needed for a collation that keeps keys apart");
        Err(SqlError::new(Class::Refused, problem))
    };
    let numbers: Vec<u32> = version.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
    if version.contains("MariaDB") {
        // Some of them put a "5.5.5-" in front, for clients that know no version 10.
        let numbers = numbers.strip_prefix(&[5, 5, 5]).unwrap_or(&numbers);
        if numbers < &[10, 3] { old("MariaDB 10.3 or later") } else { Ok(Dialect::MariaDb) }
    } else if numbers.as_slice() < &[8, 0, 17] && !version.contains("aurora") {
        old("MySQL 8.0.17 or later")
    } else {
        Ok(Dialect::MySql)
    }
}

/// Closes a connection without waiting for it. `Conn`'s own drop would wait for the answer to what it was doing, and
/// keep the locks of its transaction for as long.
fn hang_up(conn: Conn) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let _ = timeout(DISCONNECT_TIMEOUT, conn.disconnect()).await;
        });
    }
}

/// A connection on loan. Dropped, it is closed, and the server rolls back what was open.
pub(super) struct MysqlSession {
    conn: Option<Conn>,
    dialect: Dialect,
    statement_timeout: Duration,
    idle: Arc<Mutex<Vec<Idle>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for MysqlSession {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        hang_up(conn);
        // The idle ones lead to the same server: after a failover each would cost another failed attempt.
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        idle.into_iter().for_each(|idle| hang_up(idle.conn));
    }
}

impl MysqlSession {
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub fn set_statement_timeout(&mut self, timeout: Duration) {
        self.statement_timeout = timeout;
    }

    pub fn release(mut self) {
        if let Some(conn) = self.conn.take() {
            let idle = Idle { conn, since: Instant::now() };
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
    }

    pub async fn run(&mut self, sql: &str) -> SqlResult<()> {
        let (conn, limit) = self.conn()?;
        within(limit, conn.query_drop(sql)).await
    }

    pub async fn execute(&mut self, sql: &str, params: Vec<Value>) -> SqlResult<u64> {
        let (conn, limit) = self.conn()?;
        within(limit, conn.exec_drop(sql, wire_params(params))).await?;
        Ok(conn.affected_rows())
    }

    /// The rows of a SELECT; an error when there are more than `rows_max`.
    pub async fn query(&mut self, sql: &str, params: Vec<Value>, rows_max: usize) -> SqlResult<Vec<Row>> {
        let (conn, limit) = self.conn()?;
        let read = async {
            let mut result = conn.exec_iter(sql, wire_params(params)).await?;
            let mut rows = Vec::new();
            while let Some(row) = result.next().await? {
                if rows.len() == rows_max {
                    return Ok(None);
                }
                rows.push(row_of(row));
            }
            result.drop_result().await?;
            Ok(Some(rows))
        };
        within(limit, read).await?.ok_or_else(|| too_many(rows_max))
    }

    /// The time limit is that of each wait for the server: what `step` takes is not its fault.
    pub async fn fold<T>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        mut state: T,
        mut step: impl FnMut(&mut T, Row) -> SqlResult<ControlFlow<()>>,
    ) -> SqlResult<(T, ControlFlow<()>)> {
        let (conn, limit) = self.conn()?;
        let mut result = within(limit, conn.exec_iter(sql, wire_params(params))).await?;
        while let Some(row) = within(limit, result.next()).await? {
            if step(&mut state, row_of(row))?.is_break() {
                return Ok((state, ControlFlow::Break(())));
            }
        }
        within(limit, result.drop_result()).await?;
        Ok((state, ControlFlow::Continue(())))
    }

    pub async fn begin(&mut self, begin: Begin) -> SqlResult<()> {
        if begin == Begin::Write {
            return self.run("START TRANSACTION").await;
        }
        // For the next transaction only: the session stays READ COMMITTED.
        self.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await
    }

    pub async fn rollback(&mut self) -> SqlResult<()> {
        self.run("ROLLBACK").await
    }

    fn conn(&mut self) -> SqlResult<(&mut Conn, Duration)> {
        let limit = self.statement_timeout;
        let lost = || SqlError::new(Class::Unavailable, "the connection is closed");
        self.conn.as_mut().map(|conn| (conn, limit)).ok_or_else(lost)
    }
}

pub(super) fn too_many(rows_max: usize) -> SqlError {
    SqlError::new(Class::Metadata, format!("the query returns more than {rows_max} rows"))
}

async fn within<T>(limit: Duration, work: impl Future<Output = mysql_async::Result<T>>) -> SqlResult<T> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(|error| classify(&error)),
        Err(_) => Err(SqlError::new(Class::Unavailable, format!("no answer to a statement within {limit:?}"))),
    }
}

fn wire_params(params: Vec<Value>) -> Params {
    if params.is_empty() { Params::Empty } else { Params::Positional(params.into_iter().map(wire).collect()) }
}

fn wire(value: Value) -> Wire {
    match value {
        Value::Null => Wire::NULL,
        Value::Int(value) => Wire::Int(value),
        Value::Text(text) => Wire::Bytes(text.as_bytes().to_vec()),
        Value::Bytes(bytes) => Wire::Bytes(bytes),
        // As text: the column's DECIMAL takes it exactly.
        Value::Micros(micros) => Wire::Bytes(Micros(micros).to_string().into_bytes()),
        Value::Date(date) => {
            let date = date.to_date();
            Wire::Date(date.year() as u16, date.month() as u8, date.day() as u8, 0, 0, 0, 0)
        }
    }
}

/// The number of the character set that means "bytes, no text".
const BINARY_CHARSET: u16 = 63;

fn row_of(row: mysql_async::Row) -> Row {
    let columns = row.columns();
    Row(row.unwrap().into_iter().zip(columns.iter()).map(|(value, column)| value_of(value, column)).collect())
}

fn value_of(value: Wire, column: &mysql_async::Column) -> Value {
    use ColumnType::*;
    match value {
        Wire::NULL => Value::Null,
        Wire::Int(value) => Value::Int(value),
        Wire::UInt(value) => i64::try_from(value).map_or_else(|_| Value::text(&value.to_string()), Value::Int),
        // Rust prints the shortest text that reads back as the same number.
        Wire::Float(value) => Value::text(&value.to_string()),
        Wire::Double(value) => Value::text(&value.to_string()),
        Wire::Bytes(bytes) => {
            let holds_bytes = matches!(
                column.column_type(),
                MYSQL_TYPE_STRING | MYSQL_TYPE_VAR_STRING | MYSQL_TYPE_VARCHAR | MYSQL_TYPE_BLOB
            ) && column.character_set() == BINARY_CHARSET;
            match String::from_utf8(bytes) {
                Ok(text) if !holds_bytes => Value::Text(text.into()),
                Ok(text) => Value::Bytes(text.into_bytes()),
                Err(error) => Value::Bytes(error.into_bytes()),
            }
        }
        Wire::Date(year, month, day, ..) if column.column_type() == MYSQL_TYPE_DATE => {
            match jiff::civil::Date::new(year as i16, month as i8, day as i8) {
                Ok(date) => Value::Date(ReportDate::of(date)),
                Err(_) => Value::text(&format!("{year:04}-{month:02}-{day:02}")),
            }
        }
        Wire::Date(year, month, day, hour, minute, second, micros) => {
            Value::text(&format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}"))
        }
        Wire::Time(..) => Value::text(&value.as_sql(false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("10.11.6-MariaDB-0+deb12u1", Some(Dialect::MariaDb))]
    #[case("5.5.5-10.11.6-MariaDB", Some(Dialect::MariaDb))]
    #[case("8.0.36", Some(Dialect::MySql))]
    #[case("9.7.0-commercial", Some(Dialect::MySql))]
    #[case("8.0.mysql_aurora.3.05.2", Some(Dialect::MySql))]
    #[case("5.7.44-log", None)]
    #[case("10.1.48-MariaDB", None)]
    fn version_names_the_dialect(#[case] version: &str, #[case] dialect: Option<Dialect>) {
        assert_eq!(dialect_of(version).ok(), dialect);
    }
}
