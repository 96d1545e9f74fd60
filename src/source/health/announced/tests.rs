use serde_json::json;

use super::super::super::announcements::Announcement;
use super::*;
use rstest::rstest;

const URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/ad-logs";

fn queue() -> QueueArn {
    QueueArn::parse("arn:aws:sqs:us-east-1:123456789012:ad-logs").unwrap()
}

fn filter(prefix: &str, suffix: &str) -> Filter {
    Filter { prefix: prefix.into(), suffix: suffix.into(), aside: None }
}

fn entry(to: &str, event: &str, filter: Filter) -> Announcement {
    Announcement { to: to.to_owned(), events: vec![event.to_owned()], filter }
}

fn to_queue(event: &str, filter: Filter) -> Announcements {
    Announcements { queues: vec![entry(&queue().to_string(), event, filter)], ..Announcements::default() }
}

fn to_topic(topic: &str) -> Announcements {
    Announcements { topics: vec![entry(topic, "s3:ObjectCreated:*", Filter::default())], ..Announcements::default() }
}

fn to_event_bridge() -> Announcements {
    Announcements { event_bridge: true, ..Announcements::default() }
}

fn policy_for(service: &str) -> QueuePolicy {
    let statement = json!({
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": queue().to_string(),
    });
    QueuePolicy::parse(&json!({ "Statement": [statement] }).to_string(), &queue()).unwrap()
}

#[rstest]
#[case(
    to_queue("s3:ObjectCreated:*", filter("", "")),
    HealthLevel::Ok,
    "announces new objects of any key to this queue"
)]
#[case(to_queue("s3:ObjectCreated:*", filter("logs/", ".gz")), HealthLevel::Ok, "logs/*.gz to this queue")]
#[case(to_queue("s3:ObjectCreated:*", filter("logs/2024/", "")), HealthLevel::Warning, "not all of those logs/*")]
#[case(to_queue("s3:ObjectCreated:*", filter("ads/", "")), HealthLevel::Failure, "counts only those logs/*")]
#[case(
    to_queue("s3:ObjectCreated:Put", filter("", "")),
    HealthLevel::Warning,
    "ObjectCreated:Post, Copy, CompleteMultipartUpload"
)]
#[case(to_queue("s3:ObjectRemoved:*", filter("", "")), HealthLevel::Failure, "is not the creation of objects")]
#[case(to_topic("arn:t"), HealthLevel::Failure, "the topic arn:t, which the queue's policy does not let send")]
#[case(to_event_bridge(), HealthLevel::Failure, "EventBridge, which the queue's policy does not let send")]
#[case(Announcements::default(), HealthLevel::Failure, "does not announce new objects to this queue")]
fn notification_of_a_bucket_is_judged(#[case] found: Announcements, #[case] level: HealthLevel, #[case] detail: &str) {
    let fact = judged(&found, "logs", &queue(), &filter("logs/", ""), Some(&policy_for("s3.amazonaws.com")));
    assert!(fact.level == level && fact.detail.contains(detail), "{fact:?}");
}

#[rstest]
#[case(to_topic("arn:t"), "sns.amazonaws.com")]
#[case(to_event_bridge(), "events.amazonaws.com")]
fn way_through_another_service_is_told_and_not_called_a_failure(#[case] found: Announcements, #[case] service: &str) {
    let fact = judged(&found, "logs", &queue(), &Filter::default(), Some(&policy_for(service)));
    assert_eq!(fact.level, HealthLevel::Warning, "{fact:?}");
}

#[test]
fn two_entries_announce_together_what_neither_does_alone() {
    let arn = queue().to_string();
    let events = ["Put", "Post", "Copy", "CompleteMultipartUpload"].map(|way| format!("s3:ObjectCreated:{way}"));
    let queues = events.iter().map(|event| entry(&arn, event, Filter::default())).collect();
    let found = Announcements { queues, ..Announcements::default() };
    assert_eq!(judged(&found, "logs", &queue(), &Filter::default(), None).level, HealthLevel::Ok);
}

#[rstest]
#[case(QueuePolicy::default(), HealthLevel::Failure, "lets nobody send")]
#[case(policy_for("s3.amazonaws.com"), HealthLevel::Warning, "buckets of any account")]
#[case(policy_for("sns.amazonaws.com"), HealthLevel::Ok, "it lets SNS send")]
fn policy_of_a_queue_is_judged(#[case] found: QueuePolicy, #[case] level: HealthLevel, #[case] detail: &str) {
    let fact = policy(URL, &queue(), &found, &["logs".into()]);
    assert!(fact.level == level && fact.detail.contains(detail), "{fact:?}");
    if level != HealthLevel::Ok {
        assert!(fact.fix.contains("arn:aws:s3:::logs") && fact.fix.contains("aws:SourceAccount"), "{fact:?}");
    }
}

#[test]
fn bucket_that_the_policy_does_not_name_is_told() {
    let text = super::super::super::policy::queue_policy(&queue(), &["logs".into()]).to_string();
    let found = QueuePolicy::parse(&text, &queue()).unwrap();
    assert_eq!(policy(URL, &queue(), &found, &["logs".into()]).level, HealthLevel::Ok);
    let fact = policy(URL, &queue(), &found, &["logs".into(), "more".into()]);
    assert!(fact.level == HealthLevel::Failure && fact.detail.ends_with("send for s3://more"), "{fact:?}");
}
