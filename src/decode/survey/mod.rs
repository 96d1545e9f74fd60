//! What is in an object, for a person who asks: all its fields, who may have written it, where rejected rows stand, and,
//! where it is broken, what was being built there and what would have been executed.
//!
//! A pass of its own over the bytes, so that decoding does not pay for it. It decides nothing: whether an object is
//! broken, and which rows are rejected, is what [`super::decode`] said.

mod asked;
mod breakage;
mod columns;
mod fields;
mod gzip_header;
mod memory;
mod objects;
mod operands;
mod producer;
mod render;
mod thing;
mod walk;

use hashbrown::HashMap;

pub use asked::FoundReject;
pub use breakage::{Breakage, Bytes, Executed};
pub use fields::{FieldSurvey, Place};
pub use gzip_header::GzipHeader;
pub use producer::Producer;

use super::error::{DecodeError, Fault};
use super::gzip::Inflate;
use super::pickle::Reader;
use super::{Decoded, Shape};
use crate::model::{Limits, LogSchema, RejectReason};
use asked::Asked;
pub(super) use asked::{blame, typed};
use breakage::At;
pub(super) use fields::{EXAMPLE_CHARS_MAX, FieldTally, Seen, shown_name};
pub(super) use render::quoted;
use walk::{End, Walk};

/// What was found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// `None` for plain bytes.
    pub gzip: Option<GzipHeader>,
    pub producer: Producer,
    pub hints: Vec<String>,
    /// Rows whose fields were looked at.
    pub rows: u64,
    pub fields: Vec<FieldSurvey>,
    /// Fields of the configuration that no row has.
    pub absent: Vec<FieldSurvey>,
    /// Values of fields beyond the first 256 distinct ones.
    pub values_left_out: u64,
    /// By reason, then by row.
    pub rejects: Vec<FoundReject>,
    pub breakage: Option<Breakage>,
    /// Why the fields of later rows were not looked at, where decoding itself had no such trouble.
    pub incomplete: Option<String>,
}

/// Surveys an object that was decoded, in whole or up to an error.
pub fn survey(
    body: &[u8],
    schema: &LogSchema,
    limits: &Limits,
    decoded: &Decoded,
    error: Option<&DecodeError>,
) -> Survey {
    let mut wanted: Vec<(u64, RejectReason)> = Vec::new();
    for (reason, rejected) in decoded.rejects.iter() {
        wanted.extend(rejected.first_rows.iter().map(|&row| (row, reason)));
    }
    wanted.sort_unstable_by_key(|wanted| wanted.0);

    let mut tally = FieldTally::new(schema);
    let mut in_columns = columns::InColumns::default();
    if matches!(decoded.shape, Shape::Columns | Shape::DataFrame | Shape::Mixed) {
        in_columns = columns::survey(body, schema, limits, &wanted, &mut tally);
    }
    let asked = Asked::new(schema, &wanted, in_columns.found);
    let reader = Reader::new(Inflate::new(body, limits), limits.text_bytes_max);
    let mut walk = Walk::new(reader, limits, tally, asked, &in_columns.rows_of);

    let at = error.map(At::of);
    let stop = if let Some(At::Inflated(offset)) = at { offset } else { u64::MAX };
    let mut end = walk.run(stop);
    let is_refusal = matches!(error, Some(DecodeError::ForbiddenGlobal { .. } | DecodeError::ForbiddenOpcode { .. }));
    if is_refusal && matches!(end, End::At(None)) {
        // A dump begins with what was refused: the walk ended before it.
        end = walk.dump(stop).map_or_else(End::Fault, End::At);
    }
    if error.is_some() {
        walk.list_pending();
    }
    let breakage = at.map(|at| {
        let mut breakage = Breakage::of(&walk, at, &end, body, limits);
        if let Some(code) = end.opcode().filter(|_| is_refusal) {
            breakage.executed = walk.past(code);
        }
        breakage
    });
    let incomplete = match end {
        End::Fault(fault) if error.is_none() => Some(in_words(&fault, &walk)),
        _ => in_columns.incomplete,
    };
    let gzip = GzipHeader::of(body);
    let Walk { tally, producer, asked, .. } = walk;
    let mut rejects = asked.found;
    rejects.sort_by_key(|reject| (reject.reason, reject.row));
    let (rows, values_left_out) = (tally.rows, tally.left_out);
    let (fields, absent) = tally.finish(schema);
    let hints = producer.hints(gzip.as_ref());
    Survey { gzip, producer, hints, rows, fields, absent, values_left_out, rejects, breakage, incomplete }
}

/// Inflates a body and drops what comes of it: how long that alone takes is what decoding is measured by.
pub fn inflate(body: &[u8], limits: &Limits) -> Result<u64, DecodeError> {
    let mut source = Inflate::new(body, limits);
    source.verify()?;
    Ok(source.inflated_bytes)
}

fn in_words(fault: &Fault, walk: &Walk<'_>) -> String {
    let offset = walk.reader.opcode_offset;
    match fault {
        Fault::Limit(limit) => format!("the survey would exceed {limit} at byte {offset}"),
        Fault::Pickle(fault) => format!("to the survey the pickle {fault} at byte {offset}"),
        Fault::Placed(error) => error.to_string(),
        _ => format!("the survey ended at byte {offset}"),
    }
}

/// Rows of each dump that was listed in columns.
type RowsOfDumps = HashMap<u64, u64>;
