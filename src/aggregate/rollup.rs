//! The sums of one object, or of several merged: kept on the finest grouping that the plan needs, from which each
//! report is derived. One table to fill for each row, one to merge for each object.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type, UInt32Type};
use hashbrown::HashMap;

use super::groups::{Groups, SumOverflow};
use super::order;
use crate::model::{Dimension, DimensionKind, ReportDate};
use crate::report::{Plan, Report};

/// Sums that do not fit 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sum exceeds 64 bits")
    }
}

impl std::error::Error for Overflow {}

impl From<SumOverflow> for Overflow {
    fn from(SumOverflow: SumOverflow) -> Self {
        Overflow
    }
}

/// Sums of every measure (and the number of rows) by the plan's dimensions.
#[derive(Clone)]
pub struct Rollup {
    plan: Arc<Plan>,
    /// The plan's dimensions in the order of a key's words: those that others determine come last.
    dimensions: Vec<Dimension>,
    /// A key word is a date, an id, or a code in `texts`. The sums are those of the plan's measures, then the rows.
    groups: Groups,
    texts: Texts,
}

/// Distinct texts and their codes.
#[derive(Clone, Default)]
struct Texts {
    codes: HashMap<Arc<str>, i64>,
    texts: Vec<Arc<str>>,
}

impl Texts {
    fn code(&mut self, text: &str) -> i64 {
        if let Some(&code) = self.codes.get(text) {
            return code;
        }
        let (code, text) = (self.texts.len() as i64, Arc::<str>::from(text));
        self.codes.insert(text.clone(), code);
        self.texts.push(text);
        code
    }

    fn text(&self, code: i64) -> &Arc<str> {
        &self.texts[code as usize]
    }

    /// For each code its place in the byte order of the texts.
    fn ranks(&self) -> Vec<i64> {
        let mut codes: Vec<usize> = (0..self.texts.len()).collect();
        codes.sort_unstable_by(|&a, &b| self.texts[a].as_bytes().cmp(self.texts[b].as_bytes()));
        let mut ranks = vec![0; codes.len()];
        for (rank, code) in codes.into_iter().enumerate() {
            ranks[code] = rank as i64;
        }
        ranks
    }
}

/// The cells of one report, sorted by primary key (texts by their UTF-8 bytes, ids and dates by value).
pub struct Cells<'a> {
    groups: Groups,
    /// The groups in primary-key order.
    order: Vec<u32>,
    dimensions: &'a [Dimension],
    texts: &'a Texts,
}

impl Cells<'_> {
    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Each cell is made when it is asked for: all at once they would take several times the memory of the sums.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Cell> {
        self.order.iter().map(|&group| self.cell(group as usize))
    }

    fn cell(&self, group: usize) -> Cell {
        let value = |(&word, dimension): (&i64, &Dimension)| match dimension.kind() {
            DimensionKind::Date => KeyValue::Date(ReportDate(word as i32)),
            DimensionKind::Id => KeyValue::Id(word),
            DimensionKind::Text { .. } => KeyValue::Text(self.texts.text(word).clone()),
        };
        Cell {
            key: self.groups.key(group).iter().zip(self.dimensions).map(value).collect(),
            sums: self.groups.sums(group).to_vec(),
        }
    }
}

/// One row of a report: dimension values in the report's order, sums in the order of the report's measures.
pub struct Cell {
    pub key: Vec<KeyValue>,
    pub sums: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyValue {
    Date(ReportDate),
    Id(i64),
    Text(Arc<str>),
}

impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyValue::Date(date) => date.fmt(f),
            KeyValue::Id(id) => id.fmt(f),
            KeyValue::Text(text) => f.write_str(text),
        }
    }
}

/// Control totals of one date: rows and the sum of every measure of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayTotals {
    pub date: ReportDate,
    pub rows: i64,
    pub sums: Vec<i64>,
}

impl Rollup {
    pub fn new(plan: Arc<Plan>) -> Self {
        let is_determined =
            |dimension: &Dimension| dimension.determined_by().is_some_and(|other| plan.dimensions.contains(&other));
        let (determined, mut dimensions): (Vec<_>, Vec<_>) = plan.dimensions.iter().partition(|d| is_determined(d));
        let independent = dimensions.len();
        dimensions.extend(determined);
        let groups = Groups::new(dimensions.len(), independent, plan.measures.len() + 1);
        Self { plan, dimensions, groups, texts: Texts::default() }
    }

    /// Groups on the finest grouping: what the rollup costs in memory.
    pub fn cells(&self) -> usize {
        self.groups.len()
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds an enriched batch: a column for each of the plan's dimensions and measures, by name.
    ///
    /// # Panics
    /// When a column is missing or of another type: `enrich` owes them.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), Overflow> {
        let plan = self.plan.clone();
        let words: Vec<Words> =
            self.dimensions.iter().map(|&dimension| Words::of(batch, dimension, &mut self.texts)).collect();
        let measures: Vec<&[i64]> = plan.measures.iter().map(|measure| integers(batch, &measure.name)).collect();
        let mut key = vec![0; words.len()];
        for row in 0..batch.num_rows() {
            for (slot, words) in key.iter_mut().zip(&words) {
                *slot = words.at(row);
            }
            self.groups.add(&key, measures.iter().map(|values| values[row]).chain([1]))?;
        }
        Ok(())
    }

    /// Adds all sums of another rollup of the same plan.
    pub fn merge(&mut self, other: &Rollup) -> Result<(), Overflow> {
        let codes: Vec<i64> = other.texts.texts.iter().map(|text| self.texts.code(text)).collect();
        let texts: Vec<usize> = self.text_words();
        let mut key = vec![0; self.dimensions.len()];
        for group in 0..other.groups.len() {
            key.copy_from_slice(other.groups.key(group));
            for &word in &texts {
                key[word] = codes[key[word] as usize];
            }
            self.groups.add(&key, other.groups.sums(group).iter().copied())?;
        }
        Ok(())
    }

    /// Which words of a key are codes of texts.
    fn text_words(&self) -> Vec<usize> {
        let is_text = |dimension: &Dimension| matches!(dimension.kind(), DimensionKind::Text { .. });
        (0..self.dimensions.len()).filter(|&word| is_text(&self.dimensions[word])).collect()
    }

    /// Control totals, by date.
    pub fn days(&self) -> Result<Vec<DayTotals>, Overflow> {
        let date_word = self.word(Dimension::ReportDate);
        let mut days: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for group in 0..self.groups.len() {
            let totals = days.entry(self.groups.key(group)[date_word]).or_insert_with(|| vec![0; self.sums()]);
            for (total, sum) in totals.iter_mut().zip(self.groups.sums(group)) {
                *total = total.checked_add(*sum).ok_or(Overflow)?;
            }
        }
        let totals = days.into_iter().map(|(date, mut sums)| {
            let rows = sums.pop().unwrap_or_default();
            DayTotals { date: ReportDate(date as i32), rows, sums }
        });
        Ok(totals.collect())
    }

    fn sums(&self) -> usize {
        self.plan.measures.len() + 1
    }

    fn word(&self, dimension: Dimension) -> usize {
        let found = self.dimensions.iter().position(|&used| used == dimension);
        found.expect("the plan lists every dimension that a report uses")
    }

    /// The cells of one report of the plan, in primary-key order.
    pub fn report<'a>(&'a self, report: &'a Report) -> Result<Cells<'a>, Overflow> {
        let words: Vec<usize> = report.dimensions.iter().map(|&dimension| self.word(dimension)).collect();
        let mut groups = Groups::new(words.len(), words.len(), report.measures.len());
        let mut key = vec![0; words.len()];
        for group in 0..self.groups.len() {
            let fine = self.groups.key(group);
            key.iter_mut().zip(&words).for_each(|(slot, &word)| *slot = fine[word]);
            let sums = self.groups.sums(group);
            groups.add(&key, report.measures.iter().map(|&measure| sums[measure]))?;
        }
        let is_text = |dimension: &Dimension| matches!(dimension.kind(), DimensionKind::Text { .. });
        let is_text: Vec<bool> = report.dimensions.iter().map(is_text).collect();
        let order = order::by_key(&groups, &is_text, &self.texts.ranks());
        Ok(Cells { groups, order, dimensions: &report.dimensions, texts: &self.texts })
    }
}

impl fmt::Debug for Rollup {
    /// A sorted table for each report: what a snapshot test or a puzzled engineer wants to see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for report in &self.plan.reports {
            writeln!(f, "{}", report.name)?;
            let Ok(cells) = self.report(report) else { return writeln!(f, "  {Overflow}") };
            for cell in cells.iter() {
                let key: Vec<String> = cell.key.iter().map(KeyValue::to_string).collect();
                writeln!(f, "  {} = {:?}", key.join(" | "), cell.sums)?;
            }
        }
        Ok(())
    }
}

/// One dimension's key words for the rows of a batch.
enum Words<'a> {
    Dates(&'a [i32]),
    Ids(&'a [i64]),
    /// Row -> dictionary key -> code of the text.
    Texts {
        keys: &'a [u32],
        codes: Vec<i64>,
    },
}

impl<'a> Words<'a> {
    fn of(batch: &'a RecordBatch, dimension: Dimension, texts: &mut Texts) -> Words<'a> {
        let column = column(batch, dimension.name());
        match dimension.kind() {
            DimensionKind::Date => Words::Dates(column.as_primitive::<Date32Type>().values()),
            DimensionKind::Id => Words::Ids(column.as_primitive::<Int64Type>().values()),
            DimensionKind::Text { .. } => {
                let dictionary = column.as_dictionary::<UInt32Type>();
                let values = dictionary.values().as_string::<i32>();
                let codes = (0..values.len()).map(|at| texts.code(values.value(at))).collect();
                Words::Texts { keys: dictionary.keys().values(), codes }
            }
        }
    }

    fn at(&self, row: usize) -> i64 {
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

fn integers<'a>(batch: &'a RecordBatch, name: &str) -> &'a [i64] {
    column(batch, name).as_primitive::<Int64Type>().values()
}
