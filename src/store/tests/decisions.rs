use rstest::rstest;

use super::fixture::{Backend, Fixture, failure, generation};
use crate::model::{Copied, FailedObject, FailureKind, ObjectId};
use crate::store::session::Begin;
use crate::store::{
    Counted, Decision, FailedFilter, FailedKey, FailedState, FailedTotal, Quarantined, Store, StoreError, Which,
};

const LISTED: &str = "SELECT object_key, generation, state, COALESCE(resolved_by, '-'), COALESCE(note, '-') \
                      FROM failed_object ORDER BY 1, 2";

fn listing(key: &str, content: u8) -> FailedKey {
    FailedKey { id: ObjectId::of("logs", key), generation: generation(key, content).etag.unwrap() }
}

fn discard(reason: &str) -> Decision {
    Decision::Discard { reason: reason.into() }
}

#[rstest]
#[tokio::test]
async fn discarded_content_is_neither_counted_nor_listed_anew(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    fixture.store.quarantine(&[failure("a", 1), failure("b", 1)]).await.unwrap();
    let kim = fixture.reopened(super::fixture::plan()).await.on_behalf_of("kim");
    assert_eq!(kim.decide(&[listing("a", 1), listing("x", 1)], &discard("a test")).await.unwrap(), [true, false]);
    let discarded = ["a|etag-a-1|discarded|kim|a test", "b|etag-b-1|open|-|-"];
    assert_eq!(fixture.rows(LISTED).await, discarded);

    // It is broken again, then it can be read: by another program, or as a message that was held back.
    let again = [failure("a", 1), failure("b", 1)];
    use Quarantined::{Discarded, Listed};
    assert_eq!(fixture.store.quarantine(&again).await.unwrap(), [Discarded, Listed]);
    let objects = ["c", "a", "b"].map(|key| fixture.object(key, &[("2024-06-10", "m1", "PC", 10, 5)]));
    assert_eq!(fixture.commit(&objects).await.unwrap(), [Counted::Now, Counted::Discarded, Counted::Now]);
    assert_eq!(fixture.commit(&objects[1..2]).await.unwrap(), [Counted::Discarded]);
    let expected = ["a|etag-a-1|discarded|kim|a test", "b|etag-b-1|resolved|daemon|-"];
    assert_eq!(fixture.rows(LISTED).await, expected);
    assert_eq!(fixture.rows("SELECT SUM(impressions) FROM report_media").await, ["20"], "two objects");
    assert_eq!(fixture.store.audit(None, None).await.unwrap().findings, []);
}

#[rstest]
#[tokio::test]
async fn other_content_of_a_discarded_object_is_counted(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let unread = FailedObject { generation: None, kind: FailureKind::Missing, ..failure("b", 1) };
    fixture.store.quarantine(&[failure("a", 2), unread]).await.unwrap();
    let of_b = FailedKey { id: ObjectId::of("logs", "b"), generation: String::new() };
    fixture.store.decide(&[listing("a", 2), of_b], &discard("gone")).await.unwrap();
    let objects = ["a", "b"].map(|key| fixture.object(key, &[("2024-06-10", "m1", "PC", 10, 5)]));
    assert_eq!(fixture.commit(&objects).await.unwrap(), [Counted::Now, Counted::Now]);
    // The discard of `a` names another content, which is not in the reports; that of `b` named none.
    let expected = ["a|etag-a-2|discarded|daemon|gone", "b||resolved|daemon|gone"];
    assert_eq!(fixture.rows(LISTED).await, expected);
    assert_eq!(fixture.store.audit(None, None).await.unwrap().findings, []);
}

#[rstest]
#[tokio::test]
async fn discard_can_be_taken_back(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.store.quarantine(&[failure("a", 1)]).await.unwrap();
    let a = [listing("a", 1)];
    assert_eq!(fixture.store.decide(&a, &Decision::Reopen).await.unwrap(), [false], "it is open");
    assert_eq!(fixture.store.decide(&a, &discard("too hasty")).await.unwrap(), [true]);
    assert_eq!(fixture.store.decide(&a, &discard("again")).await.unwrap(), [false], "it is discarded");
    assert_eq!(fixture.store.decide(&a, &Decision::Reopen).await.unwrap(), [true]);
    let row = fixture.store.failed(&FailedFilter::default()).await.unwrap().remove(0);
    assert_eq!((row.state, row.resolved_at, row.resolved_by), (FailedState::Open, None, None));
    let note = row.note.unwrap();
    assert!(note.contains("by daemon; discarded ") && note.ends_with("too hasty"), "{note}");
    let object = fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)]);
    assert_eq!(fixture.commit(&[object]).await.unwrap(), [Counted::Now]);
    assert_eq!(fixture.store.decide(&a, &Decision::Reopen).await.unwrap(), [false], "it is counted");
}

#[rstest]
#[tokio::test]
async fn decisions_are_bounded_and_keep_what_was_said_before(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    fixture.store.quarantine(&[failure("a", 1)]).await.unwrap();
    let who = fixture.reopened(super::fixture::plan()).await.on_behalf_of(&"김".repeat(300));
    let a = [listing("a", 1)];
    who.decide(&a, &Decision::Retried { note: "as another".into() }).await.unwrap();
    let row = fixture.store.failed(&FailedFilter::default()).await.unwrap().remove(0);
    assert_eq!((row.state, row.attempts, row.note.as_deref()), (FailedState::Open, 2, Some("as another")));
    assert!(row.last_seen > row.first_seen);
    who.decide(&a, &discard(&"가".repeat(5000))).await.unwrap();
    let row = fixture.store.failed(&FailedFilter::default()).await.unwrap().remove(0);
    assert_eq!((row.resolved_by.unwrap().chars().count(), row.note.unwrap().chars().count()), (200, 1000));
}

#[rstest]
#[tokio::test]
async fn copy_is_remembered_though_a_later_one_fails(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let copied = |copy| FailedObject { copy, ..failure("a", 1) };
    let copies = "SELECT COALESCE(copied_to, '-'), COALESCE(copy_problem, '-') FROM failed_object";
    let steps = [
        (Copied::Failed { problem: "no answer".into() }, "-|no answer"),
        (Copied::To("s3://kept/a".into()), "s3://kept/a|-"),
        (Copied::Failed { problem: "denied".into() }, "s3://kept/a|denied"),
        (Copied::Not, "s3://kept/a|-"),
    ];
    for (copy, expected) in steps {
        fixture.store.quarantine(&[copied(copy)]).await.unwrap();
        assert_eq!(fixture.rows(copies).await, [expected]);
    }
}

#[rstest]
#[tokio::test]
async fn listings_are_found_by_id_time_and_bucket_and_totalled(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    let missing = FailedObject { kind: FailureKind::Missing, ..failure("m%", 1) };
    fixture.store.quarantine(&[failure("a", 1), failure("a", 2), missing]).await.unwrap();
    fixture.run("UPDATE failed_object SET last_seen = '2024-06-10 00:00:00.000000' WHERE kind = 'missing'").await;
    fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)])]).await.unwrap();
    let count = async |filter: FailedFilter| fixture.store.failed(&filter).await.unwrap().len();
    let all = FailedFilter::default();
    let which = |which| FailedFilter { which: Some(which), ..FailedFilter::default() };
    let id = ObjectId::of("logs", "a");
    assert_eq!(count(which(Which::Ids(vec![id]))).await, 2);
    assert_eq!(count(which(Which::Ids(vec![]))).await, 0);
    assert_eq!(count(which(Which::Begins(id.to_string()[..10].into()))).await, 2);
    assert_eq!(count(which(Which::Begins("m%".into()))).await, 1);
    assert_eq!(count(FailedFilter { bucket: Some("other".into()), ..all.clone() }).await, 0);
    let midnight = "2024-06-10T00:00:00Z".parse().unwrap();
    assert_eq!(count(FailedFilter { since: Some(midnight), ..all.clone() }).await, 3);
    assert_eq!(count(FailedFilter { before: Some(midnight), ..all.clone() }).await, 0);
    let next = "2024-06-10T00:00:00.000001Z".parse().unwrap();
    assert_eq!(count(FailedFilter { before: Some(next), ..all.clone() }).await, 1);
    let oldest = FailedFilter { oldest_first: true, limit: Some(1), ..all.clone() };
    assert_eq!(fixture.store.failed(&oldest).await.unwrap()[0].key, "m%");
    let total = |kind: &str, state, listings| FailedTotal { kind: kind.into(), state, listings };
    let expected = [total("gzip", FailedState::Resolved, 2), total("missing", FailedState::Open, 1)];
    assert_eq!(fixture.store.failed_totals(&oldest).await.unwrap(), expected, "the limit does not matter");
    let counted = fixture.store.counted(&[id, ObjectId::of("logs", "m%")]).await.unwrap();
    assert_eq!((counted.len(), counted[&id].etag.as_deref(), counted[&id].rows), (1, Some("etag-a-1"), 1));
}

/// The commit comes while a discard of the same content is written but not committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_waits_for_a_discard_in_the_making_and_counts_nothing() {
    let fixture = std::sync::Arc::new(Fixture::new(Backend::MariaDb).await);
    fixture.store.quarantine(&[failure("a", 1)]).await.unwrap();
    let mut discarding = fixture.store.begin(Begin::Write).await.unwrap();
    let by_hand = "UPDATE failed_object SET state = 'discarded' WHERE object_key = 'a'";
    discarding.execute(by_hand, Vec::new()).await.unwrap();
    let committing = tokio::spawn({
        let fixture = fixture.clone();
        async move { fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)])]).await }
    });
    // Of this test's database: the server is shared.
    let waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND \
                   trx_mysql_thread_id IN (SELECT id FROM information_schema.processlist WHERE db = DATABASE())";
    while fixture.number(waiting).await == 0 {
        assert!(!committing.is_finished(), "the commit waits");
        // It can only be asked, and InnoDB renews the answer only when nobody has asked for 0.1 s.
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    fixture.store.finish(discarding, Ok(())).await.unwrap();
    assert_eq!(committing.await.unwrap().unwrap(), [Counted::Discarded]);
    assert_eq!(fixture.number("SELECT COUNT(*) FROM processed_object").await, 0);
}

/// Whoever comes first, an object is counted or discarded, never both and never neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discard_and_commit_at_once_agree() {
    let fixture = Fixture::new(Backend::MariaDb).await;
    for number in 0..20 {
        let key = format!("k{number}");
        fixture.store.quarantine(&[failure(&key, 1)]).await.unwrap();
        let (object, listing) = (fixture.object(&key, &[("2024-06-10", "m1", "PC", 1, 1)]), [listing(&key, 1)]);
        let counting = async {
            loop {
                match fixture.commit(std::slice::from_ref(&object)).await {
                    Err(StoreError::Conflict { .. }) => continue,
                    outcome => break outcome.unwrap().remove(0),
                }
            }
        };
        let discarding = async { fixture.store.decide(&listing, &discard("a race")).await.unwrap()[0] };
        let (counted, discarded) = tokio::join!(counting, discarding);
        assert_eq!(discarded, counted == Counted::Discarded, "{key}: {counted:?}");
    }
    assert_eq!(fixture.store.audit(None, None).await.unwrap().findings, []);
}
