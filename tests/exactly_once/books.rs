//! All that the database says of what was counted, as text: the same whatever the schedule was.

use sha2::{Digest, Sha256};

use crate::database::Database;

/// The reports with their ratios, the ledger, its control totals, the days and the failures. Left out is when and by
/// whom: times, batches, attempts, the message that happened to announce a failure, and the bucket's name, which is
/// another for each test.
const BOOKS: [(&str, &str); 8] = [
    ("report_ad", "SELECT * FROM report_ad"),
    ("report_ad_request", "SELECT * FROM report_ad_request"),
    ("report_demand", "SELECT * FROM report_demand"),
    ("report_media", "SELECT * FROM report_media"),
    (
        "ledger",
        "SELECT object_key, version_id, etag, bytes, HEX(content_hash), `rows`, rejected_rows FROM processed_object",
    ),
    (
        "control totals",
        "SELECT object_key, report_date, d.`rows`, requests, responses, passbacks, impressions, clicks, revenue, \
         agency_revenue, media_revenue FROM processed_object_day d JOIN processed_object USING (object_id)",
    ),
    ("days", "SELECT report_date, objects, `rows` FROM report_day"),
    ("failed", "SELECT object_key, generation, kind, state FROM failed_object WHERE bucket <> ''"),
];

#[derive(Clone, PartialEq, Eq)]
pub struct Books(Vec<String>);

impl Books {
    pub async fn read(database: &Database) -> Books {
        let mut lines = Vec::new();
        for (name, sql) in BOOKS {
            let mut rows: Vec<String> =
                database.rows(sql).await.into_iter().map(|row| format!("{name}: {}", row.join(" | "))).collect();
            rows.sort_unstable();
            lines.append(&mut rows);
        }
        Books(lines)
    }

    pub fn digest(&self) -> String {
        let digest = Sha256::digest(self.0.join("\n"));
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Equal to the byte; otherwise the first lines that differ are shown.
    pub fn assert_same(&self, other: &Books, what: &str) {
        let only = |one: &Books, in_other: &Books| -> Vec<String> {
            one.0.iter().filter(|line| in_other.0.binary_search(line).is_err()).take(5).cloned().collect()
        };
        let sorted = |books: &Books| {
            let mut books = books.clone();
            books.0.sort_unstable();
            books
        };
        let (one, two) = (sorted(self), sorted(other));
        assert!(one == two, "{what}: only here {:#?}\nonly there {:#?}", only(&one, &two), only(&two, &one));
    }
}
