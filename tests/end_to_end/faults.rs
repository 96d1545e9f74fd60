//! Nothing is lost or doubled when the daemon is stopped or killed in the middle of its work.

use std::time::Duration;

use crate::corpus::Corpus;
use crate::world::{Kind, World};

/// Objects that are counted in about a second, so that a signal meets work in progress.
fn corpus(seed: &str) -> Corpus {
    Corpus::make(&["--seed", seed, "--files", "60", "--rows", "400", "--no-broken", "--fingerprint"])
}

#[tokio::test]
async fn stop_in_mid_work_ends_in_order_and_a_restart_finishes_the_rest() {
    let corpus = corpus("21");
    let mut world = World::new("faults-stop", Kind::MariaDb, &corpus).await;
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "2");
    world.set("XC2__SOURCE__DELIVERIES_MAX", "10");
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "some objects", async || world.terminal().await >= 5).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    let counted = world.terminal().await;
    let (visible, held) = world.cloud.queue_depth().await;
    assert!(visible > 0, "the stop came after the work: {counted} objects were counted");
    assert_eq!(held, 0, "every unfinished message was returned");

    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
}

#[tokio::test]
async fn killed_again_and_again_the_totals_are_exact() {
    let corpus = corpus("22");
    let mut world = World::new("faults-kill", Kind::MariaDb, &corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "3s"); // what a killed daemon held comes back soon
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "3");
    world.upload(&corpus).await;
    let mut random = fastrand::Rng::with_seed(22);
    for round in 0..6 {
        let daemon = world.daemon();
        let after = Duration::from_millis(random.u64(50..700));
        println!("round {round}: kill -9 after {after:?}");
        tokio::time::sleep(after).await;
        daemon.kill();
    }
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
}

#[tokio::test]
async fn database_that_goes_away_stops_the_polling_and_loses_nothing() {
    let corpus = corpus("23");
    let server = crate::mariadb::MariaDb::start();
    let mut world = World::with_server("faults-database", &server, &corpus).await;
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "2");
    world.set("XC2__SOURCE__DELIVERIES_MAX", "10");
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "some objects", async || world.terminal().await >= 3).await;
    server.kill();
    world.until(&mut daemon, "the outage", async || world.log_says("polling stops")).await;
    server.restart();
    world.until_queue_is_empty(&mut daemon).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    world.database.assert_equals(&corpus).await;
    assert_eq!(world.database.number("SELECT COUNT(*) FROM failed_object").await, 0, "an outage is not poison");
    world.must(&["audit"]);
}
