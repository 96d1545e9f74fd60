//! Rows on their way from the pickle to the sink: judged one by one, gathered into batches.

use arrow::array::RecordBatch;

use super::columns::Columns;
use super::error::{DecodeError, Fault, Limit};
use super::fields::{FieldId, Fields};
use super::pickle::{Store, Value};
use super::rules;
use crate::model::{Limits, LogSchema, RejectReason, Rejects};

pub(crate) struct Rows<'a> {
    schema: &'a LogSchema,
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
    /// The values of the row at hand, by field.
    row: Vec<Value>,
    measures: Vec<i64>,
    text: String,
}

impl<'a> Rows<'a> {
    pub fn new(
        schema: &'a LogSchema,
        fields: &'a Fields,
        limits: &Limits,
        batches_seen: u64,
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
            row: vec![Value::Absent; fields.len()],
            measures: Vec::with_capacity(fields.measures.len()),
            text: String::new(),
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
        self.row[field.0 as usize] = value;
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
        let chars_max = schema.media_key_chars_max;
        if let Err(reason) = rules::media_key(value(fields.media_key), chars_max, store, fields, text) {
            return Ok(Err(reason));
        }
        let ids = match rules::ids(value(fields.ads), store, fields)? {
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
        let media_key = rules::media_key(value(fields.media_key), chars_max, store, fields, text);
        Ok(media_key.map(|media_key| columns.push(timestamp, media_key, ids, measures)))
    }

    /// Hands the accepted rows that are left to the sink.
    pub fn flush(&mut self) -> Result<(), DecodeError> {
        if self.columns.rows() == 0 {
            return Ok(());
        }
        let batch = self.columns.take().map_err(|error| DecodeError::Defect { detail: error.to_string() })?;
        self.batches += 1;
        if self.batches > self.batches_seen {
            (self.sink)(&batch);
        }
        Ok(())
    }
}
