//! Broken objects are copied to where operators keep them, and what becomes of that never stops the pipeline.

use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::http_proxy::{Fault, HttpProxy};
use crate::world::{Kind, World};

fn corpus(seed: &str) -> Corpus {
    Corpus::make(&[
        "--seed",
        seed,
        "--files",
        "4",
        "--rows",
        "40",
        "--broken",
        "gzip cut in the middle",
        "--broken",
        "imports",
    ])
}

async fn counted(world: &World) {
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
}

const COPIES: &str = "SELECT object_key, COALESCE(copied_to, '-'), COALESCE(copy_problem, '-') \
                      FROM failed_object ORDER BY object_key, generation";

#[tokio::test]
async fn broken_object_is_copied_where_it_is_told_and_its_copy_is_not_counted() {
    let corpus = corpus("76");
    let mut world = World::new("copies", Kind::MariaDb, &corpus).await;
    let bucket = world.cloud.bucket.clone();
    // Into the very bucket whose objects are announced.
    world.set("XC2__FAILED__COPY_TO", &format!("s3://{bucket}/kept/"));
    world.upload(&corpus).await;
    counted(&world).await;
    // Content that can be read, and that must not be counted under its copy's name either.
    let honest: Vec<&String> = corpus.counted().keys().collect();
    world.cloud.upload(honest[0], &corpus.objects[honest[1]]).await;
    counted(&world).await;

    let rows = world.database.rows(COPIES).await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    for row in rows {
        let [key, copy, problem] = <[String; 3]>::try_from(row).unwrap();
        assert_eq!(problem, "-");
        let path = copy.strip_prefix(&format!("s3://{bucket}/")).unwrap_or_else(|| panic!("{key}: {copy}"));
        assert!(path.starts_with(&format!("kept/{bucket}/{key}.")), "{path}");
        let (body, metadata) = world.cloud.object(path).await;
        let original = if key == *honest[0] { &corpus.objects[honest[1]] } else { &corpus.objects[&key] };
        assert!(body == *original, "{key}: the copy is another content");
        let kind = world.database.rows(&format!("SELECT kind FROM failed_object WHERE copied_to = '{copy}'")).await;
        assert_eq!(metadata["xc2-kind"], kind[0][0]);
        let shown = world.must(&["failed", "show", &format!("s3://{bucket}/{key}")]);
        assert!(shown.contains(&format!("copy        {copy}")), "{shown}");
    }
    assert_eq!(world.database.number("SELECT COUNT(*) FROM processed_object").await, 4);
    world.database.execute("DELETE FROM failed_object WHERE kind = 'overwritten'").await;
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
}

#[tokio::test]
async fn target_that_is_not_there_or_out_of_reach_stops_nothing() {
    let corpus = corpus("77");
    let mut world = World::new("copies-lost", Kind::MariaDb, &corpus).await;
    world.set("XC2__FAILED__COPY_TO", "s3://no-such-bucket/kept/");
    world.upload(&corpus).await;
    counted(&world).await;
    world.database.assert_equals(&corpus).await;
    for row in world.database.rows(COPIES).await {
        assert!(row[1] == "-" && row[2].contains("NoSuchBucket"), "{row:?}");
    }

    let proxy = HttpProxy::start();
    proxy.script(|request| request.path.starts_with("/out-of-reach").then_some(Fault::Reset));
    world.set("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    world.set("XC2__FAILED__COPY_TO", "s3://out-of-reach/kept/");
    let keys: Vec<&str> = corpus.failed().keys().map(String::as_str).collect();
    world.cloud.send(&s3_event(&world.cloud.bucket, &keys)).await;
    counted(&world).await;
    for row in world.database.rows(COPIES).await {
        assert!(row[1] == "-" && !row[2].contains("NoSuchBucket") && row[2] != "-", "{row:?}");
    }
    let tried = proxy.injected().len();
    assert!((3..=3 * keys.len()).contains(&tried), "{tried} attempts");
    let shown = world.must(&["failed", "show", keys[0]]);
    assert!(shown.contains("copy        not copied: "), "{shown}");
    world.database.assert_equals(&corpus).await;
}

/// The copy comes before the listing: a crash between them loses neither.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn crash_between_copy_and_listing_loses_neither() {
    let corpus = Corpus::make(&["--seed", "78", "--files", "1", "--rows", "20", "--broken", "gzip cut in the middle"]);
    let mut world = World::new("copies-crash", Kind::MariaDb, &corpus).await;
    world.set("XC2__FAILED__COPY_TO", &format!("s3://{}/kept/", world.cloud.bucket));
    world.set("XC2__SOURCE__VISIBILITY", "3s");
    world.set("FAILPOINTS", "quarantine.begin.before=return(abort)");
    world.upload(&corpus).await;
    let daemon = world.daemon();
    assert_eq!(daemon.ended(std::time::Duration::from_secs(60)).await.code(), None, "killed");
    assert_eq!(world.database.number("SELECT COUNT(*) FROM failed_object").await, 0);
    assert_eq!(world.cloud.keys("kept/").await.len(), 1);
    world.set("FAILPOINTS", "");
    counted(&world).await;
    world.database.assert_equals(&corpus).await;
    let copies = world.database.rows("SELECT copied_to FROM failed_object").await;
    assert_eq!(world.cloud.keys("kept/").await, [copies[0][0].replace(&format!("s3://{}/", world.cloud.bucket), "")]);
}
