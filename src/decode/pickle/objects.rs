//! Objects of the classes that are known, as they were written: class, arguments, state. What one of them means is worked
//! out when a row needs it, so that a column of no interest costs no more than its bytes.

use super::super::error::Fault;
use super::super::fields::{Fields, StateKey};
use super::globals::Global;
use super::intern::INTERNED;
use super::storage::{Store, place};
use super::value::{Span, Value};

/// `class(*arguments)`, then `__setstate__(state)`.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    pub class: Global,
    pub arguments: Value,
    pub state: Value,
}

/// Text or bytes beyond `text_bytes_max`.
pub struct Payload {
    pub bytes: Vec<u8>,
    pub is_text: bool,
}

// Tests count the bytes that are taken from the store to be looked at.
#[cfg(test)]
thread_local! {
    pub static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
pub fn look_at(bytes: usize) {
    LOOKED_AT.set(LOOKED_AT.get() + bytes);
}

impl Store {
    /// `arguments` is a tuple.
    pub fn add_object(&mut self, class: Global, arguments: Value) -> Result<Value, Fault> {
        let id = place(self.objects.len())?;
        self.escape();
        self.budget.push(&mut self.objects, Object { class, arguments, state: Value::Absent })?;
        Ok(Value::Object(id))
    }

    pub fn set_state(&mut self, id: u32, state: Value) {
        self.escape();
        self.objects[id as usize].state = state;
    }

    pub fn object(&self, value: Value) -> Option<Object> {
        match value {
            Value::Object(id) => self.objects.get(id as usize).copied(),
            _ => None,
        }
    }

    /// An element of a list or tuple.
    pub fn element(&self, sequence: Value, index: usize) -> Option<Value> {
        match sequence {
            Value::List(id) | Value::Tuple(id) => self.item(id, index),
            _ => None,
        }
    }

    /// Of a list or tuple.
    pub fn elements(&self, sequence: Value) -> Option<usize> {
        match sequence {
            Value::List(id) | Value::Tuple(id) => Some(self.length(id)),
            _ => None,
        }
    }

    /// What a dict says under one of the keys of states.
    pub fn entry(&self, dict: Value, key: StateKey, fields: &Fields) -> Option<Value> {
        match dict {
            Value::Dict(id) => self.get(id, fields.state(key)),
            _ => None,
        }
    }

    pub fn add_payload(&mut self, bytes: Vec<u8>, is_text: bool) -> Result<Value, Fault> {
        let id = place(self.payloads.len())?;
        self.budget.push(&mut self.payloads, Payload { bytes, is_text })?;
        Ok(Value::Payload(id))
    }

    /// The contents of `bytes` or a `bytearray` of any length.
    pub fn raw(&self, value: Value) -> Option<&[u8]> {
        match value {
            Value::Utf8(span) | Value::Bytes(span) | Value::OldText(span) | Value::ByteArray(span) => {
                Some(self.bytes(span))
            }
            Value::Payload(id) => self.payloads.get(id as usize).filter(|it| !it.is_text).map(|it| it.bytes.as_slice()),
            _ => None,
        }
    }

    /// As `key_text`, for what is compared with names that are known: nothing of a text that is longer than all of them.
    pub fn name_text<'s>(&'s self, value: Value, fields: &'s Fields) -> Option<&'s str> {
        const NAME_BYTES_MAX: u32 = 64;
        match value {
            Value::Text(span) | Value::OldText(span) if span.length > NAME_BYTES_MAX => None,
            value => self.key_text(value, fields),
        }
    }

    /// What a constructor may have to look at of an argument: bytes of text, elements of a list.
    pub fn work_on(&self, argument: Value) -> usize {
        match argument {
            Value::Text(span) | Value::OldText(span) | Value::Utf8(span) | Value::Bytes(span) => span.length as usize,
            Value::Payload(id) => self.payloads.get(id as usize).map_or(0, |payload| payload.bytes.len()),
            Value::List(id) => self.length(id),
            _ => 0,
        }
    }

    /// The text of a `str` that is too long for a field.
    pub fn long_text(&self, value: Value) -> Option<&str> {
        let Value::Payload(id) = value else { return None };
        let payload = self.payloads.get(id as usize).filter(|payload| payload.is_text)?;
        std::str::from_utf8(&payload.bytes).ok()
    }

    /// Text that is added from here on ends with the row.
    pub fn begin_scratch(&mut self) {
        self.scratch_at = self.text.len();
    }

    pub fn end_scratch(&mut self) {
        self.text.truncate(self.scratch_at);
        self.scratch_at = usize::MAX;
    }

    pub fn is_scratch(&self, span: Span) -> bool {
        span.at & INTERNED == 0 && span.at as usize >= self.scratch_at
    }

    /// Copies a part of what `raw` gives into the text of the row. `None` where there is no such part.
    pub fn copy_text(&mut self, from: Value, at: usize, end: usize) -> Result<Option<Span>, Fault> {
        let length = match self.raw(from) {
            Some(bytes) if at <= end && end <= bytes.len() => end - at,
            _ => return Ok(None),
        };
        let span = Span { at: place(self.text.len())?, length: place(length)? };
        self.budget.reserve(&mut self.text, length)?;
        match from {
            Value::Payload(id) => self.text.extend_from_slice(&self.payloads[id as usize].bytes[at..end]),
            Value::Utf8(from) | Value::Bytes(from) | Value::OldText(from) | Value::ByteArray(from) => {
                if from.at & INTERNED != 0 {
                    let bytes = self.bytes(from)[at..end].to_vec();
                    self.text.extend_from_slice(&bytes);
                } else {
                    let start = from.at as usize;
                    self.text.extend_from_within(start + at..start + end);
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(span))
    }
}

/// A length or an index.
pub fn count(value: Value) -> Option<usize> {
    match value {
        Value::Int(count) => usize::try_from(count).ok(),
        _ => None,
    }
}
