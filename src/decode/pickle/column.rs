//! A column, whatever holds it: a list, a numpy array, one of pandas' arrays. It is taken apart once, so that each of its
//! values is a look-up, and rows are read from all columns at once without any of them being converted as a whole.

use super::super::error::{Fault, Limit, PickleFault};
use super::super::fields::{Fields, StateKey};
use super::arrow::{self, Chunk};
use super::globals::Global;
use super::memo::Word;
use super::numbers::Numbers;
use super::numpy::{Array, Cells, Lane, Shape, UTF_32_BYTES};
use super::objects::Object;
use super::storage::{Run, Store, refuse_ads};
use super::value::Value;
use crate::model::Limits;

pub struct Column {
    pub length: usize,
    pub(super) source: Source,
    /// Of pandas, where NaN stands for no value.
    of_pandas: bool,
}

pub(super) enum Source {
    /// A list or tuple.
    Items(Value),
    Lane(Lane),
    /// A true byte in the mask is no value.
    Masked {
        data: Lane,
        mask: Lane,
    },
    /// Indexes of categories; -1 is no value.
    Coded {
        codes: Lane,
        categories: Vec<Value>,
    },
    /// Arrays, and where each ends in the column.
    Chunks {
        chunks: Vec<Chunk>,
        ends: Vec<usize>,
    },
    /// Values that no field may have.
    Unreadable,
}

fn bad(what: &'static str) -> Fault {
    PickleFault::BadObject(what).into()
}

/// Takes columns apart.
pub struct Resolver<'s> {
    pub store: &'s mut Store,
    pub fields: &'s Fields,
    pub limits: &'s Limits,
}

/// An index in a categorical in a series is three deep; what is deeper goes in circles.
const DEPTH_MAX: usize = 8;

impl Resolver<'_> {
    /// A column, of several in one block the one in `row`. `None` when the value holds none.
    pub fn column(&mut self, value: Value, row: usize) -> Result<Option<Column>, Fault> {
        self.column_within(value, row, DEPTH_MAX)
    }

    fn column_within(&mut self, value: Value, row: usize, depth: usize) -> Result<Option<Column>, Fault> {
        if let Some(length) = self.store.elements(value) {
            return Ok(Some(Column { length, source: Source::Items(value), of_pandas: false }));
        }
        if let Some(array) = Array::of(value, self.store, self.fields)? {
            return column_of_array(&array, row);
        }
        refuse_ads(&[value])?;
        let Some(object) = self.store.object(value) else { return Ok(None) };
        let Some(depth) = depth.checked_sub(1) else { return Err(bad("an array within itself")) };
        let column = match self.class_of(object) {
            Global::Masked => Some(self.masked(object)?),
            Global::Categorical => Some(self.coded(object, depth)?),
            Global::Backed => self.column_within(self.backing(object)?, row, depth)?,
            Global::ArrowBacked => Some(self.chunks(object)?),
            Global::NewIndex => match self.index_data(object) {
                Some(data) => self.column_within(data, row, depth)?,
                None => None,
            },
            Global::Series => {
                let manager = self.manager(object)?;
                let blocks = self.blocks(manager)?.0;
                let &[(values, _)] = blocks.as_slice() else { return Err(bad("a Series of several blocks")) };
                self.column_within(values, 0, depth)?
            }
            _ => None,
        };
        Ok(column.map(Column::of_pandas))
    }

    /// `__pyx_unpickle_NDArrayBacked(class, checksum, None)` makes an instance of the class.
    fn class_of(&self, object: Object) -> Global {
        match (object.class, self.store.element(object.arguments, 0)) {
            (Global::UnpickleBacked, Some(Value::Global(class @ (Global::Categorical | Global::Backed)))) => class,
            (class, _) => class,
        }
    }

    /// The numpy array in a pandas array: under a key, or among the first two of a tuple, beside the dtype.
    fn backing(&self, object: Object) -> Result<Value, Fault> {
        let state = object.state;
        let keys = [StateKey::NdArray, StateKey::Codes, StateKey::Data];
        let named = keys.into_iter().find_map(|key| self.store.entry(state, key, self.fields));
        let is_array = |value: &Value| {
            let class = self.store.object(*value).map(|object| object.class);
            matches!(class, Some(Global::Reconstruct | Global::FromBuffer))
        };
        let placed = || [0, 1].into_iter().filter_map(|index| self.store.element(state, index)).find(is_array);
        named.or_else(placed).ok_or_else(|| bad("a pandas array without its values"))
    }

    fn lane(&self, value: Value) -> Result<Lane, Fault> {
        let array = Array::of(value, self.store, self.fields)?;
        array.and_then(|array| array.lane(0)).ok_or_else(|| bad("a pandas array without its values"))
    }

    fn masked(&self, object: Object) -> Result<Column, Fault> {
        let part = |key| self.store.entry(object.state, key, self.fields).unwrap_or(Value::Absent);
        let (data, mask) = (self.lane(part(StateKey::Data))?, self.lane(part(StateKey::Mask))?);
        if data.length != mask.length {
            return Err(bad("a pandas array whose mask does not fit it"));
        }
        Ok(Column { length: data.length, source: Source::Masked { data, mask }, of_pandas: true })
    }

    fn coded(&mut self, object: Object, depth: usize) -> Result<Column, Fault> {
        let codes = self.lane(self.backing(object)?)?;
        let placed = || {
            let is_dtype = |value: &Value| {
                self.store.object(*value).is_some_and(|object| object.class == Global::CategoricalDtype)
            };
            [0, 1].into_iter().filter_map(|index| self.store.element(object.state, index)).find(is_dtype)
        };
        let dtype = self.store.entry(object.state, StateKey::Dtype, self.fields).or_else(placed);
        let state = dtype.and_then(|dtype| self.store.object(dtype)).map_or(Value::Absent, |dtype| dtype.state);
        let index = self.store.entry(state, StateKey::Categories, self.fields).unwrap_or(Value::Absent);
        let index = self.column_within(index, 0, depth)?.ok_or_else(|| bad("a Categorical without categories"))?;
        self.store.budget.repeat(index.length)?;
        // Twofold, as it may be while it grows.
        self.store.budget.charge_scattered(index.length.saturating_mul(2 * size_of::<Value>()))?;
        let categories = (0..index.length).map(|at| index.value(at, self.store, self.limits.text_bytes_max));
        let categories = categories.collect::<Result<_, _>>()?;
        Ok(Column { length: codes.length, source: Source::Coded { codes, categories }, of_pandas: true })
    }

    fn chunks(&mut self, object: Object) -> Result<Column, Fault> {
        let keys = [StateKey::ArrowArray, StateKey::Data];
        let array = keys.into_iter().find_map(|key| self.store.entry(object.state, key, self.fields));
        let chunks = arrow::chunks(array.unwrap_or(Value::Absent), self.store, self.fields, self.limits)?;
        let mut length = 0;
        let ends = chunks.iter().map(|chunk| {
            length += chunk.length;
            length
        });
        let ends = ends.collect();
        Ok(Column { length, source: Source::Chunks { chunks, ends }, of_pandas: true })
    }

    /// `_new_Index(class, {'data': values, ...})`.
    pub fn index_data(&self, index: Object) -> Option<Value> {
        self.store.entry(self.store.element(index.arguments, 1)?, StateKey::IndexData, self.fields)
    }

    /// How many columns and how many values in each a block's array holds, where that is plain to see.
    pub fn extent(&self, values: Value) -> Result<Option<(usize, usize)>, Fault> {
        let Some(object) = self.store.object(values) else { return Ok(None) };
        let values = if self.class_of(object) == Global::Backed { self.backing(object)? } else { values };
        Ok(match Array::of(values, self.store, self.fields)?.map(|array| array.shape) {
            Some(Shape::Two(columns, length)) => Some((columns, length)),
            Some(Shape::One(length)) => Some((1, length)),
            _ => None,
        })
    }

    /// `len(value)` of a list, a tuple or a numpy array.
    pub fn length_of(&self, value: Value) -> Result<Option<usize>, Fault> {
        refuse_ads(&[value])?;
        if let Some(length) = self.store.elements(value) {
            return Ok(Some(length));
        }
        Ok(match Array::of(value, self.store, self.fields)?.map(|array| array.shape) {
            Some(Shape::One(length) | Shape::Two(length, _) | Shape::More(length)) => Some(length),
            Some(Shape::None) | None => None,
        })
    }
}

fn column_of_array(array: &Array, row: usize) -> Result<Option<Column>, Fault> {
    let column = |length, source| Some(Column { length, source, of_pandas: false });
    Ok(match (array.lane(row), array.shape) {
        (Some(lane), _) => column(lane.length, Source::Lane(lane)),
        // Each of the values is an array.
        (None, Shape::More(length)) => column(length, Source::Unreadable),
        (None, Shape::None) => None,
        _ => return Err(bad("a block that lacks a row")),
    })
}

impl Column {
    /// What is at `index`, which is below the length.
    pub fn value(&self, index: usize, store: &mut Store, text_bytes_max: usize) -> Result<Value, Fault> {
        match &self.source {
            Source::Items(items) => store.element(*items, index).ok_or_else(|| bad("a column that changes")),
            Source::Lane(lane) => lane_value(lane, index, store, text_bytes_max),
            Source::Masked { data, mask } => match lane_value(mask, index, store, text_bytes_max)? {
                Value::Bool(false) | Value::Int(0) => lane_value(data, index, store, text_bytes_max),
                _ => Ok(Value::NotAvailable),
            },
            Source::Coded { codes, categories } => match lane_value(codes, index, store, text_bytes_max)? {
                Value::Int(-1) => Ok(Value::NotAvailable),
                Value::Int(code) => usize::try_from(code)
                    .ok()
                    .and_then(|code| categories.get(code).copied())
                    .ok_or_else(|| bad("a code without a category")),
                _ => Err(bad("a code that is no integer")),
            },
            Source::Chunks { chunks, ends } => {
                let chunk = ends.partition_point(|&end| end <= index);
                let start = if chunk == 0 { 0 } else { ends[chunk - 1] };
                let chunk = chunks.get(chunk).ok_or_else(|| bad("a column that changes"))?;
                chunk.value(index - start, store, text_bytes_max)
            }
            Source::Unreadable => Ok(Value::Opaque { hashable: true }),
        }
    }

    /// Writes what `number` makes of the values from `start` on to `to`; bit n of the result says that it made nothing of
    /// the nth.
    pub fn convert(
        &self,
        start: usize,
        to: &mut [i64],
        store: &mut Store,
        text_bytes_max: usize,
        number: impl Fn(Value) -> Option<i64>,
    ) -> u64 {
        if let Some(numbers) = self.numbers(start, to.len(), store) {
            return numbers.convert(self.of_pandas, to, number);
        }
        let mut odd = 0;
        for (nth, slot) in to.iter_mut().enumerate() {
            store.begin_scratch();
            let value = self.field(start + nth, store, text_bytes_max);
            store.end_scratch();
            match value.ok().and_then(&number) {
                Some(number) => *slot = number,
                None => odd |= 1 << nth,
            }
        }
        odd
    }

    /// The values from `start` on, where they are numbers that lie together.
    fn numbers<'s>(&self, start: usize, length: usize, store: &'s Store) -> Option<Numbers<'s>> {
        let Source::Lane(Lane { cells: Cells::Packed { dtype, bytes }, at, stride, .. }) = self.source else {
            return match self.run(start, length, store)? {
                Run::Words(_) => None,
                numbers => Some(Numbers::Run(numbers)),
            };
        };
        if !dtype.is_number() {
            return None;
        }
        let at = start.checked_mul(stride)?.checked_add(at)?;
        let bytes = store.raw(bytes)?.get(at.checked_mul(dtype.size)?..)?;
        Some(Numbers::Packed { dtype, bytes, stride: stride.checked_mul(dtype.size)? })
    }

    /// The values from `start` on, where a list holds them and they are of one kind.
    fn run<'s>(&self, start: usize, length: usize, store: &'s Store) -> Option<Run<'s>> {
        match self.source {
            Source::Items(items) => store.run(items, start, length),
            Source::Lane(Lane { cells: Cells::Objects(list), at, stride: 1, .. }) => {
                store.run(list, start.checked_add(at)?, length)
            }
            _ => None,
        }
    }

    /// Copies the values from `start` on, where they are words of a list.
    pub fn words<'w>(&self, start: usize, to: &'w mut [Word], store: &Store) -> Option<&'w [Word]> {
        let Run::Words(words) = self.run(start, to.len(), store)? else { return None };
        to.copy_from_slice(words);
        Some(to)
    }

    pub fn of_pandas(self) -> Self {
        Self { of_pandas: true, ..self }
    }

    /// As `value`, with pandas' meaning of what stands for no value.
    pub fn field(&self, index: usize, store: &mut Store, text_bytes_max: usize) -> Result<Value, Fault> {
        Ok(match self.value(index, store, text_bytes_max)? {
            Value::NotAvailable if self.of_pandas => Value::Missing,
            Value::Float(float) if self.of_pandas && float.is_nan() => Value::Missing,
            value => value,
        })
    }
}

fn lane_value(lane: &Lane, index: usize, store: &mut Store, text_bytes_max: usize) -> Result<Value, Fault> {
    let missing = || bad("an array whose values do not fit its shape");
    let at = index.checked_mul(lane.stride).and_then(|at| at.checked_add(lane.at)).ok_or_else(missing)?;
    match lane.cells {
        Cells::Objects(list) => store.element(list, at).ok_or_else(missing),
        Cells::Packed { dtype, bytes } => {
            let packed = at.checked_mul(dtype.size).and_then(|at| Some((at, at.checked_add(dtype.size)?)));
            let packed = packed.and_then(|(at, end)| store.raw(bytes)?.get(at..end)).ok_or_else(missing)?;
            if let Some(small) = dtype.small(packed) {
                return Ok(small);
            }
            if packed.len() > text_bytes_max.saturating_mul(UTF_32_BYTES) {
                return Err(Limit::TextBytes.into());
            }
            let packed = packed.to_vec();
            dtype.read(&packed, store, text_bytes_max)
        }
    }
}
