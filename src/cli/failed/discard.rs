//! `failed discard`: an operator decides that what failed is not to be counted.

use std::io::{IsTerminal, Write};

use super::select::{self, Filters};
use super::{listings, who};
use crate::cli::{CliError, io_error};
use crate::config::Config;
use crate::store::{Decision, FailedFilter, FailedKey, FailedRow, FailedState};

#[derive(clap::Args)]
pub struct Args {
    /// s3://bucket/key, a path, or the beginning of a key or of an id
    #[arg(conflicts_with_all = ["kind", "prefix", "since", "until"])]
    object: Option<String>,
    /// Of its contents only the one whose ETag begins so
    #[arg(long, value_name = "ETAG", requires = "object")]
    generation: Option<String>,
    #[command(flatten)]
    filters: Filters,
    /// Why: it is kept with the listing
    #[arg(long)]
    reason: String,
    /// Who decides; otherwise who is logged in
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Without asking
    #[arg(long)]
    yes: bool,
}

/// Listings that one command discards.
const DISCARDED_MAX: u64 = 10_000;
/// Listings named before it asks.
const NAMED_MAX: usize = 10;

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let failed = |problem: &str| Err(CliError::Failed(problem.to_owned()));
    if args.object.is_none() && args.filters.is_empty() {
        return failed("name an object, or say which with --kind, --prefix, --since or --until");
    }
    if args.reason.trim().is_empty() {
        return failed("--reason is empty: whoever looks at this later will want to know");
    }
    let who = who(args.by.as_deref())?;
    let filter = args.filters.filter(&config.pipeline.rules.zone)?;
    let store = super::store(&config).await?.on_behalf_of(&who);
    let mut rows = match &args.object {
        Some(object) => select::one(&store, object).await?,
        None => {
            let filter = FailedFilter { state: Some(FailedState::Open), limit: Some(DISCARDED_MAX), ..filter };
            store.failed(&filter).await?
        }
    };
    let all = rows.clone();
    rows.retain(|row| row.state == FailedState::Open);
    if let Some(generation) = &args.generation {
        rows.retain(|row| row.generation.starts_with(generation.as_str()));
    }
    match (&args.object, rows.is_empty()) {
        (Some(_), true) if args.generation.is_some() => return failed("no open listing of it has such an ETag"),
        (Some(_), true) => return Err(select::none_open(&all)),
        (None, true) => {
            eprintln!("{}: no such failed objects", store.label());
            return Ok(());
        }
        (_, false) => {}
    }
    if !args.yes && !confirmed(&rows)? {
        return failed("nothing was discarded");
    }
    let keys: Vec<FailedKey> = rows.iter().map(FailedRow::listing).collect();
    let applied = store.decide(&keys, &Decision::Discard { reason: args.reason.trim().to_owned() }).await?;
    let mut discarded = 0;
    for (row, applied) in rows.iter().zip(applied) {
        match applied {
            true => discarded += 1,
            false => eprintln!("{}: not discarded: meanwhile it was settled otherwise", select::name(row)),
        }
    }
    eprintln!(
        "{} discarded by {who}: not counted, however often they come, until `failed reopen`",
        listings(discarded)
    );
    if rows.len() as u64 == DISCARDED_MAX {
        eprintln!("there may be more than {DISCARDED_MAX}: run it again");
    }
    Ok(())
}

fn confirmed(rows: &[FailedRow]) -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() {
        let problem = format!("{} would be discarded; there is no terminal to ask on: add --yes", listings(rows.len()));
        return Err(CliError::Failed(problem));
    }
    for row in rows.iter().take(NAMED_MAX) {
        eprintln!("{}  {}  {}", select::short(row.id), row.kind, select::name(row));
    }
    if rows.len() > NAMED_MAX {
        eprintln!("and {} more", rows.len() - NAMED_MAX);
    }
    eprint!("discard {}? They will not be counted. [y/N] ", listings(rows.len()));
    std::io::stderr().flush().map_err(io_error("ask"))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(io_error("read the answer"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
