//! Whether a bucket's new objects reach the queue: the two sides of it, the bucket's configuration and the queue's policy.

use super::super::announcements::{Announcements, Overlap, overlap};
use super::super::arn::QueueArn;
use super::super::aws::CallFailure;
use super::super::command;
use super::super::notification::Filter;
use super::super::policy::{Permit, QueuePolicy, Sender};
use super::{Surroundings, access_denied};
use crate::model::health::{HealthFact, HealthLevel, bad, good};
use crate::model::shell::quoted;

const NOTIFICATION: &str = "notification";
const POLICY: &str = "queue's policy";

/// What the bucket announces; `None` when it could not be read, for which there is a line already.
pub(super) async fn notification(
    around: &Surroundings<'_>,
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    queue: &QueueArn,
    policy: Option<&QueuePolicy>,
) -> (Option<Announcements>, HealthFact) {
    match s3.get_bucket_notification_configuration().bucket(bucket).send().await {
        Ok(answer) => {
            let found = Announcements::of(&answer);
            let to_paste = command::put_notification(&queue.region, bucket, &found.with_queue(queue, around.filter));
            let fact = judged(&found, bucket, queue, around.filter, policy).fixed_by(to_paste);
            (Some(found), fact)
        }
        Err(error) => {
            let failure = CallFailure::of(&error);
            let detail = format!("what s3://{bucket} announces can't be read: {}", failure.problem);
            let fact = match access_denied(&failure) {
                true => bad(
                    NOTIFICATION,
                    HealthLevel::Warning,
                    detail,
                    "grant s3:GetBucketNotification; `run` does without it",
                )
                .fixed_by(around.grant(bucket)),
                false => bad(
                    NOTIFICATION,
                    HealthLevel::Failure,
                    detail,
                    "correct the bucket's name, or restore the way to S3",
                ),
            };
            (None, fact)
        }
    }
}

fn judged(
    found: &Announcements,
    bucket: &str,
    queue: &QueueArn,
    counted: &Filter,
    policy: Option<&QueuePolicy>,
) -> HealthFact {
    use HealthLevel::{Failure, Warning};
    let arn = queue.to_string();
    let ours: Vec<_> = found.queues.iter().filter(|entry| entry.to == arn).collect();
    // What tells of no new object is for others.
    let creating = ours.iter().filter(|entry| entry.ways_missed().len() < 4);
    let nearest = creating.clone().map(|entry| overlap(&entry.filter, counted)).min();
    let Some(nearest) = nearest else {
        return by_another_way(found, bucket, policy, !ours.is_empty());
    };
    let near: Vec<_> = creating.filter(|entry| overlap(&entry.filter, counted) == nearest).collect();
    let shown = near.iter().map(|entry| pattern(&entry.filter)).collect::<Vec<_>>().join(" and ");
    let said = format!("s3://{bucket} announces new objects {shown} to this queue");
    let missed: Vec<&str> = near[0]
        .ways_missed()
        .into_iter()
        .filter(|way| near.iter().all(|entry| entry.ways_missed().contains(way)))
        .collect();
    match nearest {
        Overlap::None => {
            let detail = format!("{said}, and [source] counts only those {}", pattern(counted));
            bad(
                NOTIFICATION,
                Failure,
                detail,
                "make the two filters agree: nothing of what is announced would be counted",
            )
        }
        Overlap::Some => {
            let detail = format!("{said}, which are not all of those {} that [source] asks for", pattern(counted));
            bad(NOTIFICATION, Warning, detail, "widen the bucket's filter, or narrow [source] prefix and suffix")
        }
        Overlap::All if !missed.is_empty() => {
            let detail = format!("{said}, but not those of s3:ObjectCreated:{}", missed.join(", "));
            let advice = "announce s3:ObjectCreated:*: large uploads are CompleteMultipartUpload, copies are Copy";
            bad(NOTIFICATION, Warning, detail, advice)
        }
        Overlap::All => good(NOTIFICATION, said),
    }
}

/// No entry of the bucket's names the queue: what it announces may come through a topic or a rule, which is not seen here.
fn by_another_way(found: &Announcements, bucket: &str, policy: Option<&QueuePolicy>, names_queue: bool) -> HealthFact {
    let may = |sender| policy.is_none_or(|policy| policy.lets(sender));
    let told_topics = found.topics.iter().filter(|topic| topic.ways_missed().len() < 4).map(|topic| topic.to.as_str());
    let topics: Vec<&str> = told_topics.collect();
    if let (Some(topic), true) = (topics.first(), may(Sender::Sns)) {
        let detail = format!("s3://{bucket} announces to the topic {topic}, which the queue's policy lets send");
        return bad(
            NOTIFICATION,
            HealthLevel::Warning,
            detail,
            "see that the queue is subscribed (aws sns list-subscriptions-by-topic), or let the bucket announce to the queue itself",
        );
    }
    if found.event_bridge && may(Sender::EventBridge) {
        let detail = format!("s3://{bucket} announces to EventBridge, which the queue's policy lets send");
        return bad(
            NOTIFICATION,
            HealthLevel::Warning,
            detail,
            "see that a rule for Object Created of this bucket has the queue as its target (aws events \
             list-rule-names-by-target), or let the bucket announce to the queue itself",
        );
    }
    let elsewhere = match (names_queue, topics.first(), found.event_bridge) {
        (true, ..) => "; what it announces to this queue is not the creation of objects".to_owned(),
        (_, Some(topic), _) => {
            format!("; it announces to the topic {topic}, which the queue's policy does not let send")
        }
        (.., true) => "; it announces to EventBridge, which the queue's policy does not let send".to_owned(),
        _ => String::new(),
    };
    bad(
        NOTIFICATION,
        HealthLevel::Failure,
        format!("s3://{bucket} does not announce new objects to this queue{elsewhere}"),
        "add it to the bucket's notification configuration: without it nothing comes",
    )
}

fn pattern(filter: &Filter) -> String {
    match (filter.prefix.as_str(), filter.suffix.as_str()) {
        ("", "") => "of any key".to_owned(),
        (prefix, suffix) => format!("{prefix}*{suffix}"),
    }
}

/// Whether S3 is let send to the queue, for these buckets and for no stranger's.
pub(super) fn policy(url: &str, queue: &QueueArn, policy: &QueuePolicy, buckets: &[String]) -> HealthFact {
    use HealthLevel::{Failure, Warning};
    let mended = policy.with_buckets(queue, buckets).to_string();
    let fix = match buckets {
        [] => format!(
            "xc2-analyzer print queue-policy --attributes --bucket \"$BUCKET\" | {} file:///dev/stdin",
            command::aws(Some(&queue.region), &["sqs", "set-queue-attributes", "--queue-url", url, "--attributes"])
        ),
        _ => command::set_queue_attributes(Some(&queue.region), url, &[("Policy", &mended)]),
    };
    let unheard: Vec<String> = buckets
        .iter()
        .filter(|bucket| !policy.permits.iter().any(|permit| permit.covers_bucket(&queue.bucket(bucket))))
        .map(|bucket| format!("s3://{bucket}"))
        .collect();
    let by_others: Vec<&str> = [(Sender::Sns, "SNS"), (Sender::EventBridge, "EventBridge"), (Sender::Other, "others")]
        .into_iter()
        .filter(|(sender, _)| policy.permits.iter().any(|permit| permit.sender == *sender))
        .map(|(_, name)| name)
        .collect();
    match () {
        () if policy.is_denied => {
            bad(POLICY, Failure, "it denies sending to everybody, S3 included", "take that statement out of it")
        }
        () if policy.permits.is_empty() => bad(
            POLICY,
            Failure,
            "it lets nobody send: not S3, no topic, no rule",
            "let S3 send, for these buckets only; S3 refuses to be configured before that",
        )
        .fixed_by(fix),
        () if !unheard.is_empty() && by_others.is_empty() => bad(
            POLICY,
            Failure,
            format!("it does not let S3 send for {}", unheard.join(", ")),
            "name the bucket in the policy's aws:SourceArn",
        )
        .fixed_by(fix),
        () if policy.permits.iter().any(Permit::is_open_to_strangers) => bad(
            POLICY,
            Warning,
            "it lets buckets of any account send",
            "demand aws:SourceAccount beside aws:SourceArn: a stranger's bucket could send messages, and so could who takes the \
             name of a bucket that was deleted",
        )
        .fixed_by(fix),
        () if buckets.is_empty() || !unheard.is_empty() => good(POLICY, format!("it lets {} send", by_others.join(" and "))),
        () => {
            let names: Vec<String> = buckets.iter().map(|bucket| quoted(&format!("s3://{bucket}"))).collect();
            good(POLICY, format!("it lets S3 send for {}, and for no stranger's bucket", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests;
