//! The first rows of an object, as they were decoded, and of each report, as they were summed.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, UInt32Type};

use super::ReportRows;
use crate::cli::output::{Column, ColumnKind, Rows};
use crate::cli::{CliError, report};
use crate::model::MeasureKind;
use crate::model::micros::decimal_text;
use crate::pipeline::Rules;
use crate::pipeline::count::Rollup;
use crate::report::Plan;
use crate::store::ReportRow;

/// Gathers the first accepted rows from the batches that it sees.
pub struct First<'a> {
    rules: &'a Rules,
    rows_max: usize,
    pub rows: Rows,
}

impl<'a> First<'a> {
    pub fn new(rules: &'a Rules, rows_max: usize) -> Self {
        Self { rules, rows_max, rows: Rows { columns: Vec::new(), rows: Vec::new() } }
    }

    pub fn see(&mut self, batch: &RecordBatch) {
        if self.rows.columns.is_empty() {
            self.rows.columns = columns(batch, self.rules);
        }
        let wanted = self.rows_max.saturating_sub(self.rows.rows.len()).min(batch.num_rows());
        self.rows.rows.extend((0..wanted).map(|row| texts(batch, row, self.rules)));
    }
}

fn columns(batch: &RecordBatch, rules: &Rules) -> Vec<Column> {
    let kind = |field: &Field| match (measure_kind(rules, field.name()), field.data_type()) {
        (Some(MeasureKind::Money), _) => ColumnKind::Decimal,
        (_, DataType::Int64) => ColumnKind::Integer,
        _ => ColumnKind::Text,
    };
    batch.schema().fields().iter().map(|field| Column::new(field.name(), kind(field))).collect()
}

fn texts(batch: &RecordBatch, row: usize, rules: &Rules) -> Vec<Option<String>> {
    let fields = batch.schema();
    let columns = batch.columns().iter().zip(fields.fields());
    columns.map(|(column, field)| Some(text(column, row, measure_kind(rules, field.name())))).collect()
}

fn measure_kind(rules: &Rules, name: &str) -> Option<MeasureKind> {
    rules.schema.measures.iter().find(|measure| measure.name == name).map(|measure| measure.kind)
}

fn text(column: &ArrayRef, row: usize, kind: Option<MeasureKind>) -> String {
    match column.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = column.as_dictionary::<UInt32Type>();
            dictionary.values().as_string::<i32>().value(dictionary.keys().value(row) as usize).to_owned()
        }
        _ => {
            let value = column.as_primitive::<Int64Type>().value(row);
            if kind == Some(MeasureKind::Money) { decimal_text(value.into(), 6) } else { value.to_string() }
        }
    }
}

/// The first rows of each report.
pub fn of_reports(plan: &Plan, rollup: &Rollup, rows: usize) -> Result<Vec<ReportRows>, CliError> {
    let mut reports = Vec::new();
    for of in &plan.reports {
        let cells = rollup.report(of).map_err(|error| CliError::Failed(error.to_string()))?;
        let shown = cells.iter().take(rows);
        let shown: Vec<ReportRow> = shown
            .map(|cell| ReportRow { key: cell.key().collect(), sums: cell.sums().map(i128::from).collect() })
            .collect();
        let rows = report::rows(plan, of, &of.dimensions, &shown);
        reports.push(ReportRows { name: of.name.clone(), rows_in_all: cells.len(), rows });
    }
    Ok(reports)
}
