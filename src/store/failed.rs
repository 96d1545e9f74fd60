//! Reading the list of failed objects.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::StoreError;
use super::session::{Begin, Class, Row, Session, SqlError, SqlResult, Value};
use super::sql_store::SqlStore;
use crate::model::FailureKind;

/// What became of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedState {
    Open,
    /// The object was counted after all.
    Resolved,
    /// An operator decided that it will not be.
    Discarded,
}

impl FailedState {
    pub const ALL: [FailedState; 3] = [FailedState::Open, FailedState::Resolved, FailedState::Discarded];

    pub fn name(self) -> &'static str {
        match self {
            FailedState::Open => "open",
            FailedState::Resolved => "resolved",
            FailedState::Discarded => "discarded",
        }
    }

    pub fn named(name: &str) -> Option<FailedState> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Which listings to read. Nothing set: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedFilter {
    pub state: Option<FailedState>,
    pub kind: Option<FailureKind>,
    /// Of the key.
    pub prefix: Option<String>,
    /// The newest so many.
    pub limit: Option<u64>,
}

/// One row of `failed_object`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRow {
    pub bucket: String,
    pub key: String,
    /// The ETag, else the version, else empty.
    pub generation: String,
    pub version_id: Option<String>,
    pub etag: Option<String>,
    /// A [`FailureKind`]'s name.
    pub kind: String,
    pub reason: String,
    pub attempts: i64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub message_body: String,
    pub state: FailedState,
    pub resolved_at: Option<Timestamp>,
}

impl SqlStore {
    /// Failed objects, the newest failure first.
    pub async fn failed(&self, filter: &FailedFilter) -> Result<Vec<FailedRow>, StoreError> {
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = read(&mut session, filter).await;
        self.finish(session, outcome).await
    }
}

const SELECT_FAILED: &str = "-- failed objects
SELECT bucket, object_key, generation, version_id, etag, kind, reason, attempts, first_seen, last_seen,
       message_body, state, resolved_at
FROM failed_object";

async fn read(session: &mut Session, filter: &FailedFilter) -> SqlResult<Vec<FailedRow>> {
    let (mut conditions, mut params) = (vec!["1 = 1"], Vec::new());
    if let Some(state) = filter.state {
        conditions.push("state = ?");
        params.push(Value::text(state.name()));
    }
    if let Some(kind) = filter.kind {
        conditions.push("kind = ?");
        params.push(Value::text(kind.name()));
    }
    if let Some(prefix) = &filter.prefix {
        // No LIKE: its case and its wildcards differ from database to database.
        conditions.push("SUBSTR(object_key, 1, ?) = ?");
        params.extend([Value::Int(prefix.chars().count() as i64), Value::text(prefix)]);
    }
    let limit = filter.limit.map(|limit| format!("\nLIMIT {limit}")).unwrap_or_default();
    let sql = format!(
        "{SELECT_FAILED}\nWHERE {}\nORDER BY last_seen DESC, bucket, object_key, generation{limit}",
        conditions.join(" AND ")
    );
    session.query(&sql, params).await?.iter().map(failed_row).collect()
}

fn failed_row(row: &Row) -> SqlResult<FailedRow> {
    let text = |at| row.text(at).map(|text| text.to_string());
    let text_or_null = |at| row.text_or_null(at).map(|text| text.map(|text| text.to_string()));
    let state = row.text(11)?;
    Ok(FailedRow {
        bucket: text(0)?,
        key: text(1)?,
        generation: text(2)?,
        version_id: text_or_null(3)?,
        etag: text_or_null(4)?,
        kind: text(5)?,
        reason: text(6)?,
        attempts: row.int(7)?,
        first_seen: timestamp(&row.text(8)?)?,
        last_seen: timestamp(&row.text(9)?)?,
        message_body: text(10)?,
        state: FailedState::named(&state).ok_or_else(|| {
            SqlError::new(Class::Schema, format!("failed_object holds the state {state:?}, which this program lacks"))
        })?,
        resolved_at: row.text_or_null(12)?.map(|text| timestamp(&text)).transpose()?,
    })
}

/// Reads what [`super::sql_store::now`] wrote.
pub(super) fn timestamp(text: &str) -> SqlResult<Timestamp> {
    let wrong = |_| SqlError::new(Class::Schema, format!("{text:?} is not a point in time"));
    let civil: DateTime = text.parse().map_err(wrong)?;
    Ok(civil.to_zoned(TimeZone::UTC).map_err(wrong)?.timestamp())
}
