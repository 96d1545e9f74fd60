//! The keys of a kind of dict, as the dicts before wrote them and in their order: the next key is compared with what is
//! expected, not read.

use super::super::super::fields::{FieldId, Fields};
use super::super::memo::Word;
use super::row::AD;
use crate::model::MeasureKind;

/// What a key's value is read for, where that is one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Timestamp,
    MediaKey,
    Ads,
    /// The nth measure.
    Count(u8),
    Money(u8),
    /// The nth id of an ad.
    Id(u8),
    Nothing,
    /// More than one of these.
    Several,
}

impl Role {
    pub fn of(kind: usize, field: Option<FieldId>, fields: &Fields) -> Role {
        let Some(field) = field else { return Role::Nothing };
        let mut roles: Vec<Role> = Vec::new();
        if kind == AD {
            roles.extend((0..).zip(fields.ids).filter(|id| id.1 == field).map(|(nth, _)| Role::Id(nth)));
        } else {
            let fixed =
                [(fields.timestamp, Role::Timestamp), (fields.media_key, Role::MediaKey), (fields.ads, Role::Ads)];
            roles.extend(fixed.into_iter().filter(|role| role.0 == field).map(|role| role.1));
            let measures = (0..=u8::MAX).zip(&fields.measures).filter(|measure| measure.1.0 == field);
            roles.extend(measures.map(|(nth, (_, kind))| match kind {
                MeasureKind::Count => Role::Count(nth),
                MeasureKind::Money => Role::Money(nth),
            }));
        }
        match roles[..] {
            [] => Role::Nothing,
            [role] => role,
            _ => Role::Several,
        }
    }
}

/// A key as it is written: opcode and operand.
#[derive(Clone, Copy)]
pub struct Key {
    /// The first eight bytes, or all of them under the mask where there are less.
    start: u64,
    mask: u64,
    pub field: Option<FieldId>,
    /// What to memoize when it is text. Without, it names a memo entry, and means something else in the next dump.
    pub word: Option<Word>,
    pub role: Role,
    length: u8,
}

const WORD_BYTES: usize = size_of::<u64>();

impl Key {
    /// Without `word` it names a memo entry. `None` when it is too long to be expected.
    pub fn new(literal: &[u8], field: Option<FieldId>, role: Role, word: Option<Word>) -> Option<Key> {
        let length = u8::try_from(literal.len()).ok()?;
        let in_word = literal.len().min(WORD_BYTES);
        let mut start = [0; WORD_BYTES];
        start[..in_word].copy_from_slice(&literal[..in_word]);
        let mask = u64::MAX.checked_shr(8 * (WORD_BYTES - in_word) as u32).unwrap_or(0);
        Some(Key { start: u64::from_le_bytes(start), mask, field, word, role, length })
    }

    #[inline(always)]
    pub fn length(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether it is written where a word begins, as far as a word can tell.
    #[inline(always)]
    fn begins(&self, word: u64) -> bool {
        word & self.mask == self.start
    }
}

/// Eight bytes, the first of them lowest.
#[inline(always)]
pub fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[derive(Default)]
pub struct Keys {
    known: Vec<Key>,
    literals: Vec<Box<[u8]>>,
    has_gets: bool,
}

/// A dict of more keys is no log row.
const KEYS_MAX: usize = 128;

impl Keys {
    /// The nth key, if it is written at a place where a word begins.
    #[inline(always)]
    pub fn expected(&self, nth: usize, word: u64, bytes: &[u8], at: usize) -> Option<Key> {
        let key = self.known.get(nth)?;
        (key.begins(word) && (key.length() <= WORD_BYTES || self.is_written(nth, bytes, at))).then_some(*key)
    }

    fn is_written(&self, nth: usize, bytes: &[u8], at: usize) -> bool {
        bytes.get(at..).zip(self.literals.get(nth)).is_some_and(|(rest, literal)| rest.starts_with(literal))
    }

    /// Which key is written at a place, the nth one or, more likely than not, one that follows.
    #[inline(never)]
    pub fn find_from(&self, nth: usize, word: u64, bytes: &[u8], at: usize) -> Option<(usize, Key)> {
        let nth = nth.min(self.known.len());
        let expected = |index: usize| Some((index, self.expected(index, word, bytes, at)?));
        (nth..self.known.len()).find_map(expected).or_else(|| (0..nth).find_map(expected))
    }

    /// Adds a key that is written where the nth is expected, and was not known.
    pub fn learn(&mut self, nth: usize, key: Key, literal: &[u8]) -> Option<()> {
        if self.known.len() >= KEYS_MAX {
            return None;
        }
        let nth = nth.min(self.known.len());
        self.known.insert(nth, key);
        self.literals.insert(nth, literal.into());
        self.has_gets |= key.word.is_none();
        Some(())
    }

    pub fn has_gets(&self) -> bool {
        self.has_gets
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Memo entries mean something else from now on.
    pub fn forget_gets(&mut self) {
        if self.has_gets {
            self.has_gets = false;
            let mut is_text = self.known.iter().map(|key| key.word.is_some()).collect::<Vec<_>>().into_iter();
            self.known.retain(|key| key.word.is_some());
            self.literals.retain(|_| is_text.next().unwrap_or(false));
        }
    }
}
