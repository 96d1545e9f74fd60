//! Walks over the opcodes of an object and follows what they would make, without making any of it: rows go to the tally
//! as they are listed, and where the walk stops, what was being built can be told.
//!
//! This is not the machine that counts. It keeps the names of all fields, of every value only the beginning, and of a call
//! only who would be called with what.

use hashbrown::HashMap;

use super::super::error::{Fault, Limit, PickleFault};
use super::super::pickle::{Reader, opcode as op, text};
use super::asked::Asked;
use super::breakage::Executed;
use super::fields::FieldTally;
use super::objects::Told;
use super::producer::{BATCH, Producer};
use super::thing::{Items, Kind, Maker, TextKind, Thing};
use crate::model::Limits;

/// The stack's height is bounded by what the walk may hold; this bounds its marks.
const MARKS_MAX: usize = 1 << 20;
/// What is read of an object past an opcode that is refused, to see what it leads to.
const OPCODES_PAST_MAX: u64 = 1 << 20;

pub(super) struct Walk<'a> {
    pub reader: Reader<'a>,
    pub maker: Maker,
    pub stack: Vec<Thing>,
    /// Where each thing on the stack was put there; what is above the stack's height is of things that have left.
    pub(super) places: Vec<u64>,
    pub marks: Vec<usize>,
    pub(super) memo: HashMap<u64, Thing>,
    /// Distinct numbers that were put: what MEMOIZE counts on from.
    pub(super) memoized: u64,
    pub(super) has_forgotten: bool,
    pub(super) held_bytes_max: usize,
    pub producer: Producer,
    pub tally: FieldTally,
    pub asked: Asked<'a>,
    /// Rows of the dumps that were listed in columns, by dump.
    pub columns_of: &'a HashMap<u64, u64>,
    /// The list of rows of this dump.
    pub list: Option<Thing>,
    /// Where the object was refused, and what that leads to.
    pub refused_at: Option<u64>,
    pub told: Vec<(u64, Told)>,
    /// Where the current dump begins.
    pub dump_offset: u64,
    /// Of the dump before.
    pub last_value: Option<Thing>,
}

/// Why a walk ended.
pub(super) enum End {
    /// The object's end.
    Whole,
    /// At the place that was to be walked up to and no further. An opcode there is read, and not followed.
    At(Option<u8>),
    /// By a fault of the stream, or a limit of the walk itself.
    Fault(Fault),
}

impl End {
    /// The opcode that the walk ended at.
    pub fn opcode(&self) -> Option<u8> {
        match self {
            End::At(code) => *code,
            End::Whole | End::Fault(_) => None,
        }
    }
}

impl<'a> Walk<'a> {
    pub fn new(
        reader: Reader<'a>,
        limits: &Limits,
        tally: FieldTally,
        asked: Asked<'a>,
        columns_of: &'a HashMap<u64, u64>,
    ) -> Self {
        Self {
            reader,
            maker: Maker::default(),
            stack: Vec::new(),
            places: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            memoized: 0,
            has_forgotten: false,
            held_bytes_max: limits.decoder_bytes_max,
            producer: Producer::default(),
            tally,
            asked,
            columns_of,
            list: None,
            refused_at: None,
            told: Vec::new(),
            dump_offset: 0,
            last_value: None,
        }
    }

    /// Walks to the end of the object, or to the first opcode at or after `stop`.
    pub fn run(&mut self, stop: u64) -> End {
        loop {
            match self.reader.at_end() {
                // A dump that ends at the stop is whole.
                Ok(_) if self.reader.offset() >= stop => return End::At(None),
                Ok(true) => return End::Whole,
                Ok(false) => {}
                Err(fault) => return End::Fault(fault),
            }
            match self.dump(stop) {
                Ok(None) => self.producer.dumps += 1,
                Ok(code) => return End::At(code),
                Err(fault) => return End::Fault(fault),
            }
        }
    }

    /// Follows one dump. The opcode at `stop`, if it was left there.
    pub fn dump(&mut self, stop: u64) -> Result<Option<u8>, Fault> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        (self.memoized, self.has_forgotten, self.list) = (0, false, None);
        self.dump_offset = self.reader.offset();
        self.asked.begin_dump(self.tally.rows, self.columns_of.contains_key(&self.producer.dumps));
        loop {
            let code = self.reader.opcode()?;
            if self.reader.opcode_offset >= stop {
                return Ok(Some(code));
            }
            if code == op::STOP {
                self.end_dump();
                return Ok(None);
            }
            self.step(code)?;
        }
    }

    /// Goes on from an opcode that was refused, and was read but not followed, to see who would be called with what.
    pub fn past(&mut self, code: u8) -> Vec<Executed> {
        self.follow(code);
        let told = std::mem::take(&mut self.told);
        told.into_iter().map(|(offset, told)| Executed { offset, call: told.in_words() }).collect()
    }

    fn follow(&mut self, code: u8) {
        self.refused_at = Some(self.reader.opcode_offset);
        // What comes from here on is no row.
        self.list = None;
        let mut next = Ok(code);
        for _ in 0..OPCODES_PAST_MAX {
            match next {
                Ok(op::STOP) | Err(_) => return,
                Ok(code) if self.step(code).is_err() => return,
                Ok(_) => next = self.reader.opcode(),
            }
        }
    }

    fn step(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            op::PROTO => {
                let protocol = self.reader.byte()?;
                *self.producer.protocols.entry(protocol).or_default() += 1;
            }
            op::FRAME => {
                self.reader.array::<8>()?;
                self.producer.frames += 1;
            }
            op::NONE => self.push(Thing::None)?,
            op::NEWTRUE => self.push(Thing::Bool(true))?,
            op::NEWFALSE => self.push(Thing::Bool(false))?,
            op::BININT | op::BININT1 | op::BININT2 | op::INT | op::LONG | op::LONG1 | op::LONG4 => {
                self.integer(code)?
            }
            op::FLOAT => {
                let value = text::float(self.reader.line()?)?;
                self.push(Thing::Float(value))?;
            }
            op::BINFLOAT => {
                let value = f64::from_be_bytes(self.reader.array()?);
                self.push(Thing::Float(value))?;
            }
            op::UNICODE => {
                let text = text::raw_unicode_escape(self.reader.line()?)?;
                self.push_text(TextKind::Str, &text)?;
            }
            op::STRING => {
                let text = text::quoted_string(self.reader.line()?)?;
                self.push_text(TextKind::OldStr, &text)?;
            }
            op::BINUNICODE | op::SHORT_BINUNICODE | op::BINUNICODE8 => self.text(code, TextKind::Str)?,
            op::BINSTRING | op::SHORT_BINSTRING => self.text(code, TextKind::OldStr)?,
            op::BINBYTES | op::SHORT_BINBYTES | op::BINBYTES8 => self.text(code, TextKind::Bytes)?,
            op::BYTEARRAY8 => self.text(code, TextKind::ByteArray)?,

            op::EMPTY_LIST | op::LIST | op::EMPTY_DICT | op::DICT | op::EMPTY_SET => self.container(code)?,
            op::EMPTY_TUPLE | op::TUPLE | op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => self.tuple(code)?,
            op::FROZENSET => {
                let items = self.pop_to_mark()?;
                self.push_container(Kind::FrozenSet, Items::all(items))?;
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(vec![item], false)?;
            }
            op::APPENDS | op::ADDITEMS => {
                let items = self.pop_to_mark()?;
                self.append(items, true)?;
            }
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(vec![key, value])?;
            }
            op::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(items)?;
            }

            op::MARK if self.marks.len() >= MARKS_MAX => return Err(Limit::DecoderBytes.into()),
            op::MARK => self.marks.push(self.stack.len()),
            op::POP => match self.marks.last() {
                Some(&mark) if mark == self.stack.len() => drop(self.marks.pop()),
                _ => drop(self.pop()?),
            },
            op::POP_MARK => drop(self.pop_to_mark()?),
            op::DUP => {
                let top = self.top()?.clone();
                self.push(top)?;
            }
            op::GET | op::BINGET | op::LONG_BINGET => self.get(code)?,
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.put(code)?,
            _ => return self.object(code),
        }
        Ok(())
    }

    fn container(&mut self, code: u8) -> Result<(), Fault> {
        let kind = match code {
            op::EMPTY_LIST | op::LIST => Kind::List,
            op::EMPTY_SET => Kind::Set,
            _ => Kind::Dict,
        };
        let items = if matches!(code, op::LIST | op::DICT) { self.pop_to_mark()? } else { Vec::new() };
        let is_lowest = self.stack.is_empty() && self.marks.is_empty();
        self.push_container(kind, Items::default())?;
        if kind == Kind::List && is_lowest && self.list.is_none() {
            self.list = self.stack.last().cloned();
        }
        match (kind, items.is_empty()) {
            (_, true) => Ok(()),
            (Kind::Dict, false) => self.set_items(items),
            _ => self.append(items, true),
        }
    }

    pub(super) fn push_container(&mut self, kind: Kind, items: Items) -> Result<(), Fault> {
        let container = self.maker.container(self.reader.opcode_offset, kind, items);
        self.push(container)
    }

    fn tuple(&mut self, code: u8) -> Result<(), Fault> {
        let items = match code {
            op::TUPLE => self.pop_to_mark()?,
            op::EMPTY_TUPLE => Vec::new(),
            _ => {
                let length = usize::from(code - op::TUPLE1) + 1;
                let from = self.stack.len().checked_sub(length).ok_or(PickleFault::StackUnderflow)?;
                self.stack.split_off(from)
            }
        };
        self.push_container(Kind::Tuple, Items::all(items))
    }

    fn append(&mut self, items: Vec<Thing>, marked: bool) -> Result<(), Fault> {
        let top = self.top()?.clone();
        let node = top.node().cloned().ok_or(PickleFault::WrongOperand("a list"))?;
        let before = node.length();
        if before > 0 && before.is_multiple_of(BATCH) && items.len() == 1 && node.kind() == Some(Kind::List) {
            self.producer.lone_batches += u64::from(marked);
            self.producer.lone_appends += u64::from(!marked && !self.producer.protocols.is_empty());
        }
        let is_rows = self.list.as_ref().is_some_and(|list| list.is_same(&top));
        for (at, item) in items.into_iter().enumerate() {
            let place = self.places.get(self.stack.len() + at).copied().unwrap_or(self.reader.opcode_offset);
            if is_rows {
                self.row(&item, place);
            }
            self.asked.see_element(&node, before + at as u64, place);
            if !node.add(item) {
                return Err(PickleFault::WrongOperand("a list").into());
            }
        }
        if is_rows { self.keep_within_limit() } else { Ok(()) }
    }

    fn set_items(&mut self, items: Vec<Thing>) -> Result<(), Fault> {
        let node = self.top()?.node().cloned().ok_or(PickleFault::WrongOperand("a dict"))?;
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if !node.set(key, value) {
                return Err(PickleFault::WrongOperand("a dict").into());
            }
        }
        Ok(())
    }

    pub(super) fn row(&mut self, row: &Thing, place: u64) {
        self.asked.see_row(self.tally.rows, row, self.dump_offset, place);
        self.tally.see_row(row);
    }

    fn end_dump(&mut self) {
        if let Some(&rows) = self.columns_of.get(&self.producer.dumps) {
            let value = self.stack.pop();
            self.asked.see_columns(rows, value.as_ref(), self.dump_offset);
            self.tally.rows += rows;
            return;
        }
        let Some(value) = self.stack.pop() else { return };
        self.last_value = Some(value.clone());
        let listed = self.list.as_ref().is_some_and(|list| list.is_same(&value));
        match value.kind() {
            Some(Kind::List | Kind::Tuple) if !listed => {
                let mut at = 0;
                while let Some(row) = value.item(at) {
                    self.row(&row, self.dump_offset);
                    at += 1;
                }
            }
            Some(Kind::Dict | Kind::OrderedDict) if !self.asked.are_columns(&value) => {
                self.row(&value, self.dump_offset)
            }
            _ => {}
        }
    }
}
