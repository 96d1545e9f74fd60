//! Short texts, each kept once however often it is written: the media keys of a file are few, its rows are many.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::error::Fault;
use super::budget::Budget;
use super::text::Encoding;
use super::value::{Span, Value};

/// Longer ones are rarely written twice.
pub const INTERNED_BYTES_MAX: usize = 64;
/// Texts of so many bytes are their own digest.
pub const SHORT_BYTES_MAX: usize = 8;
/// Set in the place of an interned text, which is its number, so that it cannot be mistaken for one of the store's own.
pub const INTERNED: u32 = 1 << 31;
/// Where numbers end: they fit a word of the memo.
const TEXTS_MAX: usize = 1 << 28;

/// Names a text for as long as the decoder lives: equal texts have equal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextName {
    /// Numbers begin again with every epoch.
    pub epoch: u32,
    pub number: u32,
}

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
    length: u8,
}

/// What a text is found by.
#[derive(Clone, Copy)]
struct Found {
    /// The bytes themselves of a text of up to eight, the first of them lowest, else their hash.
    digest: u64,
    number: u32,
    length: u8,
    encoding: Encoding,
}

#[derive(Default)]
pub struct Interner {
    pool: Vec<u8>,
    texts: Vec<Interned>,
    found: HashTable<Found>,
    seed: Seed,
    epoch: u32,
}

/// What an input cannot know.
struct Seed {
    hasher: DefaultHashBuilder,
    key: u64,
    factor: u64,
}

impl Default for Seed {
    fn default() -> Self {
        let hasher = DefaultHashBuilder::default();
        let (key, factor) = (hasher.hash_one(0), hasher.hash_one(1) | 1);
        Self { hasher, key, factor }
    }
}

impl Seed {
    #[inline]
    fn digest(&self, bytes: &[u8]) -> u64 {
        match *bytes {
            [] => 0,
            [a] => u64::from(a),
            [a, b] => u64::from(a) | u64::from(b) << 8,
            [a, b, c] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
            // The two halves overlap where there are fewer than eight.
            [..] if bytes.len() <= SHORT_BYTES_MAX => match (bytes.first_chunk(), bytes.last_chunk()) {
                (Some(&first), Some(&last)) => {
                    let last = u64::from(u32::from_le_bytes(last)) << (8 * (bytes.len() - 4));
                    u64::from(u32::from_le_bytes(first)) | last
                }
                _ => 0,
            },
            [..] => self.hasher.hash_one(bytes),
        }
    }

    #[inline]
    fn hash(&self, digest: u64, length: usize) -> u64 {
        let product = u128::from(digest ^ self.key) * u128::from(self.factor.wrapping_add((length as u64) << 32));
        product as u64 ^ (product >> 64) as u64
    }
}

impl Interner {
    /// The value of bytes, kept once; `None` for bytes that are too long or that no such opcode may write.
    #[inline]
    pub fn intern(&mut self, origin: Origin, bytes: &[u8], budget: &mut Budget) -> Result<Option<Value>, Fault> {
        if bytes.len() > INTERNED_BYTES_MAX {
            return Ok(None);
        }
        let digest = self.seed.digest(bytes);
        let hash = self.seed.hash(digest, bytes.len());
        let is_same = |found: &Found| {
            found.digest == digest
                && usize::from(found.length) == bytes.len()
                && (bytes.len() <= SHORT_BYTES_MAX || self.bytes(found.number) == bytes)
        };
        if let Some(found) = self.found.find(hash, is_same) {
            return Ok(value(origin, found));
        }
        self.add(origin, bytes, digest, hash, budget)
    }

    /// The number of a text in UTF-8 that is known, of up to eight bytes, which are in a word, the first of them lowest.
    #[inline]
    pub fn find_short(&self, word: u64, length: usize) -> Option<u32> {
        let hash = self.seed.hash(word, length);
        let is_same = |found: &Found| found.digest == word && usize::from(found.length) == length;
        let found = self.found.find(hash, is_same)?;
        (found.encoding == Encoding::Utf8).then_some(found.number)
    }

    #[cold]
    fn add(
        &mut self,
        origin: Origin,
        bytes: &[u8],
        digest: u64,
        hash: u64,
        budget: &mut Budget,
    ) -> Result<Option<Value>, Fault> {
        let Self { pool, texts, found, seed, .. } = self;
        let encoding = Encoding::of(bytes);
        if texts.len() >= TEXTS_MAX || (origin, encoding) == (Origin::Str, Encoding::Neither) {
            return Ok(None);
        }
        let hash_of = |found: &Found| seed.hash(found.digest, usize::from(found.length));
        if found.len() == found.capacity() {
            // Twofold, and both tables exist while one is copied into the other.
            budget.charge(found.allocation_size() * 2 + 256)?;
            found.reserve(1, hash_of);
        }
        let (number, length) = (texts.len() as u32, bytes.len() as u8);
        let text = Found { digest, number, length, encoding };
        found.insert_unique(hash, text, hash_of);
        budget.reserve(pool, bytes.len())?;
        budget.push(texts, Interned { at: pool.len() as u32, length })?;
        pool.extend_from_slice(bytes);
        Ok(value(origin, &text))
    }

    pub fn bytes(&self, number: u32) -> &[u8] {
        self.texts.get(number as usize).map_or(&[], |text| bytes_of(&self.pool, text))
    }

    pub fn span(&self, number: u32) -> Span {
        span(number, self.texts.get(number as usize).map_or(0, |text| text.length))
    }

    #[inline]
    pub fn name(&self, span: Span) -> Option<TextName> {
        (span.at & INTERNED != 0).then_some(TextName { epoch: self.epoch, number: span.at & !INTERNED })
    }

    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A dump ends. What is small is kept, for the next dump will write the same.
    pub fn end_dump(&mut self) {
        const KEPT_TEXTS: usize = 8 << 10;
        if self.texts.len() > KEPT_TEXTS {
            self.pool.clear();
            self.texts.clear();
            self.found.clear();
            self.epoch = self.epoch.wrapping_add(1);
        }
    }
}

fn bytes_of<'p>(pool: &'p [u8], text: &Interned) -> &'p [u8] {
    let at = text.at as usize;
    pool.get(at..at + usize::from(text.length)).unwrap_or_default()
}

#[inline]
fn span(number: u32, length: u8) -> Span {
    Span { at: number | INTERNED, length: u32::from(length) }
}

#[inline]
fn value(origin: Origin, text: &Found) -> Option<Value> {
    let span = span(text.number, text.length);
    match (origin, text.encoding) {
        (Origin::Str, Encoding::Utf8) => Some(Value::Text(span)),
        (Origin::Str, Encoding::Surrogates) => Some(Value::Surrogates(span)),
        (Origin::Str, Encoding::Neither) => None,
        (Origin::OldStr, Encoding::Utf8) => Some(Value::OldText(span)),
        (Origin::Bytes, Encoding::Utf8) => Some(Value::Utf8(span)),
        (Origin::OldStr | Origin::Bytes, _) => Some(Value::Bytes(span)),
    }
}
