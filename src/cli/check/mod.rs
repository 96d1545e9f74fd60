//! `check`: configuration, this machine, source, database: one line each, ok, or what to do and the line that does it.

mod machine;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::{CliError, open, output};
use crate::config::{Config, Effective, Origin};
use crate::model::HealthFact;
use crate::model::health::{HealthLevel, bad, good};
use crate::model::shell::quoted;
use crate::pipeline::HEARTBEAT;
use crate::source::{self, Habits};
use crate::store::{self, StoreError, StoreSettings};
use report::Report;

#[derive(clap::Args)]
pub struct Args {
    /// A bucket that announces on the queue, beside those that the queue's policy names; may be repeated
    #[arg(long, value_name = "NAME")]
    bucket: Vec<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Exit with 1 also when there are only warnings
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// One part is given up after this, so that the others are told all the same.
const PART_TIME_MAX: Duration = Duration::from_secs(90);

pub async fn run(args: Args, config: Config, file: Option<PathBuf>) -> Result<(), CliError> {
    let source = config.source();
    let (of_source, of_store, of_machine) = tokio::join!(
        within("source", async {
            match &source {
                Ok(settings) => {
                    let habits =
                        Habits { heartbeat: HEARTBEAT, fetch_attempts_max: config.pipeline.fetch_attempts_max };
                    source::health(settings, habits, &args.bucket).await
                }
                Err(error) => {
                    let advice = "say where the objects are announced; this is an example:";
                    let example =
                        "export XC2__SOURCE__URL=https://sqs.ap-northeast-2.amazonaws.com/123456789012/ad-logs";
                    vec![bad("source", HealthLevel::Failure, error.to_string(), advice).fixed_by(example)]
                }
            }
        }),
        within("database", database(&config)),
        within("machine", machine::facts(&config)),
    );
    let mut facts = vec![configuration(&config, file.as_deref())];
    facts.extend(of_machine);
    facts.extend(of_source);
    facts.extend(of_store);
    facts.iter_mut().for_each(|fact| fact.fix = with_file(&fact.fix, file.as_deref()));
    let report = Report::of(facts);
    output::print(&match args.format {
        Format::Text => report.to_text(),
        Format::Json => report.to_json(),
    })?;
    source?;
    match report.worst() {
        HealthLevel::Failure => Err(CliError::Said),
        HealthLevel::Warning if args.strict => Err(CliError::Said),
        _ => Ok(()),
    }
}

async fn within(part: &'static str, facts: impl Future<Output = Vec<HealthFact>>) -> Vec<HealthFact> {
    let late = |_| {
        let detail = format!("no answer within {PART_TIME_MAX:?}");
        vec![bad(part, HealthLevel::Failure, detail, "restore the network between here and there, then check again")]
    };
    tokio::time::timeout(PART_TIME_MAX, facts).await.unwrap_or_else(late)
}

/// A line that runs this program again must name the same file.
fn with_file(fix: &str, file: Option<&Path>) -> String {
    match (fix.strip_prefix("xc2-analyzer "), file) {
        (Some(rest), Some(file)) => format!("xc2-analyzer --config {} {rest}", quoted(&file.display().to_string())),
        _ => fix.to_owned(),
    }
}

/// That it is valid is known by now.
fn configuration(config: &Config, file: Option<&Path>) -> HealthFact {
    let reports: Vec<&str> = config.plan.reports.iter().map(|report| report.name.as_str()).collect();
    let mut from: Vec<String> = Vec::new();
    if let Ok(effective) = Effective::load(file) {
        from.extend(effective.settings.iter().filter_map(|setting| match &setting.origin {
            Origin::Environment(variable) => Some(variable.clone()),
            Origin::Default | Origin::File(_) => None,
        }));
    }
    if let Some(path) = crate::config::file(file) {
        from.insert(0, path.display().to_string());
    }
    let from = if from.is_empty() { "the defaults alone".to_owned() } else { from.join(", ") };
    good("configuration", format!("valid, from {from}; reports {}", reports.join(", ")))
}

async fn database(config: &Config) -> Vec<HealthFact> {
    // Nobody waits for one line as long as for a commit.
    const STATEMENT_TIME_MAX: Duration = Duration::from_secs(20);
    let mut config = config.clone();
    config.store.statement_timeout = config.store.statement_timeout.min(STATEMENT_TIME_MAX);
    let store = match open::store(&config).await {
        Ok(store) => store,
        Err(error) => return vec![not_opened(&config.store, &error)],
    };
    let mut facts = vec![good("store", store.label())];
    match store.health().await {
        Ok(found) => facts.extend(found),
        Err(error) => facts.push(bad("store", HealthLevel::Failure, error.to_string(), error_advice(&error))),
    }
    facts
}

fn not_opened(settings: &StoreSettings, error: &StoreError) -> HealthFact {
    let fact = bad("store", HealthLevel::Failure, error.to_string(), error_advice(error));
    match settings.is_absent_file() {
        true => bad("store", HealthLevel::Failure, error.to_string(), "create it, or correct [store] url")
            .fixed_by("xc2-analyzer migrate"),
        false => match store::admission(settings, error) {
            Some(statement) => fact.fixed_by(statement),
            None => fact,
        },
    }
}

fn error_advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable { .. } | StoreError::Conflict { .. } => {
            "see that the server runs, and that this machine can reach it: address, network, firewall"
        }
        StoreError::Refused { .. } => "correct [store] url and password, or what the server lets this user do",
        StoreError::BadUrl { .. } => "correct [store] url",
        StoreError::Schema { .. } | StoreError::OutOfRange { .. } | StoreError::Metadata { .. } => {
            "correct the tables, then check again"
        }
    }
}
