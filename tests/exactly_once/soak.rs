//! A random mix of everything, for as long as one likes.
//!
//! ```text
//! XC2_SOAK_MINUTES=60 XC2_SEED=7 tests/exactly-once soak
//! ```
//!
//! The seed decides what happens in which order; when exactly, and so which statement a kill meets, is the machine's.

mod expectation;
mod feed;
mod fleet;
mod weather;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mariadb::MariaDb;
use crate::sqs_proxy::Proxy;
use crate::world::World;
use feed::Feed;
use fleet::Fleet;
use weather::Weather;

/// What the parts of a soak share.
struct Stage {
    server: MariaDb,
    world: World,
    proxy: Proxy,
    /// Held while the database is down or a table of it away, and by whoever must not meet that.
    database_turn: tokio::sync::Mutex<()>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_mix_of_everything_leaves_exact_books() {
    let (seed, time) = (seed(), time());
    println!("soak: seed {seed}, {} s", time.as_secs());
    let stage = Arc::new(Stage::set(seed).await);
    let feed = Arc::new(Feed::new(stage.clone(), seed));
    let mut fleet = Fleet::new(stage.clone());
    let mut weather = Weather::new(stage.clone(), feed.clone(), seed);
    let feeding = tokio::spawn(feed.clone().run());

    let began = Instant::now();
    let mut told = 0;
    while began.elapsed() < time {
        fleet.look();
        weather.next(&mut fleet).await;
        if began.elapsed().as_secs() / 60 > told {
            told = began.elapsed().as_secs() / 60;
            println!("soak: minute {told}: {}; {}", feed.told(), fleet.told());
        }
    }
    feed.stop();
    weather.calm_down(&mut fleet).await;
    feeding.await.expect("the feed");
    println!("soak: the weather is calm after {:.0} s, draining", began.elapsed().as_secs_f64());
    drain(&stage, &mut fleet, &feed).await;
    fleet.stop_all().await;

    println!("{}\n{}\n{}", feed.report(&stage.proxy), fleet.report(), weather.report(&stage.proxy));
    check(&stage, &feed).await;
    println!("outcome        seed {seed}: the books are exact after {:.0} s", began.elapsed().as_secs_f64());
}

/// The time of a run without `XC2_SOAK_MINUTES`, in full and otherwise.
fn time() -> Duration {
    let minutes =
        std::env::var("XC2_SOAK_MINUTES").map(|minutes| minutes.parse().expect("XC2_SOAK_MINUTES is a number"));
    let seconds = minutes.map(|minutes: f64| minutes * 60.0);
    Duration::from_secs_f64(seconds.unwrap_or(if crate::is_full() { 120.0 } else { 20.0 }))
}

fn seed() -> u64 {
    std::env::var("XC2_SEED")
        .map_or_else(|_| fastrand::u64(..1_000_000), |seed| seed.parse().expect("XC2_SEED is a number"))
}

impl Stage {
    async fn set(seed: u64) -> Stage {
        let server = MariaDb::start();
        let metadata = crate::corpus::Corpus::make(&["--seed", "0", "--files", "1", "--rows", "1", "--no-broken"]);
        let mut world = World::with_server(&format!("soak-{seed}"), &server, &metadata).await;
        let proxy = Proxy::start();
        world.set("AWS_ENDPOINT_URL_SQS", &proxy.endpoint);
        world.set("XC2__SOURCE__VISIBILITY", "3s");
        world.set("XC2__SOURCE__DELIVERIES_MAX", "20");
        world.set("XC2__STORE__MERGE_OBJECTS_MAX", "5");
        world.set("XC2__STORE__CONNECT_TIMEOUT", "2s");
        world.set("XC2__METADATA__REFRESH", "2s");
        world.set("XC2__RUN__SHUTDOWN_GRACE", "3s");
        let stage = Stage { server, world, proxy, database_turn: tokio::sync::Mutex::default() };
        stage.wait_little_for_locks().await;
        stage
    }

    /// Lock waits end in error 1205 within a soak, not after it. To be set again after each restart.
    async fn wait_little_for_locks(&self) {
        self.server.run("SET GLOBAL innodb_lock_wait_timeout = 2").await;
    }

    /// The rows of a statement, or nothing while the database is not there.
    async fn ask(&self, sql: &str) -> Option<Vec<Vec<String>>> {
        use mysql_async::prelude::Queryable;
        let mut connection = mysql_async::Conn::from_url(self.world.database.url()).await.ok()?;
        let rows: Vec<mysql_async::Row> = connection.query(sql).await.ok()?;
        let text = |value: mysql_async::Value| mysql_async::from_value::<Option<String>>(value).unwrap_or_default();
        Some(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }
}

/// Waits until the queue is empty, whatever it takes within the patience, and announces again what the emulator lost.
async fn drain(stage: &Stage, fleet: &mut Fleet, feed: &Feed) {
    const PATIENCE: Duration = Duration::from_secs(600);
    let began = Instant::now();
    loop {
        fleet.keep_two_at_work();
        if stage.world.cloud.queue_depth().await == (0, 0) && feed.announce_what_the_emulator_lost().await == 0 {
            return;
        }
        let depth = stage.world.cloud.queue_depth().await;
        assert!(began.elapsed() < PATIENCE, "the queue still holds {depth:?} messages\n{}", fleet.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Everything is as computed, and nothing is pending anywhere.
async fn check(stage: &Stage, feed: &Feed) {
    let database = &stage.world.database;
    let (expected, poison) = feed.expected();
    database.assert_equals(&expected).await;
    let unread = database.number("SELECT COUNT(*) FROM failed_object WHERE bucket = ''").await;
    assert_eq!(unread, poison, "messages that can't be read are listed, each once");
    stage.world.must(&["audit"]);
    assert_eq!(stage.world.cloud.queue_depth().await, (0, 0));
    let transactions = database.number("SELECT COUNT(*) FROM information_schema.INNODB_TRX").await;
    assert_eq!(transactions, 0, "no transaction is open");
}
