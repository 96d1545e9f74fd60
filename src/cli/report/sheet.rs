//! A report as it is printed: its columns, what a row holds in them, and everything that is said around the rows.

use std::sync::Arc;

use super::words::Words;
use crate::model::{Dimension, DimensionKind, Language, MeasureKind, ReportDate};
use crate::report::{Plan, Ratio, Report, labels};
use crate::store::{KeyValue, ReportFacts, ReportQuery, ReportRow, SortBy, ratio};

#[derive(Clone)]
pub struct Sheet {
    pub plan: Arc<Plan>,
    pub report: Report,
    pub query: ReportQuery,
    /// The dates that were asked for; `None` for an open end.
    pub range: (Option<ReportDate>, Option<ReportDate>),
    pub facts: ReportFacts,
    pub columns: Vec<Column>,
    pub title: String,
    pub words: Words,
    /// Whether to show what all rows add up to.
    pub totals: bool,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// What it is called in the report's language.
    pub label: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Date,
    Text,
    Id,
    Count,
    /// Micros.
    Money,
    /// Millionths; of two numbers of one kind, so that people read it as a percentage.
    Share,
    /// Millionths.
    Quotient,
}

impl Kind {
    pub fn is_number(self) -> bool {
        !matches!(self, Kind::Date | Kind::Text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Key(KeyValue),
    /// In the unit of its column's kind.
    Number(i128),
    /// A quotient of nothing, or the key of a total.
    Nothing,
}

impl Sheet {
    pub fn cells(&self, row: &ReportRow) -> Vec<Cell> {
        row.key.iter().cloned().map(Cell::Key).chain(self.numbers(&row.sums)).collect()
    }

    /// The cells of the line of totals: its ratios are those of the sums, like any row's.
    pub fn total_cells(&self) -> Vec<Cell> {
        self.query.dimensions.iter().map(|_| Cell::Nothing).chain(self.numbers(&self.facts.totals)).collect()
    }

    fn numbers(&self, sums: &[i128]) -> Vec<Cell> {
        let measures = sums.iter().map(|&sum| Cell::Number(sum));
        let of = |of: &Ratio| ratio(&self.plan, &self.report, of, sums).map_or(Cell::Nothing, Cell::Number);
        measures.chain(self.report.ratios.iter().map(of)).collect()
    }

    /// Rows that are shown.
    pub fn rows_shown(&self) -> u64 {
        self.query.limit.map_or(self.facts.groups, |limit| limit.min(self.facts.groups))
    }

    /// Where a measure or a ratio stands among the columns.
    pub fn column_of(&self, number: SortBy) -> Option<usize> {
        let name = match number {
            SortBy::Dimension(dimension) => dimension.name(),
            SortBy::Measure(at) => &self.plan.measures[at].name,
            SortBy::Ratio(at) => &self.report.ratios[at].name,
        };
        self.columns.iter().position(|column| column.name == name)
    }
}

/// The columns of a report grouped by `dimensions`: these, the measures, the ratios.
pub fn columns(plan: &Plan, report: &Report, dimensions: &[Dimension], language: Language) -> Vec<Column> {
    let column = |name: &str, label: &str, kind| Column { name: name.to_owned(), label: label.to_owned(), kind };
    let of_dimension = |&of: &Dimension| {
        let kind = match of.kind() {
            DimensionKind::Date => Kind::Date,
            DimensionKind::Id => Kind::Id,
            DimensionKind::Text { .. } => Kind::Text,
        };
        column(of.name(), labels::dimension(of, language), kind)
    };
    let of_measure = |&at: &usize| {
        let measure = &plan.measures[at];
        let kind = match measure.kind {
            MeasureKind::Count => Kind::Count,
            MeasureKind::Money => Kind::Money,
        };
        column(&measure.name, labels::measure(measure, language), kind)
    };
    let of_ratio = |ratio: &Ratio| {
        let same = plan.measures[ratio.numerator].kind == plan.measures[ratio.denominator].kind;
        let kind = if same && ratio.times == 1 { Kind::Share } else { Kind::Quotient };
        column(&ratio.name, labels::ratio(ratio, language), kind)
    };
    let dimensions = dimensions.iter().map(of_dimension);
    dimensions.chain(report.measures.iter().map(of_measure)).chain(report.ratios.iter().map(of_ratio)).collect()
}
