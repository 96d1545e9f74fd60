//! Accepted rows as Arrow columns, and the batches they leave in.

use std::hash::BuildHasher;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::ads_json::Ids;
use super::pickle::TextName;
use crate::model::LogSchema;

/// Columns of every batch, none nullable: `timestamp` Int64 (Unix seconds), `media_key` Dictionary(UInt32, Utf8),
/// `inventory_id`, `ad_id`, `demand_id` Int64, then one Int64 per measure (money in micros), named by the measure.
pub fn batch_schema(schema: &LogSchema) -> SchemaRef {
    let media_key = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
    let fixed = [
        ("timestamp", DataType::Int64),
        ("media_key", media_key),
        ("inventory_id", DataType::Int64),
        ("ad_id", DataType::Int64),
        ("demand_id", DataType::Int64),
    ];
    let measures = schema.measures.iter().map(|measure| (measure.name.as_str(), DataType::Int64));
    let fields = fixed.into_iter().chain(measures).map(|(name, kind)| Field::new(name, kind, false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The numbers of a row, of which the first ones are its columns.
pub(crate) type Numbers = [i64; NUMBERS_MAX];
pub(crate) const NUMBERS_MAX: usize = 20;
/// Where in them the timestamp, the ids and the measures begin.
pub(crate) const TIMESTAMP: usize = 0;
pub(crate) const ID: usize = 1;
pub(crate) const MEASURE: usize = 4;
/// Rows that go to the columns together: their numbers stay in the first cache.
const STAGE_ROWS: usize = 64;

/// Rows of a block: their plainness fits a word.
pub(crate) const BLOCK_ROWS: usize = u64::BITS as usize;

/// Rows that were read column by column.
pub(crate) struct Block {
    pub numbers: Box<[[i64; BLOCK_ROWS]; NUMBERS_MAX]>,
    /// Of the media keys.
    pub codes: [u32; BLOCK_ROWS],
    /// Bit n is set when the nth row was not read.
    pub odd: u64,
}

impl Block {
    pub fn new() -> Self {
        Self { numbers: Box::new([[0; BLOCK_ROWS]; NUMBERS_MAX]), codes: [0; BLOCK_ROWS], odd: 0 }
    }
}

/// The batch that is being filled. Its buffers come back once the sink has seen them.
pub(crate) struct Columns {
    schema: SchemaRef,
    /// Timestamps, the three ids, the measures.
    integers: Vec<Vec<i64>>,
    media_keys: Texts,
    /// Rows whose numbers are not in the columns yet: the first `staged`, and one that is being read.
    stage: Box<[Numbers; STAGE_ROWS]>,
    staged: usize,
}

/// A second hold on the buffers of a batch that is out.
pub(crate) struct Lent {
    integers: Vec<ScalarBuffer<i64>>,
    codes: ScalarBuffer<u32>,
}

impl Columns {
    pub fn new(schema: &LogSchema) -> Self {
        Self {
            schema: batch_schema(schema),
            integers: vec![Vec::new(); 1 + 3 + schema.measures.len()],
            media_keys: Texts::default(),
            stage: Box::new([[0; NUMBERS_MAX]; STAGE_ROWS]),
            staged: 0,
        }
    }

    pub fn rows(&self) -> usize {
        self.media_keys.codes.len()
    }

    /// The code of a media key that this batch has, by the name of its text.
    #[inline]
    pub fn known_code(&self, name: TextName) -> Option<u32> {
        self.media_keys.known_code(name)
    }

    /// The code of a media key, whose text may have a name.
    pub fn code(&mut self, media_key: &str, name: Option<TextName>) -> u32 {
        self.media_keys.code(media_key, name)
    }

    /// Where the next row's numbers are to be written.
    #[inline]
    pub fn draft(&mut self) -> &mut Numbers {
        &mut self.stage[self.staged % STAGE_ROWS]
    }

    /// Adds the row whose numbers have been written.
    #[inline]
    pub fn push_draft(&mut self, media_key: u32) {
        self.media_keys.codes.push(media_key);
        self.staged += 1;
        if self.staged == STAGE_ROWS {
            self.unstage();
        }
    }

    fn unstage(&mut self) {
        let staged = &self.stage[..self.staged];
        for (nth, column) in self.integers.iter_mut().enumerate().take(NUMBERS_MAX) {
            column.extend(staged.iter().map(|numbers| numbers[nth]));
        }
        self.staged = 0;
    }

    /// `measures` are in the schema's order.
    pub fn push(&mut self, timestamp: i64, media_key: u32, ids: Ids, measures: &[i64]) {
        self.unstage();
        self.media_keys.codes.push(media_key);
        let numbers = std::iter::once(timestamp).chain(ids).chain(measures.iter().copied());
        for (column, number) in self.integers.iter_mut().zip(numbers) {
            column.push(number);
        }
    }

    /// Adds rows of a block.
    pub fn push_block(&mut self, block: &Block, rows: Range<usize>) {
        self.unstage();
        for (column, numbers) in self.integers.iter_mut().zip(&*block.numbers) {
            column.extend_from_slice(&numbers[rows.clone()]);
        }
        self.media_keys.codes.extend_from_slice(&block.codes[rows]);
    }

    /// The rows so far as a batch; the next one begins empty, with fresh buffers unless the old ones are recycled.
    pub fn take(&mut self) -> Result<(RecordBatch, Lent), ArrowError> {
        self.unstage();
        let integers: Vec<_> = self.integers.iter_mut().map(|column| ScalarBuffer::from(mem::take(column))).collect();
        let (media_keys, codes) = self.media_keys.take()?;
        let arrays = integers.iter().map(|column| Arc::new(Int64Array::new(column.clone(), None)) as ArrayRef);
        let mut columns: Vec<ArrayRef> = arrays.collect();
        columns.insert(1, media_keys);
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok((batch, Lent { integers, codes }))
    }

    /// Takes the buffers of a batch back, as far as nobody else holds them: fresh ones cost as much as filling them.
    pub fn recycle(&mut self, lent: Lent) {
        for (column, buffer) in self.integers.iter_mut().zip(lent.integers) {
            if let Ok(emptied) = buffer.into_inner().into_vec::<i64>() {
                *column = emptied;
                column.clear();
            }
        }
        if let Ok(emptied) = lent.codes.into_inner().into_vec::<u32>() {
            self.media_keys.codes = emptied;
            self.media_keys.codes.clear();
        }
    }
}

/// A column of texts. A batch's dictionary holds the distinct ones of all batches so far, until they are too many.
#[derive(Default)]
struct Texts {
    codes: Vec<u32>,
    /// The distinct texts, one after the other, and where each ends.
    distinct: String,
    ends: Vec<usize>,
    /// The dictionary of the batch before.
    dictionary: Option<Arc<StringArray>>,
    /// Codes by name, `NO_CODE` where there is none.
    named: Vec<u32>,
    /// Of the names in `named`.
    epoch: u32,
    /// Codes by text, of the first `hashed`: needed only where one has no name, or one of another epoch.
    code_of: HashTable<u32>,
    hashed: usize,
    has_nameless: bool,
    hasher: DefaultHashBuilder,
}

const NO_CODE: u32 = u32::MAX;

impl Texts {
    #[inline]
    fn known_code(&self, name: TextName) -> Option<u32> {
        let &code = self.named.get(name.number as usize)?;
        (code != NO_CODE && name.epoch == self.epoch).then_some(code)
    }

    fn code(&mut self, text: &str, name: Option<TextName>) -> u32 {
        let Some(name) = name else { return self.code_of_text(text) };
        if let Some(code) = self.known_code(name) {
            return code;
        }
        if name.epoch != self.epoch {
            self.named.clear();
            self.epoch = name.epoch;
            self.has_nameless = true;
        }
        let code = if self.has_nameless { self.code_of_text(text) } else { self.add(text) };
        let number = name.number as usize;
        if number >= self.named.len() {
            self.named.resize(number + 1, NO_CODE);
        }
        self.named[number] = code;
        code
    }

    fn add(&mut self, text: &str) -> u32 {
        let code = self.ends.len() as u32;
        self.distinct.push_str(text);
        self.ends.push(self.distinct.len());
        code
    }

    fn code_of_text(&mut self, text: &str) -> u32 {
        self.has_nameless = true;
        let Self { distinct, ends, code_of, hashed, hasher, .. } = self;
        let rehash = |&code: &u32| hasher.hash_one(text_of(distinct, ends, code));
        for code in *hashed..ends.len() {
            let code = code as u32;
            code_of.insert_unique(rehash(&code), code, rehash);
        }
        *hashed = ends.len();
        let hash = hasher.hash_one(text);
        if let Some(&code) = code_of.find(hash, |&code| text_of(distinct, ends, code) == text) {
            return code;
        }
        self.add(text)
    }

    fn take(&mut self) -> Result<(ArrayRef, ScalarBuffer<u32>), ArrowError> {
        /// From here on the next batch begins a dictionary of its own.
        const DISTINCT_MAX: usize = 32 << 10;
        let dictionary = match self.dictionary.take() {
            Some(dictionary) if dictionary.len() == self.ends.len() => dictionary,
            _ => Arc::new(self.distinct_array()?),
        };
        if self.ends.len() < DISTINCT_MAX {
            self.dictionary = Some(dictionary.clone());
        } else {
            self.forget();
        }
        let codes = ScalarBuffer::from(mem::take(&mut self.codes));
        let keys = UInt32Array::new(codes.clone(), None);
        Ok((Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, dictionary)?), codes))
    }

    fn distinct_array(&self) -> Result<StringArray, ArrowError> {
        let offset = |end: usize| {
            i32::try_from(end).map_err(|_| ArrowError::ComputeError("a batch's texts exceed 2 GiB".into()))
        };
        let ends = self.ends.iter().copied();
        let offsets = std::iter::once(0).chain(ends).map(offset).collect::<Result<Vec<i32>, _>>()?;
        let bytes = Buffer::from(self.distinct.as_bytes());
        StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), bytes, None)
    }

    fn forget(&mut self) {
        self.distinct.clear();
        self.ends.clear();
        self.named.clear();
        self.code_of.clear();
        self.hashed = 0;
        self.has_nameless = false;
    }
}

fn text_of<'t>(distinct: &'t str, ends: &[usize], code: u32) -> &'t str {
    let code = code as usize;
    let start = if code == 0 { 0 } else { ends[code - 1] };
    &distinct[start..ends[code]]
}
