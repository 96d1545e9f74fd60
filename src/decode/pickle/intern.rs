//! Short texts, each kept once however often it is written: the media keys of a file are few, its rows are many.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::error::Fault;
use super::budget::Budget;
use super::text::Encoding;
use super::value::{Span, Value};

/// Longer ones are rarely written twice.
pub const INTERNED_BYTES_MAX: usize = 64;
/// Set in the place of an interned text, so that it cannot be mistaken for one of the store's own.
pub const INTERNED: u32 = 1 << 31;
/// Where places end: they fit a word of the memo.
const POOL_BYTES_MAX: usize = 1 << 28;
const LENGTH_BYTES: usize = size_of::<u32>();

/// Names a text for as long as the decoder lives: equal names are equal texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextName(pub u64);

/// Which opcodes wrote it: the same bytes mean something else as `str`, as `bytes` and as Python 2's `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Str,
    OldStr,
    Bytes,
}

#[derive(Clone, Copy)]
struct Interned {
    at: u32,
    origin: Origin,
    encoding: Encoding,
}

#[derive(Default)]
pub struct Interner {
    /// Every text behind its length.
    pool: Vec<u8>,
    places: HashTable<Interned>,
    hasher: DefaultHashBuilder,
    epoch: u32,
}

impl Interner {
    /// `None` for bytes that are not to be interned: too long, or what no such opcode may write.
    pub fn intern(&mut self, origin: Origin, bytes: &[u8], budget: &mut Budget) -> Result<Option<Value>, Fault> {
        if bytes.len() > INTERNED_BYTES_MAX {
            return Ok(None);
        }
        let Self { pool, places, hasher, .. } = self;
        let hash = hasher.hash_one(bytes);
        if let Some(&known) = places.find(hash, |known| known.origin == origin && text_at(pool, known.at) == bytes) {
            return Ok(Some(value(known, bytes.len())));
        }
        let encoding = Encoding::of(bytes);
        if pool.len() >= POOL_BYTES_MAX - LENGTH_BYTES || (origin, encoding) == (Origin::Str, Encoding::Neither) {
            return Ok(None);
        }
        if places.len() == places.capacity() {
            // Twofold, and both tables exist while one is copied into the other.
            budget.charge(places.allocation_size() * 2 + 256)?;
            places.reserve(1, |known| hasher.hash_one(text_at(pool, known.at)));
        }
        budget.reserve(pool, LENGTH_BYTES + bytes.len())?;
        pool.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        let added = Interned { at: pool.len() as u32, origin, encoding };
        pool.extend_from_slice(bytes);
        places.insert_unique(hash, added, |known| hasher.hash_one(text_at(pool, known.at)));
        Ok(Some(value(added, bytes.len())))
    }

    /// The bytes of an interned text; `at` without its mark.
    pub fn bytes(&self, at: u32) -> &[u8] {
        text_at(&self.pool, at)
    }

    pub fn name(&self, span: Span) -> Option<TextName> {
        (span.at & INTERNED != 0).then(|| TextName(u64::from(self.epoch) << 32 | u64::from(span.at)))
    }

    /// A dump ends. What is small is kept, for the next dump will write the same.
    pub fn end_dump(&mut self) {
        const KEPT_BYTES: usize = 64 << 10;
        if self.pool.len() > KEPT_BYTES {
            self.pool.clear();
            self.places.clear();
            self.epoch = self.epoch.wrapping_add(1);
        }
    }
}

fn text_at(pool: &[u8], at: u32) -> &[u8] {
    let at = at as usize;
    let length = at.checked_sub(LENGTH_BYTES).and_then(|start| pool.get(start..at)?.try_into().ok());
    let length = length.map_or(0, u32::from_le_bytes) as usize;
    pool.get(at..at + length).unwrap_or_default()
}

fn value(interned: Interned, length: usize) -> Value {
    let span = Span { at: interned.at | INTERNED, length: length as u32 };
    match (interned.origin, interned.encoding) {
        (Origin::Str, Encoding::Utf8) => Value::Text(span),
        (Origin::Str, _) => Value::Surrogates(span),
        (Origin::OldStr, Encoding::Utf8) => Value::OldText(span),
        (Origin::Bytes, Encoding::Utf8) => Value::Utf8(span),
        (Origin::OldStr | Origin::Bytes, _) => Value::Bytes(span),
    }
}
