//! The pipeline itself on a simulated queue, bucket and database, on a clock that jumps: what takes a machine an hour of
//! waiting takes milliseconds, and every schedule is told by its seed.
//!
//! A seed that fails is made smaller and told in full. `XC2_SEED=n` runs the schedule of one seed, with everything that
//! happened in it.

mod bodies;
mod books;
mod bucket;
mod kept;
mod life;
mod memory;
mod notices;
mod process;
mod queue;
mod queue_client;
mod scenario;
mod schedule;
mod store_client;
mod world;

use scenario::Scenario;
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
    run_all(seeds(1_000, 20_000), Database::Memory);
}

/// The real statements, transactions and connections, in schedules of the same kind.
#[test]
fn every_object_is_counted_once_in_any_schedule_on_sqlite() {
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
