//! Between the daemon and MariaDB.

use std::sync::Arc;

use super::{drain, hurry, hurry_database, receipts_max};
use crate::cases::{Case, Found, run_all};
use crate::corpus::Corpus;
use crate::is_full;
use crate::mariadb::MariaDb;
use crate::mysql_proxy::{Command, Fault, MySqlProxy, Step, nth};
use crate::wire::Door;
use crate::world::{Kind, World};

/// Not a pickle: it is listed as failed.
const BROKEN: (&str, &[u8]) = ("broken.pkl", b"no pickle");

/// What is done to the wire, and whether it is in the selection.
type Plan = (Fault, Step, u32, u32, bool);

#[rustfmt::skip]
fn plans() -> Vec<Plan> {
    use Step::*;
    vec![
        // The two that the promise stands on: before the server has seen the COMMIT, and after it has done it.
        (Fault::CutBefore, Commit, 1, 1, true),
        (Fault::LoseAnswer, Commit, 1, 1, true),
        (Fault::CutBefore, Commit, 2, 3, false),
        (Fault::LoseAnswer, Commit, 1, 3, true),
        (Fault::LoseAnswer, Commit, 2, 1, false),
        (Fault::CutWithin, Commit, 1, 1, true),
        (Fault::CutAnswer, Commit, 1, 1, true),
        (Fault::Partition, Commit, 1, 1, true),
        (Fault::PartitionAfter, Commit, 1, 1, true),
        (Fault::PartitionAnswer, Commit, 1, 1, false),
        (Fault::CutBefore, Begin, 1, 1, true),
        (Fault::LoseAnswer, Begin, 1, 1, false),
        (Fault::Partition, Begin, 1, 1, false),
        (Fault::CutBefore, Ledger, 1, 1, true),
        (Fault::LoseAnswer, Ledger, 1, 1, true),
        (Fault::Partition, Ledger, 2, 1, false),
        (Fault::PartitionAfter, Ledger, 1, 1, true),
        (Fault::LoseAnswer, Lookup, 1, 1, false),
        (Fault::CutAnswer, Lookup, 1, 1, true),
        (Fault::PartitionAnswer, Lookup, 1, 1, false),
        (Fault::CutBefore, ControlTotals, 1, 1, false),
        (Fault::LoseAnswer, ControlTotals, 1, 1, false),
        (Fault::CutBefore, Upsert, 2, 1, true),
        (Fault::LoseAnswer, Upsert, 2, 1, false),
        (Fault::CutWithin, Upsert, 3, 1, true),
        (Fault::PartitionWithin, Upsert, 2, 1, false),
        (Fault::Partition, Upsert, 5, 1, true),
        (Fault::CutBefore, Upsert, 7, 4, false),
        (Fault::CutBefore, ReportDay, 1, 1, false),
        (Fault::LoseAnswer, ReportDay, 1, 1, false),
        // The list of failures is a transaction too.
        (Fault::CutBefore, Listing, 1, 1, true),
        (Fault::LoseAnswer, Listing, 1, 1, false),
        // The first five statements are the read at the start, which is not tried again.
        (Fault::CutBefore, Metadata, 6, 1, false),
        (Fault::CutAnswer, Metadata, 8, 2, false),
        (Fault::PartitionAnswer, Metadata, 8, 1, true),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn statement_that_the_wire_fails_counts_nothing_twice_and_loses_nothing() {
    let corpus = corpus();
    let chosen = plans().into_iter().filter(|(.., quick)| *quick || is_full());
    let cases = chosen.enumerate().map(|(number, (fault, step, n, times, _))| {
        let place = match times {
            1 => format!("{step:?} {n}"),
            _ => format!("{step:?} {n} to {}", n + times - 1),
        };
        let (name, corpus) = (format!("wire-db-{number}"), corpus.clone());
        Case::new(fault.name(), place, async move {
            let found = attacked(&name, &corpus, |proxy| proxy.script(nth(step, n, times, fault))).await;
            assert_eq!(found.injected, times as usize, "{step:?}: the fault did not happen as often as it should");
            found
        })
    });
    run_all("the wire to the database", cases.collect()).await;
}

/// A fault of preparing, two faults in a row, and one in the middle of a rollback.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn faults_of_the_wire_may_come_together() {
    let corpus = corpus();
    let mut cases = Vec::new();
    let mut add = |number: usize, fault: &str, place: &str, injected: usize, script: Script| {
        let (name, corpus) = (format!("wire-db-more-{number}"), corpus.clone());
        cases.push(Case::new(fault, place, async move {
            let found = attacked(&name, &corpus, |proxy| proxy.script(script)).await;
            assert_eq!(found.injected, injected);
            found
        }));
    };
    let mut prepared = 0;
    let script = move |command: &Command| {
        let prepares = command.prepares && command.step == Step::Upsert;
        prepared += u32::from(prepares);
        (prepares && prepared == 1).then_some(Fault::CutBefore)
    };
    add(1, "cut before", "prepare of an upsert", 1, Box::new(script));
    let mut rolls_back = nth(Step::Rollback, 1, 1, Fault::CutBefore);
    let mut conflicts = nth(Step::Upsert, 2, 1, Fault::Error { code: 1205, state: "HY000", rolls_back: false });
    let script = move |command: &Command| conflicts(command).or_else(|| rolls_back(command));
    add(2, "error 1205, then cut before", "upsert, then its rollback", 2, Box::new(script));
    // Lost answer, then the proof of it is cut off: the ledger is asked a third time.
    let mut commits = nth(Step::Commit, 1, 1, Fault::LoseAnswer);
    let mut ledgers = nth(Step::Ledger, 2, 1, Fault::LoseAnswer);
    let script = move |command: &Command| commits(command).or_else(|| ledgers(command));
    add(3, "done, answer lost, twice", "commit, then the ledger's no", 2, Box::new(script));
    run_all("the wire to the database, more than once", cases).await;
}

type Script = Box<dyn FnMut(&Command) -> Option<Fault> + Send>;

fn corpus() -> Arc<Corpus> {
    Arc::new(Corpus::make(&["--seed", "61", "--files", "5", "--rows", "40", "--no-broken"]))
}

/// Everything of one case: a world of its own behind a wire, the fault, the drain, and the books.
async fn attacked(name: &str, corpus: &Corpus, arm: impl FnOnce(&MySqlProxy)) -> Found {
    let mut world = World::new(name, Kind::MariaDb, corpus).await;
    hurry(&mut world);
    hurry_database(&mut world);
    let proxy = MySqlProxy::start(MariaDb::shared().port);
    world.set("XC2__STORE__URL", &proxy.url(&world.database.url()));
    arm(&proxy);
    world.upload(corpus).await;
    world.cloud.upload(BROKEN.0, BROKEN.1).await;
    let log = drain(&world, world.daemon()).await;
    assert_books(&world, corpus, &log).await;
    Found { injected: proxy.injected().len(), outcome: outcome(&log) }
}

/// Exactly what was to be counted is counted, the broken object is listed and no other, and no attempt was burned.
async fn assert_books(world: &World, corpus: &Corpus, log: &str) {
    let failed = world.database.rows("SELECT object_key, kind, state FROM failed_object").await;
    assert_eq!(failed, [[BROKEN.0, "pickle", "open"]]);
    world.must(&["audit"]);
    world.database.execute("DELETE FROM failed_object").await;
    world.database.assert_equals(corpus).await;
    assert_eq!(receipts_max(log), 1, "an outage of the database burns no attempt");
}

fn outcome(log: &str) -> String {
    let outages = log.matches("polling stops until it answers").count();
    let conflicts = log.matches("rolled back; trying again").count();
    let known = log.matches("object had been counted before").count();
    format!("outages {outages}, conflicts {conflicts}, known to the ledger {known}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn server_that_can_not_be_reached_is_waited_for() {
    let corpus = corpus();
    let cases = [
        (Door::Refusing, "connections refused", "can't connect", true),
        (Door::Resetting, "connections reset", "can't connect", is_full()),
        (Door::Mute, "connections half-open", "no answer within", true),
    ];
    let cases = cases.into_iter().filter(|(.., wanted)| *wanted).map(|(door, fault, words, _)| {
        let corpus = corpus.clone();
        Case::new(fault, "in mid-work", async move { shut(door, words, &corpus).await })
    });
    run_all("the way to the database", cases.collect()).await;
}

/// The door shuts while a transaction is open, and opens when the daemon has noticed.
async fn shut(door: Door, words: &str, corpus: &Corpus) -> Found {
    let name = format!("wire-door-{door:?}").to_lowercase();
    let mut world = World::new(&name, Kind::MariaDb, corpus).await;
    hurry(&mut world);
    hurry_database(&mut world);
    let proxy = MySqlProxy::start(MariaDb::shared().port);
    world.set("XC2__STORE__URL", &proxy.url(&world.database.url()));
    let gate = crate::wire::Gate::new();
    proxy.script(nth(Step::Upsert, 2, 1, Fault::Hold(gate.clone())));
    world.upload(corpus).await;
    world.cloud.upload(BROKEN.0, BROKEN.1).await;
    let mut daemon = world.daemon();
    gate.reached().await;
    proxy.door(door);
    world.until(&mut daemon, "the outage", async || world.log_says("polling stops")).await;
    world.until(&mut daemon, "a failed connection", async || world.log_says(words)).await;
    proxy.door(Door::Open);
    let log = drain(&world, daemon).await;
    assert_books(&world, corpus, &log).await;
    Found { injected: proxy.injected().len(), outcome: outcome(&log) }
}
