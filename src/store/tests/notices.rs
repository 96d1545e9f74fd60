use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;

use super::fixture::{Backend, Fixture, failure, plan};
use crate::model::{FailedObject, FailureKind, ReportDate};
use crate::store::{
    Channel, DayNotice, FailureFacts, NoticeState, Quarantined, SqlStore, Store, StoreSettings, Written,
};

/// So long that a test never goes from one window into the next, unless it says so.
const EVERY: Duration = Duration::from_secs(24 * 3600);
const LEASE: Duration = Duration::from_secs(60);

/// The fixture's database, as a daemon that tells people opens it.
async fn telling(fixture: &Fixture) -> SqlStore {
    let settings = StoreSettings { failures_every: Some(EVERY), ..fixture.settings.clone() };
    SqlStore::open(&settings, fixture.plan.clone()).await.unwrap()
}

fn after_window() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(25)
}

fn of_kind(key: &str, kind: FailureKind) -> FailedObject {
    FailedObject { kind, ..failure(key, 1) }
}

fn facts_as_text(facts: &FailureFacts) -> String {
    let keys: Vec<&str> = facts.examples.iter().map(|(_, key, _)| key.as_str()).collect();
    format!("{} {} open {}: {}", facts.kind, facts.objects, facts.open, keys.join(" "))
}

/// Bodies of everything that can be claimed, in order.
async fn claimable(store: &SqlStore, now: Timestamp) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some(notice) = store.claim_notice(now, LEASE).await.unwrap() {
        bodies.push(notice.body);
    }
    bodies.sort();
    bodies
}

#[rstest]
#[tokio::test]
async fn failures_of_a_kind_are_one_notice_and_each_is_in_one(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    let store = telling(&fixture).await;
    for batch in 0..20 {
        let batch: Vec<_> = (0..10).map(|at| of_kind(&format!("{batch:02}-{at}"), FailureKind::Gzip)).collect();
        store.quarantine(&batch).await.unwrap();
    }
    store.quarantine(&[of_kind("p", FailureKind::Pickle)]).await.unwrap();
    assert!(!store.seal_failures(Timestamp::now(), &facts_as_text).await.unwrap(), "their time is not over");
    assert_eq!(claimable(&store, Timestamp::now()).await, Vec::<String>::new());

    let later = after_window();
    while store.seal_failures(later, &facts_as_text).await.unwrap() {}
    let told = ["gzip 200 open 200: 00-0 00-1 00-2 00-3 00-4", "pickle 1 open 1: p"];
    assert_eq!(claimable(&store, later).await, told);
    let by_notice = "SELECT COUNT(*) FROM failed_object f JOIN notice n ON n.notice_id = f.notice_id";
    assert_eq!(fixture.number(by_notice).await, 201);
    assert_eq!(fixture.number("SELECT SUM(objects) FROM notice").await, 201);
}

#[rstest]
#[tokio::test]
async fn what_was_told_is_not_told_again_until_it_was_settled(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    let store = telling(&fixture).await;
    store.quarantine(&[failure("a", 1), failure("b", 1)]).await.unwrap();
    let later = after_window();
    assert!(store.seal_failures(later, &facts_as_text).await.unwrap());
    // Sealed ahead of its time, as by another clock: what comes in the same window is told in a second part.
    store.quarantine(&[failure("a", 1), failure("c", 1)]).await.unwrap();
    while store.seal_failures(later, &facts_as_text).await.unwrap() {}
    assert_eq!(claimable(&store, later).await, ["gzip 1 open 1: c", "gzip 2 open 2: a b"]);

    store.quarantine(&[failure("a", 1)]).await.unwrap();
    while store.seal_failures(later, &facts_as_text).await.unwrap() {}
    assert_eq!(fixture.number("SELECT COUNT(*) FROM notice").await, 2, "nothing new: no notice is left");

    fixture.run("UPDATE failed_object SET state = 'resolved' WHERE object_key = 'a'").await;
    fixture.run("UPDATE failed_object SET state = 'discarded' WHERE object_key = 'b'").await;
    store.quarantine(&[failure("a", 1), failure("b", 1)]).await.unwrap();
    while store.seal_failures(later, &facts_as_text).await.unwrap() {}
    assert_eq!(claimable(&store, later + SignedDuration::from_secs(1)).await, ["gzip 1 open 1: a"]);
}

#[rstest]
#[tokio::test]
async fn listing_that_is_undone_takes_its_notice_along(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = telling(&fixture).await;
    fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)])]).await.unwrap();
    assert_eq!(store.quarantine(&[failure("a", 1)]).await.unwrap(), [Quarantined::AlreadyCounted]);
    assert_eq!(fixture.number("SELECT COUNT(*) FROM notice").await, 0);
    fixture.store.quarantine(&[failure("b", 1)]).await.unwrap();
    assert_eq!(fixture.number("SELECT COUNT(*) FROM notice").await, 0, "nobody is to be told: no row is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_over_two_replicas_loses_no_failure() {
    let fixture = Fixture::new(Backend::MariaDb).await;
    let settings = StoreSettings { failures_every: Some(Duration::from_secs(1)), ..fixture.settings.clone() };
    let replicas = [
        SqlStore::open(&settings, fixture.plan.clone()).await.unwrap(),
        SqlStore::open(&settings, fixture.plan.clone()).await.unwrap(),
    ];
    let listing = |replica: usize| {
        let store = &replicas[replica];
        async move {
            for round in 0..40 {
                let kinds = [FailureKind::Gzip, FailureKind::Pickle, FailureKind::Missing];
                let failed = kinds.map(|kind| of_kind(&format!("{replica}-{round}-{kind}"), kind));
                while store.quarantine(&failed).await.is_err() {}
                // Seals what is over while others still add.
                let _ = store.seal_failures(Timestamp::now(), &facts_as_text).await;
            }
        }
    };
    tokio::join!(listing(0), listing(1));
    let later = Timestamp::now() + SignedDuration::from_secs(5);
    while replicas[0].seal_failures(later, &facts_as_text).await.unwrap() {}
    assert_eq!(fixture.number("SELECT COUNT(*) FROM failed_object WHERE notice_id IS NULL").await, 0);
    assert_eq!(fixture.number("SELECT SUM(objects) FROM notice").await, 240);
    let wrong = "SELECT COUNT(*) FROM notice n WHERE n.state <> 'open' OR n.objects <> \
                 (SELECT COUNT(*) FROM failed_object f WHERE f.notice_id = n.notice_id)";
    assert_eq!(fixture.number(wrong).await, 0);
}

fn date(text: &str) -> ReportDate {
    text.parse().unwrap()
}

async fn quiet(store: &SqlStore, since: Timestamp) -> Vec<String> {
    let days = store.quiet_days(date("2024-06-01"), date("2024-06-30"), since).await.unwrap();
    days.iter().map(|day| format!("{} after {}", day.date, day.revision)).collect()
}

async fn notice(store: &SqlStore, day: &str, revision: i64) -> DayNotice {
    let facts = store.day_facts(date(day)).await.unwrap().unwrap();
    DayNotice {
        id: format!("day-{day}-{revision}"),
        date: facts.date,
        revision,
        objects: facts.totals.objects,
        last_commit: facts.last_commit,
        body: format!("revision {revision}"),
    }
}

#[rstest]
#[tokio::test]
async fn day_is_told_once_and_again_when_it_has_changed(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let store = &fixture.store;
    fixture
        .commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 30, 5), ("2024-06-11", "m1", "PC", 1, 1)])])
        .await
        .unwrap();
    let (now, hour_ago) = (Timestamp::now(), Timestamp::now() - SignedDuration::from_hours(1));
    assert_eq!(quiet(store, hour_ago).await, Vec::<String>::new(), "the last commit is no hour ago");
    assert_eq!(quiet(store, now).await, ["2024-06-10 after 0", "2024-06-11 after 0"]);

    let first = notice(store, "2024-06-10", 1).await;
    let (one, other) = (store.write_day_notice(&first, now).await, store.write_day_notice(&first, now).await);
    assert_eq!((one.unwrap(), other.unwrap()), (Written::Now, Written::Before));
    assert_eq!(quiet(store, now).await, ["2024-06-11 after 0"]);

    fixture.commit(&[fixture.object("late", &[("2024-06-10", "m1", "PC", 2, 7)])]).await.unwrap();
    let now = Timestamp::now();
    assert_eq!(quiet(store, now).await, ["2024-06-10 after 1", "2024-06-11 after 0"]);
    let stale = DayNotice { id: "day-2024-06-10-2".into(), revision: 2, ..first };
    assert_eq!(store.write_day_notice(&stale, now).await.unwrap(), Written::NotQuiet, "its totals are old");
    let second = notice(store, "2024-06-10", 2).await;
    assert_eq!(store.write_day_notice(&second, now).await.unwrap(), Written::Now);
    assert_eq!(quiet(store, now).await, ["2024-06-11 after 0"]);
    assert_eq!(claimable(store, now).await, ["revision 1", "revision 2"]);
}

#[rstest]
#[tokio::test]
async fn facts_of_a_day_are_its_control_totals(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let mut one = fixture.object("a", &[("2024-06-10", "m1", "PC", 30, 1_500_000), ("2024-06-11", "m1", "PC", 1, 1)]);
    (one.rows, one.rejected_rows) = (5, 3);
    fixture.commit(&[one, fixture.object("b", &[("2024-06-11", "m2", "PC", 10, 500_000)])]).await.unwrap();
    fixture
        .store
        .quarantine(&[failure("dt=2024/06/11/x.gz", 1), failure("20240611", 1), failure("c", 1)])
        .await
        .unwrap();
    let facts = fixture.store.day_facts(date("2024-06-11")).await.unwrap().unwrap();
    assert_eq!((facts.totals.objects, facts.totals.rows, facts.rejected_rows), (2, 2, 3));
    assert_eq!(facts.totals.sums, [11, 1, 500_001]);
    assert_eq!(facts.day_before.unwrap().sums, [30, 3, 1_500_000]);
    assert_eq!((facts.failed_open, facts.failed_open_of_date), (3, 2));
    // Of the report by organization; the fixture's is 7, so nothing is unmapped.
    assert_eq!(facts.unmapped, Some((2, 0)));
    fixture.run("UPDATE report_day_total SET org = 0 WHERE report_date = '2024-06-11'").await;
    assert_eq!(fixture.store.day_facts(date("2024-06-11")).await.unwrap().unwrap().unmapped, Some((2, 500_001)));
    assert_eq!(fixture.store.day_facts(date("2024-06-10")).await.unwrap().unwrap().day_before, None);
    assert_eq!(fixture.store.day_facts(date("2024-06-12")).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn claim_is_one_replicas_until_its_lease_is_over(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 30, 5)])]).await.unwrap();
    let (one, other) = (&fixture.store, fixture.reopened(plan()).await);
    let now = Timestamp::now();
    one.write_day_notice(&notice(one, "2024-06-10", 1).await, now).await.unwrap();
    let claimed = one.claim_notice(now, LEASE).await.unwrap().unwrap();
    assert_eq!((claimed.id.as_str(), claimed.attempts), ("day-2024-06-10-1", 1));
    assert_eq!(other.claim_notice(now, LEASE).await.unwrap(), None);
    // It died. What had arrived on one channel is not sent there again.
    one.notice_arrived(&claimed.id, Channel::Webhook, now).await.unwrap();
    let later = now + SignedDuration::from_secs(61);
    let again = other.claim_notice(later, LEASE).await.unwrap().unwrap();
    assert_eq!(
        (again.id.as_str(), again.attempts, again.on_webhook, again.on_topic),
        ("day-2024-06-10-1", 2, true, false)
    );
    // The first one was only slow: what it says is no longer asked.
    one.notice_failed(&claimed, None, "too late").await.unwrap();
    assert_eq!(one.notices(Some(NoticeState::Open), 10).await.unwrap().len(), 1);
    other.notice_failed(&again, Some(later), "HTTP 500").await.unwrap();
    let listed = one.notices(None, 10).await.unwrap().remove(0);
    assert_eq!((listed.state, listed.last_error.as_deref()), (NoticeState::Open, Some("HTTP 500")));
    let third = other.claim_notice(later, LEASE).await.unwrap().unwrap();
    other.notice_delivered(&third.id, later).await.unwrap();
    let listed = one.notices(None, 10).await.unwrap().remove(0);
    assert_eq!((listed.state, listed.attempts, listed.last_error), (NoticeState::Delivered, 3, None));
    assert_eq!(other.claim_notice(later + SignedDuration::from_hours(1), LEASE).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn old_notices_are_forgotten_but_the_last_of_each_day(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    let store = telling(&fixture).await;
    let now = Timestamp::now();
    for (revision, key) in [(1, "a"), (2, "b"), (3, "c")] {
        fixture.commit(&[fixture.object(key, &[("2024-06-10", "m1", "PC", 30, 5)])]).await.unwrap();
        store.write_day_notice(&notice(&store, "2024-06-10", revision).await, now).await.unwrap();
    }
    store.quarantine(&[failure("x", 1)]).await.unwrap();
    store.seal_failures(after_window(), &facts_as_text).await.unwrap();
    let later = after_window();
    assert_eq!(store.forget_notices(later).await.unwrap(), 0, "none is delivered");
    while let Some(claimed) = store.claim_notice(later, LEASE).await.unwrap() {
        store.notice_delivered(&claimed.id, later).await.unwrap();
    }
    assert_eq!(store.forget_notices(now - SignedDuration::from_hours(1)).await.unwrap(), 0, "none is old");
    assert_eq!(store.forget_notices(later).await.unwrap(), 3);
    assert_eq!(fixture.rows("SELECT notice_id FROM notice").await, ["day-2024-06-10-3"]);
    assert_eq!(quiet(&store, later).await, Vec::<String>::new(), "and so the day is not told again");
}
