//! The Python objects that honest rows may name. None is ever executed: each has a meaning here, or it is refused.

use super::super::error::{Fault, PickleFault};
use super::super::fields::Fields;
use super::intern::Origin;
use super::text::Encoding;
use super::value::{Store, Value};
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
    Decimal,
    OrderedDict,
    /// `datetime.datetime` and its kin: no field may hold one, yet other fields of a row do.
    DateTime,
}

impl Global {
    /// Every pair of names that is accepted. Protocols 0 to 2 write `__builtin__` for `builtins`.
    const NAMES: &[(&str, &str, Global)] = &[
        ("_codecs", "encode", Global::Encode),
        ("builtins", "bytes", Global::EmptyBytes),
        ("__builtin__", "bytes", Global::EmptyBytes),
        ("builtins", "bytearray", Global::ByteArray),
        ("__builtin__", "bytearray", Global::ByteArray),
        ("builtins", "set", Global::Set),
        ("__builtin__", "set", Global::Set),
        ("builtins", "frozenset", Global::FrozenSet),
        ("__builtin__", "frozenset", Global::FrozenSet),
        ("decimal", "Decimal", Global::Decimal),
        ("collections", "OrderedDict", Global::OrderedDict),
        ("datetime", "datetime", Global::DateTime),
        ("datetime", "date", Global::DateTime),
        ("datetime", "time", Global::DateTime),
        ("datetime", "timedelta", Global::DateTime),
        ("datetime", "timezone", Global::DateTime),
    ];

    pub fn find(module: &str, name: &str) -> Result<Global, Fault> {
        let known = Self::NAMES.iter().find(|known| (known.0, known.1) == (module, name));
        known.map(|known| known.2).ok_or_else(|| forbidden(module, name))
    }

    /// Refuses to make an object of a known class in an unknown way.
    pub fn refuse(self) -> Fault {
        let known = Self::NAMES.iter().find(|known| known.2 == self);
        known.map_or(Fault::Opcode, |known| forbidden(known.0, known.1))
    }

    /// What Python would get by calling it.
    pub fn call(self, arguments: &[Value], store: &mut Store, fields: &Fields) -> Result<Value, Fault> {
        match self {
            Global::Encode => encode(arguments, store, fields),
            Global::EmptyBytes if arguments.is_empty() => Ok(Value::Utf8(store.add_text(b"")?)),
            Global::EmptyBytes => Err(self.refuse()),
            Global::ByteArray => Ok(Value::Opaque { hashable: false }),
            Global::Set => Ok(Value::Set),
            Global::FrozenSet | Global::DateTime => Ok(Value::Opaque { hashable: true }),
            Global::Decimal => decimal(arguments, store, fields),
            Global::OrderedDict => ordered_dict(arguments, store),
        }
    }
}

fn forbidden(module: &str, name: &str) -> Fault {
    /// Enough to name a culprit, too little to fill a log.
    const CHARS_MAX: usize = 200;
    let cut = |text: &str| text.chars().take(CHARS_MAX).collect();
    Fault::Global { module: cut(module), name: cut(name) }
}

fn encode(arguments: &[Value], store: &mut Store, fields: &Fields) -> Result<Value, Fault> {
    let refused = || Global::Encode.refuse();
    let &[text, encoding] = arguments else { return Err(refused()) };
    if !matches!(store.key_text(encoding, fields), Some("latin1" | "latin-1")) {
        return Err(refused());
    }
    let text = store.key_text(text, fields).ok_or_else(refused)?;
    let bytes: Result<Vec<u8>, _> = text.chars().map(|character| u8::try_from(u32::from(character))).collect();
    store.add_bytes(&bytes.map_err(|_| PickleFault::BadText)?)
}

/// `Decimal("12.5")`. What is no amount of money (`NaN`, too large) is kept as what no field may hold.
fn decimal(arguments: &[Value], store: &mut Store, fields: &Fields) -> Result<Value, Fault> {
    /// Longer texts are charged to the budget, lest one of a million digits be read a million times over.
    const FREE_BYTES: usize = 64;
    let &[text] = arguments else { return Err(Global::Decimal.refuse()) };
    let bytes = store.key_bytes(text).unwrap_or_default();
    if bytes > FREE_BYTES {
        store.budget.charge_scattered(bytes)?;
    }
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
        let Some(Value::List(pair) | Value::Tuple(pair)) = store.item(items, index) else { return Err(refused()) };
        let (Some(key), Some(value), 2) = (store.item(pair, 0), store.item(pair, 1), store.length(pair)) else {
            return Err(refused());
        };
        // The list may be shared: its items are charged each time they are read.
        store.budget.charge_scattered(size_of::<Value>())?;
        if !store.is_hashable(key) {
            return Err(PickleFault::UnhashableKey.into());
        }
        store.attach_to_dict(id, value)?;
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
