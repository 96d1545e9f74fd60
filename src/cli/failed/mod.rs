//! `failed`: the objects that were set aside, and what becomes of them. docs/failed.md has the states and their
//! transitions.

mod advice;
mod discard;
mod list;
mod plan;
mod reopen;
mod retry;
mod select;
mod show;

pub use list::rows;

use super::{CliError, open};
use crate::config::Config;
use crate::store::SqlStore;

#[derive(clap::Subcommand)]
pub enum Command {
    /// List them: what failed, why, and what to do
    List(list::Args),
    /// Everything about one of them, with the commands to type
    Show(show::Args),
    /// Try to count them again; exit code 1 when something failed again
    Retry(retry::Args),
    /// Decide that they are not to be counted
    Discard(discard::Args),
    /// Take a discard back
    Reopen(reopen::Args),
}

pub async fn run(command: Command, config: Config) -> Result<(), CliError> {
    match command {
        Command::List(args) => list::run(args, config).await,
        Command::Show(args) => show::run(args, config).await,
        Command::Retry(args) => retry::run(args, config).await,
        Command::Discard(args) => discard::run(args, config).await,
        Command::Reopen(args) => reopen::run(args, config).await,
    }
}

/// The database, with the tables that this program needs.
async fn store(config: &Config) -> Result<SqlStore, CliError> {
    let store = open::store(config).await?;
    store.verify_schema().await?;
    Ok(store)
}

/// Who decides: as named, or whose terminal this is.
fn who(by: Option<&str>) -> Result<String, CliError> {
    known_user(by).ok_or_else(|| {
        CliError::Failed("who decides? neither SUDO_USER nor USER is set: name yourself with --by".to_owned())
    })
}

fn known_user(by: Option<&str>) -> Option<String> {
    let named = |variable: &str| std::env::var(variable).ok().filter(|name| !name.trim().is_empty());
    // Behind `sudo`, USER is root: who typed it says more.
    let who = by.map(str::to_owned).or_else(|| named("SUDO_USER")).or_else(|| named("USER"));
    who.map(|who| who.trim().to_owned()).filter(|who| !who.is_empty())
}

/// `1 listing`, `2 listings`.
fn listings(number: usize) -> String {
    format!("{number} listing{}", if number == 1 { "" } else { "s" })
}
