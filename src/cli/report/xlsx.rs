//! A report as an Excel workbook: typed cells, the header in place while one scrolls, a filter on each column, the totals
//! below, and a second sheet that says what it is. Rows go to a temporary file as they come, so any number fits memory.

use std::io;

use rust_xlsxwriter::{ExcelDateTime, Format, FormatBorder, Workbook, Worksheet, XlsxError};
use unicode_width::UnicodeWidthStr;

use super::numbers::plain;
use super::sheet::{Cell, Column, Kind, Sheet};
use crate::cli::destination::Destination;
use crate::model::ReportDate;
use crate::store::KeyValue;

/// Excel's own limit, less the header and the totals.
pub const XLSX_ROWS_MAX: u64 = 1_048_576 - 2;
/// Digits of a number that Excel keeps, as a double does.
const DIGITS_MAX: u32 = 15;
const COLUMN_WIDTH_MAX: usize = 50;

pub struct Xlsx {
    book: Workbook,
    rows: Worksheet,
    columns: Vec<Written>,
    next_row: u32,
    /// Numbers that a double can't hold.
    texts: u64,
    out: Destination,
}

/// A column with what its cells look like.
struct Written {
    kind: Kind,
    format: Format,
    total: Format,
    /// Of the widest cell, in characters.
    width: usize,
}

impl Written {
    fn of(column: &Column) -> Written {
        let format = Format::new().set_num_format(match column.kind {
            Kind::Date => "yyyy-mm-dd",
            Kind::Text => "@",
            Kind::Id => "0",
            Kind::Count => "#,##0",
            Kind::Money | Kind::Quotient => "#,##0.00####",
            Kind::Share => "0.00##%",
        });
        let total = format.clone().set_bold().set_border_top(FormatBorder::Thin);
        // The filter's button stands beside the label.
        Written { kind: column.kind, format, total, width: column.label.width() + 3 }
    }
}

fn failed(error: XlsxError) -> io::Error {
    io::Error::other(error.to_string())
}

impl Xlsx {
    pub fn begin(sheet: &Sheet, out: Destination) -> io::Result<Xlsx> {
        let mut book = Workbook::new();
        let mut rows = book.new_worksheet_with_constant_memory().map_err(failed)?;
        rows.set_name(sheet_name(&sheet.title)).map_err(failed)?;
        rows.set_freeze_panes(1, 0).map_err(failed)?;
        let header = Format::new().set_bold().set_border_bottom(FormatBorder::Thin);
        for (at, column) in (0..).zip(&sheet.columns) {
            rows.write_string_with_format(0, at, &column.label, &header).map_err(failed)?;
        }
        let columns = sheet.columns.iter().map(Written::of).collect();
        Ok(Xlsx { book, rows, columns, next_row: 1, texts: 0, out })
    }

    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.write(cells, |column| &column.format)
    }

    fn write(&mut self, cells: &[Cell], format: fn(&Written) -> &Format) -> io::Result<()> {
        let Xlsx { rows, columns, next_row: row, texts, .. } = self;
        for ((at, column), cell) in (0..).zip(columns).zip(cells) {
            let text = plain(cell, column.kind);
            let shown =
                text.as_deref().map_or(0, |text| text.width() + text.len() / 4 * usize::from(column.kind.is_number()));
            column.width = column.width.max(shown + 1);
            let format = format(column);
            match (cell, text) {
                (Cell::Nothing, _) | (_, None) => rows.write_blank(*row, at, format),
                (Cell::Key(KeyValue::Date(date)), Some(text)) => match excel_date(*date) {
                    Some(date) => rows.write_datetime_with_format(*row, at, date, format),
                    None => rows.write_string_with_format(*row, at, text, format),
                },
                (Cell::Key(KeyValue::Text(_)), Some(text)) => rows.write_string_with_format(*row, at, text, format),
                (Cell::Key(_) | Cell::Number(_), Some(text)) => match exact(&text) {
                    Some(number) => rows.write_number_with_format(*row, at, number, format),
                    None => {
                        *texts += 1;
                        rows.write_string_with_format(*row, at, text, format)
                    }
                },
            }
            .map_err(failed)?;
        }
        self.next_row += 1;
        Ok(())
    }

    pub fn finish(mut self, sheet: &Sheet) -> io::Result<()> {
        let last = self.next_row - 1;
        if sheet.totals {
            let mut cells = sheet.total_cells();
            cells[0] = Cell::Key(KeyValue::Text(sheet.words.total().into()));
            self.write(&cells, |column| &column.total)?;
        }
        let columns = (self.columns.len() - 1) as u16;
        // Without the totals, which are of all rows whatever is filtered.
        self.rows.autofilter(0, 0, last, columns).map_err(failed)?;
        for (at, column) in (0..).zip(&self.columns) {
            self.rows.set_column_width(at, column.width.min(COLUMN_WIDTH_MAX) as f64).map_err(failed)?;
        }
        let mut about = Worksheet::new();
        about.set_name(sheet.words.about()).map_err(failed)?;
        let mut lines = sheet.words.heading(sheet);
        lines.extend(sheet.words.shown(sheet));
        lines.extend(sheet.words.freshness(sheet, jiff::Timestamp::now()));
        if self.texts > 0 {
            lines.push(sheet.words.amounts_as_text(self.texts));
        }
        about.set_column_width(0, 100).map_err(failed)?;
        for (row, line) in (0..).zip(lines) {
            about.write_string(row, 0, line).map_err(failed)?;
        }
        self.book.push_worksheet(self.rows);
        self.book.push_worksheet(about);
        self.book.save_to_writer(&mut self.out).map_err(failed)?;
        self.out.finish()
    }
}

/// A number that Excel shows as it is written here; `None` when a double would lose digits of it.
fn exact(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{}{}", whole.trim_start_matches('-'), fraction.trim_end_matches('0'));
    let digits = digits.trim_start_matches('0').len();
    if digits <= DIGITS_MAX as usize { text.parse().ok() } else { None }
}

/// Excel's calendar begins in 1900, and has a day in its February that never was.
fn excel_date(date: ReportDate) -> Option<ExcelDateTime> {
    let date = date.to_date();
    if date < jiff::civil::date(1900, 3, 1) {
        return None;
    }
    ExcelDateTime::from_ymd(date.year() as u16, date.month() as u8, date.day() as u8).ok()
}

/// At most 31 characters, and none of those that Excel keeps for itself.
fn sheet_name(title: &str) -> String {
    let allowed = |c: &char| !['[', ']', ':', '*', '?', '/', '\\', '\''].contains(c);
    let name: String = title.chars().filter(allowed).take(31).collect();
    if name.trim().is_empty() { "report".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0.000001", Some(0.000001))]
    #[case("123456789.123456", Some(123456789.123456))]
    #[case("12345678901.250000", Some(12345678901.25))]
    #[case("1234567890.123456", None)]
    #[case("-7", Some(-7.0))]
    #[case("999999999999999", Some(999999999999999.0))]
    #[case("9223372036854775807", None)]
    fn number_is_a_number_only_while_it_is_exact(#[case] text: &str, #[case] number: Option<f64>) {
        assert_eq!(exact(text), number);
    }

    #[rstest]
    #[case("수요처(DSP)", "수요처(DSP)")]
    #[case("a/b: [c]", "ab c")]
    #[case("*", "report")]
    fn any_title_names_a_sheet(#[case] title: &str, #[case] name: &str) {
        assert_eq!(sheet_name(title), name);
    }
}
