//! Rollups -> report tables: multi-row additive upserts, in primary-key order, in a few fixed sizes.

use super::dialect::{Dialect, Merge, quoted};
use super::session::{Class, Session, SqlError, SqlResult, Value};
use crate::aggregate::{Cell, KeyValue, Overflow, Rollup};
use crate::failpoint;
use crate::report::{Plan, Report};

/// Placeholders of one statement: MySQL takes 65,535, SQLite as built into this program 32,766.
const PLACEHOLDERS_MAX: usize = 32_766;

/// An `INSERT` of any number of rows: `head VALUES (?, ?), (?, ?) tail`.
pub(super) struct Insert {
    /// `INSERT INTO t (columns)`.
    pub head: String,
    pub columns: usize,
    /// The upsert clause; empty for a plain insert.
    pub tail: String,
}

impl Insert {
    pub fn into(table: &str, columns: &[&str]) -> Insert {
        let head = format!("INSERT INTO `{table}` ({})", quoted(columns));
        Insert { head, columns: columns.len(), tail: String::new() }
    }

    pub fn sql(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns].join(", "));
        format!("{} VALUES {}{}", self.head, vec![row.as_str(); rows].join(", "), self.tail)
    }

    /// The sizes in which `rows` are inserted, `rows_max` or fewer at a time.
    pub fn chunk_sizes(&self, rows: usize, rows_max: usize) -> Vec<usize> {
        chunk_sizes(rows, rows_max.min(PLACEHOLDERS_MAX / self.columns))
    }

    /// Inserts all rows, in their order.
    pub async fn run(
        &self,
        session: &mut Session,
        rows_max: usize,
        rows: impl ExactSizeIterator<Item = Vec<Value>>,
    ) -> SqlResult<()> {
        let mut rows = rows;
        for size in self.chunk_sizes(rows.len(), rows_max) {
            let params = rows.by_ref().take(size).flatten().collect();
            failpoint::meet("commit.chunk.before")?;
            session.execute(&self.sql(size), params).await?;
            failpoint::meet("commit.chunk.after")?;
        }
        Ok(())
    }
}

/// Splits `rows` into chunks of a few sizes only (`rows_max`, a quarter of it, a sixteenth, ...), so that every
/// statement is one of a handful that are prepared already.
pub(super) fn chunk_sizes(rows: usize, rows_max: usize) -> Vec<usize> {
    let (mut left, mut size, mut sizes) = (rows, rows_max.max(1), Vec::new());
    while left > 0 {
        sizes.extend(std::iter::repeat_n(size, left / size));
        left %= size;
        size = (size / 4).max(1);
    }
    sizes
}

/// Adds the cells of every report of the plan.
pub(super) async fn add_reports(session: &mut Session, plan: &Plan, rollup: &Rollup, rows_max: usize) -> SqlResult<()> {
    for report in &plan.reports {
        // One report at a time: the cells of all four at once would cost four times the memory.
        let cells = super::sql_store::on_this_thread(|| rollup.report(report)).map_err(out_of_range)?;
        let insert = report_upsert(session.dialect(), plan, report);
        insert.run(session, rows_max, cells.iter().map(|cell| params(plan, report, cell))).await?;
    }
    Ok(())
}

pub(super) fn out_of_range(overflow: Overflow) -> SqlError {
    SqlError::new(Class::OutOfRange, overflow.to_string())
}

fn report_upsert(dialect: Dialect, plan: &Plan, report: &Report) -> Insert {
    let key: Vec<&str> = report.dimensions.iter().map(|dimension| report.column(dimension.name())).collect();
    let sums: Vec<&str> = report.measures.iter().map(|&at| report.column(&plan.measures[at].name)).collect();
    let columns: Vec<&str> = key.iter().chain(&sums).copied().collect();
    let added: Vec<(&str, Merge)> = sums.iter().map(|&column| (column, Merge::Add)).collect();
    Insert { tail: dialect.on_duplicate(&key, &added), ..Insert::into(&report.table, &columns) }
}

fn params(plan: &Plan, report: &Report, cell: Cell) -> Vec<Value> {
    let sums = cell.sums().zip(&report.measures);
    let sums = sums.map(|(sum, &at)| Dialect::measure(plan.measures[at].kind, sum));
    cell.key().map(key_value).chain(sums).collect()
}

pub(super) fn key_value(key: KeyValue) -> Value {
    match key {
        KeyValue::Date(date) => Value::Date(date),
        KeyValue::Id(id) => Value::Int(id),
        KeyValue::Text(text) => Value::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, &[])]
    #[case(1, &[1])]
    #[case(512, &[512])]
    #[case(1200, &[512, 512, 128, 32, 8, 8])]
    #[case(515, &[512, 2, 1])]
    fn rows_are_split_into_few_sizes(#[case] rows: usize, #[case] sizes: &[usize]) {
        assert_eq!(chunk_sizes(rows, 512), sizes);
    }

    #[rstest]
    #[case(0)]
    #[case(1)]
    #[case(3)]
    fn any_limit_of_rows_splits_everything(#[case] rows_max: usize) {
        assert_eq!(chunk_sizes(10, rows_max).iter().sum::<usize>(), 10);
    }

    #[test]
    fn insert_has_a_placeholder_for_each_column_of_each_row() {
        let insert = Insert { tail: " END".into(), ..Insert::into("t", &["a", "b"]) };
        assert_eq!(insert.chunk_sizes(1_000_000, 1_000_000)[0] * 2, PLACEHOLDERS_MAX);
        assert_eq!(insert.sql(2), "INSERT INTO `t` (`a`, `b`) VALUES (?, ?), (?, ?) END");
    }
}
