//! Reading a report: by date range, filters and group-by. Sums are exact at any size; ratios are computed here, from
//! the sums, so that every database gives the same answer.

use std::sync::Arc;

use super::dialect::{Dialect, quoted};
use super::session::{Begin, Class, Row, Session, SqlError, SqlResult, Value};
use super::sql_store::SqlStore;
use super::{StoreError, upsert};
use crate::aggregate::KeyValue;
use crate::model::micros::divide_half_even;
use crate::model::{Dimension, DimensionKind, MeasureKind, ReportDate};
use crate::report::{Plan, Ratio, Report};

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportQuery {
    /// The report's name.
    pub report: String,
    /// First and last date, both included.
    pub from: ReportDate,
    pub to: ReportDate,
    /// What to group by; all of the report's when empty.
    pub dimensions: Vec<Dimension>,
    /// Keep the rows whose dimension has one of the values; of several filters, all hold.
    pub filters: Vec<(Dimension, Vec<String>)>,
    /// The first so many rows, in the order of their keys.
    pub limit: Option<u64>,
}

/// One group: keys in the order of the query's dimensions, sums in the order of the report's measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    pub key: Vec<KeyValue>,
    /// Counts, or micros.
    pub sums: Vec<i128>,
}

impl SqlStore {
    /// The groups of a report, sorted by key. A report, dimension or value that can't be is `Refused`.
    pub async fn report(&self, query: &ReportQuery) -> Result<Vec<ReportRow>, StoreError> {
        let statement = Statement::of(self.plan(), query, self.dialect()).map_err(|error| self.error(error))?;
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = statement.rows(&mut session).await;
        self.finish(session, outcome).await
    }
}

/// A quotient in millionths, rounded half to even: `ratio(plan, report, ecpm, sums)`. None when the denominator is 0.
pub fn ratio(plan: &Plan, report: &Report, ratio: &Ratio, sums: &[i128]) -> Option<i128> {
    let operand = |measure: usize| {
        let at = report.measures.iter().position(|&at| at == measure)?;
        Some((*sums.get(at)?, plan.measures[measure].kind))
    };
    quotient(operand(ratio.numerator)?, operand(ratio.denominator)?, ratio.times)
}

/// None when the denominator is 0, or when the quotient is beyond all reason (10^29 units).
fn quotient(numerator: (i128, MeasureKind), denominator: (i128, MeasureKind), times: u32) -> Option<i128> {
    const MILLION: i128 = 1_000_000;
    let scale = |kind| if kind == MeasureKind::Money { MILLION } else { 1 };
    let ((numerator, numerator_kind), (denominator, denominator_kind)) = (numerator, denominator);
    if denominator <= 0 {
        return None;
    }
    // Micros over a count are millionths already.
    let factor = MILLION * scale(denominator_kind) / scale(numerator_kind) * i128::from(times);
    let numerator = numerator.checked_mul(factor)?;
    // The division doubles a remainder, which is less than the denominator.
    denominator.checked_mul(2)?;
    Some(divide_half_even(numerator, denominator))
}

/// A query as SQL, and what its columns are.
struct Statement {
    sql: String,
    params: Vec<Value>,
    keys: Vec<DimensionKind>,
    /// Decimals of each sum's text.
    decimals: Vec<u32>,
}

impl Statement {
    fn of(plan: &Plan, query: &ReportQuery, dialect: Dialect) -> SqlResult<Statement> {
        let report = find_report(plan, &query.report)?;
        let dimensions = if query.dimensions.is_empty() { &report.dimensions } else { &query.dimensions };
        let filtered = query.filters.iter().map(|(dimension, _)| dimension);
        if let Some(foreign) = dimensions.iter().chain(filtered).find(|d| !report.dimensions.contains(d)) {
            let known: Vec<&str> = report.dimensions.iter().map(|dimension| dimension.name()).collect();
            let problem = format!("report {} has no {}; it has {}", report.name, foreign.name(), known.join(", "));
            return Err(SqlError::new(Class::Refused, problem));
        }
        let measures: Vec<_> = report.measures.iter().map(|&at| &plan.measures[at]).collect();
        let keys: Vec<&str> = dimensions.iter().map(|dimension| report.column(dimension.name())).collect();
        let sums: Vec<String> = measures.iter().map(|m| dialect.wide_sum(report.column(&m.name))).collect();
        let (conditions, params) = conditions(report, query)?;
        let keys = quoted(&keys);
        let limit = query.limit.map(|limit| format!("\nLIMIT {limit}")).unwrap_or_default();
        let sql = format!(
            "-- report\nSELECT {keys}, {}\nFROM `{}`\nWHERE {conditions}\nGROUP BY {keys}\nORDER BY {keys}{limit}",
            sums.join(", "),
            report.table
        );
        Ok(Statement {
            sql,
            params,
            keys: dimensions.iter().map(|dimension| dimension.kind()).collect(),
            decimals: measures.iter().map(|measure| dialect.sum_decimals(measure.kind)).collect(),
        })
    }

    async fn rows(&self, session: &mut Session) -> SqlResult<Vec<ReportRow>> {
        let rows = session.query(&self.sql, self.params.clone()).await?;
        rows.iter().map(|row| self.row(row)).collect()
    }

    fn row(&self, row: &Row) -> SqlResult<ReportRow> {
        let key = self.keys.iter().enumerate().map(|(at, kind)| key_value(row, at, *kind));
        let sums = self.decimals.iter().enumerate().map(|(at, decimals)| row.wide(self.keys.len() + at, *decimals));
        Ok(ReportRow { key: key.collect::<SqlResult<_>>()?, sums: sums.collect::<SqlResult<_>>()? })
    }
}

pub(super) fn find_report<'a>(plan: &'a Plan, name: &str) -> SqlResult<&'a Report> {
    plan.report(name).ok_or_else(|| {
        let known: Vec<&str> = plan.reports.iter().map(|report| report.name.as_str()).collect();
        SqlError::new(Class::Refused, format!("there is no report {name:?}; there are {}", known.join(", ")))
    })
}

fn conditions(report: &Report, query: &ReportQuery) -> SqlResult<(String, Vec<Value>)> {
    let mut conditions = vec![format!("`{}` BETWEEN ? AND ?", report.column(Dimension::ReportDate.name()))];
    let mut params = vec![Value::Date(query.from), Value::Date(query.to)];
    for (dimension, values) in &query.filters {
        // Without a value no row is asked for; `IN ()` is no SQL.
        let marks = if values.is_empty() { "NULL".into() } else { vec!["?"; values.len()].join(", ") };
        conditions.push(format!("`{}` IN ({marks})", report.column(dimension.name())));
        for value in values {
            params.push(upsert::key_value(parse_key(*dimension, value)?));
        }
    }
    Ok((conditions.join(" AND "), params))
}

fn parse_key(dimension: Dimension, text: &str) -> SqlResult<KeyValue> {
    let wrong = |what: &str| SqlError::new(Class::Refused, format!("{} {text:?} is not {what}", dimension.name()));
    match dimension.kind() {
        DimensionKind::Date => text.parse().map(KeyValue::Date).map_err(|_| wrong("a date such as 2024-06-10")),
        DimensionKind::Id => text.parse().map(KeyValue::Id).map_err(|_| wrong("an integer of 64 bits")),
        DimensionKind::Text { .. } => Ok(KeyValue::Text(Arc::from(text))),
    }
}

fn key_value(row: &Row, at: usize, kind: DimensionKind) -> SqlResult<KeyValue> {
    Ok(match kind {
        DimensionKind::Date => KeyValue::Date(row.date(at)?),
        DimensionKind::Id => KeyValue::Id(row.int(at)?),
        DimensionKind::Text { .. } => KeyValue::Text(row.text(at)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use MeasureKind::{Count, Money};
    use rstest::rstest;

    #[rstest]
    #[case((1, Count), (3, Count), 1, Some(333_333))]
    #[case((2, Count), (3, Count), 1, Some(666_667))]
    #[case((1, Count), (2_000_000, Count), 1, Some(0))] // half of a millionth: to even
    #[case((3, Count), (2_000_000, Count), 1, Some(2))]
    #[case((10_000_000, Money), (30, Count), 1000, Some(333_333_333))]
    #[case((10_000_000, Money), (4_000_000, Money), 1, Some(2_500_000))]
    #[case((5, Count), (2_000_000, Money), 1, Some(2_500_000))]
    #[case((5, Count), (0, Count), 1, None)]
    #[case((0, Count), (7, Count), 1000, Some(0))]
    #[case((i128::from(i64::MAX) * 1000, Money), (1, Count), 1000, Some(i128::from(i64::MAX) * 1_000_000))]
    #[case((i128::MAX, Count), (1, Count), 1, None)]
    fn quotient_is_exact_to_the_millionth(
        #[case] numerator: (i128, MeasureKind),
        #[case] denominator: (i128, MeasureKind),
        #[case] times: u32,
        #[case] expected: Option<i128>,
    ) {
        assert_eq!(quotient(numerator, denominator, times), expected);
    }
}
