//! A report as CSV by RFC 4180, in UTF-8 with the byte order mark that makes Excel read it as UTF-8.

use std::borrow::Cow;
use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};

use super::numbers::plain;
use super::sheet::{Cell, Kind, Sheet};
use crate::cli::destination::Destination;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub struct Csv {
    kinds: Vec<Kind>,
    out: csv::Writer<Destination>,
}

impl Csv {
    pub fn begin(sheet: &Sheet, mut out: Destination) -> io::Result<Csv> {
        out.write_all(BYTE_ORDER_MARK)?;
        let mut out = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
        let header = sheet.columns.iter().map(|column| harmless(&column.label).into_owned());
        out.write_record(header).map_err(as_written)?;
        Ok(Csv { kinds: sheet.columns.iter().map(|column| column.kind).collect(), out })
    }

    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        for (cell, kind) in cells.iter().zip(&self.kinds) {
            let text = plain(cell, *kind).unwrap_or_default();
            let text = if *kind == Kind::Text { harmless(&text) } else { text.as_str().into() };
            self.out.write_field(text.as_bytes()).map_err(as_written)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(as_written)
    }

    pub fn finish(mut self, sheet: &Sheet) -> io::Result<()> {
        if sheet.totals {
            let mut cells = sheet.total_cells();
            self.kinds[0] = Kind::Text;
            cells[0] = Cell::Key(crate::store::KeyValue::Text(sheet.words.total().into()));
            self.row(&cells)?;
        }
        self.out.flush()?;
        self.out.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()
    }
}

/// The error below: of what kind it is decides whether it is one (a reader that has gone).
fn as_written(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Text that no spreadsheet takes for a formula. Who names a media key may be anyone, and `=HYPERLINK(..)` would run
/// at the desk of whoever opens the file. Such a text gets an apostrophe in front, and so does one that has apostrophes
/// before such a text, so that taking one off gives back what was there.
fn harmless(text: &str) -> Cow<'_, str> {
    const FIRST: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
    match text.trim_start_matches('\'').starts_with(FIRST) {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("m1", "m1")]
    #[case("=1+1", "'=1+1")]
    #[case("-7", "'-7")]
    #[case("@SUM(A1)", "'@SUM(A1)")]
    #[case("\t=1", "'\t=1")]
    #[case("'=1", "''=1")]
    #[case("'quoted", "'quoted")]
    #[case("＝1", "'＝1")]
    #[case("", "")]
    fn text_is_no_formula(#[case] text: &str, #[case] written: &str) {
        assert_eq!(harmless(text), written);
    }
}
