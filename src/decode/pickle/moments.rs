//! Instants, and what it takes to tell them: time zones. An instant without a zone is in UTC.

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZoneDatabase};

use super::super::error::Fault;
use super::super::fields::Fields;
use super::globals::Global;
use super::storage::Store;
use super::value::Value;

const NOTHING_KNOWN: Value = Value::Opaque { hashable: true };

/// `datetime.datetime(ten bytes[, zone])`, as `datetime.__reduce_ex__` writes it.
pub fn date_time(arguments: &[Value], store: &Store, fields: &Fields) -> Result<Value, Fault> {
    let (Some(&state), zone) = (arguments.first(), arguments.get(1)) else { return Err(Global::DateTime.refuse()) };
    let Some(&[year_high, year_low, month, day, hour, minute, second, ..]) = store.raw(state) else {
        // Python 3 reads Python 2's as text; a hand may have written numbers.
        return Ok(NOTHING_KNOWN);
    };
    /// Set in the month where a clock shows the same time a second time.
    const FOLD: u8 = 0x80;
    let civil = civil::DateTime::new(
        i16::from_be_bytes([year_high, year_low]),
        (month & !FOLD) as i8,
        day as i8,
        hour as i8,
        minute as i8,
        second as i8,
        0,
    );
    let Ok(civil) = civil else { return Ok(NOTHING_KNOWN) };
    let local = days_from_civil(i64::from(civil.year()), i64::from(civil.month()), i64::from(civil.day())) * 86_400
        + i64::from(civil.hour()) * 3600
        + i64::from(civil.minute()) * 60
        + i64::from(civil.second());
    Ok(match zone {
        None | Some(Value::None) => Value::Time(local),
        Some(Value::Offset(east)) => Value::Time(local - i64::from(*east)),
        Some(&zone) => named_zone(zone, store, fields)
            .and_then(|name| TimeZoneDatabase::bundled().get(name).ok())
            .map_or(NOTHING_KNOWN, |zone| {
                // As PEP 495 has it, for a time that comes twice and for one that does not come at all.
                let offset = match zone.to_ambiguous_zoned(civil).offset() {
                    AmbiguousOffset::Unambiguous { offset } => offset,
                    AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } if month & FOLD == 0 => {
                        before
                    }
                    AmbiguousOffset::Gap { after, .. } | AmbiguousOffset::Fold { after, .. } => after,
                };
                Value::Time(local - i64::from(offset.seconds()))
            }),
    })
}

/// The name of a zone whose offset depends on the time: `zoneinfo.ZoneInfo._unpickle(name, cached)`.
fn named_zone<'s>(zone: Value, store: &'s Store, fields: &'s Fields) -> Option<&'s str> {
    let object = store.object(zone).filter(|object| object.class == Global::ZoneInfoUnpickle)?;
    store.name_text(store.element(object.arguments, 0)?, fields)
}

/// `datetime.timedelta(days, seconds, microseconds)`.
pub fn time_delta(arguments: &[Value]) -> Value {
    let part = |index: usize| match arguments.get(index) {
        None => Some(0),
        Some(Value::Int(part)) => Some(i128::from(*part)),
        _ => None,
    };
    let micros = (|| Some((part(0)? * 86_400 + part(1)?) * 1_000_000 + part(2)?))();
    micros.and_then(|micros| i64::try_from(micros).ok()).map_or(NOTHING_KNOWN, Value::Duration)
}

/// A zone, as far as its offset from UTC is written with it.
pub fn zone(class: Global, arguments: &[Value], store: &mut Store) -> Result<Value, Fault> {
    let seconds = match (class, arguments) {
        (Global::PytzUtc, []) => Some(0),
        // Whole minutes, but since Python 3.7 whatever is less than a day.
        (Global::TimeZone, [Value::Duration(micros), ..]) => Some(micros.div_euclid(1_000_000)),
        (Global::PytzOffset, [Value::Int(minutes), ..]) => minutes.checked_mul(60),
        (Global::PytzZone, [_, Value::Int(seconds), ..]) => Some(*seconds),
        (Global::PytzZone, [name]) => {
            let arguments = store.add_tuple(&[*name])?;
            return store.add_object(Global::ZoneInfoUnpickle, arguments);
        }
        _ => None,
    };
    Ok(seconds
        .filter(|seconds| (-86_400..=86_400).contains(seconds))
        .and_then(|seconds| i32::try_from(seconds).ok())
        .map_or(NOTHING_KNOWN, Value::Offset))
}

/// pandas' `Timestamp`: a count of units since 1970 in UTC, whatever its zone.
pub fn timestamp(arguments: &[Value]) -> Value {
    let unit = match arguments.get(3) {
        // The numbers of numpy's `NPY_DATETIMEUNIT`.
        None | Some(Value::Int(10)) => Unit::NANOSECOND,
        Some(Value::Int(9)) => Unit::MICROSECOND,
        Some(Value::Int(8)) => Unit::MILLISECOND,
        Some(Value::Int(7)) => Unit::SECOND,
        _ => return NOTHING_KNOWN,
    };
    match arguments.first() {
        Some(&Value::Int(count)) => unit.instant(count),
        _ => NOTHING_KNOWN,
    }
}

/// Days since 1970 of a date in the Gregorian calendar.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The unit that `datetime64` counts in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// A year has 12.
    Months(i64),
    Seconds(i64),
    /// So many to a second, counted by so many at a time.
    Parts {
        parts: i64,
        times: i64,
    },
    /// Of which only `NaT` is known.
    Generic,
}

impl Unit {
    pub const SECOND: Unit = Unit::Seconds(1);
    pub const MILLISECOND: Unit = Unit::Parts { parts: 1_000, times: 1 };
    pub const MICROSECOND: Unit = Unit::Parts { parts: 1_000_000, times: 1 };
    pub const NANOSECOND: Unit = Unit::Parts { parts: 1_000_000_000, times: 1 };

    /// The ninth part of a dtype's state: `(metadata, (b'ns', 1, 1, 1))`.
    pub fn of(metadata: Option<Value>, store: &Store) -> Option<Unit> {
        let unit = store.element(metadata?, 1)?;
        let (Value::Int(times @ 1..=1_000_000), Value::Int(1)) = (store.element(unit, 1)?, store.element(unit, 2)?)
        else {
            return None;
        };
        /// `generic` is the longest.
        const NAME_BYTES_MAX: usize = 7;
        let name = store.raw(store.element(unit, 0)?).filter(|name| name.len() <= NAME_BYTES_MAX)?;
        Unit::named(std::str::from_utf8(name).ok()?, times)
    }

    pub fn named(name: &str, times: i64) -> Option<Unit> {
        Some(match name {
            "Y" => Unit::Months(12 * times),
            "M" => Unit::Months(times),
            "W" => Unit::Seconds(7 * 86_400 * times),
            "D" => Unit::Seconds(86_400 * times),
            "h" => Unit::Seconds(3600 * times),
            "m" => Unit::Seconds(60 * times),
            "s" => Unit::Seconds(times),
            "ms" => Unit::Parts { parts: 1_000, times },
            "us" => Unit::Parts { parts: 1_000_000, times },
            "ns" => Unit::Parts { parts: 1_000_000_000, times },
            "ps" => Unit::Parts { parts: 1_000_000_000_000, times },
            "fs" => Unit::Parts { parts: 1_000_000_000_000_000, times },
            "as" => Unit::Parts { parts: 1_000_000_000_000_000_000, times },
            "generic" => Unit::Generic,
            _ => return None,
        })
    }

    /// The instant so many units after 1970 began; what is beyond the years that count in seconds is beyond any window.
    pub fn instant(self, count: i64) -> Value {
        const NOT_A_TIME: i64 = i64::MIN;
        if count == NOT_A_TIME {
            return Value::NotAvailable;
        }
        let wide = i128::from(count);
        let seconds = match self {
            Unit::Months(times) => {
                let month = wide * i128::from(times);
                // A few thousand million years are enough for anyone.
                let month = month.clamp(-(1 << 40), 1 << 40) as i64;
                i128::from(days_from_civil(1970 + month.div_euclid(12), month.rem_euclid(12) + 1, 1)) * 86_400
            }
            Unit::Seconds(times) => wide * i128::from(times),
            Unit::Parts { parts, times } => (wide * i128::from(times)).div_euclid(i128::from(parts)),
            Unit::Generic => return Value::Opaque { hashable: true },
        };
        Value::Time(seconds.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}
