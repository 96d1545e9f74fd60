//! A database that fails in its own ways: errors of every kind at every statement, and the real conditions behind them.

mod real;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use xc2_analyzer::store::SCHEMA_VERSION;

use crate::cases::{Case, Found, run_all};
use crate::corpus::Corpus;
use crate::is_full;
use crate::mariadb::MariaDb;
use crate::mysql_proxy::{Command, Fault, MySqlProxy, Step};
use crate::wire_faults::{drain, hurry, receipts_max};
use crate::world::{Kind, World};

/// An error of the server, whether it undoes the transaction by itself, and whether it is in the selection.
type Plan = (u16, &'static str, bool, bool);

#[rustfmt::skip]
const ERRORS: [Plan; 19] = [
    // A lock that was not had undoes the statement alone: what came before it is still open, and must be undone by us.
    (1205, "HY000", false, true),
    (1213, "40001", true, true),
    // Failed over to a server that only reads.
    (1290, "HY000", false, true),
    (1792, "25006", false, false),
    (1836, "HY000", false, false),
    // Out of table space, disk or memory.
    (1114, "HY000", false, false),
    (1021, "HY000", false, false),
    (1030, "HY000", false, false),
    (1041, "HY000", false, false),
    (3675, "HY000", false, false),
    // Out of connections, prepared statements, or what a user may do in an hour.
    (1040, "08004", false, false),
    (1461, "42000", false, false),
    (1226, "42000", false, false),
    // Shutting down, killed, interrupted, too slow for the server's own limit, a node that left its cluster.
    (1053, "08S01", false, false),
    (1317, "70100", false, false),
    (1969, "70100", false, false),
    (1047, "08S01", false, false),
    // A commit that the group refused, and a packet beyond the server's limit.
    (3101, "40000", true, false),
    (1153, "08S01", false, false),
];

/// A statement by what it is and its number among those of its kind in one transaction; and whether that one counts
/// objects or lists failures.
type Place = (bool, Step, u32);

/// Fails each place of a transaction once, the first time that it is come to. A transaction that failed is let through
/// when it is tried again.
struct Stairs {
    fault: Fault,
    met: Arc<Mutex<BTreeSet<Place>>>,
    /// The transaction that failed is yet to come through.
    spared: bool,
    /// Of the transaction that is open.
    lists: bool,
    seen: BTreeMap<Step, u32>,
}

impl Stairs {
    fn meet(&mut self, command: &Command) -> Option<Fault> {
        let step = command.step;
        if command.prepares || matches!(step, Step::Setup | Step::Metadata | Step::Other | Step::Rollback) {
            return None;
        }
        if step == Step::Begin {
            self.seen.clear();
            self.lists = false;
        }
        self.lists |= step == Step::Listing;
        let number = self.seen.entry(step).or_default();
        *number += 1;
        if self.spared {
            self.spared = step != Step::Commit;
            return None;
        }
        self.spared = self.met.lock().unwrap().insert((self.lists, step, *number));
        self.spared.then(|| self.fault.clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn error_at_every_statement_of_the_transaction_counts_nothing_twice_and_loses_nothing() {
    let corpus = Arc::new(Corpus::make(&["--seed", "71", "--files", "24", "--rows", "25", "--no-broken"]));
    let chosen = ERRORS.into_iter().filter(|(.., quick)| *quick || is_full());
    let cases = chosen.map(|(code, state, rolls_back, _)| {
        let (corpus, fault) = (corpus.clone(), Fault::Error { code, state, rolls_back });
        Case::new(fault.name(), "every statement, one by one", async move { climbed(code, fault, &corpus).await })
    });
    run_all("errors of the database", cases.collect()).await;
}

async fn climbed(code: u16, fault: Fault, corpus: &Corpus) -> Found {
    let mut world = World::new(&format!("db-error-{code}"), Kind::MariaDb, corpus).await;
    hurry(&mut world);
    // One object a transaction, so that there are as many transactions as steps to fail.
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "1");
    world.set("XC2__STORE__UPSERT_ROWS", "16");
    let proxy = MySqlProxy::start(MariaDb::shared().port);
    world.set("XC2__STORE__URL", &proxy.url(&world.database.url()));
    let met = Arc::<Mutex<BTreeSet<Place>>>::default();
    let mut stairs = Stairs { fault, met: met.clone(), spared: false, lists: false, seen: BTreeMap::new() };
    proxy.script(move |command| stairs.meet(command));
    // The list of failures is a transaction too: broken objects take part.
    let broken: Vec<String> = (0..8).map(|number| format!("broken-{number}.pkl")).collect();
    for key in &broken {
        world.cloud.upload(key, b"no pickle").await;
    }
    world.upload(corpus).await;
    let log = drain(&world, world.daemon()).await;

    let failed = world.database.rows("SELECT object_key, kind FROM failed_object ORDER BY 1").await;
    let expected: Vec<Vec<String>> = broken.into_iter().map(|key| vec![key, "pickle".into()]).collect();
    assert_eq!(failed, expected, "only what is broken is listed");
    world.must(&["audit"]);
    world.database.execute("DELETE FROM failed_object").await;
    world.database.assert_equals(corpus).await;
    assert_eq!(receipts_max(&log), 1, "an outage burns no attempt");
    let met = met.lock().unwrap().clone();
    use Step::{Begin, Commit, ControlTotals, Ledger, Listing, Lookup, ReportDay, Upsert, Version};
    let of_counting =
        [Begin, Version, Ledger, Lookup, ControlTotals, Upsert, ReportDay, Commit].map(|step| (false, step, 1));
    for place in
        of_counting.into_iter().chain([(false, Upsert, 4), (true, Listing, 1), (true, Lookup, 1), (true, Commit, 1)])
    {
        assert!(met.contains(&place), "{place:?} did not fail: {met:?}");
    }
    let outages = log.matches("polling stops until it answers").count();
    let conflicts = log.matches("rolled back; trying again").count();
    let injected = proxy.injected().len();
    assert_eq!(
        (conflicts > 0, outages > 0),
        (conflicts == injected, conflicts == 0),
        "one kind of answer to one error"
    );
    Found { injected, outcome: format!("outages {outages}, conflicts {conflicts}") }
}

/// What no waiting makes better ends the daemon with a word about what to do, before anything is written that can't be
/// taken back; the messages go back to the queue, and whoever puts it right finds everything still to be counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn database_that_is_not_as_it_must_be_is_refused_and_nothing_is_lost() {
    let corpus = Arc::new(Corpus::make(&["--seed", "73", "--files", "4", "--rows", "30", "--no-broken"]));
    let newer = "UPDATE schema_version SET version = version + 1";
    let older = "UPDATE schema_version SET version = version - 1";
    let gone = "RENAME TABLE report_demand TO away";
    let back = "RENAME TABLE away TO report_demand";
    let words =
        format!("the schema has version {}, this program knows {SCHEMA_VERSION}: use a newer", SCHEMA_VERSION + 1);
    let words: &'static str = words.leak();
    let cases = vec![
        Case::new(
            "schema newer than the program",
            "at the start",
            refused("db-newer-1", 0, newer, older, words, corpus.clone()),
        ),
        Case::new(
            "schema newer than the program",
            "in mid-run",
            refused("db-newer-2", 2, newer, older, words, corpus.clone()),
        ),
        Case::new(
            "report table gone",
            "in mid-run",
            refused("db-gone", 1, gone, back, "report_demand", corpus.clone()),
        ),
        Case::new("sessions made lax by a proxy", "at the start", lax(corpus.clone())),
        Case::new("server that is not strict", "a sum too large for its column", not_strict(corpus.clone())),
    ];
    run_all("databases that are not as they must be", cases).await;
}

/// `counted` objects are counted first; then the database is spoiled, and after the daemon's end put right.
async fn refused(
    name: &'static str,
    counted: u64,
    spoil: &'static str,
    repair: &'static str,
    words: &'static str,
    corpus: Arc<Corpus>,
) -> Found {
    let mut world = World::new(name, Kind::MariaDb, &corpus).await;
    hurry(&mut world);
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "1");
    let proxy = MySqlProxy::start(MariaDb::shared().port);
    world.set("XC2__STORE__URL", &proxy.url(&world.database.url()));
    let gate = crate::wire::Gate::new();
    if counted > 0 {
        proxy.script(crate::mysql_proxy::nth(Step::Begin, counted as u32 + 1, 1, Fault::Hold(gate.clone())));
    }
    world.upload(&corpus).await;
    if counted == 0 {
        world.database.execute(spoil).await;
    }
    let daemon = world.daemon();
    if counted > 0 {
        gate.reached().await;
        world.database.execute(spoil).await;
        gate.let_go();
    }
    let status = daemon.ended(std::time::Duration::from_secs(60)).await;
    let log = std::fs::read_to_string(world.dir.path().join("daemon.log")).unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(words), "{log}");
    assert_eq!(world.terminal().await, counted, "nothing was written after it");
    let (visible, held) = world.cloud.queue_depth().await;
    assert!(visible >= corpus.objects.len() as u64 - counted && held == 0, "{visible} visible, {held} held");
    world.database.execute(repair).await;
    drain(&world, world.daemon()).await;
    world.must(&["audit"]);
    world.database.assert_equals(&corpus).await;
    Found { injected: 1, outcome: format!("exit code 1 after {counted} objects, the rest counted later") }
}

/// A proxy for connections keeps the settings of sessions to itself.
async fn lax(corpus: Arc<Corpus>) -> Found {
    let server = MariaDb::start_with("--sql-mode=NO_ENGINE_SUBSTITUTION");
    let mut world = World::with_server("db-lax", &server, &corpus).await;
    hurry(&mut world);
    let direct = world.database.url();
    let proxy = MySqlProxy::start(server.port);
    world.set("XC2__STORE__URL", &proxy.url(&direct));
    proxy.script(|command| command.sql.starts_with("SET SESSION sql_mode").then_some(Fault::Swallow));
    world.upload(&corpus).await;
    let daemon = world.daemon();
    let status = daemon.ended(std::time::Duration::from_secs(60)).await;
    let log = std::fs::read_to_string(world.dir.path().join("daemon.log")).unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("which is not strict") && log.contains("exempt this user"), "{log}");
    assert_eq!(world.terminal().await, 0);
    world.set("XC2__STORE__URL", &direct);
    drain(&world, world.daemon()).await;
    world.must(&["audit"]);
    world.database.assert_equals(&corpus).await;
    Found { injected: proxy.injected().len(), outcome: "exit code 1, then all counted without the proxy".into() }
}

/// Without strict mode MySQL stores the largest number that fits instead of a sum that does not.
async fn not_strict(corpus: Arc<Corpus>) -> Found {
    let server = MariaDb::start_with("--sql-mode=");
    let mut world = World::with_server("db-not-strict", &server, &corpus).await;
    hurry(&mut world);
    // One report has a row of which an object's sum would be too much.
    let full = "9223372036854775807";
    let key = &corpus.expected["reports"]["report_demand"][0];
    let (date, demand) = (key["report_date"].as_str().unwrap(), &key["demand_id"]);
    let row = format!("'{date}', {demand}, {full}, 0, 0");
    world
        .database
        .execute(&format!(
            "INSERT INTO report_demand (report_date, demand_id, impressions, clicks, revenue) VALUES ({row})"
        ))
        .await;
    world.upload(&corpus).await;
    drain(&world, world.daemon()).await;
    let kept = format!("SELECT impressions FROM report_demand WHERE report_date = '{date}' AND demand_id = {demand}");
    assert_eq!(world.database.rows(&kept).await, [[full]]);
    let failed = world.database.rows("SELECT DISTINCT kind FROM failed_object").await;
    assert_eq!(failed, [["overflow"]], "what does not fit is listed");
    let failed = world.database.number("SELECT COUNT(*) FROM failed_object").await;
    assert_eq!(world.terminal().await, corpus.objects.len() as u64);
    Found { injected: failed as usize, outcome: format!("{failed} objects listed as overflow, no sum cut off") }
}
