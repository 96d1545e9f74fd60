//! The sums of one object, or of several merged, on the few levels from which each report is derived.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::Overflow;
use super::axis::Axis;
use super::cells::{Cells, KeyValue};
use super::days::Days;
use super::encode::encode;
use super::groups::Key;
use super::level::{Level, levels};
use super::spare::Spare;
use super::words::{Texts, Words, integers};
use crate::model::{Dimension, DimensionKind, ReportDate};
use crate::report::{Plan, Report};

/// Sums of every measure (and the number of rows) by the plan's dimensions.
#[derive(Clone)]
pub struct Rollup {
    plan: Arc<Plan>,
    /// The plan's dimensions. A key is the codes of the axes, each shifted.
    pub(super) axes: Vec<Axis>,
    pub(super) shifts: Vec<u32>,
    pub(super) levels: Vec<Level>,
    days: Days,
    pub(super) texts: Texts,
}

/// Control totals of one date: rows and the sum of every measure of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayTotals {
    pub date: ReportDate,
    pub rows: i64,
    pub sums: Vec<i64>,
}

impl Rollup {
    /// One whose tables take no other's memory.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self::from_spare(plan, &Arc::default())
    }

    /// One whose tables take memory that is spare, and leave theirs there.
    pub fn from_spare(plan: Arc<Plan>, spare: &Arc<Spare>) -> Self {
        let axes = Axis::of(&plan.dimensions);
        let shift = |bits: &mut u32, axis: &Axis| {
            let shift = *bits;
            *bits += axis.bits;
            Some(shift)
        };
        let shifts: Vec<u32> = axes.iter().scan(0, shift).collect();
        let levels = levels(&plan, &axes, &shifts, spare);
        let days = Days::new(plan.measures.len());
        Self { plan, axes, shifts, levels, days, texts: Texts::default() }
    }

    /// Groups of all its tables: what the rollup costs in memory.
    pub fn cells(&self) -> usize {
        self.levels.iter().map(|level| level.groups.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.days.len() == 0
    }

    /// Adds an enriched batch: a column for each of the plan's dimensions and measures, by name.
    ///
    /// # Panics
    /// When a column is missing or of another type: `enrich` owes them.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), Overflow> {
        let mut keys: Vec<Key> = vec![0; batch.num_rows()];
        let Self { plan, axes, shifts, texts, .. } = self;
        plan.dimensions.iter().for_each(|&dimension| texts.read(batch, dimension));
        for (axis, &shift) in axes.iter_mut().zip(shifts.iter()) {
            let words = axis.dimensions.iter().map(|&dimension| Words::of(batch, dimension, texts));
            let words: Vec<Words> = words.collect();
            encode(axis, &words, shift, &mut keys)?;
        }
        let measures = self.plan.measures.iter().map(|measure| integers(batch, &measure.name));
        let measures: Vec<&[i64]> = measures.collect();
        let (dates, shift) = self.dates();
        let dates: Vec<u32> = keys.iter().map(|&key| dates.code_in(key, shift) as u32).collect();
        self.days.add(&dates, &measures)?;
        for level in &mut self.levels {
            level.add(&keys, &measures)?;
        }
        Ok(())
    }

    /// Adds all sums of another rollup of the same plan.
    pub fn merge(&mut self, other: &Rollup) -> Result<(), Overflow> {
        let texts: Vec<i64> = other.texts.iter().map(|text| self.texts.code(text)).collect();
        let mut codes = Vec::new();
        for (axis, of_other) in self.axes.iter_mut().zip(&other.axes) {
            let is_text: Vec<bool> = axis.dimensions.iter().map(is_text).collect();
            let word = |code: usize, nth: usize| match of_other.words(code)[nth] {
                text if is_text[nth] => texts[text as usize],
                word => word,
            };
            let of_axis = (0..of_other.len()).map(|code| axis.code(|nth| word(code, nth)));
            codes.push(of_axis.collect::<Result<Vec<u32>, _>>()?);
        }
        let own = |key: Key| {
            let axes = other.axes.iter().zip(&self.shifts).zip(&codes);
            axes.fold(0, |own, ((axis, &shift), codes)| own | Key::from(codes[axis.code_in(key, shift)]) << shift)
        };
        let dates = &codes[self.nth_of_dates()];
        for (date, &own) in dates.iter().enumerate().take(other.days.len()) {
            self.days.merge(own as usize, other.days.totals(date))?;
        }
        for (level, other) in self.levels.iter_mut().zip(&other.levels) {
            level.merge(other, own)?;
        }
        Ok(())
    }

    /// Control totals, by date.
    pub fn days(&self) -> Vec<DayTotals> {
        let (dates, _) = self.dates();
        let day = |date: usize| {
            let (sums, rows) = self.days.totals(date);
            DayTotals { date: ReportDate(dates.words(date)[0] as i32), rows, sums: sums.to_vec() }
        };
        let mut days: Vec<DayTotals> = (0..self.days.len()).map(day).collect();
        days.sort_unstable_by_key(|day| day.date);
        days
    }

    /// The axis of dates, and where its code stands in a key.
    fn dates(&self) -> (&Axis, u32) {
        let nth = self.nth_of_dates();
        (&self.axes[nth], self.shifts[nth])
    }

    fn nth_of_dates(&self) -> usize {
        let has_dates = |axis: &Axis| axis.dimensions[0] == Dimension::ReportDate;
        self.axes.iter().position(has_dates).expect("every plan has the date")
    }

    /// The cells of one report of the plan, in primary-key order.
    pub fn report<'a>(&'a self, report: &'a Report) -> Result<Cells<'a>, Overflow> {
        Cells::new(self, report)
    }
}

impl fmt::Debug for Rollup {
    /// A sorted table for each report: what a snapshot test or a puzzled engineer wants to see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for report in &self.plan.reports {
            writeln!(f, "{}", report.name)?;
            let cells = match self.report(report) {
                Ok(cells) => cells,
                Err(overflow) => return writeln!(f, "  {overflow}"),
            };
            for cell in cells.iter() {
                let key: Vec<String> = cell.key().map(|value: KeyValue| value.to_string()).collect();
                writeln!(f, "  {} = {:?}", key.join(" | "), cell.sums().collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }
}

fn is_text(dimension: &Dimension) -> bool {
    matches!(dimension.kind(), DimensionKind::Text { .. })
}
