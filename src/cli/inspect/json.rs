//! Findings for programs. Names are stable: new ones may come, none changes its meaning.

use serde_json::{Value, json};

use super::{Findings, ReportRows};
use crate::cli::CliError;
use crate::cli::output::{Format, Rows};
use crate::model::FailureKind;
use crate::pipeline::count::CountError;
use crate::pipeline::inspect::{Breakage, FieldSurvey, FoundReject, GzipHeader, Place, Producer};

impl Findings {
    pub fn to_json(&self) -> Result<String, CliError> {
        let decoded = &self.inspected.counted.decoded;
        let (survey, timings) = (&self.inspected.survey, &self.inspected.timings);
        let milliseconds = |duration: std::time::Duration| duration.as_secs_f64() * 1000.0;
        let rejects = decoded.rejects.iter().map(|(reason, rejected)| {
            let found = survey.rejects.iter().filter(|found| found.reason == reason).map(reject);
            json!({
                "reason": reason.name(),
                "rows": rejected.rows,
                "first_rows": rejected.first_rows,
                "first": found.collect::<Vec<_>>(),
            })
        });
        let reports = self.reports.iter().map(report).collect::<Result<Vec<_>, _>>()?;
        let value = json!({
            "object": self.object.to_string(),
            "bytes": self.bytes,
            "inflated_bytes": decoded.inflated_bytes,
            "gzip_members": decoded.gzip_members,
            "gzip": survey.gzip.as_ref().map(gzip),
            "dumps": decoded.dumps,
            "protocol": decoded.protocol,
            "shape": format!("{:?}", decoded.shape),
            "producer": producer(&survey.producer),
            "hints": survey.hints,
            "rows": decoded.rows,
            "rejected_rows": decoded.rejects.rows(),
            "rejects": rejects.collect::<Vec<_>>(),
            "too_many_rejects": self.too_many_rejects.as_ref().map(ToString::to_string),
            "surveyed_rows": survey.rows,
            "survey_incomplete": survey.incomplete,
            "fields": survey.fields.iter().map(field).collect::<Vec<_>>(),
            "absent_fields": survey.absent.iter().map(field).collect::<Vec<_>>(),
            "values_of_more_fields": survey.values_left_out,
            "first_rows": parse(&self.first_rows)?,
            "reports": reports,
            "milliseconds": {
                "fetch": milliseconds(self.fetch),
                "inflate": milliseconds(timings.inflate),
                "decode": milliseconds(timings.decode),
                "sum": milliseconds(timings.sum),
                "survey": milliseconds(timings.survey),
            },
            "error": self.inspected.error.as_ref().map(|error| failure(error, survey.breakage.as_ref())),
        });
        let text = serde_json::to_string_pretty(&value);
        Ok(text.map_err(|error| CliError::Failed(error.to_string()))? + "\n")
    }
}

fn parse(rows: &Rows) -> Result<Value, CliError> {
    let text = rows.to_text(Format::Json)?;
    serde_json::from_str(&text).map_err(|error| CliError::Failed(error.to_string()))
}

fn report(report: &ReportRows) -> Result<Value, CliError> {
    Ok(json!({ "name": report.name, "rows_in_all": report.rows_in_all, "rows": parse(&report.rows)? }))
}

fn gzip(header: &GzipHeader) -> Value {
    json!({
        "modified": header.modified,
        "os": header.os,
        "os_name": header.os_name(),
        "extra_flags": header.extra_flags,
        "compression": header.compression(),
        "name": header.name,
        "comment": header.comment,
    })
}

fn producer(producer: &Producer) -> Value {
    let protocols = producer.protocols.iter().map(|(protocol, dumps)| json!({"protocol": protocol, "dumps": dumps}));
    json!({
        "protocols": protocols.collect::<Vec<_>>(),
        "frames": producer.frames,
        "puts": producer.puts,
        "memoizes": producer.memoizes,
        "gets": producer.gets,
        "python_2_strings": producer.old_strings,
        "globals": producer.globals.iter().map(|(module, name)| format!("{module}.{name}")).collect::<Vec<_>>(),
        "more_globals": producer.more_globals,
    })
}

fn field(field: &FieldSurvey) -> Value {
    let types = field.types.iter().map(|(name, values)| json!({"type": name, "values": values}));
    json!({
        "name": field.name,
        "of": match field.place { Place::Row => "row", Place::FirstAd => "first_ad" },
        "dtype": field.dtype,
        "types": types.collect::<Vec<_>>(),
        "values": field.values,
        "nulls": field.nulls,
        "missing": field.missing,
        "example": field.example,
        "read_as": field.read_as,
    })
}

fn reject(reject: &FoundReject) -> Value {
    json!({
        "row": reject.row,
        "offset": reject.offset,
        "dump_offset": reject.dump_offset,
        "field": reject.field,
        "value": reject.value,
    })
}

fn failure(error: &CountError, breakage: Option<&Breakage>) -> Value {
    let kind: FailureKind = error.kind();
    let mut value = json!({"kind": kind.name(), "reason": error.to_string(), "advice": kind.advice()});
    if let (Some(breakage), Value::Object(members)) = (breakage, &mut value) {
        let bytes = &breakage.bytes;
        let executed = breakage.executed.iter().map(|it| json!({"offset": it.offset, "call": it.call}));
        let opcode = breakage.opcode.map(|(code, name)| json!({"byte": code, "name": name}));
        let place = json!({
            "row": breakage.row,
            "dump": breakage.dump,
            "inflated_offset": breakage.inflated_offset,
            "stored_offset": breakage.stored_offset,
            "opcode": opcode,
            "building": breakage.building,
            "stack": breakage.stack,
            "bytes": {
                "of": if bytes.stored { "file" } else { "inflated" },
                "from": bytes.from,
                "hex": bytes.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            },
            "would_have_executed": executed.collect::<Vec<_>>(),
        });
        members.insert("place".to_owned(), place);
    }
    value
}
