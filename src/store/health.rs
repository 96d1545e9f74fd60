//! Facts about the database that decide whether "committed" really means "kept": for `check`.

use std::collections::HashMap;

use super::mysql_settings::{EXEMPT, is_read_committed, is_strict};
use super::session::{Begin, Class, Session, SqlError, SqlResult};
use super::sql_store::SqlStore;
use super::{Store, StoreError};
use crate::model::health::{HealthFact, HealthLevel, bad, good, judged};

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
'innodb_doublewrite', 'sync_binlog', 'log_bin')";

/// What a session has that sets nothing.
const SERVER_MODE: &str = "SELECT @@GLOBAL.sql_mode";

async fn mysql(session: &mut Session) -> SqlResult<Vec<HealthFact>> {
    let mut variables = HashMap::new();
    for row in session.query(VARIABLES, Vec::new()).await? {
        variables.insert(row.text(0)?.to_lowercase(), row.text(1)?.to_string());
    }
    let server_mode = one(session, SERVER_MODE).await?;
    let mut grants = Vec::new();
    for row in session.query("SHOW GRANTS", Vec::new()).await? {
        grants.push(row.text(0)?.to_string());
    }
    let mut facts = settings(&variables);
    facts.push(server_mode_fact(&server_mode));
    facts.push(privileges(&grants));
    Ok(facts)
}

/// What the server and our own sessions are set to.
fn settings(variables: &HashMap<String, String>) -> Vec<HealthFact> {
    use HealthLevel::{Failure, Warning};
    let value = |name: &str| variables.get(name).map_or("", String::as_str);
    let setting = |name: &str| format!("{name} = {}", value(name));
    let mode = value("sql_mode");
    let isolation = variables.get("transaction_isolation").or(variables.get("tx_isolation")).map_or("", String::as_str);
    let read_only: Vec<&str> = ["read_only", "super_read_only", "innodb_read_only"]
        .into_iter()
        .filter(|name| !matches!(value(name), "" | "OFF" | "0" | "NO_LOCK"))
        .collect();
    let mut facts = vec![
        good("server", format!("{} {}", value("version"), value("version_comment")).trim_end()),
        judged("strict mode", is_strict(mode), Failure, format!("sql_mode of our sessions is {mode}"), EXEMPT),
        judged("isolation", is_read_committed(isolation), Failure, format!("our sessions use {isolation}"), EXEMPT),
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
            setting("innodb_flush_log_at_trx_commit"),
            "set it to 1: otherwise a crash of the server loses commits whose messages are deleted already",
        ),
        judged(
            "whole pages",
            // A server that has no such setting has no such pages.
            !matches!(value("innodb_doublewrite"), "OFF" | "0" | "DETECT_ONLY"),
            Warning,
            match value("innodb_doublewrite") {
                "" => "the server has no innodb_doublewrite".into(),
                _ => setting("innodb_doublewrite"),
            },
            "set it to ON, unless the file system writes 16 KiB whole or not at all: otherwise a loss of power can leave \
             half-written pages, and with them the reports and the ledger",
        ),
    ];
    if value("log_bin") == "ON" {
        facts.push(judged(
            "durable binary log",
            value("sync_binlog") == "1",
            Warning,
            setting("sync_binlog"),
            "set it to 1: otherwise a crash can leave replicas without the last commits, and a failover loses them",
        ));
    }
    facts
}

fn server_mode_fact(mode: &str) -> HealthFact {
    judged(
        "strict server",
        is_strict(mode),
        HealthLevel::Warning,
        format!("sql_mode of the server is {}", if mode.is_empty() { "empty" } else { mode }),
        "add STRICT_TRANS_TABLES: our sessions are strict in any case, but whoever else writes to these tables has a value \
         that does not fit cut off without an error",
    )
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
    fn replica_and_lazy_writes_are_told() {
        let variables = [
            ("version", "8.0.36"),
            ("sql_mode", "STRICT_TRANS_TABLES"),
            ("transaction_isolation", "READ-COMMITTED"),
            ("read_only", "ON"),
            ("innodb_flush_log_at_trx_commit", "2"),
            ("innodb_doublewrite", "DETECT_ONLY"),
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
            ("whole pages", Warning),
            ("durable binary log", Warning),
        ];
        assert_eq!(levels, expected);
    }

    #[rstest]
    #[case("sql_mode", "STRICT_TRANS_TABLES", "strict mode", HealthLevel::Ok)]
    #[case("sql_mode", "", "strict mode", HealthLevel::Failure)]
    #[case("transaction_isolation", "READ-COMMITTED", "isolation", HealthLevel::Ok)]
    #[case("tx_isolation", "REPEATABLE-READ", "isolation", HealthLevel::Failure)]
    #[case("innodb_flush_log_at_trx_commit", "1", "durable commits", HealthLevel::Ok)]
    #[case("innodb_flush_log_at_trx_commit", "0", "durable commits", HealthLevel::Warning)]
    #[case("innodb_doublewrite", "ON", "whole pages", HealthLevel::Ok)]
    #[case("innodb_doublewrite", "OFF", "whole pages", HealthLevel::Warning)]
    #[case("super_read_only", "ON", "writable", HealthLevel::Failure)]
    #[case("innodb_read_only", "OFF", "writable", HealthLevel::Ok)]
    fn setting_is_judged_by_what_it_means_for_commits(
        #[case] variable: &str,
        #[case] value: &str,
        #[case] name: &str,
        #[case] level: HealthLevel,
    ) {
        let facts = settings(&HashMap::from([(variable.to_owned(), value.to_owned())]));
        let fact = facts.iter().find(|fact| fact.name == name).unwrap();
        assert_eq!((fact.level, fact.advice.is_empty()), (level, level == HealthLevel::Ok), "{fact:?}");
    }

    #[rstest]
    #[case("STRICT_TRANS_TABLES,NO_ZERO_DATE", HealthLevel::Ok)]
    #[case("", HealthLevel::Warning)]
    fn lax_server_is_told_although_our_sessions_are_strict(#[case] mode: &str, #[case] level: HealthLevel) {
        assert_eq!(server_mode_fact(mode).level, level);
    }
}
