//! Facts about the database that decide whether "committed" really means "kept": for `check`.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::mysql_settings::{EXEMPT, is_read_committed, is_strict};
use super::privileges::Granted;
use super::schema::Role;
use super::session::{Begin, Class, Session, SqlError, SqlResult};
use super::sql_store::{SqlStore, now};
use super::{Store, StoreError, ledger};
use crate::model::health::{HealthFact, HealthLevel, bad, good, judged};

impl SqlStore {
    /// The server's version, settings and clock, our privileges (as far as the server tells), the schema and the metadata.
    pub async fn health(&self) -> Result<Vec<HealthFact>, StoreError> {
        let schema = self.schema_fact().await;
        let must_migrate = !schema.fix.is_empty();
        let mut session = self.session().await?;
        let outcome = match session.dialect().is_sqlite() {
            true => sqlite(&mut session).await,
            false => self.mysql(&mut session, must_migrate).await,
        };
        let facts = self.give_back(session, outcome).await;
        let mut facts = facts?;
        facts.push(schema);
        facts.push(self.metadata_fact().await);
        Ok(facts)
    }

    async fn mysql(&self, session: &mut Session, must_migrate: bool) -> SqlResult<Vec<HealthFact>> {
        let mut facts = server(session).await?;
        let ours = self.tables().into_iter().filter(|table| table.role == Role::Books);
        let names: Vec<String> = ours.map(|table| table.name).collect();
        facts.push(Granted::read(session).await?.fact(&names, must_migrate));
        Ok(facts)
    }

    async fn schema_fact(&self) -> HealthFact {
        const NAME: &str = "schema";
        match self.migration().await {
            Ok(statements) => match statements.first() {
                None => good(NAME, "every table and column is there"),
                Some(first) => {
                    let first = first.lines().next().unwrap_or_default().trim_end_matches('(').trim_end();
                    let detail =
                        format!("{} statements are still to be executed, the first: {first}", statements.len());
                    bad(NAME, HealthLevel::Failure, detail, "create what is missing").fixed_by("xc2-analyzer migrate")
                }
            },
            Err(error) => {
                let advice = "no statement of ours may change that: do it by hand, then check again";
                bad(NAME, HealthLevel::Failure, error.to_string(), advice)
            }
        }
    }

    /// Whether something can be written and would be kept: a row in the ledger, in a transaction that is rolled back. Also
    /// whether the schema's version is one that this program knows.
    pub async fn probe_write(&self) -> Result<(), StoreError> {
        let mut session = match self.begin_write().await {
            Ok(session) => session,
            // Another one is writing at this moment, so it can be written.
            Err(StoreError::Conflict { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let written = ledger::probe(&mut session, &now()).await;
        let outcome = match written {
            Ok(()) => session.rollback().await,
            Err(error) => Err(error),
        };
        self.give_back(session, outcome).await
    }

    async fn metadata_fact(&self) -> HealthFact {
        const NAME: &str = "metadata";
        match self.metadata().await {
            Err(error) => {
                let advice = "correct [metadata] media and inventory, or the rows that they read";
                let fact = bad(NAME, HealthLevel::Failure, error.to_string(), advice);
                let ours = self.tables().iter().any(|table| table.role == Role::Metadata);
                match error {
                    StoreError::Schema { .. } if ours => fact.fixed_by("xc2-analyzer migrate"),
                    _ => fact,
                }
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

async fn server(session: &mut Session) -> SqlResult<Vec<HealthFact>> {
    let mut variables = HashMap::new();
    for row in session.query(VARIABLES, Vec::new()).await? {
        variables.insert(row.text(0)?.to_lowercase(), row.text(1)?.to_string());
    }
    let server_mode = one(session, SERVER_MODE).await?;
    let mut facts = settings(&variables);
    facts.push(server_mode_fact(&server_mode));
    facts.push(zone_fact(&one(session, ZONES).await?));
    facts.push(clock_fact(clock_ahead(session).await?));
    Ok(facts)
}

/// The session's, then the server's own.
const ZONES: &str = "SELECT CONCAT(@@SESSION.time_zone, ' ', @@GLOBAL.time_zone, ' ', @@GLOBAL.system_time_zone)";

/// Days are computed here, from [log] timezone, and never by the server; its own zone is only what people see who read
/// times by hand.
fn zone_fact(zones: &str) -> HealthFact {
    let mut zones = zones.splitn(3, ' ');
    let (ours, servers, of_system) =
        (zones.next().unwrap_or_default(), zones.next().unwrap_or_default(), zones.next().unwrap_or_default());
    let servers = if servers == "SYSTEM" { of_system } else { servers };
    let detail = format!("our sessions use {ours}, the server's own is {servers}");
    judged("time zone", ours == "+00:00", HealthLevel::Failure, detail, EXEMPT)
}

const NOW: &str = "SELECT UTC_TIMESTAMP(6)";

/// How far our clock is ahead of the server's, and how exactly that is known: half of the time that the question took.
async fn clock_ahead(session: &mut Session) -> SqlResult<(SignedDuration, SignedDuration)> {
    let asked = Timestamp::now();
    let theirs = one(session, NOW).await?;
    let answered = Timestamp::now();
    let half = answered.duration_since(asked) / 2;
    let wrong = |_| SqlError::new(Class::Schema, format!("the server says that it is {theirs}"));
    let theirs: jiff::civil::DateTime = theirs.parse().map_err(wrong)?;
    let theirs = theirs.to_zoned(jiff::tz::TimeZone::UTC).map_err(wrong)?.timestamp();
    Ok(((asked + half).duration_since(theirs), half))
}

/// Times in the ledger are ours, people compare them with the server's.
const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_secs(5);

fn clock_fact((ahead, exactness): (SignedDuration, SignedDuration)) -> HealthFact {
    let shown = |time: SignedDuration| format!("{:.1} s", time.as_secs_f64());
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    let detail = format!("ours is {} {direction} the server's (give or take {})", shown(ahead.abs()), shown(exactness));
    let holds = ahead.abs() <= CLOCK_OFF_MAX + exactness;
    let advice = "set both machines' clocks by NTP: the times of commits are ours, and are compared with the server's";
    judged("server's clock", holds, HealthLevel::Warning, detail, advice).fixed_by("sudo timedatectl set-ntp true")
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
            "set it to 1, here and in the server's own configuration: otherwise a crash of the server loses commits whose \
             messages are deleted already",
        )
        .fixed_by("SET GLOBAL innodb_flush_log_at_trx_commit = 1;"),
        judged(
            "whole pages",
            // A server that has no such setting has no such pages.
            !matches!(value("innodb_doublewrite"), "OFF" | "0" | "DETECT_ONLY"),
            Warning,
            match value("innodb_doublewrite") {
                "" => "the server has no innodb_doublewrite".into(),
                _ => setting("innodb_doublewrite"),
            },
            "set it to ON in the server's own configuration and restart it, unless the file system writes 16 KiB whole or not at all: otherwise a loss of power can leave \
             half-written pages, and with them the reports and the ledger",
        ),
    ];
    if value("log_bin") == "ON" {
        let durable = judged(
            "durable binary log",
            value("sync_binlog") == "1",
            Warning,
            setting("sync_binlog"),
            "set it to 1, here and in the server's own configuration: otherwise a crash can leave replicas without the last \
             commits, and a failover loses them",
        );
        facts.push(durable.fixed_by("SET GLOBAL sync_binlog = 1;"));
    }
    facts
}

fn server_mode_fact(mode: &str) -> HealthFact {
    judged(
        "strict server",
        is_strict(mode),
        HealthLevel::Warning,
        format!("sql_mode of the server is {}", if mode.is_empty() { "empty" } else { mode }),
        "add STRICT_TRANS_TABLES, here and in the server's own configuration: our sessions are strict in any case, but \
         whoever else writes to these tables has a value that does not fit cut off without an error",
    )
    .fixed_by("SET GLOBAL sql_mode = CONCAT_WS(',', 'STRICT_TRANS_TABLES', NULLIF(@@GLOBAL.sql_mode, ''));")
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
    #[case(0, HealthLevel::Ok, "ours is 0.0 s ahead of the server's")]
    #[case(-4_900, HealthLevel::Ok, "ours is 4.9 s behind the server's")]
    #[case(5_200, HealthLevel::Warning, "ours is 5.2 s ahead of the server's (give or take 0.1 s)")]
    #[case(-3_600_000, HealthLevel::Warning, "ours is 3600.0 s behind the server's")]
    fn clock_of_the_server_is_compared_with_ours(
        #[case] millis: i64,
        #[case] level: HealthLevel,
        #[case] detail: &str,
    ) {
        let fact = clock_fact((SignedDuration::from_millis(millis), SignedDuration::from_millis(100)));
        assert!(fact.level == level && fact.detail.starts_with(detail), "{fact:?}");
    }

    #[rstest]
    #[case("+00:00 SYSTEM KST", HealthLevel::Ok, "the server's own is KST")]
    #[case("+00:00 Asia/Seoul KST", HealthLevel::Ok, "the server's own is Asia/Seoul")]
    #[case("+09:00 SYSTEM UTC", HealthLevel::Failure, "our sessions use +09:00")]
    fn time_zone_of_our_sessions_is_proven(#[case] zones: &str, #[case] level: HealthLevel, #[case] detail: &str) {
        let fact = zone_fact(zones);
        assert!(fact.level == level && fact.detail.contains(detail), "{fact:?}");
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
