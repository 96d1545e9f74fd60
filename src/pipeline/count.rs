//! One object's body to its rollup: decode, enrich, aggregate, batch by batch. No task, no channel, no clock of its own.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use crate::aggregate::{Rollup, Spare};
pub use crate::decode::Decoded;

use crate::aggregate::Overflow;
use crate::decode::{self, DecodeError};
use crate::enrich::{Enricher, Snapshot, Unmapped};
use crate::failpoint;
use crate::model::{FailureKind, Limits, LogSchema, Metadata, Rejects};
use crate::report::Plan;

/// Everything that turning a body into sums depends on, except the metadata.
#[derive(Clone)]
pub struct Rules {
    pub plan: Arc<Plan>,
    pub schema: LogSchema,
    pub limits: Limits,
    pub zone: TimeZone,
    /// More rejected rows than this share, and the object is not counted at all.
    pub max_reject_ratio: f64,
    /// The memory of rollups that are done with.
    pub spare: Arc<Spare>,
}

/// One object, summed.
#[derive(Debug)]
pub struct CountedBody {
    pub rollup: Rollup,
    pub decoded: Decoded,
    pub unmapped: Unmapped,
    /// Unix seconds of the newest accepted row.
    pub newest: Option<i64>,
}

/// Why an object's sums can't be trusted. It is listed as failed, whole.
#[derive(Debug)]
pub enum CountError {
    Decode(DecodeError),
    TooManyCells { limit: usize },
    TooManyRejects { rows: u64, rejects: Rejects },
    Overflow(Overflow),
}

impl CountError {
    pub fn kind(&self) -> FailureKind {
        match self {
            CountError::Decode(error) => error.kind(),
            CountError::TooManyCells { .. } => FailureKind::TooLarge,
            CountError::TooManyRejects { .. } => FailureKind::Rejects,
            CountError::Overflow(_) => FailureKind::Overflow,
        }
    }
}

impl CountError {
    /// The byte that is at fault, when one is.
    pub fn offset(&self) -> Option<u64> {
        match self {
            CountError::Decode(error) => error.offset(),
            CountError::TooManyCells { .. } | CountError::TooManyRejects { .. } | CountError::Overflow(_) => None,
        }
    }
}

impl fmt::Display for CountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CountError::Decode(error) => error.fmt(f),
            CountError::TooManyCells { limit } => {
                write!(f, "its rows fall into more than cells_max = {limit} groups")
            }
            CountError::TooManyRejects { rows, rejects } => {
                write!(f, "{} of {rows} rows were rejected: {rejects}", rejects.rows())
            }
            CountError::Overflow(overflow) => overflow.fmt(f),
        }
    }
}

impl std::error::Error for CountError {}

/// A snapshot that knows no media and no inventory: everything is counted under organization 0 and `ALL`.
pub fn without_metadata() -> Arc<Snapshot> {
    let nothing = Snapshot::new(&Metadata::default(), Timestamp::UNIX_EPOCH);
    Arc::new(nothing.expect("no rows contradict each other"))
}

/// Sums one body under one snapshot. Sums are exact, or there are none. `seen` is shown each batch as it was decoded.
pub fn count(
    body: &[u8],
    rules: &Rules,
    snapshot: Arc<Snapshot>,
    seen: &mut dyn FnMut(&RecordBatch),
) -> Result<CountedBody, CountError> {
    let (counted, whole) = count_so_far(body, rules, snapshot, seen);
    whole.map(|()| counted)
}

/// As [`count`], but says of a body whose sums can't be trusted what was summed of it, for who looks at it.
pub fn count_so_far(
    body: &[u8],
    rules: &Rules,
    snapshot: Arc<Snapshot>,
    seen: &mut dyn FnMut(&RecordBatch),
) -> (CountedBody, Result<(), CountError>) {
    let Plan { dimensions, measures, .. } = rules.plan.as_ref();
    let mut enricher = Enricher::new(dimensions, measures, snapshot, rules.zone.clone());
    let mut rollup = Rollup::from_spare(rules.plan.clone(), &rules.spare);
    let (mut summed, mut newest) = (Ok(()), None);
    failpoint::pass("object.decode.before");
    let (decoded, whole) = decode::decode_so_far(body, &rules.schema, &rules.limits, &mut |batch| {
        seen(batch);
        newest = newest.max(newest_of(batch));
        failpoint::pass("object.aggregate.before");
        // After the first error the rest is only read, so that a damaged object is called damaged.
        if summed.is_ok() {
            summed = rollup.add(&enricher.enrich(batch)).map_err(CountError::Overflow);
        }
        if summed.is_ok() && rollup.cells() > rules.limits.cells_max {
            summed = Err(CountError::TooManyCells { limit: rules.limits.cells_max });
        }
        failpoint::pass("object.aggregate.after");
    });
    failpoint::pass("object.decode.after");
    let whole = whole.map_err(CountError::Decode).and(summed).and_then(|()| {
        let Decoded { rows, rejects, .. } = &decoded;
        let is_too_many = rejects.rows() as f64 > rules.max_reject_ratio * *rows as f64;
        let too_many = || CountError::TooManyRejects { rows: *rows, rejects: rejects.clone() };
        if is_too_many { Err(too_many()) } else { Ok(()) }
    });
    (CountedBody { rollup, decoded, unmapped: enricher.unmapped(), newest }, whole)
}

fn newest_of(batch: &RecordBatch) -> Option<i64> {
    let seconds = batch.column_by_name("timestamp")?.as_primitive_opt::<Int64Type>()?.values();
    seconds.iter().copied().max()
}
