//! The machine: one opcode at a time, from the stream to the stack, to the store, and rows out as they are complete.

use super::super::Shape;
use super::super::error::{DecodeError, Fault, Limit, PickleFault};
use super::super::fields::Fields;
use super::super::rows::Rows;
use super::fast::Fast;
use super::keep::Keep;
use super::memo::{Entry, Memo, MemoMark};
use super::opcode::{self as op, PROTOCOL_MAX};
use super::reader::Reader;
use super::stack::Stack;
use super::storage::Store;
use super::text::{self, Integer};
use super::top_level::TopLevel;
use super::value::Value;
use crate::model::{Limits, LogSchema};

pub struct Machine<'a> {
    pub reader: Reader<'a>,
    pub(super) fields: &'a Fields,
    pub(super) limits: &'a Limits,
    pub(super) store: Store,
    pub(super) memo: Memo,
    /// Of the memo when the row at hand began.
    pub(super) memo_mark: MemoMark,
    pub(super) keep: Keep,
    pub(super) fast: Fast,
    pub(super) stack: Stack,
    pub(super) top_level: TopLevel,
    /// Where the current frame ends.
    pub(super) frame_end: Option<u64>,
    /// The highest one that an opcode belongs to or PROTO names.
    pub protocol: u8,
    /// What the dump that was read last holds, unless only rows were read of it.
    pub(super) value: Value,
}

impl<'a> Machine<'a> {
    pub fn new(reader: Reader<'a>, schema: &LogSchema, fields: &'a Fields, limits: &'a Limits) -> Self {
        Self {
            reader,
            fields,
            limits,
            store: Store::new(limits.decoder_bytes_max, limits.nesting_max),
            memo: Memo::default(),
            memo_mark: MemoMark::default(),
            keep: Keep::least(),
            fast: Fast::new(schema, fields, limits),
            stack: Stack::new(limits.nesting_max),
            top_level: TopLevel::default(),
            frame_end: None,
            protocol: 0,
            value: Value::Absent,
        }
    }

    /// Reads one dump to its STOP and says how its rows were laid out. Rows that are complete before go to `rows` at
    /// once, unless they are to be held.
    pub fn read_dump(&mut self, hold: bool, keep: Keep, rows: &mut Rows) -> Result<Shape, Fault> {
        self.memo.clear();
        self.store.clear();
        self.stack.clear();
        self.top_level = TopLevel::new(hold, std::mem::take(&mut self.top_level));
        self.frame_end = None;
        self.keep = if hold { Keep::Everything } else { keep };
        self.value = Value::Absent;
        self.begin_row();
        self.fast.begin_dump(self.store.epoch());
        if self.keep < Keep::Everything && self.fast_dump(rows)? {
            return Ok(Shape::Rows);
        }
        match self.run_to_stop(rows) {
            // Rows that have been read were not listed. Whether that is an error shows when none is read too early.
            Err(Fault::Pickle(_) | Fault::Global { .. } | Fault::Opcode) if self.stack.taken => {
                Err(Fault::Forgotten(Keep::Everything))
            }
            value => {
                self.value = value?;
                self.read_top_level(self.value, rows)
            }
        }
    }

    fn run_to_stop(&mut self, rows: &mut Rows) -> Result<Value, Fault> {
        loop {
            if self.keep < Keep::Everything && self.stack.is_between_rows() {
                self.between_rows(rows)?;
            }
            let code = self.reader.opcode()?;
            self.protocol = self.protocol.max(self.reader.opcode.map_or(0, |opcode| opcode.protocol));
            if self.frame_end.is_some() {
                self.check_frame()?;
            }
            if code == op::STOP {
                return self.stop();
            }
            self.step(code, rows)?;
            if self.fast.runs.may_begin(code, self.stack.marks()) {
                self.fast_elements(rows)?;
            }
        }
    }

    /// Reads rows ahead of the opcode that lists them, where a dict follows that nothing but a row can be.
    fn between_rows(&mut self, rows: &mut Rows) -> Result<(), Fault> {
        let Some(list) = self.top_level.streamed() else { return Ok(()) };
        // Rows may be listed all together: none must be missed for being cut off here.
        if self.reader.unread().len() < 2 {
            self.reader.grow(2)?;
        }
        // A mark begins a dict of protocol 0.
        let code = self.reader.peek();
        if !matches!(code, Some(op::EMPTY_DICT | op::MARK)) {
            return Ok(());
        }
        let is_tuple = self.top_level.tuple().is_some();
        if !is_tuple && self.stack.lowest() != Some(Value::List(list)) || is_tuple && self.stack.marks() == 0 {
            return Ok(());
        }
        if self.stack.height() > self.stack.below_rows {
            if !self.reader.begins_dict() {
                return Ok(());
            }
            self.read_waiting(rows)?;
        }
        self.fast_rows(list, rows)
    }

    fn stop(&mut self) -> Result<Value, Fault> {
        if self.frame_end.is_some_and(|end| end != self.reader.offset()) {
            return Err(PickleFault::Frame.into());
        }
        // What is left below is ignored, as in Python.
        Ok(self.stack.pop()?)
    }

    fn step(&mut self, code: u8, rows: &mut Rows) -> Result<(), Fault> {
        match code {
            op::PROTO => self.protocol()?,
            op::FRAME => self.frame()?,

            op::NONE => self.push(Value::None)?,
            op::NEWTRUE => self.push(Value::Bool(true))?,
            op::NEWFALSE => self.push(Value::Bool(false))?,
            op::BININT => self.int(i32::from_le_bytes)?,
            op::BININT1 => self.int(u8::from_le_bytes)?,
            op::BININT2 => self.int(u16::from_le_bytes)?,
            op::INT => self.int_line()?,
            op::LONG => self.long_line()?,
            op::LONG1 | op::LONG4 => self.long(code)?,
            op::FLOAT => {
                let value = text::float(self.reader.line()?)?;
                self.push(Value::Float(value))?;
            }
            op::BINFLOAT => {
                let value = f64::from_be_bytes(self.reader.array()?);
                self.push(Value::Float(value))?;
            }

            op::UNICODE | op::BINUNICODE | op::SHORT_BINUNICODE | op::BINUNICODE8 => self.unicode(code)?,
            op::STRING | op::BINSTRING | op::SHORT_BINSTRING => self.old_string(code)?,
            op::BINBYTES | op::SHORT_BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => self.byte_string(code)?,

            op::EMPTY_LIST | op::LIST => self.list(code, rows)?,
            op::APPEND | op::APPENDS => self.append(code, rows)?,
            op::EMPTY_DICT | op::DICT => self.dict(code)?,
            op::SETITEM | op::SETITEMS => self.set_items(code)?,
            op::EMPTY_TUPLE | op::TUPLE | op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => self.tuple(code, rows)?,
            op::EMPTY_SET => {
                let set = self.store.add_set(false, None)?;
                self.push(set)?;
            }
            op::ADDITEMS | op::FROZENSET => self.set(code)?,

            op::MARK => self.mark()?,
            op::POP => self.stack.drop_top()?,
            op::POP_MARK => {
                let from = self.stack.pop_mark()?;
                self.stack.truncate(from);
            }
            op::DUP => {
                let value = self.stack.top()?;
                self.push(value)?;
            }
            op::GET | op::BINGET | op::LONG_BINGET => self.get(code)?,
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.put(code)?,

            op::GLOBAL | op::STACK_GLOBAL | op::INST => self.global(code)?,
            op::REDUCE => self.reduce()?,
            op::NEWOBJ => self.new_object()?,
            op::BUILD => self.build()?,
            op::NEWOBJ_EX | op::OBJ => return Err(self.refuse(code)?),
            op::PERSID | op::BINPERSID | op::EXT1 | op::EXT2 | op::EXT4 => return Err(Fault::Opcode),
            op::NEXT_BUFFER | op::READONLY_BUFFER => return Err(PickleFault::OutOfBand.into()),
            _ => return Err(PickleFault::UnknownOpcode(code).into()),
        }
        Ok(())
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), Fault> {
        self.stack.push(value, &mut self.store.budget)
    }

    fn mark(&mut self) -> Result<(), Fault> {
        let is_lowest = self.stack.would_be_empty(None);
        self.stack.mark()?;
        if is_lowest
            && self.keep < Keep::Everything
            && self.top_level.may_begin_tuple()
            && self.reader.begins_dict()
            && let Value::List(id) = self.store.add_list()?
        {
            self.top_level.begin_tuple(id);
            self.stack.below_rows = 0;
            self.begin_row();
        }
        Ok(())
    }

    fn protocol(&mut self) -> Result<(), Fault> {
        let protocol = self.reader.byte()?;
        if protocol > PROTOCOL_MAX {
            return Err(PickleFault::UnknownProtocol(protocol).into());
        }
        self.protocol = self.protocol.max(protocol);
        Ok(())
    }

    /// A frame's length changes nothing here; that it fits shows that no byte was lost.
    fn frame(&mut self) -> Result<(), Fault> {
        let length = u64::from_le_bytes(self.reader.array()?);
        let end = self.reader.offset().checked_add(length);
        if self.frame_end.is_some() || end.is_none() {
            return Err(PickleFault::Frame.into());
        }
        self.frame_end = end;
        Ok(())
    }

    /// A frame ends between two opcodes.
    fn check_frame(&mut self) -> Result<(), Fault> {
        match self.frame_end {
            Some(end) if end < self.reader.opcode_offset => Err(PickleFault::Frame.into()),
            Some(end) if end == self.reader.opcode_offset => {
                self.frame_end = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn int<const N: usize, I: Into<i64>>(&mut self, read: impl Fn([u8; N]) -> I) -> Result<(), Fault> {
        let value = read(self.reader.array()?).into();
        self.push(Value::Int(value))
    }

    fn int_line(&mut self) -> Result<(), Fault> {
        // Protocols 0 and 1 write True and False so.
        let value = match self.reader.line()? {
            b"01" => Value::Bool(true),
            b"00" => Value::Bool(false),
            line => integer(text::decimal_integer(line)?, &mut self.store, Value::Digits)?,
        };
        self.push(value)
    }

    fn long_line(&mut self) -> Result<(), Fault> {
        let line = self.reader.line()?;
        let line = line.strip_suffix(b"L").unwrap_or(line);
        let value = integer(text::decimal_integer(line)?, &mut self.store, Value::Digits)?;
        self.push(value)
    }

    fn long(&mut self, code: u8) -> Result<(), Fault> {
        let length = match code {
            op::LONG1 => u64::from(self.reader.byte()?),
            _ => self.signed_length()?,
        };
        let value = integer(text::binary_integer(self.reader.text(length)?), &mut self.store, Value::Long)?;
        self.push(value)
    }

    fn get(&mut self, code: u8) -> Result<(), Fault> {
        let index = match code {
            op::GET => text::index(self.reader.line()?)?,
            op::BINGET => u64::from(self.reader.byte()?),
            _ => u64::from(u32::from_le_bytes(self.reader.array()?)),
        };
        match self.memo.get(index, &self.store) {
            Entry::Value(Value::Dict(id)) if self.store.is_gone(id) => Err(Fault::Forgotten(self.keep.more())),
            Entry::Value(value) => self.push(value),
            Entry::Missing => Err(PickleFault::MemoMissing(index).into()),
            Entry::Forgotten => Err(Fault::Forgotten(self.keep.more())),
        }
    }

    fn put(&mut self, code: u8) -> Result<(), Fault> {
        let index = match code {
            op::PUT => text::index(self.reader.line()?)?,
            op::BINPUT => u64::from(self.reader.byte()?),
            op::LONG_BINPUT => u64::from(u32::from_le_bytes(self.reader.array()?)),
            _ => self.memo.len(),
        };
        let value = self.stack.top()?;
        if !self.memo.put(index, value, &mut self.store.budget)? {
            self.store.escape();
            self.fast.forget_gets();
        }
        Ok(())
    }

    /// Completes a fault with its place and, for a limit, with its value.
    pub fn place(&self, fault: Fault) -> DecodeError {
        self.reader.place(fault, |limit| match limit {
            Limit::ObjectBytes => self.limits.object_bytes_max,
            Limit::InflatedBytes => self.limits.inflated_bytes_max,
            Limit::InflateRatio => self.limits.inflate_ratio_max,
            Limit::Rows => self.limits.rows_max,
            Limit::Nesting => self.limits.nesting_max as u64,
            Limit::TextBytes => self.limits.text_bytes_max as u64,
            Limit::DecoderBytes => self.limits.decoder_bytes_max as u64,
        })
    }
}

fn integer<T: AsRef<[u8]>>(
    integer: Integer<T>,
    store: &mut Store,
    large: impl Fn(super::value::Span) -> Value,
) -> Result<Value, Fault> {
    match integer {
        Integer::Small(small) => Ok(Value::Int(small)),
        Integer::Large(bytes) => store.add_text(bytes.as_ref()).map(large),
    }
}
