//! The store: what is held of the objects of one dump.
//!
//! A pickle may refer to any object it has made before, so the store keeps contents until the dump ends, but only
//! those that can matter: of a dict the fields that count. Nothing here is copied for a reference, and nothing recurses,
//! so shared and cyclic objects cost what one reference costs.

mod ads;
mod items;
mod json;
mod nesting;
mod rollback;
mod sequences;

use hashbrown::HashMap;

use super::super::ads_json::Ids;
use super::super::error::{Fault, Limit};
use super::super::fields::{FieldId, Fields};
use super::budget::Budget;
use super::intern::{INTERNED, Interner, Origin, TextName};
use super::objects::{Object, Payload};
use super::value::{Span, Value};
use crate::model::RejectReason;
use ads::AdsTable;
pub use ads::{not_kept, refuse_ads};
use items::Items;
pub use items::Run;

/// A list, a tuple or a set.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    first: Value,
    length: u32,
    /// Where the elements after the first are in `rests`; `u32::MAX` when they are nowhere.
    rest: u32,
    node: Node,
    hashable: bool,
}

/// The fields of a dict that count: `entries[at..at + length]`.
#[derive(Clone, Copy, Debug)]
struct Dict {
    at: u32,
    length: u32,
    capacity: u32,
    node: Node,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Containers within containers, this one included.
    depth: u16,
    /// Has been put into a container: its depth is counted there and only there, so that cycles do not grow.
    attached: bool,
    /// A row that has been read depends on it.
    frozen: bool,
    /// Its contents are not kept.
    gone: bool,
}

const NOWHERE: u32 = u32::MAX;

pub struct Store {
    pub budget: Budget,
    nesting_max: usize,
    interner: Interner,
    pub(super) text: Vec<u8>,
    sequences: Vec<Sequence>,
    rests: Vec<Items>,
    /// What `Value::Ads` means.
    ads: AdsTable,
    dicts: Vec<Dict>,
    entries: Vec<(FieldId, Value)>,
    /// What long JSON texts in `text` turned out to hold, by their place: a text that many rows share is parsed once.
    json: HashMap<u32, Result<Ids, RejectReason>>,
    /// The keys of `json` that end with their row, in the order in which they came.
    json_places: Vec<u32>,
    /// Where everything ended when the row at hand began.
    mark: StoreMark,
    /// Something from before the mark refers to something after it.
    escaped: bool,
    pub(super) objects: Vec<Object>,
    pub(super) payloads: Vec<Payload>,
    /// From here on `text` is of one row only.
    pub(super) scratch_at: usize,
    /// A class was named whose instances have a state: the keys of states are told apart from other texts.
    pub(super) keeps_states: bool,
}

#[derive(Clone, Copy, Default)]
struct StoreMark {
    text: usize,
    sequences: usize,
    rests: usize,
    dicts: usize,
    entries: usize,
    json: usize,
}

impl Store {
    pub fn new(bytes_max: usize, nesting_max: usize) -> Self {
        Self {
            budget: Budget::new(bytes_max),
            nesting_max,
            interner: Interner::default(),
            text: Vec::new(),
            sequences: Vec::new(),
            rests: Vec::new(),
            ads: AdsTable::default(),
            dicts: Vec::new(),
            entries: Vec::new(),
            json: HashMap::new(),
            json_places: Vec::new(),
            mark: StoreMark::default(),
            escaped: false,
            objects: Vec::new(),
            payloads: Vec::new(),
            scratch_at: usize::MAX,
            keeps_states: false,
        }
    }

    /// Forgets everything; `Value`s made before mean nothing afterwards.
    pub fn clear(&mut self) {
        self.text.clear();
        self.sequences.clear();
        self.rests.clear();
        self.ads = AdsTable::default();
        self.dicts.clear();
        self.entries.clear();
        self.json = HashMap::new();
        self.json_places.clear();
        self.interner.end_dump();
        self.objects.clear();
        self.payloads.clear();
        self.scratch_at = usize::MAX;
        self.keeps_states = false;
        self.budget.forget_scattered();
        self.set_mark();
    }

    pub fn add_text(&mut self, bytes: &[u8]) -> Result<Span, Fault> {
        let at = place(self.text.len())?;
        let length = place(bytes.len())?;
        self.budget.reserve(&mut self.text, bytes.len())?;
        self.text.extend_from_slice(bytes);
        Ok(Span { at, length })
    }

    /// A text that is kept once; `None` when it is not of that kind.
    #[inline]
    pub fn intern(&mut self, origin: Origin, bytes: &[u8]) -> Result<Option<Value>, Fault> {
        self.interner.intern(origin, bytes, &mut self.budget)
    }

    /// The name of a `str` of up to eight bytes that is known; they are in a word, the first of them lowest.
    #[inline]
    pub fn known_short(&self, word: u64, length: usize) -> Option<TextName> {
        let number = self.interner.find_short(word, length)?;
        Some(TextName { epoch: self.interner.epoch(), number })
    }

    /// Of the names of interned texts.
    pub fn epoch(&self) -> u32 {
        self.interner.epoch()
    }

    pub fn texts(&self) -> &Interner {
        &self.interner
    }

    /// The interned text of a number.
    pub fn interned(&self, number: u32) -> Span {
        self.interner.span(number)
    }

    /// The name of a text that has one.
    #[inline]
    pub fn text_name(&self, value: Value) -> Option<TextName> {
        match value {
            Value::Text(span) | Value::OldText(span) | Value::Utf8(span) => self.interner.name(span),
            _ => None,
        }
    }

    pub fn bytes(&self, span: Span) -> &[u8] {
        #[cfg(test)]
        super::objects::look_at(span.length as usize);
        if span.at & INTERNED != 0 {
            return self.interner.bytes(span.at & !INTERNED);
        }
        let at = span.at as usize;
        self.text.get(at..at + span.length as usize).unwrap_or_default()
    }

    /// A span that was checked to be UTF-8 when it was added.
    pub fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    /// The text of a value that is text as a key: a `str` without lone surrogates, or Python 2's.
    pub fn key_text<'s>(&'s self, value: Value, fields: &'s Fields) -> Option<&'s str> {
        match value {
            Value::Field(field) => Some(fields.name(field)),
            Value::Text(span) | Value::OldText(span) => Some(self.text(span)),
            _ => None,
        }
    }

    pub fn add_dict(&mut self) -> Result<Value, Fault> {
        let node = Node { depth: 1, ..Node::default() };
        let id = place(self.dicts.len())?;
        self.budget.push(&mut self.dicts, Dict { at: 0, length: 0, capacity: 0, node })?;
        Ok(Value::Dict(id))
    }

    /// Sets an item whose key is a field that counts.
    pub fn set(&mut self, id: u32, field: FieldId, value: Value) -> Result<(), Fault> {
        self.escaped |= (id as usize) < self.mark.dicts;
        let dict = &mut self.dicts[id as usize];
        if dict.node.frozen {
            return Err(Fault::RowsChanged);
        }
        let at = dict.at as usize;
        if let Some(entry) = self.entries[at..at + dict.length as usize].iter_mut().find(|entry| entry.0 == field) {
            entry.1 = value;
            return Ok(());
        }
        if dict.length == dict.capacity {
            self.grow_dict(id)?;
        }
        let dict = &mut self.dicts[id as usize];
        self.entries[dict.at as usize + dict.length as usize] = (field, value);
        dict.length += 1;
        Ok(())
    }

    /// Makes room for the items that are about to be set, where they are the first.
    pub fn expect_items(&mut self, id: u32, fields: usize) -> Result<(), Fault> {
        let Dict { capacity, .. } = self.dicts[id as usize];
        if capacity > 0 || fields == 0 {
            return Ok(());
        }
        let at = self.entries.len();
        let end = at + fields;
        place(end)?;
        self.budget.reserve(&mut self.entries, fields)?;
        self.entries.resize(end, (FieldId(0), Value::Absent));
        let dict = &mut self.dicts[id as usize];
        (dict.at, dict.capacity) = (at as u32, fields as u32);
        Ok(())
    }

    /// Doubles a dict's room: in place where it is the last one, else at the end.
    fn grow_dict(&mut self, id: u32) -> Result<(), Fault> {
        let Dict { at, length, capacity, .. } = self.dicts[id as usize];
        let is_last = capacity > 0 && at as usize + capacity as usize == self.entries.len();
        let start = if is_last { at as usize } else { self.entries.len() };
        let wanted = capacity.saturating_mul(2).saturating_add(4);
        let end = start + wanted as usize;
        place(end)?;
        let more = end - self.entries.len();
        self.budget.reserve(&mut self.entries, more)?;
        self.entries.resize(end, (FieldId(0), Value::Absent));
        self.entries.copy_within(at as usize..at as usize + length as usize, start);
        let dict = &mut self.dicts[id as usize];
        dict.at = start as u32;
        dict.capacity = wanted;
        Ok(())
    }

    /// The items of a dict whose keys are fields that count.
    pub fn items(&self, id: u32) -> &[(FieldId, Value)] {
        let dict = &self.dicts[id as usize];
        &self.entries[dict.at as usize..dict.at as usize + dict.length as usize]
    }

    pub fn get(&self, id: u32, field: FieldId) -> Option<Value> {
        self.items(id).iter().find(|entry| entry.0 == field).map(|entry| entry.1)
    }

    /// From here on a change to what the row depends on is an error. What it depends on: its own fields, whether its
    /// `ads` are empty, and the fields of their first element.
    pub fn freeze(&mut self, row: Value, ads: FieldId) {
        let Value::Dict(row) = row else { return };
        self.dicts[row as usize].node.frozen = true;
        if let Some(ads) = self.get(row, ads) {
            self.freeze_ads(ads);
        }
    }

    pub fn freeze_ads(&mut self, ads: Value) {
        let (Value::List(ads) | Value::Tuple(ads)) = ads else { return };
        let sequence = &mut self.sequences[ads as usize];
        match sequence.first {
            Value::Absent => sequence.node.frozen = true,
            Value::Dict(first) => self.dicts[first as usize].node.frozen = true,
            _ => {}
        }
    }

    pub fn is_hashable(&self, value: Value) -> bool {
        match value {
            Value::Dict(_) | Value::List(_) | Value::Ads(_) | Value::Set(_) | Value::ByteArray(_) => false,
            Value::Tuple(id) => self.sequences[id as usize].hashable,
            Value::Opaque { hashable } => hashable,
            _ => true,
        }
    }
}

/// A place in the store, which ends at 2^31.
pub(super) fn place(index: usize) -> Result<u32, Fault> {
    u32::try_from(index).ok().filter(|&index| index < INTERNED).ok_or(Limit::DecoderBytes.into())
}

/// Only arguments, which are tuples, may be longer than text is allowed to be.
pub(super) fn refuse_payload(value: Value) -> Result<(), Fault> {
    if matches!(value, Value::Payload(_)) { Err(Limit::TextBytes.into()) } else { Ok(()) }
}
