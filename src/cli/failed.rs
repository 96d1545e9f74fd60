//! `failed`: the objects that were set aside.

use super::output::{self, Column, ColumnKind, Format, Rows};
use super::{CliError, open};
use crate::config::Config;
use crate::model::FailureKind;
use crate::store::{FailedFilter, FailedRow, FailedState};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List them: what failed, why, and what to do
    List(ListArgs),
}

#[derive(clap::Args)]
pub struct ListArgs {
    /// Only of this kind, such as gzip or missing
    #[arg(long, value_parser = kind_named)]
    kind: Option<FailureKind>,
    /// Only keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// Also those that were counted later or discarded
    #[arg(long)]
    all: bool,
    #[arg(long, default_value = "1000")]
    limit: u64,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

fn kind_named(name: &str) -> Result<FailureKind, String> {
    FailureKind::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
        let known: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("the kinds are {}", known.join(", "))
    })
}

pub async fn run(Command::List(args): Command, config: Config) -> Result<(), CliError> {
    let store = open::store(&config).await?;
    let state = (!args.all).then_some(FailedState::Open);
    let filter = FailedFilter { state, kind: args.kind, prefix: args.prefix, limit: Some(args.limit) };
    let failed = store.failed(&filter).await?;
    if failed.is_empty() {
        eprintln!("{}: no failed objects", store.label());
    }
    output::print(&rows(&failed).to_text(args.format)?)?;
    for kind in FailureKind::ALL.iter().filter(|kind| failed.iter().any(|failed| failed.kind == kind.name())) {
        eprintln!("{kind}: {}", kind.advice());
    }
    Ok(())
}

pub fn rows(failed: &[FailedRow]) -> Rows {
    let names = ["bucket", "key", "kind", "reason", "attempts", "first_seen", "last_seen", "state"];
    let kind = |name: &str| if name == "attempts" { ColumnKind::Integer } else { ColumnKind::Text };
    let columns = names.iter().map(|name| Column::new(*name, kind(name))).collect();
    let row = |failed: &FailedRow| {
        let facts = [
            failed.bucket.clone(),
            failed.key.clone(),
            failed.kind.clone(),
            failed.reason.clone(),
            failed.attempts.to_string(),
            failed.first_seen.to_string(),
            failed.last_seen.to_string(),
            failed.state.name().to_owned(),
        ];
        facts.into_iter().map(Some).collect()
    };
    Rows { columns, rows: failed.iter().map(row).collect() }
}
