//! A rollup's groups as the rows of one report, in primary-key order.

use std::fmt;
use std::sync::Arc;

use super::Overflow;
use super::axis::Axis;
use super::groups::{Groups, Key};
use super::order;
use super::rollup::Rollup;
use super::words::Texts;
use crate::model::{Dimension, DimensionKind, ReportDate};
use crate::report::Report;

/// The cells of one report, sorted by primary key (texts by their UTF-8 bytes, ids and dates by value).
pub struct Cells<'a> {
    report: &'a Report,
    texts: &'a Texts,
    axes: Vec<Seen<'a>>,
    /// For each of the report's dimensions the axis that has it, and its place there.
    places: Vec<(usize, usize)>,
    groups: Summed<'a>,
    /// Where the sums of the report's measures are.
    sums: Vec<usize>,
    /// The groups in primary-key order.
    order: Vec<u32>,
}

/// The groups that a report's cells are.
enum Summed<'a> {
    /// Those of a level, each of which is a cell.
    Own(&'a Groups),
    /// Coarser ones with the report's measures alone.
    Coarser(Groups),
}

/// An axis as a report sees it.
struct Seen<'a> {
    /// Where its code stands in a key.
    axis: &'a Axis,
    shift: u32,
    kept: Kept<'a>,
}

enum Kept<'a> {
    Nothing,
    /// The report tells all of its combinations apart.
    Whole(&'a Axis),
    /// A code of the axis -> a code of a smaller one.
    Part {
        codes: Vec<u32>,
        part: Axis,
    },
}

impl<'a> Seen<'a> {
    fn new(axis: &'a Axis, shift: u32, report: &Report) -> Seen<'a> {
        let kept: Vec<usize> =
            (0..axis.dimensions.len()).filter(|&nth| report.dimensions.contains(&axis.dimensions[nth])).collect();
        let kept = match kept.as_slice() {
            [] => Kept::Nothing,
            all if all.len() == axis.dimensions.len() => Kept::Whole(axis),
            some => {
                let (part, codes) = axis.part(some);
                Kept::Part { codes, part }
            }
        };
        Seen { axis, shift, kept }
    }

    fn kept(&self) -> Option<&Axis> {
        match &self.kept {
            Kept::Nothing => None,
            Kept::Whole(axis) => Some(axis),
            Kept::Part { part, .. } => Some(part),
        }
    }

    /// Whether two combinations of the axis may be one to the report.
    fn merges(&self) -> bool {
        match &self.kept {
            Kept::Nothing => true,
            Kept::Whole(_) => false,
            Kept::Part { codes, part } => part.len() < codes.len(),
        }
    }

    /// The code of a key: where nothing is merged, combinations have the same codes in a part as in the whole.
    #[inline]
    fn code(&self, key: Key) -> usize {
        self.axis.code_in(key, self.shift)
    }
}

impl<'a> Cells<'a> {
    pub fn new(rollup: &'a Rollup, report: &'a Report) -> Result<Cells<'a>, Overflow> {
        let serving = rollup.levels.iter().filter(|level| level.serves(&rollup.axes, report));
        let level = serving.min_by_key(|level| level.groups.len()).expect("a plan has a level for each of its reports");
        let seen = |&nth: &usize| Seen::new(&rollup.axes[nth], rollup.shifts[nth], report);
        let axes: Vec<Seen> = level.axes.iter().map(seen).collect();
        let of_level: Vec<usize> = report.measures.iter().map(|&measure| level.place(measure)).collect();
        let (groups, sums) = if axes.iter().any(Seen::merges) {
            (Summed::Coarser(coarser(&level.groups, &axes, &of_level)?), (0..of_level.len()).collect())
        } else {
            (Summed::Own(&level.groups), of_level)
        };
        let place = |dimension: &Dimension| {
            let within = |axis: &Axis| axis.dimensions.iter().position(|has| has == dimension);
            let found = axes.iter().enumerate().find_map(|(nth, seen)| Some((nth, within(seen.kept()?)?)));
            found.expect("a level that serves a report has its dimensions")
        };
        let places = report.dimensions.iter().map(place).collect();
        let mut cells = Cells { report, texts: &rollup.texts, axes, places, groups, sums, order: Vec::new() };
        cells.order = cells.sorted();
        Ok(cells)
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Cell<'_>> {
        self.order.iter().map(|&group| Cell { cells: self, group: group as usize })
    }

    fn groups(&self) -> &Groups {
        match &self.groups {
            Summed::Own(groups) => groups,
            Summed::Coarser(groups) => groups,
        }
    }

    fn sorted(&self) -> Vec<u32> {
        let ranks = self.texts.ranks();
        let mut sort = order::Sort::new(self.axes.len());
        for (&(nth, place), dimension) in self.places.iter().zip(&self.report.dimensions) {
            let axis = self.axes[nth].kept().expect("a place is in an axis that is kept");
            let word = |code: usize| axis.words(code)[place];
            let value = |code: usize| match dimension.kind() {
                DimensionKind::Text { .. } => ranks[word(code) as usize],
                DimensionKind::Date | DimensionKind::Id => word(code),
            };
            sort.by(nth, (0..axis.len()).map(value).collect());
        }
        let groups = self.groups();
        sort.order(groups.len(), |group| groups.key(group), |nth, key| self.axes[nth].code(key))
    }
}

/// Some sums of groups by what a report keeps of each axis.
fn coarser(fine: &Groups, axes: &[Seen], sums: &[usize]) -> Result<Groups, Overflow> {
    let mut groups = Groups::new(sums.len(), fine.spare().clone());
    let coarse = |key: Key| {
        axes.iter().fold(0, |coarse, seen| match &seen.kept {
            Kept::Nothing => coarse,
            Kept::Whole(_) => coarse | (seen.code(key) as Key) << seen.shift,
            Kept::Part { codes, .. } => coarse | Key::from(codes[seen.code(key)]) << seen.shift,
        })
    };
    groups.add(fine.keys().map(coarse), |of, values| {
        for (group, values) in of.zip(values.chunks_exact_mut(sums.len())) {
            let fine = fine.sums(group);
            values.iter_mut().zip(sums).for_each(|(value, &place)| *value = fine[place]);
        }
    })?;
    Ok(groups)
}

/// One row of a report.
#[derive(Clone, Copy)]
pub struct Cell<'a> {
    cells: &'a Cells<'a>,
    group: usize,
}

impl<'a> Cell<'a> {
    /// Dimension values in the report's order.
    pub fn key(self) -> impl Iterator<Item = KeyValue> + 'a {
        let Cell { cells, group } = self;
        let key = cells.groups().key(group);
        cells.places.iter().zip(&cells.report.dimensions).map(move |(&(nth, place), dimension)| {
            let seen = &cells.axes[nth];
            let word = seen.kept().map_or(0, |axis| axis.words(seen.code(key))[place]);
            match dimension.kind() {
                DimensionKind::Date => KeyValue::Date(ReportDate(word as i32)),
                DimensionKind::Id => KeyValue::Id(word),
                DimensionKind::Text { .. } => KeyValue::Text(cells.texts.text(word).clone()),
            }
        })
    }

    /// Sums in the order of the report's measures.
    pub fn sums(self) -> impl Iterator<Item = i64> + 'a {
        let sums = self.cells.groups().sums(self.group);
        self.cells.sums.iter().map(move |&place| sums[place])
    }
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
