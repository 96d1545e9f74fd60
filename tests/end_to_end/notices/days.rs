use std::collections::BTreeMap;

use serde_json::Value;

use super::{last_of_days, objects_by_date, objects_told, world};
use crate::corpus::Corpus;
use crate::receiver::{Answer, Receiver};
use crate::world::Kind;

const MEASURES: [&str; 8] =
    ["requests", "responses", "passbacks", "impressions", "clicks", "revenue", "agency_revenue", "media_revenue"];

/// Counts as they are, money in micros.
fn integer(value: &Value) -> i128 {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.split_once('.') {
        Some((units, micros)) => format!("{units}{micros:0<6}").parse().unwrap(),
        None => text.parse().unwrap(),
    }
}

/// By date and measure, what the independent computation says.
fn totals(corpus: &Corpus) -> BTreeMap<String, BTreeMap<&'static str, i128>> {
    let mut totals = BTreeMap::<String, BTreeMap<&str, i128>>::new();
    for object in corpus.counted().values() {
        for (date, day) in object["days"].as_object().unwrap() {
            let sums = totals.entry(date.clone()).or_default();
            MEASURES.iter().for_each(|name| *sums.entry(name).or_default() += integer(&day[*name]));
        }
    }
    totals
}

async fn days_are_told_with_the_right_totals(name: &str, kind: Kind) {
    let receiver = Receiver::start(Answer::Ok);
    let corpus = Corpus::make(&["--seed", "61", "--files", "10", "--rows", "40"]);
    let world = world(name, kind, &corpus, &receiver).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    let expected = objects_by_date(&corpus);
    world.until(&mut daemon, "all days", async || objects_told(&receiver.notices()) == expected).await;

    let (told, totals) = (last_of_days(&receiver.notices()), totals(&corpus));
    assert_eq!(told.keys().collect::<Vec<_>>(), totals.keys().collect::<Vec<_>>());
    let mut before: Option<&BTreeMap<&str, i128>> = None;
    for (date, day) in &told {
        for (measure, sum) in &totals[date] {
            let total = &day["totals"][*measure];
            assert_eq!(integer(&total["total"]), *sum, "{measure} of {date}");
            if let Some(before) = before {
                assert_eq!(integer(&total["day_before"]), before[measure], "{measure} before {date}");
                assert_eq!(integer(&total["change"]), sum - before[measure], "change of {measure}");
            }
        }
        // The corpus has two days, one after the other.
        before = Some(&totals[date]);
    }

    // One more object, after all was said.
    let late = Corpus::make(&["--seed", "62", "--files", "1", "--rows", "20", "--no-broken"]);
    let (key, body) = late.objects.iter().next().unwrap();
    let dates: Vec<String> = late.counted()[key]["days"].as_object().unwrap().keys().cloned().collect();
    world.cloud.upload(&format!("late-{key}"), body).await;
    let mut expected = expected;
    dates.iter().for_each(|date| *expected.entry(date.clone()).or_default() += 1);
    world.until(&mut daemon, "the correction", async || objects_told(&receiver.notices()) == expected).await;
    let corrected = last_of_days(&receiver.notices());
    for date in &dates {
        let (first, second) = (&told[date], &corrected[date]);
        assert_eq!(second["revision"].as_i64().unwrap(), first["revision"].as_i64().unwrap() + 1);
        assert_eq!(second["since"]["objects"], 1);
        let day = &late.counted()[key]["days"][date];
        for measure in MEASURES {
            assert_eq!(integer(&second["since"]["totals"][measure]), integer(&day[measure]), "{measure} since");
        }
    }
    assert!(daemon.stop().await.success());
    let ids: Vec<String> = receiver.requests().iter().map(|request| request.id.clone()).collect();
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "nothing is told twice: {ids:?}");
    world.must(&["audit"]);
}

#[tokio::test]
async fn days_are_told_with_the_right_totals_from_mariadb() {
    days_are_told_with_the_right_totals("notices-days-mariadb", Kind::MariaDb).await;
}

#[tokio::test]
async fn days_are_told_with_the_right_totals_from_sqlite() {
    days_are_told_with_the_right_totals("notices-days-sqlite", Kind::Sqlite).await;
}

#[tokio::test]
async fn two_daemons_tell_each_thing_once() {
    let receiver = Receiver::start(Answer::Ok);
    let corpus = Corpus::make(&["--seed", "63", "--files", "10", "--rows", "20"]);
    let world = world("notices-replicas", Kind::MariaDb, &corpus, &receiver).await;
    let other = tempfile::tempdir().unwrap();
    let (mut one, two) = (world.daemon(), world.daemon_in(other.path()));
    world.upload(&corpus).await;
    let expected = objects_by_date(&corpus);
    world.until(&mut one, "all days", async || objects_told(&receiver.notices()) == expected).await;
    world.until_queue_is_empty(&mut one).await;
    let all_delivered = async || {
        world.database.number("SELECT COUNT(*) FROM notice WHERE state <> 'delivered'").await == 0
            && world.database.number("SELECT COUNT(*) FROM failed_object WHERE notice_id IS NULL").await == 0
    };
    world.until(&mut one, "an empty outbox", all_delivered).await;
    assert!(one.stop().await.success());
    assert!(two.stop().await.success());
    let mut ids: Vec<String> = receiver.requests().iter().map(|request| request.id.clone()).collect();
    let notices = world.database.number("SELECT COUNT(*) FROM notice").await;
    assert_eq!(ids.len() as u64, notices, "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len() as u64, notices, "one was told twice");
}
