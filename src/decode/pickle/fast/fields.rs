//! The fields of a plain row, each read for what it is needed for. Rejected rows are not plain: the machine knows why.
//!
//! The place in the window is handed from function to function so that it stays in a register: it is what everything else
//! waits for.

use super::super::super::ads_json::{self, Ids};
use super::super::super::columns::{ID, MEASURE, NUMBERS_MAX, Numbers, TIMESTAMP};
use super::super::super::rows::MediaKey;
use super::super::super::rules;
use super::super::intern::SHORT_BYTES_MAX;
use super::super::memo::Word;
use super::super::opcode as op;
use super::super::value::Value;
use super::keys::{Role, word_at};
use super::scan::{SKIPPED_DEPTH_MAX, Scan, Step, StepKind};
use crate::model::{MeasureKind, Micros};

/// A row that is being read.
pub struct Draft<'n> {
    pub has_timestamp: bool,
    pub media_key: &'n mut MediaKey,
    pub numbers: &'n mut Numbers,
}

impl<'n> Draft<'n> {
    #[inline]
    pub fn new((numbers, media_key): (&'n mut Numbers, &'n mut MediaKey)) -> Self {
        let mut draft = Self { has_timestamp: false, media_key, numbers };
        draft.clear();
        draft
    }

    /// Forgets what was read of a row.
    #[inline]
    pub fn clear(&mut self) {
        *self.numbers = [0; NUMBERS_MAX];
        self.has_timestamp = false;
        *self.media_key = MediaKey::Empty;
    }

    pub fn set_ids(&mut self, ids: Ids) {
        self.numbers[ID..MEASURE].copy_from_slice(&ids);
    }

    pub fn ids(&self) -> Ids {
        [self.numbers[ID], self.numbers[ID + 1], self.numbers[ID + 2]]
    }
}

impl Scan<'_> {
    /// Reads a value into its place and says where it ends.
    #[inline(always)]
    pub fn field(&mut self, role: Role, at: usize, draft: &mut Draft) -> Option<usize> {
        match role {
            Role::Count(nth) => {
                let (count, end) = self.count(at)?;
                *draft.numbers.get_mut(MEASURE + usize::from(nth))? = count;
                Some(end)
            }
            Role::Money(nth) => {
                let (micros, end) = self.money(at)?;
                *draft.numbers.get_mut(MEASURE + usize::from(nth))? = micros;
                Some(end)
            }
            Role::Id(nth) => {
                let (id, end) = self.id(at)?;
                *draft.numbers.get_mut(ID + usize::from(nth))? = id;
                Some(end)
            }
            Role::Timestamp => {
                let (timestamp, end) = self.seconds(at)?;
                draft.numbers[TIMESTAMP] = timestamp;
                draft.has_timestamp = true;
                Some(end)
            }
            Role::MediaKey => self.media_key(at, draft.media_key),
            Role::Ads => {
                let (ids, end) = self.ads_without_list(at)?;
                draft.set_ids(ids);
                Some(end)
            }
            Role::Nothing => self.skipped(at),
            Role::Several => None,
        }
    }

    /// The memo opcode, if there is one.
    #[inline(always)]
    pub fn memoize(&mut self, at: usize, word: Word) -> Option<usize> {
        match *self.bytes.get(at)? {
            op::MEMOIZE if self.is_gapless => {
                self.protocols |= 1 << 4;
                self.memo.push(word, &mut self.store.budget).ok()?;
                Some(at + 1)
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(*self.bytes.get(at + 1..)?.first_chunk()?);
                if u64::from(index) != self.memo.next() {
                    return None;
                }
                self.memo.push(word, &mut self.store.budget).ok()?;
                Some(at + 5)
            }
            op::PUT => self.decimal_put(at, word),
            op::BINPUT | op::MEMOIZE => self.other_put(at, word),
            _ => Some(at),
        }
    }

    #[inline(never)]
    fn decimal_put(&mut self, at: usize, word: Word) -> Option<usize> {
        let (index, end) = self.digits(at + 1)?;
        if u64::try_from(index).ok()? != self.memo.next() {
            return None;
        }
        self.memo.push(word, &mut self.store.budget).ok()?;
        Some(end)
    }

    #[inline(never)]
    fn other_put(&mut self, at: usize, word: Word) -> Option<usize> {
        self.at = at;
        self.put(word)?;
        Some(self.at)
    }

    /// As `memoize`, and traced.
    pub fn memoize_traced(&mut self, at: usize, word: Word) -> Option<usize> {
        let end = self.memoize(at, word)?;
        if end > at {
            let is_memoize = self.bytes.get(at) == Some(&op::MEMOIZE);
            let kind = if is_memoize { StepKind::Memoize(word) } else { StepKind::Put(word) };
            self.trace.push(Step { start: at, end, kind });
        }
        Some(end)
    }

    /// As `field`, and traced.
    #[inline(never)]
    pub fn field_traced(&mut self, role: Role, at: usize, draft: &mut Draft) -> Option<usize> {
        let end = self.field(role, at, draft)?;
        self.trace.push(Step { start: at, end, kind: StepKind::Value(role) });
        Some(end)
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
            op::INT => return self.decimal(at),
            _ => return None,
        };
        self.protocols |= 1 << 1;
        Some(small)
    }

    /// A value as it is, and where it ends.
    fn value_at(&mut self, at: usize) -> Option<(Value, usize)> {
        self.at = at;
        let value = self.value()?;
        Some((value, self.at))
    }

    #[inline(always)]
    fn count(&mut self, at: usize) -> Option<(i64, usize)> {
        match self.small(at) {
            Some((count, end)) if count >= 0 => Some((count, end)),
            _ => self.measure(at, MeasureKind::Count),
        }
    }

    #[inline(never)]
    fn measure(&mut self, at: usize, kind: MeasureKind) -> Option<(i64, usize)> {
        let (value, end) = self.value_at(at)?;
        Some((rules::measure(value, kind).ok()?, end))
    }

    #[inline(always)]
    fn money(&mut self, at: usize) -> Option<(i64, usize)> {
        if *self.bytes.get(at)? != op::BINFLOAT {
            return self.measure(at, MeasureKind::Money);
        }
        self.protocols |= 1 << 1;
        let units = f64::from_be_bytes(*self.bytes.get(at + 1..)?.first_chunk()?);
        let Micros(micros) = Micros::from_f64(units)?;
        (units >= 0.0).then_some((micros, at + 9))
    }

    #[inline(always)]
    fn id(&mut self, at: usize) -> Option<(i64, usize)> {
        match self.small(at) {
            Some(small) => Some(small),
            None => self.other_id(at),
        }
    }

    #[inline(never)]
    fn other_id(&mut self, at: usize) -> Option<(i64, usize)> {
        let (value, end) = self.value_at(at)?;
        Some((rules::id(value).ok()?, end))
    }

    #[inline(always)]
    fn seconds(&mut self, at: usize) -> Option<(i64, usize)> {
        match self.small(at) {
            Some((seconds, end)) if self.window.contains(&seconds) => Some((seconds, end)),
            _ => self.other_seconds(at),
        }
    }

    #[inline(never)]
    fn other_seconds(&mut self, at: usize) -> Option<(i64, usize)> {
        let (value, end) = self.value_at(at)?;
        Some((rules::timestamp(value, self.window).ok()?, end))
    }

    #[inline(always)]
    fn media_key(&mut self, at: usize, media_key: &mut MediaKey) -> Option<usize> {
        if *self.bytes.get(at)? != op::SHORT_BINUNICODE {
            return self.other_media_key(at, media_key);
        }
        let length = usize::from(*self.bytes.get(at + 1)?);
        let end = at + 2 + length;
        let text = self.bytes.get(at + 2..end)?;
        if length > SHORT_BYTES_MAX || self.fields.find(text).is_some() {
            return self.other_media_key(at, media_key);
        }
        let mask = u64::MAX.checked_shr(8 * (SHORT_BYTES_MAX - length) as u32).unwrap_or(0);
        let Some(name) = self.store.known_short(word_at(self.bytes, at + 2)? & mask, length) else {
            return self.other_media_key(at, media_key);
        };
        self.protocols |= 1 << 4;
        let end = self.memoize(end, Word::of_text(name))?;
        *media_key = MediaKey::Text(name);
        Some(end)
    }

    #[inline(never)]
    fn other_media_key(&mut self, at: usize, media_key: &mut MediaKey) -> Option<usize> {
        let (value, end) = self.value_at(at)?;
        *media_key = match value {
            Value::Text(span) | Value::OldText(span) | Value::Utf8(span) => {
                let name = self.store.text_name(value)?;
                (span.length as usize <= self.media_key_chars_max).then_some(MediaKey::Text(name))?
            }
            Value::Int(number) => MediaKey::Number(number),
            Value::None => MediaKey::Empty,
            _ => return None,
        };
        Some(end)
    }

    /// JSON text, what the memo holds, or nothing.
    #[inline(never)]
    fn ads_without_list(&mut self, at: usize) -> Option<(Ids, usize)> {
        self.at = at;
        let code = *self.bytes.get(at)?;
        if matches!(code, op::SHORT_BINUNICODE | op::BINUNICODE) && !self.keeps_parts {
            let ids = ads_json::flat(self.sized(code)?, self.fields)?;
            self.protocols |= if code == op::BINUNICODE { 1 << 1 } else { 1 << 4 };
            self.put(Word::FORGOTTEN)?;
            return Some((ids, self.at));
        }
        let value = self.value()?;
        self.store.freeze_ads(value);
        let ids = rules::ids(value, self.store, self.fields).ok()?.ok()?;
        Some((ids, self.at))
    }

    /// The value of a field that does not count.
    #[inline(never)]
    pub fn skipped(&mut self, at: usize) -> Option<usize> {
        self.at = at;
        self.skip(SKIPPED_DEPTH_MAX)?;
        Some(self.at)
    }
}
