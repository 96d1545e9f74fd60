//! The central promise, attacked: every object is counted exactly once or listed as failed, whatever dies, stalls, lies
//! or comes twice. `tests/exactly-once` runs it in full; `tests/run` a selection that takes minutes.
// The build of an image has no tests, so Cargo.toml can't name this one with the feature that it needs.
#![cfg(feature = "failpoints")]
// Each part uses some of the support.
#![allow(dead_code)]

mod announcements;
mod books;
mod cases;
mod crashes;
mod database_faults;
mod fingerprints;
mod queue_faults;
mod replicas;
mod simulation;
mod soak;
mod sqs_proxy;
mod wire_faults;

#[path = "../support/cloud.rs"]
mod cloud;
#[path = "../support/corpus.rs"]
mod corpus;
#[path = "../support/daemon.rs"]
mod daemon;
#[path = "../support/database.rs"]
mod database;
#[path = "../support/fingerprint.rs"]
mod fingerprint;
#[path = "../support/http_proxy.rs"]
mod http_proxy;
#[path = "../support/mariadb.rs"]
mod mariadb;
#[path = "../support/moto.rs"]
mod moto;
#[path = "../support/mysql_proxy.rs"]
mod mysql_proxy;
#[path = "../support/wire.rs"]
mod wire;
#[path = "../support/world.rs"]
mod world;

/// Whether everything is to be tried, or a selection that takes minutes.
pub fn is_full() -> bool {
    std::env::var_os("XC2_EXACTLY_ONCE").is_some_and(|extent| extent == "full")
}
