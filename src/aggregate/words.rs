//! A batch's dimension columns as words: dates and ids as they are, texts by codes that hold for all batches of a rollup.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type, UInt32Type};
use hashbrown::HashMap;

use crate::model::{Dimension, DimensionKind};

/// Distinct texts and their codes.
#[derive(Clone, Default)]
pub struct Texts {
    codes: HashMap<Arc<str>, i64>,
    texts: Vec<Arc<str>>,
    /// The dictionary of each dimension as the last batch had it, with the codes of its texts.
    dictionaries: BTreeMap<Dimension, (ArrayRef, Vec<i64>)>,
}

impl Texts {
    pub fn code(&mut self, text: &str) -> i64 {
        if let Some(&code) = self.codes.get(text) {
            return code;
        }
        let (code, text) = (self.texts.len() as i64, Arc::<str>::from(text));
        self.codes.insert(text.clone(), code);
        self.texts.push(text);
        code
    }

    pub fn text(&self, code: i64) -> &Arc<str> {
        &self.texts[code as usize]
    }

    /// In the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.texts.iter()
    }

    /// For each code its place in the byte order of the texts.
    pub fn ranks(&self) -> Vec<i64> {
        let mut codes: Vec<usize> = (0..self.texts.len()).collect();
        codes.sort_unstable_by(|&a, &b| self.texts[a].as_bytes().cmp(self.texts[b].as_bytes()));
        let mut ranks = vec![0; codes.len()];
        for (rank, code) in codes.into_iter().enumerate() {
            ranks[code] = rank as i64;
        }
        ranks
    }

    /// Gives codes to the texts of a batch's column. Batches that share a dictionary pay for it once.
    pub fn read(&mut self, batch: &RecordBatch, dimension: Dimension) {
        let DimensionKind::Text { .. } = dimension.kind() else { return };
        let values = column(batch, dimension.name()).as_dictionary::<UInt32Type>().values();
        let known = self.dictionaries.get(&dimension);
        if known.is_some_and(|(known, _)| ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(values))) {
            return;
        }
        let texts = values.as_string::<i32>();
        let codes = (0..texts.len()).map(|at| self.code(texts.value(at))).collect();
        self.dictionaries.insert(dimension, (values.clone(), codes));
    }
}

/// One dimension's words for the rows of a batch.
#[derive(Clone, Copy)]
pub enum Words<'a> {
    Dates(&'a [i32]),
    Ids(&'a [i64]),
    /// Row -> dictionary key -> code of the text.
    Texts {
        keys: &'a [u32],
        codes: &'a [i64],
    },
}

impl<'a> Words<'a> {
    /// Of a batch whose texts have been read.
    pub fn of(batch: &'a RecordBatch, dimension: Dimension, texts: &'a Texts) -> Words<'a> {
        let column = column(batch, dimension.name());
        match dimension.kind() {
            DimensionKind::Date => Words::Dates(column.as_primitive::<Date32Type>().values()),
            DimensionKind::Id => Words::Ids(column.as_primitive::<Int64Type>().values()),
            DimensionKind::Text { .. } => {
                let keys = column.as_dictionary::<UInt32Type>().keys().values();
                Words::Texts { keys, codes: texts.dictionaries.get(&dimension).map_or(&[], |(_, codes)| codes) }
            }
        }
    }

    #[inline]
    pub fn at(&self, row: usize) -> i64 {
        match self {
            Words::Dates(dates) => i64::from(dates[row]),
            Words::Ids(ids) => ids[row],
            Words::Texts { keys, codes } => codes[keys[row] as usize],
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a dyn Array {
    batch.column_by_name(name).unwrap_or_else(|| panic!("an enriched batch has the column {name}"))
}

/// A measure's values.
pub fn integers<'a>(batch: &'a RecordBatch, name: &str) -> &'a [i64] {
    column(batch, name).as_primitive::<Int64Type>().values()
}
