//! Logs such as the platform writes: a gzip of one pickled list of dicts, the same for the same seed.

use std::io::Write;

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use crate::model::{InventoryRow, MediaRow, Metadata, Rate};

/// 2024-06-10T00:00:00 in Seoul.
const FIRST_SECOND: i64 = 1_717_945_200;
const SECONDS_PER_DAY: i64 = 86_400;
const MEDIA: u32 = 40;
const INVENTORIES_PER_MEDIA: u32 = 5;
const ADS: u32 = 300;
const DEMANDS: u32 = 12;

#[derive(Serialize)]
struct Row {
    ts: i64,
    mid: String,
    ads: Ads,
    xreq: u8,
    xres: u8,
    xpsb: u8,
    imp: u8,
    clk: u8,
    rev: f64,
}

/// The platform writes both forms.
#[derive(Serialize)]
#[serde(untagged)]
enum Ads {
    List(Vec<Ad>),
    Json(String),
}

#[derive(Serialize)]
struct Ad {
    aid: u32,
    #[serde(rename = "_god")]
    god: u32,
    did: u32,
}

/// A log file's content: `rows` rows of three days, a few of media that no metadata knows.
pub fn file(seed: u64, rows: usize) -> std::io::Result<Vec<u8>> {
    let mut rng = Rng::with_seed(seed);
    let rows: Vec<Row> = (0..rows).map(|_| row(&mut rng)).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    serde_pickle::to_writer(&mut gzip, &rows, serde_pickle::SerOptions::new()).map_err(std::io::Error::other)?;
    gzip.flush()?;
    gzip.finish()
}

fn row(rng: &mut Rng) -> Row {
    let media = rng.u32(0..MEDIA);
    let answered = rng.f32() < 0.82;
    let shown = answered && rng.f32() < 0.9;
    let clicked = shown && rng.f32() < 0.02;
    let ad = Ad {
        aid: media * INVENTORIES_PER_MEDIA + rng.u32(0..INVENTORIES_PER_MEDIA) + 1,
        god: rng.u32(1..=ADS),
        did: rng.u32(1..=DEMANDS),
    };
    let ads = match (answered, rng.bool()) {
        (false, _) => Ads::List(Vec::new()),
        (true, false) => Ads::List(vec![ad]),
        (true, true) => Ads::Json(format!(r#"[{{"aid": {}, "_god": {}, "did": {}}}]"#, ad.aid, ad.god, ad.did)),
    };
    let unknown = rng.f32() < 0.002;
    Row {
        ts: FIRST_SECOND + rng.i64(0..3 * SECONDS_PER_DAY),
        mid: if unknown { "m-new".to_owned() } else { media_key(media) },
        ads,
        xreq: 1,
        xres: u8::from(answered),
        xpsb: u8::from(!answered),
        imp: u8::from(shown),
        clk: u8::from(clicked),
        // In won, paid for each impression, more for a click.
        rev: if clicked { 120.5 } else { f64::from(u8::from(shown)) * f64::from(rng.u32(1..4000)) / 1000.0 },
    }
}

fn media_key(media: u32) -> String {
    match media {
        0 => "뉴스-홈".to_owned(),
        1 => "스포츠-중계".to_owned(),
        _ => format!("m{}", 1000 + media),
    }
}

/// The platform's metadata for these logs.
pub fn metadata() -> Metadata {
    let rate = |percent: u32| Rate::parse(&format!("{percent}e-2")).unwrap_or(Rate::ZERO);
    let media = (0..MEDIA).map(|media| MediaRow {
        media_key: media_key(media),
        organization_id: i64::from(100 + media / 4),
        agency_rate: rate(10 + media % 3 * 5),
        media_rate: rate(90 - media % 3 * 5),
    });
    let inventory = (1..=MEDIA * INVENTORIES_PER_MEDIA).map(|id| InventoryRow {
        inventory_id: i64::from(id),
        ad_type: ["banner", "native", "video"][id as usize % 3].to_owned(),
        device: ["pc", "mobile", "tablet", ""][id as usize % 4].to_owned(),
        app_type: ["web", "ios", "android", ""][id as usize % 4].to_owned(),
    });
    Metadata { media: media.collect(), inventory: inventory.collect() }
}
