//! What the daemon tells of itself while it works: metrics that agree with the ledger and with the independent sums, pages
//! for probes through outages and a stop, and one line of log for each object.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use serde_json::Value;

use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::daemon::Daemon;
use crate::http_proxy::{Fault, HttpProxy};
use crate::mariadb::MariaDb;
use crate::promtool;
use crate::scrape::{Scrape, free_place, get};
use crate::world::{Kind, World};

/// A world whose daemon listens, and where.
fn listening(world: &mut World) -> String {
    let listen = free_place();
    world.set("XC2__TELEMETRY__LISTEN", &listen);
    format!("http://{listen}")
}

async fn scrape(place: &str) -> Option<Scrape> {
    let (status, text) = get(format!("{place}/metrics")).await?;
    assert_eq!(status, 200, "{text}");
    Some(Scrape::of(text))
}

async fn status(url: String) -> (u16, String) {
    get(url).await.unwrap_or_default()
}

/// Waits until a page answers with this status and these words.
async fn until_page_says(world: &World, daemon: &mut Daemon, url: &str, wanted: u16, words: &str) {
    world
        .until(daemon, &format!("{url}: {wanted} {words}"), async || {
            let (found, text) = status(url.to_owned()).await;
            found == wanted && text.contains(words)
        })
        .await;
}

/// Value -> number, as the database counts it.
async fn groups(world: &World, sql: &str) -> BTreeMap<String, u64> {
    let rows = world.database.rows(sql).await;
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect()
}

#[tokio::test]
async fn metrics_agree_with_the_ledger_and_with_the_independent_sums() {
    let corpus = Corpus::make(&["--seed", "71", "--files", "12", "--rows", "60"]);
    let mut world = World::new("vitals-metrics", Kind::MariaDb, &corpus).await;
    let place = listening(&mut world);
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    let (mut scrapes, mut last) = (0, None);
    let is_done = async |world: &World| world.cloud.queue_depth().await == (0, 0);
    while !is_done(&world).await {
        assert!(daemon.is_running(), "{}", daemon.log());
        if let Some(scrape) = scrape(&place).await {
            promtool::check_metrics(&scrape.text);
            if let Some(last) = &last {
                assert_eq!(scrape.fallen_since(last), [""; 0]);
            }
            (scrapes, last) = (scrapes + 1, Some(scrape));
        }
    }
    assert!(scrapes > 1, "it was scraped while it counted");
    // All again, in messages of our own, so that every object is a duplicate or fails again.
    let keys: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    for keys in keys.chunks(5) {
        world.cloud.send(&s3_event(&world.cloud.bucket, keys)).await;
    }
    world.until_queue_is_empty(&mut daemon).await;
    let found = scrape(&place).await.expect("it answers");
    promtool::check_metrics(&found.text);

    let database = &world.database;
    let counted = corpus.counted().len() as u64;
    assert_eq!(found.count("xc2_objects_total{outcome=\"counted\"}"), counted);
    assert_eq!(database.number("SELECT COUNT(*) FROM processed_object").await, counted);
    assert_eq!(found.count("xc2_objects_total{outcome=\"duplicate\"}"), counted);
    let failed = groups(&world, "SELECT kind, COUNT(*) FROM failed_object GROUP BY kind").await;
    assert_eq!(failed.values().sum::<u64>(), corpus.failed().len() as u64);
    let twice: BTreeMap<String, u64> = failed.into_iter().map(|(kind, count)| (kind, 2 * count)).collect();
    assert_eq!(found.by("xc2_objects_failed_total", "kind"), twice, "listed, and listed again");
    assert_eq!(found.count("xc2_objects_total{outcome=\"failed\"}"), 2 * corpus.failed().len() as u64);

    let rows = "SELECT SUM(`rows` - rejected_rows) FROM processed_object";
    assert_eq!(found.count("xc2_rows_counted_total"), database.number(rows).await);
    assert_eq!(found.count("xc2_object_bytes_total"), database.number("SELECT SUM(bytes) FROM processed_object").await);
    let mut rejected = BTreeMap::<String, u64>::new();
    for object in corpus.counted().values() {
        for (reason, rows) in object["rejected"].as_object().unwrap() {
            *rejected.entry(reason.clone()).or_default() += rows.as_u64().unwrap();
        }
    }
    assert!(!rejected.is_empty());
    assert_eq!(found.by("xc2_rows_rejected_total", "reason"), rejected);
    assert_unmapped(&world, &found).await;
    assert_timed(&world, &found, &corpus).await;
    assert!(daemon.stop().await.success());
}

/// Money of media and inventories that the metadata does not know, against the reports.
async fn assert_unmapped(world: &World, found: &Scrape) {
    let of = [
        ("media", "SELECT SUM(revenue) * 1000000 FROM report_media WHERE media_key <> ''
            AND media_key NOT IN (SELECT CAST(media_key AS CHAR CHARACTER SET utf8mb4) COLLATE utf8mb4_nopad_bin FROM media)"),
        ("inventory", "SELECT SUM(revenue) * 1000000 FROM report_ad WHERE inventory_id <> 0
            AND inventory_id NOT IN (SELECT inventory_id FROM inventory)"),
    ];
    for (table, sql) in of {
        let micros = world.database.rows(sql).await[0][0].split('.').next().unwrap().parse::<u64>().unwrap();
        assert!(micros > 0, "{table}: the corpus has none");
        assert_eq!(found.count(&format!("xc2_unmapped_revenue_micros_total{{table=\"{table}\"}}")), micros, "{table}");
        assert!(found.count(&format!("xc2_rows_unmapped_total{{table=\"{table}\"}}")) > 0);
    }
}

async fn assert_timed(world: &World, found: &Scrape, corpus: &Corpus) {
    let (counted, rounds) = (corpus.counted().len() as u64, 2);
    for stage in ["wait_for_fetch", "fetch", "count", "wait_for_writer"] {
        let series = format!("xc2_stage_duration_seconds_count{{stage=\"{stage}\"}}");
        assert_eq!(found.count(&series), rounds * counted, "{stage}: for each counted object and each duplicate");
    }
    let commits = found.count("xc2_commits_total{outcome=\"committed\"}");
    assert_eq!(found.count("xc2_commit_objects_count"), commits);
    assert_eq!(found.count("xc2_stage_duration_seconds_count{stage=\"commit\"}"), commits);
    assert_eq!(found.count("xc2_commit_objects_sum"), rounds * counted);
    assert_eq!(found.count("xc2_event_to_commit_seconds_count"), counted);
    assert_eq!(
        found.count("xc2_deliveries_received_total"),
        found.count("xc2_deliveries_acknowledged_total"),
        "the queue is empty"
    );
    for series in
        ["xc2_deliveries_in_flight", "xc2_objects_in_flight", "xc2_oldest_in_flight_age_seconds", "xc2_stalled"]
    {
        assert_eq!(found.value(series), 0.0, "{series}");
    }
    let newest = "SELECT UNIX_TIMESTAMP(CONVERT_TZ(MAX(report_date), '+09:00', @@time_zone)) FROM report_ad";
    let newest: f64 = world.database.rows(newest).await[0][0].parse().unwrap();
    let found_newest = found.value("xc2_newest_event_committed_timestamp_seconds");
    assert!((newest..newest + 86_400.0).contains(&found_newest), "{found_newest} is not on the newest day, {newest}");
    assert!(found.value("xc2_last_commit_timestamp_seconds") > found.value("process_start_time_seconds"));
    assert!(found.value("process_resident_memory_bytes") > 1e6 && found.value("process_open_fds") > 3.0);
    assert!(found.value("xc2_metadata_rows{table=\"media\"}") > 0.0);
    assert_eq!(found.value(&format!("xc2_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
}

#[tokio::test]
async fn probes_tell_an_outage_from_a_stall_and_a_stop_from_both() {
    let corpus = Corpus::make(&["--seed", "72", "--files", "4", "--rows", "20", "--no-broken"]);
    let server = MariaDb::start();
    let mut world = World::with_server("vitals-probes", &server, &corpus).await;
    let (place, proxy) = (listening(&mut world), HttpProxy::start());
    world.set("AWS_ENDPOINT_URL_SQS", &proxy.endpoint);
    world.set("XC2__STORE__CONNECT_TIMEOUT", "2s");
    // A stop waits for the open one.
    world.set("XC2__SOURCE__LONG_POLL", "8s");
    let mut daemon = world.daemon();
    let (ready, alive) = (format!("{place}/readyz"), format!("{place}/livez"));
    until_page_says(&world, &mut daemon, &ready, 200, "ok: the database").await;
    let healthcheck = world.command(&["healthcheck"]);
    assert!(healthcheck.status.success());
    assert_eq!(String::from_utf8_lossy(&healthcheck.stdout), "ok: the pipeline makes progress\n");
    assert_eq!(status(place.clone()).await.0, 200);

    server.kill();
    until_page_says(&world, &mut daemon, &ready, 503, "FAILURE: the database").await;
    // Also what the pipeline itself meets.
    world.upload(&corpus).await;
    until_page_says(&world, &mut daemon, &ready, 503, "database has been out of reach for").await;
    assert_eq!(status(alive.clone()).await.0, 200, "a restart would not help");
    assert_eq!(scrape(&place).await.unwrap().value("xc2_outage{dependency=\"database\"}"), 1.0);
    let healthcheck = world.command(&["healthcheck", "--ready"]);
    assert_eq!(healthcheck.status.code(), Some(1));
    let said = String::from_utf8_lossy(&healthcheck.stderr).into_owned();
    assert!(said.contains("503") && said.contains("out of reach") && said.lines().count() == 1, "{said}");
    server.restart();
    until_page_says(&world, &mut daemon, &ready, 200, "").await;
    world.until_queue_is_empty(&mut daemon).await;
    assert_eq!(scrape(&place).await.unwrap().value("xc2_outage{dependency=\"database\"}"), 0.0);

    proxy.script(|_| Some(Fault::Error { status: 503, code: "ServiceUnavailable" }));
    until_page_says(&world, &mut daemon, &ready, 503, "FAILURE: the queue answers").await;
    assert_eq!(status(alive.clone()).await.0, 200);
    proxy.script(|_| None);
    until_page_says(&world, &mut daemon, &ready, 200, "").await;

    daemon.signal("TERM");
    until_page_says(&world, &mut daemon, &ready, 503, "asked to stop").await;
    assert_eq!(status(alive).await.0, 200, "it is finishing");
    // Not asked again: a second time ends it at once.
    world.until_ended(&mut daemon).await;
    world.database.assert_equals(&corpus).await;
    let healthcheck = world.command(&["healthcheck"]);
    assert_eq!(healthcheck.status.code(), Some(1), "nobody answers");
}

#[tokio::test]
async fn server_that_only_reads_is_not_ready() {
    let corpus = Corpus::make(&["--seed", "73", "--files", "1", "--rows", "5", "--no-broken"]);
    let server = MariaDb::start();
    let mut world = World::with_server("vitals-read-only", &server, &corpus).await;
    let place = listening(&mut world);
    server.run("CREATE USER plain IDENTIFIED BY 'plain'").await;
    server.run("GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO plain").await;
    let url = world.database.url().replace("root@", "plain:plain@");
    assert!(url.contains("plain:plain@"), "{url}");
    world.set("XC2__STORE__URL", &url);
    let mut daemon = world.daemon();
    let ready = format!("{place}/readyz");
    until_page_says(&world, &mut daemon, &ready, 200, "").await;
    server.run("SET GLOBAL read_only = ON").await;
    until_page_says(&world, &mut daemon, &ready, 503, "FAILURE: the database takes writes").await;
    server.run("SET GLOBAL read_only = OFF").await;
    until_page_says(&world, &mut daemon, &ready, 200, "").await;
    assert_eq!(world.database.number("SELECT COUNT(*) FROM processed_object").await, 0, "the probe leaves nothing");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn place_that_can_not_be_listened_at_ends_the_start() {
    let corpus = Corpus::make(&["--seed", "74", "--files", "1", "--rows", "5", "--no-broken"]);
    let mut world = World::new("vitals-listen", Kind::Sqlite, &corpus).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap().to_string();
    world.set("XC2__TELEMETRY__LISTEN", &place);
    let run = world.command(&["run"]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("listen at {place}: ")) && said.contains("[telemetry] listen"), "{said}");
    for (listen, problem) in [("9464", "has no port"), ("::1:9464", "without brackets")] {
        world.set("XC2__TELEMETRY__LISTEN", listen);
        let run = world.command(&["run"]);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(78), "{said}");
        assert!(said.contains("config key telemetry.listen") && said.contains(problem), "{said}");
    }
    world.set("XC2__TELEMETRY__LISTEN", "");
    let nowhere = world.command(&["healthcheck"]);
    assert_eq!(nowhere.status.code(), Some(78), "there is nothing to ask");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("telemetry.listen"));
    let elsewhere = world.command(&["healthcheck", "--url", &format!("http://{}/livez", free_place())]);
    assert_eq!(elsewhere.status.code(), Some(1));
}

/// What the line of any object has.
const OF_EACH: [&str; 11] = [
    "timestamp",
    "level",
    "object",
    "bucket",
    "key",
    "message_id",
    "attempt",
    "wait_ms",
    "fetch_ms",
    "commit_ms",
    "total_ms",
];

#[tokio::test]
async fn log_has_one_line_for_each_object_under_the_same_names() {
    let corpus = Corpus::make(&["--seed", "75", "--files", "6", "--rows", "60"]);
    let world = World::new("vitals-log", Kind::Sqlite, &corpus).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    let again = corpus.counted().keys().next().unwrap();
    world.cloud.send(&s3_event(&world.cloud.bucket, &[again])).await;
    world.until_queue_is_empty(&mut daemon).await;
    let pid = daemon.pid();
    assert!(pid > 0 && daemon.is_running());
    daemon.signal("TERM");
    world.until_ended(&mut daemon).await;
    let lines: Vec<Value> = daemon.log().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let said = |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    for message in ["started", "metadata read", "asked to stop: finishing what is in flight", "ended"] {
        assert_eq!(said(message).len(), 1, "{message}");
    }
    let keys =
        |lines: &[&Value]| lines.iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
    let (counted, failed) = (said("object counted"), said("object listed as failed"));
    let duplicates = said("object had been counted before: nothing added");
    assert_eq!(keys(&counted), corpus.counted().keys().cloned().collect());
    assert_eq!(keys(&failed), corpus.failed().keys().cloned().collect());
    assert_eq!(keys(&duplicates), BTreeSet::from([again.clone()]));
    let of_objects = lines.iter().filter(|line| line.get("object").is_some()).count();
    assert_eq!(of_objects, corpus.objects.len() + 1, "one line an object, and one for the duplicate");
    for line in counted.iter().chain(&failed).chain(&duplicates) {
        OF_EACH.iter().for_each(|field| assert!(line.get(field).is_some(), "{field} is missing in {line}"));
        let object = format!("s3://{}/{}", world.cloud.bucket, line["key"].as_str().unwrap());
        assert_eq!((line["object"].as_str(), line["attempt"].as_u64()), (Some(object.as_str()), Some(1)), "{line}");
        assert_eq!(line["etag"].as_str().map(str::len), Some(32), "{line}");
    }
    for line in counted.iter().chain(&duplicates) {
        let expected = &corpus.counted()[line["key"].as_str().unwrap()];
        assert_eq!((&line["rows"], line["batch"].is_string()), (&expected["rows"], true), "{line}");
        assert!(line["count_ms"].is_u64() && line["writer_wait_ms"].is_u64() && line["bytes"].is_u64(), "{line}");
        let rejected = line["rejected_rows"].as_u64().unwrap();
        assert_eq!(rejected, expected["rows"].as_u64().unwrap() - expected["counted"].as_u64().unwrap(), "{line}");
    }
    for line in counted {
        let is_rejected = line["rejected_rows"] != 0;
        assert_eq!((line["level"] == "WARN", line["rejects"].is_string()), (is_rejected, is_rejected), "{line}");
    }
    assert!(failed.iter().all(|line| ["kind", "reason", "advice"].iter().all(|field| line[field].is_string())));
}

#[tokio::test]
async fn log_for_people_leaves_out_what_only_machines_join_on() {
    let corpus = Corpus::make(&["--seed", "76", "--files", "2", "--rows", "10", "--no-broken"]);
    let mut world = World::new("vitals-text", Kind::Sqlite, &corpus).await;
    world.set("XC2__TELEMETRY__FORMAT", "text");
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    let log = daemon.log();
    assert!(daemon.stop().await.success());
    let line = log.lines().find(|line| line.contains("object counted")).unwrap_or_else(|| panic!("{log}"));
    let (_, told) = line.split_once("object counted").unwrap();
    assert!(told.starts_with(&format!(" object=s3://{}/", world.cloud.bucket)), "{line}");
    let names: Vec<&str> = told.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect();
    assert_eq!(names, ["object", "attempt", "bytes", "rows", "rejected_rows", "total_ms"], "{line}");
}
