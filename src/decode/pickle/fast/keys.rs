//! The keys of a kind of dict, as the dicts before wrote them and in their order: the next key is compared with what is
//! expected, not read.

use super::super::super::fields::{FieldId, Fields};
use super::super::memo::Word;
use super::parse::AD;
use crate::model::MeasureKind;

/// What a key's value is read for, where that is one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Timestamp,
    MediaKey,
    Ads,
    /// The nth measure.
    Count(usize),
    Money(usize),
    /// The nth id of an ad.
    Id(usize),
    Nothing,
    /// More than one of these.
    Several,
}

impl Role {
    pub fn of(kind: usize, field: Option<FieldId>, fields: &Fields) -> Role {
        let Some(field) = field else { return Role::Nothing };
        let mut roles: Vec<Role> = Vec::new();
        if kind == AD {
            roles.extend(fields.ids.iter().enumerate().filter(|id| *id.1 == field).map(|(nth, _)| Role::Id(nth)));
        } else {
            let fixed =
                [(fields.timestamp, Role::Timestamp), (fields.media_key, Role::MediaKey), (fields.ads, Role::Ads)];
            roles.extend(fixed.into_iter().filter(|role| role.0 == field).map(|role| role.1));
            let measures = fields.measures.iter().enumerate().filter(|measure| measure.1.0 == field);
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
pub struct Key {
    /// The first eight bytes, or all of them under the mask where there are less.
    start: u64,
    mask: u64,
    literal: Box<[u8]>,
    pub field: Option<FieldId>,
    pub role: Role,
    /// What to memoize when it is text. Without, it names a memo entry, and means something else in the next dump.
    pub word: Option<Word>,
    /// Bit n stands for the protocol that has its opcode.
    pub protocols: u8,
}

const WORD_BYTES: usize = size_of::<u64>();

impl Key {
    pub fn new(literal: &[u8], field: Option<FieldId>, role: Role, word: Option<Word>, protocol: u8) -> Self {
        let length = literal.len().min(WORD_BYTES);
        let mut start = [0; WORD_BYTES];
        start[..length].copy_from_slice(&literal[..length]);
        let mask = u64::MAX.checked_shr(8 * (WORD_BYTES - length) as u32).unwrap_or(0);
        Self {
            start: u64::from_le_bytes(start),
            mask,
            literal: literal.into(),
            field,
            role,
            word,
            protocols: 1 << protocol,
        }
    }

    #[inline(always)]
    pub fn length(&self) -> usize {
        self.literal.len()
    }

    #[inline(always)]
    fn is_at(&self, start: u64, bytes: &[u8], at: usize) -> bool {
        start & self.mask == self.start
            && (self.literal.len() <= WORD_BYTES || bytes.get(at..).is_some_and(|rest| rest.starts_with(&self.literal)))
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
    /// The one that is expected.
    next: usize,
    has_gets: bool,
}

/// A dict of more keys is no log row.
const KEYS_MAX: usize = 128;

impl Keys {
    /// A dict begins.
    #[inline]
    pub fn begin(&mut self) {
        self.next = 0;
    }

    /// The known key that is written at a place, most likely the next one.
    pub fn find(&mut self, bytes: &[u8], at: usize) -> Option<&Key> {
        let found = match self.expected(self.next, bytes, at) {
            Some(_) => self.next,
            None => self.find_elsewhere(self.next, word_at(bytes, at)?, bytes, at)?,
        };
        self.next = found + 1;
        self.known.get(found)
    }

    /// The nth key, if it is written at a place.
    #[inline(always)]
    pub fn expected(&self, nth: usize, bytes: &[u8], at: usize) -> Option<&Key> {
        let start = word_at(bytes, at)?;
        self.known.get(nth).filter(|key| key.is_at(start, bytes, at))
    }

    /// Which key is written at a place where another one is expected.
    #[cold]
    pub fn unexpected(&self, nth: usize, bytes: &[u8], at: usize) -> Option<(usize, &Key)> {
        let found = self.find_elsewhere(nth, word_at(bytes, at)?, bytes, at)?;
        Some((found, self.known.get(found)?))
    }

    fn find_elsewhere(&self, next: usize, start: u64, bytes: &[u8], at: usize) -> Option<usize> {
        let from = next.min(self.known.len());
        let is_at = |index: &usize| self.known[*index].is_at(start, bytes, at);
        (from..self.known.len()).find(is_at).or_else(|| (0..from).find(is_at))
    }

    /// Adds a key that was read where another one, or none, was expected.
    pub fn learn(&mut self, key: Key) {
        if self.known.len() >= KEYS_MAX {
            self.known.clear();
            self.next = 0;
        }
        // It was there all the same where the window's end hid it.
        if let Some(known) = self.known.iter().position(|known| known.literal == key.literal) {
            self.next = known + 1;
            return;
        }
        self.has_gets |= key.word.is_none();
        let at = self.next.min(self.known.len());
        self.known.insert(at, key);
        self.next = at + 1;
    }

    /// Memo entries mean something else from now on.
    pub fn forget_gets(&mut self) {
        if self.has_gets {
            self.known.retain(|key| key.word.is_some());
            self.has_gets = false;
        }
    }
}
