//! `demo`: the whole product on one machine without services: generated logs in a folder, an embedded database, the
//! same pipeline as the daemon's.

mod logs;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::output::{self, ColumnKind, Rows, thousands};
use super::{CliError, audit, failed, io_error, open, progress, report};
use crate::config::Config;
use crate::model::{ObjectRef, ReportDate};
use crate::pipeline::{self, Pulse, Shutdown, Tallied, Tally};
use crate::report::Report;
use crate::source::{Listing, Objects, SourceUrl};
use crate::store::{FailedFilter, FailedState, ReportQuery, SqlStore};

#[derive(clap::Args)]
pub struct Args {
    /// Log files to generate, besides a broken one
    #[arg(long, default_value = "24", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    files: u64,
    /// Rows of each file
    #[arg(long, default_value = "10000", value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    rows: u64,
    /// The same seed makes the same logs
    #[arg(long, default_value = "1")]
    seed: u64,
    /// A new folder for logs and database; one in the folder for temporary files when not given
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Every so many files is delivered a second time.
const REDELIVERED_EVERY: usize = 4;
/// Rows shown of each report.
const SHOWN_ROWS: usize = 5;

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let dir = folder(&args)?;
    let logs = dir.join("logs");
    let (files, rows) = (args.files, thousands(args.rows));
    eprintln!("generating {files} log files of {rows} rows, and one that is cut in half, in {}", logs.display());
    write_logs(&logs, &args)?;

    let database = dir.join("xc2.db");
    let config = config.with_sqlite(&database);
    let store = Arc::new(open::store(&config).await?);
    store.migrate().await?;
    store.insert_metadata(&logs::metadata()).await?;

    let begun = Instant::now();
    let done = count(&logs, store.clone(), &config).await?;
    let elapsed = begun.elapsed();

    print_reports(&store, &config).await?;
    let open = FailedFilter { state: Some(FailedState::Open), ..FailedFilter::default() };
    let failures = store.failed(&open).await?;
    output::print(&format!("\nfailed objects\n{}", shortened(failed::rows(&failures)).to_table()))?;
    let balance = store.audit(None, None).await?;
    output::print(&format!("\n{}", audit::verdict(&balance)))?;
    output::print(&summary(&done, failures.len(), elapsed, &database, &logs))?;
    if balance.findings.is_empty() { Ok(()) } else { Err(CliError::Said) }
}

fn folder(args: &Args) -> Result<PathBuf, CliError> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => {
            let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
            std::env::temp_dir().join(format!("xc2-demo-{now}-{}", std::process::id()))
        }
    };
    if dir.join("logs").exists() || dir.join("xc2.db").exists() {
        let problem = format!("{} holds an earlier demo: name a new folder with --dir", dir.display());
        return Err(CliError::Failed(problem));
    }
    Ok(dir)
}

fn write_logs(logs: &Path, args: &Args) -> Result<(), CliError> {
    std::fs::create_dir_all(logs).map_err(io_error(format_args!("create {}", logs.display())))?;
    let write = |name: &str, body: &[u8]| {
        let path = logs.join(name);
        std::fs::write(&path, body).map_err(io_error(format_args!("write {}", path.display())))
    };
    for number in 0..args.files {
        let seed = args.seed.wrapping_mul(1_000_003).wrapping_add(number);
        let body = logs::file(seed, args.rows as usize).map_err(io_error("generate a log file"))?;
        write(&format!("ads-{number:04}.pkl.gz"), &body)?;
        if number == 0 {
            write("ads-broken.pkl.gz", &body[..body.len() / 2])?;
        }
    }
    Ok(())
}

fn listed(logs: &Path) -> Result<Vec<ObjectRef>, CliError> {
    let reading = || format!("read {}", logs.display());
    let entries = std::fs::read_dir(logs).map_err(io_error(reading()))?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(io_error(reading()))?;
    paths.sort_unstable();
    paths.iter().map(|path| open::file(path).map_err(io_error(reading()))).collect()
}

/// Runs the daemon's pipeline over the folder, with some objects delivered twice.
async fn count(logs: &Path, store: Arc<SqlStore>, config: &Config) -> Result<Tallied, CliError> {
    let mut objects = listed(logs)?;
    let again: Vec<_> = objects.iter().step_by(REDELIVERED_EVERY).cloned().collect();
    objects.extend(again);
    let total = objects.len() as u64;
    let objects_of_files = Objects::open(&config.source_at(SourceUrl::Folder(logs.to_owned()))).await?;
    let (queue, tally) = (Arc::new(Listing::of(objects)), Arc::new(Tally::default()));
    let job = Arc::new(config.pipeline.clone());
    let (objects, pulse, shutdown) = (Arc::new(objects_of_files), Arc::new(Pulse::default()), Shutdown::default());
    let pipeline = pipeline::run(queue, objects, store, job, tally.clone(), pulse, shutdown);
    Ok(progress::shown(total, tally, pipeline).await?)
}

async fn print_reports(store: &SqlStore, config: &Config) -> Result<(), CliError> {
    for of in &config.plan.reports {
        let query = ReportQuery {
            report: of.name.clone(),
            from: ReportDate::FIRST,
            to: ReportDate::LAST,
            dimensions: of.dimensions.clone(),
            filters: Vec::new(),
            sort: Vec::new(),
            limit: None,
        };
        let mut found = store.report(&query).await?;
        let total = found.len();
        // The rows with the most impressions (or requests) say more than the first ones by key.
        found.sort_by(|a, b| b.sums[0].cmp(&a.sums[0]).then_with(|| a.key.cmp(&b.key)));
        found.truncate(SHOWN_ROWS);
        let rows = report::rows(&config.plan, of, &of.dimensions, &found);
        output::print(&format!("\n{}\n{}", heading(of, total), rows.to_table()))?;
    }
    Ok(())
}

fn heading(report: &Report, rows: usize) -> String {
    let shown = rows.min(SHOWN_ROWS);
    format!("report {} (table {}): the largest {shown} of {} rows", report.name, report.table, thousands(rows as u64))
}

/// The columns that matter for one screen.
fn shortened(failed: Rows) -> Rows {
    let wanted = ["key", "kind", "reason"];
    let keep: Vec<usize> =
        (0..failed.columns.len()).filter(|&at| wanted.contains(&failed.columns[at].name.as_str())).collect();
    let rows = failed.rows.iter().map(|row| keep.iter().map(|&at| row[at].clone()).collect()).collect();
    let columns = keep.iter().map(|&at| output::Column::new(&failed.columns[at].name, ColumnKind::Text)).collect();
    Rows { columns, rows }
}

fn summary(done: &Tallied, failures: usize, elapsed: Duration, database: &Path, logs: &Path) -> String {
    let per_second = (done.rows as f64 / elapsed.as_secs_f64()) as u64;
    format!(
        "counted: {} objects, {} rows in {:.2} s ({} rows/s, from reading the files to the last commit)\n\
         delivered again, and neither counted nor listed again: {} objects; failed: {}; rows of unknown media: {}\n\
         logs:     {}\n\
         database: {}\n\
         look further: XC2__STORE__URL=sqlite:{} xc2-analyzer report media --by report_date\n",
        done.objects,
        thousands(done.rows),
        elapsed.as_secs_f64(),
        thousands(per_second),
        done.duplicates,
        failures,
        thousands(done.unmapped_media_rows),
        logs.display(),
        database.display(),
        database.display(),
    )
}
