//! Data for people and for programs: the same rows as a table, as CSV or as JSON.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use serde_json::{Map, Value};

use super::{CliError, io_error};
use crate::model::object::printable;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Csv,
    Json,
}

/// Rows under named columns. Numbers keep every digit: money and ratios are decimal text, also in JSON.
pub struct Rows {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Option<String>>>,
}

pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    Text,
    /// A number in JSON.
    Integer,
    /// Decimal text in JSON, since a double would lose digits.
    Decimal,
}

impl Column {
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self { name: name.into(), kind }
    }
}

impl Rows {
    pub fn to_text(&self, format: Format) -> Result<String, CliError> {
        match format {
            Format::Table => Ok(self.to_table()),
            Format::Csv => self.to_csv(),
            Format::Json => self.to_json(),
        }
    }

    pub fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        // No line between two rows.
        use TableComponent::{HorizontalLines, LeftBorderIntersections, MiddleIntersections, RightBorderIntersections};
        for line in [HorizontalLines, LeftBorderIntersections, MiddleIntersections, RightBorderIntersections] {
            table.remove_style(line);
        }
        table.set_header(self.columns.iter().map(|column| &column.name));
        for row in &self.rows {
            table.add_row(row.iter().map(|value| printable(value.as_deref().unwrap_or("-"))));
        }
        for (at, column) in self.columns.iter().enumerate() {
            if let (true, Some(shown)) = (column.kind != ColumnKind::Text, table.column_mut(at)) {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{table}\n")
    }

    fn to_csv(&self) -> Result<String, CliError> {
        let failed = |error: csv::Error| CliError::Failed(format!("write CSV: {error}"));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|column| &column.name)).map_err(failed)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|value| value.as_deref().unwrap_or(""))).map_err(failed)?;
        }
        let bytes = writer.into_inner().map_err(|error| CliError::Failed(format!("write CSV: {error}")))?;
        String::from_utf8(bytes).map_err(|error| CliError::Failed(format!("write CSV: {error}")))
    }

    fn to_json(&self) -> Result<String, CliError> {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.json_row(row)).collect();
        let text = serde_json::to_string_pretty(&rows);
        text.map(|text| text + "\n").map_err(|error| CliError::Failed(format!("write JSON: {error}")))
    }

    fn json_row(&self, row: &[Option<String>]) -> Value {
        let member = |(column, value): (&Column, &Option<String>)| {
            let value = match (value, column.kind) {
                (None, _) => Value::Null,
                (Some(text), ColumnKind::Integer) => text.parse::<i64>().map_or(text.as_str().into(), Value::from),
                (Some(text), _) => text.as_str().into(),
            };
            (column.name.clone(), value)
        };
        Value::Object(self.columns.iter().zip(row).map(member).collect::<Map<_, _>>())
    }
}

/// Writes to standard output. A reader that has gone (`| head`) is not an error.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(io_error("write to standard output")),
    }
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows {
            columns: vec![
                Column::new("media_key", ColumnKind::Text),
                Column::new("clicks", ColumnKind::Integer),
                Column::new("revenue", ColumnKind::Decimal),
            ],
            rows: vec![
                vec![Some("뉴스,홈".into()), Some("12".into()), Some("9223372036854.775807".into())],
                vec![Some("m \"1\"".into()), Some("0".into()), None],
            ],
        }
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let text = "media_key,clicks,revenue\n\"뉴스,홈\",12,9223372036854.775807\n\"m \"\"1\"\"\",0,\n";
        assert_eq!(rows().to_text(Format::Csv).ok().unwrap(), text);
    }

    #[test]
    fn json_keeps_every_digit_of_money() {
        let text = rows().to_text(Format::Json).ok().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[0]["revenue"], "9223372036854.775807");
        assert_eq!(value[0]["clicks"], 12);
        assert_eq!(value[1]["revenue"], Value::Null);
    }

    #[test]
    fn table_does_not_let_a_key_write_to_the_terminal() {
        let columns = vec![Column::new("media_key", ColumnKind::Text)];
        let table = Rows { columns, rows: vec![vec![Some("\u{1b}[31mred\n".into())]] }.to_table();
        assert!(table.contains(r"\u{1b}[31mred\n"), "{table}");
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([thousands(0), thousands(999), thousands(1_234_567)], ["0", "999", "1,234,567"]);
    }
}
