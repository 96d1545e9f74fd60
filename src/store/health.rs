//! Facts about the database that decide whether "committed" really means "kept": for `check`.

use std::collections::HashMap;

use super::session::{Begin, Class, Session, SqlError, SqlResult};
use super::sql_store::SqlStore;
use super::{Store, StoreError};

/// How good a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthLevel {
    Ok,
    /// Works, at a risk that the advice names.
    Warning,
    /// `run` would not work.
    Failure,
}

/// One line of `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthFact {
    pub name: &'static str,
    pub level: HealthLevel,
    pub detail: String,
    /// What to do; empty when the level is `Ok`.
    pub advice: String,
}

fn good(name: &'static str, detail: impl Into<String>) -> HealthFact {
    HealthFact { name, level: HealthLevel::Ok, detail: detail.into(), advice: String::new() }
}

fn bad(name: &'static str, level: HealthLevel, detail: impl Into<String>, advice: impl Into<String>) -> HealthFact {
    HealthFact { name, level, detail: detail.into(), advice: advice.into() }
}

/// A fact that is good when `holds`.
fn judged(name: &'static str, holds: bool, level: HealthLevel, detail: String, advice: &str) -> HealthFact {
    if holds { good(name, detail) } else { bad(name, level, detail, advice) }
}

impl SqlStore {
    /// The server's version and settings, our privileges (as far as the server tells), and the metadata. The schema
    /// has its own check: [`SqlStore::verify_schema`].
    pub async fn health(&self) -> Result<Vec<HealthFact>, StoreError> {
        let mut session = self.session().await?;
        let outcome =
            if session.dialect().is_sqlite() { sqlite(&mut session).await } else { mysql(&mut session).await };
        let facts = self.give_back(session, outcome).await;
        let mut facts = facts?;
        facts.push(self.metadata_fact().await);
        Ok(facts)
    }

    async fn metadata_fact(&self) -> HealthFact {
        const NAME: &str = "metadata";
        match self.metadata().await {
            Err(error) => {
                let advice = "correct [metadata] media and inventory, or the rows that they read";
                bad(NAME, HealthLevel::Failure, error.to_string(), advice)
            }
            Ok(metadata) => {
                let (media, inventory) = (metadata.media.len(), metadata.inventory.len());
                let detail = format!("{media} media, {inventory} inventory rows");
                let advice = "every row would be counted under organization 0 and device ALL: fill the tables";
                judged(NAME, media > 0 && inventory > 0, HealthLevel::Warning, detail, advice)
            }
        }
    }
}

/// `SHOW` works for every user, and hides what the server does not have.
const VARIABLES: &str = "SHOW VARIABLES WHERE variable_name IN ('version', 'version_comment', 'sql_mode', 'read_only',
'super_read_only', 'innodb_read_only', 'tx_isolation', 'transaction_isolation', 'innodb_flush_log_at_trx_commit',
'sync_binlog', 'log_bin', 'max_allowed_packet')";

async fn mysql(session: &mut Session) -> SqlResult<Vec<HealthFact>> {
    let mut variables = HashMap::new();
    for row in session.query(VARIABLES, Vec::new()).await? {
        variables.insert(row.text(0)?.to_lowercase(), row.text(1)?.to_string());
    }
    let mut grants = Vec::new();
    for row in session.query("SHOW GRANTS", Vec::new()).await? {
        grants.push(row.text(0)?.to_string());
    }
    let mut facts = settings(&variables);
    facts.push(privileges(&grants));
    Ok(facts)
}

fn settings(variables: &HashMap<String, String>) -> Vec<HealthFact> {
    use HealthLevel::{Failure, Warning};
    let value = |name: &str| variables.get(name).map_or("", String::as_str);
    let mode = value("sql_mode");
    let isolation = [value("transaction_isolation"), value("tx_isolation")].concat();
    let read_only: Vec<&str> = ["read_only", "super_read_only", "innodb_read_only"]
        .into_iter()
        .filter(|name| !matches!(value(name), "" | "OFF" | "0" | "NO_LOCK"))
        .collect();
    let mut facts = vec![
        good("server", format!("{} {}", value("version"), value("version_comment")).trim_end()),
        judged(
            "strict mode",
            mode.contains("STRICT_TRANS_TABLES") || mode.contains("STRICT_ALL_TABLES"),
            Failure,
            format!("sql_mode of our sessions is {mode}"),
            "something between us and the server (a proxy?) changes our session's sql_mode: exempt this user",
        ),
        judged(
            "isolation",
            isolation.contains("READ-COMMITTED"),
            Failure,
            format!("our sessions use {isolation}"),
            "something between us and the server changes our session's isolation level: exempt this user",
        ),
        judged(
            "writable",
            read_only.is_empty(),
            Failure,
            if read_only.is_empty() { "yes".into() } else { format!("no: {} is on", read_only.join(", ")) },
            "connect to the writer: this server is a replica, or is kept from writing",
        ),
        judged(
            "durable commits",
            value("innodb_flush_log_at_trx_commit") == "1",
            Warning,
            format!("innodb_flush_log_at_trx_commit = {}", value("innodb_flush_log_at_trx_commit")),
            "set it to 1: otherwise a crash of the server loses commits whose messages are deleted already",
        ),
    ];
    if value("log_bin") == "ON" {
        facts.push(judged(
            "durable binary log",
            value("sync_binlog") == "1",
            Warning,
            format!("sync_binlog = {}", value("sync_binlog")),
            "set it to 1: otherwise a crash can leave replicas without the last commits",
        ));
    }
    facts
}

/// What `run` needs, then what `migrate` needs besides.
const RUN: [&str; 3] = ["SELECT", "INSERT", "UPDATE"];
const MIGRATE: [&str; 2] = ["CREATE", "ALTER"];

/// Grants of roles, and grants of single columns, are not resolved: a missing privilege is a warning at most.
fn privileges(grants: &[String]) -> HealthFact {
    // `GRANT SELECT, INSERT ON xc2.* TO ...`; grants of a role have no ON.
    let granted: Vec<&str> = grants
        .iter()
        .filter_map(|grant| grant.strip_prefix("GRANT ")?.split_once(" ON ").map(|(names, _)| names))
        .collect();
    let has = |privilege: &&str| {
        granted.iter().any(|names| names.split(", ").any(|name| name == *privilege || name == "ALL PRIVILEGES"))
    };
    let missing = |wanted: &[&'static str]| wanted.iter().filter(|name| !has(name)).copied().collect::<Vec<_>>();
    let (run, migrate) = (missing(&RUN), missing(&MIGRATE));
    let detail = match (run.as_slice(), migrate.as_slice()) {
        ([], []) => return good("privileges", "enough for `run` and `migrate`"),
        ([], migrate) => {
            return good("privileges", format!("enough for `run`; `migrate` needs {}", migrate.join(", ")));
        }
        (run, _) => format!("{} not found among this user's own grants", run.join(", ")),
    };
    bad("privileges", HealthLevel::Warning, detail, "grant them, unless a role does")
}

async fn sqlite(session: &mut Session) -> SqlResult<Vec<HealthFact>> {
    let mut facts = Vec::new();
    facts.push(good("server", format!("SQLite {}", one(session, "SELECT sqlite_version()").await?)));
    let journal = one(session, "SELECT journal_mode FROM pragma_journal_mode").await?;
    let detail = format!("journal_mode = {journal}");
    let advice = "put the file on a local disk: its file system has no shared memory for readers beside the writer";
    facts.push(judged("journal", matches!(&*journal, "wal" | "memory"), HealthLevel::Warning, detail, advice));
    let synchronous = one(session, "SELECT synchronous FROM pragma_synchronous").await?;
    let detail = format!("synchronous = {synchronous}");
    let advice = "a loss of power would lose commits whose messages are deleted already";
    facts.push(judged("durable commits", matches!(&*synchronous, "2" | "3"), HealthLevel::Warning, detail, advice));
    facts.push(writable(session).await?);
    Ok(facts)
}

async fn writable(session: &mut Session) -> SqlResult<HealthFact> {
    let fact = match session.begin(Begin::Write).await {
        Ok(()) => good("writable", "yes"),
        Err(SqlError { class: Class::Conflict, .. }) => good("writable", "yes; another process writes right now"),
        Err(error) => {
            bad("writable", HealthLevel::Failure, error.problem, "let this user write the file and its folder")
        }
    };
    session.rollback().await?;
    Ok(fact)
}

/// The one value of a query of ours.
async fn one(session: &mut Session, sql: &str) -> SqlResult<std::sync::Arc<str>> {
    let rows = session.query(sql, Vec::new()).await?;
    rows.first().map_or_else(|| Ok("".into()), |row| row.text(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"], HealthLevel::Ok, "`migrate`")]
    #[case(&["GRANT USAGE ON *.* TO `x`", "GRANT SELECT, INSERT, UPDATE ON `xc2`.* TO `x`"], HealthLevel::Ok, "needs CREATE, ALTER")]
    #[case(&["GRANT USAGE ON *.* TO `x`", "GRANT SELECT ON `xc2`.* TO `x`"], HealthLevel::Warning, "INSERT, UPDATE")]
    #[case(&["GRANT `writers`@`%` TO `x`"], HealthLevel::Warning, "SELECT, INSERT, UPDATE")]
    fn missing_privileges_are_named(#[case] grants: &[&str], #[case] level: HealthLevel, #[case] detail: &str) {
        let grants: Vec<String> = grants.iter().map(|grant| grant.to_string()).collect();
        let fact = privileges(&grants);
        assert_eq!(fact.level, level);
        assert!(fact.detail.contains(detail), "{}", fact.detail);
    }

    #[test]
    fn replica_and_lazy_flush_are_told() {
        let variables = [
            ("version", "8.0.36"),
            ("sql_mode", "STRICT_TRANS_TABLES"),
            ("transaction_isolation", "READ-COMMITTED"),
            ("read_only", "ON"),
            ("innodb_flush_log_at_trx_commit", "2"),
            ("log_bin", "ON"),
            ("sync_binlog", "0"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let levels: Vec<_> = settings(&variables).iter().map(|fact| (fact.name, fact.level)).collect();
        use HealthLevel::{Failure, Ok, Warning};
        let expected = [
            ("server", Ok),
            ("strict mode", Ok),
            ("isolation", Ok),
            ("writable", Failure),
            ("durable commits", Warning),
            ("durable binary log", Warning),
        ];
        assert_eq!(levels, expected);
    }
}
