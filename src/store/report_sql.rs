//! A report's query as SQL: the rows, how many there are, and what they add up to.

use std::sync::Arc;

use super::dialect::{Dialect, quoted};
use super::read::{Filter, ReportQuery, ReportRow, Sort, SortBy};
use super::session::{Class, Row, SqlError, SqlResult, Value};
use super::upsert;
use crate::aggregate::KeyValue;
use crate::model::{Dimension, DimensionKind, Measure};
use crate::report::{Plan, Report};

/// The statements of one query, and what their columns are.
pub(super) struct Statements {
    pub rows: String,
    /// One row: first and last date, then the sum of each measure, over everything that matches.
    pub totals: String,
    /// One number.
    pub groups: String,
    /// Of each of the three.
    pub params: Vec<Value>,
    pub dimensions: Vec<Dimension>,
    /// Decimals of each sum's text.
    decimals: Vec<u32>,
    /// Whether `rows` are in the wanted order, and no more than wanted.
    pub sorted: bool,
}

impl Statements {
    pub fn of(plan: &Plan, query: &ReportQuery, dialect: Dialect) -> SqlResult<Statements> {
        let report = find_report(plan, &query.report)?;
        let dimensions = grouped(report, query)?;
        let measures: Vec<&Measure> = report.measures.iter().map(|&at| &plan.measures[at]).collect();
        let sums: Vec<String> = measures.iter().map(|m| dialect.wide_sum(report.column(&m.name))).collect();
        let sums = sums.join(", ");
        let keys: Vec<&str> = dimensions.iter().map(|dimension| report.column(dimension.name())).collect();
        let (keys, date) = (quoted(&keys), report.column(Dimension::ReportDate.name()));
        let (conditions, params) = conditions(report, query)?;
        let from = format!("FROM `{}`\nWHERE {conditions}", report.table);
        let order = order(plan, report, query, &dimensions, dialect)?;
        let limit = query.limit.map(|limit| format!("\nLIMIT {limit}")).unwrap_or_default();
        let end = order.as_ref().map(|order| format!("\nORDER BY {order}{limit}")).unwrap_or_default();
        Ok(Statements {
            rows: format!("-- report\nSELECT {keys}, {sums}\n{from}\nGROUP BY {keys}{end}"),
            totals: format!("-- report totals\nSELECT MIN(`{date}`), MAX(`{date}`), {sums}\n{from}"),
            groups: if dimensions.len() == report.dimensions.len() {
                format!("-- report rows\nSELECT COUNT(*)\n{from}")
            } else {
                format!("-- report groups\nSELECT COUNT(*) FROM (SELECT 1 AS one {from}\nGROUP BY {keys}) AS found")
            },
            params,
            decimals: measures.iter().map(|measure| dialect.sum_decimals(measure.kind)).collect(),
            dimensions,
            sorted: order.is_some(),
        })
    }

    pub fn row(&self, row: &Row) -> SqlResult<ReportRow> {
        let key = self.dimensions.iter().enumerate().map(|(at, dimension)| key_value(row, at, dimension.kind()));
        Ok(ReportRow { key: key.collect::<SqlResult<_>>()?, sums: self.sums(row, self.dimensions.len())? })
    }

    /// The sums of a row, of which the first one stands at `first`.
    pub fn sums(&self, row: &Row, first: usize) -> SqlResult<Vec<i128>> {
        self.decimals.iter().enumerate().map(|(at, decimals)| row.wide(first + at, *decimals)).collect()
    }
}

fn refused(problem: String) -> SqlError {
    SqlError::new(Class::Refused, problem)
}

pub(super) fn find_report<'a>(plan: &'a Plan, name: &str) -> SqlResult<&'a Report> {
    plan.report(name).ok_or_else(|| {
        let known: Vec<&str> = plan.reports.iter().map(|report| report.name.as_str()).collect();
        refused(format!("there is no report {name:?}; there are {}", known.join(", ")))
    })
}

fn grouped(report: &Report, query: &ReportQuery) -> SqlResult<Vec<Dimension>> {
    let dimensions = if query.dimensions.is_empty() { &report.dimensions } else { &query.dimensions };
    let filtered = query.filters.iter().map(|filter| &filter.dimension);
    if let Some(foreign) = dimensions.iter().chain(filtered).find(|d| !report.dimensions.contains(d)) {
        let known: Vec<&str> = report.dimensions.iter().map(|dimension| dimension.name()).collect();
        return Err(refused(format!("report {} has no {}; it has {}", report.name, foreign.name(), known.join(", "))));
    }
    Ok(dimensions.clone())
}

/// What the rows are ordered by, ending in their keys, so that the order is the same each time; none when it takes a
/// ratio, which is computed here.
fn order(
    plan: &Plan,
    report: &Report,
    query: &ReportQuery,
    dimensions: &[Dimension],
    dialect: Dialect,
) -> SqlResult<Option<String>> {
    let mut terms = Vec::new();
    for Sort { by, descending } in &query.sort {
        let expressions = match by {
            SortBy::Ratio(_) => return Ok(None),
            SortBy::Measure(at) if report.measures.contains(at) => {
                dialect.wide_order(report.column(&plan.measures[*at].name))
            }
            SortBy::Measure(at) => {
                let name = plan.measures.get(*at).map_or("of another plan", |measure| &measure.name);
                return Err(refused(format!("report {} has no measure {name}", report.name)));
            }
            SortBy::Dimension(dimension) if dimensions.contains(dimension) => {
                vec![format!("`{}`", report.column(dimension.name()))]
            }
            SortBy::Dimension(dimension) => {
                let problem = format!("can't sort by {}: the rows are not grouped by it", dimension.name());
                return Err(refused(problem));
            }
        };
        let direction = if *descending { " DESC" } else { "" };
        terms.extend(expressions.into_iter().map(|expression| expression + direction));
    }
    let sorted = |dimension: &&Dimension| query.sort.iter().any(|sort| sort.by == SortBy::Dimension(**dimension));
    let rest = dimensions.iter().filter(|dimension| !sorted(dimension));
    terms.extend(rest.map(|dimension| format!("`{}`", report.column(dimension.name()))));
    Ok(Some(terms.join(", ")))
}

fn conditions(report: &Report, query: &ReportQuery) -> SqlResult<(String, Vec<Value>)> {
    let mut conditions = vec![format!("`{}` BETWEEN ? AND ?", report.column(Dimension::ReportDate.name()))];
    let mut params = vec![Value::Date(query.from), Value::Date(query.to)];
    for Filter { dimension, excluded, values } in &query.filters {
        let column = report.column(dimension.name());
        let marks = vec!["?"; values.len()].join(", ");
        conditions.push(match (values.is_empty(), excluded) {
            // `IN ()` is no SQL: no value lets no row through, and excludes none.
            (true, false) => "1 = 0".into(),
            (true, true) => "1 = 1".into(),
            (false, false) => format!("`{column}` IN ({marks})"),
            (false, true) => format!("`{column}` NOT IN ({marks})"),
        });
        for value in values {
            params.push(upsert::key_value(parse_key(*dimension, value)?));
        }
    }
    Ok((conditions.join(" AND "), params))
}

fn parse_key(dimension: Dimension, text: &str) -> SqlResult<KeyValue> {
    let wrong = |what: &str| refused(format!("{} {text:?} is not {what}", dimension.name()));
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
