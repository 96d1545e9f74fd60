//! Short texts, each kept once however often it is written: the media keys of a file are few, its rows are many.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::error::Fault;
use super::budget::Budget;
use super::text::Encoding;
use super::value::{Span, Value};

/// Longer ones are rarely written twice.
pub const INTERNED_BYTES_MAX: usize = 64;
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
    /// The bytes themselves of a text of up to eight, else their hash.
    digest: u64,
    at: u32,
    length: u8,
    encoding: Encoding,
}

#[derive(Default)]
pub struct Interner {
    pool: Vec<u8>,
    texts: Vec<Interned>,
    numbers: HashTable<u32>,
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
            [..] if bytes.len() <= 8 => match (bytes.first_chunk(), bytes.last_chunk()) {
                (Some(&first), Some(&last)) => {
                    u64::from(u32::from_le_bytes(first)) | u64::from(u32::from_le_bytes(last)) << 32
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
        let Self { pool, texts, numbers, .. } = self;
        let is_same = |number: &u32| {
            let text = &texts[*number as usize];
            text.digest == digest
                && usize::from(text.length) == bytes.len()
                && (bytes.len() <= 8 || bytes_of(pool, text) == bytes)
        };
        if let Some(&number) = numbers.find(hash, is_same) {
            return Ok(value(origin, number, &texts[number as usize]));
        }
        self.add(origin, bytes, digest, hash, budget)
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
        let Self { pool, texts, numbers, seed, .. } = self;
        let encoding = Encoding::of(bytes);
        if texts.len() >= TEXTS_MAX || (origin, encoding) == (Origin::Str, Encoding::Neither) {
            return Ok(None);
        }
        let hash_of = |number: &u32| {
            let text = &texts[*number as usize];
            seed.hash(text.digest, usize::from(text.length))
        };
        if numbers.len() == numbers.capacity() {
            // Twofold, and both tables exist while one is copied into the other.
            budget.charge(numbers.allocation_size() * 2 + 256)?;
            numbers.reserve(1, hash_of);
        }
        let number = texts.len() as u32;
        numbers.insert_unique(hash, number, hash_of);
        budget.reserve(pool, bytes.len())?;
        let text = Interned { digest, at: pool.len() as u32, length: bytes.len() as u8, encoding };
        pool.extend_from_slice(bytes);
        budget.push(texts, text)?;
        Ok(value(origin, number, &text))
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
            self.numbers.clear();
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
fn value(origin: Origin, number: u32, text: &Interned) -> Option<Value> {
    let span = span(number, text.length);
    match (origin, text.encoding) {
        (Origin::Str, Encoding::Utf8) => Some(Value::Text(span)),
        (Origin::Str, Encoding::Surrogates) => Some(Value::Surrogates(span)),
        (Origin::Str, Encoding::Neither) => None,
        (Origin::OldStr, Encoding::Utf8) => Some(Value::OldText(span)),
        (Origin::Bytes, Encoding::Utf8) => Some(Value::Utf8(span)),
        (Origin::OldStr | Origin::Bytes, _) => Some(Value::Bytes(span)),
    }
}
