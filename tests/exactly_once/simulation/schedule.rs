//! Running schedules: one, many, and ever smaller ones of a seed that failed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use xc2_analyzer::config;
use xc2_analyzer::pipeline::Job;
use xc2_analyzer::store::{SqlStore, Store, StoreSettings};

use super::bodies::{self, OBJECT_BYTES_MAX};
use super::books::{self, Books, SqliteBooks};
use super::bucket::Bucket;
use super::life::Life;
use super::memory::Memory;
use super::queue::Server;
use super::scenario::Scenario;
use super::world::{Outcome, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Memory,
    /// The product's own store, in a file.
    Sqlite,
}

/// Once nothing fails any more: longer than any visibility and any wait, with room for every object to be given up.
const DRAINED_WITHIN: Duration = Duration::from_secs(3 * 3600);
/// Smaller scenarios that are tried, unless `XC2_SMALLER_MAX` says how many.
const SMALLER_MAX: usize = 400;

/// Runs the schedules of all seeds, on all processors; how often what happened in them.
pub fn run_all(seeds: std::ops::Range<u64>, database: Database) -> BTreeMap<String, u64> {
    let begun = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, total) = (AtomicU64::new(seeds.start), seeds.end - seeds.start);
    let (happened, seconds) = (Mutex::new(BTreeMap::<String, u64>::new()), AtomicU64::new(0));
    let failed = Mutex::new(None);
    let work = || {
        while failed.lock().unwrap().is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = run_one(&Scenario::of(seed), database, total == 1);
            for (what, times) in &outcome.happened {
                *happened.lock().unwrap().entry(what.clone()).or_default() += times;
            }
            seconds.fetch_add(outcome.seconds, Ordering::Relaxed);
            if total == 1 {
                eprintln!("{:#?}\n{}", Scenario::of(seed), outcome.events.join("\n"));
            }
            if !outcome.violations.is_empty() {
                *failed.lock().unwrap() = Some((seed, outcome));
            }
        }
    };
    std::thread::scope(|scope| (0..threads.min(total as usize)).for_each(|_| drop(scope.spawn(work))));
    if let Some((seed, outcome)) = failed.into_inner().unwrap() {
        panic!("{}", explained(seed, outcome, database));
    }
    eprintln!(
        "{total} schedules on {database:?}: {} simulated hours in {:.1} s",
        seconds.into_inner() / 3600,
        begun.elapsed().as_secs_f64()
    );
    let happened = happened.into_inner().unwrap();
    happened.iter().for_each(|(what, times)| eprintln!("{times:>9} {what}"));
    happened
}

/// A failure, as small as it could be made.
fn explained(seed: u64, outcome: Outcome, database: Database) -> String {
    let (mut scenario, mut outcome, mut tried) = (Scenario::of(seed), outcome, 0);
    let smaller_max = std::env::var("XC2_SMALLER_MAX").ok().and_then(|max| max.parse().ok()).unwrap_or(SMALLER_MAX);
    'smaller: loop {
        for smaller in scenario.smaller() {
            tried += 1;
            if tried > smaller_max {
                break 'smaller;
            }
            let found = run_one(&smaller, database, true);
            if !found.violations.is_empty() {
                (scenario, outcome) = (smaller, found);
                continue 'smaller;
            }
        }
        break;
    }
    format!(
        "seed {seed} on {database:?} (again with XC2_SEED={seed}), made smaller in {} runs:\n{scenario:#?}\n{}\n\n{}",
        tried.min(smaller_max),
        outcome.events.join("\n"),
        outcome.violations.join("\n")
    )
}

/// Runs one schedule, alone on a runtime of its own. `kept`: its events are wanted.
pub fn run_one(scenario: &Scenario, database: Database, kept: bool) -> Outcome {
    // The product's own chance: the jitter of its waits.
    fastrand::seed(scenario.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(scenario, database, kept))
}

async fn run(scenario: &Scenario, database: Database, kept: bool) -> Outcome {
    let world = Arc::new(World::new(scenario, kept));
    let job = Arc::new(job(scenario));
    let Opened { store, books, sql, _folder } = open(database, &world, &job).await;
    let server = Arc::new(Server::new(world.clone(), books.clone()));
    let life = Arc::new(Life {
        bucket: Arc::new(Bucket::new(world.clone())),
        world: world.clone(),
        server: server.clone(),
        store,
        books: books.clone(),
        job,
        over: CancellationToken::new(),
    });
    let lives: Vec<_> = (0..scenario.processes).map(|place| tokio::spawn(life.clone().live(place))).collect();
    for (at, message) in scenario.messages.iter().enumerate() {
        world.until(message.at).await;
        server.send(at);
    }
    world.until(scenario.trouble).await;
    world.calm_down();
    drain(&server).await;
    if !world.is_wrong() && server.redrive() > 0 {
        drain(&server).await;
    }
    if scenario.replayed && !world.is_wrong() {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        (0..scenario.messages.len()).for_each(|at| server.send(at));
        drain(&server).await;
    }
    life.over.cancel();
    for live in lives {
        live.await.expect("a life does not panic");
    }
    books::judge(&world, books.as_ref(), &server.sent());
    if let Some(sql) = sql {
        let audit = sql.audit(None, None).await.unwrap();
        audit.findings.iter().for_each(|finding| world.wrong(format!("audit: {finding:?}")));
    }
    world.outcome()
}

async fn drain(server: &Server) {
    if timeout(DRAINED_WITHIN, server.drained()).await.is_err() {
        server.world.wrong(format!("not drained within {DRAINED_WITHIN:?}: {:?}", server.left()));
    }
}

fn job(scenario: &Scenario) -> Job {
    let (settings, mut job) = (&scenario.settings, config::defaults().pipeline);
    job.rules.limits.object_bytes_max = OBJECT_BYTES_MAX;
    Job {
        batch_size: settings.batch_size,
        workers: settings.workers,
        deliveries_max: settings.deliveries_max,
        fetch_attempts_max: settings.fetch_attempts_max,
        fetch_patience: settings.fetch_patience,
        merge_objects_max: settings.merge_objects_max,
        merge_cells_max: settings.merge_cells_max,
        quarantine_overwritten: settings.quarantine_overwritten,
        ..job
    }
}

struct Opened {
    store: Arc<dyn Store>,
    books: Arc<dyn Books>,
    /// The store again, where it is the product's.
    sql: Option<Arc<SqlStore>>,
    /// Where its file is.
    _folder: Option<TempDir>,
}

async fn open(database: Database, world: &Arc<World>, job: &Job) -> Opened {
    let plan = job.rules.plan.clone();
    match database {
        Database::Memory => {
            let memory = Arc::new(Memory::new(world.clone(), plan));
            Opened { store: memory.clone(), books: memory, sql: None, _folder: None }
        }
        Database::Sqlite => {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("xc2.db");
            let settings = StoreSettings { url: format!("sqlite:{}", path.display()), ..StoreSettings::default() };
            let store = Arc::new(SqlStore::open(&settings, plan).await.unwrap());
            store.migrate().await.unwrap();
            store.insert_metadata(&bodies::metadata()).await.unwrap();
            let books = Arc::new(SqliteBooks::open(&path));
            Opened { store: store.clone(), books, sql: Some(store), _folder: Some(folder) }
        }
    }
}
