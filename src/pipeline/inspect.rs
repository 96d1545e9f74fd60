//! One object looked at for a person: counted by the same code as the daemon's, then surveyed, each stage timed.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;

pub use crate::decode::{Breakage, Bytes, FieldSurvey, FoundReject, GzipHeader, Place, Producer, Survey};

use super::count::{self, CountError, CountedBody, Rules};
use crate::decode;

/// Everything that is to be told of one object.
#[derive(Debug)]
pub struct Inspected {
    /// What was read and summed; of a broken object until it broke.
    pub counted: CountedBody,
    /// Why the daemon would not count it.
    pub error: Option<CountError>,
    pub survey: Survey,
    pub timings: Timings,
}

/// How long each stage takes on its own. The daemon does the first three in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    pub inflate: Duration,
    /// Beyond inflating.
    pub decode: Duration,
    /// Beyond decoding.
    pub sum: Duration,
    pub survey: Duration,
}

/// Without metadata, as it touches no database. `seen` is shown each batch as it was decoded.
pub fn inspect(body: &[u8], rules: &Rules, seen: &mut dyn FnMut(&RecordBatch)) -> Inspected {
    let Rules { schema, limits, .. } = rules;
    // A stage costs what a run with it takes longer than one without.
    let begun = Instant::now();
    let _ = decode::inflate(body, limits);
    let inflate = begun.elapsed();
    let begun = Instant::now();
    let _ = decode::decode(body, schema, limits, &mut |_| {});
    let decode = begun.elapsed();
    let begun = Instant::now();
    let (counted, whole) = count::count_so_far(body, rules, count::without_metadata(), seen);
    let sum = begun.elapsed();
    let error = whole.err();

    let begun = Instant::now();
    let broken = match &error {
        Some(CountError::Decode(broken)) => Some(broken),
        _ => None,
    };
    let survey = decode::survey(body, schema, limits, &counted.decoded, broken);
    let timings = Timings {
        inflate,
        decode: decode.saturating_sub(inflate),
        sum: sum.saturating_sub(decode),
        survey: begun.elapsed(),
    };
    Inspected { counted, error, survey, timings }
}
