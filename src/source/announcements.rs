//! A bucket's notification configuration: which new objects it announces, and where. Pure but for its reading.

use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
use aws_sdk_s3::types::{Event, NotificationConfigurationFilter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::arn::QueueArn;
use super::notification::Filter;

/// The entry that is ours.
const ID: &str = "xc2-analyzer";
const CREATED: &str = "s3:ObjectCreated:";
/// S3 User Guide, "Supported event types": every way in which an object comes to be.
const WAYS: [&str; 4] = ["Put", "Post", "Copy", "CompleteMultipartUpload"];

/// In a rule of a filter every other character is percent-encoded (S3 User Guide, "Configuring event notifications
/// using object key name filtering").
const AS_IS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// One entry: what of the bucket is told to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// A queue's, a topic's or a function's ARN.
    pub to: String,
    pub events: Vec<String>,
    /// Of keys, decoded.
    pub filter: Filter,
}

impl Announcement {
    /// The ways of creating an object that it does not tell of; all when it tells of none.
    pub fn ways_missed(&self) -> Vec<&'static str> {
        let told = |way: &&str| {
            self.events
                .iter()
                .any(|event| matches!(event.strip_prefix(CREATED), Some(told) if told == "*" || told == *way))
        };
        WAYS.into_iter().filter(|way| !told(way)).collect()
    }
}

/// Where a bucket's announcements go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    pub queues: Vec<Announcement>,
    pub topics: Vec<Announcement>,
    /// All of the bucket's events go to EventBridge, whose rules send some of them on.
    pub event_bridge: bool,
    /// As the AWS command line takes it back.
    pub written: Map<String, Value>,
}

impl Announcements {
    pub fn of(answer: &GetBucketNotificationConfigurationOutput) -> Announcements {
        let queues = answer
            .queue_configurations()
            .iter()
            .map(|entry| (entry.id(), announcement(entry.queue_arn(), entry.events(), entry.filter())));
        let topics = answer
            .topic_configurations()
            .iter()
            .map(|entry| (entry.id(), announcement(entry.topic_arn(), entry.events(), entry.filter())));
        let functions = answer
            .lambda_function_configurations()
            .iter()
            .map(|entry| (entry.id(), announcement(entry.lambda_function_arn(), entry.events(), entry.filter())));
        let mut found =
            Announcements { event_bridge: answer.event_bridge_configuration().is_some(), ..Self::default() };
        let mut write = |list: &str, arn: &str, entries: Vec<(Option<&str>, Announcement)>| {
            if !entries.is_empty() {
                let entries: Vec<Value> = entries.iter().map(|(id, entry)| entry_json(*id, arn, entry)).collect();
                found.written.insert(list.to_owned(), entries.into());
            }
            entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>()
        };
        let queues = write("QueueConfigurations", "QueueArn", queues.collect());
        let topics = write("TopicConfigurations", "TopicArn", topics.collect());
        write("LambdaFunctionConfigurations", "LambdaFunctionArn", functions.collect());
        if found.event_bridge {
            found.written.insert("EventBridgeConfiguration".into(), json!({}));
        }
        Announcements { queues, topics, ..found }
    }

    /// It as it should be: what goes to our queue is replaced by one entry, all else stays.
    pub fn with_queue(&self, queue: &QueueArn, filter: &Filter) -> Value {
        let mut written = self.written.clone();
        let arn = queue.to_string();
        let entries = written.entry("QueueConfigurations").or_insert_with(|| json!([]));
        if let Value::Array(entries) = entries {
            entries.retain(|entry| entry["QueueArn"] != arn.as_str());
            let events = vec![format!("{CREATED}*")];
            let ours = Announcement { to: arn, events, filter: filter.clone() };
            entries.push(entry_json(Some(ID), "QueueArn", &ours));
        }
        Value::Object(written)
    }
}

/// The configuration of a bucket that tells nobody but this queue.
pub fn notification(queue: &QueueArn, filter: &Filter) -> Value {
    Announcements::default().with_queue(queue, filter)
}

fn announcement(to: &str, events: &[Event], filter: Option<&NotificationConfigurationFilter>) -> Announcement {
    let rules = filter.and_then(|filter| filter.key()).map(|key| key.filter_rules()).unwrap_or_default();
    let value = |name: &str| {
        // S3 gives the names back with a capital letter.
        let of_name = |rule: &&aws_sdk_s3::types::FilterRule| {
            rule.name().is_some_and(|found| found.as_str().eq_ignore_ascii_case(name))
        };
        let value = rules.iter().find(of_name).and_then(|rule| rule.value()).unwrap_or_default();
        percent_decode_str(value).decode_utf8_lossy().into_owned()
    };
    Announcement {
        to: to.to_owned(),
        events: events.iter().map(|event| event.as_str().to_owned()).collect(),
        filter: Filter { prefix: value("prefix"), suffix: value("suffix"), aside: None },
    }
}

fn entry_json(id: Option<&str>, arn_name: &str, entry: &Announcement) -> Value {
    let mut written = Map::new();
    if let Some(id) = id {
        written.insert("Id".into(), id.into());
    }
    written.insert(arn_name.into(), entry.to.as_str().into());
    written.insert("Events".into(), entry.events.clone().into());
    let rule = |name: &str, value: &str| {
        let value = utf8_percent_encode(value, AS_IS).to_string();
        (!value.is_empty()).then(|| json!({"Name": name, "Value": value}))
    };
    let rules: Vec<Value> =
        [rule("prefix", &entry.filter.prefix), rule("suffix", &entry.filter.suffix)].into_iter().flatten().collect();
    if !rules.is_empty() {
        written.insert("Filter".into(), json!({"Key": {"FilterRules": rules}}));
    }
    Value::Object(written)
}

/// How the keys that a bucket announces and those that we count lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overlap {
    /// Everything that we would count is announced.
    All,
    /// Some of what we would count is not announced.
    Some,
    /// Nothing of what is announced would be counted.
    None,
}

pub fn overlap(announced: &Filter, counted: &Filter) -> Overlap {
    let (announced_end, counted_end) = (reversed(&announced.suffix), reversed(&counted.suffix));
    begin_overlap(&announced.prefix, &counted.prefix).max(begin_overlap(&announced_end, &counted_end))
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

fn begin_overlap(announced: &str, counted: &str) -> Overlap {
    match () {
        () if counted.starts_with(announced) => Overlap::All,
        // Nobody said that all of the bucket is to be counted: an empty filter takes what comes.
        () if counted.is_empty() => Overlap::All,
        () if announced.starts_with(counted) => Overlap::Some,
        () => Overlap::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn filter(prefix: &str, suffix: &str) -> Filter {
        Filter { prefix: prefix.into(), suffix: suffix.into(), aside: None }
    }

    fn queue() -> QueueArn {
        QueueArn::parse("arn:aws:sqs:us-east-1:123456789012:ad-logs").unwrap()
    }

    #[rstest]
    #[case("", "", "", "", Overlap::All)]
    #[case("", "", "logs/", ".gz", Overlap::All)]
    #[case("logs/", "", "logs/2024/", "", Overlap::All)]
    #[case("logs/", ".gz", "", "", Overlap::All)]
    #[case("logs/2024/", "", "logs/", "", Overlap::Some)]
    #[case("", ".pkl.gz", "", ".gz", Overlap::Some)]
    #[case("logs/", ".gz", "logs/", ".pkl", Overlap::None)]
    #[case("ads/", "", "logs/", "", Overlap::None)]
    fn announced_keys_are_compared_with_counted_ones(
        #[case] prefix: &str,
        #[case] suffix: &str,
        #[case] our_prefix: &str,
        #[case] our_suffix: &str,
        #[case] expected: Overlap,
    ) {
        assert_eq!(overlap(&filter(prefix, suffix), &filter(our_prefix, our_suffix)), expected);
    }

    #[rstest]
    #[case(&["s3:ObjectCreated:*"], &[])]
    #[case(&["s3:ObjectCreated:Put", "s3:ObjectRemoved:*"], &["Post", "Copy", "CompleteMultipartUpload"])]
    #[case(&["s3:ObjectRemoved:*"], &WAYS)]
    fn event_that_is_not_announced_is_named(#[case] events: &[&str], #[case] missed: &[&str]) {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        assert_eq!(Announcement { events, ..Announcement::default() }.ways_missed(), missed);
    }

    #[test]
    fn rule_is_written_percent_encoded() {
        let written = notification(&queue(), &filter("logs/광고 1/", ".pkl+gz"));
        let rules = &written["QueueConfigurations"][0]["Filter"]["Key"]["FilterRules"];
        assert_eq!(rules[0], json!({"Name": "prefix", "Value": "logs/%EA%B4%91%EA%B3%A0%201/"}));
        assert_eq!(rules[1], json!({"Name": "suffix", "Value": ".pkl%2Bgz"}));
    }

    #[test]
    fn nothing_of_others_is_lost_when_the_queue_is_added() {
        use aws_sdk_s3::types::{
            EventBridgeConfiguration, LambdaFunctionConfiguration, QueueConfiguration, TopicConfiguration,
        };
        let removed = || Event::S3ObjectRemoved;
        let answer = GetBucketNotificationConfigurationOutput::builder()
            .queue_configurations(QueueConfiguration::builder().queue_arn("arn:x:q").events(removed()).build().unwrap())
            .queue_configurations(
                QueueConfiguration::builder().queue_arn(queue().to_string()).events(removed()).build().unwrap(),
            )
            .topic_configurations(TopicConfiguration::builder().topic_arn("arn:x:t").events(removed()).build().unwrap())
            .lambda_function_configurations(
                LambdaFunctionConfiguration::builder()
                    .lambda_function_arn("arn:x:f")
                    .events(removed())
                    .build()
                    .unwrap(),
            )
            .event_bridge_configuration(EventBridgeConfiguration::builder().build())
            .build();
        let written = Announcements::of(&answer).with_queue(&queue(), &Filter::default());
        let event = json!(["s3:ObjectRemoved:*"]);
        let expected = json!({
            "QueueConfigurations": [
                {"QueueArn": "arn:x:q", "Events": event},
                {"Id": ID, "QueueArn": queue().to_string(), "Events": ["s3:ObjectCreated:*"]},
            ],
            "TopicConfigurations": [{"TopicArn": "arn:x:t", "Events": event}],
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": "arn:x:f", "Events": event}],
            "EventBridgeConfiguration": {},
        });
        assert_eq!(written, expected);
    }
}
