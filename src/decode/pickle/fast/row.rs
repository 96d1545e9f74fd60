//! A plain row, key by key: known fields, small numbers, a list of ads or JSON text. What is read leaves a trace, from which
//! rows of the same make are read faster.

use super::super::memo::Word;
use super::super::opcode as op;
use super::super::value::Value;
use super::fields::Draft;
use super::keys::{Key, Keys, Role, word_at};
use super::scan::{Scan, is_text_or_get};

/// The two kinds of dicts whose keys count.
pub const ROW: usize = 0;
pub const AD: usize = 1;

/// What was read, and the memo entries of the list and of its first element.
struct ListOfAds {
    end: usize,
    length: usize,
    entry: Option<u64>,
    first_entry: Option<u64>,
}

impl<'p> Scan<'p> {
    /// Reads the row that begins at a place and says where it ends.
    pub fn row(&mut self, keys: &mut [Keys; 2], at: usize, draft: &mut Draft) -> Option<usize> {
        self.trace.clear();
        let at = self.start(at, op::EMPTY_DICT, op::DICT)?;
        self.items(ROW, keys, at, draft)
    }

    /// The start of a container and its memo entry.
    fn start(&mut self, at: usize, empty: u8, old: u8) -> Option<usize> {
        let at = match *self.bytes.get(at)? {
            code if code == empty => {
                self.protocols |= 1 << 1;
                at + 1
            }
            op::MARK if *self.bytes.get(at + 1)? == old => at + 2,
            _ => return None,
        };
        self.memoize_traced(at, Word::FORGOTTEN)
    }

    fn is_old_dict(&self, at: usize) -> bool {
        self.bytes.get(at + 1) == Some(&op::DICT)
    }

    /// The items of a dict that has begun: `(kvkvkv..u` or `kvs`, as often as they come.
    fn items(&mut self, kind: usize, keys: &mut [Keys; 2], at: usize, draft: &mut Draft) -> Option<usize> {
        let (mut at, mut nth) = (at, 0);
        loop {
            match *self.bytes.get(at)? {
                op::MARK if !self.is_old_dict(at) => {
                    self.protocols |= 1 << 1;
                    at += 1;
                    while *self.bytes.get(at)? != op::SETITEMS {
                        at = self.item(kind, keys, &mut nth, at, draft)?;
                    }
                    at += 1;
                }
                code if is_text_or_get(code) => {
                    at = self.item(kind, keys, &mut nth, at, draft)?;
                    at = (*self.bytes.get(at)? == op::SETITEM).then_some(at + 1)?;
                }
                _ => return Some(at),
            }
        }
    }

    fn item(
        &mut self,
        kind: usize,
        keys: &mut [Keys; 2],
        nth: &mut usize,
        at: usize,
        draft: &mut Draft,
    ) -> Option<usize> {
        let key = self.key(kind, keys, nth, at)?;
        let mut at = at + key.length();
        if let Some(word) = key.word {
            at = self.memoize_traced(at, word)?;
        }
        match key.role {
            Role::Ads => self.ads(keys, at, draft),
            // The ad is kept for its ids alone.
            Role::Nothing if kind == AD && key.field.is_some() && self.keeps_parts => None,
            role => self.field_traced(role, at, draft),
        }
    }

    fn key(&mut self, kind: usize, keys: &mut [Keys; 2], nth: &mut usize, at: usize) -> Option<Key> {
        let word = word_at(self.bytes, at)?;
        let keys = keys.get_mut(kind)?;
        if let Some(key) = keys.expected(*nth, word, self.bytes, at) {
            *nth += 1;
            return Some(key);
        }
        if let Some((found, key)) = keys.find_from(*nth, word, self.bytes, at) {
            *nth = found + 1;
            return Some(key);
        }
        let (key, literal) = self.new_key(kind, at)?;
        keys.learn(*nth, key, literal)?;
        *nth += 1;
        Some(key)
    }

    fn new_key(&mut self, kind: usize, at: usize) -> Option<(Key, &'p [u8])> {
        self.at = at;
        let code = *self.bytes.get(at)?;
        let is_get = matches!(code, op::BINGET | op::LONG_BINGET | op::GET);
        let value = if is_get { self.get(code)? } else { self.text(code)? };
        let field = match value {
            Value::Field(field) => Some(field),
            Value::Text(_) | Value::OldText(_) | Value::Surrogates(_) => None,
            _ => return None,
        };
        self.protocols |= 1 << op::Opcode::of(code)?.protocol;
        let word = if is_get { None } else { Some(Word::of(value)?) };
        let bytes: &'p [u8] = self.bytes;
        let literal = bytes.get(at..self.at)?;
        Some((Key::new(literal, field, Role::of(kind, field, self.fields), word)?, literal))
    }

    /// A list of dicts, of which the first counts, or what else `ads` may be.
    fn ads(&mut self, keys: &mut [Keys; 2], at: usize, draft: &mut Draft) -> Option<usize> {
        let code = *self.bytes.get(at)?;
        if code != op::EMPTY_LIST && (code != op::MARK || *self.bytes.get(at + 1)? != op::LIST) {
            return self.field_traced(Role::Ads, at, draft);
        }
        let list = self.list_of_ads(keys, at, draft)?;
        if self.keeps_parts {
            self.keep_ads(list.entry, list.first_entry, draft.ids(), list.length)?;
        }
        Some(list.end)
    }

    /// A list of ads that is no row's yet and has some; it is read as a row is.
    pub fn lone_ads(&mut self, keys: &mut [Keys; 2], at: usize, draft: &mut Draft) -> Option<usize> {
        self.trace.clear();
        let list = self.list_of_ads(keys, at, draft)?;
        (list.length > 0).then_some(list.end)
    }

    fn list_of_ads(&mut self, keys: &mut [Keys; 2], at: usize, draft: &mut Draft) -> Option<ListOfAds> {
        draft.set_ids([0; 3]);
        let (mut at, entry) = self.start_named(at, op::EMPTY_LIST, op::LIST)?;
        let (mut length, mut first_entry) = (0, None);
        loop {
            match *self.bytes.get(at)? {
                op::MARK if !self.is_old_dict(at) => {
                    self.protocols |= 1 << 1;
                    at += 1;
                    while *self.bytes.get(at)? != op::APPENDS {
                        at = self.element(keys, length, at, draft, &mut first_entry)?;
                        length += 1;
                    }
                    at += 1;
                }
                op::EMPTY_DICT | op::MARK => {
                    at = self.element(keys, length, at, draft, &mut first_entry)?;
                    length += 1;
                    at = (*self.bytes.get(at)? == op::APPEND).then_some(at + 1)?;
                }
                _ => break,
            }
        }
        Some(ListOfAds { end: at, length, entry, first_entry })
    }

    fn element(
        &mut self,
        keys: &mut [Keys; 2],
        nth: usize,
        at: usize,
        draft: &mut Draft,
        entry: &mut Option<u64>,
    ) -> Option<usize> {
        if nth > 0 {
            return self.field_traced(Role::Nothing, at, draft);
        }
        let (at, named) = self.start_named(at, op::EMPTY_DICT, op::DICT)?;
        *entry = named;
        self.items(AD, keys, at, draft)
    }

    /// As `start`, and the memo entry, if one was made.
    fn start_named(&mut self, at: usize, empty: u8, old: u8) -> Option<(usize, Option<u64>)> {
        let entry = self.memo.next();
        let at = self.start(at, empty, old)?;
        Some((at, (self.memo.next() > entry).then_some(entry)))
    }

    /// Makes the list and its first element, and gives their memo entries their values.
    fn keep_ads(
        &mut self,
        list_entry: Option<u64>,
        first_entry: Option<u64>,
        ids: [i64; 3],
        length: usize,
    ) -> Option<()> {
        let Ok(list @ Value::List(list_id)) = self.store.add_list() else { return None };
        if length > 1 {
            return None;
        }
        if length == 1 {
            let Ok(first @ Value::Dict(first_id)) = self.store.add_dict() else { return None };
            self.store.expect_items(first_id, ids.len()).ok()?;
            for (field, id) in self.fields.ids.into_iter().zip(ids) {
                self.store.set(first_id, field, Value::Int(id)).ok()?;
            }
            self.store.append(list_id, first, false).ok()?;
            self.name_kept(first_entry, first)?;
        }
        self.name_kept(list_entry, list)?;
        self.store.freeze_ads(list);
        Some(())
    }

    fn name_kept(&mut self, entry: Option<u64>, value: Value) -> Option<()> {
        let Some(entry) = entry else { return Some(()) };
        let word = Word::of(value)?;
        self.memo.overwrite(usize::try_from(entry).ok()?, word, &mut self.store.budget).ok()
    }
}
