//! A report as JSON: what was asked, what it adds up to, and the rows, one a line, under the columns' own names whatever
//! the language. Money and ratios are decimal text, since a reader would make doubles of numbers and lose digits.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::numbers::plain;
use super::sheet::{Cell, Column, Kind, Sheet};
use crate::cli::destination::Destination;
use crate::report::Report;

pub struct Json {
    /// `"name":` of each column.
    members: Vec<(String, Kind)>,
    rows: u64,
    out: Destination,
}

impl Json {
    pub fn begin(sheet: &Sheet, mut out: Destination) -> io::Result<Json> {
        let members: Vec<(String, Kind)> = sheet
            .columns
            .iter()
            .map(|Column { name, kind, .. }| (format!("{}:", Value::from(name.as_str())), *kind))
            .collect();
        writeln!(out, "{{")?;
        for (name, value) in facts(sheet) {
            writeln!(out, " {}: {value},", Value::from(name))?;
        }
        let dimensions = sheet.query.dimensions.len();
        writeln!(out, " \"totals\": {},", object(&members[dimensions..], &sheet.total_cells()[dimensions..]))?;
        write!(out, " \"rows\": [")?;
        Ok(Json { members, rows: 0, out })
    }

    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let comma = if self.rows == 0 { "" } else { "," };
        self.rows += 1;
        write!(self.out, "{comma}\n  {}", object(&self.members, cells))
    }

    pub fn finish(mut self) -> io::Result<()> {
        writeln!(self.out, "{}]\n}}", if self.rows == 0 { "" } else { "\n " })?;
        self.out.finish()
    }
}

fn facts(sheet: &Sheet) -> Vec<(&'static str, Value)> {
    let Report { name, measures, ratios, .. } = &sheet.report;
    let date = |date: Option<crate::model::ReportDate>| date.map(|date| date.to_string());
    let filters = sheet.query.filters.iter().map(
        |filter| json!({"dimension": filter.dimension.name(), "excluded": filter.excluded, "values": filter.values}),
    );
    let sort = sheet.words.sorted(sheet);
    vec![
        ("report", json!(name)),
        ("title", json!(sheet.title)),
        ("from", json!(date(sheet.range.0))),
        ("to", json!(date(sheet.range.1))),
        ("first_date", json!(date(sheet.facts.dates.map(|dates| dates.0)))),
        ("last_date", json!(date(sheet.facts.dates.map(|dates| dates.1)))),
        ("time_zone", json!(sheet.words.zone_name())),
        ("dimensions", sheet.query.dimensions.iter().map(|dimension| dimension.name()).collect()),
        ("measures", measures.iter().map(|&at| sheet.plan.measures[at].name.as_str()).collect()),
        ("ratios", ratios.iter().map(|ratio| ratio.name.as_str()).collect()),
        ("filters", filters.collect()),
        ("sort", sort.split(',').filter(|sort| !sort.is_empty()).collect()),
        ("limit", json!(sheet.query.limit)),
        ("rows_matched", json!(sheet.facts.groups)),
        ("last_commit", json!(sheet.facts.last_commit.map(|at| at.to_string()))),
        ("failed_objects_open", json!(sheet.facts.failed_open)),
    ]
}

/// Written by hand: integers of any size stay numbers with all their digits.
fn object(members: &[(String, Kind)], cells: &[Cell]) -> String {
    let member = |((name, kind), cell): (&(String, Kind), &Cell)| {
        let value = match (plain(cell, *kind), kind) {
            (None, _) => "null".to_owned(),
            (Some(digits), Kind::Id | Kind::Count) => digits,
            (Some(text), _) => Value::from(text).to_string(),
        };
        format!("{name}{value}")
    };
    format!("{{{}}}", members.iter().zip(cells).map(member).collect::<Vec<_>>().join(","))
}
