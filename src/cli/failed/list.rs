//! `failed list`: which objects were set aside.

use jiff::tz::TimeZone;

use super::listings;
use super::select::{self, Filters};
use crate::cli::CliError;
use crate::cli::output::{self, Column, ColumnKind, Format, Rows};
use crate::config::Config;
use crate::model::FailureKind;
use crate::store::{FailedFilter, FailedRow, FailedState, FailedTotal};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    filters: Filters,
    /// Those in this state
    #[arg(long, value_parser = state_named, default_value = "open", conflicts_with = "all")]
    state: FailedState,
    /// In every state: also those that were counted later or discarded
    #[arg(long)]
    all: bool,
    /// At most so many, the newest
    #[arg(long, default_value = "1000")]
    limit: u64,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

fn state_named(name: &str) -> Result<FailedState, String> {
    FailedState::named(name).ok_or_else(|| {
        let known: Vec<&str> = FailedState::ALL.iter().map(|state| state.name()).collect();
        format!("the states are {}", known.join(", "))
    })
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let zone = &config.pipeline.rules.zone;
    let state = (!args.all).then_some(args.state);
    let filter = FailedFilter { state, limit: Some(args.limit), ..args.filters.filter(zone)? };
    let store = super::store(&config).await?;
    let (failed, totals) = (store.failed(&filter).await?, store.failed_totals(&filter).await?);
    if totals.is_empty() {
        eprintln!("{}: no such failed objects", store.label());
    }
    let shown = match args.format {
        Format::Table => short_rows(&failed, zone, state.is_none()),
        Format::Csv | Format::Json => rows(&failed),
    };
    output::print(&shown.to_text(args.format)?)?;
    eprint!("{}", told(&totals, failed.len() as u64));
    let is_open = |row: &FailedRow, kind: FailureKind| row.state == FailedState::Open && row.kind == kind.name();
    for kind in FailureKind::ALL.iter().filter(|kind| failed.iter().any(|failed| is_open(failed, **kind))) {
        eprintln!("{kind}: {}", kind.advice());
    }
    if let Some(first) = failed.first() {
        eprintln!("more of one: `xc2-analyzer failed show {}`", select::short(first.id));
    }
    Ok(())
}

/// The totals by kind, and whether the limit left something out.
fn told(totals: &[FailedTotal], shown: u64) -> String {
    let all: u64 = totals.iter().map(|total| total.listings).sum();
    let mut text = String::new();
    for state in FailedState::ALL {
        let of_state: Vec<&FailedTotal> = totals.iter().filter(|total| total.state == state).collect();
        let number: u64 = of_state.iter().map(|total| total.listings).sum();
        if number > 0 {
            let kinds: Vec<String> =
                of_state.iter().map(|total| format!("{} {}", total.kind, total.listings)).collect();
            text += &format!("{} {}: {}\n", listings(number as usize), state.name(), kinds.join(", "));
        }
    }
    if shown < all {
        text += &format!("only the newest {shown} of {all} are shown: raise --limit, or narrow it with a filter\n");
    }
    text
}

/// What fits a terminal.
fn short_rows(failed: &[FailedRow], zone: &TimeZone, with_state: bool) -> Rows {
    let mut columns = vec![
        Column::new("id", ColumnKind::Text),
        Column::new("object", ColumnKind::Text),
        Column::new("kind", ColumnKind::Text),
        Column::new("reason", ColumnKind::Text),
        Column::new("attempts", ColumnKind::Integer),
        Column::new("last_seen", ColumnKind::Text),
    ];
    if with_state {
        columns.push(Column::new("state", ColumnKind::Text));
    }
    let row = |row: &FailedRow| {
        let facts = [
            select::short(row.id),
            select::name(row),
            row.kind.clone(),
            row.reason.clone(),
            row.attempts.to_string(),
            select::local(row.last_seen, zone),
        ];
        let state = with_state.then(|| row.state.name().to_owned());
        facts.into_iter().chain(state).map(Some).collect()
    };
    Rows { columns, rows: failed.iter().map(row).collect() }
}

/// Everything but the message, for programs: times in UTC.
pub fn rows(failed: &[FailedRow]) -> Rows {
    let names = [
        "bucket",
        "key",
        "kind",
        "reason",
        "attempts",
        "first_seen",
        "last_seen",
        "state",
        "id",
        "generation",
        "version_id",
        "resolved_at",
        "resolved_by",
        "note",
        "copied_to",
        "copy_problem",
    ];
    let kind = |name: &str| if name == "attempts" { ColumnKind::Integer } else { ColumnKind::Text };
    let columns = names.iter().map(|name| Column::new(*name, kind(name))).collect();
    let row = |failed: &FailedRow| {
        vec![
            Some(failed.bucket.clone()),
            Some(failed.key.clone()),
            Some(failed.kind.clone()),
            Some(failed.reason.clone()),
            Some(failed.attempts.to_string()),
            Some(failed.first_seen.to_string()),
            Some(failed.last_seen.to_string()),
            Some(failed.state.name().to_owned()),
            Some(failed.id.to_string()),
            Some(failed.generation.clone()),
            failed.version_id.clone(),
            failed.resolved_at.map(|time| time.to_string()),
            failed.resolved_by.clone(),
            failed.note.clone(),
            failed.copied_to.clone(),
            failed.copy_problem.clone(),
        ]
    };
    Rows { columns, rows: failed.iter().map(row).collect() }
}
