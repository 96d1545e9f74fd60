use rstest::rstest;

use super::fixture::{Backend, Fixture, failure};
use crate::model::{Dimension, FailedObject, FailureKind};
use crate::store::{FailedFilter, FailedState, ReportQuery, ReportRow, Store, StoreError, ratio};

pub fn query(report: &str, dimensions: &[Dimension]) -> ReportQuery {
    ReportQuery {
        report: report.into(),
        from: "2024-06-01".parse().unwrap(),
        to: "2024-06-30".parse().unwrap(),
        dimensions: dimensions.to_vec(),
        filters: Vec::new(),
        limit: None,
    }
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
    let filter = |dimension, values: &[&str]| (dimension, values.iter().map(|&value| value.into()).collect());
    let filtered = ReportQuery {
        filters: vec![filter(Dimension::MediaKey, &["m1", "x"]), filter(Dimension::Device, &["PC"])],
        ..by_key.clone()
    };
    assert_eq!(read(&filtered).await, ["m1 [30, 3, 10000000]"]);
    let nothing = ReportQuery { filters: vec![filter(Dimension::MediaKey, &[])], ..by_key };
    assert_eq!(read(&nothing).await, Vec::<String>::new());
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
#[case(ReportQuery { filters: vec![(Dimension::OrganizationId, vec!["seven".into()])], ..query("day_total", &[]) }, "organization_id \"seven\" is not an integer")]
#[tokio::test]
async fn query_that_can_not_be_is_refused_by_name(#[case] query: ReportQuery, #[case] problem: &str) {
    let fixture = Fixture::new(Backend::Sqlite).await;
    let error = fixture.store.report(&query).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains(problem), "{error}");
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
