//! What each field of a row may be, and what it becomes. One function a field, in the order in which they are checked.

use std::ops::RangeInclusive;

use super::ads_json::{self, Ids};
use super::error::Fault;
use super::fields::Fields;
use super::pickle::{Keep, Span, Store, Value, decimal_text};
use crate::model::{MeasureKind, Micros, RejectReason};

/// The integer that a double is, where it is one of 64 bits.
#[inline]
pub(crate) fn integral(value: f64) -> Option<i64> {
    /// 2^63: the first double above every i64.
    const END: f64 = 9_223_372_036_854_775_808.0;
    let whole = value as i64;
    ((-END..END).contains(&value) && whole as f64 == value).then_some(whole)
}

/// Unix seconds; fractions are cut off downwards.
#[inline]
pub(crate) fn timestamp(value: Value, window: &RangeInclusive<i64>) -> Result<i64, RejectReason> {
    let seconds = match value {
        Value::Absent | Value::None | Value::Missing => return Err(RejectReason::TimestampMissing),
        Value::Int(seconds) | Value::Time(seconds) => Some(seconds),
        Value::Bool(seconds) => Some(i64::from(seconds)),
        Value::Float(seconds) if seconds.is_finite() => integral(seconds.floor()),
        Value::Long(_) | Value::Digits(_) => None,
        _ => return Err(RejectReason::TimestampNotANumber),
    };
    seconds.filter(|seconds| window.contains(seconds)).ok_or(RejectReason::TimestampOutOfWindow)
}

/// The media key's text, which lies in the store or is written to `scratch`.
pub(crate) fn media_key<'s>(
    value: Value,
    chars_max: usize,
    store: &'s Store,
    fields: &'s Fields,
    scratch: &'s mut String,
) -> Result<&'s str, RejectReason> {
    scratch.clear();
    let text = match value {
        Value::Absent | Value::None | Value::Missing => "",
        Value::Field(field) => fields.name(field),
        Value::Text(span) | Value::OldText(span) | Value::Utf8(span) | Value::Digits(span) => {
            if span.length as usize > chars_max.saturating_mul(char::MAX.len_utf8()) {
                return Err(RejectReason::MediaKeyTooLong);
            }
            store.text(span)
        }
        Value::Int(_) | Value::Long(_) | Value::Float(_) => {
            write_number(value, chars_max, store, scratch)?;
            scratch
        }
        _ => return Err(RejectReason::MediaKeyNotText),
    };
    // A character has at least one byte.
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(RejectReason::MediaKeyTooLong);
    }
    Ok(text)
}

fn write_number(value: Value, chars_max: usize, store: &Store, text: &mut String) -> Result<(), RejectReason> {
    use std::fmt::Write;
    let written = match value {
        Value::Int(number) => write!(text, "{number}"),
        // Every byte beyond the first is more than two decimal digits.
        Value::Long(span) if (span.length as usize - 1).saturating_mul(2) > chars_max => {
            return Err(RejectReason::MediaKeyTooLong);
        }
        Value::Long(span) => write!(text, "{}", decimal_text(store.bytes(span))),
        // Adding zero turns -0.0 into 0.0.
        Value::Float(number) if number.is_finite() && number.fract() == 0.0 => write!(text, "{:.0}", number + 0.0),
        _ => return Err(RejectReason::MediaKeyNotText),
    };
    written.map_err(|_| RejectReason::MediaKeyNotText)
}

/// The ids of the first of the row's `ads`. The outer error is the dump's: no room to remember.
pub(crate) fn ids(value: Value, store: &mut Store, fields: &Fields) -> Result<Result<Ids, RejectReason>, Fault> {
    Ok(match value {
        Value::Absent | Value::None | Value::Missing => Ok([0; 3]),
        Value::List(id) | Value::Tuple(id) => match store.item(id, 0) {
            None => Ok([0; 3]),
            Some(Value::Dict(first)) if store.is_gone(first) => return Err(Fault::Forgotten(Keep::Everything)),
            Some(Value::Dict(first)) => ids_of_dict(first, store, fields),
            Some(_) => Err(RejectReason::AdsUnreadable),
        },
        Value::Ads(place) | Value::JsonAds(place) => Ok(store.ads(place)),
        Value::Field(field) => ads_json::parse(fields.name(field).as_bytes(), fields),
        Value::Text(span) | Value::OldText(span) | Value::Utf8(span) => return ids_of_json(span, store, fields),
        _ => Err(RejectReason::AdsUnreadable),
    })
}

fn ids_of_dict(dict: u32, store: &Store, fields: &Fields) -> Result<Ids, RejectReason> {
    let mut ids = [0; 3];
    for (slot, field) in ids.iter_mut().zip(fields.ids) {
        *slot = id(store.get(dict, field).unwrap_or(Value::Absent))?;
    }
    Ok(ids)
}

/// An id of an ad.
pub(crate) fn id(value: Value) -> Result<i64, RejectReason> {
    match value {
        Value::Absent | Value::None => Ok(0),
        value => integer(value).ok_or(RejectReason::IdNotAnInteger),
    }
}

fn ids_of_json(span: Span, store: &mut Store, fields: &Fields) -> Result<Result<Ids, RejectReason>, Fault> {
    /// Parsing less again costs no more than looking it up.
    const REMEMBERED_BYTES: u32 = 128;
    if span.length < REMEMBERED_BYTES {
        return Ok(ads_json::parse(store.bytes(span), fields));
    }
    if let Some(ids) = store.json(span) {
        return Ok(ids);
    }
    let ids = ads_json::parse(store.bytes(span), fields);
    store.remember_json(span, ids)?;
    Ok(ids)
}

/// An integer of 64 bits, also as a bool or as a float without a fraction.
#[inline]
fn integer(value: Value) -> Option<i64> {
    match value {
        Value::Int(integer) => Some(integer),
        Value::Bool(integer) => Some(i64::from(integer)),
        Value::Float(float) => integral(float),
        _ => None,
    }
}

/// A measure's number: the count itself, or money in micros.
#[inline]
pub(crate) fn measure(value: Value, kind: MeasureKind) -> Result<i64, RejectReason> {
    match (kind, value) {
        (_, Value::Absent | Value::None) | (MeasureKind::Count, Value::Missing) => Ok(0),
        (MeasureKind::Count, value) => {
            let count = integer(value).ok_or(RejectReason::CounterNotAnInteger)?;
            if count < 0 { Err(RejectReason::CounterNegative) } else { Ok(count) }
        }
        (MeasureKind::Money, value) => {
            let (micros, negative) = money(value).ok_or(RejectReason::MoneyNotANumber)?;
            if negative { Err(RejectReason::MoneyNegative) } else { Ok(micros) }
        }
    }
}

/// Micros, and whether the amount was below zero before it was rounded.
#[inline]
fn money(value: Value) -> Option<(i64, bool)> {
    match value {
        Value::Int(units) => Micros::from_units(units).map(|Micros(micros)| (micros, units < 0)),
        Value::Bool(units) => Some((i64::from(units) * Micros::PER_UNIT, false)),
        Value::Float(units) => Micros::from_f64(units).map(|Micros(micros)| (micros, units < 0.0)),
        Value::Decimal { micros, negative } => Some((micros, negative)),
        _ => None,
    }
}
