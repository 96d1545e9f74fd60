use rstest::rstest;

use super::fixture::{Backend, Fixture, failure};
use crate::model::HealthLevel;
use crate::store::{Finding, Quarantined, Store};

/// Two objects over two dates, one of them with a rejected row.
async fn filled(backend: Backend) -> Fixture {
    let fixture = Fixture::new(backend).await;
    let mut one = fixture.object("a", &[("2024-06-10", "m1", "PC", 30, 1_500_000), ("2024-06-11", "m1", "PC", 1, 1)]);
    (one.rows, one.rejected_rows) = (3, 1);
    let two = fixture.object("b", &[("2024-06-10", "m2", "PC", 10, 500_000)]);
    fixture.commit(&[one, two]).await.unwrap();
    fixture.store.quarantine(&[failure("c", 1)]).await.unwrap();
    fixture
}

async fn findings(fixture: &Fixture) -> Vec<Finding> {
    fixture.store.audit(None, None).await.unwrap().findings
}

#[rstest]
#[tokio::test]
async fn books_that_are_right_have_no_findings(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = filled(backend).await;
    let audit = fixture.store.audit(None, None).await.unwrap();
    assert_eq!(audit.findings, []);
    let days = audit.days.iter().map(|day| format!("{} {} {} {:?}", day.date, day.objects, day.rows, day.sums));
    assert_eq!(days.collect::<Vec<_>>(), ["2024-06-10 2 2 [40, 4, 2000000]", "2024-06-11 1 1 [1, 0, 1]"]);
    let first = "2024-06-11".parse().unwrap();
    assert_eq!(fixture.store.audit(Some(first), None).await.unwrap().days.len(), 1);
    let empty = Fixture::new(backend).await;
    assert_eq!(empty.store.audit(None, None).await.unwrap(), Default::default());
}

#[rstest]
#[case(
    "UPDATE report_media SET clicks = clicks + 1 WHERE media_key = 'm2'",
    "2024-06-10",
    "report_media: clicks is 5 instead of 4"
)]
#[case("UPDATE report_day_total SET income = 0 WHERE report_date = '2024-06-11'", "2024-06-11", "income")]
#[case(
    "DELETE FROM report_media WHERE report_date = '2024-06-11'",
    "2024-06-11",
    "report_media: impressions is 0 instead of 1 (it has no row of this date)"
)]
#[case(
    "DELETE FROM report_day_total WHERE report_date = '2024-06-10'",
    "2024-06-10",
    "report_day_total: revenue is 0.000000 instead of 2.000000"
)]
#[case(
    "DELETE FROM report_day WHERE report_date = '2024-06-11'",
    "2024-06-11",
    "report_day: 0 objects and 0 rows instead of 1 and 1"
)]
#[case(
    "UPDATE report_day SET objects = 3 WHERE report_date = '2024-06-10'",
    "2024-06-10",
    "report_day: 3 objects and 2 rows instead of 2 and 2"
)]
#[case(
    "DELETE FROM processed_object_day WHERE report_date = '2024-06-11'",
    "2024-06-11",
    "report_media: impressions is 1 instead of 0"
)]
#[case(
    "UPDATE processed_object SET rejected_rows = 0 WHERE object_key = 'a'",
    "",
    "s3://logs/a: 3 rows read, 2 counted, 0 rejected"
)]
#[case(
    "DELETE FROM processed_object_day WHERE report_date < '2024-06-12'",
    "",
    "s3://logs/b: 1 rows read, 0 counted, 0 rejected"
)]
#[case("DELETE FROM processed_object WHERE object_key = 'a'", "", "the ledger has no such object")]
#[tokio::test]
async fn tampered_books_are_found(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
    #[case] tampering: &str,
    #[case] date: &str,
    #[case] detail: &str,
) {
    let fixture = filled(backend).await;
    fixture.run(tampering).await;
    let findings = findings(&fixture).await;
    // The finding names the measure, whatever the table calls its column.
    let detail = detail.replace("income", "report_day_total: revenue is 0.000000 instead of 0.000001");
    let found = |finding: &Finding| {
        finding.detail.contains(&detail) && finding.date.map_or(String::new(), |date| date.to_string()) == date
    };
    assert!(findings.iter().any(found), "{findings:#?}");
}

#[rstest]
#[tokio::test]
async fn object_that_is_counted_and_listed_is_found(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = filled(backend).await;
    assert_eq!(fixture.store.quarantine(&[failure("a", 2)]).await.unwrap(), [Quarantined::Listed]);
    assert_eq!(findings(&fixture).await, [], "another generation may be listed");
    fixture.run("UPDATE failed_object SET etag = 'etag-a-1' WHERE object_key = 'a'").await;
    let findings = findings(&fixture).await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].detail, "s3://logs/a: counted, and listed as failed (gzip)");
}

#[rstest]
#[tokio::test]
async fn range_looks_at_its_own_objects_only(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = filled(backend).await;
    fixture.run("UPDATE processed_object SET rejected_rows = 5").await;
    let day = |text: &str| Some(text.parse().unwrap());
    let audit = fixture.store.audit(day("2024-06-11"), day("2024-06-30")).await.unwrap();
    let details: Vec<_> = audit.findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert_eq!(details, ["s3://logs/a: 3 rows read, 2 counted, 5 rejected"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_beside_a_writer_at_work_finds_nothing(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = std::sync::Arc::new(Fixture::new(backend).await);
    let auditor = fixture.reopened(super::fixture::plan()).await;
    let writer = tokio::spawn({
        let fixture = fixture.clone();
        async move {
            for at in 0..60 {
                let lines = [("2024-06-10", "m1", "PC", 30, 1), ("2024-06-11", "m2", "PC", 1, 1)];
                fixture.commit(&[fixture.object(&format!("object-{at}"), &lines)]).await.unwrap();
            }
        }
    });
    let mut audits = 0;
    while !writer.is_finished() {
        assert_eq!(auditor.audit(None, None).await.unwrap().findings, []);
        audits += 1;
    }
    writer.await.unwrap();
    assert!(audits > 1);
}

#[rstest]
#[tokio::test]
async fn sums_beyond_64_bits_are_audited_and_read(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let max = i64::MAX;
    let lines = [("2024-06-10", "m1", "PC", 10, max), ("2024-06-11", "m1", "PC", max, max)];
    fixture.commit(&[fixture.object("a", &lines)]).await.unwrap();
    assert_eq!(findings(&fixture).await, []);
    let query = super::reading::query("media", &[crate::model::Dimension::MediaKey]);
    let rows = fixture.store.report(&query).await.unwrap();
    assert_eq!(rows[0].sums[0], i128::from(max) + 10);
    assert_eq!(rows[0].sums[2], i128::from(max) * 2);
}

#[rstest]
#[tokio::test]
async fn health_of_a_good_database_is_good(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let facts = fixture.store.health().await.unwrap();
    for fact in &facts {
        let expected = if fact.name == "metadata" { HealthLevel::Warning } else { HealthLevel::Ok };
        assert_eq!(fact.level, expected, "{fact:?}");
        assert_eq!(fact.advice.is_empty(), fact.level == HealthLevel::Ok, "{fact:?}");
    }
    assert!(facts.len() >= 5, "{facts:#?}");
}
