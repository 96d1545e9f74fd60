//! Looks into the database without the product's own code, and compares it with the expectation cell by cell.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mysql_async::prelude::Queryable;
use serde_json::Value;

use crate::corpus::Corpus;
use crate::fingerprint;

pub enum Database {
    MariaDb { url: String },
    Sqlite { path: PathBuf },
}

/// Columns of the default reports: the dimensions, then the measures.
pub const REPORTS: [(&str, &[&str], &[&str]); 4] = [
    (
        "report_ad",
        &["report_date", "organization_id", "media_key", "inventory_id", "ad_id", "demand_id"],
        &["impressions", "clicks", "revenue"],
    ),
    (
        "report_ad_request",
        &["report_date", "organization_id", "media_key", "inventory_id", "device", "app_type"],
        &["requests", "responses", "passbacks"],
    ),
    ("report_demand", &["report_date", "demand_id"], &["impressions", "clicks", "revenue"]),
    (
        "report_media",
        &["report_date", "organization_id", "media_key", "device"],
        &["impressions", "clicks", "revenue", "agency_revenue", "media_revenue"],
    ),
];

type Cells = BTreeMap<Vec<String>, Vec<String>>;

impl Database {
    pub fn url(&self) -> String {
        match self {
            Database::MariaDb { url } => url.clone(),
            Database::Sqlite { path } => format!("sqlite:{}", path.display()),
        }
    }

    /// Every value as text.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Database::MariaDb { url } => {
                let mut connection = mysql_async::Conn::from_url(url).await.unwrap();
                let rows: Vec<mysql_async::Row> = connection.query(sql).await.unwrap();
                connection.disconnect().await.unwrap();
                rows.into_iter().map(|row| row.unwrap().into_iter().map(mysql_text).collect()).collect()
            }
            Database::Sqlite { path } => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let mut statement = connection.prepare(sql).unwrap();
                let columns = statement.column_count();
                let row = |row: &rusqlite::Row| (0..columns).map(|at| row.get(at).map(sqlite_text)).collect();
                statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
            }
        }
    }

    pub async fn number(&self, sql: &str) -> u64 {
        self.rows(sql).await[0][0].parse().unwrap()
    }

    pub async fn execute(&self, sql: &str) {
        match self {
            Database::MariaDb { url } => {
                let mut connection = mysql_async::Conn::from_url(url).await.unwrap();
                connection.query_drop(sql).await.unwrap();
                connection.disconnect().await.unwrap();
            }
            Database::Sqlite { path } => {
                rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
            }
        }
    }

    /// Fills the metadata tables with what the corpus was computed with.
    pub async fn insert_metadata(&self, metadata: &Value) {
        for (table, columns) in [
            ("media", ["media_key", "organization_id", "agency_rate", "media_rate"]),
            ("inventory", ["inventory_id", "ad_type", "device", "app_type"]),
        ] {
            let rows = metadata[table].as_array().unwrap().iter().map(|row| {
                let values: Vec<String> = columns.iter().map(|column| self.literal(&row[*column])).collect();
                format!("({})", values.join(", "))
            });
            let rows = rows.collect::<Vec<_>>().join(", ");
            self.execute(&format!("INSERT INTO {table} ({}) VALUES {rows}", columns.join(", "))).await;
        }
    }

    fn literal(&self, value: &Value) -> String {
        match value {
            Value::Null => "NULL".to_owned(),
            Value::String(text) => {
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                match self {
                    Database::MariaDb { .. } => format!("CONVERT(x'{hex}' USING utf8mb4)"),
                    Database::Sqlite { .. } => format!("CAST(x'{hex}' AS TEXT)"),
                }
            }
            other => other.to_string(),
        }
    }

    /// Key -> sums of one report, money with six decimals.
    pub async fn cells(&self, table: &str, dimensions: &[&str], measures: &[&str]) -> Cells {
        let columns: Vec<&str> = dimensions.iter().chain(measures).copied().collect();
        let rows = self.rows(&format!("SELECT {} FROM {table}", columns.join(", "))).await;
        let cell = |mut row: Vec<String>| {
            let sums = row.split_off(dimensions.len());
            let sums = sums.into_iter().zip(measures).map(|(sum, measure)| match self {
                Database::Sqlite { .. } if measure.ends_with("revenue") => six_decimals(&sum),
                _ => sum,
            });
            (row, sums.collect())
        };
        rows.into_iter().map(cell).collect()
    }

    /// The four tables equal the expectation, and every object is counted or listed as it should be.
    pub async fn assert_equals(&self, corpus: &Corpus) {
        // First, since it names the culprits.
        fingerprint::assert_each_counted_once(self, corpus).await;
        for (table, dimensions, measures) in REPORTS {
            assert_cells(
                table,
                &self.cells(table, dimensions, measures).await,
                &expected(corpus, table, dimensions, measures),
            );
        }
        let ledger = self.rows("SELECT object_key, `rows`, rejected_rows FROM processed_object").await;
        let ledger: BTreeMap<String, Vec<String>> = ledger.into_iter().map(|mut row| (row.remove(0), row)).collect();
        let wanted = corpus.counted().iter().map(|(key, object)| {
            let rejected: u64 =
                object["rejected"].as_object().unwrap().values().map(|rows| rows.as_u64().unwrap()).sum();
            (key.clone(), vec![object["rows"].to_string(), rejected.to_string()])
        });
        assert_eq!(ledger, wanted.collect(), "the ledger");
        self.assert_control_totals(corpus).await;
        let failed =
            self.rows("SELECT object_key, kind FROM failed_object WHERE state = 'open' AND bucket <> ''").await;
        let failed: BTreeMap<String, String> =
            failed.into_iter().map(|mut row| (row.remove(0), row.remove(0))).collect();
        assert_eq!(failed.keys().collect::<Vec<_>>(), corpus.failed().keys().collect::<Vec<_>>(), "failed objects");
        for (key, kind) in failed {
            let kinds = corpus.failed()[&key]["kinds"].as_array().unwrap();
            assert!(kinds.contains(&Value::from(kind.clone())), "{key} failed as {kind}, expected {kinds:?}");
        }
    }
}

/// Of the control totals, beside the rows.
const MEASURES: [&str; 8] =
    ["requests", "responses", "passbacks", "impressions", "clicks", "revenue", "agency_revenue", "media_revenue"];

impl Database {
    /// Each object's own sums, date by date.
    async fn assert_control_totals(&self, corpus: &Corpus) {
        let joined = "processed_object_day JOIN processed_object USING (object_id)";
        let columns: Vec<&str> = ["processed_object_day.`rows`"].into_iter().chain(MEASURES).collect();
        let found = self.cells(joined, &["object_key", "report_date"], &columns).await;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let day = |day: &Value| ["rows"].into_iter().chain(MEASURES).map(|name| text(&day[name])).collect::<Vec<_>>();
        let days = corpus.counted().iter().flat_map(|(key, object)| {
            let days = object["days"].as_object().unwrap().iter();
            days.map(|(date, totals)| (vec![key.clone(), date.clone()], day(totals)))
        });
        assert_cells("control totals", &found, &days.collect());
    }
}

pub fn expected(corpus: &Corpus, table: &str, dimensions: &[&str], measures: &[&str]) -> Cells {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = corpus.expected["reports"][table].as_array().unwrap();
    let cell = |row: &Value| {
        let of = |columns: &[&str]| columns.iter().map(|column| text(&row[*column])).collect::<Vec<_>>();
        (of(dimensions), of(measures))
    };
    let cells: Cells = rows.iter().map(cell).collect();
    assert_eq!(cells.len(), rows.len(), "{table}: the expectation has a key twice");
    cells
}

/// The first differences, rather than two tables of thousands of rows.
pub fn assert_cells(table: &str, found: &Cells, expected: &Cells) {
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let differences: Vec<String> = keys
        .into_iter()
        .filter(|key| found.get(*key) != expected.get(*key))
        .map(|key| format!("{key:?}: found {:?}, expected {:?}", found.get(key), expected.get(key)))
        .collect();
    assert!(
        differences.is_empty(),
        "{table}: {} of {} cells differ:\n{}",
        differences.len(),
        expected.len(),
        differences[..differences.len().min(10)].join("\n")
    );
    assert!(!expected.is_empty(), "{table}: nothing was expected");
}

fn mysql_text(value: mysql_async::Value) -> String {
    match value {
        mysql_async::Value::NULL => "NULL".to_owned(),
        mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => other.as_sql(true),
    }
}

fn sqlite_text(value: rusqlite::types::Value) -> String {
    match value {
        rusqlite::types::Value::Null => "NULL".to_owned(),
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Real(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Blob(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

fn six_decimals(micros: &str) -> String {
    let micros: i128 = micros.parse().unwrap();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
