//! Reading the list of failed objects.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::StoreError;
use super::ledger::IDS_MAX;
use super::session::{Begin, Class, Row, Session, SqlError, SqlResult, Value};
use super::sql_store::{SqlStore, as_stored};
use super::upsert::chunk_sizes;
use crate::model::{FailureKind, ObjectId};

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
    pub bucket: Option<String>,
    /// Of the key.
    pub prefix: Option<String>,
    /// Last seen at this moment or later.
    pub since: Option<Timestamp>,
    /// Last seen before this moment.
    pub before: Option<Timestamp>,
    pub which: Option<Which>,
    /// At most so many.
    pub limit: Option<u64>,
    /// The failure that was last seen longest ago comes first, instead of the newest.
    pub oldest_first: bool,
}

/// Named objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of these ids.
    Ids(Vec<ObjectId>),
    /// Those whose key, or whose id in hexadecimal, begins so.
    Begins(String),
}

/// The primary key of a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailedKey {
    pub id: ObjectId,
    pub generation: String,
}

/// One row of `failed_object`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRow {
    pub id: ObjectId,
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
    /// When, and by whom, it was resolved or discarded.
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
    /// Why; also of earlier decisions.
    pub note: Option<String>,
    /// Where a copy of the content is.
    pub copied_to: Option<String>,
    /// Why the newest copy was not made.
    pub copy_problem: Option<String>,
}

impl FailedRow {
    pub fn listing(&self) -> FailedKey {
        FailedKey { id: self.id, generation: self.generation.clone() }
    }
}

/// Listings of one kind and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTotal {
    pub kind: String,
    pub state: FailedState,
    pub listings: u64,
}

/// What the ledger holds of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedRow {
    pub version_id: Option<String>,
    pub etag: Option<String>,
    pub bytes: i64,
    pub rows: i64,
    pub batch_id: String,
    pub committed_at: Timestamp,
}

impl SqlStore {
    /// Failed objects, the newest failure first.
    pub async fn failed(&self, filter: &FailedFilter) -> Result<Vec<FailedRow>, StoreError> {
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = read(&mut session, filter).await;
        self.finish(session, outcome).await
    }

    /// How many there are by kind and state, whatever the filter's limit.
    pub async fn failed_totals(&self, filter: &FailedFilter) -> Result<Vec<FailedTotal>, StoreError> {
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = totals(&mut session, filter).await;
        self.finish(session, outcome).await
    }

    /// The ledger's rows of these objects, of those that it holds.
    pub async fn counted(&self, ids: &[ObjectId]) -> Result<HashMap<ObjectId, CountedRow>, StoreError> {
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = counted(&mut session, ids).await;
        self.finish(session, outcome).await
    }
}

const SELECT_FAILED: &str = "-- failed objects
SELECT object_id, bucket, object_key, generation, version_id, etag, kind, reason, attempts, first_seen, last_seen,
       message_body, state, resolved_at, resolved_by, note, copied_to, copy_problem
FROM failed_object";

async fn read(session: &mut Session, filter: &FailedFilter) -> SqlResult<Vec<FailedRow>> {
    let (conditions, params) = conditions(filter);
    let limit = filter.limit.map(|limit| format!("\nLIMIT {limit}")).unwrap_or_default();
    let order = if filter.oldest_first { "ASC" } else { "DESC" };
    let sql = format!(
        "{SELECT_FAILED}\nWHERE {conditions}\nORDER BY last_seen {order}, bucket, object_key, generation{limit}"
    );
    session.query(&sql, params).await?.iter().map(failed_row).collect()
}

async fn totals(session: &mut Session, filter: &FailedFilter) -> SqlResult<Vec<FailedTotal>> {
    let (conditions, params) = conditions(filter);
    let sql = format!(
        "-- totals of failed objects\nSELECT kind, state, COUNT(*) FROM failed_object\nWHERE {conditions}\n\
         GROUP BY kind, state ORDER BY COUNT(*) DESC, kind, state"
    );
    let total = |row: &Row| {
        let listings = u64::try_from(row.int(2)?).unwrap_or(0);
        Ok(FailedTotal { kind: row.text(0)?.to_string(), state: state(&row.text(1)?)?, listings })
    };
    session.query(&sql, params).await?.iter().map(total).collect()
}

/// What follows WHERE.
fn conditions(filter: &FailedFilter) -> (String, Vec<Value>) {
    let (mut conditions, mut params) = (vec!["1 = 1".to_owned()], Vec::new());
    let mut add = |condition: &str, values: Vec<Value>| {
        conditions.push(condition.to_owned());
        params.extend(values);
    };
    if let Some(state) = filter.state {
        add("state = ?", vec![Value::text(state.name())]);
    }
    if let Some(kind) = filter.kind {
        add("kind = ?", vec![Value::text(kind.name())]);
    }
    if let Some(bucket) = &filter.bucket {
        add("bucket = ?", vec![Value::text(bucket)]);
    }
    // No LIKE: its case and its wildcards differ from database to database.
    let begins = |text: &str| vec![Value::Int(text.chars().count() as i64), Value::text(text)];
    if let Some(prefix) = &filter.prefix {
        add("SUBSTR(object_key, 1, ?) = ?", begins(prefix));
    }
    if let Some(since) = filter.since {
        add("last_seen >= ?", vec![Value::text(&as_stored(since))]);
    }
    if let Some(before) = filter.before {
        add("last_seen < ?", vec![Value::text(&as_stored(before))]);
    }
    match &filter.which {
        None => {}
        Some(Which::Ids(ids)) => {
            // An empty list is no SQL; a list of NULL holds nothing.
            let places = if ids.is_empty() { "NULL".to_owned() } else { vec!["?"; ids.len()].join(", ") };
            let ids = ids.iter().map(|id| Value::Bytes(id.0.to_vec()));
            add(&format!("object_id IN ({places})"), ids.collect());
        }
        Some(Which::Begins(text)) => {
            let values = [begins(text), begins(&text.to_uppercase())].concat();
            add("(SUBSTR(object_key, 1, ?) = ? OR SUBSTR(HEX(object_id), 1, ?) = ?)", values);
        }
    }
    (conditions.join(" AND "), params)
}

fn failed_row(row: &Row) -> SqlResult<FailedRow> {
    let text = |at| row.text(at).map(|text| text.to_string());
    let text_or_null = |at| row.text_or_null(at).map(|text| text.map(|text| text.to_string()));
    Ok(FailedRow {
        id: ObjectId(row.hash(0)?),
        bucket: text(1)?,
        key: text(2)?,
        generation: text(3)?,
        version_id: text_or_null(4)?,
        etag: text_or_null(5)?,
        kind: text(6)?,
        reason: text(7)?,
        attempts: row.int(8)?,
        first_seen: timestamp(&row.text(9)?)?,
        last_seen: timestamp(&row.text(10)?)?,
        message_body: text(11)?,
        state: state(&row.text(12)?)?,
        resolved_at: row.text_or_null(13)?.map(|text| timestamp(&text)).transpose()?,
        resolved_by: text_or_null(14)?,
        note: text_or_null(15)?,
        copied_to: text_or_null(16)?,
        copy_problem: text_or_null(17)?,
    })
}

fn state(name: &str) -> SqlResult<FailedState> {
    FailedState::named(name).ok_or_else(|| {
        SqlError::new(Class::Schema, format!("failed_object holds the state {name:?}, which this program lacks"))
    })
}

async fn counted(session: &mut Session, ids: &[ObjectId]) -> SqlResult<HashMap<ObjectId, CountedRow>> {
    let (mut counted, mut rest) = (HashMap::new(), ids.iter());
    for size in chunk_sizes(ids.len(), IDS_MAX) {
        let sql = format!(
            "-- counted objects\nSELECT object_id, version_id, etag, bytes, `rows`, batch_id, committed_at\n\
             FROM processed_object WHERE object_id IN ({})",
            vec!["?"; size].join(", ")
        );
        let params = rest.by_ref().take(size).map(|id| Value::Bytes(id.0.to_vec())).collect();
        for row in session.query(&sql, params).await? {
            let text_or_null = |at| row.text_or_null(at).map(|text| text.map(|text| text.to_string()));
            let object = CountedRow {
                version_id: text_or_null(1)?,
                etag: text_or_null(2)?,
                bytes: row.int(3)?,
                rows: row.int(4)?,
                batch_id: row.text(5)?.to_string(),
                committed_at: timestamp(&row.text(6)?)?,
            };
            counted.insert(ObjectId(row.hash(0)?), object);
        }
    }
    Ok(counted)
}

/// Reads what [`as_stored`] wrote.
pub(super) fn timestamp(text: &str) -> SqlResult<Timestamp> {
    let wrong = |_| SqlError::new(Class::Schema, format!("{text:?} is not a point in time"));
    let civil: DateTime = text.parse().map_err(wrong)?;
    Ok(civil.to_zoned(TimeZone::UTC).map_err(wrong)?.timestamp())
}
