//! Values straight from the window. Every function here either takes what it is named after, exactly as the machine would
//! have understood it, or gives up (`None`) for the machine to read the row from its start.

use std::ops::RangeInclusive;

use super::super::super::error::Fault;
use super::super::super::fields::Fields;
use super::super::memo::{Entry, Memo, MemoMark, Word};
use super::super::opcode as op;
use super::super::storage::Store;
use super::super::text::{self, Integer};
use super::super::value::Value;
use super::keys::Role;

/// Containers within a field that does not count.
pub const SKIPPED_DEPTH_MAX: usize = 4;

pub struct Scan<'p> {
    pub bytes: &'p [u8],
    /// Where the opcode at hand stands.
    pub at: usize,
    pub memo: &'p mut Memo,
    pub store: &'p mut Store,
    pub fields: &'p Fields,
    pub text_bytes_max: usize,
    pub media_key_chars_max: usize,
    pub window: &'p RangeInclusive<i64>,
    /// MEMOIZE sets the next entry.
    pub is_gapless: bool,
    /// The row's parts are made and kept, as the machine would.
    pub keeps_parts: bool,
    /// Bit n is set when an opcode of protocol n was read, what was learnt excepted: the row it was learnt from had it.
    pub protocols: u8,
    /// What the row at hand is made of.
    pub trace: Vec<Step>,
}

/// A part of a row that is not the same in every row, or that sets a memo entry.
#[derive(Clone, Copy)]
pub struct Step {
    pub start: usize,
    pub end: usize,
    pub kind: StepKind,
}

#[derive(Clone, Copy)]
pub enum StepKind {
    Value(Role),
    /// A memo opcode that names the next entry.
    Put(Word),
    /// One that does not, and so is the same in every row.
    Memoize(Word),
}

impl<'p> Scan<'p> {
    /// A value of a field that does not count.
    pub fn skip(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            op::EMPTY_LIST | op::EMPTY_DICT | op::MARK if depth == 0 || self.keeps_parts => None,
            op::EMPTY_LIST => self.skip_list(depth - 1),
            op::EMPTY_DICT => self.skip_dict(depth - 1),
            op::MARK if self.is_old_start(op::LIST) => self.skip_list(depth - 1),
            op::MARK => self.skip_dict(depth - 1),
            _ => self.value().map(|_| ()),
        }
    }

    fn skip_list(&mut self, depth: usize) -> Option<()> {
        self.list_start()?;
        self.put(Word::FORGOTTEN)?;
        self.elements(|scan| scan.skip(depth))
    }

    fn skip_dict(&mut self, depth: usize) -> Option<()> {
        self.dict_start()?;
        self.put(Word::FORGOTTEN)?;
        let item = |scan: &mut Self| {
            let key = scan.value()?;
            scan.store.is_hashable(key).then(|| scan.skip(depth))?
        };
        loop {
            match self.peek()? {
                op::MARK if !self.is_old_start(op::DICT) => {
                    self.at += 1;
                    self.of_protocol(1);
                    while self.peek()? != op::SETITEMS {
                        item(self)?;
                    }
                    self.at += 1;
                }
                code if is_text_or_get(code) => {
                    item(self)?;
                    self.take(op::SETITEM)?;
                }
                _ => return Some(()),
            }
        }
    }

    /// The elements of a list that has begun: `(vvv..e` or `va`, as often as they come.
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            match self.peek()? {
                op::MARK if !self.is_old_start(op::DICT) && !self.is_old_start(op::LIST) => {
                    self.at += 1;
                    self.of_protocol(1);
                    while self.peek()? != op::APPENDS {
                        element(self)?;
                    }
                    self.at += 1;
                }
                op::EMPTY_DICT | op::MARK => {
                    element(self)?;
                    self.take(op::APPEND)?;
                }
                _ => return Some(()),
            }
        }
    }

    /// Undoes what a row that could not be read has left.
    pub fn undo(&mut self, mark: MemoMark) {
        self.memo.roll_back(mark);
        self.store.roll_back();
    }

    /// A row has been read: forgets what is not kept of it.
    #[inline]
    pub fn end_row(&mut self) -> Result<(), Fault> {
        if self.keeps_parts {
            self.store.set_mark();
        } else if self.store.has_text() {
            self.store.roll_back();
        }
        self.memo.turn_pages(&mut self.store.budget)
    }

    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The operand of the opcode at hand, both of which are taken.
    #[inline]
    fn operand<const N: usize>(&mut self) -> Option<[u8; N]> {
        let start = self.at + 1;
        let operand = self.bytes.get(start..start + N)?.try_into().ok()?;
        self.at = start + N;
        Some(operand)
    }

    #[inline]
    fn of_protocol(&mut self, protocol: u8) {
        self.protocols |= 1 << protocol;
    }

    #[inline]
    pub fn is_old_start(&self, code: u8) -> bool {
        self.bytes.get(self.at..self.at + 2) == Some(&[op::MARK, code])
    }

    fn dict_start(&mut self) -> Option<()> {
        self.container_start(op::EMPTY_DICT, op::DICT)
    }

    fn list_start(&mut self) -> Option<()> {
        self.container_start(op::EMPTY_LIST, op::LIST)
    }

    #[inline]
    fn container_start(&mut self, empty: u8, old: u8) -> Option<()> {
        if self.peek()? == empty {
            self.at += 1;
            self.of_protocol(1);
            return Some(());
        }
        if self.is_old_start(old) {
            self.at += 2;
            return Some(());
        }
        None
    }

    #[inline]
    fn take(&mut self, code: u8) -> Option<()> {
        (self.peek()? == code).then(|| self.at += 1)
    }

    /// The memo opcode that may follow what can be memoized.
    #[inline]
    pub fn put(&mut self, word: Word) -> Option<()> {
        let code = self.peek()?;
        let index = match code {
            op::MEMOIZE => {
                self.at += 1;
                self.of_protocol(4);
                self.memo.is_gapless().then(|| self.memo.next())?
            }
            op::BINPUT => u64::from(self.operand::<1>()?[0]),
            op::LONG_BINPUT => u64::from(u32::from_le_bytes(self.operand()?)),
            op::PUT => text::index(self.line()?).ok()?,
            _ => return Some(()),
        };
        if index != self.memo.next() {
            return None;
        }
        if code == op::BINPUT || code == op::LONG_BINPUT {
            self.of_protocol(1);
        }
        self.memo.push(word, &mut self.store.budget).ok()
    }

    pub fn put_value(&mut self, value: Value) -> Option<()> {
        if !matches!(self.peek()?, op::MEMOIZE | op::BINPUT | op::LONG_BINPUT | op::PUT) {
            return Some(());
        }
        let word = match Word::of(value) {
            Some(word) => word,
            None if self.keeps_parts => self.memo.word_of(value, &mut self.store.budget).ok()?,
            None => Word::FORGOTTEN,
        };
        self.put(word)
    }

    pub fn get(&mut self, code: u8) -> Option<Value> {
        let index = match code {
            op::BINGET => u64::from(self.operand::<1>()?[0]),
            op::LONG_BINGET => u64::from(u32::from_le_bytes(self.operand()?)),
            _ => text::index(self.line()?).ok()?,
        };
        match self.memo.get(index, self.store) {
            Entry::Value(Value::Dict(id)) if self.store.is_gone(id) => None,
            Entry::Value(value) => Some(value),
            Entry::Missing | Entry::Forgotten => None,
        }
    }

    /// The operand of the opcode at hand up to the line feed.
    pub fn line(&mut self) -> Option<&'p [u8]> {
        /// Numbers and short texts.
        const LINE_BYTES_MAX: usize = 256;
        let bytes: &'p [u8] = self.bytes;
        let rest = bytes.get(self.at + 1..)?;
        let rest = &rest[..rest.len().min(LINE_BYTES_MAX).min(self.text_bytes_max.saturating_add(1))];
        let length = rest.iter().position(|&byte| byte == b'\n')?;
        self.at += length + 2;
        Some(&rest[..length])
    }

    /// An integer of a few digits, and where its line ends.
    #[inline]
    pub fn digits(&self, at: usize) -> Option<(i64, usize)> {
        /// So many digits fit, and a line may be as long.
        const DIGITS_MAX: usize = 18;
        let negative = self.bytes.get(at) == Some(&b'-');
        let start = at + usize::from(negative);
        let (mut number, mut end) = (0, start);
        loop {
            match *self.bytes.get(end)? {
                digit @ b'0'..=b'9' if end - start < DIGITS_MAX => number = number * 10 + i64::from(digit - b'0'),
                b'\n' => break,
                _ => return None,
            }
            end += 1;
        }
        let fits = end > start && end - at <= self.text_bytes_max;
        fits.then_some((if negative { -number } else { number }, end + 1))
    }

    /// The integer of INT, and where it ends; `01` and `00` are none.
    #[inline]
    pub fn decimal(&self, at: usize) -> Option<(i64, usize)> {
        let (number, end) = self.digits(at + 1)?;
        let is_bool = self.bytes.get(at + 1) == Some(&b'0') && end == at + 4;
        (!is_bool).then_some((number, end))
    }

    /// A value that is no container, or one from the memo.
    #[inline]
    pub fn value(&mut self) -> Option<Value> {
        let code = self.peek()?;
        let (value, protocol) = match code {
            op::BININT1 => (Value::Int(i64::from(self.operand::<1>()?[0])), 1),
            op::BININT2 => (Value::Int(i64::from(u16::from_le_bytes(self.operand()?))), 1),
            op::BININT => (Value::Int(i64::from(i32::from_le_bytes(self.operand()?))), 1),
            op::BINFLOAT => (Value::Float(f64::from_be_bytes(self.operand()?)), 1),
            _ => return self.other_value(code),
        };
        self.of_protocol(protocol);
        Some(value)
    }

    fn other_value(&mut self, code: u8) -> Option<Value> {
        let value = match code {
            op::BINGET | op::LONG_BINGET | op::GET => self.get(code)?,
            op::NONE => self.constant(Value::None),
            op::NEWTRUE => self.constant(Value::Bool(true)),
            op::NEWFALSE => self.constant(Value::Bool(false)),
            op::INT => match self.line()? {
                b"01" => Value::Bool(true),
                b"00" => Value::Bool(false),
                line => small(text::decimal_integer(line).ok()?)?,
            },
            op::LONG => {
                let line = self.line()?;
                small(text::decimal_integer(line.strip_suffix(b"L").unwrap_or(line)).ok()?)?
            }
            op::LONG1 => {
                let length = usize::from(*self.bytes.get(self.at + 1)?);
                let start = self.at + 2;
                let value = small(text::binary_integer(self.bytes.get(start..start + length)?))?;
                self.at = start + length;
                value
            }
            op::FLOAT => Value::Float(text::float(self.line()?).ok()?),
            op::SHORT_BINBYTES | op::BINBYTES => {
                let bytes = self.sized(code)?;
                let value = self.store.add_bytes(bytes).ok()?;
                self.put_value(value)?;
                value
            }
            _ => {
                let value = self.text(code)?;
                self.put_value(value)?;
                value
            }
        };
        self.of_protocol(op::Opcode::of(code)?.protocol);
        Some(value)
    }

    fn constant(&mut self, value: Value) -> Value {
        self.at += 1;
        value
    }

    /// A text, without the memo opcode that may follow.
    pub fn text(&mut self, code: u8) -> Option<Value> {
        let fields = self.fields;
        match code {
            op::SHORT_BINUNICODE | op::BINUNICODE => {
                let text = self.sized(code)?;
                self.store.add_str(text, fields).ok()
            }
            op::SHORT_BINSTRING | op::BINSTRING => {
                let text = self.sized(code)?;
                self.store.add_old_str(text, fields).ok()
            }
            op::UNICODE => {
                let text = text::raw_unicode_escape(self.line()?).ok()?;
                self.store.add_str(&text, fields).ok()
            }
            op::STRING => {
                let text = text::quoted_string(self.line()?).ok()?;
                self.store.add_old_str(&text, fields).ok()
            }
            _ => None,
        }
    }

    /// Text or bytes behind their length.
    #[inline]
    pub fn sized(&mut self, code: u8) -> Option<&'p [u8]> {
        let bytes: &'p [u8] = self.bytes;
        let length = match code {
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING | op::SHORT_BINBYTES => usize::from(self.operand::<1>()?[0]),
            _ => usize::try_from(i32::from_le_bytes(self.operand()?)).ok()?,
        };
        let sized = bytes.get(self.at..self.at + length)?;
        self.at += length;
        (length <= self.text_bytes_max).then_some(sized)
    }
}

pub fn is_text_or_get(code: u8) -> bool {
    is_text(code) || matches!(code, op::BINGET | op::LONG_BINGET | op::GET)
}

pub fn is_text(code: u8) -> bool {
    matches!(code, op::SHORT_BINUNICODE | op::BINUNICODE | op::UNICODE)
        || matches!(code, op::SHORT_BINSTRING | op::BINSTRING | op::STRING)
}

fn small<T>(integer: Integer<T>) -> Option<Value> {
    match integer {
        Integer::Small(small) => Some(Value::Int(small)),
        Integer::Large(_) => None,
    }
}
