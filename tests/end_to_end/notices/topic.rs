use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::{last_of_days, objects_by_date, world};
use crate::corpus::Corpus;
use crate::receiver::{Answer, Receiver};
use crate::world::{Kind, World};

/// A topic, and a queue that gets what is published there.
async fn subscribed_topic(world: &World, name: &str) -> (String, String) {
    let arn = world.cloud.sns.create_topic().name(name).send().await.unwrap().topic_arn.unwrap();
    let queue = world.cloud.queue(name, &[]).await;
    let endpoint = world.cloud.attribute_of(&queue, QueueAttributeName::QueueArn).await;
    let subscribe = world.cloud.sns.subscribe().topic_arn(&arn).protocol("sqs").endpoint(endpoint);
    subscribe.send().await.unwrap();
    (arn, queue)
}

/// Envelopes of SNS that have arrived since the last time.
async fn arrived(world: &World, queue: &str) -> Vec<Value> {
    let receive = world.cloud.sqs.receive_message().queue_url(queue).max_number_of_messages(10);
    let mut envelopes = Vec::new();
    for message in receive.send().await.unwrap().messages.unwrap_or_default() {
        envelopes.push(serde_json::from_str(message.body.as_deref().unwrap()).unwrap());
        let handle = message.receipt_handle.unwrap();
        world.cloud.sqs.delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
    }
    envelopes
}

#[tokio::test]
async fn topic_and_webhook_get_the_same_notices_and_one_does_not_wait_for_the_other() {
    let receiver = Receiver::start(Answer::Status(503));
    let corpus = Corpus::make(&["--seed", "72", "--files", "3", "--rows", "20", "--no-broken"]);
    let mut world = world("notices-topic", Kind::Sqlite, &corpus, &receiver).await;
    let (arn, queue) = subscribed_topic(&world, "notices-topic-receiver").await;
    world.set("XC2__NOTICE__TOPIC_ARN", &arn);
    world.set("XC2__NOTICE__LANGUAGE", "ko");
    // The webhook is down: the command says so of each.
    let tried = String::from_utf8(world.command(&["notices", "send", "--test"]).stdout).unwrap();
    assert!(tried.contains("webhook: did not arrive: HTTP 503") && tried.contains("topic: arrived (published as "));
    assert_eq!(arrived(&world, &queue).await.len(), 1);

    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    let envelopes = tokio::sync::Mutex::new(Vec::new());
    let expected = objects_by_date(&corpus);
    let told = async || {
        let mut envelopes = envelopes.lock().await;
        envelopes.extend(arrived(&world, &queue).await);
        let notices: Vec<Value> = envelopes
            .iter()
            .map(|envelope: &Value| serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap())
            .collect();
        super::objects_told(&notices) == expected
    };
    world.until(&mut daemon, "all days on the topic", told).await;
    receiver.answer(Answer::Ok);
    let delivered = "SELECT COUNT(*) FROM notice WHERE state <> 'delivered'";
    world.until(&mut daemon, "the webhook too", async || world.database.number(delivered).await == 0).await;
    assert!(daemon.stop().await.success());

    let mut envelopes = envelopes.into_inner();
    envelopes.extend(arrived(&world, &queue).await);
    let mut notices: Vec<Value> = Vec::new();
    for envelope in &envelopes {
        let notice: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
        assert_eq!(envelope["MessageAttributes"]["notice_id"]["Value"], notice["id"]);
        assert_eq!(envelope["MessageAttributes"]["kind"]["Value"], "day");
        assert_eq!(envelope["Subject"], notice["subject"]);
        assert!(notice["subject"].as_str().unwrap().is_ascii());
        assert!(notice["text"].as_str().unwrap().contains("노출수"), "{notice}");
        notices.push(notice);
    }
    let ids: std::collections::BTreeSet<&str> = notices.iter().map(|notice| notice["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), notices.len(), "what had arrived on the topic was not sent there again");
    for (date, day) in last_of_days(&notices) {
        let mut posted = last_of_days(&receiver.notices())[&date].clone();
        posted["text"] = day["text"].clone();
        posted["subject"] = day["subject"].clone();
        assert_eq!(posted, day);
    }
}
