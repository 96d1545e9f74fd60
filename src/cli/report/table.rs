//! A report as a table for people, or as bars: both need all rows before the first one is printed.

use std::io::{self, Write};

use super::chart;
use super::numbers::Style;
use super::sheet::{Cell, Sheet};
use crate::cli::destination::Destination;
use crate::cli::output::{Column, ColumnKind, Rows};

/// A person reads no more; a program reads another format.
pub const TABLE_ROWS_MAX: u64 = 50_000;

pub struct Table {
    rows: Vec<Vec<Cell>>,
    /// The column to draw.
    chart: Option<usize>,
    out: Destination,
}

impl Table {
    pub fn begin(chart: Option<usize>, out: Destination) -> Table {
        Table { rows: Vec::new(), chart, out }
    }

    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub fn finish(self, sheet: &Sheet) -> io::Result<()> {
        let Table { rows, chart, mut out } = self;
        if sheet.facts.groups > 0 {
            for line in sheet.words.heading(sheet) {
                writeln!(out, "{line}")?;
            }
            match chart {
                Some(column) => chart::draw(sheet, column, &rows, &mut out)?,
                None => out.write_all(text(sheet, rows).as_bytes())?,
            }
            if let Some(line) = sheet.words.shown(sheet) {
                writeln!(out, "{line}")?;
            }
        }
        out.finish()
    }
}

fn text(sheet: &Sheet, mut rows: Vec<Vec<Cell>>) -> String {
    if sheet.totals {
        rows.push(sheet.total_cells());
    }
    let styles: Vec<Style> =
        (0..sheet.columns.len()).map(|at| Style::of(&sheet.columns[at], rows.iter().map(|row| &row[at]))).collect();
    let kind = |number| if number { ColumnKind::Decimal } else { ColumnKind::Text };
    let columns = sheet.columns.iter().map(|column| Column::new(&column.label, kind(column.kind.is_number())));
    let texts = rows.iter().map(|row| row.iter().zip(&styles).map(|(cell, style)| Some(style.text(cell))).collect());
    let mut shown = Rows { columns: columns.collect(), rows: texts.collect() };
    if !sheet.totals {
        return shown.to_table();
    }
    if let Some(total) = shown.rows.last_mut() {
        let dimensions = sheet.query.dimensions.len();
        total[..dimensions].iter_mut().for_each(|key| *key = Some(String::new()));
        total[0] = Some(sheet.words.total());
    }
    let table = shown.to_table();
    // Every row is one line: keys are escaped. The frame's own line goes before the last one.
    let mut lines: Vec<&str> = table.lines().collect();
    lines.insert(lines.len().saturating_sub(2), lines[0]);
    lines.join("\n") + "\n"
}
