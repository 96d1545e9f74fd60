//! One file per command, all of one shape: `Args` as typed, and `run`, which does it. Data goes to standard output,
//! everything else to standard error.

mod attend;
mod audit;
mod backfill;
mod check;
mod demo;
mod destination;
mod failed;
mod healthcheck;
mod inspect;
mod migrate;
mod notices;
mod open;
mod output;
mod print;
mod progress;
mod report;
mod run;
mod signals;
mod vitals;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Config, ConfigError};
use crate::failpoint;
use crate::pipeline::PipelineError;
use crate::source::{FetchError, QueueError};
use crate::store::StoreError;
use crate::telemetry;

/// Turns an advertising platform's logs (gzip-compressed Python pickles in S3) into daily reports in MySQL, each file
/// counted exactly once.
#[derive(Parser)]
#[command(name = "xc2-analyzer", version, max_term_width = 100)]
struct Cli {
    /// Configuration file; config.toml of the working directory when there is one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Generate logs, count them into an embedded database, print the reports: no services, no network
    Demo(demo::Args),
    /// Run the daemon: count what the queue announces, until SIGTERM
    Run(run::Args),
    /// Count what lies in a bucket or a folder and is not counted yet, or say what that is
    Backfill(backfill::Args),
    /// Verify configuration, machine, queue, buckets, database and schema: one line each, ok, or the line that fixes it
    Check(check::Args),
    /// Print what this configuration needs elsewhere: policies, notification, unit, task; and the configuration itself
    #[command(subcommand)]
    Print(print::Command),
    /// Create or extend the tables; never drops anything
    Migrate(migrate::Args),
    /// Print a report: table, chart, CSV, JSON or Excel. Without a name, list the reports
    Report(report::Args),
    /// Objects that were set aside
    #[command(subcommand)]
    Failed(failed::Command),
    /// What people are told: completed report dates and failures
    #[command(subcommand)]
    Notices(notices::Command),
    /// Verify that the books balance, date by date
    Audit(audit::Args),
    /// Ask a running daemon whether it is well: one line, exit code 0 or 1
    Healthcheck(healthcheck::Args),
    /// Decode one object (a file or s3://bucket/key) and show what is in it; touches no database
    Inspect(inspect::Args),
}

/// Why a command failed, as its exit code and a line for people.
pub enum CliError {
    /// 78
    Config(ConfigError),
    /// 1
    Failed(String),
    /// 1, when the command has already said what is wrong.
    Said,
}

impl CliError {
    const CONFIGURATION: u8 = 78;
    const FAILED: u8 = 1;

    fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Config(_) => ExitCode::from(Self::CONFIGURATION),
            CliError::Failed(_) | CliError::Said => ExitCode::from(Self::FAILED),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Config(error) => write!(f, "configuration: {error}"),
            CliError::Failed(problem) => f.write_str(problem),
            CliError::Said => Ok(()),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        CliError::Config(error)
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadUrl { problem, .. } => {
                CliError::Config(ConfigError { place: "config key store.url".into(), problem })
            }
            other => CliError::Failed(other.to_string()),
        }
    }
}

impl From<PipelineError> for CliError {
    fn from(error: PipelineError) -> Self {
        CliError::Failed(error.to_string())
    }
}

impl From<QueueError> for CliError {
    fn from(error: QueueError) -> Self {
        CliError::Failed(error.to_string())
    }
}

impl From<FetchError> for CliError {
    fn from(error: FetchError) -> Self {
        CliError::Failed(error.to_string())
    }
}

/// A failure of reading or writing files, with what was being done.
fn io_error(doing: impl fmt::Display) -> impl FnOnce(std::io::Error) -> CliError {
    move |error| CliError::Failed(format!("{doing}: {error}"))
}

/// The program. Exit codes: 0 done, 1 failed, 2 usage, 78 configuration.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, CliError::Said) {
                eprintln!("xc2-analyzer: {error}");
            }
            error.exit_code()
        }
    }
}

fn start(cli: Cli) -> Result<(), CliError> {
    let _failpoints = failpoint::from_environment();
    let config = match &cli.command {
        Command::Demo(_) if cli.config.is_some() => {
            return Err(CliError::Failed("demo takes no --config: it depends on nothing around it".to_owned()));
        }
        Command::Demo(_) => config::defaults(),
        _ => config::load(cli.config.as_deref())?,
    };
    // Both live as long as the command: the alerts' guard sends what is left when it is dropped.
    let _alerts = match &cli.command {
        Command::Run(_) => {
            telemetry::init(&config.telemetry.log);
            telemetry::alert::init(&config.telemetry.sentry_dsn, &config.telemetry.environment)
        }
        _ => {
            telemetry::init(&telemetry::LogSettings::quiet());
            telemetry::alert::Guard::none()
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(io_error("start the run time"))?;
    let result = runtime.block_on(dispatch(cli.command, config, cli.config));
    // Work that hangs in a thread of its own (a read of a dead disk) must not hold up the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

async fn dispatch(command: Command, config: Config, file: Option<PathBuf>) -> Result<(), CliError> {
    match command {
        Command::Demo(args) => demo::run(args, config).await,
        Command::Run(args) => run::run(args, config).await,
        Command::Backfill(args) => backfill::run(args, config).await,
        Command::Check(args) => check::run(args, config, file).await,
        Command::Print(command) => print::run(&command, &config, file.as_deref()),
        Command::Migrate(args) => migrate::run(args, config).await,
        Command::Report(args) => report::run(args, config).await,
        Command::Failed(command) => failed::run(command, config).await,
        Command::Notices(command) => notices::run(command, config).await,
        Command::Audit(args) => audit::run(args, config).await,
        Command::Healthcheck(args) => healthcheck::run(args, config).await,
        Command::Inspect(args) => inspect::run(args, config).await,
    }
}
