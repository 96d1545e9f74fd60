//! pyarrow's arrays, in which pandas may keep a column. Format: pyarrow's `Array.__reduce__`, and the "Arrow Columnar
//! Format" specification for the buffers.

use super::super::error::{Fault, Limit, PickleFault};
use super::super::fields::Fields;
use super::globals::Global;
use super::moments::Unit;
use super::numpy::{Dtype, Kind};
use super::objects::count;
use super::storage::Store;
use super::text::Encoding;
use super::value::Value;
use crate::model::Limits;

/// One array; a column is a row of them.
pub struct Chunk {
    kind: ArrowKind,
    pub length: usize,
    offset: usize,
    /// A bit for each value: 0 where there is none. `None` where all are there.
    validity: Value,
    values: Value,
    /// What the values of texts lie in.
    text: Value,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ArrowKind {
    Bits,
    Packed(Dtype),
    /// Texts or bytes, by offsets of so many bytes.
    Text {
        offset_bytes: usize,
    },
    Null,
    /// A type that no field may have.
    Other,
}

fn bad(what: &'static str) -> Fault {
    PickleFault::BadObject(what).into()
}

/// The arrays of a `ChunkedArray`, or the one. A chunk may be listed many times, and so may its texts, which will be
/// copied each time.
pub fn chunks(value: Value, store: &mut Store, fields: &Fields, limits: &Limits) -> Result<Vec<Chunk>, Fault> {
    let object = store.object(value).ok_or_else(|| bad("a column without its array"))?;
    let arrays = match object.class {
        Global::RestoreArray => return Ok(vec![Chunk::of(value, store, fields, limits)?]),
        Global::ChunkedArray => store.element(object.arguments, 0).unwrap_or(Value::Absent),
        _ => return Err(bad("a column without its array")),
    };
    let count = store.elements(arrays).unwrap_or(0);
    store.budget.charge_scattered(count.saturating_mul(size_of::<Chunk>() + size_of::<usize>()))?;
    let (mut chunks, mut length) = (Vec::with_capacity(count), 0usize);
    for index in 0..count {
        let array = store.element(arrays, index).unwrap_or(Value::Absent);
        let chunk = Chunk::of(array, store, fields, limits)?;
        length = length.saturating_add(chunk.length);
        if length as u64 > limits.rows_max {
            return Err(Limit::Rows.into());
        }
        store.budget.repeat(chunk.length.saturating_add(chunk.text_bytes(store)))?;
        chunks.push(chunk);
    }
    Ok(chunks)
}

impl Chunk {
    /// `_restore_array((type, length, null_count, offset, buffers, children, dictionary))`.
    fn of(value: Value, store: &Store, fields: &Fields, limits: &Limits) -> Result<Chunk, Fault> {
        let object = store.object(value).filter(|object| object.class == Global::RestoreArray);
        let parts = object.and_then(|object| store.element(object.arguments, 0));
        let part = |index| {
            parts.and_then(|parts| store.element(parts, index)).ok_or_else(|| bad("an array without its parts"))
        };
        let extent = |index| part(index).ok().and_then(count).ok_or_else(|| bad("an array without a length"));
        let buffers = part(4)?;
        let buffer = |index| match store.element(buffers, index) {
            Some(buffer @ Value::Object(_)) => store
                .object(buffer)
                .filter(|object| object.class == Global::PyBuffer)
                .and_then(|object| store.element(object.arguments, 0))
                .unwrap_or(Value::None),
            _ => Value::None,
        };
        let kind = ArrowKind::of(part(0)?, store, fields);
        let (length, offset) = (extent(1)?, extent(3)?);
        if length as u64 > limits.rows_max {
            return Err(Limit::Rows.into());
        }
        let chunk = Chunk { kind, length, offset, validity: buffer(0), values: buffer(1), text: buffer(2) };
        if chunk.fits(store) { Ok(chunk) } else { Err(bad("an array whose values do not fit its length")) }
    }

    /// Whether the buffers hold what the length promises. Texts must not overlap, lest a few bytes make many.
    fn fits(&self, store: &Store) -> bool {
        let bytes = |buffer: Value| store.raw(buffer).map_or(0, <[u8]>::len);
        let Some(end) = self.offset.checked_add(self.length) else { return false };
        if self.length == 0 {
            return true;
        }
        let holds = |buffer: Value, size: usize, more: usize| {
            end.checked_add(more).and_then(|end| end.checked_mul(size)).is_some_and(|needed| needed <= bytes(buffer))
        };
        let valid = self.validity == Value::None || end.div_ceil(8) <= bytes(self.validity);
        valid
            && match self.kind {
                ArrowKind::Bits => end.div_ceil(8) <= bytes(self.values),
                ArrowKind::Packed(dtype) => holds(self.values, dtype.size, 0),
                ArrowKind::Text { offset_bytes } => {
                    let mut offsets = (self.offset..=end).map(|index| self.text_offset(index, offset_bytes, store));
                    holds(self.values, offset_bytes, 1)
                        && offsets
                            .try_fold(0, |last, offset| offset.filter(|&offset| offset >= last))
                            .is_some_and(|last| last <= bytes(self.text))
                }
                ArrowKind::Null | ArrowKind::Other => true,
            }
    }

    /// What pyarrow calls its type, as far as it matters here.
    pub fn kind_name(&self) -> std::borrow::Cow<'static, str> {
        match self.kind {
            ArrowKind::Bits => "bool".into(),
            ArrowKind::Packed(dtype) => dtype.name(),
            ArrowKind::Text { offset_bytes: 4 } => "string".into(),
            ArrowKind::Text { .. } => "large_string".into(),
            ArrowKind::Null => "null".into(),
            ArrowKind::Other => "of another type".into(),
        }
    }

    /// Of all its values together.
    fn text_bytes(&self, store: &Store) -> usize {
        let ArrowKind::Text { offset_bytes } = self.kind else { return 0 };
        let offset = |index| self.text_offset(index, offset_bytes, store).unwrap_or(0);
        // `fits` has added them.
        offset(self.offset.saturating_add(self.length)).saturating_sub(offset(self.offset))
    }

    fn text_offset(&self, index: usize, offset_bytes: usize, store: &Store) -> Option<usize> {
        let at = index.checked_mul(offset_bytes)?;
        let offset = store.raw(self.values)?.get(at..at.checked_add(offset_bytes)?)?;
        let mut bytes = [0; 8];
        bytes[..offset_bytes].copy_from_slice(offset);
        usize::try_from(i64::from_le_bytes(bytes)).ok()
    }

    pub fn value(&self, index: usize, store: &mut Store, text_bytes_max: usize) -> Result<Value, Fault> {
        let index = self.offset + index;
        let bit = |buffer: Value| {
            store.raw(buffer).and_then(|bits| bits.get(index / 8)).is_some_and(|bits| bits >> (index % 8) & 1 == 1)
        };
        if self.validity != Value::None && !bit(self.validity) {
            return Ok(Value::NotAvailable);
        }
        let missing = || bad("an array whose values do not fit its length");
        match self.kind {
            ArrowKind::Bits => Ok(Value::Bool(bit(self.values))),
            ArrowKind::Packed(dtype) => {
                let mut bytes = [0; 8];
                let packed =
                    store.raw(self.values).and_then(|all| all.get(index * dtype.size..(index + 1) * dtype.size));
                bytes[..dtype.size].copy_from_slice(packed.ok_or_else(missing)?);
                dtype.read(&bytes[..dtype.size], store, text_bytes_max)
            }
            ArrowKind::Text { offset_bytes } => {
                let at = self.text_offset(index, offset_bytes, store).ok_or_else(missing)?;
                let end = self.text_offset(index + 1, offset_bytes, store).ok_or_else(missing)?;
                if end.saturating_sub(at) > text_bytes_max {
                    return Err(Limit::TextBytes.into());
                }
                let span = store.copy_text(self.text, at, end)?;
                let span = match span {
                    Some(span) => span,
                    // An array of empty texts needs no buffer for them.
                    None if at == end => store.add_text(b"")?,
                    None => return Err(missing()),
                };
                let is_text = Encoding::of(store.bytes(span)) == Encoding::Utf8;
                Ok(if is_text { Value::Text(span) } else { Value::Bytes(span) })
            }
            ArrowKind::Null => Ok(Value::NotAvailable),
            ArrowKind::Other => Ok(Value::Opaque { hashable: true }),
        }
    }
}

impl ArrowKind {
    /// `type_for_alias(name)` or `timestamp(unit, zone)`.
    fn of(value: Value, store: &Store, fields: &Fields) -> ArrowKind {
        let Some(object) = store.object(value) else { return ArrowKind::Other };
        let name =
            store.element(object.arguments, 0).and_then(|name| store.name_text(name, fields)).unwrap_or_default();
        let packed = |kind, size| ArrowKind::Packed(Dtype::little(kind, size));
        if object.class == Global::ArrowTimestamp {
            return Unit::named(name, 1).map_or(ArrowKind::Other, |unit| packed(Kind::Time(unit), 8));
        }
        match name {
            "bool" => ArrowKind::Bits,
            "int8" => packed(Kind::Int, 1),
            "int16" => packed(Kind::Int, 2),
            "int32" => packed(Kind::Int, 4),
            "int64" => packed(Kind::Int, 8),
            "uint8" => packed(Kind::Unsigned, 1),
            "uint16" => packed(Kind::Unsigned, 2),
            "uint32" => packed(Kind::Unsigned, 4),
            "uint64" => packed(Kind::Unsigned, 8),
            "halffloat" => packed(Kind::Float, 2),
            "float" => packed(Kind::Float, 4),
            "double" => packed(Kind::Float, 8),
            "string" | "binary" => ArrowKind::Text { offset_bytes: 4 },
            "large_string" | "large_binary" => ArrowKind::Text { offset_bytes: 8 },
            "null" => ArrowKind::Null,
            _ => ArrowKind::Other,
        }
    }
}
