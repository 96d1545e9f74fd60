//! `inspect`: what is in one object, decoded by the same code as the daemon's; no database, no metadata.

use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, UInt32Type};
use serde_json::{Value, json};

use super::output::{self, Column, ColumnKind, Format, Rows, thousands};
use super::{CliError, open, report};
use crate::config::Config;
use crate::model::micros::decimal_text;
use crate::model::{Announced, MeasureKind, ObjectRef};
use crate::pipeline::Rules;
use crate::pipeline::count::{self, Decoded, Rollup};
use crate::report::Plan;
use crate::source::fetch::Fetched;
use crate::source::{Fetch, Objects, SourceUrl};
use crate::store::ReportRow;

#[derive(clap::Args)]
pub struct Args {
    /// A file, or s3://bucket/key
    object: String,
    /// Rows to show, of the object and of each report
    #[arg(long, default_value = "5")]
    rows: usize,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What is known of the object after decoding.
struct Inspected {
    object: ObjectRef,
    bytes: u64,
    decoded: Decoded,
    first_rows: Rows,
    reports: Vec<(String, Rows)>,
    seconds: f64,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let (object, fetched) = fetch(&args.object, &config).await?;
    let begun = Instant::now();
    let bytes = fetched.body.len() as u64;
    let mut inspected = inspect(object, &fetched.body, config.pipeline.rules_now(), args.rows)?;
    (inspected.bytes, inspected.seconds) = (bytes, begun.elapsed().as_secs_f64());
    match args.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&inspected.to_json()?);
            output::print(&(text.map_err(|error| CliError::Failed(error.to_string()))? + "\n"))
        }
        Format::Table => output::print(&inspected.to_text()),
        Format::Csv => output::print(&inspected.first_rows.to_text(Format::Csv)?),
    }
}

async fn fetch(text: &str, config: &Config) -> Result<(ObjectRef, Fetched), CliError> {
    let failed = |problem: String| CliError::Failed(format!("{text}: {problem}"));
    let url = SourceUrl::parse(text).map_err(failed)?;
    let object = match &url {
        SourceUrl::Bucket { bucket, prefix } => {
            ObjectRef { bucket: bucket.clone(), key: prefix.clone(), announced: Announced::default() }
        }
        SourceUrl::Folder(path) => open::file(path).map_err(|error| failed(error.to_string()))?,
        SourceUrl::Sqs(_) => return Err(failed("name a file or s3://bucket/key".to_owned())),
    };
    let limit = config.pipeline.rules.limits.object_bytes_max;
    let objects = Objects::open(&config.source_at(url)).await?;
    let fetched = objects.fetch(&object, limit).await.map_err(|error| failed(error.to_string()))?;
    Ok((object, fetched))
}

fn inspect(object: ObjectRef, body: &[u8], mut rules: Rules, rows: usize) -> Result<Inspected, CliError> {
    // However many rows were rejected, the person asking wants to see which and why.
    rules.max_reject_ratio = 1.0;
    let mut first_rows = Rows { columns: Vec::new(), rows: Vec::new() };
    let mut seen = |batch: &RecordBatch| {
        if first_rows.columns.is_empty() {
            first_rows.columns = columns(batch, &rules);
        }
        let wanted = rows.saturating_sub(first_rows.rows.len()).min(batch.num_rows());
        first_rows.rows.extend((0..wanted).map(|row| texts(batch, row, &rules)));
    };
    let counted = count::count(body, &rules, count::without_metadata(), &mut seen).map_err(|error| {
        CliError::Failed(format!("{object}: {}: {error}\n  {}", error.kind(), error.kind().advice()))
    })?;
    let reports = reports(&rules.plan, &counted.rollup, rows)?;
    Ok(Inspected { object, bytes: 0, decoded: counted.decoded, first_rows, reports, seconds: 0.0 })
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

/// The first rows of each report, by key.
fn reports(plan: &Plan, rollup: &Rollup, rows: usize) -> Result<Vec<(String, Rows)>, CliError> {
    let mut reports = Vec::new();
    for of in &plan.reports {
        let cells = rollup.report(of).map_err(|error| CliError::Failed(error.to_string()))?;
        let title = format!("report {}: the first {} of {} rows", of.name, rows.min(cells.len()), cells.len());
        let shown = cells.iter().take(rows);
        let shown: Vec<ReportRow> = shown
            .map(|cell| ReportRow { key: cell.key().collect(), sums: cell.sums().map(i128::from).collect() })
            .collect();
        reports.push((title, report::rows(plan, of, &of.dimensions, &shown)));
    }
    Ok(reports)
}

impl Inspected {
    fn to_text(&self) -> String {
        let Decoded { rows, rejects, inflated_bytes, gzip_members, protocol, shape, dumps, .. } = &self.decoded;
        let mut text = format!(
            "{}\n{} bytes, {} inflated ({gzip_members} gzip members); {dumps} dumps, protocol {protocol}, shape {shape:?}\n\
             {} rows read, {} rejected; decoded and summed in {:.1} ms\n",
            self.object,
            thousands(self.bytes),
            thousands(*inflated_bytes),
            thousands(*rows),
            thousands(rejects.rows()),
            self.seconds * 1000.0,
        );
        for (reason, rejected) in rejects.iter() {
            text += &format!("rejected {reason}: {} rows, the first {:?}\n", rejected.rows, rejected.first_rows);
        }
        text += &format!("\nfirst rows\n{}", self.first_rows.to_table());
        text += "\nwithout metadata: organization 0, device and app type ALL, no revenue split\n";
        for (title, rows) in &self.reports {
            text += &format!("\n{title}\n{}", rows.to_table());
        }
        text
    }

    fn to_json(&self) -> Result<Value, CliError> {
        let parse = |rows: &Rows| -> Result<Value, CliError> {
            let text = rows.to_text(Format::Json)?;
            serde_json::from_str(&text).map_err(|error| CliError::Failed(error.to_string()))
        };
        let decoded = &self.decoded;
        let rejects = decoded.rejects.iter().map(|(reason, rejected)| {
            json!({"reason": reason.name(), "rows": rejected.rows, "first_rows": rejected.first_rows})
        });
        let reports = self.reports.iter().map(|(title, rows)| Ok(json!({ "title": title, "rows": parse(rows)? })));
        Ok(json!({
            "object": self.object.to_string(),
            "bytes": self.bytes,
            "inflated_bytes": decoded.inflated_bytes,
            "gzip_members": decoded.gzip_members,
            "dumps": decoded.dumps,
            "protocol": decoded.protocol,
            "shape": format!("{:?}", decoded.shape),
            "rows": decoded.rows,
            "rejected_rows": decoded.rejects.rows(),
            "rejects": rejects.collect::<Vec<_>>(),
            "first_rows": parse(&self.first_rows)?,
            "reports": reports.collect::<Result<Vec<_>, CliError>>()?,
            "milliseconds": self.seconds * 1000.0,
        }))
    }
}
