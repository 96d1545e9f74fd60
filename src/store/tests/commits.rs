use std::sync::Arc;

use rstest::rstest;

use super::fixture::{Backend, Fixture, generation};
use crate::model::Disposition;
use crate::store::{Counted, Store, StoreError};

const MEDIA: &str =
    "SELECT report_date, media_key, device, impressions, clicks, revenue FROM report_media ORDER BY 1, 2, 3";

#[rstest]
#[tokio::test]
async fn object_is_counted_once_however_often_it_comes(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let object = fixture.object("a", &[("2024-06-10", "m1", "PC", 30, 1_500_000), ("2024-06-11", "m1", "PC", 1, 1)]);
    assert_eq!(fixture.commit(std::slice::from_ref(&object)).await.unwrap(), [Counted::Now]);
    let expected = vec![
        format!("2024-06-10|m1|PC|30|3|{}", fixture.money(1_500_000)),
        format!("2024-06-11|m1|PC|1|0|{}", fixture.money(1)),
    ];
    assert_eq!(fixture.rows(MEDIA).await, expected);
    assert_eq!(fixture.commit(&[object]).await.unwrap(), [Counted::Before]);
    assert_eq!(fixture.rows(MEDIA).await, expected);
    assert_eq!(fixture.number("SELECT COUNT(*) FROM processed_object").await, 1);
    let days = "SELECT report_date, objects, `rows` FROM report_day ORDER BY 1";
    assert_eq!(fixture.rows(days).await, ["2024-06-10|1|1", "2024-06-11|1|1"]);
}

#[rstest]
#[tokio::test]
async fn other_content_under_a_counted_key_is_reported_not_added(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    let mut object = fixture.object("a", &[("2024-06-10", "m1", "PC", 30, 5)]);
    fixture.commit(std::slice::from_ref(&object)).await.unwrap();
    object.generation = generation("a", 2);
    let counted_etag = Some("etag-a-1".to_owned());
    assert_eq!(fixture.commit(&[object]).await.unwrap(), [Counted::Overwritten { counted_etag }]);
    assert_eq!(fixture.number("SELECT SUM(impressions) FROM report_media").await, 30);
}

#[rstest]
#[tokio::test]
async fn one_duplicate_among_three_leaves_the_other_two_counted(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    let objects: Vec<_> = ["a", "b", "c"]
        .iter()
        .zip([1, 10, 100])
        .map(|(key, impressions)| fixture.object(key, &[("2024-06-10", "m1", "PC", impressions, 7)]))
        .collect();
    fixture.commit(&objects[1..2]).await.unwrap();
    let outcome = fixture.commit(&objects).await.unwrap();
    assert_eq!(outcome, [Counted::Now, Counted::Before, Counted::Now]);
    assert_eq!(fixture.rows(MEDIA).await, [format!("2024-06-10|m1|PC|111|11|{}", fixture.money(21))]);
    assert_eq!(fixture.number("SELECT SUM(impressions) FROM processed_object_day").await, 111);
}

#[rstest]
#[tokio::test]
async fn commits_add_up_exactly_over_many_rows(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let keys: Vec<String> = (0..37).map(|media| format!("m{media}")).collect();
    for (name, micros) in [("a", 100_000), ("b", 200_001)] {
        let lines: Vec<_> = keys.iter().map(|key| ("2024-06-10", key.as_str(), "PC", 1, micros)).collect();
        fixture.commit(&[fixture.object(name, &lines)]).await.unwrap();
    }
    assert_eq!(fixture.number("SELECT COUNT(*) FROM report_media").await, 37);
    let distinct = fixture.rows("SELECT DISTINCT impressions, revenue FROM report_media").await;
    assert_eq!(distinct, [format!("2|{}", fixture.money(300_001))]);
    let day = fixture.rows("SELECT org, impressions, income FROM report_day_total").await;
    assert_eq!(day, [format!("7|74|{}", fixture.money(37 * 300_001))]);
}

#[rstest]
#[tokio::test]
async fn keys_that_look_alike_stay_apart(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let keys = ["", " ", "M1", "m1", "m1 ", "é", "e\u{301}", "가", "😀", "m\u{0}"];
    let lines: Vec<_> = keys.iter().map(|key| ("2024-06-10", *key, "PC", 1, 1)).collect();
    fixture.commit(&[fixture.object("a", &lines), fixture.object("b", &lines)]).await.unwrap();
    assert_eq!(fixture.number("SELECT COUNT(*) FROM report_media WHERE impressions = 2").await, keys.len() as i64);
    let mut sorted = keys;
    sorted.sort_unstable();
    assert_eq!(fixture.rows("SELECT media_key FROM report_media ORDER BY media_key").await, sorted);
}

#[rstest]
#[tokio::test]
async fn sum_out_of_range_leaves_nothing_behind(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
    #[values(1, i64::MAX)] more: i64,
) {
    let fixture = Fixture::new(backend).await;
    fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", i64::MAX, 0)])]).await.unwrap();
    let error = fixture.commit(&[fixture.object("b", &[("2024-06-10", "m1", "PC", more, 0)])]).await.unwrap_err();
    assert!(matches!(error, StoreError::OutOfRange { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Quarantine);
    for table in ["processed_object", "processed_object_day", "report_media", "report_day_total", "report_day"] {
        assert_eq!(fixture.number(&format!("SELECT COUNT(*) FROM {table}")).await, 1, "{table}");
    }
    let merged = [
        fixture.object("c", &[("2024-06-11", "m2", "PC", i64::MAX, 0)]),
        fixture.object("d", &[("2024-06-11", "m2", "PC", 1, 0)]),
    ];
    let error = fixture.commit(&merged).await.unwrap_err();
    assert!(matches!(error, StoreError::OutOfRange { .. }), "{error}");
    assert_eq!(fixture.commit(&merged[1..]).await.unwrap().len(), 1, "the store still works");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_that_eight_tasks_commit_at_once_is_counted_once(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Arc::new(Fixture::new(backend).await);
    let tasks: Vec<_> = (0..8)
        .map(|task: i64| {
            let fixture = fixture.clone();
            tokio::spawn(async move {
                let shared = fixture.object("shared", &[("2024-06-10", "m1", "PC", 1000, 3)]);
                let own = fixture.object(&format!("own-{task}"), &[("2024-06-10", "m1", "PC", 1, 3)]);
                loop {
                    match fixture.commit(&[shared.clone(), own.clone()]).await {
                        Err(StoreError::Conflict { .. }) => continue,
                        outcome => return outcome.unwrap(),
                    }
                }
            })
        })
        .collect();
    let mut now = 0;
    for task in tasks {
        let outcome = task.await.unwrap();
        now += usize::from(outcome[0] == Counted::Now);
        assert_eq!(outcome[1], Counted::Now);
    }
    assert_eq!(now, 1);
    assert_eq!(fixture.rows(MEDIA).await, [format!("2024-06-10|m1|PC|1008|100|{}", fixture.money(27))]);
}

#[rstest]
#[tokio::test]
async fn object_without_rows_is_in_the_ledger_alone(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    assert_eq!(fixture.commit(&[fixture.object("empty", &[])]).await.unwrap(), [Counted::Now]);
    assert_eq!(fixture.commit(&[]).await.unwrap(), []);
    assert_eq!(fixture.number("SELECT COUNT(*) FROM processed_object").await, 1);
    assert_eq!(fixture.number("SELECT COUNT(*) FROM report_day").await, 0);
}

#[rstest]
#[tokio::test]
async fn ratios_are_computed_by_the_table(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let lines = [("2024-06-10", "m1", "PC", 30, 10_000_000), ("2024-06-10", "m2", "PC", 0, 0)];
    fixture.commit(&[fixture.object("a", &lines)]).await.unwrap();
    let rows = fixture.rows("SELECT media_key, ctr, cpc, ecpm FROM report_media ORDER BY 1").await;
    assert_eq!(rows[1], "m2|NULL|NULL|NULL");
    match backend {
        Backend::MariaDb => assert_eq!(rows[0], "m1|0.100000|3.333333|333.333333"),
        Backend::Sqlite => assert!(rows[0].starts_with("m1|0.1|3.3333333333333335|333.33333333333"), "{}", rows[0]),
    }
}

#[tokio::test]
async fn transaction_of_a_dropped_commit_is_rolled_back() {
    for backend in [Backend::Sqlite, Backend::MariaDb] {
        let fixture = Fixture::new(backend).await;
        for micros in [0, 200, 500, 1000, 2000, 4000, 8000] {
            let lines = [("2024-06-10", "m1", "PC", 1, 1)];
            let objects: Vec<_> = (0..20).map(|at| fixture.object(&format!("{micros}-{at}"), &lines)).collect();
            let deadline = std::time::Duration::from_micros(micros);
            let _ = tokio::time::timeout(deadline, fixture.store.commit(&objects)).await;
            let outcome = loop {
                match fixture.commit(&objects).await {
                    Err(StoreError::Conflict { .. }) => continue,
                    outcome => break outcome.unwrap(),
                }
            };
            assert!(outcome.iter().all(|counted| *counted == outcome[0]), "all or nothing: {outcome:?}");
        }
        assert_eq!(fixture.number("SELECT SUM(impressions) FROM report_media").await, 140);
        assert_eq!(fixture.number("SELECT objects FROM report_day").await, 140);
    }
}
