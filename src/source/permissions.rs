//! What the program asks of AWS, declared once: the policy of its role is derived from this, and a test holds that the
//! code calls nothing else.

use serde_json::{Value, json};

use super::arn::{QueueArn, bucket_arn};
use super::set_aside::CopyTarget;

/// On what an action is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Queue,
    DeadLetters,
    /// The objects below the prefix.
    Objects,
    /// The objects below `[failed] copy_to`.
    Copies,
    Bucket,
    Topic,
    /// AWS needs no leave for it.
    Nothing,
}

/// One operation of an SDK, by the name that the code calls it by, and the actions that allow it.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    pub operation: &'static str,
    pub actions: &'static [&'static str],
    pub on: On,
    /// `run` does without it.
    pub only_check: bool,
}

const fn run(operation: &'static str, actions: &'static [&'static str], on: On) -> Permission {
    Permission { operation, actions, on, only_check: false }
}

const fn check(operation: &'static str, actions: &'static [&'static str], on: On) -> Permission {
    Permission { operation, actions, on, only_check: true }
}

/// Service Authorization Reference, "Actions, resources, and condition keys" for SQS, S3 and SNS. The batch actions of SQS
/// are allowed by the single ones.
pub const PERMISSIONS: &[Permission] = &[
    run("receive_message", &["sqs:ReceiveMessage"], On::Queue),
    run("delete_message_batch", &["sqs:DeleteMessage"], On::Queue),
    run("change_message_visibility_batch", &["sqs:ChangeMessageVisibility"], On::Queue),
    run("get_queue_attributes", &["sqs:GetQueueAttributes"], On::Queue),
    run("get_object", &["s3:GetObject", "s3:GetObjectVersion"], On::Objects),
    run("head_object", &["s3:GetObject", "s3:GetObjectVersion"], On::Objects),
    // It reads as `get_object` does.
    run("copy_object", &["s3:PutObject"], On::Copies),
    // Of the whole bucket, not only of the prefix: without it a missing object looks like a forbidden one.
    run("list_objects_v2", &["s3:ListBucket"], On::Bucket),
    run("publish", &["sns:Publish"], On::Topic),
    check("get_queue_url", &["sqs:GetQueueUrl"], On::DeadLetters),
    check("get_queue_attributes", &["sqs:GetQueueAttributes"], On::DeadLetters),
    check("get_bucket_notification_configuration", &["s3:GetBucketNotification"], On::Bucket),
    check("get_caller_identity", &[], On::Nothing),
];

/// The resources of this configuration.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    pub partition: String,
    pub queue: Option<QueueArn>,
    pub dead_letters: Option<String>,
    pub buckets: Vec<String>,
    pub prefix: String,
    /// Where failed objects are copied to.
    pub copies: Option<CopyTarget>,
    /// Keys that the queue or the objects are encrypted with.
    pub keys: Vec<String>,
    /// Topics that notices go to.
    pub topics: Vec<String>,
}

/// The least that the role of `run` and `check` needs. Parts without a resource are left out.
pub fn iam_policy(resources: &Resources) -> Value {
    let queue: Vec<String> = resources.queue.iter().map(QueueArn::to_string).collect();
    let bucket = |bucket: &String| bucket_arn(&resources.partition, bucket);
    let buckets: Vec<String> = resources.buckets.iter().map(bucket).collect();
    let prefix = literal(&resources.prefix);
    let objects: Vec<String> = buckets.iter().map(|arn| format!("{arn}/{prefix}*")).collect();
    let copied_to =
        |to: &CopyTarget| format!("{}/{}*", bucket_arn(&resources.partition, &to.bucket), literal(&to.prefix));
    let copies: Vec<String> = resources.copies.iter().map(copied_to).collect();
    let dead_letters: Vec<String> = resources.dead_letters.iter().cloned().collect();
    let mut statements = Vec::new();
    let mut add = |sid: &str, actions: Vec<&str>, on: &[String]| {
        if !on.is_empty() && !actions.is_empty() {
            statements.push(json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": on}));
        }
    };
    add("RunQueue", actions(On::Queue, false), &queue);
    add("RunObjects", actions(On::Objects, false), &objects);
    add("RunBucket", actions(On::Bucket, false), &buckets);
    add("RunCopies", actions(On::Copies, false), &copies);
    add("RunNotices", actions(On::Topic, false), &resources.topics);
    add("CheckBucket", actions(On::Bucket, true), &buckets);
    add("CheckDeadLetters", actions(On::DeadLetters, true), &dead_letters);
    // S3 encrypts a copy in the name of who asks for it.
    let of_keys = if copies.is_empty() { vec!["kms:Decrypt"] } else { vec!["kms:Decrypt", "kms:GenerateDataKey"] };
    add("RunKeys", of_keys, &resources.keys);
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Without what has a meaning of its own in a resource (IAM User Guide, "Policy variables").
fn literal(prefix: &str) -> String {
    prefix.replace('$', "${$}").replace('*', "${*}").replace('?', "${?}")
}

/// Each once, in the order of the table.
fn actions(on: On, only_check: bool) -> Vec<&'static str> {
    let wanted = PERMISSIONS.iter().filter(|permission| permission.on == on && permission.only_check == only_check);
    let mut actions = Vec::new();
    for action in wanted.flat_map(|permission| permission.actions) {
        if !actions.contains(action) {
            actions.push(*action);
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn code(folder: &Path) -> String {
        let mut code = String::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            match () {
                () if path.is_dir() => code += &self::code(&path),
                // The emulator's set-up is not the product's.
                () if ["tests.rs", "emulator.rs"].contains(&name) || !name.ends_with(".rs") => {}
                () => {
                    let text = std::fs::read_to_string(&path).unwrap();
                    code += text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                }
            }
        }
        code
    }

    #[test]
    fn every_call_of_the_code_is_declared_and_nothing_else() {
        let code = code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/source"));
        let calls = |operation: &str| code.matches(&format!(".{operation}()")).count();
        let mut operations: Vec<&str> = PERMISSIONS.iter().map(|permission| permission.operation).collect();
        operations.sort_unstable();
        operations.dedup();
        for operation in &operations {
            assert!(calls(operation) > 0, "{operation} is declared, and called nowhere: take it from PERMISSIONS");
        }
        let declared: usize = operations.iter().map(|operation| calls(operation)).sum();
        let sent = code.matches(".send()").count();
        assert_eq!(sent, declared, "src/source sends {sent} requests, {declared} of them are declared in PERMISSIONS");
    }

    #[test]
    fn policy_names_every_action_on_its_own_resource() {
        let queue = QueueArn::parse("arn:aws:sqs:us-east-1:123456789012:ad-logs");
        let resources = Resources {
            partition: "aws".into(),
            queue: queue.clone(),
            dead_letters: Some("arn:aws:sqs:us-east-1:123456789012:dead".into()),
            buckets: vec!["logs".into()],
            prefix: "ads/".into(),
            copies: CopyTarget::parse("s3://kept/broken/").unwrap(),
            keys: vec!["arn:aws:kms:us-east-1:123456789012:key/1".into()],
            topics: vec!["arn:aws:sns:us-east-1:123456789012:notices".into()],
        };
        let policy = iam_policy(&resources);
        let allows = |action: &str, resource: &str| {
            let statements = policy["Statement"].as_array().unwrap();
            let names = |value: &Value, name: &str| value.as_array().unwrap().iter().any(|found| found == name);
            statements.iter().any(|one| names(&one["Action"], action) && names(&one["Resource"], resource))
        };
        for permission in PERMISSIONS {
            let resource = match permission.on {
                On::Queue => "arn:aws:sqs:us-east-1:123456789012:ad-logs",
                On::DeadLetters => "arn:aws:sqs:us-east-1:123456789012:dead",
                On::Objects => "arn:aws:s3:::logs/ads/*",
                On::Copies => "arn:aws:s3:::kept/broken/*",
                On::Bucket => "arn:aws:s3:::logs",
                On::Topic => "arn:aws:sns:us-east-1:123456789012:notices",
                On::Nothing => continue,
            };
            for action in permission.actions {
                assert!(allows(action, resource), "{action} on {resource}: {policy:#}");
            }
        }
        assert!(allows("kms:Decrypt", &resources.keys[0]) && allows("kms:GenerateDataKey", &resources.keys[0]));
        assert!(!policy.to_string().contains("\"*\""), "nothing is allowed on everything: {policy:#}");
        assert_eq!(iam_policy(&Resources::default())["Statement"], json!([]));
    }
}
