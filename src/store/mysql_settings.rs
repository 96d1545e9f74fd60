//! What every session of ours with a MySQL or MariaDB server is set to, and the proof that it is.

use std::path::Path;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::session::{Class, SqlError, SqlResult};

/// How long a transaction waits for one row's lock before it is rolled back and tried again, at most.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);
/// What a transaction may compute between two statements, however short these are to be.
const SILENCE_MIN: Duration = Duration::from_secs(10);
/// Statements that a connection keeps prepared: six sizes of each upsert.
const PREPARED_STATEMENTS_MAX: usize = 128;

/// After how long a silence of ours the server ends the session, and its transaction with it.
///
/// When the network between us is cut without a word, we give up after `statement_timeout` and try again on another
/// connection. The server hears nothing of that: by default it would keep the first transaction's locks for eight hours,
/// and every new attempt would wait for the ledger rows of the old one.
pub(super) fn silence_max(statement_timeout: Duration) -> Duration {
    (2 * statement_timeout).max(SILENCE_MIN)
}

/// A lock that is not had must be told from a server that does not answer, so waiting for one ends earlier.
fn lock_wait(statement_timeout: Duration) -> Duration {
    (statement_timeout / 2).min(LOCK_WAIT_MAX)
}

/// As the server's settings take it: whole seconds, at least one.
fn seconds(time: Duration) -> u64 {
    time.as_secs().max(1)
}

/// The options of the URL with those that every session of ours has.
pub(super) fn complete(opts: &Opts, ca: Option<&Path>, statement_timeout: Duration) -> SqlResult<Opts> {
    let (lock_wait, silence) = (seconds(lock_wait(statement_timeout)), seconds(silence_max(statement_timeout)));
    let mut builder = OptsBuilder::from_opts(opts.clone()).stmt_cache_size(PREPARED_STATEMENTS_MAX).setup(vec![
        "SET NAMES utf8mb4".to_owned(),
        // Of the tables' own checks none may be turned off by a server's configuration.
        "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION', \
         time_zone = '+00:00', autocommit = 1, "
            .to_owned()
            + &format!("innodb_lock_wait_timeout = {lock_wait}, wait_timeout = {silence}"),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
    ]);
    if let Some(ca) = ca {
        if !ca.is_file() {
            return Err(SqlError::new(Class::Refused, format!("ssl_ca {}: there is no such file", ca.display())));
        }
        let ssl = opts.ssl_opts().cloned().unwrap_or_default();
        builder = builder.ssl_opts(ssl.with_root_certs(vec![ca.to_owned().into()]));
    }
    Ok(builder.into())
}

/// What the sums depend on, as the server says it now. Both names of the isolation level are asked for: MySQL and older
/// MariaDB have one each.
const PROOF: &str =
    "SHOW SESSION VARIABLES WHERE variable_name IN ('sql_mode', 'tx_isolation', 'transaction_isolation')";

/// Asks the session whether it is set as it was told to be: between us and the server there may be a proxy that keeps
/// settings to itself, and a server that is not strict stores the largest number instead of a sum that is too large.
pub(super) async fn proven(conn: &mut Conn) -> mysql_async::Result<SqlResult<()>> {
    let variables: Vec<(String, String)> = conn.query(PROOF).await?;
    let problem = variables.iter().find_map(|(name, value)| match name.to_lowercase().as_str() {
        "sql_mode" if !is_strict(value) => Some(format!("sql_mode is '{value}', which is not strict")),
        "tx_isolation" | "transaction_isolation" if !is_read_committed(value) => {
            Some(format!("the isolation level is {value}, not READ-COMMITTED"))
        }
        _ => None,
    });
    Ok(problem.map_or(Ok(()), |problem| Err(SqlError::new(Class::Refused, format!("{problem}: {EXEMPT}")))))
}

/// What to do about a session that is not set as it was told to be.
pub(super) const EXEMPT: &str =
    "something between us and the server (a proxy?) changes the settings of our sessions: exempt this user from it";

pub(super) fn is_strict(sql_mode: &str) -> bool {
    sql_mode.split(',').any(|mode| matches!(mode, "STRICT_TRANS_TABLES" | "STRICT_ALL_TABLES"))
}

pub(super) fn is_read_committed(isolation: &str) -> bool {
    isolation == "READ-COMMITTED"
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1, 1, 10)]
    #[case(4, 2, 10)]
    #[case(60, 10, 120)]
    #[case(3600, 10, 7200)]
    fn lock_waits_end_before_statements_and_silences_after(
        #[case] statement: u64,
        #[case] lock: u64,
        #[case] silence: u64,
    ) {
        let statement = Duration::from_secs(statement);
        assert_eq!((seconds(lock_wait(statement)), seconds(silence_max(statement))), (lock, silence));
    }

    #[rstest]
    #[case("STRICT_TRANS_TABLES,NO_ZERO_DATE", true)]
    #[case("ANSI_QUOTES,STRICT_ALL_TABLES", true)]
    #[case("NO_ENGINE_SUBSTITUTION", false)]
    #[case("", false)]
    fn strict_mode_is_told_from_others(#[case] sql_mode: &str, #[case] strict: bool) {
        assert_eq!(is_strict(sql_mode), strict);
    }
}
