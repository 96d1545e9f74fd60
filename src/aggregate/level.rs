//! The tables of a rollup: as few as serve all reports, each no finer and no wider than a report needs.
//!
//! The finest grouping has about as many groups as an object has rows, so its records are what a row waits for. Measures
//! that only coarser reports have are kept on a coarser level, which stays in the cache.

use std::ops::Range;

use super::axis::Axis;
use super::groups::{Groups, Key, SumOverflow};
use crate::model::Dimension;
use crate::report::{Plan, Report};

/// Sums of some measures by some of the axes.
#[derive(Clone, Debug)]
pub struct Level {
    /// Which axes, and their bits in a key.
    pub axes: Vec<usize>,
    mask: Key,
    /// Indexes into the plan's measures: one sum each.
    pub measures: Vec<usize>,
    /// Whether another sum, the last one, counts the rows.
    pub counts_rows: bool,
    pub groups: Groups,
}

/// The levels of a plan. The first is for the control totals: every measure, and the rows, by date.
pub fn levels(plan: &Plan, axes: &[Axis], shifts: &[u32]) -> Vec<Level> {
    let level = |of_axes: Vec<usize>, measures: Vec<usize>, counts_rows: bool| {
        let bits = |&axis: &usize| ((1 << axes[axis].bits) - 1) << shifts[axis];
        let groups = Groups::new(measures.len() + usize::from(counts_rows));
        Level {
            mask: of_axes.iter().map(bits).fold(0, |mask, bits: Key| mask | bits),
            axes: of_axes,
            measures,
            counts_rows,
            groups,
        }
    };
    let dates = axes_of(axes, &[Dimension::ReportDate]);
    let mut wanted = vec![(dates, (0..plan.measures.len()).collect::<Vec<usize>>())];
    // The finest first: coarser ones may do with its level.
    let mut reports: Vec<(Vec<usize>, &Report)> =
        plan.reports.iter().map(|report| (axes_of(axes, &report.dimensions), report)).collect();
    reports.sort_by_key(|(axes, _)| std::cmp::Reverse(axes.len()));
    for (axes, report) in reports {
        if wanted.iter().any(|(of, measures)| serves(of, measures, &axes, &report.measures)) {
            continue;
        }
        match wanted.iter_mut().skip(1).find(|(of, _)| *of == axes) {
            Some((_, measures)) => measures.extend(
                report.measures.iter().filter(|measure| !measures.contains(measure)).copied().collect::<Vec<_>>(),
            ),
            None => wanted.push((axes, report.measures.clone())),
        }
    }
    wanted.into_iter().enumerate().map(|(nth, (axes, measures))| level(axes, measures, nth == 0)).collect()
}

/// The axes that have some of the dimensions.
fn axes_of(axes: &[Axis], dimensions: &[Dimension]) -> Vec<usize> {
    let has_one = |axis: &Axis| axis.dimensions.iter().any(|dimension| dimensions.contains(dimension));
    (0..axes.len()).filter(|&nth| has_one(&axes[nth])).collect()
}

fn serves(axes: &[usize], measures: &[usize], wanted_axes: &[usize], wanted_measures: &[usize]) -> bool {
    wanted_axes.iter().all(|axis| axes.contains(axis))
        && wanted_measures.iter().all(|measure| measures.contains(measure))
}

impl Level {
    /// Whether a report can be derived from it.
    pub fn serves(&self, axes: &[Axis], report: &Report) -> bool {
        serves(&self.axes, &self.measures, &axes_of(axes, &report.dimensions), &report.measures)
    }

    pub fn sums(&self) -> usize {
        self.measures.len() + usize::from(self.counts_rows)
    }

    /// Where a measure's sum is.
    pub fn place(&self, measure: usize) -> usize {
        let place = self.measures.iter().position(|&has| has == measure);
        place.expect("a level that serves a report has its measures")
    }

    /// Adds rows by the keys of all axes. A column for each measure of the plan.
    pub fn add(&mut self, keys: &[Key], columns: &[&[i64]]) -> Result<(), SumOverflow> {
        let width = self.sums();
        let (mask, measures) = (self.mask, &self.measures);
        self.groups.add(keys.iter().map(|key| key & mask), |rows, values| {
            values.fill(1); // what counts the row
            for (nth, &measure) in measures.iter().enumerate() {
                let slots = values[nth..].iter_mut().step_by(width);
                slots.zip(&columns[measure][rows.clone()]).for_each(|(slot, &value)| *slot = value);
            }
        })
    }

    /// Adds the groups of the same level of another rollup, whose keys `own` translates.
    pub fn merge(&mut self, other: &Level, own: impl Fn(Key) -> Key) -> Result<(), SumOverflow> {
        let (width, mask) = (self.sums(), self.mask);
        self.groups
            .add(other.groups.keys().map(|key| own(key) & mask), |of, values| copy(&other.groups, of, values, width))
    }
}

fn copy(groups: &Groups, of: Range<usize>, values: &mut [i64], width: usize) {
    of.zip(values.chunks_exact_mut(width)).for_each(|(group, values)| values.copy_from_slice(groups.sums(group)));
}
