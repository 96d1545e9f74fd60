//! The plainest rows, which are nearly all: known keys, small numbers, one ad. No value is made of them; what is read goes
//! to the columns. Anything less plain, and any row that is to be rejected, is left to `Parse::row`.
//!
//! The place in the window is handed from function to function so that it stays in a register: it is what everything else
//! waits for.

use super::super::super::ads_json::{self, Ids};
use super::super::super::error::Fault;
use super::super::super::rows::{MediaKey, Rows};
use super::super::super::rules;
use super::super::intern::Origin;
use super::super::memo::Word;
use super::super::opcode as op;
use super::super::value::Value;
use super::keys::{Role, word_at};
use super::parse::{AD, Parse, ROW, SKIPPED_DEPTH_MAX, is_text_or_get};
use crate::model::Micros;

/// Schemas of more measures take the other path.
pub const MEASURES_MAX: usize = 16;

/// What was read of a row.
struct Row {
    timestamp: Option<i64>,
    media_key: MediaKey,
    ids: Ids,
    measures: [i64; MEASURES_MAX],
}

impl Parse<'_> {
    /// Reads a row and, when what follows it is as it should be, adds it to the rows.
    pub fn plain_row(&mut self, rows: &mut Rows, listed_together: bool) -> Option<Result<(), Fault>> {
        let mut row = Row { timestamp: None, media_key: MediaKey::Empty, ids: [0; 3], measures: [0; MEASURES_MAX] };
        let at = self.plain_dict(self.at)?;
        let at = self.plain_items::<ROW>(at, |parse, role, at| match role {
            Role::Timestamp => {
                let (timestamp, at) = parse.seconds(at)?;
                row.timestamp = Some(timestamp);
                Some(at)
            }
            Role::MediaKey => {
                let (media_key, at) = parse.media_key(at)?;
                row.media_key = media_key;
                Some(at)
            }
            Role::Ads => {
                let (ids, at) = parse.plain_ads(at)?;
                row.ids = ids;
                Some(at)
            }
            Role::Count(nth) => {
                let (count, at) = parse.count(at)?;
                *row.measures.get_mut(nth)? = count;
                Some(at)
            }
            Role::Money(nth) => {
                let (micros, at) = parse.money(at)?;
                *row.measures.get_mut(nth)? = micros;
                Some(at)
            }
            Role::Nothing => parse.skipped(at),
            Role::Id(_) | Role::Several => None,
        })?;
        let timestamp = row.timestamp.filter(|timestamp| self.window.contains(timestamp))?;
        let end = match *self.bytes.get(at)? {
            op::EMPTY_DICT | op::APPENDS if listed_together => at,
            op::APPEND if !listed_together => at + 1,
            _ => return None,
        };
        self.at = end;
        Some(rows.accept(timestamp, row.media_key, row.ids, &row.measures, self.store))
    }

    /// The start of a dict, and the memo entry that is made of it.
    #[inline(always)]
    fn plain_dict(&mut self, at: usize) -> Option<usize> {
        let at = match *self.bytes.get(at)? {
            op::EMPTY_DICT => at + 1,
            op::MARK if *self.bytes.get(at + 1)? == op::DICT => at + 2,
            _ => return None,
        };
        self.plain_put(at, Word::FORGOTTEN)
    }

    #[inline(always)]
    fn plain_put(&mut self, at: usize, word: Word) -> Option<usize> {
        let next = match *self.bytes.get(at)? {
            op::MEMOIZE if self.is_gapless => at + 1,
            op::LONG_BINPUT => {
                let index = u64::from(word_at(self.bytes, at)? as u32 >> 8) | u64::from(*self.bytes.get(at + 4)?) << 24;
                (index == self.memo.next()).then_some(at + 5)?
            }
            op::BINPUT | op::PUT | op::MEMOIZE => return self.other_put(at, word),
            _ => return Some(at),
        };
        self.protocols |= if next == at + 1 { 1 << 4 } else { 1 << 1 };
        self.memo.push(word, &mut self.store.budget).ok()?;
        Some(next)
    }

    #[cold]
    fn other_put(&mut self, at: usize, word: Word) -> Option<usize> {
        self.at = at;
        self.put(word)?;
        Some(self.at)
    }

    /// As `items`: the items of a dict that has begun.
    #[inline(always)]
    fn plain_items<const KIND: usize>(
        &mut self,
        at: usize,
        mut value: impl FnMut(&mut Self, Role, usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut at = at;
        let mut nth = 0;
        let together = match *self.bytes.get(at)? {
            op::MARK if *self.bytes.get(at + 1)? != op::DICT => {
                at += 1;
                true
            }
            _ => false,
        };
        loop {
            let key = match self.keys[KIND].expected(nth, self.bytes, at) {
                Some(key) => key,
                None => match *self.bytes.get(at)? {
                    op::SETITEMS if together => break at += 1,
                    code if !together && !is_text_or_get(code) => break,
                    _ => {
                        let (found, key) = self.keys[KIND].unexpected(nth, self.bytes, at)?;
                        nth = found;
                        key
                    }
                },
            };
            nth += 1;
            let (role, word) = (key.role, key.word);
            at += key.length();
            self.protocols |= key.protocols;
            if let Some(word) = word {
                at = self.plain_put(at, word)?;
            }
            at = value(self, role, at)?;
            if !together {
                at = (*self.bytes.get(at)? == op::SETITEM).then_some(at + 1)?;
            }
        }
        self.protocols |= 1 << u8::from(together);
        // More items may follow, but not of a plain row.
        Some(at)
    }

    /// A small integer.
    #[inline(always)]
    fn small(&mut self, at: usize) -> Option<(i64, usize)> {
        let word = word_at(self.bytes, at)?;
        let operand = word >> 8;
        let small = match word as u8 {
            op::BININT1 => (i64::from(operand as u8), at + 2),
            op::BININT2 => (i64::from(operand as u16), at + 3),
            op::BININT => (i64::from(operand as i32), at + 5),
            _ => return None,
        };
        self.protocols |= 1 << 1;
        Some(small)
    }

    /// Any integer that fits.
    #[inline(always)]
    fn integer(&mut self, at: usize) -> Option<(i64, usize)> {
        match self.small(at) {
            Some(small) => Some(small),
            None => self.other_integer(at),
        }
    }

    #[inline(never)]
    fn other_integer(&mut self, at: usize) -> Option<(i64, usize)> {
        match self.other(at)? {
            (Value::Int(integer), at) => Some((integer, at)),
            (Value::None, at) => Some((0, at)),
            _ => None,
        }
    }

    /// A value as the other path reads it.
    fn other(&mut self, at: usize) -> Option<(Value, usize)> {
        self.at = at;
        let value = self.value()?;
        Some((value, self.at))
    }

    #[inline(always)]
    fn seconds(&mut self, at: usize) -> Option<(i64, usize)> {
        match self.small(at) {
            Some(small) => Some(small),
            None => self.other_seconds(at),
        }
    }

    #[inline(never)]
    fn other_seconds(&mut self, at: usize) -> Option<(i64, usize)> {
        let (value, at) = self.other(at)?;
        Some((rules::timestamp(value, self.window).ok()?, at))
    }

    #[inline(always)]
    fn count(&mut self, at: usize) -> Option<(i64, usize)> {
        self.integer(at).filter(|(count, _)| *count >= 0)
    }

    #[inline(always)]
    fn money(&mut self, at: usize) -> Option<(i64, usize)> {
        if *self.bytes.get(at)? != op::BINFLOAT {
            return self.other_money(at);
        }
        let units = f64::from_be_bytes(*self.bytes.get(at + 1..)?.first_chunk()?);
        let Micros(micros) = Micros::from_f64(units)?;
        self.protocols |= 1 << 1;
        (units >= 0.0).then_some((micros, at + 9))
    }

    #[inline(never)]
    fn other_money(&mut self, at: usize) -> Option<(i64, usize)> {
        let (value, at) = self.other(at)?;
        Some((rules::measure(value, crate::model::MeasureKind::Money).ok()?, at))
    }

    #[inline(always)]
    fn media_key(&mut self, at: usize) -> Option<(MediaKey, usize)> {
        let (value, at) = match *self.bytes.get(at)? {
            op::SHORT_BINUNICODE => {
                let length = usize::from(*self.bytes.get(at + 1)?);
                let text = self.bytes.get(at + 2..at + 2 + length)?;
                self.protocols |= 1 << 4;
                self.interned(text, at + 2 + length)?
            }
            op::BINUNICODE => {
                let length = word_at(self.bytes, at)? >> 8 & 0xffff_ffff;
                let start = at + 5;
                let text = self.bytes.get(start..start + length as usize)?;
                self.protocols |= 1 << 1;
                self.interned(text, start + length as usize)?
            }
            _ => self.other(at)?,
        };
        let media_key = match value {
            Value::Text(span) | Value::OldText(span) | Value::Utf8(span) => {
                let name = self.store.text_name(value)?;
                (span.length as usize <= self.media_key_chars_max).then_some(MediaKey::Text(name, span))?
            }
            Value::Int(number) => MediaKey::Number(number),
            _ => return None,
        };
        Some((media_key, at))
    }

    #[inline(always)]
    fn interned(&mut self, text: &[u8], at: usize) -> Option<(Value, usize)> {
        let value = match self.fields.find(text) {
            Some(field) => Value::Field(field),
            None => self.store.intern(Origin::Str, text).ok()??,
        };
        Some((value, self.plain_put(at, Word::of(value)?)?))
    }

    /// A list of one ad or none, or JSON text of that.
    #[inline(always)]
    fn plain_ads(&mut self, at: usize) -> Option<(Ids, usize)> {
        let at = match *self.bytes.get(at)? {
            op::EMPTY_LIST if !self.keeps_parts => at + 1,
            op::MARK if *self.bytes.get(at + 1)? == op::LIST && !self.keeps_parts => at + 2,
            _ => return self.other_ads(at),
        };
        let at = self.plain_put(at, Word::FORGOTTEN)?;
        match *self.bytes.get(at)? {
            op::EMPTY_DICT => {}
            op::MARK if *self.bytes.get(at + 1)? == op::DICT => {}
            op::MARK => return None,
            _ => return Some(([0; 3], at)),
        }
        let mut ids = [0; 3];
        let at = self.plain_dict(at)?;
        let at = self.plain_items::<AD>(at, |parse, role, at| match role {
            Role::Id(nth) => {
                let (id, at) = parse.integer(at)?;
                *ids.get_mut(nth)? = id;
                Some(at)
            }
            Role::Nothing => parse.skipped(at),
            _ => None,
        })?;
        self.protocols |= 1 << 1;
        (*self.bytes.get(at)? == op::APPEND).then_some((ids, at + 1))
    }

    #[inline(never)]
    fn other_ads(&mut self, at: usize) -> Option<(Ids, usize)> {
        self.at = at;
        let code = *self.bytes.get(at)?;
        if matches!(code, op::SHORT_BINUNICODE | op::BINUNICODE) && !self.keeps_parts {
            let ids = ads_json::flat(self.sized(code)?, self.fields)?;
            self.protocols |= if code == op::BINUNICODE { 1 << 1 } else { 1 << 4 };
            self.put(Word::FORGOTTEN)?;
            return Some((ids, self.at));
        }
        if matches!(code, op::EMPTY_LIST | op::MARK) {
            return None;
        }
        let value = self.value()?;
        self.store.freeze_ads(value);
        let ids = rules::ids(value, self.store, self.fields).ok()?.ok()?;
        Some((ids, self.at))
    }

    /// The value of a field that does not count.
    #[inline(never)]
    fn skipped(&mut self, at: usize) -> Option<usize> {
        self.at = at;
        self.skip(SKIPPED_DEPTH_MAX)?;
        Some(self.at)
    }
}
