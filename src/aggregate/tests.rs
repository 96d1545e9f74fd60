//! Rollups against an ordinary map, on made-up batches in which nothing determines anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use proptest::prelude::*;

use super::{DayTotals, KeyValue, Overflow, Rollup};
use crate::model::{Dimension, DimensionKind, ReportDate};
use crate::report::{MeasureSpec, Plan, ReportSpec};

/// Measures as letters, each read from a field of its own.
fn plan(measures: &[&str], reports: &[(&[&str], &[&str])]) -> Arc<Plan> {
    let measure = |name: &&str| toml::from_str(&format!("name = \"{name}\"\nfield = \"{name}\"")).unwrap();
    let report = |(nth, (dimensions, measures)): (usize, &(&[&str], &[&str]))| {
        let text =
            format!("name = \"r{nth}\"\ntable = \"r{nth}\"\ndimensions = {dimensions:?}\nmeasures = {measures:?}");
        toml::from_str::<ReportSpec>(&text).unwrap()
    };
    let measures: Vec<MeasureSpec> = measures.iter().map(measure).collect();
    Arc::new(Plan::new(&measures, &reports.iter().enumerate().map(report).collect::<Vec<_>>()).unwrap())
}

/// The default reports' shape, one that only metadata decides, and a measure that no report has.
fn every_kind_of_report() -> Arc<Plan> {
    plan(
        &["a", "b", "c", "unused"],
        &[
            (&["report_date", "organization_id", "media_key", "inventory_id", "ad_id", "demand_id"], &["a", "b"]),
            (&["report_date", "organization_id", "media_key", "inventory_id", "device", "app_type"], &["c"]),
            (&["report_date", "demand_id"], &["b"]),
            (&["report_date", "organization_id", "media_key", "device"], &["c", "a"]),
            (&["report_date", "ad_type", "demand_id", "app_type"], &["a", "c", "b"]),
        ],
    )
}

/// A small number for each dimension, and the value it stands for. Texts sort otherwise than their numbers.
fn value(dimension: Dimension, number: u8) -> KeyValue {
    match dimension.kind() {
        DimensionKind::Date => KeyValue::Date(ReportDate(20_000 - i32::from(number))),
        DimensionKind::Id => KeyValue::Id((i64::from(number) - 2) << 40),
        DimensionKind::Text { .. } => KeyValue::Text(["나", "a", "B", "", "\u{10000}"][usize::from(number % 5)].into()),
    }
}

#[derive(Clone, Debug)]
struct Row {
    /// One for each of `Dimension::ALL`.
    numbers: [u8; 9],
    measures: [i64; 4],
}

fn row() -> impl Strategy<Value = Row> {
    let measure = 0..1_000i64;
    (
        [0..4u8, 0..3, 0..4, 0..5, 0..5, 0..3, 0..3, 0..3, 0..3],
        [measure.clone(), measure.clone(), measure.clone(), measure],
    )
        .prop_map(|(numbers, measures)| Row { numbers, measures })
}

fn batch(plan: &Plan, rows: &[Row]) -> RecordBatch {
    let dimension = |&dimension: &Dimension| {
        let nth = Dimension::ALL.iter().position(|&any| any == dimension).unwrap();
        let values: Vec<KeyValue> = rows.iter().map(|row| value(dimension, row.numbers[nth])).collect();
        let ids = values.iter().map(|value| if let KeyValue::Id(id) = value { *id } else { 0 });
        let dates = values.iter().map(|value| if let KeyValue::Date(date) = value { date.0 } else { 0 });
        let column: ArrayRef = match dimension.kind() {
            DimensionKind::Date => Arc::new(Date32Array::from_iter_values(dates)),
            DimensionKind::Id => Arc::new(Int64Array::from_iter_values(ids)),
            DimensionKind::Text { .. } => {
                // A dictionary that has one text twice.
                let texts = StringArray::from_iter_values((0..10).map(|number| value(dimension, number).to_string()));
                let keys = UInt32Array::from_iter_values(rows.iter().map(|row| u32::from(row.numbers[nth])));
                Arc::new(DictionaryArray::new(keys, Arc::new(texts)))
            }
        };
        (dimension.name().to_owned(), column)
    };
    let measure = |(nth, measure): (usize, &crate::model::Measure)| {
        let values = Int64Array::from_iter_values(rows.iter().map(|row| row.measures[nth]));
        (measure.name.clone(), Arc::new(values) as ArrayRef)
    };
    let columns = plan.dimensions.iter().map(dimension).chain(plan.measures.iter().enumerate().map(measure));
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The sums by any key, computed without a rollup.
fn sums<K: Ord>(rows: &[Row], key: impl Fn(&Row) -> K, measures: &[usize]) -> BTreeMap<K, Vec<i64>> {
    let mut sums: BTreeMap<K, Vec<i64>> = BTreeMap::new();
    for row in rows {
        let sums = sums.entry(key(row)).or_insert_with(|| vec![0; measures.len()]);
        sums.iter_mut().zip(measures).for_each(|(sum, &measure)| *sum += row.measures[measure]);
    }
    sums
}

fn assert_is(rollup: &Rollup, plan: &Plan, rows: &[Row]) {
    for report in &plan.reports {
        let key = |row: &Row| {
            let value = |dimension: &Dimension| {
                value(*dimension, row.numbers[Dimension::ALL.iter().position(|any| any == dimension).unwrap()])
            };
            report.dimensions.iter().map(value).collect::<Vec<KeyValue>>()
        };
        let cells = rollup.report(report).unwrap();
        let found: Vec<_> = cells.iter().map(|cell| (cell.key().collect::<Vec<_>>(), cell.sums().collect())).collect();
        let expected: Vec<(Vec<KeyValue>, Vec<i64>)> = sums(rows, key, &report.measures).into_iter().collect();
        assert_eq!(found, expected, "{}", report.name);
        assert_eq!(cells.len(), expected.len());
    }
    let of_days = sums(rows, |row| ReportDate(20_000 - i32::from(row.numbers[0])), &[0, 1, 2, 3]);
    let of_days = of_days.into_iter().map(|(date, sums)| {
        let rows = rows.iter().filter(|row| 20_000 - i32::from(row.numbers[0]) == date.0).count() as i64;
        DayTotals { date, rows, sums }
    });
    assert_eq!(rollup.days(), of_days.collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn reports_and_days_are_the_sums_of_their_rows(
        rows in proptest::collection::vec(row(), 0..300),
        cut in 0usize..300,
    ) {
        let plan = every_kind_of_report();
        let cut = cut.min(rows.len());
        let of = |batches: &[&[Row]]| {
            let mut rollup = Rollup::new(plan.clone());
            batches.iter().for_each(|rows| rollup.add(&batch(&plan, rows)).unwrap());
            rollup
        };
        // Batch after batch, and merged in either order.
        assert_is(&of(&[&rows[..cut], &rows[cut..]]), &plan, &rows);
        for (one, other) in [(&rows[..cut], &rows[cut..]), (&rows[cut..], &rows[..cut])] {
            let mut merged = of(&[one]);
            merged.merge(&of(&[other])).unwrap();
            assert_is(&merged, &plan, &rows);
        }
    }
}

#[test]
fn measures_that_only_coarse_reports_have_are_kept_on_a_coarse_level() {
    let plan = every_kind_of_report();
    let mut rollup = Rollup::new(plan.clone());
    // One inventory, many ads.
    let row = |ad: u8| Row { numbers: [0, 0, 0, 0, ad, 0, 0, 0, 0], measures: [1, 1, 1, 1] };
    rollup.add(&batch(&plan, &(0..100).map(row).collect::<Vec<_>>())).unwrap();
    // A hundred of the first report, one of each other level: that of the second and the fourth report, the last one's.
    assert_eq!(rollup.cells(), 100 + 2);
}

#[test]
fn sum_that_does_not_fit_is_an_error() {
    let plan = every_kind_of_report();
    let mut rollup = Rollup::new(plan.clone());
    let row = |measure| Row { numbers: [0; 9], measures: [measure, 0, 0, 0] };
    rollup.add(&batch(&plan, &[row(i64::MAX)])).unwrap();
    let other = rollup.clone();
    assert_eq!(rollup.clone().merge(&other), Err(Overflow::Sum));
    assert_eq!(rollup.add(&batch(&plan, &[row(1)])), Err(Overflow::Sum));
}
