//! The messages that announce objects, in every form in which they reach a queue.

use serde_json::json;

use crate::cloud::s3_event;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// S3's own message, as SQS and a raw SNS subscription bring it.
    S3,
    /// The same in an SNS envelope.
    Sns,
    /// Through EventBridge, which announces one object at a time.
    EventBridge,
}

pub const FORMS: [Form; 3] = [Form::S3, Form::Sns, Form::EventBridge];

/// The bodies that announce these objects in this form.
pub fn announcements(form: Form, bucket: &str, keys: &[&str]) -> Vec<String> {
    match form {
        Form::S3 => vec![s3_event(bucket, keys)],
        Form::Sns => vec![sns(&s3_event(bucket, keys))],
        Form::EventBridge => keys.iter().map(|key| event_bridge(bucket, key)).collect(),
    }
}

fn sns(message: &str) -> String {
    json!({
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:logs", "Subject": "Amazon S3 Notification", "Message": message,
        "Timestamp": "2024-06-10T00:00:00.000Z", "SignatureVersion": "1", "Signature": "not looked at",
    })
    .to_string()
}

/// Here the key stands as it is, not form-encoded.
fn event_bridge(bucket: &str, key: &str) -> String {
    json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
        "source": "aws.s3", "account": "123456789012", "time": "2024-06-10T00:00:00Z", "region": "us-east-1",
        "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": {"version": "0", "bucket": {"name": bucket}, "object": {"key": key}, "reason": "PutObject"},
    })
    .to_string()
}
