//! Between the daemon and S3.

use std::sync::Arc;
use std::time::Duration;

use super::{drain, hurry, receipts_max};
use crate::cases::{Case, Found, run_all};
use crate::corpus::Corpus;
use crate::http_proxy::{Call, Fault, HttpProxy, Request, nth};
use crate::is_full;
use crate::wire::{Door, Gate};
use crate::world::{Kind, World};

fn corpus() -> Arc<Corpus> {
    Arc::new(Corpus::make(&["--seed", "62", "--files", "5", "--rows", "40", "--no-broken"]))
}

/// What S3 or the network does to reads, which of them, how often, and whether it is in the selection.
type Plan = (Fault, u32, u32, bool);

fn plans() -> Vec<Plan> {
    let error = |status, code| Fault::Error { status, code };
    vec![
        (Fault::Truncate, 1, 1, true),
        (Fault::Truncate, 2, 6, false),
        (Fault::Shorten, 1, 1, true),
        (Fault::Shorten, 1, 6, false),
        (Fault::Empty, 2, 1, true),
        (Fault::Garbage, 1, 1, true),
        (Fault::ResetBody, 1, 1, true),
        (Fault::StallBody, 1, 1, true),
        (Fault::Drip { pause: Duration::from_millis(20) }, 1, 1, false),
        (Fault::Reset, 1, 2, true),
        (Fault::Silence, 1, 1, true),
        (Fault::LoseAnswer, 1, 3, false),
        // Longer than an object that is refused would be asked for.
        (error(500, "InternalError"), 1, 8, true),
        (error(503, "SlowDown"), 1, 8, false),
        (error(503, "ServiceUnavailable"), 2, 6, false),
        // Shorter than that: a policy on its way, an object that is not there yet, a replica that lags behind.
        (error(403, "AccessDenied"), 1, 3, true),
        (error(404, "NoSuchKey"), 1, 3, true),
        (error(412, "PreconditionFailed"), 1, 3, true),
        (error(403, "RequestTimeTooSkewed"), 1, 6, false),
        (error(400, "ExpiredToken"), 1, 6, true),
        // It is not S3 that says so.
        (Fault::Page { status: 403 }, 1, 6, true),
        (Fault::Page { status: 200 }, 1, 1, false),
        (Fault::Page { status: 502 }, 1, 6, false),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn object_that_does_not_come_as_it_is_is_read_again() {
    let corpus = corpus();
    let chosen = plans().into_iter().filter(|(.., quick)| *quick || is_full());
    let cases = chosen.enumerate().map(|(number, (fault, n, times, _))| {
        let place = if times == 1 { format!("GET {n}") } else { format!("GET {n} to {}", n + times - 1) };
        let (name, corpus) = (format!("wire-s3-{number}"), corpus.clone());
        Case::new(fault.name(), place, async move {
            // One object at a time, so that the faults in a row are of one object.
            let found = attacked(&name, &corpus, nth(Call::GetObject, n, times, fault)).await;
            assert_eq!(found.injected, times as usize);
            found
        })
    });
    run_all("the wire to S3", cases.collect()).await;
}

async fn attacked(
    name: &str,
    corpus: &Corpus,
    script: impl FnMut(&Request) -> Option<Fault> + Send + 'static,
) -> Found {
    let (world, proxy) = world(name, corpus).await;
    proxy.script(script);
    world.upload(corpus).await;
    let log = drain(&world, world.daemon()).await;
    assert_books(&world, corpus).await;
    assert_eq!(receipts_max(&log), 1, "no attempt is burned");
    Found { injected: proxy.injected().len(), outcome: outcome(&log) }
}

async fn world(name: &str, corpus: &Corpus) -> (World, HttpProxy) {
    let mut world = World::new(name, Kind::MariaDb, corpus).await;
    hurry(&mut world);
    let proxy = HttpProxy::start();
    world.set("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    (world, proxy)
}

async fn assert_books(world: &World, corpus: &Corpus) {
    assert_eq!(world.database.rows("SELECT object_key, kind, reason FROM failed_object").await, [[""; 3]; 0]);
    world.must(&["audit"]);
    world.database.assert_equals(corpus).await;
}

fn outcome(log: &str) -> String {
    let again = log.matches("object not read yet").count();
    let outages = log.matches("polling stops until it answers").count();
    format!("read again {again}, outages {outages}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn storage_that_can_not_be_reached_is_waited_for() {
    let corpus = corpus();
    let cases = [
        (Door::Refusing, "connections refused", true),
        (Door::Resetting, "connections reset", is_full()),
        (Door::Mute, "connections half-open", is_full()),
    ];
    let cases = cases.into_iter().filter(|(.., wanted)| *wanted).map(|(door, fault, _)| {
        let corpus = corpus.clone();
        Case::new(fault, "before the first GET", async move {
            let (world, proxy) = world(&format!("wire-s3-door-{door:?}").to_lowercase(), &corpus).await;
            proxy.door(door);
            world.upload(&corpus).await;
            let mut daemon = world.daemon();
            world.until(&mut daemon, "the outage", async || world.log_says("object storage is out of reach")).await;
            proxy.door(Door::Open);
            let log = drain(&world, daemon).await;
            assert_books(&world, &corpus).await;
            assert_eq!(receipts_max(&log), 1, "no attempt is burned");
            Found { injected: 1, outcome: outcome(&log) }
        })
    });
    run_all("the way to S3", cases.collect()).await;
}

/// The event of the first content is there, its read is on its way, and the object is uploaded again.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn object_replaced_between_its_event_and_its_read_is_counted_as_what_it_is_now() {
    let corpus = corpus();
    let (world, proxy) = world("wire-s3-replaced", &corpus).await;
    let (key, body) = corpus.objects.first_key_value().unwrap();
    let gate = Gate::new();
    proxy.script(nth(Call::GetObject, 1, 1, Fault::Hold(gate.clone())));
    world.cloud.upload(key, b"the content that was announced first").await;
    let daemon = world.daemon();
    gate.reached().await;
    world.cloud.upload(key, body).await;
    gate.let_go();
    for (key, body) in corpus.objects.iter().skip(1) {
        world.cloud.upload(key, body).await;
    }
    let log = drain(&world, daemon).await;
    assert!(log.contains("was replaced before it could be read"), "the first content was asked for\n{log}");
    // What was announced first is gone: it is listed, and settled by what is counted under its key.
    let failed = world.database.rows("SELECT kind, state FROM failed_object").await;
    assert!(failed.is_empty() || failed == [["replaced", "resolved"]], "{failed:?}");
    world.must(&["audit"]);
    world.database.assert_equals(&corpus).await;
}

/// The first content is counted already when the second one is announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn object_replaced_after_its_read_is_listed_and_not_added() {
    let corpus = corpus();
    let (world, proxy) = world("wire-s3-overwritten", &corpus).await;
    let (key, _) = corpus.objects.first_key_value().unwrap();
    let (_, other) = corpus.objects.last_key_value().unwrap();
    let gate = Gate::new();
    let all = corpus.objects.len() as u64;
    proxy.script(nth(Call::GetObject, all as u32 + 1, 1, Fault::Hold(gate.clone())));
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "everything counted", async || world.terminal().await == all).await;
    world.cloud.upload(key, other).await;
    gate.reached().await;
    gate.let_go();
    let _log = drain(&world, daemon).await;
    let failed = world.database.rows("SELECT object_key, kind, state FROM failed_object").await;
    assert_eq!(failed, [[key.as_str(), "overwritten", "open"]]);
    world.must(&["audit"]);
    world.database.execute("DELETE FROM failed_object").await;
    world.database.assert_equals(&corpus).await;
}
