//! The memo: what later opcodes may refer to, in a word an entry.

use hashbrown::HashMap;

use super::super::error::Fault;
use super::super::fields::FieldId;
use super::budget::Budget;
use super::intern::{INTERNED, Interner, TextName};
use super::storage::Store;
use super::value::{Span, Value};

/// Memo entries by index. CPython numbers them 0, 1, 2, ...; any other numbering is legal and goes to a hash map, so
/// that an index of four thousand million costs no more than one of four.
#[derive(Default)]
pub struct Memo {
    /// The entries before `recent`, a page each; `None` where all of a page are forgotten.
    pages: Vec<Option<Box<[Word]>>>,
    recent: Vec<Word>,
    /// What does not fit a word.
    wide: Vec<Value>,
    /// Entry 0 is not set: Python 2's `cPickle` counts from 1.
    first_absent: bool,
    sparse: HashMap<u64, Value>,
}

/// What an entry holds.
pub enum Entry {
    Value(Value),
    Missing,
    /// It was part of a row that has been read, and was not kept.
    Forgotten,
}

/// How much of the memo there was at some time.
#[derive(Clone, Copy, Default)]
pub struct MemoMark {
    entries: usize,
    wide: usize,
}

/// A tag and a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u32);

const PLACE_BITS: u32 = 28;
const PAGE: usize = 4096;
/// A bound on what one entry of a hash map of 24-byte pairs takes, empty slots included.
const SPARSE_ENTRY_BYTES: usize = 64;

impl Word {
    const ABSENT: Word = Word(0);
    pub const FORGOTTEN: Word = Word(1);

    const WIDE: u32 = 1;
    const FIELD: u32 = 2;
    const TEXT: u32 = 3;
    const SURROGATES: u32 = 4;
    const OLD_TEXT: u32 = 5;
    const UTF8: u32 = 6;
    const BYTES: u32 = 7;
    const DICT: u32 = 8;
    const LIST: u32 = 9;
    const TUPLE: u32 = 10;
    const ADS: u32 = 11;
    const JSON_ADS: u32 = 12;
    /// Its place says which.
    const CONSTANT: u32 = 13;

    /// The word of a `str` that is interned.
    #[inline]
    pub fn of_text(name: TextName) -> Word {
        Word(Self::TEXT << PLACE_BITS | name.number)
    }

    /// The word of a value that fits one.
    #[inline]
    pub fn of(value: Value) -> Option<Word> {
        let interned = |tag, span: Span| (span.at & INTERNED != 0).then_some((tag, span.at & !INTERNED));
        let (tag, place) = match value {
            Value::Field(field) => (Self::FIELD, field.0),
            Value::Text(span) => interned(Self::TEXT, span)?,
            Value::Surrogates(span) => interned(Self::SURROGATES, span)?,
            Value::OldText(span) => interned(Self::OLD_TEXT, span)?,
            Value::Utf8(span) => interned(Self::UTF8, span)?,
            Value::Bytes(span) => interned(Self::BYTES, span)?,
            Value::Dict(id) => (Self::DICT, id),
            Value::List(id) => (Self::LIST, id),
            Value::Tuple(id) => (Self::TUPLE, id),
            Value::Ads(place) => (Self::ADS, place),
            Value::JsonAds(place) => (Self::JSON_ADS, place),
            Value::None => (Self::CONSTANT, 0),
            Value::Bool(bool) => (Self::CONSTANT, 1 + u32::from(bool)),
            _ => return None,
        };
        (place >> PLACE_BITS == 0).then_some(Word(tag << PLACE_BITS | place))
    }

    /// The number of an interned `str`.
    #[inline]
    pub fn text_number(self) -> Option<u32> {
        (self.0 >> PLACE_BITS == Self::TEXT).then_some(self.place())
    }

    /// The place of a list of ads, or of JSON text that is one.
    #[inline]
    pub fn ads_place(self) -> Option<u32> {
        matches!(self.0 >> PLACE_BITS, Self::ADS | Self::JSON_ADS).then_some(self.place())
    }

    fn place(self) -> u32 {
        self.0 & ((1 << PLACE_BITS) - 1)
    }

    /// The value of a word that `of` gave.
    #[inline]
    pub fn value(self, texts: &Interner) -> Option<Value> {
        let place = self.place();
        let span = || texts.span(place);
        Some(match self.0 >> PLACE_BITS {
            Self::FIELD => Value::Field(FieldId(place)),
            Self::TEXT => Value::Text(span()),
            Self::SURROGATES => Value::Surrogates(span()),
            Self::OLD_TEXT => Value::OldText(span()),
            Self::UTF8 => Value::Utf8(span()),
            Self::BYTES => Value::Bytes(span()),
            Self::DICT => Value::Dict(place),
            Self::LIST => Value::List(place),
            Self::TUPLE => Value::Tuple(place),
            Self::ADS => Value::Ads(place),
            Self::JSON_ADS => Value::JsonAds(place),
            Self::CONSTANT if place == 0 => Value::None,
            Self::CONSTANT => Value::Bool(place == 2),
            _ => return None,
        })
    }
}

impl Memo {
    pub fn get(&self, index: u64, store: &Store) -> Entry {
        let Some(word) = usize::try_from(index).ok().and_then(|index| self.word(index)) else {
            return self.sparse.get(&index).map_or(Entry::Missing, |&value| Entry::Value(value));
        };
        match word {
            Word::ABSENT => Entry::Missing,
            Word::FORGOTTEN => Entry::Forgotten,
            word => Entry::Value(self.value(word, store.texts())),
        }
    }

    #[inline]
    fn word(&self, index: usize) -> Option<Word> {
        match self.pages.get(index / PAGE) {
            None => self.recent.get(index - self.pages.len() * PAGE).copied(),
            Some(None) => Some(Word::FORGOTTEN),
            Some(Some(page)) => page.get(index % PAGE).copied(),
        }
    }

    fn value(&self, word: Word, texts: &Interner) -> Value {
        let wide = || self.wide.get(word.place() as usize).copied();
        word.value(texts).or_else(wide).unwrap_or(Value::Absent)
    }

    /// Sets an entry. False when it is not simply the next one: what it holds must then be kept.
    pub fn put(&mut self, index: u64, value: Value, budget: &mut Budget) -> Result<bool, Fault> {
        let word = self.word_of(value, budget)?;
        if index == 1 && self.next() == 0 {
            budget.push(&mut self.recent, Word::ABSENT)?;
            self.first_absent = true;
        }
        let next = self.next();
        if index == next {
            if !self.sparse.is_empty() {
                self.sparse.remove(&index);
            }
            budget.push(&mut self.recent, word)?;
            return Ok(true);
        }
        if index < next {
            self.first_absent &= index != 0;
            self.overwrite(index as usize, word, budget)?;
        } else if self.sparse.insert(index, value).is_none() {
            budget.charge_scattered(SPARSE_ENTRY_BYTES)?;
        }
        Ok(false)
    }

    /// The word of a value, which may take room.
    pub fn word_of(&mut self, value: Value, budget: &mut Budget) -> Result<Word, Fault> {
        if let Some(word) = Word::of(value) {
            return Ok(word);
        }
        let place = self.wide.len() as u32;
        if place >> PLACE_BITS != 0 {
            return Err(super::super::error::Limit::DecoderBytes.into());
        }
        budget.push(&mut self.wide, value)?;
        Ok(Word(Word::WIDE << PLACE_BITS | place))
    }

    pub fn overwrite(&mut self, index: usize, word: Word, budget: &mut Budget) -> Result<(), Fault> {
        let paged = self.pages.len() * PAGE;
        let slot = match self.pages.get_mut(index / PAGE) {
            None => self.recent.get_mut(index - paged),
            Some(page) => {
                if page.is_none() {
                    budget.charge_scattered(PAGE * size_of::<Word>())?;
                }
                page.get_or_insert_with(|| vec![Word::FORGOTTEN; PAGE].into()).get_mut(index % PAGE)
            }
        };
        if let Some(slot) = slot {
            *slot = word;
        }
        Ok(())
    }

    /// Appends an entry, for a reader that knows that the next one is meant.
    #[inline(always)]
    pub fn push(&mut self, word: Word, budget: &mut Budget) -> Result<(), Fault> {
        budget.push(&mut self.recent, word)
    }

    /// The entry after the last one of those without gaps.
    #[inline]
    pub fn next(&self) -> u64 {
        (self.pages.len() * PAGE + self.recent.len()) as u64
    }

    /// Whether entries are numbered as CPython does, so that `next` is what MEMOIZE takes.
    #[inline]
    pub fn is_gapless(&self) -> bool {
        self.sparse.is_empty() && !self.first_absent
    }

    /// Whether `next` may be set without looking further.
    #[inline]
    pub fn is_dense(&self) -> bool {
        self.sparse.is_empty()
    }

    /// The index that MEMOIZE takes: the number of entries.
    pub fn len(&self) -> u64 {
        self.next() - u64::from(self.first_absent) + self.sparse.len() as u64
    }

    pub fn mark(&self) -> MemoMark {
        MemoMark { entries: self.next() as usize, wide: self.wide.len() }
    }

    /// Undoes the entries since a mark.
    pub fn roll_back(&mut self, mark: MemoMark) {
        self.recent.truncate(mark.entries.saturating_sub(self.pages.len() * PAGE));
        self.wide.truncate(mark.wide);
    }

    /// Forgets what the entries since a mark hold of the store's own.
    pub fn forget(&mut self, mark: MemoMark, budget: &mut Budget) -> Result<(), Fault> {
        let start = mark.entries.saturating_sub(self.pages.len() * PAGE);
        let mut wide_is_needed = false;
        for word in self.recent.iter_mut().skip(start) {
            let place = word.place() as usize;
            match word.0 >> PLACE_BITS {
                Word::DICT | Word::LIST | Word::TUPLE => *word = Word::FORGOTTEN,
                Word::WIDE if self.wide.get(place).is_none_or(|value| value.is_stored()) => *word = Word::FORGOTTEN,
                Word::WIDE => wide_is_needed = true,
                _ => {}
            }
        }
        if !wide_is_needed {
            self.wide.truncate(mark.wide);
        }
        self.turn_pages(budget)
    }

    /// Nothing will be rolled back from here on: what is long past becomes a page.
    #[inline]
    pub fn turn_pages(&mut self, budget: &mut Budget) -> Result<(), Fault> {
        while self.recent.len() >= 2 * PAGE {
            self.turn_page(budget)?;
        }
        Ok(())
    }

    /// All pages but the last, at once: what is left moves up once, however many there are.
    fn turn_page(&mut self, budget: &mut Budget) -> Result<(), Fault> {
        let turned = (self.recent.len() / PAGE - 1) * PAGE;
        for page in self.recent.get(..turned).unwrap_or_default().chunks_exact(PAGE) {
            let kept = page.iter().any(|&word| word != Word::FORGOTTEN);
            if kept {
                budget.charge_scattered(PAGE * size_of::<Word>())?;
            }
            let page = kept.then(|| page.into());
            budget.push_scattered(&mut self.pages, page)?;
        }
        self.recent.drain(..turned);
        Ok(())
    }

    pub fn clear(&mut self) {
        self.pages = Vec::new();
        self.recent.clear();
        self.wide.clear();
        self.first_absent = false;
        self.sparse = HashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pages_that_are_past_turn_at_once() {
        let (mut memo, mut budget) = (Memo::default(), Budget::new(1 << 30));
        let mark = memo.mark();
        for index in 0..100 * PAGE as u64 {
            memo.put(index, Value::List(index as u32), &mut budget).unwrap();
        }
        memo.turn_pages(&mut budget).unwrap();
        assert!(memo.recent.len() < 2 * PAGE, "{} words are moved for the next page", memo.recent.len());
        let store = Store::new(1 << 20, 64);
        for index in [0, PAGE as u64, 99 * PAGE as u64 + 7] {
            assert!(matches!(memo.get(index, &store), Entry::Value(Value::List(list)) if u64::from(list) == index));
        }
        memo.forget(mark, &mut budget).unwrap();
        assert_eq!(memo.next(), 100 * PAGE as u64);
    }
}
