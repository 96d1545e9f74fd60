//! The invariants of the books, checked by SQL in one consistent view, beside a daemon at work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::StoreError;
use super::dialect::Dialect;
use super::session::{Begin, Row, Session, SqlResult, Value};
use super::sql_store::SqlStore;
use crate::model::micros::decimal_text;
use crate::model::{Dimension, Measure, MeasureKind, ObjectId, ReportDate};
use crate::report::{Plan, Report};

/// What the books say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The control totals, by date.
    pub days: Vec<AuditDay>,
    /// Where the books contradict each other; none when all is well.
    pub findings: Vec<Finding>,
}

/// Control totals of one date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDay {
    pub date: ReportDate,
    pub objects: i128,
    pub rows: i128,
    /// Counts or micros, in the order of the plan's measures.
    pub sums: Vec<i128>,
}

/// One contradiction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// None when it is about an object, not about a day.
    pub date: Option<ReportDate>,
    /// The sentence that is broken.
    pub invariant: &'static str,
    pub detail: String,
}

const REPORTS_AGREE: &str = "the control totals of a day equal the sums of each report";
const DAYS_AGREE: &str = "report_day equals the control totals";
const ROWS_AGREE: &str = "rows read = rows counted + rows rejected, for each object";
const DISJOINT: &str = "an object is counted or listed as failed, not both";
const NO_ORPHANS: &str = "control totals belong to objects of the ledger";

/// Objects named for one invariant: the first few tell the story.
const OBJECTS_NAMED_MAX: usize = 20;

/// Some statements read a whole ledger, which is kept for ever.
const AUDIT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(3600);

impl SqlStore {
    /// Checks the dates from `from` to `to`, both included, or all of them. With a range, only objects that have rows
    /// in it are looked at one by one.
    pub async fn audit(&self, from: Option<ReportDate>, to: Option<ReportDate>) -> Result<Audit, StoreError> {
        let mut session = self.begin(Begin::Snapshot).await?;
        session.set_statement_timeout(AUDIT_STATEMENT_TIMEOUT);
        let outcome = Auditor::new(self.plan(), from, to).audit(&mut session).await;
        self.finish(session, outcome).await
    }
}

/// Rows, objects or sums by date.
type ByDate = BTreeMap<ReportDate, Vec<i128>>;

struct Auditor<'a> {
    plan: &'a Plan,
    /// All dates: then objects without any day are looked at too.
    everything: bool,
    /// Parameters of every `BETWEEN ? AND ?`.
    range: [Value; 2],
    audit: Audit,
}

impl<'a> Auditor<'a> {
    fn new(plan: &'a Plan, from: Option<ReportDate>, to: Option<ReportDate>) -> Self {
        // The ends of MySQL's DATE.
        let first = || ReportDate::of(jiff::civil::date(1000, 1, 1));
        let last = || ReportDate::of(jiff::civil::date(9999, 12, 31));
        let range = [Value::Date(from.unwrap_or_else(first)), Value::Date(to.unwrap_or_else(last))];
        Self { plan, everything: from.is_none() && to.is_none(), range, audit: Audit::default() }
    }

    async fn audit(mut self, session: &mut Session) -> SqlResult<Audit> {
        let totals = self.control_totals(session).await?;
        for report in &self.plan.reports {
            let sums = self.report_sums(session, report).await?;
            self.compare_report(report, &totals, &sums);
        }
        let days = self.by_date(session, REPORT_DAY, &[0, 0]).await?;
        self.compare_days(&totals, &days);
        self.object_rows(session).await?;
        self.counted_and_failed(session).await?;
        self.orphans(session).await?;
        let day = |(date, mut values): (ReportDate, Vec<i128>)| {
            let sums = values.split_off(2);
            AuditDay { date, objects: values[0], rows: values[1], sums }
        };
        self.audit.days = totals.into_iter().map(day).collect();
        Ok(self.audit)
    }

    /// By date: objects, rows, and the sum of every measure of the plan.
    async fn control_totals(&self, session: &mut Session) -> SqlResult<ByDate> {
        let dialect = session.dialect();
        let sums: String = self.plan.measures.iter().map(|m| format!(", {}", dialect.wide_sum(&m.name))).collect();
        let sql = format!(
            "-- control totals\nSELECT report_date, COUNT(*), {}{sums}\nFROM processed_object_day\n\
             WHERE report_date BETWEEN ? AND ? GROUP BY report_date",
            dialect.wide_sum("rows")
        );
        let measures = self.plan.measures.iter().map(|measure| dialect.sum_decimals(measure.kind));
        let decimals: Vec<u32> = [0, 0].into_iter().chain(measures).collect();
        self.by_date(session, &sql, &decimals).await
    }

    async fn report_sums(&self, session: &mut Session, report: &Report) -> SqlResult<ByDate> {
        let dialect: Dialect = session.dialect();
        let measures: Vec<&Measure> = report.measures.iter().map(|&at| &self.plan.measures[at]).collect();
        let sums: Vec<String> = measures.iter().map(|m| dialect.wide_sum(report.column(&m.name))).collect();
        let date = report.column(Dimension::ReportDate.name());
        let sql = format!(
            "-- report sums\nSELECT `{date}`, {}\nFROM `{}`\nWHERE `{date}` BETWEEN ? AND ? GROUP BY `{date}`",
            sums.join(", "),
            report.table
        );
        let decimals: Vec<u32> = measures.iter().map(|measure| dialect.sum_decimals(measure.kind)).collect();
        self.by_date(session, &sql, &decimals).await
    }

    async fn by_date(&self, session: &mut Session, sql: &str, decimals: &[u32]) -> SqlResult<ByDate> {
        let mut by_date = ByDate::new();
        for row in session.query(sql, self.range.to_vec()).await? {
            let values = decimals.iter().enumerate().map(|(at, decimals)| row.wide(at + 1, *decimals));
            by_date.insert(row.date(0)?, values.collect::<SqlResult<_>>()?);
        }
        Ok(by_date)
    }

    fn compare_report(&mut self, report: &Report, totals: &ByDate, sums: &ByDate) {
        for date in dates(totals, sums) {
            for (at, &measure) in report.measures.iter().enumerate() {
                let expected = totals.get(&date).map_or(0, |values| values[2 + measure]);
                let found = sums.get(&date).map_or(0, |values| values[at]);
                let Measure { name, kind, .. } = &self.plan.measures[measure];
                if found != expected {
                    let none = if sums.contains_key(&date) { "" } else { " (it has no row of this date)" };
                    let (found, expected) = (amount(*kind, found), amount(*kind, expected));
                    let detail = format!("{}: {name} is {found} instead of {expected}{none}", report.table);
                    self.find(Some(date), REPORTS_AGREE, detail);
                }
            }
        }
    }

    fn compare_days(&mut self, totals: &ByDate, days: &ByDate) {
        for date in dates(totals, days) {
            let counted = |by_date: &ByDate| by_date.get(&date).map_or((0, 0), |values| (values[0], values[1]));
            let ((objects, rows), (day_objects, day_rows)) = (counted(totals), counted(days));
            if (objects, rows) != (day_objects, day_rows) {
                let none = if days.contains_key(&date) { "" } else { " (it has no row of this date)" };
                let detail = format!(
                    "report_day: {day_objects} objects and {day_rows} rows instead of {objects} and {rows}{none}"
                );
                self.find(Some(date), DAYS_AGREE, detail);
            }
        }
    }

    async fn object_rows(&mut self, session: &mut Session) -> SqlResult<()> {
        let (filter, join, params) =
            if self.everything { ("", "LEFT JOIN", Vec::new()) } else { (IN_RANGE, "JOIN", self.range.to_vec()) };
        let sql = OBJECT_ROWS.replace("/* filter */", filter).replace("/* join */", join);
        self.objects(session, &sql, params, ROWS_AGREE, |row| {
            let (read, rejected, counted) = (row.wide(2, 0)?, row.wide(3, 0)?, row.wide(4, 0)?);
            Ok(format!("{}: {read} rows read, {counted} counted, {rejected} rejected", name(row)?))
        })
        .await
    }

    async fn counted_and_failed(&mut self, session: &mut Session) -> SqlResult<()> {
        self.objects(session, COUNTED_AND_FAILED, Vec::new(), DISJOINT, |row| {
            Ok(format!("{}: counted, and listed as failed ({})", name(row)?, row.text(2)?))
        })
        .await
    }

    async fn orphans(&mut self, session: &mut Session) -> SqlResult<()> {
        let range = self.range.to_vec();
        self.objects(session, ORPHANS, range, NO_ORPHANS, |row| {
            Ok(format!("object id {}: the ledger has no such object", ObjectId(row.hash(0)?)))
        })
        .await
    }

    /// Makes a finding of each row of a query that returns objects which break an invariant.
    async fn objects(
        &mut self,
        session: &mut Session,
        sql: &str,
        params: Vec<Value>,
        invariant: &'static str,
        detail: impl Fn(&Row) -> SqlResult<String>,
    ) -> SqlResult<()> {
        let sql = format!("{sql}\nLIMIT {}", OBJECTS_NAMED_MAX + 1);
        let rows = session.query(&sql, params).await?;
        for row in rows.iter().take(OBJECTS_NAMED_MAX) {
            self.find(None, invariant, detail(row)?);
        }
        if rows.len() > OBJECTS_NAMED_MAX {
            self.find(None, invariant, format!("more than {OBJECTS_NAMED_MAX} objects; the others are not named"));
        }
        Ok(())
    }

    fn find(&mut self, date: Option<ReportDate>, invariant: &'static str, detail: String) {
        self.audit.findings.push(Finding { date, invariant, detail });
    }
}

const REPORT_DAY: &str = "-- report days
SELECT report_date, objects, `rows` FROM report_day WHERE report_date BETWEEN ? AND ?";

const OBJECT_ROWS: &str = "-- object rows
SELECT o.bucket, o.object_key, o.`rows`, o.rejected_rows, COALESCE(d.counted, 0)
FROM processed_object o
/* join */ (
    SELECT object_id, SUM(`rows`) AS counted FROM processed_object_day /* filter */ GROUP BY object_id
) d ON d.object_id = o.object_id
WHERE o.`rows` <> o.rejected_rows + COALESCE(d.counted, 0)
ORDER BY o.object_id";

/// The objects of a range, with all their days.
const IN_RANGE: &str =
    "WHERE object_id IN (SELECT object_id FROM processed_object_day WHERE report_date BETWEEN ? AND ?)";

/// Listings that read nothing have an empty generation: they are about whatever the object is. Content that was discarded
/// is not to be in the reports either. The version `null` names no content: see `source::fetch`.
const COUNTED_AND_FAILED: &str = "-- counted and failed
SELECT f.bucket, f.object_key, f.kind
FROM failed_object f
JOIN processed_object o ON o.object_id = f.object_id
WHERE f.state <> 'resolved' AND (f.etag = o.etag OR (f.version_id = o.version_id AND f.version_id <> 'null') OR f.generation = '')
ORDER BY f.object_id";

const ORPHANS: &str = "-- orphans
SELECT DISTINCT d.object_id
FROM processed_object_day d
LEFT JOIN processed_object o ON o.object_id = d.object_id
WHERE o.object_id IS NULL AND d.report_date BETWEEN ? AND ?
ORDER BY d.object_id";

fn dates(one: &ByDate, other: &ByDate) -> BTreeSet<ReportDate> {
    one.keys().chain(other.keys()).copied().collect()
}

fn amount(kind: MeasureKind, value: i128) -> String {
    match kind {
        MeasureKind::Count => value.to_string(),
        MeasureKind::Money => decimal_text(value, 6),
    }
}

fn name(row: &Row) -> SqlResult<String> {
    let object = crate::model::ObjectRef {
        bucket: row.text(0)?.to_string(),
        key: row.text(1)?.to_string(),
        announced: Default::default(),
    };
    Ok(object.to_string())
}
