//! Findings for a person at a terminal.

use jiff::Timestamp;

use super::Findings;
use crate::cli::output::{Column, ColumnKind, Rows, thousands};
use crate::model::FailureKind;
use crate::model::object::printable;
use crate::pipeline::count::CountError;
use crate::pipeline::inspect::{Breakage, Bytes, FieldSurvey, GzipHeader, Place};

impl Findings {
    pub fn to_text(&self) -> String {
        let mut text = self.head();
        if let Some(error) = &self.inspected.error {
            text += &failure(error, self.inspected.survey.breakage.as_ref());
        }
        text += &self.rows();
        text += &self.schema();
        if !self.first_rows.rows.is_empty() {
            text += &format!("\nfirst rows\n{}", self.first_rows.to_table());
        }
        if self.reports.iter().any(|report| report.rows_in_all > 0) {
            text += "\nreports, without metadata: organization 0, device and app type ALL, no revenue split\n";
            for report in &self.reports {
                let shown = report.rows.rows.len();
                text += &format!("\nreport {}: the first {shown} of {} rows\n", report.name, report.rows_in_all);
                text += &report.rows.to_table();
            }
        }
        text + &self.timings()
    }

    fn head(&self) -> String {
        let decoded = &self.inspected.counted.decoded;
        let survey = &self.inspected.survey;
        let is_broken = self.inspected.error.is_some();
        let dumps = if is_broken { ("whole dump", "whole dumps") } else { ("dump", "dumps") };
        let mut text = format!(
            "{}\n{} bytes, {} inflated; {}, protocol {}",
            self.object,
            thousands(self.bytes),
            thousands(decoded.inflated_bytes),
            counted(decoded.dumps, dumps.0, dumps.1),
            decoded.protocol,
        );
        // The shape of a dump is known when it is whole.
        text += &if decoded.dumps > 0 { format!(", shape {:?}\n", decoded.shape) } else { "\n".to_owned() };
        match &survey.gzip {
            Some(header) => text += &gzip(header, decoded.gzip_members),
            None => text += "not compressed\n",
        }
        let producer = &survey.producer;
        text += &format!(
            "pickle: {}, {} memo entries, {} references to them\n",
            counted(producer.frames, "frame", "frames"),
            thousands(producer.puts + producer.memoizes),
            thousands(producer.gets),
        );
        for hint in &survey.hints {
            text += &format!("hint: {hint}\n");
        }
        if !producer.globals.is_empty() {
            let names = producer.globals.iter().map(|(module, name)| format!("{module}.{name}"));
            let names: Vec<String> = names.map(|name| printable(&name).into_owned()).collect();
            text += &format!("names: {}{}\n", names.join(", "), if producer.more_globals { ", and more" } else { "" });
        }
        text
    }

    fn rows(&self) -> String {
        let decoded = &self.inspected.counted.decoded;
        let rejected = thousands(decoded.rejects.rows());
        let mut text = if self.inspected.error.is_some() {
            let (whole, judged) = (self.inspected.survey.rows.max(decoded.rows), thousands(decoded.rows));
            format!(
                "\n{} before it broke; of the {judged} that were judged {rejected} rejected\n",
                counted(whole, "row", "rows")
            )
        } else {
            format!("\n{} read, {rejected} rejected\n", counted(decoded.rows, "row", "rows"))
        };
        for (reason, rejected) in decoded.rejects.iter() {
            text += &format!("rejected {reason}: {}\n", counted(rejected.rows, "row", "rows"));
            for found in self.inspected.survey.rejects.iter().filter(|found| found.reason == reason) {
                let place = match found.offset {
                    Some(offset) => format!("at byte {}", thousands(offset)),
                    None => format!("in the dump at byte {}", thousands(found.dump_offset)),
                };
                let value = printable(found.value.as_deref().unwrap_or("-"));
                let field = found.field.as_deref().map_or(String::new(), |field| format!("{} = ", printable(field)));
                text += &format!("  row {} {place}: {field}{value}\n", thousands(found.row));
            }
        }
        if let Some(too_many) = &self.too_many_rejects {
            text += &format!("the daemon lists it as failed ({}): {}\n", too_many.kind(), too_many.kind().advice());
        }
        text
    }

    fn schema(&self) -> String {
        let survey = &self.inspected.survey;
        let mut text = String::new();
        if let Some(incomplete) = &survey.incomplete {
            text += &format!("\nfields of the first {} rows only: {incomplete}\n", thousands(survey.rows));
        }
        if survey.rows == 0 && survey.fields.is_empty() {
            return text;
        }
        let names = ["field", "types", "nulls", "missing", "read as", "example"];
        let numbers = ["nulls", "missing"];
        let kind = |name| if numbers.contains(&name) { ColumnKind::Integer } else { ColumnKind::Text };
        let columns = names.into_iter().map(|name| Column::new(name, kind(name))).collect();
        let rows = survey.fields.iter().chain(&survey.absent).map(field).collect();
        text += &format!("\nfields of {}\n{}", counted(survey.rows, "row", "rows"), Rows { columns, rows }.to_table());
        if survey.values_left_out > 0 {
            text += &format!("and {} values of more fields\n", thousands(survey.values_left_out));
        }
        text
    }

    fn timings(&self) -> String {
        let timings = &self.inspected.timings;
        let stages = [
            ("fetch", self.fetch),
            ("inflate", timings.inflate),
            ("decode", timings.decode),
            ("sum", timings.sum),
            ("this survey", timings.survey),
        ];
        let stages = stages.map(|(stage, took)| format!("{stage} {:.1} ms", took.as_secs_f64() * 1000.0));
        format!("\n{}\n", stages.join(", "))
    }
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

fn gzip(header: &GzipHeader, members: u32) -> String {
    let mut text = format!("gzip: {}", counted(members.into(), "member", "members"));
    if header.modified > 0
        && let Ok(modified) = Timestamp::from_second(header.modified.into())
    {
        text += &format!(", modified {modified}");
    }
    text += &format!(", written on {} ({}), compression {}", header.os_name(), header.os, header.compression());
    for (what, said) in [("name", &header.name), ("comment", &header.comment)] {
        if let Some(said) = said {
            text += &format!(", {what} {}", printable(said));
        }
    }
    text + "\n"
}

fn field(field: &FieldSurvey) -> Vec<Option<String>> {
    let name = match field.place {
        Place::Row => field.name.clone(),
        Place::FirstAd => format!("ads[0].{}", field.name),
    };
    let types = match field.types.as_slice() {
        [] => "not found".to_owned(),
        [(only, _)] => only.to_string(),
        types => {
            types.iter().map(|(name, values)| format!("{name} {}", thousands(*values))).collect::<Vec<_>>().join(", ")
        }
    };
    let types = field.dtype.as_ref().map_or(types.clone(), |dtype| format!("{dtype}: {types}"));
    let read_as = if field.read_as.is_empty() { "not read".to_owned() } else { field.read_as.join(", ") };
    let (nulls, missing) = (thousands(field.nulls), thousands(field.missing));
    vec![Some(name), Some(types), Some(nulls), Some(missing), Some(read_as), field.example.clone()]
}

fn failure(error: &CountError, breakage: Option<&Breakage>) -> String {
    let mut text = format!("\nBROKEN ({}): {error}\n  {}\n", error.kind(), error.kind().advice());
    let Some(breakage) = breakage else { return text };
    text += &format!("  at byte {} of the inflated stream", thousands(breakage.inflated_offset));
    if let Some(offset) = breakage.stored_offset {
        text += &format!(", byte {} of the file", thousands(offset));
    }
    if let Some((code, name)) = breakage.opcode {
        text += &format!(", opcode 0x{code:02x} {}", name.unwrap_or("(no opcode of any protocol)"));
    }
    text += &format!(", in dump {}\n", thousands(breakage.dump));
    if !breakage.building.is_empty() {
        text += &format!("  while reading {}\n", printable(&breakage.building.join(": ")));
    }
    if !breakage.stack.is_empty() {
        text += &format!("  stack: {}\n", printable(&breakage.stack.join(", ")));
    }
    for (nth, executed) in breakage.executed.iter().enumerate() {
        let before = if nth == 0 { "  Python would have executed" } else { "                        then" };
        text += &format!("{before}: {}   (byte {})\n", printable(&executed.call), thousands(executed.offset));
    }
    if breakage.executed.is_empty() && error.kind() == FailureKind::Forbidden {
        text += "  Python would have imported it, and called nothing with it\n";
    }
    text + &hex(&breakage.bytes)
}

/// Sixteen bytes a line, the place between `>` and `<`.
fn hex(bytes: &Bytes) -> String {
    const LINE: usize = 16;
    let of = if bytes.stored { "file" } else { "inflated stream" };
    let mut text = format!("  bytes of the {of}\n");
    for (nth, line) in bytes.bytes.chunks(LINE).enumerate() {
        let start = bytes.from + (nth * LINE) as u64;
        let mut hex = String::new();
        for (at, byte) in line.iter().enumerate() {
            let at = start + at as u64;
            let before = if at == bytes.at {
                '>'
            } else if at == bytes.at + 1 && at > start {
                '<'
            } else {
                ' '
            };
            hex += &format!("{before}{byte:02x}");
        }
        let last = start + line.len() as u64 - 1;
        hex.push(if last == bytes.at { '<' } else { ' ' });
        let ascii: String =
            line.iter().map(|&byte| if (0x20..0x7f).contains(&byte) { byte.into() } else { '.' }).collect();
        text += &format!("    {start:08x} {hex:<49} |{ascii}|\n");
    }
    if bytes.at >= bytes.from + bytes.bytes.len() as u64 {
        text += &format!("    {:08x} > ends here\n", bytes.from + bytes.bytes.len() as u64);
    }
    text
}
