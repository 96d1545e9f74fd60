//! What notices tell, read from the books: the totals of a day from its control totals, failures from their list.

use jiff::Timestamp;

use super::StoreError;
use super::failed::timestamp;
use super::session::{Begin, Session, SqlResult, Value};
use super::sql_store::SqlStore;
use crate::model::{Dimension, MeasureKind, ReportDate};
use crate::report::Plan;

/// Control totals of one date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaySums {
    pub objects: i64,
    pub rows: i128,
    /// Counts or micros, in the order of the plan's measures.
    pub sums: Vec<i128>,
}

/// A day in one consistent view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayFacts {
    pub date: ReportDate,
    pub first_commit: Timestamp,
    pub last_commit: Timestamp,
    pub totals: DaySums,
    /// None when nothing was counted for the day before.
    pub day_before: Option<DaySums>,
    /// Rows that were not counted, of the objects that have rows of this day. Which day such a row is of, nobody knows.
    pub rejected_rows: i128,
    /// Index of a measure, and what of it belongs to media that the metadata does not know; none when no report tells.
    pub unmapped: Option<(usize, i128)>,
    /// Objects that are listed as failed and neither counted nor discarded since, of whatever day.
    pub failed_open: i64,
    /// Those of them whose key names this date, as 2024-06-11, 2024/06/11 or 20240611.
    pub failed_open_of_date: i64,
    /// The JSON of the last notice of this day.
    pub told: Option<String>,
}

/// Failures that one notice tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureFacts {
    pub notice_id: String,
    /// A `FailureKind`'s name.
    pub kind: String,
    pub objects: i64,
    /// Neither counted nor discarded meanwhile.
    pub open: i64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Bucket, key and reason of the first few.
    pub examples: Vec<(String, String, String)>,
}

impl FailureFacts {
    pub const EXAMPLES_MAX: usize = 5;
}

impl SqlStore {
    /// What there is to tell of a day; none when nothing was counted for it.
    pub async fn day_facts(&self, date: ReportDate) -> Result<Option<DayFacts>, StoreError> {
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = day(&mut session, self.plan(), date).await;
        self.finish(session, outcome).await
    }
}

const DAY: &str = "-- day
SELECT first_commit, last_commit FROM report_day WHERE report_date = ?";

const REJECTED: &str = "-- rejected rows of a day's objects
SELECT SUM(o.rejected_rows) FROM processed_object_day d JOIN processed_object o ON o.object_id = d.object_id
WHERE d.report_date = ?";

const FAILED_OPEN: &str = "-- open failed objects
SELECT COUNT(*), SUM(CASE WHEN INSTR(object_key, ?) > 0 OR INSTR(object_key, ?) > 0 OR INSTR(object_key, ?) > 0
    THEN 1 ELSE 0 END)
FROM failed_object WHERE state = 'open'";

const TOLD: &str = "-- last notice of a day
SELECT body FROM notice WHERE kind = 'day' AND subject = ? ORDER BY revision DESC LIMIT 1";

async fn day(session: &mut Session, plan: &Plan, date: ReportDate) -> SqlResult<Option<DayFacts>> {
    let found = session.query(DAY, vec![Value::Date(date)]).await?;
    let Some(found) = found.first() else { return Ok(None) };
    let Some(totals) = sums(session, plan, date).await? else { return Ok(None) };
    let day_before = sums(session, plan, ReportDate(date.0 - 1)).await?;
    let rejected = session.query(REJECTED, vec![Value::Date(date)]).await?;
    let names = ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"].map(|form| Value::text(&date.to_date().strftime(form).to_string()));
    let failed = session.query(FAILED_OPEN, names.to_vec()).await?;
    let told = session.query(TOLD, vec![Value::text(&date.to_string())]).await?;
    Ok(Some(DayFacts {
        date,
        first_commit: timestamp(&found.text(0)?)?,
        last_commit: timestamp(&found.text(1)?)?,
        totals,
        day_before,
        rejected_rows: rejected.first().map_or(Ok(0), |row| row.wide(0, 0))?,
        unmapped: unmapped(session, plan, date).await?,
        failed_open: failed.first().map_or(Ok(0), |row| row.int(0))?,
        failed_open_of_date: failed.first().map_or(Ok(0), |row| row.wide(1, 0))? as i64,
        told: told.first().map(|row| row.text_or_null(0)).transpose()?.flatten().map(|body| body.to_string()),
    }))
}

/// None when nothing was counted.
async fn sums(session: &mut Session, plan: &Plan, date: ReportDate) -> SqlResult<Option<DaySums>> {
    let dialect = session.dialect();
    let measures: String = plan.measures.iter().map(|m| format!(", {}", dialect.wide_sum(&m.name))).collect();
    let sql = format!(
        "-- control totals of a day\nSELECT COUNT(*), {}{measures}\nFROM processed_object_day WHERE report_date = ?",
        dialect.wide_sum("rows")
    );
    let row = session.query(&sql, vec![Value::Date(date)]).await?;
    let Some(row) = row.first() else { return Ok(None) };
    let objects = row.int(0)?;
    let decimals = plan.measures.iter().map(|measure| dialect.sum_decimals(measure.kind));
    let sums = decimals.enumerate().map(|(at, decimals)| row.wide(at + 2, decimals)).collect::<SqlResult<_>>()?;
    Ok((objects > 0).then_some(DaySums { objects, rows: row.wide(1, 0)?, sums }))
}

/// Of the first report that has organizations: its money, or else its first measure. Organization 0 is everything that
/// the metadata does not know.
async fn unmapped(session: &mut Session, plan: &Plan, date: ReportDate) -> SqlResult<Option<(usize, i128)>> {
    let dialect = session.dialect();
    let is_money = |at: &&usize| plan.measures[**at].kind == MeasureKind::Money;
    let of = |report: &crate::report::Report| {
        let has = report.dimensions.contains(&Dimension::OrganizationId);
        let measure = report.measures.iter().find(is_money).or(report.measures.first());
        if has { measure.copied() } else { None }
    };
    let mut reports: Vec<_> = plan.reports.iter().filter_map(|report| Some((report, of(report)?))).collect();
    // The smallest of those with money: the fewer dimensions, the fewer rows.
    reports.sort_by_key(|(report, at)| (plan.measures[*at].kind != MeasureKind::Money, report.dimensions.len()));
    let Some((report, at)) = reports.first() else { return Ok(None) };
    let measure = &plan.measures[*at];
    let sql = format!(
        "-- unmapped share of a day\nSELECT {}\nFROM `{}` WHERE `{}` = ? AND `{}` = 0",
        dialect.wide_sum(report.column(&measure.name)),
        report.table,
        report.column(Dimension::ReportDate.name()),
        report.column(Dimension::OrganizationId.name())
    );
    let row = session.query(&sql, vec![Value::Date(date)]).await?;
    let sum = row.first().map_or(Ok(0), |row| row.wide(0, dialect.sum_decimals(measure.kind)))?;
    Ok(Some((*at, sum)))
}

const FAILURES: &str = "-- failures of a notice
SELECT COUNT(*), SUM(CASE state WHEN 'open' THEN 1 ELSE 0 END), MIN(first_seen), MAX(last_seen)
FROM failed_object WHERE notice_id = ?";

const EXAMPLES: &str = "-- first failures of a notice
SELECT bucket, object_key, reason FROM failed_object WHERE notice_id = ? ORDER BY first_seen, object_key";

/// None when the notice has nothing to tell.
pub(super) async fn failures(session: &mut Session, notice_id: &str, kind: &str) -> SqlResult<Option<FailureFacts>> {
    let row = session.query(FAILURES, vec![Value::text(notice_id)]).await?;
    let Some(row) = row.first() else { return Ok(None) };
    if row.int(0)? == 0 {
        return Ok(None);
    }
    let mut facts = FailureFacts {
        notice_id: notice_id.to_owned(),
        kind: kind.to_owned(),
        objects: row.int(0)?,
        open: row.wide(1, 0)? as i64,
        first_seen: timestamp(&row.text(2)?)?,
        last_seen: timestamp(&row.text(3)?)?,
        examples: Vec::new(),
    };
    let sql = format!("{EXAMPLES} LIMIT {}", FailureFacts::EXAMPLES_MAX);
    for row in session.query(&sql, vec![Value::text(notice_id)]).await? {
        facts.examples.push((row.text(0)?.to_string(), row.text(1)?.to_string(), row.text(2)?.to_string()));
    }
    Ok(Some(facts))
}
