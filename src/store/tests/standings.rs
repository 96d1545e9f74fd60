use rstest::rstest;

use super::fixture::{Backend, Fixture, failure};
use crate::model::{FailedObject, FailureKind, ObjectId};
use crate::store::{Standing, Store};

const LINE: [(&str, &str, &str, i64, i64); 1] = [("2024-06-10", "m1", "PC", 1, 1)];

async fn standing(fixture: &Fixture, key: &str, etag: Option<&str>) -> Standing {
    fixture.store.standings(&[(ObjectId::of("logs", key), etag)]).await.unwrap().remove(0)
}

#[rstest]
#[tokio::test]
async fn books_tell_counted_failed_overwritten_and_unknown_apart(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    fixture.commit(&[fixture.object("counted", &LINE)]).await.unwrap();
    let missing = FailedObject { generation: None, kind: FailureKind::Missing, ..failure("missing", 1) };
    let again = FailedObject { kind: FailureKind::Overwritten, ..failure("counted", 2) };
    fixture.store.quarantine(&[failure("broken", 1), missing, again, failure("dropped", 1)]).await.unwrap();
    fixture.run("UPDATE failed_object SET state = 'discarded' WHERE object_key = 'dropped'").await;

    let overwritten = Standing::Overwritten { counted_etag: Some("etag-counted-1".into()) };
    for (key, etag, expected) in [
        ("counted", Some("etag-counted-1"), Standing::Counted),
        ("counted", None, Standing::Counted),
        ("counted", Some("etag-counted-2"), Standing::Failed),
        ("counted", Some("etag-counted-3"), overwritten),
        ("broken", Some("etag-broken-1"), Standing::Failed),
        ("broken", None, Standing::Failed),
        ("broken", Some("etag-broken-2"), Standing::Unknown), // uploaded again, and not announced
        ("missing", Some("etag-missing-1"), Standing::Failed),
        ("dropped", Some("etag-dropped-1"), Standing::Failed),
        ("nobody", Some("etag-nobody-1"), Standing::Unknown),
    ] {
        assert_eq!(standing(&fixture, key, etag).await, expected, "{key} {etag:?}");
    }
    // Counted after all: the listing is settled and says nothing any more.
    fixture.commit(&[fixture.object("broken", &LINE)]).await.unwrap();
    assert_eq!(standing(&fixture, "broken", Some("etag-broken-1")).await, Standing::Counted);
}

#[rstest]
#[tokio::test]
async fn more_objects_than_one_statement_takes_are_answered_in_order(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    let keys: Vec<String> = (0..1300).map(|number| format!("{number}")).collect();
    let counted: Vec<_> = keys.iter().step_by(100).map(|key| fixture.object(key, &LINE)).collect();
    fixture.commit(&counted).await.unwrap();
    let objects: Vec<_> = keys.iter().map(|key| (ObjectId::of("logs", key), None)).collect();
    let standings = fixture.store.standings(&objects).await.unwrap();
    let found: Vec<usize> = (0..keys.len()).filter(|&at| standings[at] == Standing::Counted).collect();
    assert_eq!(found, (0..1300).step_by(100).collect::<Vec<_>>());
    assert!(fixture.store.standings(&[]).await.unwrap().is_empty());
}
