//! The tables of a rollup: as few as serve all reports, each no finer and no wider than a report needs.
//!
//! The finest grouping has about as many groups as an object has rows, so its records are what a row waits for. Measures
//! that only coarser reports have are kept on a coarser level, which stays in the cache.

use std::sync::Arc;

use super::axis::Axis;
use super::groups::{Groups, Key, SumOverflow};
use super::spare::Spare;
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
    pub groups: Groups,
}

/// The levels of a plan.
pub fn levels(plan: &Plan, axes: &[Axis], shifts: &[u32], spare: &Arc<Spare>) -> Vec<Level> {
    // The finest first: coarser ones may do with its level.
    let mut reports: Vec<(Vec<usize>, &Report)> =
        plan.reports.iter().map(|report| (axes_of(axes, &report.dimensions), report)).collect();
    reports.sort_by_key(|(axes, _)| std::cmp::Reverse(axes.len()));
    let mut wanted: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for (axes, report) in reports {
        if wanted.iter().any(|(of, measures)| serves(of, measures, &axes, &report.measures)) {
            continue;
        }
        match wanted.iter_mut().find(|(of, _)| *of == axes) {
            Some((_, measures)) => {
                let more = report.measures.iter().filter(|measure| !measures.contains(measure));
                let more: Vec<usize> = more.copied().collect();
                measures.extend(more);
            }
            None => wanted.push((axes, report.measures.clone())),
        }
    }
    let bits = |&axis: &usize| ((1 << axes[axis].bits) - 1) << shifts[axis];
    let level = |(axes, measures): (Vec<usize>, Vec<usize>)| {
        let mask = axes.iter().map(bits).fold(0, |mask, bits: Key| mask | bits);
        Level { axes, mask, groups: Groups::new(measures.len(), spare.clone()), measures }
    };
    wanted.into_iter().map(level).collect()
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

    /// Where a measure's sum is.
    pub fn place(&self, measure: usize) -> usize {
        let place = self.measures.iter().position(|&has| has == measure);
        place.expect("a level that serves a report has its measures")
    }

    /// Adds rows by the keys of all axes. A column for each measure of the plan.
    pub fn add(&mut self, keys: &[Key], columns: &[&[i64]]) -> Result<(), SumOverflow> {
        let (mask, measures) = (self.mask, &self.measures);
        self.groups.add(keys.iter().map(|key| key & mask), |rows, values| {
            for (nth, &measure) in measures.iter().enumerate() {
                let slots = values[nth..].iter_mut().step_by(measures.len());
                slots.zip(&columns[measure][rows.clone()]).for_each(|(slot, &value)| *slot = value);
            }
        })
    }

    /// Adds the groups of the same level of another rollup, whose keys `own` translates.
    pub fn merge(&mut self, other: &Level, own: impl Fn(Key) -> Key) -> Result<(), SumOverflow> {
        let (width, mask) = (self.measures.len(), self.mask);
        self.groups.add(other.groups.keys().map(|key| own(key) & mask), |of, values| {
            let groups = of.zip(values.chunks_exact_mut(width));
            groups.for_each(|(group, values)| values.copy_from_slice(other.groups.sums(group)));
        })
    }
}
