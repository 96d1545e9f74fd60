//! Accepted rows as Arrow columns, and the batches they leave in.

use std::hash::BuildHasher;
use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::ads_json::Ids;
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

/// The batch that is being filled.
pub(crate) struct Columns {
    schema: SchemaRef,
    timestamps: Vec<i64>,
    media_keys: Texts,
    ids: [Vec<i64>; 3],
    measures: Vec<Vec<i64>>,
}

impl Columns {
    pub fn new(schema: &LogSchema) -> Self {
        Self {
            schema: batch_schema(schema),
            timestamps: Vec::new(),
            media_keys: Texts::default(),
            ids: Default::default(),
            measures: vec![Vec::new(); schema.measures.len()],
        }
    }

    pub fn rows(&self) -> usize {
        self.timestamps.len()
    }

    /// `measures` are in the schema's order.
    pub fn push(&mut self, timestamp: i64, media_key: &str, ids: Ids, measures: &[i64]) {
        self.timestamps.push(timestamp);
        self.media_keys.push(media_key);
        for (column, id) in self.ids.iter_mut().zip(ids) {
            column.push(id);
        }
        for (column, measure) in self.measures.iter_mut().zip(measures) {
            column.push(*measure);
        }
    }

    /// The rows so far as a batch; the next one begins empty.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let integers = |column: &mut Vec<i64>| Arc::new(Int64Array::from(mem::take(column))) as ArrayRef;
        let mut columns = vec![integers(&mut self.timestamps), self.media_keys.take()?];
        columns.extend(self.ids.iter_mut().chain(&mut self.measures).map(integers));
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// A column of texts, each distinct one kept once.
#[derive(Default)]
struct Texts {
    codes: Vec<u32>,
    /// The distinct texts, one after the other, and where each ends.
    distinct: String,
    ends: Vec<usize>,
    code_of: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    fn push(&mut self, text: &str) {
        let Self { codes, distinct, ends, code_of, hasher } = self;
        let hash = hasher.hash_one(text);
        if let Some(&code) = code_of.find(hash, |&code| text_of(distinct, ends, code) == text) {
            codes.push(code);
            return;
        }
        let code = ends.len() as u32;
        distinct.push_str(text);
        ends.push(distinct.len());
        code_of.insert_unique(hash, code, |&code| hasher.hash_one(text_of(distinct, ends, code)));
        codes.push(code);
    }

    fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        self.code_of.clear();
        let offset = |end: usize| {
            i32::try_from(end).map_err(|_| ArrowError::ComputeError("a batch's texts exceed 2 GiB".into()))
        };
        let ends = mem::take(&mut self.ends);
        let offsets = std::iter::once(Ok(0)).chain(ends.into_iter().map(offset)).collect::<Result<Vec<i32>, _>>()?;
        let bytes = Buffer::from_vec(mem::take(&mut self.distinct).into_bytes());
        let values = StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), bytes, None)?;
        let codes = UInt32Array::from(mem::take(&mut self.codes));
        Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(codes, Arc::new(values))?))
    }
}

fn text_of<'t>(distinct: &'t str, ends: &[usize], code: u32) -> &'t str {
    let code = code as usize;
    let start = if code == 0 { 0 } else { ends[code - 1] };
    &distinct[start..ends[code]]
}
