//! The objects' bodies, and what the `ad` report must say of each: worked out from the numbers that went in, by none of
//! the product's code.

use std::collections::BTreeMap;
use std::io::Write;

use fastrand::Rng;
use flate2::{Compression, GzBuilder};
use serde::Serialize;
use xc2_analyzer::model::{InventoryRow, MediaRow, Metadata, Rate};

use super::scenario::Content;

/// Impressions, clicks, revenue in micros.
pub type Sums = [i64; 3];

/// The `ad` report: key columns joined by `|`, and sums.
pub type Cells = BTreeMap<String, Sums>;

/// One upload's content.
#[derive(Clone, Debug)]
pub struct Made {
    pub bytes: Vec<u8>,
    pub etag: String,
    /// What is counted of it; empty when nothing may be.
    pub cells: Cells,
    pub rows: u64,
    pub rejected_rows: u64,
}

#[derive(Clone, Serialize)]
struct Row {
    ts: i64,
    mid: String,
    ads: Vec<Ad>,
    xreq: i64,
    xres: i64,
    xpsb: i64,
    imp: i64,
    clk: i64,
    rev: f64,
}

#[derive(Clone, Serialize)]
struct Ad {
    aid: i64,
    #[serde(rename = "_god")]
    god: i64,
    did: i64,
}

/// 2024-06-10, 00:00 in Seoul.
const FIRST_SECOND: i64 = 1_717_945_200;
const DATES: [&str; 3] = ["2024-06-10", "2024-06-11", "2024-06-12"];
/// Media and their organizations. The metadata does not know the last one.
const MEDIA: [(&str, i64); 3] = [("m1", 11), ("m2", 12), ("stranger", 0)];
/// The media key of the fingerprints.
const FINGERPRINT: &str = "fingerprint";
/// Digits of a fingerprint sum: 8^15 micros are the most that a double writes exactly.
const FINGERPRINTS_MAX: usize = 16;

pub const OBJECT_BYTES_MAX: u64 = 64 * 1024;

/// The content of upload `number` (counted over the whole scenario).
pub fn make(number: usize, content: Content, seed: u64) -> Made {
    let rng = &mut Rng::with_seed(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (good, bad) = match content {
        Content::Rows { good, bad } => (good, bad),
        Content::Unfit => (3, 0),
        Content::MostlyBad => (2, 3),
        Content::Truncated | Content::NoRows | Content::TooLarge => (40, 0),
    };
    let mut cells = Cells::new();
    let mut rows: Vec<Row> = (0..good).map(|_| good_row(rng, &mut cells)).collect();
    if good > 0 && number < FINGERPRINTS_MAX {
        rows.push(fingerprint(number, &mut cells));
    }
    rows.extend((0..bad).map(|_| Row { clk: -1, ..good_row(rng, &mut Cells::new()) }));
    rng.shuffle(&mut rows);
    let pickle = match content {
        Content::NoRows => serde_pickle::to_vec(&7, serde_pickle::SerOptions::new()),
        _ => serde_pickle::to_vec(&rows, serde_pickle::SerOptions::new()),
    };
    let mut bytes = gzip(number, &pickle.unwrap(), rng.bool());
    match content {
        Content::Truncated => bytes.truncate(bytes.len() - 12),
        Content::TooLarge => bytes.resize(OBJECT_BYTES_MAX as usize + 1, 0),
        _ => {}
    }
    if !matches!(content, Content::Rows { .. }) {
        cells.clear();
    }
    let rows = rows.len() as u64;
    Made { bytes, etag: format!("etag{number}"), cells, rows, rejected_rows: u64::from(bad) }
}

/// In one gzip member or in two. The number makes it other content than every other upload.
fn gzip(number: usize, bytes: &[u8], twice: bool) -> Vec<u8> {
    let member = |part: &[u8]| {
        let header = GzBuilder::new().comment(number.to_string());
        let mut encoder = header.write(Vec::new(), Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    match twice {
        false => member(bytes),
        true => {
            let (one, other) = bytes.split_at(bytes.len() / 2);
            [member(one), member(other)].concat()
        }
    }
}

fn good_row(rng: &mut Rng, cells: &mut Cells) -> Row {
    let (day, (media, organization)) = (rng.usize(0..DATES.len()), MEDIA[rng.usize(0..MEDIA.len())]);
    let (inventory, ad, demand) = (rng.i64(1..3), rng.i64(1..4), rng.i64(1..3));
    let (imp, clk, micros) = (rng.i64(0..100), rng.i64(0..10), rng.i64(0..100_000_000));
    let key = format!("{}|{organization}|{media}|{inventory}|{ad}|{demand}", DATES[day]);
    add(cells, key, [imp, clk, micros]);
    Row {
        ts: FIRST_SECOND + day as i64 * 86_400 + rng.i64(0..86_400),
        mid: media.to_owned(),
        ads: vec![Ad { aid: inventory, god: ad, did: demand }],
        xreq: 1,
        xres: 1,
        xpsb: 0,
        imp,
        clk,
        rev: micros as f64 / 1e6,
    }
}

/// One row worth 8^number micros on a key of its own: each digit in base 8 of that key's sum says how often one upload
/// was counted.
fn fingerprint(number: usize, cells: &mut Cells) -> Row {
    let micros = 8i64.pow(number as u32);
    add(cells, format!("{}|0|{FINGERPRINT}|0|0|0", DATES[0]), [0, 0, micros]);
    Row {
        ts: FIRST_SECOND,
        mid: FINGERPRINT.to_owned(),
        ads: Vec::new(),
        xreq: 0,
        xres: 0,
        xpsb: 0,
        imp: 0,
        clk: 0,
        rev: micros as f64 / 1e6,
    }
}

/// How often each upload was counted, by the fingerprints.
pub fn fingerprints(cells: &Cells) -> Vec<i64> {
    let key = format!("{}|0|{FINGERPRINT}|0|0|0", DATES[0]);
    let sum = cells.get(&key).map_or(0, |sums| sums[2]);
    (0..FINGERPRINTS_MAX as u32).map(|digit| sum / 8i64.pow(digit) % 8).collect()
}

pub fn add(cells: &mut Cells, key: String, more: Sums) {
    let sums = cells.entry(key).or_default();
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// What the platform knows of its media and inventories.
pub fn metadata() -> Metadata {
    let rate = |text: &str| Rate::parse(text).unwrap();
    let media =
        MEDIA.iter().filter(|(_, organization)| *organization != 0).map(|(media_key, organization_id)| MediaRow {
            media_key: (*media_key).to_owned(),
            organization_id: *organization_id,
            agency_rate: rate("0.1"),
            media_rate: rate("0.7"),
        });
    let inventory = [(1, "pc"), (2, "mobile")].map(|(inventory_id, device)| InventoryRow {
        inventory_id,
        ad_type: "banner".into(),
        device: device.into(),
        app_type: "web".into(),
    });
    Metadata { media: media.collect(), inventory: inventory.into() }
}
