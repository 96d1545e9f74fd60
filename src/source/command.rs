//! Lines of AWS's own command line tool, for people to paste.

use serde_json::{Map, Value};

use super::arn::QueueArn;
use crate::model::shell::quoted;

/// `aws ...`, every word as the shell must see it. The region is always named where it is known: the tool's first version
/// does not read AWS_REGION.
pub fn aws(region: Option<&str>, words: &[&str]) -> String {
    let region = region.map(|region| ["--region", region]).into_iter().flatten();
    let words = ["aws"].into_iter().chain(region).chain(words.iter().copied());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// Sets attributes of a queue. Not in the tool's own short form: values with commas would need quotes within quotes.
pub fn set_queue_attributes(region: Option<&str>, url: &str, attributes: &[(&str, &str)]) -> String {
    let is_plain = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let attributes = match attributes.iter().all(|(_, value)| is_plain(value)) {
        true => attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","),
        false => {
            let pairs = attributes.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
            Value::Object(pairs.collect::<Map<_, _>>()).to_string()
        }
    };
    aws(region, &["sqs", "set-queue-attributes", "--queue-url", url, "--attributes", &attributes])
}

/// Creates a queue that keeps its messages as long as SQS can.
pub fn create_dead_letters(queue: &QueueArn) -> String {
    let retention = format!("MessageRetentionPeriod={RETENTION_MAX_SECONDS}");
    aws(Some(&queue.region), &["sqs", "create-queue", "--queue-name", &queue.name, "--attributes", &retention])
}

/// Replaces the whole notification configuration of a bucket.
pub fn put_notification(region: &str, bucket: &str, configuration: &Value) -> String {
    let configuration = configuration.to_string();
    aws(
        Some(region),
        &[
            "s3api",
            "put-bucket-notification-configuration",
            "--bucket",
            bucket,
            "--notification-configuration",
            &configuration,
        ],
    )
}

/// Shows the policy of a KMS key, given by its id, ARN or alias.
pub fn key_policy(region: Option<&str>, key: &str) -> String {
    // An alias has no policy, and this call takes none.
    let describe = ["kms", "describe-key", "--key-id", key, "--query", "KeyMetadata.KeyId", "--output", "text"];
    let describe = aws(region, &describe);
    let get = aws(region, &["kms", "get-key-policy", "--policy-name", "default", "--output", "text", "--key-id"]);
    format!("{get} \"$({describe})\"")
}

/// 14 days (SQS API Reference, SetQueueAttributes).
pub const RETENTION_MAX_SECONDS: u64 = 14 * 24 * 3600;

/// As a redrive policy is written.
pub fn redrive_policy(dead_letters: &str, receive_count_max: u32) -> String {
    serde_json::json!({"deadLetterTargetArn": dead_letters, "maxReceiveCount": receive_count_max}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/ad-logs";

    #[test]
    fn attributes_are_written_short_when_they_can_be() {
        let command = set_queue_attributes(Some("ap-northeast-2"), URL, &[("VisibilityTimeout", "120")]);
        assert_eq!(
            command,
            format!(
                "aws --region ap-northeast-2 sqs set-queue-attributes --queue-url {URL} --attributes VisibilityTimeout=120"
            )
        );
        let command = set_queue_attributes(None, "http://127.0.0.1:5000/1/q", &[("RedrivePolicy", "{\"a\":1}")]);
        let words = r#"--queue-url http://127.0.0.1:5000/1/q --attributes '{"RedrivePolicy":"{\"a\":1}"}'"#;
        assert_eq!(command, format!("aws sqs set-queue-attributes {words}"));
    }
}
