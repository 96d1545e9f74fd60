//! `migrate`: brings the database to this program's tables and to the configured reports.

use super::{CliError, open, output};
use crate::config::Config;
use crate::store::{Dialect, schema_sql};

#[derive(clap::Args)]
pub struct Args {
    /// Print the statements that are still to be executed, and execute nothing
    #[arg(long)]
    print: bool,
}

fn statements(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("{statement};\n")).collect()
}

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let config = if args.print { config } else { config.creating_database() };
    let store = match open::store(&config).await {
        Ok(store) => store,
        // Nothing is there yet, and printing makes nothing.
        Err(_) if args.print && config.store.is_absent_file() => {
            return output::print(&statements(&schema_sql(&config.plan, Dialect::Sqlite)));
        }
        Err(error) => return Err(error.into()),
    };
    if args.print {
        let statements = store.migration().await?;
        return output::print(&self::statements(&statements));
    }
    let statements = store.migrate().await?;
    match statements.len() {
        0 => eprintln!("{}: nothing to do, every table is there", store.label()),
        done => eprintln!("{}: {done} statements executed", store.label()),
    }
    Ok(())
}
