//! The network between the daemon and what it talks to, failing at every place that matters.

pub mod database;
mod queue;
mod storage;

use crate::daemon::Daemon;
use crate::world::World;

/// The highest number of receipts that any delivery of this daemon had: above 1, an attempt was burned.
pub fn receipts_max(log: &str) -> u64 {
    let received = log.lines().filter(|line| line.contains("\"delivery received\""));
    let attempt = |line: &str| {
        let after = line.split_once("\"attempt\":")?.1;
        after.split(|end: char| !end.is_ascii_digit()).next()?.parse().ok()
    };
    received.map(|line| attempt(line).unwrap_or_else(|| panic!("no attempt in {line}"))).max().unwrap_or(0)
}

/// The settings that make outages of the network short, and the log tell each receipt.
pub fn hurry(world: &mut World) {
    for (variable, value) in [
        ("XC2__STORE__UPSERT_ROWS", "8"),
        ("XC2__STORE__MERGE_OBJECTS_MAX", "2"),
        ("XC2__SOURCE__CONNECT_TIMEOUT", "2s"),
        ("XC2__SOURCE__READ_TIMEOUT", "3s"),
        ("XC2__SOURCE__FETCH_TIMEOUT", "6s"),
        ("XC2__METADATA__REFRESH", "200ms"),
        ("XC2__TELEMETRY__LEVEL", "info,xc2_analyzer::pipeline::poller=debug,xc2_analyzer::pipeline::outage=debug"),
    ] {
        world.set(variable, value);
    }
}

/// As little patience with the database as a test needs that meets its silence; with others, a busy machine would look
/// like one.
pub fn hurry_database(world: &mut World) {
    world.set("XC2__STORE__CONNECT_TIMEOUT", "2s");
    world.set("XC2__STORE__STATEMENT_TIMEOUT", "2s");
}

/// Waits until everything is done, stops the daemon in order, and gives its log.
pub async fn drain(world: &World, mut daemon: Daemon) -> String {
    world.until_queue_is_empty(&mut daemon).await;
    let log = world.dir.path().join("daemon.log");
    let status = daemon.stop().await;
    let log = std::fs::read_to_string(log).unwrap();
    assert!(status.success(), "the daemon ended with {status}\n{log}");
    log
}
