//! An SNS topic that notices are published to: the one thing of AWS that data goes out to.

use std::time::Duration;

use aws_sdk_sns::types::MessageAttributeValue;

use super::aws::{Aws, CallFailure, Fault};
use super::settings::SourceSettings;

/// Messages of one FIFO topic stay in order within a group: ours are one.
const FIFO_GROUP: &str = "xc2-analyzer";

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The same for every attempt: the attribute `notice_id`, and what a FIFO topic discards repeats by.
    pub id: &'a str,
    /// The attribute `kind`, for filters of subscriptions.
    pub kind: &'a str,
    /// ASCII without line breaks, below 100 characters (SNS API Reference, Publish).
    pub subject: &'a str,
    /// For people: what subscriptions by e-mail get.
    pub text: &'a str,
    /// For programs: what all others get.
    pub json: &'a str,
}

/// Why a message is not known to have been published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TopicError {
    pub problem: String,
    /// Nothing was answered, or the answer was that it was too much at once.
    pub is_passing: bool,
}

pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
}

impl Topic {
    /// Credentials are looked up with the first call. The error is one sentence for the person who set it up.
    pub async fn open(arn: &str, settings: &SourceSettings, timeout: Duration) -> Result<Topic, String> {
        let region = region(arn)?;
        let settings = SourceSettings { connect_timeout: timeout, read_timeout: timeout, ..settings.clone() };
        let client = Aws::load(&settings).await?.sns(region, timeout);
        Ok(Topic { client, arn: arn.to_owned() })
    }

    /// Publishes once; the id that SNS gave the message.
    pub async fn publish(&self, publication: &Publication<'_>) -> Result<String, TopicError> {
        // One form for people who get it by e-mail, another for everyone else.
        let forms = serde_json::json!({ "default": publication.json, "email": publication.text });
        let mut publish = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(publication.subject)
            .message_structure("json")
            .message(forms.to_string())
            .message_attributes("notice_id", attribute(publication.id))
            .message_attributes("kind", attribute(publication.kind));
        if self.arn.ends_with(".fifo") {
            publish = publish.message_group_id(FIFO_GROUP).message_deduplication_id(publication.id);
        }
        match publish.send().await {
            Ok(answer) => Ok(answer.message_id.unwrap_or_default()),
            Err(error) => {
                let failure = CallFailure::of(&error);
                Err(TopicError { is_passing: failure.fault() == Fault::Passing, problem: failure.problem })
            }
        }
    }
}

fn attribute(text: &str) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
    value.expect("a data type was given")
}

/// Whether this can be a topic's ARN; one sentence when it can't.
pub fn check_arn(arn: &str) -> Result<(), String> {
    region(arn).map(drop)
}

/// `arn:aws:sns:region:account:name`.
fn region(arn: &str) -> Result<&str, String> {
    match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "sns", region, account, name]
            if partition.starts_with("aws") && ![region, account, name].contains(&"") =>
        {
            Ok(region)
        }
        _ => Err(format!("`{arn}` is not a topic's ARN; write arn:aws:sns:<region>:<account>:<name>")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("arn:aws:sns:ap-northeast-2:123456789012:reports", Some("ap-northeast-2"))]
    #[case("arn:aws-cn:sns:cn-north-1:123456789012:reports.fifo", Some("cn-north-1"))]
    #[case("arn:aws:sqs:ap-northeast-2:123456789012:reports", None)]
    #[case("arn:aws:sns:ap-northeast-2:123456789012", None)]
    #[case("arn:aws:sns::123456789012:reports", None)]
    #[case("https://sns.amazonaws.com/reports", None)]
    fn topic_is_known_by_its_arn(#[case] arn: &str, #[case] expected: Option<&str>) {
        assert_eq!(region(arn).ok(), expected);
    }
}
