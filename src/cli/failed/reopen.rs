//! `failed reopen`: takes a discard back.

use super::{listings, select, who};
use crate::cli::CliError;
use crate::config::Config;
use crate::store::{Decision, FailedKey, FailedRow, FailedState};

#[derive(clap::Args)]
pub struct Args {
    /// s3://bucket/key, a path, or the beginning of a key or of an id
    object: String,
    /// Who decides; otherwise who is logged in
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let who = who(args.by.as_deref())?;
    let store = super::store(&config).await?.on_behalf_of(&who);
    let rows = select::one(&store, &args.object).await?;
    let discarded: Vec<FailedKey> =
        rows.iter().filter(|row| row.state == FailedState::Discarded).map(FailedRow::listing).collect();
    if discarded.is_empty() {
        return Err(select::none_open(&rows));
    }
    let reopened = store.decide(&discarded, &Decision::Reopen).await?.into_iter().filter(|applied| *applied).count();
    let id = rows.first().map(|row| select::short(row.id)).unwrap_or_default();
    eprintln!("{} open again; `xc2-analyzer failed retry {id}` tries it", listings(reopened));
    Ok(())
}
