//! Tests against real databases: SQLite and a private MariaDB, each case on both.

mod audits;
mod commits;
mod conflicts;
mod decisions;
mod fixture;
mod metadata;
mod migrations;
mod notices;
mod opening;
mod quarantines;
mod reading;
mod schemas;
mod standings;

#[path = "../../tests/support/mariadb.rs"]
mod mariadb;
