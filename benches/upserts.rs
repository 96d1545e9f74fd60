//! What a database needs for the bare multi-row upserts of merged cells, without ledger, control totals or queue:
//! `cargo bench --bench upserts -- --url mysql://root@127.0.0.1:3306/xc2 MERGES`
//!
//! MERGES is a JSON file, a list of lists of files: what is merged into one transaction. The tables must be there
//! (`migrate`) and the metadata in them. Only the database's part is timed: one transaction a merge, nothing but `INSERT ..
//! ON DUPLICATE KEY UPDATE` of 512 rows, prepared, in primary-key order, on one connection. Prints a JSON object.
//! `benches/load/load` gives it the merges that the daemon made, and puts it beside the daemon.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Value};
use serde_json::json;
use xc2_analyzer::aggregate::{Cell, KeyValue, Rollup};
use xc2_analyzer::config;
use xc2_analyzer::enrich::Snapshot;
use xc2_analyzer::model::{MeasureKind, Micros};
use xc2_analyzer::pipeline::{Rules, count};
use xc2_analyzer::report::{Plan, Report};
use xc2_analyzer::store::{SqlStore, Store, StoreSettings};

/// As the default of `[store] upsert_rows`.
const ROWS: usize = 512;

#[derive(Default)]
struct Spent {
    statements: Duration,
    commits: Duration,
    cells: usize,
    transactions: usize,
}

fn main() {
    let (mut url, mut merges) = (String::new(), String::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value after the option");
        match argument.as_str() {
            "--bench" => {} // says cargo
            "--url" => url = value(),
            _ => merges = argument,
        }
    }
    let merges = std::fs::read(&merges).unwrap_or_else(|error| panic!("{merges}: {error}"));
    let merges: Vec<Vec<String>> = serde_json::from_slice(&merges).expect("a list of lists of files");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let spent = runtime.block_on(measure(&url, &merges));
    println!(
        "{}",
        json!({
            "statements_seconds": spent.statements.as_secs_f64(),
            "commits_seconds": spent.commits.as_secs_f64(),
            "cells": spent.cells,
            "transactions": spent.transactions,
        })
    );
}

async fn measure(url: &str, merges: &[Vec<String>]) -> Spent {
    let rules = config::defaults().pipeline.rules_now();
    let settings = StoreSettings { url: url.to_owned(), ..StoreSettings::default() };
    let store = SqlStore::open(&settings, rules.plan.clone()).await.expect("a database");
    let metadata = store.metadata().await.expect("metadata");
    let snapshot = Snapshot::new(&metadata, Timestamp::UNIX_EPOCH).expect("metadata that do not contradict themselves");
    let snapshot = Arc::new(snapshot);
    let mut connection = Conn::from_url(url).await.expect("a connection");
    let mut spent = Spent::default();
    for files in merges {
        let mut rollup = Rollup::new(rules.plan.clone());
        files.iter().for_each(|file| rollup.merge(&counted(file, &rules, &snapshot)).expect("sums that fit"));
        upsert(&mut connection, &rules.plan, &rollup, &mut spent).await.expect("rows that fit");
    }
    connection.disconnect().await.expect("an orderly end");
    spent
}

fn counted(file: &str, rules: &Rules, snapshot: &Arc<Snapshot>) -> Rollup {
    let body = std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    count::count(&body, rules, snapshot.clone(), &mut |_| {}).expect("an honest file").rollup
}

/// One transaction. The parameters are there before.
async fn upsert(
    connection: &mut Conn,
    plan: &Plan,
    rollup: &Rollup,
    spent: &mut Spent,
) -> Result<(), mysql_async::Error> {
    connection.query_drop("START TRANSACTION").await?;
    for report in &plan.reports {
        let cells = rollup.report(report).expect("sums that fit");
        let rows: Vec<Vec<Value>> = cells.iter().map(|cell| params(plan, report, cell)).collect();
        let mut left = rows.as_slice();
        let mut size = ROWS;
        while !left.is_empty() {
            while size > left.len() {
                size = (size / 4).max(1);
            }
            let (chunk, later) = left.split_at(size);
            let params = Params::Positional(chunk.concat());
            let statement = sql(plan, report, size);
            let begun = Instant::now();
            connection.exec_drop(statement, params).await?;
            spent.statements += begun.elapsed();
            left = later;
        }
        spent.cells += rows.len();
    }
    let begun = Instant::now();
    connection.query_drop("COMMIT").await?;
    spent.commits += begun.elapsed();
    spent.transactions += 1;
    Ok(())
}

fn sql(plan: &Plan, report: &Report, rows: usize) -> String {
    let sums: Vec<&str> = report.measures.iter().map(|&at| plan.measures[at].name.as_str()).collect();
    let columns: Vec<&str> = report.dimensions.iter().map(|dimension| dimension.name()).chain(sums.clone()).collect();
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let added: Vec<String> = sums.iter().map(|sum| format!("{sum} = {sum} + VALUES({sum})")).collect();
    format!(
        "INSERT INTO {} ({}) VALUES {} ON DUPLICATE KEY UPDATE {}",
        report.table,
        columns.join(", "),
        vec![row.as_str(); rows].join(", "),
        added.join(", ")
    )
}

fn params(plan: &Plan, report: &Report, cell: Cell) -> Vec<Value> {
    let sums = cell.sums().zip(&report.measures).map(|(sum, &at)| match plan.measures[at].kind {
        MeasureKind::Count => Value::Int(sum),
        MeasureKind::Money => Value::Bytes(Micros(sum).to_string().into_bytes()),
    });
    let key = cell.key().map(|key| match key {
        KeyValue::Id(id) => Value::Int(id),
        text_or_date => Value::Bytes(text_or_date.to_string().into_bytes()),
    });
    key.chain(sums).collect()
}
