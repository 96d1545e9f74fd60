//! The first rows by an order that no database is asked for: that of ratios, which only this program computes exactly.

use std::cmp::Ordering;

use super::read::{ReportRow, Sort, SortBy};
use crate::aggregate::KeyValue;

/// Rows that are held to be sorted by a ratio: about 300 bytes each.
pub(super) const ROWS_RANKED_MAX: u64 = 500_000;

/// Takes any number of rows and keeps the first so many of them.
pub(super) struct Ranking {
    sort: Vec<Sort>,
    /// The place of each sorted dimension in a row's key.
    key_places: Vec<usize>,
    rows_max: usize,
    rows: Vec<Ranked>,
}

struct Ranked {
    /// What the row is sorted by, in the order of `sort`; a dimension's stays in the row.
    values: Vec<Option<i128>>,
    row: ReportRow,
}

impl Ranking {
    /// `key_place` tells where a dimension stands in the rows' keys.
    pub fn new(sort: &[Sort], rows_max: u64, key_place: impl Fn(&Sort) -> usize) -> Ranking {
        let rows_max = rows_max.min(ROWS_RANKED_MAX) as usize;
        Ranking { key_places: sort.iter().map(key_place).collect(), sort: sort.to_vec(), rows_max, rows: Vec::new() }
    }

    /// `value` computes a measure or a ratio of the row.
    pub fn take(&mut self, row: ReportRow, value: impl Fn(&ReportRow, SortBy) -> Option<i128>) {
        if self.rows_max == 0 {
            return;
        }
        let values = self.sort.iter().map(|sort| value(&row, sort.by)).collect();
        self.rows.push(Ranked { values, row });
        // Half as many again, so that the selection, which is linear, is paid for by as many rows as it drops.
        if self.rows.len() >= self.rows_max + self.rows_max / 2 + 64 {
            self.drop_the_last();
        }
    }

    fn drop_the_last(&mut self) {
        if self.rows.len() > self.rows_max {
            let (sort, places) = (&self.sort, &self.key_places);
            self.rows.select_nth_unstable_by(self.rows_max - 1, |a, b| compare(sort, places, a, b));
            self.rows.truncate(self.rows_max);
        }
    }

    pub fn finish(mut self) -> impl Iterator<Item = ReportRow> {
        self.drop_the_last();
        let (sort, places) = (&self.sort, &self.key_places);
        self.rows.sort_unstable_by(|a, b| compare(sort, places, a, b));
        self.rows.into_iter().map(|ranked| ranked.row)
    }
}

fn compare(sort: &[Sort], places: &[usize], a: &Ranked, b: &Ranked) -> Ordering {
    for (at, Sort { by, descending }) in sort.iter().enumerate() {
        let order = match by {
            SortBy::Dimension(_) => directed(a.row.key[places[at]].cmp(&b.row.key[places[at]]), *descending),
            SortBy::Measure(_) | SortBy::Ratio(_) => nulls_last(a.values[at], b.values[at], *descending),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    // No two rows have the same key.
    Vec::<KeyValue>::cmp(&a.row.key, &b.row.key)
}

fn directed(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}

/// A ratio without a value says nothing about its row, whichever end is looked at first.
fn nulls_last(a: Option<i128>, b: Option<i128>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => directed(a.cmp(&b), descending),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranked(values: &[Option<i128>], rows_max: u64, descending: bool) -> Vec<(Option<i128>, i64)> {
        let mut ranking = Ranking::new(&[Sort { by: SortBy::Ratio(0), descending }], rows_max, |_| 0);
        for (id, value) in values.iter().enumerate() {
            let row = ReportRow { key: vec![KeyValue::Id(id as i64)], sums: vec![value.unwrap_or(-1)] };
            ranking.take(row, |row, _| Some(row.sums[0]).filter(|sum| *sum >= 0));
        }
        let id = |row: &ReportRow| match row.key[0] {
            KeyValue::Id(id) => id,
            _ => unreachable!(),
        };
        ranking.finish().map(|row| (values[id(&row) as usize], id(&row))).collect()
    }

    #[test]
    fn rows_without_a_value_come_last_in_either_direction() {
        let values = [None, Some(2), Some(1), None, Some(2)];
        let ids = |descending| ranked(&values, 10, descending).iter().map(|(_, id)| *id).collect::<Vec<_>>();
        assert_eq!(ids(false), [2, 1, 4, 0, 3]);
        assert_eq!(ids(true), [1, 4, 2, 0, 3]);
    }

    proptest! {
        #[test]
        fn first_rows_are_those_of_a_full_sort(
            values in proptest::collection::vec(proptest::option::of(0i128..9), 0..400),
            rows_max in 0u64..30,
            descending: bool,
        ) {
            let mut wanted: Vec<(Option<i128>, i64)> = values.iter().copied().zip(0..).collect();
            wanted.sort_by_key(|(value, id)| (value.is_none(), value.map(|v| if descending { -v } else { v }), *id));
            wanted.truncate(rows_max as usize);
            prop_assert_eq!(ranked(&values, rows_max, descending), wanted);
        }
    }
}
