//! Objects whose notification never came: found, counted once, and not confused with those that are on their way.

use std::process::{Output, Stdio};
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::daemon::Daemon;
use crate::scrape::{Scrape, free_place, get};
use crate::world::{Kind, World};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Exit code, standard output and standard error.
fn told(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// From here on nobody hears of an upload, and what was announced is lost.
async fn lose_notifications(world: &mut World, name: &str) {
    world.cloud.renew_queue(name).await;
    let url = world.cloud.queue_url.clone();
    world.set("XC2__SOURCE__URL", &url);
}

fn keys(listed: &Value) -> Vec<&str> {
    listed["objects"].as_array().unwrap().iter().map(|object| object["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn killed_and_stopped_beside_a_daemon_every_object_is_counted_once() {
    let corpus = Corpus::make(&["--seed", "61", "--files", "70", "--rows", "300", "--fingerprint"]);
    let mut world = World::new("backfill-beside", Kind::MariaDb, &corpus).await;
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "2");
    world.set("XC2__RUN__WORKERS", "1");
    world.upload(&corpus).await;
    lose_notifications(&mut world, "backfill-beside-new").await;
    let url = format!("s3://{}/", world.cloud.bucket);

    let (code, stdout, stderr) = told(&world.command(&["backfill", &url, "--dry-run"]));
    assert_eq!((code, stdout.lines().count()), (Some(0), corpus.objects.len()), "{stderr}");
    assert_eq!(world.terminal().await, 0, "a dry run changes nothing");

    // A quarter is announced after all, and a daemon counts it meanwhile.
    let keys: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    for key in keys.iter().step_by(4) {
        world.cloud.send(&s3_event(&world.cloud.bucket, &[key])).await;
    }
    let mut daemon = world.daemon();
    let mut killed = world.start(&["backfill", &url], Stdio::null());
    world.until(&mut daemon, "the first objects", async || world.terminal().await >= 8).await;
    killed.kill().unwrap();
    killed.wait().unwrap();

    let before = world.terminal().await;
    let stopped = world.start(&["backfill", &url], Stdio::piped());
    world.until(&mut daemon, "more objects", async || world.terminal().await >= before + 6).await;
    assert!(std::process::Command::new("kill").arg("-INT").arg(stopped.id().to_string()).status().unwrap().success());
    let (code, stdout, stderr) = told(&stopped.wait_with_output().unwrap());
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("run it again to go on"), "{stdout}{stderr}");
    assert!(world.terminal().await < corpus.objects.len() as u64, "the stop came after the work");

    let (code, stdout, stderr) = told(&world.command(&["backfill", &url]));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("; left 0\n"), "{stdout}");
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);

    // Nothing is left to do, and what failed is not tried again in silence.
    let attempts = world.database.rows("SELECT object_key, last_seen FROM failed_object ORDER BY 1").await;
    let (code, stdout, stderr) = told(&world.command(&["backfill", &url]));
    let (counted, failed) = (corpus.counted().len(), corpus.failed().len());
    let expected =
        format!("counted 0 objects (0 rows, 0 B); already counted {counted}; listed as failed {failed}; left 0\n");
    assert_eq!((code, stdout), (Some(0), expected), "{stderr}");
    assert!(stderr.contains("`failed retry`"), "{stderr}");
    assert_eq!(world.database.rows("SELECT object_key, last_seen FROM failed_object ORDER BY 1").await, attempts);
    let (code, stdout, stderr) = told(&world.command(&["backfill", &url, "--reconcile", "--min-age", "0s"]));
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
}

#[rstest]
#[case::key("backfill-dates-key", &["--date-by", "key"], &["b/dt=2024-06-11/x.gz", "c/year=2024/month=06/day=12/x.gz"], 2)]
#[case::auto("backfill-dates-auto", &[], &["b/dt=2024-06-11/x.gz", "c/year=2024/month=06/day=12/x.gz"], 0)]
#[case::modified("backfill-dates-modified", &["--date-by", "modified"], &[], 0)]
#[tokio::test]
async fn only_objects_of_the_dates_are_chosen(
    #[case] name: &str,
    #[case] by: &[&str],
    #[case] expected: &[&str],
    #[case] undated: u64,
) {
    let corpus = Corpus::make(&["--seed", "62", "--files", "1", "--rows", "5", "--no-broken"]);
    let mut world = World::new(name, Kind::Sqlite, &corpus).await;
    for key in [
        "a/2024-06-10/x.gz",
        "b/dt=2024-06-11/x.gz",
        "b/dt=2024-06-11/x.tmp",
        "c/year=2024/month=06/day=12/x.gz",
        "d/20240613.gz",
        "e/undated.gz",
        "f/1718000000.gz",
    ] {
        world.cloud.upload(key, b"x").await;
    }
    world.set("XC2__SOURCE__SUFFIX", ".gz");
    let url = format!("s3://{}", world.cloud.bucket);
    let dates = ["--since", "2024-06-11", "--until", "2024-06-12", "--dry-run", "--format", "json"];
    let arguments: Vec<&str> = ["backfill", &url].into_iter().chain(dates).chain(by.iter().copied()).collect();
    let listed: Value = serde_json::from_str(&world.must(&arguments)).unwrap();
    assert_eq!(keys(&listed), expected);
    let summary = &listed["summary"];
    let other = 6 - undated - expected.len() as u64;
    assert_eq!((&summary["listed"], &summary["filtered"]), (&7.into(), &1.into()));
    assert_eq!((&summary["undated"], &summary["other_date"]), (&undated.into(), &other.into()));
}

#[tokio::test]
async fn folder_is_backfilled_by_the_dates_of_its_files() {
    let corpus = Corpus::make(&["--seed", "65", "--files", "6", "--rows", "30", "--no-broken"]);
    let world = World::new("backfill-folder", Kind::Sqlite, &corpus).await;
    let folder = corpus.folder();
    let folder = folder.to_str().unwrap();
    let (code, stdout, _) =
        told(&world.command(&["backfill", folder, "--until", "2001-01-01", "--date-by", "modified"]));
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "counted 0 objects (0 rows, 0 B); already counted 0; listed as failed 0; left 0\n")
    );
    let stdout = world.must(&["backfill", folder, "--since", "2001-01-01", "--date-by", "modified"]);
    assert!(stdout.starts_with(&format!("counted {} objects", corpus.objects.len())), "{stdout}");
    world.database.assert_equals(&corpus).await;
}

#[tokio::test]
async fn lost_notification_is_reported_and_a_young_object_is_not_blamed() {
    let corpus = Corpus::make(&["--seed", "63", "--files", "5", "--rows", "20", "--no-broken"]);
    let mut world = World::new("backfill-reconcile", Kind::MariaDb, &corpus).await;
    world.upload(&corpus).await;
    lose_notifications(&mut world, "backfill-reconcile-new").await;
    let url = format!("s3://{}/", world.cloud.bucket);
    let reconcile = |age: &str| {
        let (code, stdout, stderr) =
            told(&world.command(&["backfill", &url, "--reconcile", "--min-age", age, "--format", "json"]));
        let listed: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
        (code, listed)
    };
    let (code, young) = reconcile("1h");
    assert_eq!((code, &young["summary"]["young"]), (Some(0), &corpus.objects.len().into()));
    assert_eq!(keys(&young), [""; 0]);
    let (code, missing) = reconcile("0s");
    assert_eq!(code, Some(1));
    assert_eq!(keys(&missing), corpus.objects.keys().map(String::as_str).collect::<Vec<_>>());
    assert!(missing["objects"].as_array().unwrap().iter().all(|object| object["state"] == "missing"));
    assert_eq!(world.terminal().await, 0, "it only reports");

    world.must(&["backfill", &url]);
    assert_eq!(reconcile("0s").0, Some(0));
    let first = corpus.objects.keys().next().unwrap();
    world.cloud.upload(first, b"(l.").await;
    let (code, overwritten) = reconcile("0s");
    assert_eq!((code, keys(&overwritten)), (Some(0), vec![first.as_str()]));
    let object = &overwritten["objects"][0];
    assert_eq!(object["state"], "overwritten");
    assert_ne!(object["etag"], object["counted_etag"]);

    // Read, found to be another content, listed, and from then on known.
    let stdout = world.must(&["backfill", &url]);
    assert!(stdout.contains("listed as failed 1 (1 of them now); left 0"), "{stdout}");
    let (code, known) = reconcile("0s");
    assert_eq!((code, keys(&known), &known["summary"]["failed"]), (Some(0), vec![], &1.into()));
    world.database.execute("DELETE FROM failed_object").await;
    world.database.assert_equals(&corpus).await;
}

#[tokio::test]
async fn backfill_that_counts_what_was_listed_as_failed_is_named_with_it() {
    let corpus = Corpus::make(&["--seed", "66", "--files", "3", "--rows", "20", "--no-broken"]);
    let world = World::new("backfill-resolves", Kind::Sqlite, &corpus).await;
    let archive = world.dir.path().join("archive");
    std::fs::create_dir(&archive).unwrap();
    let (_, body) = corpus.objects.first_key_value().unwrap();
    let file = archive.join("repaired.pkl.gz");
    let archive = archive.to_str().unwrap();
    std::fs::write(&file, &body[..body.len() / 2]).unwrap();
    world.must(&["backfill", archive]);
    assert_eq!(world.database.rows("SELECT state FROM failed_object").await, [["open"]]);

    std::fs::write(&file, body).unwrap();
    let stdout = world.must(&["backfill", archive]);
    assert!(stdout.starts_with("counted 1 object"), "{stdout}");
    let settled = world.database.rows("SELECT state, resolved_by FROM failed_object").await;
    assert_eq!(settled, [["resolved", "backfill"]]);
    world.must(&["audit"]);
}

fn reconciling(world: &mut World, url: &str, action: &str) -> Daemon {
    world.set("XC2__RECONCILE__URL", url);
    world.set("XC2__RECONCILE__INTERVAL", "500ms");
    world.set("XC2__RECONCILE__MIN_AGE", "1ms");
    world.set("XC2__RECONCILE__ACTION", action);
    world.daemon()
}

#[tokio::test]
async fn daemon_finds_lost_notifications_by_itself() {
    let corpus = Corpus::make(&["--seed", "64", "--files", "30", "--rows", "20", "--no-broken"]);
    let mut world = World::new("backfill-interval", Kind::MariaDb, &corpus).await;
    world.upload(&corpus).await;
    lose_notifications(&mut world, "backfill-interval-new").await;
    let url = format!("s3://{}/", world.cloud.bucket);

    // A bucket that can't be listed does not disturb the daemon.
    let mut daemon = reconciling(&mut world, "s3://there-is-no-such-bucket/", "count");
    world.until(&mut daemon, "a failed round", async || world.log_says("this round ended early")).await;
    let (first, _) = corpus.objects.first_key_value().unwrap();
    world.cloud.send(&s3_event(&world.cloud.bucket, &[first])).await;
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    assert_eq!(world.terminal().await, 1);

    let listen = free_place();
    world.set("XC2__TELEMETRY__LISTEN", &listen);
    let mut daemon = reconciling(&mut world, &url, "report");
    world.until(&mut daemon, "a round", async || world.log_says("\"missing\":29")).await;
    let told = async || {
        let (_, text) = get(format!("http://{listen}/metrics")).await?;
        let scrape = Scrape::of(text);
        (scrape.value("xc2_reconcile_missing") == 29.0).then_some(scrape)
    };
    world.until(&mut daemon, "its number in the metrics", async || told().await.is_some()).await;
    let scrape = told().await.unwrap();
    assert!(scrape.value("xc2_reconciled_timestamp_seconds") > 0.0);
    assert!(scrape.count("xc2_alerts_raised_total{about=\"lost_notifications\"}") > 0);
    assert!(daemon.stop().await.success());
    assert_eq!(world.terminal().await, 1, "it only reports");
    assert!(world.log_says("missing: its notification did not come"));
    assert!(world.log_says("\"unnamed\":9"), "twenty are named, the others are a number");

    let mut daemon = reconciling(&mut world, &url, "count");
    let all = corpus.objects.len() as u64;
    world.until(&mut daemon, "everything counted", async || world.terminal().await == all).await;
    tokio::time::timeout(
        Duration::from_secs(60),
        world.until(&mut daemon, "a round that finds nothing", async || world.log_says("\"missing\":0")),
    )
    .await
    .unwrap();
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
}

#[rstest]
#[case(&["backfill", "http://127.0.0.1:5000/1/q"], "is a queue: `run` counts what it announces")]
#[case(&["backfill"], "no URL is given")]
#[case(&["backfill", "/no/such/folder"], "/no/such/folder")]
#[case(&["backfill", "/", "--since", "2024-06-02", "--until", "2024-06-01"], "--since 2024-06-02 is after --until")]
#[tokio::test]
async fn what_can_not_be_listed_is_refused_in_one_line(#[case] arguments: &[&str], #[case] message: &str) {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("XC2__STORE__URL".to_owned(), format!("sqlite:{}", dir.path().join("xc2.db").display()))];
    let run = |arguments: &[&str]| crate::daemon::command(dir.path(), &settings).args(arguments).output().unwrap();
    assert!(run(&["migrate"]).status.success());
    let (code, stdout, stderr) = told(&run(arguments));
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.starts_with("xc2-analyzer: ") && stderr.contains(message), "{stderr}");
}
