use std::ops::ControlFlow;

use rstest::rstest;

use super::fixture::{Backend, Fixture, failure};
use crate::model::{Dimension, FailedObject, FailureKind};
use crate::store::{
    FailedFilter, FailedState, Filter, ReportFacts, ReportQuery, ReportRow, Sort, SortBy, Store, StoreError, ratio,
};

pub fn query(report: &str, dimensions: &[Dimension]) -> ReportQuery {
    ReportQuery {
        report: report.into(),
        from: "2024-06-01".parse().unwrap(),
        to: "2024-06-30".parse().unwrap(),
        dimensions: dimensions.to_vec(),
        filters: Vec::new(),
        sort: Vec::new(),
        limit: None,
    }
}

fn filter(dimension: Dimension, excluded: bool, values: &[&str]) -> Filter {
    Filter { dimension, excluded, values: values.iter().map(|&value| value.into()).collect() }
}

fn excluded(dimension: Dimension, values: &[&str]) -> Filter {
    filter(dimension, true, values)
}

async fn filled(backend: Backend) -> Fixture {
    let fixture = Fixture::new(backend).await;
    let lines = [
        ("2024-06-10", "m1", "PC", 30, 10_000_000),
        ("2024-06-10", "m1", "MOBILE", 10, 1),
        ("2024-06-11", "M1", "PC", 20, 2),
        ("2024-07-01", "m1", "PC", 1000, 3),
    ];
    fixture.commit(&[fixture.object("a", &lines)]).await.unwrap();
    fixture
}

fn lines(rows: &[ReportRow]) -> Vec<String> {
    let key = |row: &ReportRow| row.key.iter().map(|key| key.to_string()).collect::<Vec<_>>().join(" ");
    rows.iter().map(|row| format!("{} {:?}", key(row), row.sums)).collect()
}

#[rstest]
#[tokio::test]
async fn report_is_read_by_range_group_and_filter(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = filled(backend).await;
    let read = async |query: &ReportQuery| lines(&fixture.store.report(query).await.unwrap());
    let all = query("media", &[]);
    assert_eq!(
        read(&all).await,
        ["2024-06-10 m1 MOBILE [10, 1, 1]", "2024-06-10 m1 PC [30, 3, 10000000]", "2024-06-11 M1 PC [20, 2, 2]"]
    );
    assert_eq!(read(&ReportQuery { limit: Some(1), ..all.clone() }).await, ["2024-06-10 m1 MOBILE [10, 1, 1]"]);
    let by_key = query("media", &[Dimension::MediaKey]);
    assert_eq!(read(&by_key).await, ["M1 [20, 2, 2]", "m1 [40, 4, 10000001]"]);
    let filter = |dimension, values: &[&str]| filter(dimension, false, values);
    let filtered = ReportQuery {
        filters: vec![filter(Dimension::MediaKey, &["m1", "x"]), filter(Dimension::Device, &["PC"])],
        ..by_key.clone()
    };
    assert_eq!(read(&filtered).await, ["m1 [30, 3, 10000000]"]);
    let nothing = ReportQuery { filters: vec![filter(Dimension::MediaKey, &[])], ..by_key };
    assert_eq!(read(&nothing).await, Vec::<String>::new());
    let others = ReportQuery {
        filters: vec![excluded(Dimension::MediaKey, &["m1", "x"]), excluded(Dimension::Device, &[])],
        ..query("media", &[Dimension::MediaKey])
    };
    assert_eq!(read(&others).await, ["M1 [20, 2, 2]"]);
    let mapped = query("day_total", &[Dimension::OrganizationId]);
    assert_eq!(read(&mapped).await, ["7 [60, 10000003]"]);
}

#[rstest]
#[tokio::test]
async fn ratio_of_a_group_is_that_of_its_sums(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = filled(backend).await;
    let rows = fixture.store.report(&query("media", &[Dimension::ReportDate])).await.unwrap();
    let report = fixture.plan.report("media").unwrap();
    let ratios = |row: &ReportRow| -> Vec<Option<i128>> {
        report.ratios.iter().map(|of| ratio(&fixture.plan, report, of, &row.sums)).collect()
    };
    // clicks / impressions, revenue / clicks, 1000 x revenue / impressions
    assert_eq!(ratios(&rows[0]), [Some(100_000), Some(2_500_000), Some(250_000_025)]);
    assert_eq!(ratio(&fixture.plan, report, &report.ratios[0], &[0, 0, 0]), None);
}

#[rstest]
#[case(query("medium", &[]), "there is no report \"medium\"; there are media, day_total")]
#[case(query("media", &[Dimension::AdId]), "report media has no ad_id; it has report_date, media_key, device")]
#[case(ReportQuery { filters: vec![filter(Dimension::OrganizationId, false, &["seven"])], ..query("day_total", &[]) }, "organization_id \"seven\" is not an integer")]
#[case(
    ReportQuery { sort: vec![Sort { by: SortBy::Measure(1), descending: true }], ..query("day_total", &[]) },
    "report day_total has no measure clicks"
)]
#[case(
    ReportQuery { sort: vec![Sort { by: SortBy::Dimension(Dimension::Device), descending: true }], ..query("media", &[Dimension::MediaKey]) },
    "can't sort by device: the rows are not grouped by it"
)]
#[tokio::test]
async fn query_that_can_not_be_is_refused_by_name(#[case] query: ReportQuery, #[case] problem: &str) {
    let fixture = Fixture::new(Backend::Sqlite).await;
    let error = fixture.store.report(&query).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains(problem), "{error}");
}

/// Keys with the impressions, clicks and revenue of each: `clicks` are a tenth of the impressions.
async fn with_many_groups(backend: Backend) -> Fixture {
    let fixture = Fixture::new(backend).await;
    let lines = [
        ("2024-06-10", "a", "PC", 30, 500),
        ("2024-06-10", "b", "PC", 100, 20),
        ("2024-06-11", "b", "PC", 9, 480),
        ("2024-06-10", "가", "PC", 5, 7_000_000_000_000_000_000),
        ("2024-06-11", "가", "MOBILE", 5, 7_000_000_000_000_000_000),
        ("2024-06-10", "none", "PC", 0, 1 << 32),
        ("2024-06-10", "less", "PC", 20, (1 << 32) - 1),
    ];
    fixture.commit(&[fixture.object("a", &lines)]).await.unwrap();
    fixture
}

#[rstest]
#[tokio::test]
async fn rows_are_sorted_before_they_are_limited(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = with_many_groups(backend).await;
    let keys = async |sort: &[(SortBy, bool)], limit| {
        let sort = sort.iter().map(|&(by, descending)| Sort { by, descending }).collect();
        let query = ReportQuery { sort, limit, ..query("media", &[Dimension::MediaKey]) };
        let rows = fixture.store.report(&query).await.unwrap();
        rows.iter().map(|row| row.key[0].to_string()).collect::<Vec<_>>().join(" ")
    };
    let (key, revenue, ctr) = (SortBy::Dimension(Dimension::MediaKey), SortBy::Measure(2), SortBy::Ratio(0));
    assert_eq!(keys(&[], None).await, "a b less none 가");
    assert_eq!(keys(&[(key, true)], Some(2)).await, "가 none");
    // Of equal revenue the first key comes first; sums beyond 64 bits, and about one of 32, are in their place.
    assert_eq!(keys(&[(revenue, false)], None).await, "a b less none 가");
    assert_eq!(keys(&[(revenue, true)], None).await, "가 none less a b");
    assert_eq!(keys(&[(revenue, false), (key, true)], Some(2)).await, "b a");
    // 10 %, 9.17 %, 10 %, nothing, 0 %.
    assert_eq!(keys(&[(ctr, true)], None).await, "a less b 가 none");
    assert_eq!(keys(&[(ctr, false)], None).await, "가 b a less none");
    assert_eq!(keys(&[(ctr, true), (key, true)], Some(3)).await, "less a b");
    assert_eq!(keys(&[(ctr, true), (revenue, true)], Some(1)).await, "less");
    assert_eq!(keys(&[(ctr, true)], Some(0)).await, "");
}

#[rstest]
#[tokio::test]
async fn facts_are_of_everything_that_matches_whatever_the_limit(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = with_many_groups(backend).await;
    fixture.store.quarantine(&[failure("x", 1), failure("y", 1)]).await.unwrap();
    let facts = async |query: &ReportQuery| fixture.store.open_report(query).await.unwrap().facts;
    let limited = ReportQuery { limit: Some(1), ..query("media", &[Dimension::MediaKey]) };
    let ReportFacts { groups, totals, dates, last_commit, failed_open } = facts(&limited).await;
    assert_eq!((groups, failed_open), (5, 2));
    assert_eq!(totals, [169, 15, 14_000_000_000_000_000_000 + 1000 + (1 << 33) - 1]);
    let dates = dates.map(|(first, last)| (first.to_string(), last.to_string()));
    assert_eq!(dates, Some(("2024-06-10".into(), "2024-06-11".into())));
    let age = jiff::Timestamp::now().duration_since(last_commit.unwrap());
    assert!((0..60).contains(&age.as_secs()), "{age:?}");
    assert_eq!(facts(&query("media", &[])).await.groups, 7);
    let of_b = ReportQuery { filters: vec![filter(Dimension::MediaKey, false, &["b"])], ..query("media", &[]) };
    let of_b = facts(&of_b).await;
    assert_eq!((of_b.groups, of_b.totals), (2, vec![109, 10, 500]));
    let later = ReportQuery { from: "2024-06-12".parse().unwrap(), ..query("media", &[]) };
    let later = facts(&later).await;
    assert_eq!((later.groups, later.totals, later.dates, later.last_commit), (0, vec![0, 0, 0], None, None));
}

#[rstest]
#[tokio::test]
async fn rows_are_read_one_by_one_and_no_further_than_wanted(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
    #[values(Vec::new(), vec![Sort { by: SortBy::Ratio(0), descending: true }])] sort: Vec<Sort>,
) {
    let fixture = with_many_groups(backend).await;
    let query = ReportQuery { sort, ..query("media", &[Dimension::MediaKey]) };
    let two = |rows: &mut Vec<ReportRow>, row| {
        rows.push(row);
        if rows.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let rows = fixture.store.open_report(&query).await.unwrap().rows(Vec::new(), two).await.unwrap();
    assert_eq!(rows.len(), 2);
    // The connection in the middle of its result is not lent again.
    assert_eq!(fixture.store.report(&query).await.unwrap().len(), 5);
}

#[rstest]
#[tokio::test]
async fn failed_objects_are_read_by_state_kind_and_prefix(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = filled(backend).await;
    let unread = FailedObject { generation: None, kind: FailureKind::Missing, ..failure("2024/가_b", 1) };
    fixture.store.quarantine(&[failure("2024/가%a", 1), unread, failure("x", 1)]).await.unwrap();
    fixture.commit(&[fixture.object("x", &[("2024-06-10", "m1", "PC", 1, 1)])]).await.unwrap();
    let keys = async |filter: FailedFilter| {
        let mut keys: Vec<_> = fixture.store.failed(&filter).await.unwrap().into_iter().map(|row| row.key).collect();
        keys.sort();
        keys
    };
    let all = FailedFilter::default();
    assert_eq!(keys(all.clone()).await.len(), 3);
    assert_eq!(keys(FailedFilter { limit: Some(2), ..all.clone() }).await.len(), 2);
    assert_eq!(keys(FailedFilter { state: Some(FailedState::Resolved), ..all.clone() }).await, ["x"]);
    assert_eq!(keys(FailedFilter { kind: Some(FailureKind::Missing), ..all.clone() }).await, ["2024/가_b"]);
    let prefix = |prefix: &str| FailedFilter { prefix: Some(prefix.into()), ..all.clone() };
    assert_eq!(keys(prefix("2024/가")).await.len(), 2);
    assert_eq!(keys(prefix("2024/가%")).await, ["2024/가%a"]);
    let row = fixture.store.failed(&prefix("x")).await.unwrap().remove(0);
    assert_eq!((row.state, row.kind.as_str(), row.attempts), (FailedState::Resolved, "gzip", 1));
    assert_eq!((row.generation.as_str(), row.message_body.as_str()), ("etag-x-1", "{}"));
    assert!(row.first_seen <= row.last_seen && row.resolved_at.unwrap() >= row.last_seen);
    let age = jiff::Timestamp::now().duration_since(row.last_seen);
    assert!(age.as_secs().abs() < 60, "{age:?}");
}
