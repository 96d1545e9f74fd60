//! What is out of reach is waited for; what an object itself is to blame for is listed; nothing else stops.

use crate::corpus::Corpus;
use crate::http_proxy::{Call, Fault, HttpProxy, Request};
use crate::world::{Kind, World};

/// Which requests to S3 are throttled.
type Throttled = fn(&Request) -> bool;

const NONE: Throttled = |_| false;

fn throttle(proxy: &HttpProxy, throttled: Throttled) {
    proxy.script(move |request| throttled(request).then_some(Fault::Error { status: 503, code: "SlowDown" }));
}

async fn world(name: &str, seed: &str, throttled: Throttled) -> (Corpus, World, HttpProxy) {
    let corpus = Corpus::make(&["--seed", seed, "--files", "4", "--rows", "20", "--no-broken"]);
    let mut world = World::new(name, Kind::MariaDb, &corpus).await;
    let proxy = HttpProxy::start();
    throttle(&proxy, throttled);
    world.set("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    world.upload(&corpus).await;
    (corpus, world, proxy)
}

#[tokio::test]
async fn throttled_reads_are_waited_out() {
    let (corpus, world, proxy) = world("outages-throttled", "51", |request| request.call == Call::GetObject).await;
    let mut daemon = world.daemon();
    // More often than a refused object would be asked for.
    world.until(&mut daemon, "the sixth attempt", async || world.log_says("\"fetch_attempt\":6")).await;
    throttle(&proxy, NONE);
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
    assert_eq!(world.database.number("SELECT COUNT(*) FROM failed_object").await, 0);
}

#[tokio::test]
async fn storage_that_comes_back_is_used_again_whatever_became_of_the_object_that_waited() {
    let (corpus, world, proxy) = world("outages-storage", "52", |_| true).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "the outage", async || world.log_says("polling stops")).await;
    // All that wait end as failed, none as read: that S3 answers again must be noticed all the same.
    for key in corpus.objects.keys() {
        world.cloud.delete(key).await;
    }
    throttle(&proxy, NONE);
    world.until_queue_is_empty(&mut daemon).await;
    world.upload(&corpus).await;
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
    let resolved = world.database.rows("SELECT DISTINCT kind, state FROM failed_object").await;
    assert_eq!(resolved, [["missing", "resolved"]]);
}

#[tokio::test]
async fn object_that_never_comes_is_listed_and_stops_no_other() {
    let (corpus, mut world, _proxy) = world("outages-object", "53", |request| request.path.contains("never")).await;
    world.set("XC2__SOURCE__FETCH_PATIENCE", "1s");
    world.cloud.upload("never.pkl", b"(l.").await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let failed = world.database.rows("SELECT object_key, kind FROM failed_object").await;
    assert_eq!(failed, [["never.pkl", "unreachable"]]);
    world.database.execute("DELETE FROM failed_object").await;
    world.database.assert_equals(&corpus).await;
}

#[tokio::test]
async fn hostile_message_is_listed_and_does_not_stop_the_daemon() {
    let (corpus, world, _proxy) = world("outages-hostile", "54", NONE).await;
    let hostile = crate::cloud::s3_event(&world.cloud.bucket, &["a"]);
    world.cloud.send(&hostile.replace("\"key\":\"a\"", "\"key\":\"a\",\"eTag\":\"b\\nc\"")).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    assert_eq!(world.database.rows("SELECT kind FROM failed_object").await, [["notification"]]);
    world.database.assert_equals(&corpus).await;
}

#[tokio::test]
async fn metadata_table_that_is_swapped_under_the_daemon_is_waited_for() {
    let corpus = Corpus::make(&["--seed", "55", "--files", "4", "--rows", "20", "--no-broken"]);
    let mut world = World::new("outages-metadata", Kind::MariaDb, &corpus).await;
    world.set("XC2__METADATA__REFRESH", "100ms");
    let mut daemon = world.daemon();
    // A table that is gone at the start ends the daemon: that is somebody else's mistake.
    world.until(&mut daemon, "the start", async || world.log_says("metadata read")).await;
    world.database.execute("RENAME TABLE media TO media_old").await;
    world.until(&mut daemon, "the outage", async || world.log_says("polling stops")).await;
    world.upload(&corpus).await;
    world.database.execute("RENAME TABLE media_old TO media").await;
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
}
