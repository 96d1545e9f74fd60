use super::world;
use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::receiver::{Answer, Receiver};
use crate::world::Kind;

#[tokio::test]
async fn storm_of_failures_is_few_messages_that_account_for_each() {
    let receiver = Receiver::start(Answer::Ok);
    let corpus = Corpus::make(&["--seed", "71", "--files", "2", "--rows", "20"]);
    let mut world = world("notices-storm", Kind::MariaDb, &corpus, &receiver).await;
    world.set("XC2__SOURCE__FETCH_ATTEMPTS_MAX", "1");
    world.set("XC2__NOTICE__FAILURES_EVERY", "10s");
    let keys: Vec<String> = (0..500).map(|number| format!("missing/{number:05}.gz")).collect();
    world.cloud.send(&s3_event(&world.cloud.bucket, &keys.iter().map(String::as_str).collect::<Vec<_>>())).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    let settled = async || {
        let waiting = "SELECT COUNT(*) FROM notice WHERE kind = 'failures' AND state <> 'delivered'";
        world.database.number(waiting).await == 0
    };
    world.until(&mut daemon, "all messages", settled).await;
    assert!(daemon.stop().await.success());

    let notices = receiver.notices();
    let failures: Vec<_> = notices.iter().filter(|notice| notice["kind"] == "failures").collect();
    let objects: i64 = failures.iter().map(|notice| notice["objects"].as_i64().unwrap()).sum();
    assert_eq!(objects as u64, world.database.number("SELECT COUNT(*) FROM failed_object").await);
    assert_eq!(world.database.number("SELECT COUNT(*) FROM failed_object WHERE notice_id IS NULL").await, 0);
    let missing: Vec<_> = failures.iter().filter(|notice| notice["failure_kind"] == "missing").collect();
    assert_eq!(missing.iter().map(|notice| notice["objects"].as_i64().unwrap()).sum::<i64>(), 500);
    // One for each ten seconds that the machine took.
    assert!(missing.len() <= 10, "{} messages", missing.len());
    assert_eq!(
        missing[0]["examples"].as_array().unwrap().len(),
        5.min(missing[0]["objects"].as_u64().unwrap()) as usize
    );
    let text = receiver.requests().iter().map(|request| request.body["text"].to_string()).collect::<String>();
    assert!(text.contains("failed list --kind missing") && text.contains("→ "), "{text}");
}
