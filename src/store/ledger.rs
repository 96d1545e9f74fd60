//! The transaction that counts objects: the ledger first, and only what it did not hold already is added.
//!
//! The ledger's primary key decides, never a SELECT: two transactions that count the same object both try to insert
//! its row; one waits for the other and then meets a duplicate key, or, when the other was rolled back, inserts. A
//! COMMIT whose answer was lost is therefore simply tried again: what it did, the ledger then says.

use std::collections::{HashMap, HashSet};

use super::dialect::Merge;
use super::session::{Class, Session, SqlError, SqlResult, Value};
use super::upsert::{self, Insert, chunk_sizes, out_of_range};
use super::{Counted, ObjectRollup, settle};
use crate::aggregate::{DayTotals, Overflow, Rollup};
use crate::failpoint;
use crate::model::{Generation, ObjectId};
use crate::report::Plan;

/// What a transaction that counts came to.
pub(super) enum Round {
    /// One outcome an object, in order. To be committed.
    Counted(Vec<Counted>),
    /// An operator discarded the content of these. To be rolled back, and begun again without them.
    Discarded(Vec<ObjectId>),
}

/// Everything up to, and not including, COMMIT. `discarded` are the objects that an earlier round found to be.
pub(super) async fn count(
    session: &mut Session,
    plan: &Plan,
    objects: &[ObjectRollup],
    discarded: &HashSet<ObjectId>,
    (now, who): (&str, &str),
    rows_max: usize,
) -> SqlResult<Round> {
    // Every transaction takes its locks in one order, so that two of them never wait for each other.
    let mut sorted: Vec<(ObjectId, &ObjectRollup)> = objects.iter().map(|object| (object.id(), object)).collect();
    sorted.retain(|(id, _)| !discarded.contains(id));
    sorted.sort_unstable_by_key(|(id, _)| *id);
    let before = record(session, &sorted, now, rows_max).await?;
    let (old, new): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|(id, _)| before.contains(id));
    let counted = counted_generations(session, old.iter().map(|(id, _)| *id).collect(), "").await?;
    if !new.is_empty() {
        failpoint::meet("commit.resolve.before")?;
        let discarded = settle::by_counting(session, &new, now, who).await?;
        failpoint::meet("commit.resolve.after")?;
        if !discarded.is_empty() {
            return Ok(Round::Discarded(discarded));
        }
        add(session, plan, &new, now, rows_max).await?;
    }
    let counted: SqlResult<Vec<Counted>> = objects
        .iter()
        .map(|object| match (before.contains(&object.id()), counted.get(&object.id())) {
            (false, _) if discarded.contains(&object.id()) => Ok(Counted::Discarded),
            (false, _) => Ok(Counted::Now),
            (true, Some(counted)) if counted.is_same(&object.generation) => Ok(Counted::Before),
            (true, Some(counted)) => Ok(Counted::Overwritten { counted_etag: counted.etag.clone() }),
            // Someone took the row out of the ledger between the insert and the look: ask the ledger anew.
            (true, None) => Err(SqlError::new(Class::Conflict, "a ledger row vanished while it was read")),
        })
        .collect();
    counted.map(Round::Counted)
}

const COLUMNS: [&str; 11] = [
    "object_id",
    "bucket",
    "object_key",
    "version_id",
    "etag",
    "bytes",
    "content_hash",
    "rows",
    "rejected_rows",
    "batch_id",
    "committed_at",
];

/// Writes a row that no object can have, to be rolled back. Its id is new each time, so that it waits for nobody's.
pub(super) async fn probe(session: &mut Session, now: &str) -> SqlResult<()> {
    let id = std::array::from_fn(|_| fastrand::u8(..));
    let (generation, rows) = (Generation::default(), [number(0), number(0)]);
    let params = ledger_row(ObjectId(id), "", "probe", &generation, rows, "probe", now);
    session.execute(&Insert::into("processed_object", &COLUMNS).sql(1), params).await?;
    Ok(())
}

/// Inserts the ledger rows; the ids of those that were there before.
async fn record(
    session: &mut Session,
    objects: &[(ObjectId, &ObjectRollup)],
    now: &str,
    rows_max: usize,
) -> SqlResult<HashSet<ObjectId>> {
    // Never INSERT IGNORE: it would also let values pass that do not fit.
    let insert = Insert::into("processed_object", &COLUMNS);
    let mut before = HashSet::new();
    let mut rest = objects;
    for size in insert.chunk_sizes(objects.len(), rows_max) {
        let (chunk, later) = rest.split_at(size);
        rest = later;
        let params = chunk.iter().flat_map(|(id, object)| row_of(*id, object, now)).collect();
        match insert_ledger_rows(session, &insert.sql(size), params).await {
            Ok(()) => continue,
            // The statement is undone, the transaction goes on: one by one, to learn which.
            Err(error) if error.class == Class::Duplicate => {}
            Err(error) => return Err(error),
        }
        for (id, object) in chunk {
            match insert_ledger_rows(session, &insert.sql(1), row_of(*id, object, now)).await {
                Ok(()) => {}
                Err(error) if error.class == Class::Duplicate => {
                    before.insert(*id);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(before)
}

async fn insert_ledger_rows(session: &mut Session, sql: &str, params: Vec<Value>) -> SqlResult<()> {
    failpoint::meet("commit.ledger.before")?;
    session.execute(sql, params).await?;
    failpoint::meet("commit.ledger.after")?;
    Ok(())
}

fn row_of(id: ObjectId, object: &ObjectRollup, now: &str) -> Vec<Value> {
    let rows = [number(object.rows), number(object.rejected_rows)];
    ledger_row(id, &object.bucket, &object.key, &object.generation, rows, &object.batch_id, now)
}

/// In the order of [`COLUMNS`].
fn ledger_row(
    id: ObjectId,
    bucket: &str,
    key: &str,
    generation: &Generation,
    [rows, rejected_rows]: [Value; 2],
    batch_id: &str,
    now: &str,
) -> Vec<Value> {
    vec![
        Value::Bytes(id.0.to_vec()),
        Value::text(bucket),
        Value::text(key),
        Value::text_or_null(generation.version_id.as_deref()),
        Value::text_or_null(generation.etag.as_deref()),
        number(generation.bytes),
        Value::Bytes(generation.content_hash.to_vec()),
        rows,
        rejected_rows,
        Value::text(batch_id),
        Value::text(now),
    ]
}

/// No object has 2^63 bytes or rows.
fn number(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// What the ledger holds of an object's content.
pub(super) struct CountedGeneration {
    pub etag: Option<String>,
    pub content_hash: [u8; 32],
}

impl CountedGeneration {
    /// Whether another read found the same content. A copy under another ETag (an upload in parts, a touched file)
    /// is told by its hash; with nothing to compare, nothing speaks for other content.
    pub fn is_same(&self, read: &Generation) -> bool {
        let hashes = self.content_hash != UNKNOWN_HASH && read.content_hash != UNKNOWN_HASH;
        let same_hash = hashes && self.content_hash == read.content_hash;
        match (&self.etag, &read.etag) {
            (Some(counted), Some(read)) => counted == read || same_hash,
            _ => same_hash || !hashes,
        }
    }
}

const UNKNOWN_HASH: [u8; 32] = [0; 32];

/// The ledger's rows of these objects. `lock` is empty, or a lock clause of the dialect.
pub(super) async fn counted_generations(
    session: &mut Session,
    ids: Vec<ObjectId>,
    lock: &str,
) -> SqlResult<HashMap<ObjectId, CountedGeneration>> {
    let mut counted = HashMap::new();
    let mut ids = ids.into_iter();
    for size in chunk_sizes(ids.len(), IDS_MAX) {
        let sql = format!(
            "SELECT object_id, etag, content_hash FROM processed_object WHERE object_id IN ({}){lock}",
            vec!["?"; size].join(", ")
        );
        let params = ids.by_ref().take(size).map(|id| Value::Bytes(id.0.to_vec())).collect();
        for row in session.query(&sql, params).await? {
            let etag = row.text_or_null(1)?.map(|etag| etag.to_string());
            counted.insert(ObjectId(row.hash(0)?), CountedGeneration { etag, content_hash: row.hash(2)? });
        }
    }
    Ok(counted)
}

/// Ids of one `IN` list.
pub(super) const IDS_MAX: usize = 512;

/// Everything that belongs to objects which are counted for the first time, in the order of how hot the rows are:
/// rows of this object alone, then the reports', and `report_day` last, since every transaction wants those.
async fn add(
    session: &mut Session,
    plan: &Plan,
    new: &[(ObjectId, &ObjectRollup)],
    now: &str,
    rows_max: usize,
) -> SqlResult<()> {
    let days: Vec<(ObjectId, Vec<DayTotals>)> = new.iter().map(|(id, object)| (*id, object.rollup.days())).collect();
    failpoint::meet("commit.totals.before")?;
    control_totals(session, plan, &days, rows_max).await?;
    failpoint::meet("commit.totals.after")?;
    let mut merged = None;
    let rollup = super::sql_store::on_this_thread(|| merge(new, &mut merged)).map_err(out_of_range)?;
    failpoint::meet("commit.reports.before")?;
    upsert::add_reports(session, plan, rollup, rows_max).await?;
    failpoint::meet("commit.reports.after")?;
    failpoint::meet("commit.days.before")?;
    report_days(session, &days, now, rows_max).await?;
    failpoint::meet("commit.days.after")?;
    Ok(())
}

fn merge<'a>(new: &[(ObjectId, &'a ObjectRollup)], merged: &'a mut Option<Rollup>) -> Result<&'a Rollup, Overflow> {
    let [(_, first), others @ ..] = new else { unreachable!("only called with objects") };
    if others.is_empty() {
        return Ok(&first.rollup);
    }
    let all = merged.insert(first.rollup.clone());
    for (_, object) in others {
        all.merge(&object.rollup)?;
    }
    Ok(all)
}

async fn control_totals(
    session: &mut Session,
    plan: &Plan,
    days: &[(ObjectId, Vec<DayTotals>)],
    rows_max: usize,
) -> SqlResult<()> {
    let measures = plan.measures.iter().map(|measure| measure.name.as_str());
    let columns: Vec<&str> = ["object_id", "report_date", "rows"].into_iter().chain(measures).collect();
    let row = |id: &ObjectId, day: &DayTotals| {
        let sums = day.sums.iter().zip(&plan.measures);
        let sums = sums.map(|(&sum, measure)| super::dialect::Dialect::measure(measure.kind, sum));
        let key = [Value::Bytes(id.0.to_vec()), Value::Date(day.date), Value::Int(day.rows)];
        key.into_iter().chain(sums).collect::<Vec<_>>()
    };
    let rows: Vec<_> = days.iter().flat_map(|(id, days)| days.iter().map(move |day| row(id, day))).collect();
    Insert::into("processed_object_day", &columns).run(session, rows_max, rows.into_iter()).await
}

/// First and last commit, objects and rows of each date.
async fn report_days(
    session: &mut Session,
    days: &[(ObjectId, Vec<DayTotals>)],
    now: &str,
    rows_max: usize,
) -> SqlResult<()> {
    let mut by_date = std::collections::BTreeMap::new();
    for day in days.iter().flat_map(|(_, days)| days) {
        let (objects, rows): &mut (i64, i64) = by_date.entry(day.date).or_default();
        *objects += 1;
        *rows = rows.checked_add(day.rows).ok_or_else(|| out_of_range(Overflow::Sum))?;
    }
    let tail = session.dialect().on_duplicate(
        &["report_date"],
        &[
            ("first_commit", Merge::Least),
            ("last_commit", Merge::Greatest),
            ("objects", Merge::Add),
            ("rows", Merge::Add),
        ],
    );
    let columns = ["report_date", "first_commit", "last_commit", "objects", "rows"];
    let insert = Insert { tail, ..Insert::into("report_day", &columns) };
    let row = |(date, (objects, rows))| {
        vec![Value::Date(date), Value::text(now), Value::text(now), Value::Int(objects), Value::Int(rows)]
    };
    insert.run(session, rows_max, by_date.into_iter().map(row)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Some("a"), 1, Some("a"), 1, true)]
    #[case(Some("a"), 1, Some("b"), 1, true)] // copied under another ETag
    #[case(Some("a"), 1, Some("b"), 2, false)]
    #[case(Some("a"), 1, Some("b"), 0, false)]
    #[case(None, 1, Some("b"), 1, true)]
    #[case(None, 1, Some("b"), 2, false)]
    #[case(None, 1, Some("b"), 0, true)] // nothing to compare
    fn generation_is_the_same_by_etag_or_by_content(
        #[case] etag: Option<&str>,
        #[case] hash: u8,
        #[case] read_etag: Option<&str>,
        #[case] read_hash: u8,
        #[case] same: bool,
    ) {
        let counted = CountedGeneration { etag: etag.map(str::to_owned), content_hash: [hash; 32] };
        let etag = read_etag.map(str::to_owned);
        let read = Generation { etag, content_hash: [read_hash; 32], ..Generation::default() };
        assert_eq!(counted.is_same(&read), same);
    }
}
