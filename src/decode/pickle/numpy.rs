//! numpy's arrays and scalars. Format: `ndarray.__reduce_ex__` and `dtype.__reduce__`, and the array's bytes as the dtype
//! says.

use super::super::error::{Fault, Limit, PickleFault};
use super::super::fields::Fields;
use super::globals::Global;
use super::moments::Unit;
use super::objects::count;
use super::storage::{Store, refuse_payload};
use super::value::Value;

/// What one value of an array is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    Int,
    Unsigned,
    Float,
    Time(Unit),
    /// UTF-32, filled up with zeros.
    Text,
    /// Filled up with zeros.
    Bytes,
    Object,
    /// A type that no field may have.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dtype {
    pub kind: Kind,
    /// Of one value, in bytes.
    pub size: usize,
    pub big_endian: bool,
}

/// Of a character in an array.
pub const UTF_32_BYTES: usize = 4;

fn bad(what: &'static str) -> Fault {
    PickleFault::BadObject(what).into()
}

impl Dtype {
    pub const fn little(kind: Kind, size: usize) -> Self {
        Self { kind, size, big_endian: false }
    }

    /// `numpy.dtype('i8', False, True)` with the state `(3, '<', ...)`.
    fn of(value: Value, store: &Store, fields: &Fields) -> Result<Dtype, Fault> {
        let object = store.object(value).filter(|object| object.class == Global::Dtype);
        let object = object.ok_or_else(|| bad("an array without a dtype"))?;
        let code =
            store.element(object.arguments, 0).and_then(|code| store.name_text(code, fields)).unwrap_or_default();
        let size = code.get(1..).and_then(|size| size.parse().ok()).ok_or_else(|| bad("a dtype without a size"))?;
        let order = store.element(object.state, 1).and_then(|order| store.name_text(order, fields));
        let kind = match (code.as_bytes()[0], size) {
            (b'b', 1) => Kind::Bool,
            (b'i', 1 | 2 | 4 | 8) => Kind::Int,
            (b'u', 1 | 2 | 4 | 8) => Kind::Unsigned,
            (b'f', 2 | 4 | 8) => Kind::Float,
            (b'M', 8) => Unit::of(store.element(object.state, 8), store).map_or(Kind::Other, Kind::Time),
            // The size is in characters here, in bytes everywhere else.
            (b'U', characters) => {
                let size = usize::checked_mul(characters, 4).ok_or_else(|| bad("a dtype of endless texts"))?;
                return Ok(Dtype { kind: Kind::Text, size, big_endian: order == Some(">") });
            }
            (b'S', _) => Kind::Bytes,
            (b'O', _) => Kind::Object,
            _ => Kind::Other,
        };
        Ok(Dtype { kind, size, big_endian: order == Some(">") })
    }

    /// The value of `size` bytes. What needs the store for its text lies there until the row ends.
    pub fn read(self, bytes: &[u8], store: &mut Store, text_bytes_max: usize) -> Result<Value, Fault> {
        if self.is_number() {
            return match self.number(bytes) {
                Number::Value(value) => Ok(value),
                Number::Large(large) => {
                    // Two's complement, hence a zero for the sign.
                    let span = store.add_text(&[large.to_le_bytes().as_slice(), &[0]].concat())?;
                    Ok(Value::Long(span))
                }
            };
        }
        if bytes.len() > text_bytes_max.saturating_mul(UTF_32_BYTES) {
            return Err(Limit::TextBytes.into());
        }
        match self.kind {
            Kind::Text => self.text(bytes, store),
            Kind::Bytes => {
                let filled = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
                store.add_bytes(&bytes[..bytes.len() - filled])
            }
            _ => Ok(Value::Opaque { hashable: true }),
        }
    }

    /// Whether no value needs the store, but for integers beyond 64 bits.
    pub fn is_number(self) -> bool {
        self.size <= 8 && !matches!(self.kind, Kind::Text | Kind::Bytes)
    }

    /// A value that does not need the store.
    pub fn small(self, bytes: &[u8]) -> Option<Value> {
        if !self.is_number() {
            return None;
        }
        match self.number(bytes) {
            Number::Value(value) => Some(value),
            Number::Large(_) => None,
        }
    }

    fn number(self, bytes: &[u8]) -> Number {
        let mut little = [0; 8];
        for (at, byte) in bytes.iter().take(8).enumerate() {
            little[if self.big_endian { bytes.len().min(8) - 1 - at } else { at }] = *byte;
        }
        let bits = u64::from_le_bytes(little);
        let value = match (self.kind, self.size) {
            (Kind::Bool, _) => Value::Bool(bits != 0),
            (Kind::Int, 1) => Value::Int(i64::from(bits as i8)),
            (Kind::Int, 2) => Value::Int(i64::from(bits as i16)),
            (Kind::Int, 4) => Value::Int(i64::from(bits as i32)),
            (Kind::Int, 8) => Value::Int(bits as i64),
            (Kind::Unsigned, 1 | 2 | 4 | 8) => match i64::try_from(bits) {
                Ok(bits) => Value::Int(bits),
                Err(_) => return Number::Large(bits),
            },
            (Kind::Float, 2) => Value::Float(half(bits as u16)),
            (Kind::Float, 4) => Value::Float(f64::from(f32::from_bits(bits as u32))),
            (Kind::Float, 8) => Value::Float(f64::from_bits(bits)),
            (Kind::Time(unit), 8) => unit.instant(bits as i64),
            _ => Value::Opaque { hashable: true },
        };
        Number::Value(value)
    }

    fn text(self, bytes: &[u8], store: &mut Store) -> Result<Value, Fault> {
        let unit = |unit: &[u8]| {
            let unit = [unit[0], unit[1], unit[2], unit[3]];
            if self.big_endian { u32::from_be_bytes(unit) } else { u32::from_le_bytes(unit) }
        };
        let units = || bytes.chunks_exact(4).map(unit);
        let filled = units().rev().take_while(|&unit| unit == 0).count();
        // No character takes more in UTF-8.
        let mut text = Vec::with_capacity(bytes.len());
        let mut whole = true;
        for unit in units().take(bytes.len() / 4 - filled) {
            match char::from_u32(unit) {
                Some(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                None if (0xd800..0xe000).contains(&unit) => {
                    whole = false;
                    text.extend([0xed, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]);
                }
                None => return Err(PickleFault::BadText.into()),
            }
        }
        let span = store.add_text(&text)?;
        Ok(if whole { Value::Text(span) } else { Value::Surrogates(span) })
    }
}

/// A number as it is, or an integer of 64 bits beyond the signed ones.
enum Number {
    Value(Value),
    Large(u64),
}

/// IEEE 754's double of its half.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff);
    match bits >> 10 & 0x1f {
        0 => sign * fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => sign * f64::INFINITY,
        0x1f => f64::NAN,
        exponent => sign * (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(exponent) - 15),
    }
}

/// `scalar(dtype, bytes)`.
pub fn scalar(arguments: &[Value], store: &mut Store, fields: &Fields) -> Result<Value, Fault> {
    let &[dtype, bytes] = arguments else { return Ok(Value::Opaque { hashable: true }) };
    let dtype = Dtype::of(dtype, store, fields)?;
    if matches!(dtype.kind, Kind::Object | Kind::Other) {
        return Ok(Value::Opaque { hashable: true });
    }
    refuse_payload(bytes)?;
    let bytes = store.raw(bytes).ok_or_else(|| bad("a scalar without bytes"))?.to_vec();
    if bytes.len() != dtype.size {
        return Err(bad("a scalar whose bytes do not fit its dtype"));
    }
    dtype.read(&bytes, store, usize::MAX)
}

/// Where the values of an array are.
#[derive(Clone, Copy, Debug)]
pub enum Cells {
    Packed {
        dtype: Dtype,
        bytes: Value,
    },
    /// A list of them.
    Objects(Value),
}

/// An array of one or two dimensions; of more, only the first is known.
#[derive(Clone, Copy, Debug)]
pub struct Array {
    pub cells: Cells,
    pub shape: Shape,
    column_major: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    None,
    One(usize),
    Two(usize, usize),
    More(usize),
}

/// One line of an array: `length` values from `at` on, `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    pub cells: Cells,
    pub at: usize,
    pub stride: usize,
    pub length: usize,
}

impl Array {
    /// `None` when the value is no array.
    pub fn of(value: Value, store: &Store, fields: &Fields) -> Result<Option<Array>, Fault> {
        let Some(object) = store.object(value) else { return Ok(None) };
        // `_reconstruct`'s state: version, shape, dtype, order, values. `_frombuffer`'s arguments: values, dtype, shape, order.
        let (parts, [shape, dtype, order, values]) = match object.class {
            Global::Reconstruct => (object.state, [1, 2, 3, 4]),
            Global::FromBuffer => (object.arguments, [2, 1, 3, 0]),
            _ => return Ok(None),
        };
        let part = |index| store.element(parts, index).ok_or_else(|| bad("an array without its parts"));
        let (shape, total) = Shape::of(part(shape)?, store)?;
        let column_major = match part(order)? {
            Value::Bool(column_major) => column_major,
            Value::Int(column_major) => column_major != 0,
            order => store.name_text(order, fields) == Some("F"),
        };
        let (dtype, values) = (Dtype::of(part(dtype)?, store, fields)?, part(values)?);
        let (cells, held) = if dtype.kind == Kind::Object {
            (Cells::Objects(values), store.elements(values))
        } else if dtype.size == 0 {
            return Err(bad("an array of values without a size"));
        } else {
            let bytes = store.raw(values).map(<[u8]>::len).filter(|bytes| bytes.is_multiple_of(dtype.size));
            (Cells::Packed { dtype, bytes: values }, bytes.map(|bytes| bytes / dtype.size))
        };
        if held != Some(total) {
            return Err(bad("an array whose values do not fit its shape"));
        }
        Ok(Some(Array { cells, shape, column_major }))
    }

    /// The whole of an array of one dimension, or one row of an array of two.
    pub fn lane(&self, row: usize) -> Option<Lane> {
        let cells = self.cells;
        match self.shape {
            Shape::One(length) if row == 0 => Some(Lane { cells, at: 0, stride: 1, length }),
            Shape::Two(rows, length) if row < rows => Some(if self.column_major {
                Lane { cells, at: row, stride: rows, length }
            } else {
                Lane { cells, at: row * length, stride: 1, length }
            }),
            _ => None,
        }
    }
}

impl Shape {
    /// The shape and how many values that makes.
    fn of(value: Value, store: &Store) -> Result<(Shape, usize), Fault> {
        /// numpy has no array of more; and one shape may be that of many arrays.
        const DIMENSIONS_MAX: usize = 64;
        let dimensions = store.elements(value).filter(|&dimensions| dimensions <= DIMENSIONS_MAX);
        let dimensions = dimensions.ok_or_else(|| bad("an array without a shape"))?;
        let mut total = 1usize;
        let mut extents = [0; 2];
        for index in 0..dimensions {
            let extent = store.element(value, index).and_then(count);
            let extent = extent.ok_or_else(|| bad("an array whose shape is no shape"))?;
            total = total.checked_mul(extent).ok_or_else(|| bad("an array that is larger than any"))?;
            if let Some(slot) = extents.get_mut(index) {
                *slot = extent;
            }
        }
        let shape = match dimensions {
            0 => Shape::None,
            1 => Shape::One(extents[0]),
            2 => Shape::Two(extents[0], extents[1]),
            _ => Shape::More(extents[0]),
        };
        Ok((shape, total))
    }
}
