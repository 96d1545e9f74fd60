//! The top level of a dump: which object it will be, as far as that can be known before STOP, and the rows in it.
//!
//! A list that is made on an empty stack is the top level of every dump that holds one, so its elements are read as they
//! are appended and leave at once. So is a tuple whose mark is set there and followed by a dict, for rows of many. Should it turn out not to be (it is taken off the stack again, or becomes part of a
//! tuple), or should a row change after it was read, then the dump is read again with its rows held until STOP.

use hashbrown::{HashMap, HashSet};

use super::super::Shape;
use super::super::error::{DecodeError, Fault};
use super::super::fields::FieldId;
use super::super::rows::Rows;
use super::budget::Budget;
use super::column::Column;
use super::globals::Global;
use super::machine::Machine;
use super::storage::not_kept;
use super::value::Value;

#[derive(Default)]
pub struct TopLevel {
    /// Rows are read at STOP only.
    hold: bool,
    list: Option<u32>,
    /// `list` becomes a tuple.
    is_tuple: bool,
    dict: Option<u32>,
    /// Items of `dict` whose keys are no known fields, in the order they were set: columns among them must be as long
    /// as the others.
    unknown: Vec<(Value, Value)>,
}

impl TopLevel {
    /// `before` lends its memory.
    pub fn new(hold: bool, mut before: Self) -> Self {
        before.unknown.clear();
        Self { hold, list: None, is_tuple: false, dict: None, unknown: before.unknown }
    }

    /// A list was made on an empty stack.
    pub fn begin_list(&mut self, id: u32) {
        if !self.hold && self.list.is_none() {
            self.list = Some(id);
        }
    }

    /// Whether rows that follow a mark on an empty stack may leave as they come.
    pub fn may_begin_tuple(&self) -> bool {
        !self.hold && self.list.is_none()
    }

    /// A mark was set on an empty stack, for rows that become a tuple.
    pub fn begin_tuple(&mut self, id: u32) {
        self.list = Some(id);
        self.is_tuple = true;
    }

    /// The tuple that rows become.
    pub fn tuple(&self) -> Option<u32> {
        self.list.filter(|_| self.is_tuple)
    }

    /// A dict was made on an empty stack.
    pub fn begin_dict(&mut self, id: u32) {
        self.dict = self.dict.or(Some(id));
    }

    pub fn is_streamed(&self, id: u32) -> bool {
        self.list == Some(id)
    }

    fn rows_as(&self, id: u32) -> Value {
        if self.is_tuple { Value::Tuple(id) } else { Value::List(id) }
    }

    /// The list whose elements are read as they come.
    pub fn streamed(&self) -> Option<u32> {
        self.list
    }

    /// Items of the dict whose keys are no known fields.
    pub fn unknown(&self) -> impl Iterator<Item = (Value, Value)> {
        self.unknown.iter().copied()
    }

    pub fn is_dict(&self, id: u32) -> bool {
        self.dict == Some(id)
    }

    pub fn add_unknown(&mut self, key: Value, value: Value, budget: &mut Budget) -> Result<(), Fault> {
        budget.push(&mut self.unknown, (key, value))
    }
}

impl Machine<'_> {
    /// Reads the rows of a dump's value that have not been read yet.
    pub(super) fn read_top_level(&mut self, value: Value, rows: &mut Rows) -> Result<Shape, Fault> {
        self.store.budget.read_to(self.reader.offset());
        if let Some(streamed) = self.top_level.list
            && value != self.top_level.rows_as(streamed)
            && self.store.length(streamed) > 0
        {
            return Err(Fault::RowsChanged);
        }
        match value {
            Value::List(id) | Value::Tuple(id) => {
                let length = self.store.length(id);
                if !self.top_level.is_streamed(id) {
                    for index in 0..length {
                        let item = self.store.item(id, index).ok_or_else(item_missing)?;
                        rows.add(item, &mut self.store)?;
                    }
                }
                Ok(if length == 0 { Shape::Empty } else { Shape::Rows })
            }
            Value::Ads(_) | Value::JsonAds(_) => Err(not_kept()),
            Value::Dict(id) if self.holds_columns(id) => self.read_columns(id, rows),
            Value::Dict(_) => {
                rows.add(value, &mut self.store)?;
                Ok(Shape::Rows)
            }
            _ => match self.store.object(value) {
                Some(frame) if frame.class == Global::Frame => self.read_frame(frame, rows),
                _ => Err(DecodeError::NoRows { found: type_name(value), offset: self.reader.offset() }.into()),
            },
        }
    }

    pub(super) fn holds_columns(&self, id: u32) -> bool {
        self.fields.scalars().any(|field| self.store.get(id, field).is_some_and(|value| self.may_be_column(value)))
    }

    fn may_be_column(&self, value: Value) -> bool {
        match value {
            Value::List(_) | Value::Ads(_) | Value::Tuple(_) => true,
            Value::Object(_) => self.store.object(value).is_some_and(|object| object.class.holds_values()),
            _ => false,
        }
    }

    fn read_columns(&mut self, id: u32, rows: &mut Rows) -> Result<Shape, Fault> {
        let offset = self.reader.offset();
        let unequal = || Fault::from(DecodeError::UnequalColumns { offset });
        let mut columns: Vec<(FieldId, Column)> = Vec::new();
        for field in self.fields.of_row() {
            if let Some(value) = self.store.get(id, field) {
                columns.push((field, self.resolver().column(value, 0)?.ok_or_else(unequal)?));
            }
        }
        let length = columns.first().map_or(0, |column| column.1.length);
        if columns.iter().any(|column| column.1.length != length) {
            return Err(unequal());
        }
        self.charge_unknown_columns()?;
        let others: Vec<Value> = self.store.items(id).iter().map(|item| item.1).chain(self.unknown_columns()).collect();
        for other in others {
            if self.resolver().length_of(other)?.is_some_and(|other| other != length) {
                return Err(unequal());
            }
        }
        self.read_rows(&columns, length, rows)?;
        Ok(if length == 0 { Shape::Empty } else { Shape::Columns })
    }

    /// What `unknown_columns` and a list of what it gives take, at most.
    fn charge_unknown_columns(&mut self) -> Result<(), Fault> {
        /// A bound on what an entry of the two maps takes, empty slots included, and of the two lists while they grow.
        const UNKNOWN_BYTES: usize = 192;
        let unknown = self.top_level.unknown.len();
        self.store.budget.charge_scattered(unknown.saturating_mul(UNKNOWN_BYTES))
    }

    /// The last value of every unknown key.
    fn unknown_columns(&self) -> impl Iterator<Item = Value> {
        let mut last: HashMap<&[u8], Value> = HashMap::new();
        // One long text may be the key of many items: it is looked at once.
        let mut seen: HashSet<(u32, u32)> = HashSet::new();
        let mut nameless = Vec::new();
        for &(key, value) in self.top_level.unknown.iter().rev() {
            match key {
                Value::Text(span) | Value::OldText(span) => {
                    if seen.insert((span.at, span.length)) {
                        last.entry(self.store.bytes(span)).or_insert(value);
                    }
                }
                _ => nameless.push(value),
            }
        }
        last.into_values().chain(nameless)
    }
}

fn item_missing() -> DecodeError {
    DecodeError::Defect { detail: "an element was not kept".into() }
}

fn type_name(value: Value) -> &'static str {
    match value {
        Value::Absent => "nothing",
        Value::None => "None",
        Value::Bool(_) => "a bool",
        Value::Int(_) | Value::Long(_) | Value::Digits(_) => "an int",
        Value::Float(_) => "a float",
        Value::Field(_) | Value::Text(_) | Value::Surrogates(_) | Value::JsonAds(_) => "a str",
        Value::OldText(_) | Value::Utf8(_) | Value::Bytes(_) => "bytes",
        Value::Decimal { .. } => "a Decimal",
        Value::Dict(_) => "a dict",
        Value::List(_) | Value::Ads(_) => "a list",
        Value::Tuple(_) => "a tuple",
        Value::Set(_) => "a set",
        Value::FrozenSet(_) => "a frozenset",
        Value::ByteArray(_) => "a bytearray",
        Value::Payload(_) => "a str or bytes",
        Value::Time(_) | Value::Duration(_) | Value::Offset(_) => "a time",
        Value::NotAvailable | Value::Missing => "NA",
        Value::Object(_) | Value::Opaque { .. } => "an object",
        Value::Global(_) => "a class",
    }
}
