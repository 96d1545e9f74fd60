//! What a machine's stack and memo hold: values of 16 bytes, whose contents live in the store.

use super::super::fields::FieldId;
use super::globals::Global;
use super::intern::INTERNED;

/// Bytes in the store's text, or an interned text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub at: u32,
    pub length: u32,
}

/// A Python value. Lists, tuples, sets and dicts are named by their place in the store: equal names are the same object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// No value at all: a field that a row does not have.
    Absent,
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Text that equals the name of a field that counts.
    Field(FieldId),
    /// A `str` in UTF-8.
    Text(Span),
    /// A `str` with lone surrogates, in UTF-8 as Python's `surrogatepass` writes it.
    Surrogates(Span),
    /// Python 2's `str` in UTF-8: equal to text as a key, bytes otherwise.
    OldText(Span),
    /// `bytes` that are UTF-8.
    Utf8(Span),
    /// `bytes` that are not.
    Bytes(Span),
    /// An integer beyond 64 bits, little-endian in two's complement.
    Long(Span),
    /// An integer beyond 64 bits, in decimal: a minus or nothing, then digits that do not begin with 0.
    Digits(Span),
    /// A `decimal.Decimal` whose micros fit; `negative` as it was before rounding.
    Decimal {
        micros: i64,
        negative: bool,
    },
    Dict(u32),
    List(u32),
    /// A list of dicts of which only the ids are kept that it means as `ads`.
    Ads(u32),
    /// JSON text of which no more is kept.
    JsonAds(u32),
    Tuple(u32),
    /// A set, and a frozenset: their elements are not kept.
    Set(u32),
    FrozenSet(u32),
    /// `bytearray`.
    ByteArray(Span),
    /// Text or bytes longer than a field may be: they can only be an array's.
    Payload(u32),
    /// An instant of `datetime`, pandas or numpy, in Unix seconds, cut off downwards.
    Time(i64),
    /// `datetime.timedelta`, in microseconds.
    Duration(i64),
    /// A time zone, or what it is at some instant: seconds east of Greenwich.
    Offset(i32),
    /// pandas' `NA` or `NaT`.
    NotAvailable,
    /// `NA`, `NaT` or NaN in a DataFrame, where they stand for no value.
    Missing,
    /// An instance of a class that is known.
    Object(u32),
    /// An object that no field may hold.
    Opaque {
        hashable: bool,
    },
    Global(Global),
}

impl Value {
    /// Whether only the ids are left of it.
    pub fn is_ads(self) -> bool {
        matches!(self, Self::Ads(_) | Self::JsonAds(_))
    }

    /// Whether it means nothing once the store forgets what it has of its own.
    pub fn is_stored(self) -> bool {
        match self {
            Self::Text(span) | Self::Surrogates(span) | Self::OldText(span) => span.at & INTERNED == 0,
            Self::Utf8(span) | Self::Bytes(span) => span.at & INTERNED == 0,
            Self::Long(_) | Self::Digits(_) | Self::Dict(_) | Self::List(_) | Self::Tuple(_) => true,
            Self::Ads(_) | Self::JsonAds(_) => true,
            Self::Set(_) | Self::FrozenSet(_) => true,
            Self::Absent | Self::None | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Field(_) => false,
            Self::Decimal { .. } | Self::Opaque { .. } | Self::Global(_) => false,
            Self::ByteArray(span) => span.at & INTERNED == 0,
            Self::Time(_) | Self::Duration(_) | Self::Offset(_) | Self::NotAvailable | Self::Missing => false,
            // These are kept to the dump's end, with what an object refers to.
            Self::Object(_) | Self::Payload(_) => false,
        }
    }
}
