//! What one object costs, stage by stage: `cargo bench --bench count -- [--runs N] [--metadata JSON] FILE...`
//!
//! Prints a JSON object: file -> medians in milliseconds over runs that take turns, and the peak of memory beyond the
//! file itself. The metadata is in the format of `tests/oracle/corpus.py`. `benches/compare/compare` puts it beside Python.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;
use serde_json::{Value, json};
use xc2_analyzer::config;
use xc2_analyzer::decode;
use xc2_analyzer::enrich::Snapshot;
use xc2_analyzer::model::{InventoryRow, MediaRow, Metadata, Rate};
use xc2_analyzer::pipeline::Rules;
use xc2_analyzer::pipeline::count::{self, CountedBody};

/// The system's allocator, and how much of it is in use.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn took(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Where the old block is moved, both are there for a moment.
        took(size);
        let moved = unsafe { System.realloc(at, layout, size) };
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        moved
    }
}

/// One file and what measuring it needs.
struct Bench {
    body: Vec<u8>,
    rules: Rules,
    snapshot: Arc<Snapshot>,
    /// Reused, so that bare inflation pays for no memory.
    inflated: Vec<u8>,
}

type Stage = fn(&mut Bench);

const STAGES: [(&str, Stage); 4] = [
    ("inflate", Bench::inflate),
    ("decode", Bench::decode),
    ("count", |bench| drop(black_box(bench.count()))),
    ("reports", Bench::reports),
];

impl Bench {
    fn inflate(&mut self) {
        self.inflated.clear();
        if self.body.starts_with(&[0x1f, 0x8b]) {
            MultiGzDecoder::new(&self.body[..]).read_to_end(&mut self.inflated).expect("a whole gzip file");
        } else {
            self.inflated.extend_from_slice(&self.body);
        }
        black_box(&self.inflated);
    }

    fn decode(&mut self) {
        let Rules { schema, limits, .. } = &self.rules;
        let decoded = decode::decode(&self.body, schema, limits, &mut |batch| drop(black_box(batch.clone())));
        black_box(decoded.expect("an honest file"));
    }

    /// Decodes, joins and sums.
    fn count(&self) -> CountedBody {
        count::count(&self.body, &self.rules, self.snapshot.clone(), &mut |_| {}).expect("an honest file")
    }

    /// All of it: the cells of every report in primary-key order, each one looked at.
    fn reports(&mut self) {
        let counted = self.count();
        for report in &self.rules.plan.reports {
            let cells = counted.rollup.report(report).expect("sums that fit");
            black_box(cells.iter().map(|cell| cell.sums().sum::<i64>()).max());
        }
    }

    /// Bytes beyond what is held already, among it the file.
    fn peak_bytes(&mut self) -> usize {
        self.inflated = Vec::new();
        self.rules.spare = Arc::default();
        let before = HELD.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        self.reports();
        PEAK.load(Ordering::Relaxed) - before
    }

    fn measure(&mut self, runs: usize) -> Value {
        let mut times = BTreeMap::<&str, Vec<f64>>::new();
        for _ in 0..runs {
            for (name, stage) in STAGES {
                let begun = Instant::now();
                stage(self);
                times.entry(name).or_default().push(begun.elapsed().as_secs_f64() * 1000.0);
            }
        }
        let medians: BTreeMap<&str, f64> = times.into_iter().map(|(name, times)| (name, median(times))).collect();
        let counted = self.count();
        json!({
            "bytes": self.body.len(),
            "inflated_bytes": counted.decoded.inflated_bytes,
            "rows": counted.decoded.rows,
            "groups": counted.rollup.cells(),
            "peak_bytes": self.peak_bytes(),
            "milliseconds": medians,
        })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn metadata(json: &Value) -> Metadata {
    let rows = |table: &str| json[table].as_array().expect("a table of metadata").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rate = |value: &Value| value.as_str().map_or(Rate::ZERO, |text| Rate::parse(text).expect("a rate"));
    Metadata {
        media: rows("media")
            .map(|row| MediaRow {
                media_key: text(&row["media_key"]),
                organization_id: row["organization_id"].as_i64().unwrap_or_default(),
                agency_rate: rate(&row["agency_rate"]),
                media_rate: rate(&row["media_rate"]),
            })
            .collect(),
        inventory: rows("inventory")
            .map(|row| InventoryRow {
                inventory_id: row["inventory_id"].as_i64().expect("an inventory id"),
                ad_type: text(&row["ad_type"]),
                device: text(&row["device"]),
                app_type: text(&row["app_type"]),
            })
            .collect(),
    }
}

fn main() {
    let (mut runs, mut snapshot, mut files) = (15, count::without_metadata(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value after the option");
        match argument.as_str() {
            "--bench" => {} // says cargo
            "--runs" => runs = value().parse().expect("a number of runs"),
            "--metadata" => {
                let json = std::fs::read(value()).expect("read the metadata");
                let json = serde_json::from_slice(&json).expect("metadata in JSON");
                let read = Snapshot::new(&metadata(&json), Timestamp::UNIX_EPOCH);
                snapshot = Arc::new(read.expect("metadata that do not contradict themselves"));
            }
            _ => files.push(argument),
        }
    }
    let mut measured = serde_json::Map::new();
    for file in files {
        let body = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let rules = config::defaults().pipeline.rules_now();
        let mut bench = Bench { body, rules, snapshot: snapshot.clone(), inflated: Vec::new() };
        measured.insert(file, bench.measure(runs));
    }
    println!("{:#}", Value::Object(measured));
}
