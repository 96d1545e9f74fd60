//! `inspect`: what is in one object, decoded by the same code as the daemon's; no database, no metadata. A broken object is
//! told of as far as it goes, and where it breaks.

mod json;
mod rows;
mod text;

use std::time::{Duration, Instant};

use super::output::{self, Format, Rows};
use super::{CliError, open};
use crate::config::Config;
use crate::model::{Announced, ObjectRef};
use crate::pipeline::count::CountError;
use crate::pipeline::inspect::{self, Inspected};
use crate::source::fetch::Fetched;
use crate::source::{Fetch, Objects, SourceUrl};

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

/// All that is told of an object.
struct Findings {
    object: ObjectRef,
    bytes: u64,
    fetch: Duration,
    inspected: Inspected,
    first_rows: Rows,
    reports: Vec<ReportRows>,
    /// That the daemon would list it as failed for its rejects, though it can be read.
    too_many_rejects: Option<CountError>,
}

/// The first rows of one report, by key.
struct ReportRows {
    name: String,
    rows_in_all: usize,
    rows: Rows,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let begun = Instant::now();
    let (object, fetched) = fetch(&args.object, &config).await?;
    let fetch = begun.elapsed();
    let findings = find(object, fetch, &fetched.body, &config, args.rows)?;
    output::print(&match args.format {
        Format::Json => findings.to_json()?,
        Format::Table => findings.to_text(),
        Format::Csv => findings.first_rows.to_text(Format::Csv)?,
    })?;
    match &findings.inspected.error {
        // Said in full on standard output already; here for who reads only this.
        Some(error) => Err(CliError::Failed(format!("{}: {}: {error}", findings.object, error.kind()))),
        None => Ok(()),
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

fn find(object: ObjectRef, fetch: Duration, body: &[u8], config: &Config, rows: usize) -> Result<Findings, CliError> {
    let rules = config.pipeline.rules_now();
    let mut first_rows = rows::First::new(&rules, rows);
    let mut inspected = inspect::inspect(body, &rules, &mut |batch| first_rows.see(batch));
    let first_rows = first_rows.rows;
    // However many rows were rejected, the person asking wants to see which and why: that is no failure here.
    let too_many_rejects = match inspected.error {
        Some(CountError::TooManyRejects { .. }) => inspected.error.take(),
        _ => None,
    };
    let reports = rows::of_reports(&rules.plan, &inspected.counted.rollup, rows)?;
    let bytes = body.len() as u64;
    Ok(Findings { object, bytes, fetch, inspected, first_rows, reports, too_many_rejects })
}
