//! Alerts as a real Sentry ingest receives them, and as one that is down, mute or overrun does not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::kent::Kent;
use crate::receiver::{Answer, Receiver};
use crate::world::{Kind, World};

/// Alerts of one kind that are sent in a storm, and one at the end that says how many were not.
const STORM_MAX: usize = 11;

async fn world(name: &str, seed: &str, dsn: &str) -> (Corpus, World) {
    let corpus = Corpus::make(&["--seed", seed, "--rows", "30", "--files", "4"]);
    let mut world = World::new(name, Kind::MariaDb, &corpus).await;
    world.set("XC2__TELEMETRY__SENTRY_DSN", dsn);
    world.set("XC2__TELEMETRY__ENVIRONMENT", "tests");
    (corpus, world)
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["tags"]["kind"] == kind).collect()
}

/// How many alerts these events stand for.
fn told(events: &[&Value]) -> u64 {
    let leftover = |event: &&&Value| event["contexts"].get("object").is_none();
    let sent = events.len() as u64 - events.iter().filter(leftover).count() as u64;
    sent + events.iter().filter_map(|event| event["extra"]["suppressed"].as_u64()).sum::<u64>()
}

#[tokio::test]
async fn failures_arrive_grouped_by_kind_with_all_that_finds_the_object() {
    let kent = Kent::start();
    let (corpus, world) = world("alerts", "41", &kent.dsn()).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());

    let events = kent.events();
    let listed = world.database.rows("SELECT kind, COUNT(*) FROM failed_object GROUP BY kind").await;
    assert!(listed.len() > 3, "{listed:?}");
    for row in &listed {
        assert_eq!(told(&of_kind(&events, &row[0])).to_string(), row[1], "alerts of kind {}", row[0]);
    }
    let rows = world.database.rows("SELECT object_key, etag, kind, reason FROM failed_object").await;
    let rows: BTreeMap<&str, &Vec<String>> = rows.iter().map(|row| (row[0].as_str(), row)).collect();
    let mut with_offset = 0;
    for event in events.iter().filter(|event| event["contexts"].get("object").is_some()) {
        let object = &event["contexts"]["object"];
        let row = rows[object["key"].as_str().unwrap()];
        assert_eq!((&object["etag"], &object["reason"]), (&Value::from(&*row[1]), &Value::from(&*row[3])));
        assert_eq!(event["fingerprint"], serde_json::json!(["xc2-analyzer", row[2]]));
        assert_eq!(event["tags"]["kind"], *row[2]);
        // The client leaves out what is the default.
        assert_eq!(event.get("level").unwrap_or(&Value::from("error")), "error");
        assert_eq!(object["bucket"], *world.cloud.bucket);
        assert_eq!(object["attempts"], "1");
        for name in ["message_id", "batch", "advice"] {
            assert!(object[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {object}");
        }
        with_offset += usize::from(object["offset"].as_str().is_some_and(|offset| offset.parse::<u64>().is_ok()));
        assert_eq!(event["environment"], "tests");
        assert_eq!(event["release"], concat!("xc2-analyzer@", env!("CARGO_PKG_VERSION")));
        assert!(event["server_name"].as_str().is_some_and(|name| !name.is_empty()), "{event}");
        assert!(event["breadcrumbs"]["values"].as_array().is_some_and(|trail| !trail.is_empty()), "no trail: {event}");
    }
    assert!(with_offset > 5, "only {with_offset} alerts name the byte");
}

#[tokio::test]
async fn no_alert_holds_a_secret_or_what_a_row_says() {
    let kent = Kent::start();
    let (_corpus, mut world) = world("alerts-secrets", "42", &kent.dsn()).await;
    world.set("XC2__NOTICE__WEBHOOK", "http://127.0.0.1:1/services/secret-of-the-webhook");
    world.set("AWS_SECRET_ACCESS_KEY", "secret-of-aws");
    let rows = "[{'ts': 'what-a-row-says', 'mid': 'what-a-row-says', 'imp': -1}, {'what-a-row-says': 1}]";
    let program = format!("import pickle, sys; sys.stdout.buffer.write(pickle.dumps({rows}))");
    let pickled = std::process::Command::new(crate::corpus::python()).args(["-c", &program]).output().unwrap().stdout;
    assert!(!pickled.is_empty());
    world.cloud.upload("rejected.pkl", &pickled).await;
    world.cloud.upload("cut.pkl", &pickled[..pickled.len() - 4]).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let events = kent.events();
    assert_eq!((of_kind(&events, "rejects").len(), of_kind(&events, "pickle").len()), (1, 1), "{events:#?}");
    let all = serde_json::to_string(&events).unwrap();
    for secret in ["what-a-row-says", "secret-of-the-webhook", "secret-of-aws"] {
        assert!(!all.contains(secret), "{secret} was sent");
    }
}

/// One message that announces objects which are not there.
fn storm(bucket: &str, objects: usize) -> String {
    let keys: Vec<String> = (0..objects).map(|number| format!("missing/{number:05}.gz")).collect();
    s3_event(bucket, &keys.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test]
async fn storm_is_few_alerts_that_stand_for_all() {
    let kent = Kent::start();
    let (_corpus, mut world) = world("alerts-storm", "43", &kent.dsn()).await;
    world.set("XC2__SOURCE__FETCH_ATTEMPTS_MAX", "1");
    world.cloud.send(&storm(&world.cloud.bucket, 300)).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let events = kent.events();
    let missing = of_kind(&events, "missing");
    assert_eq!(told(&missing), 300);
    // A slow machine earns another one a minute.
    assert!((STORM_MAX..=STORM_MAX + 3).contains(&missing.len()), "{} alerts", missing.len());
}

#[tokio::test]
async fn halt_arrives_although_the_process_ends_at_once() {
    let kent = Kent::start();
    let (corpus, world) = world("alerts-halt", "44", &kent.dsn()).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "the start", async || world.log_says("metadata read")).await;
    world.database.execute("UPDATE schema_version SET version = 99").await;
    world.upload(&corpus).await;
    assert_eq!(daemon.ended(Duration::from_secs(60)).await.code(), Some(1));
    let events = kent.events();
    let halts = of_kind(&events, "halt");
    assert_eq!(halts.len(), 1, "{events:#?}");
    assert!(halts[0]["logentry"]["message"].as_str().or(halts[0]["message"].as_str()).unwrap().contains("version 99"));
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn panic_arrives_with_its_place() {
    let kent = Kent::start();
    let (corpus, mut world) = world("alerts-panic", "45", &kent.dsn()).await;
    world.set("FAILPOINTS", "object.decode.before=1*return(panic)->off");
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let events = kent.events();
    let panics = of_kind(&events, "panic");
    assert_eq!(panics.len(), 1, "{events:#?}");
    let exception = &panics[0]["exception"]["values"][0];
    assert!(exception["value"].as_str().unwrap().contains("failpoint object.decode.before at src/"), "{exception}");
    assert!(exception["stacktrace"]["frames"].as_array().is_some_and(|frames| frames.len() > 3), "{exception}");
    assert_eq!(panics[0]["level"], "fatal");
    assert_eq!(of_kind(&events, "defect").len(), 1, "and the object is listed");
}

/// Kilobytes of memory that a process holds.
fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn server_that_accepts_and_never_answers_costs_neither_time_nor_memory() {
    let mute = Receiver::start(Answer::Never);
    let (_corpus, mut world) = world("alerts-mute", "46", &format!("http://public@127.0.0.1:{}/1", mute.port)).await;
    world.set("XC2__SOURCE__FETCH_ATTEMPTS_MAX", "1");
    let mut daemon = world.daemon();
    world.cloud.send(&storm(&world.cloud.bucket, 500)).await;
    world.until_queue_is_empty(&mut daemon).await;
    let before = resident_kb(daemon.pid());
    for wave in 1..=5 {
        let other = storm(&world.cloud.bucket, 500).replace("missing", &format!("gone-{wave}"));
        world.cloud.send(&other).await;
        world.until_queue_is_empty(&mut daemon).await;
    }
    let grown = resident_kb(daemon.pid()).saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KB more after 2,500 more alerts");
    assert_eq!(world.terminal().await, 3000);
    assert!(!mute.requests().is_empty(), "nothing was ever sent");
    let began = Instant::now();
    assert!(daemon.stop().await.success());
    // A long poll of a second, the flush's two, and some for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(15), "the end waited for the server: {:?}", began.elapsed());
}

#[tokio::test]
async fn server_that_has_had_enough_is_left_alone() {
    let overrun = Receiver::start(Answer::TooMany(3600));
    let (corpus, world) = world("alerts-429", "47", &format!("http://public@127.0.0.1:{}/1", overrun.port)).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    assert!(world.database.number("SELECT COUNT(*) FROM failed_object").await > 5);
    assert_eq!(overrun.requests().len(), 1, "after the first answer nothing was to be sent for an hour");
}

#[tokio::test]
async fn server_that_is_down_stops_nothing() {
    let (corpus, world) = world("alerts-down", "48", "http://public@127.0.0.1:1/1").await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
}
