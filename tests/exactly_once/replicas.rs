//! Several processes share one queue and one database.

use std::time::{Duration, Instant};

use crate::announcements::{FORMS, announcements};
use crate::books::Books;
use crate::corpus::Corpus;
use crate::daemon::Daemon;
use crate::mariadb::MariaDb;
use crate::world::World;

/// How one run goes.
#[derive(Clone, Copy)]
struct Schedule {
    replicas: usize,
    /// kill -9 of one of them, spread over the work, another in its place.
    kills: u64,
    /// Rounds in which each is told to stop and replaced, one after the other.
    restarts: u64,
}

/// What one run came to.
struct Run {
    schedule: Schedule,
    seconds: f64,
    deadlocks: u64,
    conflicts: usize,
    duplicates: usize,
    books: Books,
}

const fn schedule(replicas: usize, kills: u64, restarts: u64) -> Schedule {
    Schedule { replicas, kills, restarts }
}

const QUICK: [Schedule; 4] = [schedule(1, 0, 0), schedule(2, 2, 0), schedule(4, 0, 1), schedule(8, 2, 0)];
const FULL: [Schedule; 16] = [
    schedule(1, 0, 0),
    schedule(1, 6, 0),
    schedule(1, 0, 3),
    schedule(1, 6, 3),
    schedule(2, 0, 0),
    schedule(2, 8, 0),
    schedule(2, 0, 3),
    schedule(2, 8, 3),
    schedule(4, 0, 0),
    schedule(4, 12, 0),
    schedule(4, 0, 3),
    schedule(4, 12, 3),
    schedule(8, 0, 0),
    schedule(8, 16, 0),
    schedule(8, 0, 2),
    schedule(8, 16, 2),
];

/// Whatever the number of processes, the order of the objects, the kills and the restarts: the tables are equal to the
/// byte, and equal to what was computed independently.
#[tokio::test]
async fn every_schedule_of_replicas_leaves_the_same_bytes() {
    let (schedules, files) = if crate::is_full() { (&FULL[..], "70") } else { (&QUICK[..], "30") };
    let corpus = Corpus::make(&["--seed", "80", "--files", files, "--rows", "40", "--no-broken", "--fingerprint"]);
    // Its own, so that its deadlocks are ours.
    let server = MariaDb::start();
    println!("replicas  kills  restarts  objects  seconds  deadlocks  rolled back  duplicates  digest");
    let mut first: Option<Books> = None;
    for (number, schedule) in schedules.iter().enumerate() {
        let run = run(&server, &corpus, *schedule, number as u64).await;
        run.print(corpus.objects.len());
        match &first {
            Some(books) => run.books.assert_same(books, "another schedule"),
            None => first = Some(run.books),
        }
    }
}

async fn run(server: &MariaDb, corpus: &Corpus, schedule: Schedule, seed: u64) -> Run {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::with_server(&format!("replicas-{seed}"), server, corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "3s"); // what a killed daemon held comes back soon
    world.set("XC2__SOURCE__DELIVERIES_MAX", "8");
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "2"); // many transactions beside each other
    announce_in_any_order(&world, corpus, &mut random).await;
    let deadlocks = deadlocks_of(server).await;
    let began = Instant::now();
    let mut daemons: Vec<Daemon> = (0..schedule.replicas).map(|_| world.daemon()).collect();
    let events = schedule.kills + schedule.restarts;
    for event in 1..=events {
        let objects = event * corpus.objects.len() as u64 / (events + 1);
        world.until(&mut daemons[0], "the next event's turn", async || world.terminal().await >= objects).await;
        // A few milliseconds, so that it is not always the moment after a commit.
        tokio::time::sleep(Duration::from_micros(random.u64(0..40_000))).await;
        let is_restart = event * schedule.restarts / events > (event - 1) * schedule.restarts / events;
        match is_restart {
            true => restart_one_by_one(&world, &mut daemons).await,
            false => {
                let killed = std::mem::replace(&mut daemons[random.usize(..schedule.replicas)], world.daemon());
                killed.kill();
            }
        }
    }
    world.until_queue_is_empty(&mut daemons[0]).await;
    let seconds = began.elapsed().as_secs_f64();
    for daemon in daemons {
        assert_eq!(daemon.stop().await.code(), Some(0));
    }
    world.database.assert_equals(corpus).await;
    world.must(&["audit"]);
    let log = std::fs::read_to_string(world.dir.path().join("daemon.log")).unwrap();
    Run {
        schedule,
        seconds,
        deadlocks: deadlocks_of(server).await - deadlocks,
        conflicts: log.matches("rolled back; trying again").count(),
        duplicates: log.matches("object had been counted before").count(),
        books: Books::read(&world.database).await,
    }
}

/// Each object by its own upload, and many of them once more, some with others in one message.
async fn announce_in_any_order(world: &World, corpus: &Corpus, random: &mut fastrand::Rng) {
    let mut keys: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    random.shuffle(&mut keys);
    for key in &keys {
        world.cloud.upload(key, &corpus.objects[*key]).await;
    }
    random.shuffle(&mut keys);
    for keys in keys[..keys.len() / 2].chunks(2) {
        for body in announcements(FORMS[random.usize(..FORMS.len())], &world.cloud.bucket, keys) {
            world.cloud.send(&body).await;
        }
    }
}

async fn restart_one_by_one(world: &World, daemons: &mut [Daemon]) {
    for daemon in daemons {
        let stopping = std::mem::replace(daemon, world.daemon());
        stopping.signal("TERM");
        let status = stopping.ended(Duration::from_secs(40)).await;
        // One that was told before it listened to signals ends by the signal itself.
        assert!(status.code() == Some(0) || status.code().is_none(), "{status}");
    }
}

async fn deadlocks_of(server: &MariaDb) -> u64 {
    let status = crate::database::Database::MariaDb { url: server.url("mysql") };
    status.rows("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").await[0][1].parse().unwrap()
}

impl Run {
    fn print(&self, objects: usize) {
        let Schedule { replicas, kills, restarts } = self.schedule;
        println!(
            "{replicas:8}  {kills:5}  {restarts:8}  {objects:7}  {:7.1}  {:9}  {:11}  {:10}  {}",
            self.seconds,
            self.deadlocks,
            self.conflicts,
            self.duplicates,
            self.books.digest()
        );
    }
}
