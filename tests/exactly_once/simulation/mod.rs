//! The pipeline itself on a simulated queue, bucket and database, on a clock that jumps: what takes a machine an hour of
//! waiting takes milliseconds, and every schedule is told by its seed.
//!
//! A seed that fails is made smaller and told in full. `XC2_SEED=n` runs the schedule of one seed, with everything that
//! happened in it.

mod bodies;
mod books;
mod bucket;
mod generate;
mod kept;
mod life;
mod memory;
mod notices;
mod process;
mod queue;
mod queue_client;
mod scenario;
mod schedule;
mod smaller;
mod store_client;
mod world;

use scenario::{Fault, Scenario};
use schedule::{Database, run_all, run_one};

/// How many schedules, and from which seed.
fn seeds(quick: u64, full: u64) -> std::ops::Range<u64> {
    match std::env::var("XC2_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("XC2_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..if crate::is_full() { full } else { quick },
    }
}

#[test]
fn every_object_is_counted_once_in_any_schedule() {
    let seeds = seeds(1_000, 20_000);
    let many = seeds.end - seeds.start > 1;
    let happened = run_all(seeds, Database::Memory);
    // What never happens is not tested.
    let everything = Fault::ALL.iter().map(|(fault, _)| format!("{fault:?}"));
    let everything = everything.chain(["crashes", "freezes", "stops", "dead letters"].map(str::to_owned));
    let missing: Vec<String> = everything.filter(|what| many && !happened.contains_key(what)).collect();
    assert!(missing.is_empty(), "{missing:?} did not happen");
}

/// The real statements, transactions and connections, in schedules of the same kind.
#[test]
fn sqlite_counts_every_object_once_in_any_schedule() {
    run_all(seeds(50, 1_000), Database::Sqlite);
}

/// A failure that can't be repeated can't be understood.
#[test]
fn the_same_seed_is_the_same_schedule() {
    for seed in 0..50 {
        let [one, other] = [(); 2].map(|()| run_one(&Scenario::of(seed), Database::Memory, true));
        let differs = one.events.iter().zip(&other.events).find(|(one, other)| one != other);
        assert!(one.hash == other.hash && one.events.len() == other.events.len(), "seed {seed}: {differs:?}");
        assert!(one.events.len() > 5, "seed {seed} does nothing: {:?}", one.events);
    }
}
