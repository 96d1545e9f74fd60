//! How often each object was counted, read from one SUM: see `tests/oracle/fingerprint.py`.
//!
//! A corpus made with `--fingerprint` carries one row more in each honest object, worth 8^i micros on a sentinel key.
//! The i-th digit in base 8 of the sentinel's revenue is how often object i is in the report: 0 lost, 1 right, 2 or more
//! doubled. `Database::assert_equals` looks at it by itself; a test that looks at a moment in between, when some objects
//! are not counted yet, asks [`counts`] and holds that none is above 1.

use std::collections::BTreeMap;

use crate::corpus::Corpus;
use crate::database::Database;

/// The reports that hold money, and the column in which each shows the sentinel.
const REPORTS: [(&str, &str); 3] =
    [("report_media", "media_key"), ("report_demand", "demand_id"), ("report_ad", "demand_id")];

/// What one report says: object key -> how often its fingerprint is in the sums. Empty for a corpus without
/// fingerprints. Counts from 8 on show as a carry into the next object of the sentinel.
pub async fn counts(database: &Database, corpus: &Corpus, report: &str) -> BTreeMap<String, u64> {
    let (_, column) = REPORTS.iter().find(|(table, _)| *table == report).expect("a report that holds money");
    let Some(places) = corpus.expected["fingerprints"].as_object() else { return BTreeMap::new() };
    let sums = sums(database, report, column).await;
    let count = |place: &serde_json::Value| {
        let sentinel = place[*column].as_str().map_or_else(|| place[*column].to_string(), str::to_owned);
        let digit = place["digit"].as_u64().unwrap();
        (sums.get(&sentinel).copied().unwrap_or(0) >> (3 * digit) & 7) as u64
    };
    places.iter().map(|(key, place)| (key.clone(), count(place))).collect()
}

/// Every object is in every report exactly once; otherwise the culprits are named.
pub async fn assert_each_counted_once(database: &Database, corpus: &Corpus) {
    for (report, _) in REPORTS {
        let problems = wrong(&counts(database, corpus, report).await);
        assert!(problems.is_empty(), "{report}: {} objects are wrong:\n{}", problems.len(), problems.join("\n"));
    }
}

/// One line for each object that is not counted exactly once.
pub fn wrong(counts: &BTreeMap<String, u64>) -> Vec<String> {
    let line = |(key, count): (&String, &u64)| match count {
        0 => Some(format!("{key}: LOST")),
        1 => None,
        times => Some(format!("{key}: COUNTED {times} TIMES")),
    };
    counts.iter().filter_map(line).collect()
}

/// Sentinel -> its revenue in micros, over all dates and everything else.
async fn sums(database: &Database, report: &str, column: &str) -> BTreeMap<String, u128> {
    let rows = database.rows(&format!("SELECT {column}, SUM(revenue) FROM {report} GROUP BY {column}")).await;
    let micros = |sum: &str| match database {
        Database::MariaDb { .. } => sum.replace('.', ""), // six decimals
        Database::Sqlite { .. } => sum.to_owned(),        // integer micros
    };
    rows.into_iter().map(|row| (row[0].clone(), micros(&row[1]).parse().unwrap())).collect()
}
