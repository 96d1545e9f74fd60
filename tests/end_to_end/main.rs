//! The product as it is run: the real binary between a real MariaDB (or SQLite) and a real S3 and SQS API over HTTP,
//! reading pickles that CPython wrote, compared with sums that an independent Python program computed.

mod alerts;
mod cloud;
mod commands;
mod corpus;
mod daemon;
mod database;
mod differential;
mod faults;
mod outages;
mod proxy;
mod sums;
mod world;

#[path = "../support/mariadb.rs"]
mod mariadb;
#[path = "../support/moto.rs"]
mod moto;
