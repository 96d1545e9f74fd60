//! Bringing a database to a plan, and telling whether it is there. Creates and extends; never drops, never changes.

use std::time::Duration;

use super::schema::{SCHEMA_VERSION, Table, record_version};
use super::schema_check::Difference;
use super::session::{Begin, Class, Session, SqlError, SqlResult, Value};

/// Adding a column may copy a large table.
const MIGRATION_STATEMENT_TIMEOUT: Duration = Duration::from_secs(4 * 3600);
/// How long to wait for another `migrate` of the same database.
const LOCK_WAIT_SECONDS: u32 = 120;
/// Problems named in one message.
const PROBLEMS_SHOWN_MAX: usize = 3;

/// The statements that are missing; an error when statements can't help.
pub(super) async fn missing(session: &mut Session, tables: &[Table]) -> SqlResult<Vec<String>> {
    let version = version(session).await?;
    let Difference { mut statements, problems } = Difference::of(session, tables).await?;
    refuse(&problems)?;
    match version {
        Some(version) if version == SCHEMA_VERSION => {}
        Some(_) => statements.push(format!("UPDATE schema_version SET version = {SCHEMA_VERSION} WHERE id = 1")),
        None => statements.push(record_version()),
    }
    Ok(statements)
}

fn refuse(problems: &[String]) -> SqlResult<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let shown = problems.iter().take(PROBLEMS_SHOWN_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = match problems.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Err(SqlError::new(Class::Schema, format!("{shown}{more}")))
}

/// The recorded version; none when nothing was recorded yet. A version that this program does not know is an error: also
/// in the middle of a run, when a newer program has migrated the database and this one has not been stopped yet.
pub(super) async fn version(session: &mut Session) -> SqlResult<Option<i64>> {
    let version = match session.query("SELECT version FROM schema_version WHERE id = 1", Vec::new()).await {
        Ok(rows) => rows.first().map(|row| row.int(0)).transpose()?,
        Err(error) if error.class == Class::Schema => None,
        Err(error) => return Err(error),
    };
    match version {
        Some(newer) if newer > SCHEMA_VERSION => Err(SqlError::new(
            Class::Schema,
            format!(
                "the schema has version {newer}, this program knows {SCHEMA_VERSION}: \
                 use a newer xc2-analyzer, the one that migrated the database"
            ),
        )),
        known => Ok(known),
    }
}

/// Everything is present and right.
pub(super) async fn verify(session: &mut Session, tables: &[Table]) -> SqlResult<()> {
    let statements = missing(session, tables).await?;
    let Some(first) = statements.first() else { return Ok(()) };
    let first = first.lines().next().unwrap_or_default().trim_end_matches('(').trim_end();
    let more = match statements.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more statements"),
    };
    let problem = format!("the schema is not up to date ({first}{more} to go): run `xc2-analyzer migrate`");
    Err(SqlError::new(Class::Schema, problem))
}

/// Runs what is missing, alone; what it ran.
pub(super) async fn migrate(session: &mut Session, tables: &[Table]) -> SqlResult<Vec<String>> {
    session.set_statement_timeout(MIGRATION_STATEMENT_TIMEOUT);
    if session.dialect().is_sqlite() {
        // DDL is part of the transaction: a migration happens as a whole or not at all.
        session.begin(Begin::Write).await?;
        let ran = run_missing(session, tables).await?;
        session.commit().await?;
        return Ok(ran);
    }
    lock(session).await?;
    // After an error the connection is dropped, and the lock with it.
    let ran = run_missing(session, tables).await?;
    session.query(UNLOCK, Vec::new()).await?;
    Ok(ran)
}

async fn run_missing(session: &mut Session, tables: &[Table]) -> SqlResult<Vec<String>> {
    let statements = missing(session, tables).await?;
    for statement in &statements {
        session.run(statement).await?;
    }
    Ok(statements)
}

/// Each MySQL DDL statement commits by itself, so a named lock keeps a second `migrate` of the same database out.
/// Names of locks are the server's, have at most 64 characters, and ignore case: the database is named by its hash.
const LOCK: &str = "-- lock migration
SELECT GET_LOCK(CONCAT('xc2 migrate ', LEFT(SHA2(DATABASE(), 256), 40)), ?)";

const UNLOCK: &str = "-- unlock migration
SELECT RELEASE_LOCK(CONCAT('xc2 migrate ', LEFT(SHA2(DATABASE(), 256), 40)))";

async fn lock(session: &mut Session) -> SqlResult<()> {
    let got = session.query(LOCK, vec![Value::Int(i64::from(LOCK_WAIT_SECONDS))]).await?;
    match got.first().map(|row| row.int(0)) {
        Some(Ok(1)) => Ok(()),
        _ => Err(SqlError::new(
            Class::Conflict,
            format!("another `migrate` of this database is still at work after {LOCK_WAIT_SECONDS} s: try again later"),
        )),
    }
}
