//! `check`: configuration, queue, database, schema: one line each, ok or what to do.

use super::output::print;
use super::{CliError, open};
use crate::config::Config;
use crate::model::{HealthFact, HealthLevel};
use crate::pipeline::HEARTBEAT;
use crate::source::{self, Fetch, Objects, SourceSettings, SourceUrl, SqsQueue};

#[derive(clap::Args)]
pub struct Args {}

/// The lines so far, and whether one of them is a failure.
#[derive(Default)]
struct Findings {
    text: String,
    failures: usize,
}

impl Findings {
    fn ok(&mut self, what: &str, detail: impl std::fmt::Display) {
        self.line("ok      ", what, detail);
    }

    fn failure(&mut self, what: &str, detail: impl std::fmt::Display) {
        self.failures += 1;
        self.line("FAILURE ", what, detail);
    }

    fn fact(&mut self, HealthFact { name, level, detail, advice }: HealthFact) {
        match level {
            HealthLevel::Ok => self.ok(name, detail),
            HealthLevel::Warning => self.line("warning ", name, format!("{detail}; {advice}")),
            HealthLevel::Failure => self.failure(name, format!("{detail}; {advice}")),
        }
    }

    fn line(&mut self, level: &str, what: &str, detail: impl std::fmt::Display) {
        self.text += &format!("{level} {what}: {detail}\n");
    }
}

pub async fn run(Args {}: Args, config: Config) -> Result<(), CliError> {
    let mut findings = Findings::default();
    let reports: Vec<&str> = config.plan.reports.iter().map(|report| report.name.as_str()).collect();
    findings.ok("configuration", format!("valid; reports {}", reports.join(", ")));
    let source = config.source();
    match &source {
        Ok(settings) => check_source(&config, settings, &mut findings).await,
        Err(error) => findings.failure("source", error),
    }
    check_store(&config, &mut findings).await;
    print(&findings.text)?;
    source?;
    if findings.failures == 0 { Ok(()) } else { Err(CliError::Said) }
}

async fn check_source(config: &Config, settings: &SourceSettings, findings: &mut Findings) {
    let checked = match &settings.url {
        SourceUrl::Sqs(_) => check_queue(config, settings, findings).await,
        SourceUrl::Bucket { bucket, .. } => check_bucket(settings, bucket, findings).await,
        SourceUrl::Folder(_) => {
            let opened = source::open(settings).await;
            opened.map(|queue| findings.ok("folder", queue.url())).map_err(|error| error.to_string())
        }
    };
    if let Err(problem) = checked {
        findings.failure("source", problem);
    }
}

async fn check_bucket(settings: &SourceSettings, bucket: &str, findings: &mut Findings) -> Result<(), String> {
    let objects = Objects::open(settings).await.map_err(|error| error.to_string())?;
    objects.probe(bucket).await.map_err(|error| format!("{}: {error}", settings.url))?;
    findings.ok("bucket", format!("{} answers", settings.url));
    Ok(())
}

async fn check_queue(config: &Config, settings: &SourceSettings, findings: &mut Findings) -> Result<(), String> {
    let queue = SqsQueue::open(settings).await.map_err(|error| error.to_string())?;
    let facts = queue.health(HEARTBEAT, config.pipeline.fetch_attempts_max).await.map_err(|error| error.to_string())?;
    facts.into_iter().for_each(|fact| findings.fact(fact));
    Ok(())
}

async fn check_store(config: &Config, findings: &mut Findings) {
    let store = match open::store(config).await {
        Ok(store) => store,
        Err(error) => return findings.failure("store", error),
    };
    findings.ok("store", store.label());
    match store.health().await {
        Ok(facts) => facts.into_iter().for_each(|fact| findings.fact(fact)),
        Err(error) => findings.failure("store", error),
    }
    match store.verify_schema().await {
        Ok(()) => findings.ok("schema", "every table and column is there"),
        Err(error) => findings.failure("schema", error),
    }
}
