//! Reading a report: by date range, filters, group-by and order. Sums are exact at any size; the rows come one by one,
//! so that a report may have more of them than memory.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::StoreError;
use super::failed::timestamp;
use super::ranking::{ROWS_RANKED_MAX, Ranking};
use super::ratio::ratio;
use super::report_sql::{Statements, find_report};
use super::session::{Begin, Class, Session, SqlError, SqlResult, Value};
use super::sql_store::SqlStore;
use crate::aggregate::KeyValue;
use crate::model::{Dimension, ReportDate};
use crate::report::{Plan, Report};

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
    /// Of several filters, all hold.
    pub filters: Vec<Filter>,
    /// By the first of them, then by the next; what is left undecided is in the order of the keys.
    pub sort: Vec<Sort>,
    /// The first so many rows of the sorted ones.
    pub limit: Option<u64>,
}

/// Keeps the rows whose dimension has one of the values, or none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub dimension: Dimension,
    /// Drop these values instead of keeping them.
    pub excluded: bool,
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    pub by: SortBy,
    pub descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    Dimension(Dimension),
    /// An index into [`Plan::measures`].
    Measure(usize),
    /// An index into [`Report::ratios`]. Rows without a quotient come last in either direction.
    Ratio(usize),
}

/// One group: keys in the order of the query's dimensions, sums in the order of the report's measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    pub key: Vec<KeyValue>,
    /// Counts, or micros.
    pub sums: Vec<i128>,
}

/// What is known of a report before its first row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFacts {
    /// Rows that match, whatever the limit.
    pub groups: u64,
    /// The sums of all of them, in the order of the report's measures.
    pub totals: Vec<i128>,
    /// First and last date of them; `None` when there are no rows.
    pub dates: Option<(ReportDate, ReportDate)>,
    /// The newest commit that counted rows of the asked dates, into whatever report.
    pub last_commit: Option<Timestamp>,
    /// Objects that are listed as failed and not done with. Of which dates their rows are, nobody knows.
    pub failed_open: u64,
}

/// Grouping and sorting a year takes longer than any statement of a commit. Also how long a reader of the rows may
/// pause (a pager, a full pipe) before the server gives up on it.
const REPORT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(900);

impl SqlStore {
    /// Opens a report: everything read from it afterwards is of one moment. A report, dimension or value that can't be
    /// is `Refused`.
    pub async fn open_report(&self, query: &ReportQuery) -> Result<OpenReport<'_>, StoreError> {
        let statements = Statements::of(self.plan(), query, self.dialect()).map_err(|error| self.error(error))?;
        let mut session = self.begin(Begin::Snapshot).await?;
        session.set_statement_timeout(REPORT_STATEMENT_TIMEOUT);
        let facts = facts(&mut session, &statements, query).await;
        match facts.and_then(|facts| if statements.sorted { Ok(facts) } else { rankable(query, facts) }) {
            Ok(facts) => Ok(OpenReport { store: self, session, statements, query: query.clone(), facts }),
            Err(error) => self.give_back(session, Err(error)).await,
        }
    }

    /// The rows of a report, in memory: for those that are known to be few.
    pub async fn report(&self, query: &ReportQuery) -> Result<Vec<ReportRow>, StoreError> {
        let keep = |rows: &mut Vec<ReportRow>, row| {
            rows.push(row);
            ControlFlow::Continue(())
        };
        self.open_report(query).await?.rows(Vec::new(), keep).await
    }
}

async fn facts(session: &mut Session, statements: &Statements, query: &ReportQuery) -> SqlResult<ReportFacts> {
    if !session.dialect().is_sqlite() {
        let seconds = REPORT_STATEMENT_TIMEOUT.as_secs();
        session.run(&format!("SET SESSION net_write_timeout = {seconds}")).await?;
    }
    let groups = session.query(&statements.groups, statements.params.clone()).await?[0].int(0)?;
    let totals = &session.query(&statements.totals, statements.params.clone()).await?[0];
    let range = vec![Value::Date(query.from), Value::Date(query.to)];
    let last_commit = session.query(LAST_COMMIT, range).await?[0].text_or_null(0)?;
    let failed_open = session.query(FAILED_OPEN, Vec::new()).await?[0].int(0)?;
    let dates = if groups == 0 { None } else { Some((totals.date(0)?, totals.date(1)?)) };
    Ok(ReportFacts {
        groups: groups.unsigned_abs(),
        totals: statements.sums(totals, 2)?,
        dates,
        last_commit: last_commit.map(|text| timestamp(&text)).transpose()?,
        failed_open: failed_open.unsigned_abs(),
    })
}

const LAST_COMMIT: &str =
    "-- report freshness\nSELECT MAX(last_commit) FROM report_day WHERE report_date BETWEEN ? AND ?";

const FAILED_OPEN: &str = "-- report completeness\nSELECT COUNT(*) FROM failed_object WHERE state = 'open'";

/// A report whose rows wait to be read.
pub struct OpenReport<'a> {
    store: &'a SqlStore,
    session: Session,
    statements: Statements,
    query: ReportQuery,
    pub facts: ReportFacts,
}

impl OpenReport<'_> {
    /// Hands each row to `step`, in order, until it breaks; returns what `step` made of `state`. No more than one row
    /// is in memory, unless a ratio is sorted by: then the first ones by it, at most [`ROWS_RANKED_MAX`].
    pub async fn rows<T: Send + 'static>(
        self,
        state: T,
        step: impl FnMut(&mut T, ReportRow) -> ControlFlow<()> + Send + 'static,
    ) -> Result<T, StoreError> {
        let OpenReport { store, mut session, statements, query, facts } = self;
        let outcome = if statements.sorted {
            each(&mut session, statements, state, step).await
        } else {
            ranked(&mut session, store.plan(), statements, &query, facts.groups, state, step).await
        };
        match outcome {
            // The rest of the result is still on its way: the connection is of no further use.
            Ok((state, ControlFlow::Break(()))) => {
                drop(session);
                Ok(state)
            }
            Ok((state, ControlFlow::Continue(()))) => store.finish(session, Ok(state)).await,
            Err(error) => store.finish(session, Err(error)).await,
        }
    }
}

/// Passes the facts on when the wanted rows can be sorted here.
fn rankable(query: &ReportQuery, facts: ReportFacts) -> SqlResult<ReportFacts> {
    let wanted = query.limit.map_or(facts.groups, |limit| limit.min(facts.groups));
    if wanted <= ROWS_RANKED_MAX {
        return Ok(facts);
    }
    let problem = format!(
        "{wanted} rows are to be sorted by a ratio, which is done in memory and for at most {ROWS_RANKED_MAX}: give a lower \
         limit, group by less, or sort by a measure"
    );
    Err(SqlError::new(Class::Refused, problem))
}

async fn each<T: Send + 'static>(
    session: &mut Session,
    statements: Statements,
    state: T,
    mut step: impl FnMut(&mut T, ReportRow) -> ControlFlow<()> + Send + 'static,
) -> SqlResult<(T, ControlFlow<()>)> {
    let (sql, params) = (statements.rows.clone(), statements.params.clone());
    session.fold(&sql, params, state, move |state, row| Ok(step(state, statements.row(&row)?))).await
}

async fn ranked<T: Send + 'static>(
    session: &mut Session,
    plan: &Arc<Plan>,
    statements: Statements,
    query: &ReportQuery,
    groups: u64,
    mut state: T,
    mut step: impl FnMut(&mut T, ReportRow) -> ControlFlow<()>,
) -> SqlResult<(T, ControlFlow<()>)> {
    let wanted = query.limit.map_or(groups, |limit| limit.min(groups));
    let place = |sort: &Sort| match sort.by {
        SortBy::Dimension(dimension) => statements.dimensions.iter().position(|known| *known == dimension).unwrap_or(0),
        SortBy::Measure(_) | SortBy::Ratio(_) => 0,
    };
    let mut ranking = Ranking::new(&query.sort, wanted, place);
    let (plan, report) = (plan.clone(), find_report(plan, &query.report)?.clone());
    let take = move |ranking: &mut Ranking, row| {
        ranking.take(row, |row, by| sorted_value(&plan, &report, row, by));
        ControlFlow::Continue(())
    };
    (ranking, _) = each(session, statements, ranking, take).await?;
    let flow = ranking.finish().try_for_each(|row| step(&mut state, row));
    Ok((state, flow))
}

fn sorted_value(plan: &Plan, report: &Report, row: &ReportRow, by: SortBy) -> Option<i128> {
    match by {
        SortBy::Dimension(_) => None,
        SortBy::Measure(measure) => report.measures.iter().position(|&at| at == measure).map(|at| row.sums[at]),
        SortBy::Ratio(at) => report.ratios.get(at).and_then(|of| ratio(plan, report, of, &row.sums)),
    }
}
