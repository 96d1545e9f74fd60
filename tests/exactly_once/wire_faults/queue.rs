//! Between the daemon and SQS.

use std::sync::Arc;

use mysql_async::prelude::Queryable;

use super::{drain, hurry, receipts_max};
use crate::cases::{Case, Found, run_all};
use crate::corpus::Corpus;
use crate::http_proxy::{Call, Fault, HttpProxy, nth};
use crate::is_full;
use crate::wire::Door;
use crate::world::{Kind, World};

fn corpus() -> Arc<Corpus> {
    Arc::new(Corpus::make(&["--seed", "63", "--files", "5", "--rows", "40", "--no-broken"]))
}

/// What SQS or the network does to which calls, the first and how many; whether messages come again for it; and whether
/// it is in the selection.
type Plan = (Fault, Call, u32, u32, bool, bool);

fn plans() -> Vec<Plan> {
    use Call::*;
    let error = |status, code| Fault::Error { status, code };
    vec![
        // The messages are in flight to nobody until they show again.
        (Fault::LoseAnswer, Receive, 1, 1, true, true),
        (Fault::Truncate, Receive, 1, 1, true, true),
        (Fault::ResetBody, Receive, 1, 2, true, false),
        (Fault::Garbage, Receive, 1, 1, true, false),
        (Fault::StallBody, Receive, 1, 1, true, true),
        // A long poll that hangs for ever.
        (Fault::Silence, Receive, 1, 1, false, true),
        (Fault::Reset, Receive, 1, 3, false, false),
        (error(500, "InternalError"), Receive, 1, 4, false, true),
        (error(503, "ServiceUnavailable"), Receive, 2, 4, false, false),
        (error(403, "OverLimit"), Receive, 1, 3, false, false),
        (error(400, "RequestThrottled"), Receive, 1, 3, false, false),
        (error(403, "ExpiredToken"), Receive, 1, 3, false, false),
        (Fault::Page { status: 403 }, Receive, 1, 3, false, true),
        (Fault::Page { status: 200 }, Receive, 1, 2, false, false),
        // Deleted, and nobody told us; or not deleted, and it comes again.
        (Fault::LoseAnswer, Delete, 1, 1, false, true),
        (Fault::LoseAnswer, Delete, 1, 4, false, false),
        (Fault::StallBody, Delete, 1, 1, false, false),
        (Fault::Silence, Delete, 1, 1, false, true),
        (Fault::Reset, Delete, 1, 2, false, false),
        (error(500, "InternalError"), Delete, 1, 3, false, true),
        // More often than it is tried: the messages come back, and the ledger knows them.
        (error(503, "ServiceUnavailable"), Delete, 1, 5, true, true),
        (Fault::Page { status: 502 }, Delete, 1, 5, true, false),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn call_of_the_queue_that_the_wire_fails_counts_nothing_twice_and_loses_nothing() {
    let corpus = corpus();
    let chosen = plans().into_iter().filter(|(.., quick)| *quick || is_full());
    let cases = chosen.enumerate().map(|(number, (fault, call, n, times, again, _))| {
        let place = if times == 1 { format!("{call:?} {n}") } else { format!("{call:?} {n} to {}", n + times - 1) };
        let (name, corpus) = (format!("wire-sqs-{number}"), corpus.clone());
        Case::new(fault.name(), place, async move {
            // What comes again comes soon; what must not has time on the busiest machine.
            let (world, proxy) = world(&name, &corpus, if again { "3s" } else { "2m" }).await;
            proxy.script(nth(call, n, times, fault));
            world.upload(&corpus).await;
            let log = drain(&world, world.daemon()).await;
            assert_books(&world, &corpus).await;
            assert_eq!(receipts_max(&log) > 1, again, "a delivery was received {} times", receipts_max(&log));
            assert_eq!(proxy.injected().len(), times as usize);
            Found { injected: times as usize, outcome: outcome(&log) }
        })
    });
    run_all("the wire to SQS", cases.collect()).await;
}

/// A queue behind a wire; what nobody extends for as long as `visibility` shows again.
async fn world(name: &str, corpus: &Corpus, visibility: &str) -> (World, HttpProxy) {
    let mut world = World::new(name, Kind::MariaDb, corpus).await;
    hurry(&mut world);
    world.set("XC2__SOURCE__VISIBILITY", visibility);
    let proxy = HttpProxy::start();
    world.set("AWS_ENDPOINT_URL_SQS", &proxy.endpoint);
    (world, proxy)
}

async fn assert_books(world: &World, corpus: &Corpus) {
    assert_eq!(world.database.rows("SELECT object_key, kind, reason FROM failed_object").await, [[""; 3]; 0]);
    world.must(&["audit"]);
    world.database.assert_equals(corpus).await;
}

fn outcome(log: &str) -> String {
    let outages = log.matches("polling stops until it answers").count();
    let known = log.matches("object had been counted before").count();
    let left = log.matches("not acknowledged: these messages come back").count();
    format!("received {} times, outages {outages}, known {known}, left {left}", receipts_max(log))
}

/// The database keeps the work waiting for longer than a message stays hidden, while heartbeats fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn heartbeat_that_fails_now_and_then_keeps_the_deliveries() {
    let corpus = corpus();
    let error = |status, code| Fault::Error { status, code };
    let plans = [
        (error(500, "InternalError"), 2, true),
        (Fault::LoseAnswer, 2, is_full()),
        (Fault::Reset, 2, is_full()),
        (error(400, "RequestThrottled"), 2, is_full()),
        // None gets through: the messages show again, and the ledger knows them.
        (error(503, "ServiceUnavailable"), 1000, true),
    ];
    let cases = plans.into_iter().filter(|(.., wanted)| *wanted).enumerate().map(|(number, (fault, times, _))| {
        let corpus = corpus.clone();
        Case::new(fault.name(), if times < 1000 { "every other heartbeat" } else { "every heartbeat" }, async move {
            heartbeats(&format!("wire-heartbeat-{number}"), &corpus, fault, times == 1000).await
        })
    });
    run_all("heartbeats", cases.collect()).await;
}

async fn heartbeats(name: &str, corpus: &Corpus, fault: Fault, all: bool) -> Found {
    let (world, proxy) = world(name, corpus, if all { "3s" } else { "12s" }).await;
    let mut calls = 0;
    proxy.script(move |request| {
        calls += u32::from(request.call == Call::Extend);
        (request.call == Call::Extend && (all || calls % 2 == 1)).then(|| fault.clone())
    });
    let locked = Locked::of(&world).await;
    world.upload(corpus).await;
    let mut daemon = world.daemon();
    let failed = async || proxy.injected().len() >= 2;
    world.until(&mut daemon, "two failed heartbeats", failed).await;
    if all {
        let log = world.dir.path().join("daemon.log");
        let again = async || receipts_max(&std::fs::read_to_string(&log).unwrap_or_default()) > 1;
        world.until(&mut daemon, "a message that is received again", again).await;
    }
    locked.release().await;
    let log = drain(&world, daemon).await;
    assert_books(&world, corpus).await;
    assert_eq!(receipts_max(&log) > 1, all, "a delivery was received {} times", receipts_max(&log));
    Found { injected: proxy.injected().len(), outcome: outcome(&log) }
}

/// Another connection that lets nobody write the ledger.
struct Locked(mysql_async::Conn);

impl Locked {
    async fn of(world: &World) -> Locked {
        let mut connection = mysql_async::Conn::from_url(world.database.url()).await.unwrap();
        connection.query_drop("LOCK TABLES processed_object WRITE").await.unwrap();
        Locked(connection)
    }

    async fn release(mut self) {
        self.0.query_drop("UNLOCK TABLES").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn queue_that_can_not_be_reached_is_waited_for() {
    let corpus = corpus();
    let cases = [
        (Door::Refusing, "connections refused", true),
        (Door::Resetting, "connections reset", is_full()),
        (Door::Mute, "connections half-open", is_full()),
    ];
    let cases = cases.into_iter().filter(|(.., wanted)| *wanted).map(|(door, fault, _)| {
        let corpus = corpus.clone();
        Case::new(fault, "in mid-work", async move {
            let (world, proxy) = world(&format!("wire-sqs-door-{door:?}").to_lowercase(), &corpus, "3s").await;
            let mut daemon = world.daemon();
            world.until(&mut daemon, "the start", async || world.log_says("metadata read")).await;
            world.upload(&corpus).await;
            proxy.door(door);
            world.until(&mut daemon, "the outage", async || world.log_says("queue is out of reach")).await;
            proxy.door(Door::Open);
            let log = drain(&world, daemon).await;
            assert_books(&world, &corpus).await;
            Found { injected: 1, outcome: outcome(&log) }
        })
    });
    run_all("the way to SQS", cases.collect()).await;
}
