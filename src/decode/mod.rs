//! Bytes to Arrow record batches: gzip, then pickles, then the rows in them. Pure: no clock, no network, no environment.
//!
//! **Input.** Gzip (RFC 1952; one member or many, zero bytes after a member skipped) or plain bytes, around one pickle or
//! many, protocols 0 to 5, each holding a list or tuple of dicts, one dict of equally long columns, one dict that is a
//! row, or a pandas DataFrame. Which fields of a row count, and what they may be, is a [`LogSchema`]; everything else is
//! skipped.
//!
//! **What it never does.** No Python object is made and nothing is run: the few constructors that honest rows name have a
//! meaning of their own here, any other is refused. No length in the stream is believed, nothing recurses over the input's
//! nesting, and no more is held than [`Limits`] allow: `decoder_bytes_max` and a quarter for what later opcodes may refer
//! to, sixteen times `text_bytes_max` for texts on their way to their place, half a MiB for reading, and one batch.
//!
//! **What it costs.** Opcodes have no limit of their own: each takes a byte at least, so `inflated_bytes_max` limits them.
//! An opcode costs what it carries and what it takes off the stack. Where one could make more work than that of what is
//! held already (a long text that is an argument over and over, an array of no bytes that says it has a million values),
//! the work is counted, and no more of it is done than eight times the bytes that were read and a MiB:
//! [`PickleFault::Repetition`]. An object is read five times at most.
//!
//! **Shared and cyclic objects** mean what CPython means by them: a dict listed twice is two rows, a list that many rows
//! name is each one's `ads`, and a row is what it is when it is complete. Rows leave while their list is still being read
//! and are forgotten; where something refers to one of them or its parts after that, the object is read again and more is
//! kept. Where a pickle changes a row that was listed (no pickler does), the dump is read again with its rows held back,
//! and when some have left already, that is an error.
//!
//! **Columns** become rows when all of them are there, so a dict of columns and a DataFrame are held whole, and nothing else
//! is. Of a list or tuple that is 4 bytes for a text of up to 64 bytes that came before, an integer of 32 bits, `None` or a
//! bool, 8 for a double, 28 for `ads` (their ids are all that is kept) and 16 for anything else, what it refers to not
//! counted; an array is its bytes. Where ads are named again for more than to be some row's, or a pickle goes on to change
//! them, the object is read again and they are kept.
//!
//! **pandas and numpy.** Written by pandas 1.0 to 3.1 and numpy 1.18 to 2.5. A column is a list, a tuple, a numpy array of
//! one dimension, a Series or one of pandas' own arrays. Its values become
//!
//! | of the type | a value |
//! |---|---|
//! | `int8` to `uint64`, `bool`, their nullable forms, pyarrow's | that integer or bool |
//! | `float16`, `float32`, `float64`, nullable ones, pyarrow's | the double it equals |
//! | `datetime64` of any unit, with a zone or without (then UTC); `Timestamp`, `datetime` | the instant, for the timestamp only, in whole seconds, cut off downwards |
//! | `object`, lists within it included | what it is in a row |
//! | `U`, `S`, `string`, `str`, pyarrow's `string` and `binary` | that text, those bytes |
//! | `category` | its category |
//! | anything else (complex, `longdouble`, `timedelta64`, arrays within arrays) | a value that no field may have |
//!
//! In a DataFrame and in a pandas array NaN, `NaT` and `NA` stand for no value: none is 0 for a count, an empty key, no
//! ads, a missing timestamp; money that is missing so is rejected, `None` in a column of objects is 0. In a numpy array in
//! a dict of columns they mean what they mean in a row. Of two columns of one name the last counts, and a frame's index
//! is not looked at; a frame without columns has no rows. Periods, intervals, sparse columns, pyarrow's nested types and
//! subclasses of DataFrame are refused by name.
//!
//! `text_bytes_max` limits text and bytes that are values. An array's bytes, which are an argument to its constructor,
//! may be longer, as long as all that is held stays within `decoder_bytes_max`; as a value of a list, a dict or a set
//! they are refused.
//!
//! Sources: CPython's `pickletools.py` and `_pickle.c`; `__reduce__`, `__reduce_ex__` and `__setstate__` of the classes,
//! which are named where they are read.

mod ads_json;
mod columns;
mod error;
mod fields;
mod gzip;
mod pickle;
mod rows;
mod rules;
mod survey;
#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;

pub use columns::batch_schema;
pub use error::{DecodeError, GzipFault, Limit, PickleFault};
pub use survey::{
    Breakage, Bytes, Executed, FieldSurvey, FoundReject, GzipHeader, Place, Producer, Survey, inflate, survey,
};

use crate::model::{Limits, LogSchema, Rejects};
use error::Fault;
use fields::Fields;
use gzip::Inflate;
use pickle::{Keep, Machine, Reader};
use rows::{Digest, Proof, Rows};

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
    let (decoded, whole) = decode_so_far(body, schema, limits, sink);
    whole.map(|()| decoded)
}

/// As [`decode`], but says of an object that breaks what was read of it until then, for who looks at it.
pub fn decode_so_far(
    body: &[u8],
    schema: &LogSchema,
    limits: &Limits,
    sink: &mut dyn FnMut(&RecordBatch),
) -> (Decoded, Result<(), DecodeError>) {
    if body.len() as u64 > limits.object_bytes_max {
        let max = limits.object_bytes_max;
        let error = DecodeError::LimitExceeded { limit: Limit::ObjectBytes, max, offset: max };
        return (Decoded::nothing(), Err(error));
    }
    let fields = Fields::of(schema);
    let object = Object { body, schema, limits, fields: &fields };
    let mut reading =
        Reading { keep: Keep::least(), hold_from: u64::MAX, batches_seen: 0, rows_seen: 0, expected: None };
    loop {
        match object.read(reading, sink) {
            Ok(read) => return read,
            Err(ReadAgain(again)) if again.reads_later_than(&reading) => {
                let expected = Some(object.digest(reading, again.batches_seen));
                reading = Reading { expected, ..again };
            }
            Err(ReadAgain(again)) => reading = again,
        }
    }
}

impl Decoded {
    fn nothing() -> Self {
        Self {
            rows: 0,
            rejects: Rejects::default(),
            inflated_bytes: 0,
            gzip_members: 0,
            protocol: 0,
            shape: Shape::Empty,
            dumps: 0,
        }
    }
}

struct Object<'a> {
    body: &'a [u8],
    schema: &'a LogSchema,
    limits: &'a Limits,
    fields: &'a Fields,
}

/// How an object is read. It is read again, at most four times, where that turns out not to do.
#[derive(Clone, Copy)]
struct Reading {
    /// What is kept of rows that have been read, for what comes later to refer to.
    keep: Keep,
    /// From this dump on, rows are held until the dump ends.
    hold_from: u64,
    /// The sink has seen this many batches and rows, the same ones that this reading begins with.
    batches_seen: u64,
    rows_seen: u64,
    /// What those batches were, where that is not certain.
    expected: Option<Digest>,
}

impl Reading {
    /// Whether rows have left that a reading before read ahead of the opcode that lists them, which this one does not:
    /// where they were never listed, it begins with other rows.
    fn reads_later_than(&self, before: &Reading) -> bool {
        self.keep == Keep::Everything && before.keep < Keep::Everything && self.batches_seen > 0
    }
}

struct ReadAgain(Reading);

impl Object<'_> {
    /// What the first batches of a reading were.
    fn digest(&self, reading: Reading, batches: u64) -> Digest {
        let (mut digest, mut seen) = (Digest::default(), 0);
        // It stops where it stopped before.
        let _ = self.read(Reading { batches_seen: 0, rows_seen: 0, ..reading }, &mut |batch| {
            if seen < batches {
                digest.add(batch);
            }
            seen += 1;
        });
        digest
    }

    fn read(
        &self,
        reading: Reading,
        sink: &mut dyn FnMut(&RecordBatch),
    ) -> Result<(Decoded, Result<(), DecodeError>), ReadAgain> {
        let proof = reading.expected.map(|expected| Proof { expected, digest: Digest::default() });
        let mut rows = Rows::new(self.schema, self.fields, self.limits, reading.batches_seen, proof, sink);
        let reader = Reader::new(Inflate::new(self.body, self.limits), self.limits.text_bytes_max);
        let mut machine = Machine::new(reader, self.schema, self.fields, self.limits);
        let (mut dumps, mut shape) = (0, Shape::Empty);
        let whole = loop {
            match machine.reader.at_end() {
                Ok(true) if dumps == 0 => break Err(DecodeError::Empty),
                Ok(true) => break Ok(()),
                Ok(false) => {}
                Err(fault) => break Err(blame(&mut machine, fault)),
            }
            let accepted_before = rows.accepted();
            let hold = dumps >= reading.hold_from;
            let read = machine.read_dump(hold, reading.keep, &mut rows);
            let rows_seen = rows.delivered().max(reading.rows_seen);
            // What has been proven need not be again.
            let expected = reading.expected.filter(|_| rows.batches < reading.batches_seen);
            let batches_seen = rows.batches.max(reading.batches_seen);
            let seen = Reading { batches_seen, rows_seen, expected, ..reading };
            match read {
                Ok(read) => shape = shape.and(read),
                Err(Fault::Forgotten(keep)) if keep > reading.keep => {
                    return Err(ReadAgain(Reading { keep, ..seen }));
                }
                Err(Fault::RowsChanged) if !hold && rows_seen <= accepted_before => {
                    return Err(ReadAgain(Reading { hold_from: dumps, ..seen }));
                }
                Err(fault) => break Err(blame(&mut machine, fault)),
            }
            dumps += 1;
        };
        let finished = rows.finish().map_err(|fault| machine.place(fault));
        let whole = whole.and(finished);
        let decoded = Decoded {
            rows: rows.rows,
            rejects: rows.rejects,
            inflated_bytes: machine.reader.source.inflated_bytes,
            gzip_members: machine.reader.source.members,
            protocol: machine.protocol,
            shape,
            dumps,
        };
        Ok((decoded, whole))
    }
}

/// A pickle that makes no sense in a gzip stream that is damaged is the stream's fault, not its writer's.
fn blame(machine: &mut Machine<'_>, fault: Fault) -> DecodeError {
    let error = machine.place(fault);
    if let Some(failed) = machine.reader.source.failed() {
        return failed.clone();
    }
    if matches!(error, DecodeError::Gzip { .. } | DecodeError::LimitExceeded { .. }) {
        return error;
    }
    match machine.reader.source.verify() {
        Err(damage @ DecodeError::Gzip { .. }) => damage,
        _ => error,
    }
}
