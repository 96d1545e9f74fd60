//! What must hold of any body that `decode` reads.

use std::io::{Read, Write};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt32Type};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use xc2_analyzer::decode::{DecodeError, Decoded, Limit, PickleFault, batch_schema, decode};
use xc2_analyzer::model::{Limits, LogSchema, MeasureField, MeasureKind, RejectReason, Rejects};

use super::memory;

const MEASURES: usize = 4;
/// Measures that no row has: beyond 16 in all, rows are left to the machine.
const ABSENT_MEASURES: usize = 16;
/// What the decoder holds whatever its limits are: window, inflater, the window for reading on after an error, a stage of
/// rows, schema.
const FIXED_BYTES: usize = 512 << 10;

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

/// The same rows, read without the fast path.
fn schema_without_fast_path() -> LogSchema {
    let mut schema = schema();
    let absent = |nth: usize| {
        let name = format!("absent{nth}");
        MeasureField { field: format!("\u{1}{name}"), name, kind: MeasureKind::Count }
    };
    schema.measures.extend((0..ABSENT_MEASURES).map(absent));
    schema
}

/// Limits that inputs of a few KiB reach, in four mixtures.
pub fn limits(nth: usize) -> Limits {
    let roomy = Limits {
        object_bytes_max: 1 << 20,
        inflated_bytes_max: 4 << 20,
        rows_max: 100_000,
        decoder_bytes_max: 16 << 20,
        ..Limits::default()
    };
    match nth % 4 {
        0 => roomy,
        1 => Limits { inflate_ratio_max: 4, rows_max: 1000, text_bytes_max: 4096, batch_rows: 64, ..roomy },
        2 => Limits {
            inflated_bytes_max: 32 << 10,
            rows_max: 50,
            nesting_max: 16,
            text_bytes_max: 256,
            decoder_bytes_max: 64 << 10,
            batch_rows: 7,
            ..roomy
        },
        _ => Limits {
            object_bytes_max: 8 << 10,
            rows_max: 200,
            nesting_max: 4,
            text_bytes_max: 64,
            decoder_bytes_max: 16 << 10,
            batch_rows: 1,
            ..roomy
        },
    }
}

/// What the decoder's documentation says it holds at most.
fn memory_max(limits: &Limits) -> usize {
    // Beside what it counts: the codes of texts, which are at most a fifth of the texts themselves.
    let counted = limits.decoder_bytes_max + limits.decoder_bytes_max / 4;
    // The window, and copies of one text on its way to its place.
    let text = limits.text_bytes_max * 16;
    // Integers, and texts of up to 64 characters, with room to grow; the batch before is alive when the next one begins.
    let batch = limits.batch_rows.min(1 << 16) * 2 * (24 * 8 + 64 * 4);
    FIXED_BYTES + counted + text + batch
}

/// What came of reading a body.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    read: Result<Decoded, DecodeError>,
    /// Over all values of all rows, in their order.
    digest: u64,
    accepted: u64,
}

fn add(digest: &mut u64, word: u64) {
    *digest = (*digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
}

fn read(body: &[u8], schema: &LogSchema, limits: &Limits) -> Outcome {
    let expected = batch_schema(schema);
    let (mut digest, mut accepted) = (0, 0);
    let (read, held) = memory::peak_of(|| {
        decode(body, schema, limits, &mut |batch| {
            assert!((1..=limits.batch_rows).contains(&batch.num_rows()), "a batch of {} rows", batch.num_rows());
            assert_eq!(batch.schema(), expected);
            accepted += batch.num_rows() as u64;
            digest_rows(batch, schema, &mut digest);
        })
    });
    assert!(held <= memory_max(limits), "{held} bytes were held, {} are the bound: {read:?}", memory_max(limits));
    Outcome { read, digest, accepted }
}

/// Looks at every value of a batch, without allocating.
fn digest_rows(batch: &RecordBatch, schema: &LogSchema, digest: &mut u64) {
    assert!(batch.columns().iter().all(|column| column.null_count() == 0));
    let media_keys = batch.column(1).as_dictionary::<UInt32Type>();
    let texts = media_keys.values().as_string::<i32>();
    // Those that no row has are left out.
    let columns = 5 + MEASURES;
    for row in 0..batch.num_rows() {
        let text = texts.value(media_keys.keys().value(row) as usize);
        assert!(text.len() <= schema.media_key_chars_max || text.chars().count() <= schema.media_key_chars_max);
        text.bytes().for_each(|byte| add(digest, u64::from(byte)));
        for nth in (0..batch.num_columns()).filter(|&nth| nth != 1) {
            let value = batch.column(nth).as_primitive::<Int64Type>().value(row);
            match nth {
                0 => assert!(schema.window.contains(&value), "timestamp {value}"),
                2..5 => {}
                _ => assert!(value >= 0, "measure {value}"),
            }
            if nth < columns {
                add(digest, value as u64);
            } else {
                assert_eq!(value, 0, "a measure that no row has");
            }
        }
    }
}

/// Reads a body in every way that must not matter, and panics where it does.
pub fn check(body: &[u8], limits: &Limits) {
    let schema = schema();
    let outcome = read(body, &schema, limits);
    check_outcome(body, limits, &outcome);
    if body.len() as u64 > limits.object_bytes_max {
        return;
    }
    let without = read(body, &schema_without_fast_path(), limits);
    agree(&outcome, &without, "without the fast path", body);
    let other = Limits { batch_rows: if limits.batch_rows == 3 { 100 } else { 3 }, ..*limits };
    agree(&outcome, &read(body, &schema, &other), "in other batches", body);
    check_wrapped(body, &schema, limits, &outcome);
    check_keeping_everything(body, &schema, limits, &outcome);
}

fn check_outcome(body: &[u8], limits: &Limits, outcome: &Outcome) {
    match &outcome.read {
        Ok(decoded) => {
            assert_eq!(outcome.accepted + decoded.rejects.rows(), decoded.rows, "{outcome:?}");
            assert!(decoded.rows <= limits.rows_max && decoded.inflated_bytes <= limits.inflated_bytes_max);
            assert!(decoded.dumps > 0 && decoded.protocol <= 5, "{decoded:?}");
            assert_eq!(decoded.gzip_members > 0, is_gzip(body));
            assert!(is_gzip(body) || decoded.inflated_bytes == body.len() as u64, "{decoded:?}");
            let first_rows = decoded.rejects.iter().flat_map(|(_, rejected)| &rejected.first_rows);
            assert!(first_rows.copied().all(|row| row < decoded.rows), "{decoded:?}");
        }
        Err(error) => {
            let (offset, end) = match error {
                DecodeError::Gzip { offset, .. }
                | DecodeError::LimitExceeded { limit: Limit::ObjectBytes, offset, .. } => (*offset, body.len() as u64),
                DecodeError::LimitExceeded { offset, .. }
                | DecodeError::Pickle { offset, .. }
                | DecodeError::ForbiddenGlobal { offset, .. }
                | DecodeError::ForbiddenOpcode { offset, .. }
                | DecodeError::NoRows { offset, .. }
                | DecodeError::UnequalColumns { offset }
                | DecodeError::RowsChangedLater { offset, .. } => (*offset, inflated_end(body, limits)),
                DecodeError::Empty => (0, 0),
                DecodeError::Defect { detail } => panic!("the decoder contradicts itself: {detail}"),
            };
            assert!(offset <= end, "{error:?} is beyond the end, {end}");
            assert!(error.to_string().len() < 4096, "an error of {} characters", error.to_string().len());
            let _ = (error.kind(), error.disposition());
        }
    }
}

fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&[0x1f, 0x8b])
}

/// How many bytes there are to be read, at most.
fn inflated_end(body: &[u8], limits: &Limits) -> u64 {
    if !is_gzip(body) {
        return body.len() as u64;
    }
    match inflated(body, limits.inflated_bytes_max) {
        Some(inflated) => inflated.len() as u64,
        None => limits.inflated_bytes_max,
    }
}

/// What a gzip body holds, if it is whole and no longer than that.
pub fn inflated(body: &[u8], bytes_max: u64) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    let read = MultiGzDecoder::new(body).take(bytes_max + 1).read_to_end(&mut inflated);
    (read.is_ok() && inflated.len() as u64 <= bytes_max).then_some(inflated)
}

pub fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Of two readings one may find what the other must do to be too dear: it keeps more, or less.
fn is_not_to_be_compared(error: &DecodeError) -> bool {
    matches!(
        error,
        DecodeError::RowsChangedLater { .. }
            | DecodeError::LimitExceeded { limit: Limit::DecoderBytes | Limit::InflateRatio | Limit::ObjectBytes, .. }
            | DecodeError::Pickle { fault: PickleFault::Repetition, .. }
    )
}

fn may_differ(one: &Outcome, other: &Outcome) -> bool {
    // Who reads ahead meets the end of a stream that is cut before it meets a limit.
    let is_damage = |outcome: &Outcome| matches!(outcome.read, Err(DecodeError::Gzip { .. }));
    let is_limit = |outcome: &Outcome| matches!(outcome.read, Err(DecodeError::LimitExceeded { .. }));
    if is_damage(one) && is_limit(other) || is_limit(one) && is_damage(other) {
        return true;
    }
    [one, other].iter().any(|outcome| outcome.read.as_ref().is_err_and(is_not_to_be_compared))
}

fn agree(one: &Outcome, other: &Outcome, how: &str, body: &[u8]) {
    if may_differ(one, other) {
        return;
    }
    let same_rows = one.read.is_err() || (one.digest, one.accepted) == (other.digest, other.accepted);
    assert!(
        one.read == other.read && same_rows,
        "{how} it is not the same:\n{one:?}\n{other:?}\n{}",
        body.escape_ascii()
    );
}

/// The same pickle read plain and in gzip.
fn check_wrapped(body: &[u8], schema: &LogSchema, limits: &Limits, outcome: &Outcome) {
    let other = match is_gzip(body) {
        true => match inflated(body, limits.inflated_bytes_max) {
            // What is in it may be gzip again, which is no pickle.
            Some(inflated) if !is_gzip(&inflated) => inflated,
            _ => return,
        },
        false => gzip(body, Compression::none()),
    };
    let mut read = read(&other, schema, limits);
    if let (Ok(decoded), Ok(expected)) = (&mut read.read, &outcome.read) {
        decoded.gzip_members = expected.gzip_members;
    }
    // Zeros after a member belong to the file.
    if is_gzip(body) && matches!(outcome.read, Err(DecodeError::Gzip { .. })) {
        return;
    }
    agree(outcome, &read, "in gzip and plain", body);
}

/// Two rows, of which the first is named again after it was read: nothing can be forgotten of an object that begins so.
const REFERRING: &[u8] = b"](}q\x00}q\x01}q\x02h\x01e.";
const REFERRING_ROWS: u64 = 4;
const FRAME: u8 = 0x95;

/// The same dumps behind one that makes the decoder keep everything: no row is read early, and none by the fast path.
fn check_keeping_everything(body: &[u8], schema: &LogSchema, limits: &Limits, outcome: &Outcome) {
    if is_gzip(body) || body.is_empty() {
        return;
    }
    let more = REFERRING.len() as u64;
    let roomier = Limits {
        rows_max: limits.rows_max + REFERRING_ROWS,
        inflated_bytes_max: limits.inflated_bytes_max + more,
        object_bytes_max: limits.object_bytes_max + more,
        ..*limits
    };
    let mut kept = read(&[REFERRING, body].concat(), schema, &roomier);
    let mut expected = outcome.clone();
    match &mut kept.read {
        Ok(decoded) => {
            decoded.rows -= REFERRING_ROWS;
            decoded.dumps -= 1;
            decoded.inflated_bytes -= more;
            if let Ok(expected) = &mut expected.read {
                expected.protocol = expected.protocol.max(1);
                expected.shape = decoded.shape;
                expected.rejects = behind(&expected.rejects);
            }
        }
        Err(error) => shift(error, more, limits),
    }
    // Whether a frame ends beyond all offsets depends on where it begins.
    let is_endless = |bytes: &[u8]| bytes[0] == FRAME && bytes[5..] == [0xff; 4];
    if body.windows(9).any(is_endless) {
        return;
    }
    // How deep containers go that hold each other in circles depends on which of them was put into the other first.
    let is_nesting =
        |outcome: &Outcome| matches!(outcome.read, Err(DecodeError::LimitExceeded { limit: Limit::Nesting, .. }));
    if is_nesting(&expected) || is_nesting(&kept) {
        return;
    }
    // A row that is read early meets a limit before what comes after it is seen, be it that the row is taken off again.
    let is_rows = |error: &DecodeError| matches!(error, DecodeError::LimitExceeded { limit: Limit::Rows, .. });
    let is_limit = |error: &DecodeError| matches!(error, DecodeError::LimitExceeded { .. });
    if expected.read.as_ref().is_err_and(|error| is_rows(error) || is_limit(error) && kept.read.is_err()) {
        return;
    }
    agree(&expected, &kept, "keeping everything", body);
}

/// The rejects of rows that stand behind the referring ones, which lack a timestamp.
fn behind(rejects: &Rejects) -> Rejects {
    let mut behind = Rejects::default();
    (0..REFERRING_ROWS).for_each(|row| behind.add(RejectReason::TimestampMissing, row));
    for (reason, rejected) in rejects.iter() {
        let first = rejected.first_rows.iter().copied();
        let others = (rejected.rows as usize).saturating_sub(rejected.first_rows.len());
        let others = std::iter::repeat_n(u64::MAX, others);
        first.chain(others).for_each(|row| behind.add(reason, row.saturating_add(REFERRING_ROWS)));
    }
    behind
}

fn shift(error: &mut DecodeError, by: u64, limits: &Limits) {
    match error {
        DecodeError::LimitExceeded { limit, max, offset } => {
            *offset = offset.saturating_sub(by);
            match limit {
                Limit::Rows => *max = limits.rows_max,
                Limit::InflatedBytes => *max = limits.inflated_bytes_max,
                Limit::ObjectBytes => *max = limits.object_bytes_max,
                _ => {}
            }
        }
        DecodeError::Pickle { offset, .. }
        | DecodeError::ForbiddenGlobal { offset, .. }
        | DecodeError::ForbiddenOpcode { offset, .. }
        | DecodeError::NoRows { offset, .. }
        | DecodeError::UnequalColumns { offset }
        | DecodeError::RowsChangedLater { offset, .. } => *offset = offset.saturating_sub(by),
        DecodeError::Empty | DecodeError::Gzip { .. } | DecodeError::Defect { .. } => {}
    }
}
