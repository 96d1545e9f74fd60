//! What the queue says of itself, for `check`; what it means is in `health`.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::super::arn::QueueArn;

/// The settings and the backlog of a queue. What SQS does not say is 0 or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueAttributes {
    pub arn: Option<QueueArn>,
    /// Who may send to it, as written.
    pub policy: Option<String>,
    /// The KMS key that messages are encrypted with, by its id, ARN or alias. None: by a key of SQS itself, or not.
    pub kms_key: Option<String>,
    /// The queue's own default; each receive names its own.
    pub visibility: Duration,
    /// After which a message is dropped, read or not.
    pub retention: Duration,
    pub fifo: bool,
    /// Without one, a message that can't be handled comes again until its retention ends.
    pub redrive: Option<Redrive>,
    /// Messages that wait; about as many.
    pub backlog: u64,
    /// Messages that someone is working on; about as many.
    pub in_flight: u64,
}

/// What SQS does with a message that was received often and never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    pub dead_letter_arn: String,
    pub receive_count_max: u32,
}

const NAMES: [QueueAttributeName; 8] = [
    QueueAttributeName::VisibilityTimeout,
    QueueAttributeName::MessageRetentionPeriod,
    QueueAttributeName::RedrivePolicy,
    QueueAttributeName::QueueArn,
    QueueAttributeName::Policy,
    QueueAttributeName::KmsMasterKeyId,
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
];

/// Not `FifoQueue`: asking a standard queue for it is an error. A FIFO queue's name ends with `.fifo`, no other's may.
pub(super) fn names() -> Vec<QueueAttributeName> {
    NAMES.to_vec()
}

impl QueueAttributes {
    pub(super) fn of(attributes: &HashMap<QueueAttributeName, String>) -> Self {
        let text = |name: QueueAttributeName| attributes.get(&name).map(String::as_str);
        let number = |name| text(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let text_or_none = |name| text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            arn: text(QueueAttributeName::QueueArn).and_then(QueueArn::parse),
            policy: text_or_none(QueueAttributeName::Policy),
            kms_key: text_or_none(QueueAttributeName::KmsMasterKeyId),
            visibility: Duration::from_secs(number(QueueAttributeName::VisibilityTimeout)),
            retention: Duration::from_secs(number(QueueAttributeName::MessageRetentionPeriod)),
            fifo: text(QueueAttributeName::QueueArn).is_some_and(|arn| arn.ends_with(".fifo")),
            redrive: text(QueueAttributeName::RedrivePolicy).and_then(redrive),
            backlog: number(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        }
    }
}

/// `{"deadLetterTargetArn":"...","maxReceiveCount":"5"}`: JSON in a text, the count a text or a number.
fn redrive(policy: &str) -> Option<Redrive> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let count = match policy.get("maxReceiveCount")? {
        Value::String(text) => text.parse().ok()?,
        number => number.as_u64()?,
    };
    Some(Redrive {
        dead_letter_arn: policy.get("deadLetterTargetArn")?.as_str()?.to_owned(),
        receive_count_max: u32::try_from(count).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:dead","maxReceiveCount":5}"#, Some(5))]
    #[case(r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:dead","maxReceiveCount":"5"}"#, Some(5))]
    #[case(r#"{"maxReceiveCount":5}"#, None)]
    #[case("", None)]
    fn redrive_policy_is_read(#[case] policy: &str, #[case] count: Option<u32>) {
        assert_eq!(redrive(policy).map(|redrive| redrive.receive_count_max), count);
    }

    #[test]
    fn what_is_not_said_is_nothing() {
        assert_eq!(QueueAttributes::of(&HashMap::new()), QueueAttributes::default());
    }
}
