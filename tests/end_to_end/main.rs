//! The product as it is run: the real binary between a real MariaDB (or SQLite) and a real S3 and SQS API over HTTP,
//! reading pickles that CPython wrote, compared with sums that an independent Python program computed.
// Each test binary uses some of the support.
#![allow(dead_code)]

mod alerts;
mod backfill;
mod check;
mod check_fixes;
mod commands;
mod dashboards;
mod deployment;
mod differential;
mod failed;
mod failed_copies;
mod failed_stops;
mod faults;
mod inspect;
mod notices;
mod outages;
mod print;
mod reports;
mod stalls;
mod sums;
mod supervisor;
mod vitals;

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
#[path = "../support/kent.rs"]
mod kent;
#[path = "../support/mariadb.rs"]
mod mariadb;
#[path = "../support/moto.rs"]
mod moto;
#[path = "../support/promtool.rs"]
mod promtool;
#[path = "../support/receiver.rs"]
mod receiver;
#[path = "../support/scrape.rs"]
mod scrape;
#[path = "../support/wire.rs"]
mod wire;
#[path = "../support/world.rs"]
mod world;
