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

/// What SQS or the network does to which calls, the first and how many; how often a delivery is received then at most;
/// and whether it is in the selection.
type Plan = (Fault, Call, u32, u32, u64, bool);

fn plans() -> Vec<Plan> {
    use Call::*;
    let error = |status, code| Fault::Error { status, code };
    vec![
        // The messages are in flight to nobody until they show again.
        (Fault::LoseAnswer, Receive, 1, 1, 2, true),
        (Fault::Truncate, Receive, 1, 1, 2, true),
        (Fault::ResetBody, Receive, 1, 2, 3, false),
        (Fault::Garbage, Receive, 1, 1, 2, false),
        (Fault::StallBody, Receive, 1, 1, 2, true),
        // A long poll that hangs for ever.
        (Fault::Silence, Receive, 1, 1, 1, true),
        (Fault::Reset, Receive, 1, 3, 1, false),
        (error(500, "InternalError"), Receive, 1, 4, 1, true),
        (error(503, "ServiceUnavailable"), Receive, 2, 4, 1, false),
        (error(403, "OverLimit"), Receive, 1, 3, 1, false),
        (error(400, "RequestThrottled"), Receive, 1, 3, 1, false),
        (error(403, "ExpiredToken"), Receive, 1, 3, 1, false),
        (Fault::Page { status: 403 }, Receive, 1, 3, 1, true),
        (Fault::Page { status: 200 }, Receive, 1, 2, 1, false),
        // Deleted, and nobody told us; or not deleted, and it comes again.
        (Fault::LoseAnswer, Delete, 1, 1, 1, true),
        (Fault::LoseAnswer, Delete, 1, 4, 1, false),
        (Fault::StallBody, Delete, 1, 1, 1, false),
        (Fault::Silence, Delete, 1, 1, 1, true),
        (Fault::Reset, Delete, 1, 2, 1, false),
        (error(500, "InternalError"), Delete, 1, 3, 1, true),
        // More often than it is tried: the messages come back, and the ledger knows them.
        (error(503, "ServiceUnavailable"), Delete, 1, 5, 2, true),
        (Fault::Page { status: 502 }, Delete, 1, 5, 2, false),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn call_of_the_queue_that_the_wire_fails_counts_nothing_twice_and_loses_nothing() {
    let corpus = corpus();
    let chosen = plans().into_iter().filter(|(.., quick)| *quick || is_full());
    let cases = chosen.enumerate().map(|(number, (fault, call, n, times, receipts, _))| {
        let place = if times == 1 { format!("{call:?} {n}") } else { format!("{call:?} {n} to {}", n + times - 1) };
        let (name, corpus) = (format!("wire-sqs-{number}"), corpus.clone());
        Case::new(fault.name(), place, async move {
            let (world, proxy) = world(&name, &corpus).await;
            proxy.script(nth(call, n, times, fault));
            world.upload(&corpus).await;
            let log = drain(&world, world.daemon()).await;
            assert_books(&world, &corpus, &log, receipts).await;
            assert_eq!(proxy.injected().len(), times as usize);
            Found { injected: times as usize, outcome: outcome(&log) }
        })
    });
    run_all("the wire to SQS", cases.collect()).await;
}

/// A queue that shows again what nobody extended for three seconds, behind a wire.
async fn world(name: &str, corpus: &Corpus) -> (World, HttpProxy) {
    let mut world = World::new(name, Kind::MariaDb, corpus).await;
    hurry(&mut world);
    world.set("XC2__SOURCE__VISIBILITY", "3s");
    let proxy = HttpProxy::start();
    world.set("AWS_ENDPOINT_URL_SQS", &proxy.endpoint);
    (world, proxy)
}

async fn assert_books(world: &World, corpus: &Corpus, log: &str, receipts: u64) {
    assert_eq!(world.database.rows("SELECT object_key, kind, reason FROM failed_object").await, [[""; 3]; 0]);
    world.must(&["audit"]);
    world.database.assert_equals(corpus).await;
    // A busy machine may let a visibility of three seconds pass: then one more.
    assert!(receipts_max(log) <= receipts + 1, "a delivery was received {} times", receipts_max(log));
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
    let (mut world, proxy) = world(name, corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "6s");
    let mut calls = 0;
    proxy.script(move |request| {
        calls += u32::from(request.call == Call::Extend);
        (request.call == Call::Extend && (all || calls % 2 == 1)).then(|| fault.clone())
    });
    let locked = Locked::of(&world).await;
    world.upload(corpus).await;
    let mut daemon = world.daemon();
    let failed = async || proxy.injected().len() >= 4;
    world.until(&mut daemon, "four failed heartbeats", failed).await;
    if all {
        world.until(&mut daemon, "messages that show again", async || world.cloud.queue_depth().await.0 > 0).await;
    }
    locked.release().await;
    let log = drain(&world, daemon).await;
    assert_books(&world, corpus, &log, if all { 1000 } else { 1 }).await;
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
            let (world, proxy) = world(&format!("wire-sqs-door-{door:?}").to_lowercase(), &corpus).await;
            let mut daemon = world.daemon();
            world.until(&mut daemon, "the start", async || world.log_says("metadata read")).await;
            world.upload(&corpus).await;
            proxy.door(door);
            world.until(&mut daemon, "the outage", async || world.log_says("queue is out of reach")).await;
            proxy.door(Door::Open);
            let log = drain(&world, daemon).await;
            assert_books(&world, &corpus, &log, 2).await;
            Found { injected: 1, outcome: outcome(&log) }
        })
    });
    run_all("the way to SQS", cases.collect()).await;
}
