//! The sum of what is expected of many corpora.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::corpus::Corpus;
use crate::database::REPORTS;

/// Cells by table and key; money in micros.
type Cells = BTreeMap<&'static str, BTreeMap<Vec<String>, Vec<i128>>>;

#[derive(Default)]
pub struct Expectation {
    cells: Cells,
    objects: Map<String, Value>,
    failed: Map<String, Value>,
    fingerprints: Map<String, Value>,
    pub rows: u64,
}

impl Expectation {
    /// Adds a corpus whose keys were uploaded with this prefix.
    pub fn add(&mut self, corpus: &Corpus, prefix: &str) {
        for (table, dimensions, measures) in REPORTS {
            let cells = self.cells.entry(table).or_default();
            for row in corpus.expected["reports"][table].as_array().unwrap() {
                let key = dimensions.iter().map(|dimension| text(&row[*dimension])).collect();
                let sums = cells.entry(key).or_insert_with(|| vec![0; measures.len()]);
                sums.iter_mut().zip(measures).for_each(|(sum, measure)| *sum += number(measure, &row[*measure]));
            }
        }
        let prefixed = |objects: &Map<String, Value>| {
            let prefixed = objects.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone()));
            prefixed.collect::<Vec<_>>()
        };
        self.rows += corpus.counted().values().map(|object| object["rows"].as_u64().unwrap()).sum::<u64>();
        self.objects.extend(prefixed(corpus.counted()));
        self.failed.extend(prefixed(corpus.failed()));
        self.fingerprints.extend(prefixed(corpus.expected["fingerprints"].as_object().unwrap()));
    }

    /// A counted object that was then uploaded with other content.
    pub fn overwritten(&mut self, key: &str) {
        self.failed.insert(key.to_owned(), json!({"kinds": ["overwritten"]}));
    }

    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.objects.keys().chain(self.failed.keys())
    }

    pub fn objects(&self) -> usize {
        self.objects.len()
    }

    pub fn failures(&self) -> usize {
        self.failed.len()
    }

    /// As one corpus, for comparing.
    pub fn corpus(&self) -> Corpus {
        let report = |(table, dimensions, measures): (&str, &[&str], &[&str])| {
            let row = |(key, sums): (&Vec<String>, &Vec<i128>)| {
                let dimensions = dimensions.iter().zip(key).map(|(name, value)| (*name, json!(value)));
                let measures = measures.iter().zip(sums).map(|(name, sum)| (*name, json!(printed(name, *sum))));
                dimensions.chain(measures).map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
            };
            (table.to_owned(), json!(self.cells[table].iter().map(row).collect::<Vec<_>>()))
        };
        let expected = json!({
            "reports": REPORTS.into_iter().map(report).collect::<Map<_, _>>(),
            "objects": self.objects, "failed": self.failed, "fingerprints": self.fingerprints,
        });
        let dir = tempfile::tempdir().unwrap();
        Corpus { dir, expected, metadata: Value::Null, objects: BTreeMap::new() }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_money(measure: &str) -> bool {
    measure.ends_with("revenue")
}

/// Money comes with six decimals.
fn number(measure: &str, value: &Value) -> i128 {
    let text = text(value);
    if is_money(measure) { text.replace('.', "").parse().unwrap() } else { text.parse().unwrap() }
}

fn printed(measure: &str, sum: i128) -> String {
    if is_money(measure) { format!("{}.{:06}", sum / 1_000_000, sum % 1_000_000) } else { sum.to_string() }
}
