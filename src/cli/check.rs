//! `check`: configuration, queue, database, schema: one line each, ok or what to do.

use super::output::print;
use super::{CliError, open};
use crate::config::Config;
use crate::source::{self, Fetch, Objects, Queue, SourceSettings, SourceUrl, SqsQueue};
use crate::store::HealthLevel;

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

    fn warning(&mut self, what: &str, detail: impl std::fmt::Display) {
        self.line("warning ", what, detail);
    }

    fn failure(&mut self, what: &str, detail: impl std::fmt::Display) {
        self.failures += 1;
        self.line("FAILURE ", what, detail);
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
        Ok(settings) => check_source(settings, &mut findings).await,
        Err(error) => findings.failure("source", error),
    }
    check_store(&config, &mut findings).await;
    print(&findings.text)?;
    source?;
    if findings.failures == 0 { Ok(()) } else { Err(CliError::Said) }
}

async fn check_source(settings: &SourceSettings, findings: &mut Findings) {
    let checked = match &settings.url {
        SourceUrl::Sqs(_) => check_queue(settings, findings).await,
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

async fn check_queue(settings: &SourceSettings, findings: &mut Findings) -> Result<(), String> {
    let queue = SqsQueue::open(settings).await.map_err(|error| error.to_string())?;
    let Some(attributes) = queue.attributes().await.map_err(|error| error.to_string())? else {
        findings.warning("queue", format!("{}: its settings can't be read; grant sqs:GetQueueAttributes", queue.url()));
        return Ok(());
    };
    let (waiting, held) = (attributes.backlog, attributes.in_flight);
    findings.ok("queue", format!("{}: {waiting} messages waiting, {held} held", queue.url()));
    if attributes.fifo {
        findings.warning("queue", "it is a FIFO queue, which S3 does not send to: use a standard one");
    }
    match attributes.redrive {
        Some(redrive) => findings.ok(
            "dead letters",
            format!("after {} receipts, to {}", redrive.receive_count_max, redrive.dead_letter_arn),
        ),
        None => findings.warning("dead letters", "the queue has no dead-letter queue: add a redrive policy"),
    }
    Ok(())
}

async fn check_store(config: &Config, findings: &mut Findings) {
    let store = match open::store(config).await {
        Ok(store) => store,
        Err(error) => return findings.failure("store", error),
    };
    findings.ok("store", store.label());
    match store.health().await {
        Ok(facts) => {
            for fact in facts {
                match fact.level {
                    HealthLevel::Ok => findings.ok(fact.name, fact.detail),
                    HealthLevel::Warning => findings.warning(fact.name, format!("{}; {}", fact.detail, fact.advice)),
                    HealthLevel::Failure => findings.failure(fact.name, format!("{}; {}", fact.detail, fact.advice)),
                }
            }
        }
        Err(error) => findings.failure("store", error),
    }
    match store.verify_schema().await {
        Ok(()) => findings.ok("schema", "every table and column is there"),
        Err(error) => findings.failure("schema", error),
    }
}
