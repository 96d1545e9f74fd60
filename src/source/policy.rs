//! A queue's policy: who may send to it. Pure: as read from the queue, and as it should be.

use serde_json::{Map, Value, json};

use super::arn::{QueueArn, matches};

/// The statement that is ours.
const SID: &str = "xc2-analyzer-s3-may-send";

/// Who is let send, as far as a queue of S3's notifications can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    S3,
    Sns,
    EventBridge,
    /// `*`: S3 too.
    Anyone,
    /// Accounts, roles, or another service.
    Other,
}

/// One statement's leave to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    pub sender: Sender,
    /// `aws:SourceArn`, with its wildcards; empty: any bucket, topic or rule.
    pub sources: Vec<String>,
    /// `aws:SourceAccount`; empty: of any account.
    pub accounts: Vec<String>,
}

impl Permit {
    /// Whether S3 may send under it for this bucket. Whose the bucket is can't be seen here.
    pub fn covers_bucket(&self, bucket_arn: &str) -> bool {
        let from_s3 = matches!(self.sender, Sender::S3 | Sender::Anyone);
        from_s3 && (self.sources.is_empty() || self.sources.iter().any(|source| matches(source, bucket_arn)))
    }

    /// Whether somebody else's bucket could send as well (IAM User Guide, "The confused deputy problem"): bucket names
    /// are the whole world's, and a deleted one is free for others.
    pub fn is_open_to_strangers(&self) -> bool {
        matches!(self.sender, Sender::S3 | Sender::Anyone) && self.accounts.is_empty()
    }
}

/// A queue's policy as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuePolicy {
    pub permits: Vec<Permit>,
    /// A statement without a condition denies it to S3: no other helps.
    pub is_denied: bool,
    statements: Vec<Value>,
}

impl QueuePolicy {
    /// The error is a sentence about the text.
    pub fn parse(text: &str, queue: &QueueArn) -> Result<QueuePolicy, String> {
        let policy: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let statements = match policy.get("Statement") {
            Some(Value::Array(statements)) => statements.clone(),
            Some(statement @ Value::Object(_)) => vec![statement.clone()],
            _ => return Err("it has no Statement".into()),
        };
        let queue = queue.to_string();
        let about_sending = |statement: &&Value| {
            texts(&statement["Action"]).iter().any(|action| matches(&action.to_lowercase(), "sqs:sendmessage"))
                && texts(&statement["Resource"]).iter().any(|resource| matches(resource, &queue))
        };
        let has_effect = |statement: &Value, effect: &str| statement["Effect"] == effect;
        let mut found = QueuePolicy::default();
        for statement in statements.iter().filter(about_sending) {
            let senders = senders(&statement["Principal"]);
            let condition = &statement["Condition"];
            if has_effect(statement, "Allow") {
                let (sources, accounts) = (values(condition, "aws:sourcearn"), values(condition, "aws:sourceaccount"));
                let permit = |sender| Permit { sender, sources: sources.clone(), accounts: accounts.clone() };
                found.permits.extend(senders.into_iter().map(permit));
            } else if condition.is_null() {
                found.is_denied |= senders.iter().any(|sender| matches!(sender, Sender::S3 | Sender::Anyone));
            }
        }
        found.statements = statements;
        Ok(found)
    }

    /// The buckets that it names, without those that are meant by a wildcard.
    pub fn buckets(&self) -> Vec<String> {
        let of_s3 = self.permits.iter().filter(|permit| matches!(permit.sender, Sender::S3 | Sender::Anyone));
        let mut names: Vec<String> = of_s3
            .flat_map(|permit| &permit.sources)
            .filter(|source| source.contains(":s3:"))
            .filter_map(|source| source.rsplit(':').next().map(str::to_owned))
            .filter(|bucket| !bucket.is_empty() && !bucket.contains(['*', '?']))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    pub fn lets(&self, sender: Sender) -> bool {
        self.permits.iter().any(|permit| permit.sender == sender || permit.sender == Sender::Anyone)
    }

    /// It as it should be: what lets S3 send is replaced by one statement for exactly these buckets, all else stays.
    pub fn with_buckets(&self, queue: &QueueArn, buckets: &[String]) -> Value {
        let only_for_s3 = |statement: &Value| {
            let senders = senders(&statement["Principal"]);
            statement["Effect"] == "Allow" && !senders.is_empty() && senders.iter().all(|sender| *sender == Sender::S3)
        };
        let others = self.statements.iter().filter(|statement| !only_for_s3(statement)).cloned();
        let statements: Vec<Value> = others.chain([statement(queue, buckets)]).collect();
        json!({"Version": "2012-10-17", "Statement": statements})
    }
}

/// The policy of a queue that only these buckets of the queue's own account send to.
pub fn queue_policy(queue: &QueueArn, buckets: &[String]) -> Value {
    QueuePolicy::default().with_buckets(queue, buckets)
}

/// S3 User Guide, "Granting permissions to publish event notification messages to a destination".
fn statement(queue: &QueueArn, buckets: &[String]) -> Value {
    let arns: Vec<String> = buckets.iter().map(|bucket| queue.bucket(bucket)).collect();
    json!({
        "Sid": SID,
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.to_string(),
        "Condition": {
            "ArnLike": {"aws:SourceArn": arns},
            "StringEquals": {"aws:SourceAccount": queue.account},
        },
    })
}

/// A text, or a list of texts: policies have both.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

fn senders(principal: &Value) -> Vec<Sender> {
    let of_service = |service: &str| match service {
        "s3.amazonaws.com" => Sender::S3,
        "sns.amazonaws.com" => Sender::Sns,
        "events.amazonaws.com" => Sender::EventBridge,
        _ => Sender::Other,
    };
    let any_or = |name: &str, other: Sender| if name == "*" { Sender::Anyone } else { other };
    match principal {
        Value::String(name) => vec![any_or(name, Sender::Other)],
        Value::Object(kinds) => kinds
            .iter()
            .flat_map(|(kind, names)| texts(names).into_iter().map(move |name| (kind, name)))
            .map(|(kind, name)| if kind == "Service" { of_service(name) } else { any_or(name, Sender::Other) })
            .collect(),
        _ => Vec::new(),
    }
}

/// What a condition demands of `key`, whatever its operator. Keys of conditions ignore case.
fn values(condition: &Value, key: &str) -> Vec<String> {
    let operators = condition.as_object().into_iter().flat_map(Map::iter);
    let pairs = operators.filter(|(operator, _)| !operator.contains("Not")).filter_map(|(_, pairs)| pairs.as_object());
    let of_key = pairs.flat_map(Map::iter).filter(|(name, _)| name.eq_ignore_ascii_case(key));
    of_key.flat_map(|(_, value)| texts(value)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
