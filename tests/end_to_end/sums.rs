//! The reports are right: cell by cell, for every shape, with duplicates and broken objects among them.

use serde_json::json;

use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::database::{assert_cells, expected};
use crate::world::{Kind, World};

/// Every object uploaded, some announced again: one by one, several in a message, one twice in a message, and each
/// kind of message that announces nothing.
async fn corpus_is_counted_exactly(name: &str, kind: Kind) {
    let corpus = Corpus::make(&["--seed", "7"]);
    let world = World::new(name, kind, &corpus).await;
    world.upload(&corpus).await;
    let keys: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    let bucket = &world.cloud.bucket;
    for key in keys.iter().step_by(7) {
        world.cloud.send(&s3_event(bucket, &[key])).await;
    }
    world.cloud.send(&s3_event(bucket, &keys[..10])).await;
    world.cloud.send(&s3_event(bucket, &[keys[0], keys[1], keys[0]])).await;
    world.cloud.send(&json!({"Type": "Notification", "Message": s3_event(bucket, &[keys[2]])}).to_string()).await;
    world.cloud.send(&json!({"Event": "s3:TestEvent", "Service": "Amazon S3", "Bucket": bucket}).to_string()).await;
    world.cloud.send(&s3_event(bucket, &[keys[3]]).replace("ObjectCreated:Put", "ObjectRemoved:Delete")).await;
    world.cloud.send("this is not a notification").await;
    world.cloud.send(&s3_event(bucket, &["no such object.pkl.gz"])).await;

    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());

    let missing =
        world.database.rows("SELECT kind FROM failed_object WHERE object_key = 'no such object.pkl.gz'").await;
    assert_eq!(missing, [["missing"]]);
    world.database.execute("DELETE FROM failed_object WHERE object_key = 'no such object.pkl.gz'").await;
    let unread = world.database.rows("SELECT kind, message_body FROM failed_object WHERE bucket = ''").await;
    assert_eq!(unread, [["notification", "this is not a notification"]]);
    world.database.assert_equals(&corpus).await;
    assert_eq!(world.cloud.queue_depth().await, (0, 0));
    world.must(&["audit"]);
    let created = corpus.expected["must_not_exist"].as_str().unwrap();
    assert!(!std::path::Path::new(created).exists(), "a pickle's code was run");
}

#[tokio::test]
async fn corpus_is_counted_exactly_into_mariadb() {
    corpus_is_counted_exactly("sums-mariadb", Kind::MariaDb).await;
}

#[tokio::test]
async fn corpus_is_counted_exactly_into_sqlite() {
    corpus_is_counted_exactly("sums-sqlite", Kind::Sqlite).await;
}

#[tokio::test]
async fn folder_is_counted_once_however_often_it_is_run() {
    let corpus = Corpus::make(&["--seed", "8", "--rows", "60"]);
    let mut world = World::new("sums-folder", Kind::Sqlite, &corpus).await;
    world.set("XC2__SOURCE__URL", corpus.folder().to_str().unwrap());
    for _ in 0..2 {
        world.must(&["run"]);
        world.database.assert_equals(&corpus).await;
    }
    world.must(&["audit"]);
}

#[tokio::test]
async fn bucket_prefix_is_counted_without_a_queue() {
    let corpus = Corpus::make(&["--seed", "9", "--rows", "40", "--files", "12", "--no-broken"]);
    let mut world = World::new("sums-bucket", Kind::MariaDb, &corpus).await;
    world.upload(&corpus).await;
    world.set("XC2__SOURCE__URL", &format!("s3://{}/", world.cloud.bucket));
    world.must(&["run"]);
    world.database.assert_equals(&corpus).await;
}

#[tokio::test]
async fn fifth_report_needs_no_code() {
    let corpus = Corpus::make(&[
        "--seed",
        "10",
        "--rows",
        "60",
        "--files",
        "10",
        "--no-broken",
        "--report",
        "by_ad_type=report_date,ad_type,app_type:requests,clicks,media_revenue",
    ]);
    let mut world = World::new("sums-fifth", Kind::MariaDb, &corpus).await;
    std::fs::write(
        world.dir.path().join("config.toml"),
        r#"
        [[report]]
        name = "by_ad_type"
        table = "by_ad_type"
        dimensions = ["report_date", "ad_type", "app_type"]
        measures = ["requests", "clicks", "media_revenue"]
        ratios = [{ name = "clicks_per_thousand", of = ["clicks", "requests"], times = 1000 }]
        columns = { ad_type = "kind_of_ad" }
        "#,
    )
    .unwrap();
    world.must(&["migrate"]);
    world.set("XC2__SOURCE__URL", corpus.folder().to_str().unwrap());
    world.must(&["run"]);
    world.database.assert_equals(&corpus).await;
    let measures = ["requests", "clicks", "media_revenue"];
    let found = world.database.cells("by_ad_type", &["report_date", "kind_of_ad", "app_type"], &measures).await;
    let wanted = expected(&corpus, "by_ad_type", &["report_date", "ad_type", "app_type"], &measures);
    assert_cells("by_ad_type", &found, &wanted);
    world.must(&["audit"]);
    let report = world.must(&["report", "by_ad_type", "--by", "ad_type", "--format", "csv"]);
    assert!(report.starts_with("\u{feff}ad_type,requests,clicks,media_revenue,clicks_per_thousand\r\n"), "{report}");
}

/// A pickle of one row, by CPython.
fn pickled_row(row: &str) -> Vec<u8> {
    let program = format!("import pickle, sys; sys.stdout.buffer.write(pickle.dumps([{row}]))");
    let output = std::process::Command::new(crate::corpus::python()).args(["-c", &program]).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[tokio::test]
async fn object_whose_sums_do_not_fit_fails_alone() {
    let corpus = Corpus::make(&["--seed", "11", "--rows", "20", "--files", "8", "--no-broken"]);
    let world = World::new("sums-overflow", Kind::MariaDb, &corpus).await;
    // Either of them fits, the two together do not.
    let huge = format!("{{'ts': 1718000000, 'mid': 'huge', 'clk': {}}}", 1i64 << 62);
    world.cloud.upload("huge-1.pkl", &pickled_row(&huge)).await;
    world.cloud.upload("huge-2.pkl", &pickled_row(&huge)).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let failed = world.database.rows("SELECT kind FROM failed_object").await;
    assert_eq!(failed, [["overflow"]]);
    let counted = world.database.number("SELECT COUNT(*) FROM processed_object").await;
    assert_eq!(counted, corpus.objects.len() as u64 + 1);
    world.must(&["audit"]);
}

#[tokio::test]
async fn media_that_is_registered_after_the_start_is_found() {
    let corpus = Corpus::make(&["--seed", "12", "--rows", "20", "--files", "2", "--no-broken"]);
    let mut world = World::new("sums-metadata", Kind::MariaDb, &corpus).await;
    world.set("XC2__METADATA__REFRESH", "1h");
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    world.database.execute("INSERT INTO media VALUES ('brand new', 4711, 0.1, 0.9)").await;
    world.cloud.upload("new.pkl", &pickled_row("{'ts': 1718000000, 'mid': 'brand new', 'imp': 1}")).await;
    world.cloud.upload("unknown.pkl", &pickled_row("{'ts': 1718000000, 'mid': 'never heard of', 'imp': 1}")).await;
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let organizations = "SELECT media_key, organization_id FROM report_media WHERE media_key IN \
                         ('brand new', 'never heard of') ORDER BY media_key";
    assert_eq!(world.database.rows(organizations).await, [["brand new", "4711"], ["never heard of", "0"]]);
}
