//! Rows on their way from the pickle to the sink: judged one by one, gathered into batches.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::columns::{Block, Columns, Numbers};
use super::error::{DecodeError, Fault, Limit};
use super::fields::{FieldId, Fields};
use super::pickle::{Keep, Store, TextName, Value, not_kept};
use super::rules;
use crate::model::{Limits, LogSchema, RejectReason, Rejects};

/// A media key that is known to fit.
#[derive(Clone, Copy)]
pub(crate) enum MediaKey {
    Empty,
    Text(TextName),
    Number(i64),
}

/// Shows whether the batches of a reading are those that the sink has seen of another one.
#[derive(Clone, Copy)]
pub(crate) struct Proof {
    pub expected: Digest,
    pub digest: Digest,
}

/// Of batches, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Digest(u64);

impl Digest {
    pub fn add(&mut self, batch: &RecordBatch) {
        let mut hasher = DefaultHasher::new();
        (self.0, batch.num_rows()).hash(&mut hasher);
        for column in batch.columns() {
            match column.as_any_dictionary_opt() {
                None => column.as_primitive::<Int64Type>().values().hash(&mut hasher),
                Some(media_keys) => {
                    let texts = media_keys.values().as_string::<i32>();
                    media_keys.normalized_keys().into_iter().for_each(|key| texts.value(key).hash(&mut hasher));
                }
            }
        }
        self.0 = hasher.finish();
    }
}

pub(crate) struct Rows<'a> {
    pub schema: &'a LogSchema,
    fields: &'a Fields,
    sink: &'a mut dyn FnMut(&RecordBatch),
    rows_max: u64,
    batch_rows: usize,
    /// Read so far, rejects included.
    pub rows: u64,
    pub rejects: Rejects,
    columns: Columns,
    /// Batches the sink has seen, and those that it had seen before this reading began.
    pub batches: u64,
    batches_seen: u64,
    /// What is to come of those, where it is not certain that this reading begins with the same rows.
    proof: Option<Proof>,
    /// The values of the row at hand, by field.
    row: Vec<Value>,
    measures: Vec<i64>,
    text: String,
    /// Of the row that is being read by the fast path.
    media_key: MediaKey,
}

impl<'a> Rows<'a> {
    pub fn new(
        schema: &'a LogSchema,
        fields: &'a Fields,
        limits: &Limits,
        batches_seen: u64,
        proof: Option<Proof>,
        sink: &'a mut dyn FnMut(&RecordBatch),
    ) -> Self {
        Self {
            schema,
            fields,
            sink,
            rows_max: limits.rows_max,
            batch_rows: limits.batch_rows.max(1),
            rows: 0,
            rejects: Rejects::default(),
            columns: Columns::new(schema),
            batches: 0,
            batches_seen,
            proof,
            row: vec![Value::Absent; fields.len()],
            measures: Vec::with_capacity(fields.measures.len()),
            text: String::new(),
            media_key: MediaKey::Empty,
        }
    }

    /// Accepted rows that have left in batches.
    pub fn delivered(&self) -> u64 {
        self.accepted() - self.columns.rows() as u64
    }

    pub fn accepted(&self) -> u64 {
        self.rows - self.rejects.rows()
    }

    /// Reads one element of a list of rows.
    pub fn add(&mut self, row: Value, store: &mut Store) -> Result<(), Fault> {
        let Value::Dict(row) = row else {
            self.count_row()?;
            self.rejects.add(RejectReason::NotARow, self.rows - 1);
            return Ok(());
        };
        if store.is_gone(row) {
            return Err(Fault::Forgotten(Keep::Everything));
        }
        self.begin();
        for &(field, value) in store.items(row) {
            self.set(field, value);
        }
        self.end(store)
    }

    /// Begins a row that is given field by field.
    pub fn begin(&mut self) {
        self.row.fill(Value::Absent);
    }

    pub fn set(&mut self, field: FieldId, value: Value) {
        // What is beyond is a key of some object's state.
        if let Some(slot) = self.row.get_mut(field.0 as usize) {
            *slot = value;
        }
    }

    /// Judges the row whose fields have been set.
    pub fn end(&mut self, store: &mut Store) -> Result<(), Fault> {
        self.count_row()?;
        if let Err(reason) = self.judge(store)? {
            self.rejects.add(reason, self.rows - 1);
        } else if self.columns.rows() >= self.batch_rows {
            self.flush()?;
        }
        Ok(())
    }

    /// Where a row that is judged while it is read is to be written: copying what has just been written would wait for it.
    #[inline]
    pub fn draft(&mut self) -> (&mut Numbers, &mut MediaKey) {
        (self.columns.draft(), &mut self.media_key)
    }

    /// Adds the row that has been written.
    #[inline]
    pub fn accept(&mut self, store: &Store) -> Result<(), Fault> {
        self.count_row()?;
        let columns = &mut self.columns;
        let code = match self.media_key {
            MediaKey::Empty => columns.code("", None),
            MediaKey::Text(name) => match columns.known_code(name) {
                Some(code) => code,
                None => columns.code(store.text(store.interned(name.number)), Some(name)),
            },
            MediaKey::Number(number) => {
                self.text.clear();
                let _ = write!(self.text, "{number}");
                columns.code(&self.text, None)
            }
        };
        columns.push_draft(code);
        if columns.rows() >= self.batch_rows { self.flush() } else { Ok(()) }
    }

    /// How many more rows there may be in this batch.
    pub fn room(&self) -> usize {
        let rows_left = usize::try_from(self.rows_max.saturating_sub(self.rows)).unwrap_or(usize::MAX);
        self.batch_rows.saturating_sub(self.columns.rows()).min(rows_left)
    }

    #[inline]
    pub fn known_code(&self, name: TextName) -> Option<u32> {
        self.columns.known_code(name)
    }

    /// The code of a media key that may be one, in this batch.
    pub fn media_code(&mut self, value: Value, store: &Store) -> Option<u32> {
        let name = store.text_name(value);
        if let Some(code) = name.and_then(|name| self.columns.known_code(name)) {
            return Some(code);
        }
        if value.is_ads() {
            return None;
        }
        let Self { schema, fields, text, columns, .. } = self;
        let media_key = rules::media_key(value, schema.media_key_chars_max, store, fields, text).ok()?;
        Some(columns.code(media_key, name))
    }

    /// Adds rows of a block, for which there is room.
    pub fn accept_block(&mut self, block: &Block, rows: Range<usize>) -> Result<(), Fault> {
        self.rows += rows.len() as u64;
        self.columns.push_block(block, rows);
        if self.columns.rows() >= self.batch_rows { self.flush() } else { Ok(()) }
    }

    #[inline]
    fn count_row(&mut self) -> Result<(), Fault> {
        if self.rows >= self.rows_max {
            return Err(Limit::Rows.into());
        }
        self.rows += 1;
        Ok(())
    }

    fn judge(&mut self, store: &mut Store) -> Result<Result<(), RejectReason>, Fault> {
        let Self { schema, fields, row, measures, text, columns, .. } = self;
        let value = |field: FieldId| row[field.0 as usize];
        let timestamp = match rules::timestamp(value(fields.timestamp), &schema.window) {
            Ok(timestamp) => timestamp,
            Err(reason) => return Ok(Err(reason)),
        };
        // Before the media key, whose text borrows the store; the media key's reason goes first all the same.
        let ids = rules::ids(value(fields.ads), store, fields)?;
        let media_key = value(fields.media_key);
        if matches!(media_key, Value::JsonAds(_)) {
            return Err(not_kept());
        }
        let name = store.text_name(media_key);
        let media_key = match rules::media_key(media_key, schema.media_key_chars_max, store, fields, text) {
            Ok(media_key) => media_key,
            Err(reason) => return Ok(Err(reason)),
        };
        let ids = match ids {
            Ok(ids) => ids,
            Err(reason) => return Ok(Err(reason)),
        };
        measures.clear();
        for &(field, kind) in &fields.measures {
            match rules::measure(value(field), kind) {
                Ok(measure) => measures.push(measure),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let code = columns.code(media_key, name);
        columns.push(timestamp, code, ids, measures);
        Ok(Ok(()))
    }

    /// Hands the accepted rows that are left to the sink; no more rows come.
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.flush()?;
        match self.proof {
            Some(_) if self.batches < self.batches_seen => Err(Fault::RowsChanged),
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if self.columns.rows() == 0 {
            return Ok(());
        }
        let taken = self.columns.take().map_err(|error| DecodeError::Defect { detail: error.to_string() });
        let (batch, lent) = taken?;
        self.batches += 1;
        if self.batches > self.batches_seen {
            (self.sink)(&batch);
        } else if let Some(proof) = &mut self.proof {
            proof.digest.add(&batch);
            if self.batches == self.batches_seen && proof.digest != proof.expected {
                return Err(Fault::RowsChanged);
            }
        }
        drop(batch);
        self.columns.recycle(lent);
        Ok(())
    }
}
