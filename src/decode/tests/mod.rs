//! Whole objects through `decode`: what Python wrote, by shape, by rule, and what no Python would write.

mod assemble;
mod columns;
mod fast;
mod fixtures;
mod gzip;
mod hostile;
mod json;
mod pandas;
mod pandas_hostile;
mod repetition;
mod row_rules;
mod shapes;
mod sharing;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt32Type};

use super::{DecodeError, Decoded, decode};
use crate::model::{Limits, LogSchema, MeasureField, MeasureKind};

pub fn schema() -> LogSchema {
    let measure = |name: &str, field: &str, kind| MeasureField { name: name.into(), field: field.into(), kind };
    LogSchema {
        timestamp: "ts".into(),
        media_key: "mid".into(),
        ads: "ads".into(),
        inventory: "aid".into(),
        ad: "_god".into(),
        demand: "did".into(),
        measures: vec![
            measure("requests", "xreq", MeasureKind::Count),
            measure("impressions", "imp", MeasureKind::Count),
            measure("clicks", "clk", MeasureKind::Count),
            measure("revenue", "rev", MeasureKind::Money),
        ],
        media_key_chars_max: 64,
        window: 946_684_800..=2_000_000_000,
    }
}

/// `ts media_key [inventory, ad, demand] [measures]`, one line a row.
fn lines(batch: &RecordBatch) -> Vec<String> {
    let integer = |column: usize, row: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
    let media_keys = batch.column(1).as_dictionary::<UInt32Type>();
    let texts = media_keys.values().as_string::<i32>();
    let line = |row: usize| {
        let media_key = texts.value(media_keys.keys().value(row) as usize);
        let ids: Vec<i64> = (2..5).map(|column| integer(column, row)).collect();
        let measures: Vec<i64> = (5..batch.num_columns()).map(|column| integer(column, row)).collect();
        format!("{} {media_key} {ids:?} {measures:?}", integer(0, row))
    };
    (0..batch.num_rows()).map(line).collect()
}

pub fn read_within(body: &[u8], limits: &Limits) -> Result<(Vec<String>, Decoded), DecodeError> {
    let mut rows = Vec::new();
    let decoded = decode(body, &schema(), limits, &mut |batch| {
        assert!(batch.num_rows() <= limits.batch_rows.max(1));
        rows.extend(lines(batch));
    })?;
    assert_eq!(rows.len() as u64 + decoded.rejects.rows(), decoded.rows);
    Ok((rows, decoded))
}

pub fn read(body: &[u8]) -> Result<(Vec<String>, Decoded), DecodeError> {
    read_within(body, &Limits::default())
}

/// The rows of an object that is fine, or its rejects, or why it is not: one text to compare.
pub fn outcome(body: &[u8]) -> String {
    match read(body) {
        Ok((mut rows, decoded)) => {
            if decoded.rejects.rows() > 0 {
                rows.push(decoded.rejects.to_string());
            }
            rows.join("\n")
        }
        Err(error) => error.to_string(),
    }
}
