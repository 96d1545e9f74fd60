//! `migrate`: brings the database to this program's tables and to the configured reports.

use super::{CliError, open, output};
use crate::config::Config;

#[derive(clap::Args)]
pub struct Args {
    /// Print the statements that are still to be executed, and execute nothing
    #[arg(long)]
    print: bool,
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let store = open::store(&config).await?;
    if args.print {
        let statements = store.migration().await?;
        return output::print(&statements.iter().map(|statement| format!("{statement};\n")).collect::<String>());
    }
    let statements = store.migrate().await?;
    match statements.len() {
        0 => eprintln!("{}: nothing to do, every table is there", store.label()),
        done => eprintln!("{}: {done} statements executed", store.label()),
    }
    Ok(())
}
