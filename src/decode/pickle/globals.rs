//! The Python objects that honest rows may name. None is ever executed: each has a meaning here, or it is refused.

use super::super::error::{Fault, PickleFault};
use super::super::fields::Fields;
use super::intern::Origin;
use super::names::NAMES;
use super::storage::{Store, not_kept, refuse_ads};
use super::text::Encoding;
use super::value::Value;
use super::{moments, numpy};
use crate::model::Micros;

/// A constructor that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `_codecs.encode(text, "latin1")`: how protocols 0 to 2 write `bytes`.
    Encode,
    /// `bytes()`: how protocols 0 to 2 write empty ones.
    EmptyBytes,
    ByteArray,
    Set,
    FrozenSet,
    /// `getattr(zoneinfo.ZoneInfo, "_unpickle")` and no other.
    GetAttr,
    /// `copy_reg._reconstructor(class, object, None)`: how protocols 0 and 1 write any object.
    Reconstructor,
    BaseObject,
    Slice,
    Decimal,
    OrderedDict,
    DateTime,
    /// `datetime.date` and `datetime.time`: no field may hold one, yet other fields of a row do.
    DateOrTime,
    TimeDelta,
    /// `datetime.timezone` of a `timedelta`.
    TimeZone,
    /// pytz: `_UTC()`, `_p(name, utcoffset, dst, abbreviation)`, `FixedOffset(minutes)`.
    PytzUtc,
    PytzZone,
    PytzOffset,
    ZoneInfo,
    ZoneInfoUnpickle,

    NdArray,
    Dtype,
    /// numpy's `_reconstruct`, whose state is the array, and `_frombuffer`, whose arguments are.
    Reconstruct,
    FromBuffer,
    Scalar,

    NotAvailable,
    NotATime,
    /// `_unpickle_timestamp(value, freq, tz, unit)` and, until pandas 1.3, `Timestamp(value, freq, tz)`.
    Timestamp,
    Timedelta,
    Frame,
    Series,
    BlockManager,
    UnpickleBlock,
    /// `functools.partial(new_block)` and no other: how pandas 1.3 says `_unpickle_block`.
    Partial,
    NewBlock,
    NewIndex,
    Index,
    /// An array of values and a mask.
    Masked,
    Categorical,
    /// An array around a numpy array: `StringArray`, `DatetimeArray`, `TimedeltaArray`.
    Backed,
    UnpickleBacked,
    /// An array around a pyarrow array.
    ArrowBacked,
    CategoricalDtype,
    /// What describes a column or an index and tells nothing about its values: dtypes, frequencies.
    Description,

    RestoreArray,
    ChunkedArray,
    PyBuffer,
    TypeForAlias,
    ArrowTimestamp,
}

impl Global {
    pub fn find(module: &str, name: &str) -> Result<Global, Fault> {
        let known = NAMES.iter().find(|known| known.2.contains(&name) && known.1.contains(&module));
        known.map(|known| known.0).ok_or_else(|| forbidden(module, name))
    }

    /// Refuses to make an object of a known class in an unknown way.
    pub fn refuse(self) -> Fault {
        let known = NAMES.iter().find(|known| known.0 == self);
        known.map_or(Fault::Opcode, |known| forbidden(known.1[0], known.2[0]))
    }

    /// A class whose instances are told their state after they were made.
    pub fn has_state(self) -> bool {
        matches!(
            self,
            Self::Frame
                | Self::Series
                | Self::BlockManager
                | Self::Index
                | Self::Masked
                | Self::Categorical
                | Self::Backed
                | Self::UnpickleBacked
                | Self::ArrowBacked
                | Self::CategoricalDtype
                | Self::Description
        )
    }

    /// Whether what it makes may be a column.
    pub fn holds_values(self) -> bool {
        matches!(
            self,
            Self::Reconstruct
                | Self::FromBuffer
                | Self::Series
                | Self::NewIndex
                | Self::Masked
                | Self::Categorical
                | Self::Backed
                | Self::UnpickleBacked
                | Self::ArrowBacked
        )
    }

    /// What calling it gives is kept as it was called; see [`super::objects`].
    pub fn is_recorded(self) -> bool {
        self.has_state()
            || matches!(
                self,
                Self::Slice
                    | Self::ZoneInfoUnpickle
                    | Self::Dtype
                    | Self::Reconstruct
                    | Self::FromBuffer
                    | Self::UnpickleBlock
                    | Self::NewIndex
                    | Self::RestoreArray
                    | Self::ChunkedArray
                    | Self::PyBuffer
                    | Self::TypeForAlias
                    | Self::ArrowTimestamp
            )
    }

    /// What Python would get by calling one that is not recorded.
    pub fn call(self, arguments: &[Value], store: &mut Store, fields: &Fields) -> Result<Value, Fault> {
        match self {
            Global::Encode => encode(arguments, store, fields),
            Global::EmptyBytes if arguments.is_empty() => Ok(Value::Utf8(store.add_text(b"")?)),
            Global::ByteArray => byte_array(arguments, store, fields),
            Global::Set | Global::FrozenSet => store.add_set(self == Global::FrozenSet, arguments.first().copied()),
            Global::DateOrTime | Global::Timedelta => Ok(Value::Opaque { hashable: true }),
            Global::GetAttr => match arguments {
                [Value::Global(Global::ZoneInfo), name] if store.key_text(*name, fields) == Some("_unpickle") => {
                    Ok(Value::Global(Global::ZoneInfoUnpickle))
                }
                _ => Err(self.refuse()),
            },
            Global::Partial => match arguments {
                [Value::Global(Global::NewBlock)] => store.add_object(self, Value::None),
                _ => Err(self.refuse()),
            },
            Global::Reconstructor => match arguments {
                [Value::Global(class), Value::Global(Global::BaseObject), Value::None] if class.has_state() => {
                    let no_arguments = store.add_tuple(&[])?;
                    store.add_object(*class, no_arguments)
                }
                _ => Err(self.refuse()),
            },
            Global::Decimal => decimal(arguments, store, fields),
            Global::OrderedDict => ordered_dict(arguments, store),
            Global::DateTime => moments::date_time(arguments, store, fields),
            Global::TimeDelta => Ok(moments::time_delta(arguments)),
            Global::TimeZone | Global::PytzUtc | Global::PytzZone | Global::PytzOffset => {
                moments::zone(self, arguments, store)
            }
            Global::Timestamp => Ok(moments::timestamp(arguments)),
            Global::NotATime => Ok(Value::NotAvailable),
            Global::Scalar => numpy::scalar(arguments, store, fields),
            _ => Err(self.refuse()),
        }
    }
}

fn forbidden(module: &str, name: &str) -> Fault {
    /// Enough to name a culprit, too little to fill a log.
    const CHARS_MAX: usize = 200;
    let cut = |text: &str| text.chars().take(CHARS_MAX).collect();
    Fault::Global { module: cut(module), name: cut(name) }
}

/// The text may be longer than a field's, as the bytes of an array are.
fn encode(arguments: &[Value], store: &mut Store, fields: &Fields) -> Result<Value, Fault> {
    let refused = || Global::Encode.refuse();
    let &[text, encoding] = arguments else { return Err(refused()) };
    if !matches!(store.key_text(encoding, fields), Some("latin1" | "latin-1")) {
        return Err(refused());
    }
    if matches!(text, Value::Payload(_)) {
        // No character of Latin-1 is shorter.
        store.budget.charge_scattered(store.work_on(text))?;
        let bytes = store.long_text(text).and_then(latin1).ok_or(PickleFault::BadText)?;
        return store.add_payload(bytes, false);
    }
    let text = store.key_text(text, fields).ok_or_else(refused)?;
    let bytes = latin1(text).ok_or(PickleFault::BadText)?;
    store.add_bytes(&bytes)
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        bytes.push(u8::try_from(u32::from(character)).ok()?);
    }
    Some(bytes)
}

/// `bytearray()`, `bytearray(bytes)` and `bytearray(text, "latin1")`.
fn byte_array(arguments: &[Value], store: &mut Store, fields: &Fields) -> Result<Value, Fault> {
    let bytes = match *arguments {
        [] => Value::Utf8(store.add_text(b"")?),
        [bytes] => bytes,
        _ => encode(arguments, store, fields)?,
    };
    match bytes {
        Value::Utf8(span) | Value::Bytes(span) => Ok(Value::ByteArray(span)),
        // Nothing changes it, so it may as well be shared.
        Value::Payload(_) if store.raw(bytes).is_some() => Ok(bytes),
        _ => Ok(Value::Opaque { hashable: false }),
    }
}

/// `Decimal("12.5")`. What is no amount of money (`NaN`, too large) is kept as what no field may hold.
fn decimal(arguments: &[Value], store: &Store, fields: &Fields) -> Result<Value, Fault> {
    let &[text] = arguments else { return Err(Global::Decimal.refuse()) };
    let text = store.key_text(text, fields).ok_or_else(|| Global::Decimal.refuse())?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let negative = text.starts_with('-') && mantissa.contains(|digit: char| digit.is_ascii_digit() && digit != '0');
    Ok(match Micros::parse(text) {
        Some(Micros(micros)) => Value::Decimal { micros, negative },
        None => Value::Opaque { hashable: true },
    })
}

/// `OrderedDict()`, its items to follow; Python 2 gives them at once, as a list of lists of two.
fn ordered_dict(arguments: &[Value], store: &mut Store) -> Result<Value, Fault> {
    let refused = || Global::OrderedDict.refuse();
    let dict = store.add_dict()?;
    let (Value::Dict(id), Value::List(items)) = (dict, arguments.first().copied().unwrap_or(Value::Absent)) else {
        return if arguments.is_empty() { Ok(dict) } else { Err(refused()) };
    };
    for index in 0..store.length(items) {
        let pair = match store.item(items, index) {
            Some(Value::List(pair) | Value::Tuple(pair)) => pair,
            Some(Value::Ads(_)) => return Err(not_kept()),
            _ => return Err(refused()),
        };
        let (Some(key), Some(value), 2) = (store.item(pair, 0), store.item(pair, 1), store.length(pair)) else {
            return Err(refused());
        };
        if !store.is_hashable(key) {
            return Err(PickleFault::UnhashableKey.into());
        }
        refuse_ads(&[key])?;
        store.attach_to_dict(id, key, value)?;
        if let Value::Field(field) = key {
            store.set(id, field, value)?;
        }
    }
    Ok(dict)
}

impl Store {
    /// `bytes`, told apart once by whether they are text.
    pub fn add_bytes(&mut self, bytes: &[u8]) -> Result<Value, Fault> {
        if let Some(value) = self.intern(Origin::Bytes, bytes)? {
            return Ok(value);
        }
        let span = self.add_text(bytes)?;
        Ok(if Encoding::of(bytes) == Encoding::Utf8 { Value::Utf8(span) } else { Value::Bytes(span) })
    }

    /// A `str` that is written in UTF-8.
    pub fn add_str(&mut self, bytes: &[u8], fields: &Fields) -> Result<Value, Fault> {
        if let Some(field) = fields.find(bytes) {
            return Ok(Value::Field(field));
        }
        if self.keeps_states
            && let Some(key) = fields.find_state(bytes)
        {
            return Ok(Value::Field(key));
        }
        if let Some(value) = self.intern(Origin::Str, bytes)? {
            return Ok(value);
        }
        match Encoding::of(bytes) {
            Encoding::Utf8 => self.add_text(bytes).map(Value::Text),
            Encoding::Surrogates => self.add_text(bytes).map(Value::Surrogates),
            Encoding::Neither => Err(PickleFault::BadText.into()),
        }
    }

    /// Python 2's `str`: text when it is UTF-8, else bytes.
    pub fn add_old_str(&mut self, bytes: &[u8], fields: &Fields) -> Result<Value, Fault> {
        if let Some(field) = fields.find(bytes) {
            return Ok(Value::Field(field));
        }
        if let Some(value) = self.intern(Origin::OldStr, bytes)? {
            return Ok(value);
        }
        let span = self.add_text(bytes)?;
        Ok(if Encoding::of(bytes) == Encoding::Utf8 { Value::OldText(span) } else { Value::Bytes(span) })
    }
}
