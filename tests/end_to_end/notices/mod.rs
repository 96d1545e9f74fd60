//! What people are told: from the outbox to a webhook and to a topic, through errors, crashes and replicas.

mod clock;
mod days;
mod delivery;
mod failures;
mod topic;

use serde_json::Value;

use crate::corpus::Corpus;
use crate::receiver::Receiver;
use crate::world::{Kind, World};

/// A world that tells `receiver`, and is impatient. The corpus is of 2024.
async fn world(name: &str, kind: Kind, corpus: &Corpus, receiver: &Receiver) -> World {
    let mut world = World::new(name, kind, corpus).await;
    world.set("XC2__NOTICE__WEBHOOK", &receiver.url());
    world.set("XC2__NOTICE__MAX_AGE", "100000h");
    world.set("XC2__NOTICE__QUIET", "2s");
    world.set("XC2__NOTICE__FAILURES_EVERY", "2s");
    world.set("XC2__NOTICE__TIMEOUT", "1s");
    world
}

/// The last notice of each day.
fn last_of_days(notices: &[Value]) -> std::collections::BTreeMap<String, Value> {
    let days = notices.iter().filter(|notice| notice["kind"] == "day");
    let mut last = std::collections::BTreeMap::<String, Value>::new();
    for day in days {
        let known = last.entry(day["report_date"].as_str().unwrap().to_owned()).or_default();
        if known["revision"].as_i64() < day["revision"].as_i64() {
            *known = day.clone();
        }
    }
    last
}

/// Objects that each day's notices must come to.
fn objects_by_date(corpus: &Corpus) -> std::collections::BTreeMap<String, i64> {
    let mut objects = std::collections::BTreeMap::new();
    for object in corpus.counted().values() {
        for date in object["days"].as_object().unwrap().keys() {
            *objects.entry(date.clone()).or_default() += 1;
        }
    }
    objects
}

fn objects_told(notices: &[Value]) -> std::collections::BTreeMap<String, i64> {
    last_of_days(notices).into_iter().map(|(date, day)| (date, day["objects"].as_i64().unwrap())).collect()
}
