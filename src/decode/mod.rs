//! Bytes to Arrow record batches: gzip, then pickles, then the rows in them. Pure: no clock, no network, no environment.
//!
//! **Input.** Gzip (RFC 1952; one member or many, zero bytes after a member skipped) or plain bytes, around one pickle or
//! many, protocols 0 to 5, each holding a list or tuple of dicts, one dict of equally long lists, or one dict that is a
//! row. Which fields of a row count, and what they may be, is a [`LogSchema`]; everything else is skipped.
//!
//! **What it never does.** No Python object is made and nothing is run: the few constructors that honest rows name have a
//! meaning of their own here, any other is refused. No length in the stream is believed, nothing recurses over the input's
//! nesting, and no more is held than [`Limits`] allow: `decoder_bytes_max` for what later opcodes may refer to, twice
//! `text_bytes_max` and a fixed window for reading, and one batch.
//!
//! **Shared and cyclic objects** mean what CPython means by them: a dict listed twice is two rows, a list that many rows
//! name is each one's `ads`, and a row is what it is when it is complete. Rows leave while their list is still being read;
//! where a pickle changes a row after that (no pickler does), the dump is read again with its rows held back, and when
//! some have left already, that is an error.

mod ads_json;
mod columns;
mod error;
mod fields;
mod gzip;
mod pickle;
mod rows;
mod rules;
#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;

pub use columns::batch_schema;
pub use error::{DecodeError, GzipFault, Limit, PickleFault};

use crate::model::{Limits, LogSchema, Rejects};
use error::Fault;
use fields::Fields;
use gzip::Inflate;
use pickle::{Machine, Reader};
use rows::Rows;

/// What was read of an object, beside its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Read, rejected ones included.
    pub rows: u64,
    pub rejects: Rejects,
    pub inflated_bytes: u64,
    /// 0 for plain bytes.
    pub gzip_members: u32,
    /// The highest pickle protocol that an opcode belongs to or that a header names.
    pub protocol: u8,
    pub shape: Shape,
    /// Pickles in the stream.
    pub dumps: u64,
}

/// How the rows were laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Dicts, alone or in a list or tuple.
    Rows,
    /// A dict of equally long lists.
    Columns,
    DataFrame,
    /// Dumps of different shapes.
    Mixed,
    /// No rows at all.
    Empty,
}

impl Shape {
    /// The shape of two dumps together.
    fn and(self, other: Shape) -> Shape {
        match (self, other) {
            (Shape::Empty, shape) | (shape, Shape::Empty) => shape,
            (one, other) if one == other => one,
            _ => Shape::Mixed,
        }
    }
}

/// Reads a body, as stored, and hands its accepted rows to `sink` in batches of at most `limits.batch_rows`, in their
/// order, with the columns of [`batch_schema`].
///
/// When it fails, what the sink has seen counts for nothing: that a gzip stream is whole is known only at its end.
/// Rejected rows are no failure; they are in [`Decoded::rejects`].
pub fn decode(
    body: &[u8],
    schema: &LogSchema,
    limits: &Limits,
    sink: &mut dyn FnMut(&RecordBatch),
) -> Result<Decoded, DecodeError> {
    if body.len() as u64 > limits.object_bytes_max {
        let max = limits.object_bytes_max;
        return Err(DecodeError::LimitExceeded { limit: Limit::ObjectBytes, max, offset: max });
    }
    let fields = Fields::of(schema);
    let object = Object { body, schema, limits, fields: &fields };
    match object.read(ReadAgain { dump: u64::MAX, batches_seen: 0 }, sink) {
        Err(Stopped::ReadAgain(again)) => object.read(again, sink).map_err(Stopped::into_error),
        read => read.map_err(Stopped::into_error),
    }
}

struct Object<'a> {
    body: &'a [u8],
    schema: &'a LogSchema,
    limits: &'a Limits,
    fields: &'a Fields,
}

/// How to read an object of which rows changed after they were read.
struct ReadAgain {
    /// From this dump on, rows are held until the dump ends.
    dump: u64,
    /// The sink has seen this many batches, all of them from dumps before.
    batches_seen: u64,
}

enum Stopped {
    Error(DecodeError),
    ReadAgain(ReadAgain),
}

impl Stopped {
    fn into_error(self) -> DecodeError {
        match self {
            Self::Error(error) => error,
            Self::ReadAgain(_) => DecodeError::Defect { detail: "held rows changed".into() },
        }
    }
}

impl Object<'_> {
    fn read(&self, again: ReadAgain, sink: &mut dyn FnMut(&RecordBatch)) -> Result<Decoded, Stopped> {
        let mut rows = Rows::new(self.schema, self.fields, self.limits, again.batches_seen, sink);
        let reader = Reader::new(Inflate::new(self.body, self.limits), self.limits.text_bytes_max);
        let mut machine = Machine::new(reader, self.fields, self.limits);
        let (mut dumps, mut shape) = (0, Shape::Empty);
        loop {
            match machine.reader.at_end() {
                Ok(true) => break,
                Ok(false) => {}
                Err(fault) => return Err(Stopped::Error(machine.place(fault))),
            }
            let accepted_before = rows.accepted();
            let hold = dumps >= again.dump;
            let read = machine.run(hold, &mut rows).and_then(|value| machine.read_top_level(value, &mut rows));
            match read {
                Ok(read) => shape = shape.and(read),
                Err(Fault::RowsChanged) if !hold && rows.delivered() <= accepted_before => {
                    return Err(Stopped::ReadAgain(ReadAgain { dump: dumps, batches_seen: rows.batches }));
                }
                Err(fault) => return Err(Stopped::Error(blame(machine, fault))),
            }
            dumps += 1;
        }
        rows.flush().map_err(Stopped::Error)?;
        if dumps == 0 {
            return Err(Stopped::Error(DecodeError::Empty));
        }
        Ok(Decoded {
            rows: rows.rows,
            rejects: rows.rejects,
            inflated_bytes: machine.reader.source.inflated_bytes,
            gzip_members: machine.reader.source.members,
            protocol: machine.protocol,
            shape,
            dumps,
        })
    }
}

/// A pickle that makes no sense in a gzip stream that is damaged is the stream's fault, not its writer's.
fn blame(mut machine: Machine<'_>, fault: Fault) -> DecodeError {
    let error = machine.place(fault);
    if matches!(error, DecodeError::Gzip { .. } | DecodeError::LimitExceeded { .. }) {
        return error;
    }
    match machine.reader.source.verify() {
        Err(damage @ DecodeError::Gzip { .. }) => damage,
        _ => error,
    }
}
