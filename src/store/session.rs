//! One connection in the middle of its work, whichever database it is to: the few verbs that the protocol is written in.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::dialect::Dialect;
use super::mysql::MysqlSession;
use super::sqlite::SqliteSession;
use crate::failpoint::{Fault, Injected};
use crate::model::ReportDate;
use crate::model::micros::scaled_decimal;

/// A parameter or a result. Money is `Micros` as a parameter; as a result it is what the database makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Int(i64),
    /// Also decimals and doubles, as their exact or shortest text.
    Text(Arc<str>),
    Bytes(Vec<u8>),
    Micros(i64),
    Date(ReportDate),
}

impl Value {
    pub fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    pub fn text_or_null(text: Option<&str>) -> Value {
        text.map_or(Value::Null, Value::text)
    }
}

/// What kind of failure a database reported: what to do about it follows from this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Unavailable,
    Conflict,
    OutOfRange,
    Schema,
    Refused,
    /// A primary key that is there already: the ledger's way of saying "counted before", a defect anywhere else.
    Duplicate,
    Metadata,
}

#[derive(Clone, Debug)]
pub(super) struct SqlError {
    pub class: Class,
    pub problem: String,
}

impl SqlError {
    pub fn new(class: Class, problem: impl Into<String>) -> Self {
        Self { class, problem: problem.into() }
    }
}

impl From<Injected> for SqlError {
    fn from(injected: Injected) -> Self {
        let class = match injected.fault {
            Fault::Unavailable => Class::Unavailable,
            Fault::Conflict => Class::Conflict,
        };
        SqlError::new(class, injected.to_string())
    }
}

pub(super) type SqlResult<T> = Result<T, SqlError>;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// READ COMMITTED on MySQL; the write lock at once on SQLite, so that it is never upgraded into a deadlock.
    Write,
    /// One consistent view of everything, that writes nothing and that no writer waits for.
    Snapshot,
}

/// One connection. Dropped without [`Session::release`], it takes its open transaction with it.
pub(super) enum Session {
    Mysql(Box<MysqlSession>),
    Sqlite(SqliteSession),
}

macro_rules! either {
    ($session:expr, $inner:ident => $call:expr) => {
        match $session {
            Session::Mysql($inner) => $call,
            Session::Sqlite($inner) => $call,
        }
    };
}

impl Session {
    pub fn dialect(&self) -> Dialect {
        either!(self, session => session.dialect())
    }

    /// Runs a statement without parameters or result, unprepared: DDL and transaction control.
    pub async fn run(&mut self, sql: &str) -> SqlResult<()> {
        either!(self, session => session.run(sql).await)
    }

    /// Runs a prepared statement; the number of rows it touched.
    pub async fn execute(&mut self, sql: &str, params: Vec<Value>) -> SqlResult<u64> {
        either!(self, session => session.execute(sql, params).await)
    }

    pub async fn query(&mut self, sql: &str, params: Vec<Value>) -> SqlResult<Vec<Row>> {
        either!(self, session => session.query(sql, params, usize::MAX).await)
    }

    /// As `query`, and an error when there are more rows than `rows_max`.
    pub async fn query_bounded(&mut self, sql: &str, rows_max: usize) -> SqlResult<Vec<Row>> {
        either!(self, session => session.query(sql, Vec::new(), rows_max).await)
    }

    /// Hands each row to `step` as it arrives, until it breaks; returns what `step` made of `state`. After a break a
    /// connection to a server is in the middle of a result, and fit only to be dropped.
    pub async fn fold<T: Send + 'static>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        state: T,
        step: impl FnMut(&mut T, Row) -> SqlResult<ControlFlow<()>> + Send + 'static,
    ) -> SqlResult<(T, ControlFlow<()>)> {
        either!(self, session => session.fold(sql, params, state, step).await)
    }

    pub async fn begin(&mut self, begin: Begin) -> SqlResult<()> {
        either!(self, session => session.begin(begin).await)
    }

    pub async fn commit(&mut self) -> SqlResult<()> {
        self.run("COMMIT").await
    }

    /// Legal without an open transaction too.
    pub async fn rollback(&mut self) -> SqlResult<()> {
        either!(self, session => session.rollback().await)
    }

    /// Allows single statements to take this long from here on.
    pub fn set_statement_timeout(&mut self, timeout: std::time::Duration) {
        either!(self, session => session.set_statement_timeout(timeout))
    }

    /// Gives a connection without an open transaction back for the next use.
    pub fn release(self) {
        either!(self, session => session.release())
    }
}

/// One row of a result.
#[derive(Clone, Debug)]
pub(super) struct Row(pub Vec<Value>);

impl Row {
    pub fn int(&self, at: usize) -> SqlResult<i64> {
        match &self.0[at] {
            Value::Int(value) => Ok(*value),
            Value::Text(text) => text.parse().map_err(|_| self.unexpected(at, "an integer")),
            _ => Err(self.unexpected(at, "an integer")),
        }
    }

    /// A sum as [`Dialect::wide_sum`] writes it: units of 10^-`decimals`, or halves of 32 bits, `high low`.
    pub fn wide(&self, at: usize, decimals: u32) -> SqlResult<i128> {
        let wrong = || self.unexpected(at, "a sum");
        match &self.0[at] {
            Value::Null => Ok(0),
            Value::Int(value) => Ok(i128::from(*value)),
            Value::Text(text) => match text.split_once(' ') {
                Some((high, low)) => {
                    let half = |text: &str| text.parse::<i128>().map_err(|_| wrong());
                    Ok((half(high)? << 32) + half(low)?)
                }
                None => scaled_decimal(text, decimals).ok_or_else(wrong),
            },
            _ => Err(wrong()),
        }
    }

    pub fn text(&self, at: usize) -> SqlResult<Arc<str>> {
        self.text_or_null(at)?.ok_or_else(|| self.unexpected(at, "text"))
    }

    pub fn text_or_null(&self, at: usize) -> SqlResult<Option<Arc<str>>> {
        match &self.0[at] {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text.clone())),
            Value::Int(value) => Ok(Some(value.to_string().into())),
            Value::Date(date) => Ok(Some(date.to_string().into())),
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.into())),
                Err(_) => Err(self.unexpected(at, "text")),
            },
            Value::Micros(_) => Err(self.unexpected(at, "text")),
        }
    }

    pub fn date(&self, at: usize) -> SqlResult<ReportDate> {
        match &self.0[at] {
            Value::Date(date) => Ok(*date),
            Value::Text(text) => text.parse().map_err(|_| self.unexpected(at, "a date")),
            _ => Err(self.unexpected(at, "a date")),
        }
    }

    /// SHA-256, as ids and content hashes are stored.
    pub fn hash(&self, at: usize) -> SqlResult<[u8; 32]> {
        match &self.0[at] {
            Value::Bytes(bytes) => bytes.as_slice().try_into().map_err(|_| self.unexpected(at, "32 bytes")),
            _ => Err(self.unexpected(at, "32 bytes")),
        }
    }

    fn unexpected(&self, at: usize, wanted: &str) -> SqlError {
        let found = match &self.0[at] {
            Value::Null => "NULL",
            Value::Int(_) => "an integer",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::Micros(_) => "money",
            Value::Date(_) => "a date",
        };
        SqlError::new(Class::Schema, format!("column {} of a result is {found} instead of {wanted}", at + 1))
    }
}
