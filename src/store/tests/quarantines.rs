use rstest::rstest;

use super::fixture::{Backend, Fixture, failure, generation};
use crate::model::{FailedObject, FailureKind, ObjectId};
use crate::store::session::{Begin, Value};
use crate::store::{Counted, Quarantined, Store, StoreError};

const LISTED: &str =
    "SELECT object_key, generation, kind, attempts, state, resolved_at IS NULL FROM failed_object ORDER BY 1, 2";

#[rstest]
#[tokio::test]
async fn failed_object_is_listed_and_listed_again(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let first = [failure("a", 1), failure("b", 1)];
    assert_eq!(fixture.store.quarantine(&first).await.unwrap(), [Quarantined::Listed; 2]);
    let again = FailedObject { attempts: 3, kind: FailureKind::Pickle, ..failure("a", 1) };
    fixture.store.quarantine(&[again, failure("a", 2)]).await.unwrap();
    assert_eq!(
        fixture.rows(LISTED).await,
        ["a|etag-a-1|pickle|3|open|1", "a|etag-a-2|gzip|1|open|1", "b|etag-b-1|gzip|1|open|1"]
    );
    assert_eq!(fixture.number("SELECT COUNT(*) FROM failed_object WHERE first_seen <= last_seen").await, 3);
}

#[rstest]
#[tokio::test]
async fn counting_an_object_resolves_its_listings(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.store.quarantine(&[failure("a", 1), failure("a", 2), failure("b", 1)]).await.unwrap();
    let object = fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)]);
    assert_eq!(fixture.commit(&[object]).await.unwrap(), [Counted::Now]);
    let expected = ["a|etag-a-1|gzip|1|resolved|0", "a|etag-a-2|gzip|1|resolved|0", "b|etag-b-1|gzip|1|open|1"];
    assert_eq!(fixture.rows(LISTED).await, expected);
}

#[rstest]
#[tokio::test]
async fn counted_object_is_not_listed(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.store.quarantine(&[failure("a", 1)]).await.unwrap();
    fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)])]).await.unwrap();
    let failed = [
        failure("a", 1),
        FailedObject { kind: FailureKind::Missing, generation: None, ..failure("a", 1) },
        FailedObject { kind: FailureKind::Replaced, generation: Some(generation("a", 9)), ..failure("a", 1) },
        FailedObject { kind: FailureKind::Overwritten, ..failure("a", 2) },
        FailedObject { kind: FailureKind::Denied, generation: Some(generation("a", 8)), ..failure("a", 1) },
        failure("b", 1),
    ];
    let outcomes = fixture.store.quarantine(&failed).await.unwrap();
    use Quarantined::{AlreadyCounted, Listed};
    assert_eq!(outcomes, [AlreadyCounted, AlreadyCounted, AlreadyCounted, Listed, Listed, Listed]);
    let expected = [
        "a|etag-a-1|gzip|1|resolved|0",
        "a|etag-a-2|overwritten|1|open|1",
        "a|etag-a-8|denied|1|open|1",
        "b|etag-b-1|gzip|1|open|1",
    ];
    assert_eq!(fixture.rows(LISTED).await, expected, "the resolved listing is untouched");
}

#[rstest]
#[tokio::test]
async fn discarded_listing_stays_discarded(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.store.quarantine(&[failure("a", 1), failure("b", 1)]).await.unwrap();
    let now = "'2024-06-10 00:00:00.000000'";
    fixture
        .run(&format!("UPDATE failed_object SET state = 'discarded', resolved_at = {now} WHERE object_key = 'a'"))
        .await;
    fixture
        .run(&format!("UPDATE failed_object SET state = 'resolved', resolved_at = {now} WHERE object_key = 'b'"))
        .await;
    fixture.store.quarantine(&[failure("a", 1), failure("b", 1)]).await.unwrap();
    assert_eq!(fixture.rows(LISTED).await, ["a|etag-a-1|gzip|1|discarded|0", "b|etag-b-1|gzip|1|open|1"]);
}

#[rstest]
#[tokio::test]
async fn long_names_reasons_and_messages_are_cut(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let long = FailedObject {
        reason: "가".repeat(5000),
        message_body: "나".repeat(100_000),
        ..failure(&"다".repeat(4000), 1)
    };
    fixture.store.quarantine(&[long]).await.unwrap();
    let chars = if backend == Backend::Sqlite { "LENGTH" } else { "CHAR_LENGTH" };
    let lengths =
        format!("SELECT {chars}(object_key), {chars}(reason), {chars}(message_body) < 65536 FROM failed_object");
    assert_eq!(fixture.rows(&lengths).await, ["1024|2000|1"]);
}

/// The commit comes while a listing of the same object is written but not committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_waits_for_a_listing_in_the_making_and_resolves_it() {
    let fixture = std::sync::Arc::new(Fixture::new(Backend::MariaDb).await);
    let mut listing = fixture.store.begin(Begin::Write).await.unwrap();
    let listed = crate::store::quarantine::list(&mut listing, &[failure("a", 1)], "2024-06-10 00:00:00", None).await;
    assert_eq!(listed.unwrap(), [Quarantined::Listed]);
    let committing = tokio::spawn({
        let fixture = fixture.clone();
        async move { fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)])]).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!committing.is_finished(), "the commit waits");
    fixture.store.finish(listing, Ok(())).await.unwrap();
    assert_eq!(committing.await.unwrap().unwrap(), [Counted::Now]);
    assert_eq!(fixture.rows(LISTED).await, ["a|etag-a-1|gzip|1|resolved|0"]);
}

/// The listing comes while a commit of the same object has written its ledger row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listing_waits_for_a_commit_in_the_making_and_is_undone() {
    let fixture = std::sync::Arc::new(Fixture::new(Backend::MariaDb).await);
    let mut commit = fixture.store.begin(Begin::Write).await.unwrap();
    let id = Value::Bytes(ObjectId::of("logs", "a").0.to_vec());
    let insert =
        "INSERT INTO processed_object VALUES (?, 'logs', 'a', NULL, 'etag-a-1', 1, ?, 0, 0, 'b', '2024-06-10')";
    commit.execute(insert, vec![id, Value::Bytes(vec![1; 32])]).await.unwrap();
    let listing = tokio::spawn({
        let fixture = fixture.clone();
        async move { fixture.store.quarantine(&[failure("a", 1)]).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!listing.is_finished(), "the listing waits");
    fixture.store.finish(commit, Ok(())).await.unwrap();
    assert_eq!(listing.await.unwrap().unwrap(), [Quarantined::AlreadyCounted]);
    assert_eq!(fixture.rows(LISTED).await, Vec::<String>::new());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_is_never_both_counted_and_listed_open(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = std::sync::Arc::new(Fixture::new(backend).await);
    for round in 0..20 {
        let key = format!("object-{round}");
        let (counting, listing) = tokio::join!(
            async {
                loop {
                    let object = fixture.object(&key, &[("2024-06-10", "m1", "PC", 1, 1)]);
                    match fixture.commit(&[object]).await {
                        Err(StoreError::Conflict { .. }) => continue,
                        outcome => break outcome.unwrap(),
                    }
                }
            },
            async {
                loop {
                    match fixture.store.quarantine(&[failure(&key, 1)]).await {
                        Err(StoreError::Conflict { .. }) => continue,
                        outcome => break outcome.unwrap(),
                    }
                }
            }
        );
        assert_eq!((counting.len(), listing.len()), (1, 1));
    }
    assert_eq!(fixture.number("SELECT COUNT(*) FROM processed_object").await, 20);
    assert_eq!(fixture.number("SELECT COUNT(*) FROM failed_object WHERE state = 'open'").await, 0);
}
