//! `check`: configuration, queue, database, schema: one line each, ok or what to do.

use super::output::print;
use super::{CliError, open};
use crate::config::Config;
use crate::source::SourceUrl;
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
    check_source(&config, &mut findings).await;
    check_store(&config, &mut findings).await;
    print(&findings.text)?;
    if findings.failures == 0 { Ok(()) } else { Err(CliError::Said) }
}

async fn check_source(config: &Config, findings: &mut Findings) {
    let settings = match config.source() {
        Ok(settings) => settings,
        Err(error) => return findings.failure("source", error),
    };
    let what = match &settings.url {
        SourceUrl::Sqs(_) => "queue",
        SourceUrl::Bucket { .. } => "bucket",
        SourceUrl::Folder(_) => "folder",
    };
    match open::source(&settings).await {
        Ok((queue, _)) => findings.ok(what, queue.url()),
        Err(error) => findings.failure(what, error),
    }
}

async fn check_store(config: &Config, findings: &mut Findings) {
    let store = match open::store(config).await {
        Ok(store) => store,
        Err(error) => return findings.failure("database", error),
    };
    findings.ok("database", store.label());
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
        Err(error) => findings.failure("database", error),
    }
    match store.verify_schema().await {
        Ok(()) => findings.ok("schema", "every table and column is there"),
        Err(error) => findings.failure("schema", error),
    }
}
