//! Message body -> the objects it announces. Pure: no AWS crate, no clock.
//!
//! A body is one of: S3's own event message, as S3 sends it to SQS or as SNS passes it on raw; either of these in an
//! SNS envelope; an EventBridge event. A delivery is terminal only as a whole, therefore so is its body: one record that
//! can't be understood makes all of it [`Content::Unreadable`]. Had its other records been counted, a corrected
//! message that names them again would be harmless (the ledger knows them), whereas half a message that is acknowledged
//! hides the record that nobody read.

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::model::delivery::Content;
use crate::model::{Announced, ObjectRef};

use super::set_aside::CopyTarget;

#[cfg(test)]
mod tests;

/// The largest message that SQS carries, raised from 256 KiB in 2025 (AWS Compute Blog, "More room to build"). A longer
/// body came from somewhere else.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// S3 User Guide, "Naming Amazon S3 objects": a key is at most 1,024 bytes of UTF-8.
/// Of an ETag, and of a version id ("Version IDs are [...] no more than 1,024 bytes long": S3 User Guide).
const GENERATION_BYTES_MAX: usize = 1024;
pub const KEY_BYTES_MAX: usize = 1024;

/// Characters of a reason that may come from the body: a reason is one line, and the body itself is kept beside it.
const QUOTED_CHARS_MAX: usize = 200;

/// Which of the announced objects are to be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub prefix: String,
    pub suffix: String,
    /// Where we put copies of failed objects ourselves.
    pub aside: Option<CopyTarget>,
}

impl Filter {
    /// False for other prefixes and suffixes, for the empty objects whose key ends in `/` that the S3 console makes to
    /// show a folder, and for our own copies of failed objects.
    pub fn passes(&self, object: &ObjectRef) -> bool {
        let key = object.key.as_str();
        let folder = key.ends_with('/') && object.announced.bytes == Some(0);
        let ours = self.aside.as_ref().is_some_and(|aside| aside.holds(object));
        !folder && !ours && key.starts_with(&self.prefix) && key.ends_with(&self.suffix)
    }
}

/// What `body` announces, after the filter. Total: whatever the body is, it is an answer, never a panic.
///
/// Each object comes once. Of several records of one bucket and key the newest is kept: the greatest sequencer, or, when
/// one has none, the last. Test events, and events that do not create an object, announce no objects.
pub fn read(body: &str, filter: &Filter) -> Content {
    match objects(body) {
        Ok(found) => Content::Objects(fold(found).into_iter().filter(|object| filter.passes(object)).collect()),
        Err(reason) => Content::Unreadable { reason },
    }
}

fn objects(body: &str) -> Result<Vec<ObjectRef>, String> {
    if body.len() > BODY_BYTES_MAX {
        return Err(format!("the body has {} bytes, a message of SQS at most {BODY_BYTES_MAX}", body.len()));
    }
    // serde_json refuses more than 128 levels of nesting, so hostile depth is an error here and not a stack overflow.
    let body = json(body).map_err(|problem| format!("the body is not JSON: {problem}"))?;
    match body.get("Type").and_then(Value::as_str) {
        Some(kind) if body.get("TopicArn").is_some() || body.get("Message").is_some() => enveloped(kind, &body),
        _ => event(&body),
    }
}

/// An SNS envelope (SNS Developer Guide, "HTTP/HTTPS notification JSON format"). Opened once: SNS does not subscribe
/// topics to topics.
fn enveloped(kind: &str, envelope: &Value) -> Result<Vec<ObjectRef>, String> {
    if kind != "Notification" {
        return Err(match kind {
            "SubscriptionConfirmation" => {
                "SNS asks to confirm a subscription: open the SubscribeURL of the body".into()
            }
            _ => format!("the body is an SNS message of type `{}`", quoted(kind)),
        });
    }
    let Some(message) = envelope.get("Message").and_then(Value::as_str) else {
        return Err("the body is an SNS notification without the text `Message`".into());
    };
    let message = json(message).map_err(|problem| format!("the message that SNS wraps is not JSON: {problem}"))?;
    event(&message)
}

fn event(event: &Value) -> Result<Vec<ObjectRef>, String> {
    if let Some(records) = event.get("Records") {
        let records = records.as_array().ok_or("the body's `Records` is not a list")?;
        let number = |at: usize| format!("record {} of {}", at + 1, records.len());
        let read = records
            .iter()
            .enumerate()
            .map(|(at, record)| s3_record(record).map_err(|problem| format!("{}: {}", number(at), quoted(&problem))));
        return Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
    }
    // S3 sends this one when notifications are set up: {"Service":"Amazon S3","Event":"s3:TestEvent",...}
    if event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if event.get("detail-type").is_some() {
        return Ok(event_bridge(event).map_err(|problem| quoted(&problem))?.into_iter().collect());
    }
    Err("the body is JSON, but no notification of S3, SNS or EventBridge".into())
}

/// One record of S3's event message (S3 User Guide, "Event message structure").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a record of S3")]
struct S3Record {
    event_version: Option<String>,
    event_source: Option<String>,
    event_name: String,
    event_time: Option<Value>,
    s3: Option<S3Entity>,
}

#[derive(Deserialize)]
struct S3Entity {
    bucket: Bucket,
    object: S3Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Object {
    key: String,
    size: Option<u64>,
    e_tag: Option<String>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// Events that bring no new content. Their records are not looked into: a removal of a counted object does not
/// uncount it, and whether a created object is still there is found when it is read.
const S3_EVENTS_WITHOUT_CONTENT: [&str; 9] = [
    "ObjectRemoved",
    "LifecycleExpiration",
    "LifecycleTransition",
    "IntelligentTiering",
    "ObjectRestore",
    "ObjectTagging",
    "ObjectAcl",
    "Replication",
    "ReducedRedundancyLostObject",
];

fn s3_record(record: &Value) -> Result<Option<ObjectRef>, String> {
    let record = S3Record::deserialize(record).map_err(|error| error.to_string())?;
    // "We recommend that you do an equal-to comparison on the major version number": minor ones only add fields.
    if let Some(version) = record.event_version.filter(|version| version.split('.').next() != Some("2")) {
        return Err(format!("event version `{version}` is not known, only 2.x is"));
    }
    // Other servers of the S3 protocol name themselves: `minio:s3`, `ceph:s3`.
    if let Some(source) = record.event_source.filter(|source| !source.ends_with(":s3")) {
        return Err(format!("event source `{source}` is not S3"));
    }
    // The configuration says `s3:ObjectCreated:Put`, the record `ObjectCreated:Put`; MinIO's record keeps the `s3:`.
    let name = record.event_name.strip_prefix("s3:").unwrap_or(&record.event_name);
    let family = name.split(':').next().unwrap_or(name);
    if S3_EVENTS_WITHOUT_CONTENT.contains(&family) {
        return Ok(None);
    }
    if family != "ObjectCreated" {
        return Err(format!("event `{name}` is not known"));
    }
    let S3Entity { bucket, object } = record.s3.ok_or("missing field `s3`")?;
    let announced = Announced {
        version_id: some_text(object.version_id),
        etag: etag(object.e_tag),
        sequencer: some_text(object.sequencer),
        bytes: object.size,
        event_at: time(record.event_time),
    };
    object_ref(bucket.name, form_decoded(&object.key)?, announced).map(Some)
}

/// An EventBridge event (S3 User Guide, "EventBridge event message structure").
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct EventBridgeEvent {
    source: String,
    detail_type: String,
    time: Option<Value>,
    detail: Value,
}

#[derive(Deserialize)]
struct EventBridgeDetail {
    bucket: Bucket,
    object: EventBridgeObject,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct EventBridgeObject {
    key: String,
    size: Option<u64>,
    #[serde(alias = "eTag")]
    etag: Option<String>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// The other detail types of S3 (S3 User Guide, "Using EventBridge"): no new content.
const EVENT_BRIDGE_TYPES_WITHOUT_CONTENT: [&str; 9] = [
    "Object Deleted",
    "Object Restore Initiated",
    "Object Restore Completed",
    "Object Restore Expired",
    "Object Storage Class Changed",
    "Object Access Tier Changed",
    "Object ACL Updated",
    "Object Tags Added",
    "Object Tags Deleted",
];

fn event_bridge(event: &Value) -> Result<Option<ObjectRef>, String> {
    let event = EventBridgeEvent::deserialize(event).map_err(|error| error.to_string())?;
    if event.source != "aws.s3" {
        return Err(format!("event source `{}` is not S3", event.source));
    }
    if EVENT_BRIDGE_TYPES_WITHOUT_CONTENT.contains(&event.detail_type.as_str()) {
        return Ok(None);
    }
    if event.detail_type != "Object Created" {
        return Err(format!("event `{}` is not known", event.detail_type));
    }
    let detail = EventBridgeDetail::deserialize(&event.detail).map_err(|error| format!("detail: {error}"))?;
    let announced = Announced {
        version_id: some_text(detail.object.version_id),
        etag: etag(detail.object.etag),
        sequencer: some_text(detail.object.sequencer),
        bytes: detail.object.size,
        event_at: time(event.time),
    };
    // The key stands as it is, unlike in S3's own message: `a+b` is `a+b`.
    object_ref(detail.bucket.name, detail.object.key, announced).map(Some)
}

/// Only metrics need it: one that is no time is no reason to refuse the message.
fn time(value: Option<Value>) -> Option<Timestamp> {
    value?.as_str()?.parse().ok()
}

/// S3's bucket names are letters, digits, `.`, `-` and, in old ones, `_`. The check is also a fence: `file://` marks
/// a local folder's objects, and who may send a message must not name local files.
fn object_ref(bucket: String, key: String, announced: Announced) -> Result<ObjectRef, String> {
    if !is_bucket_name(&bucket) {
        return Err(format!("`{bucket}` is not the name of a bucket"));
    }
    // Both go into the header or the address of a request.
    for (name, text) in [("ETag", &announced.etag), ("version id", &announced.version_id)] {
        let plain =
            |text: &String| text.len() <= GENERATION_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.as_ref().is_some_and(|text| !plain(text)) {
            return Err(format!(
                "its {name} is none: it must be at most {GENERATION_BYTES_MAX} visible ASCII characters"
            ));
        }
    }
    match key.len() {
        0 => Err("the key is empty".into()),
        length if length > KEY_BYTES_MAX => Err(format!("the key has {length} bytes, S3 allows {KEY_BYTES_MAX}")),
        _ => Ok(ObjectRef { bucket, key, announced }),
    }
}

/// Whether S3 could have a bucket of this name (the old, laxer rules included).
pub(super) fn is_bucket_name(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// S3 encodes keys in its messages, and in listings when asked to, as `application/x-www-form-urlencoded`: `red
/// flower.jpg` comes as `red+flower.jpg`, and a `+` or `%` of the key itself never comes bare. So a `%` without two
/// digits is no encoding of S3's, and guessing would read another object.
pub(super) fn form_decoded(key: &str) -> Result<String, String> {
    let wrong = |problem: &str| format!("key `{key}` {problem}");
    for (at, _) in key.match_indices('%') {
        let digits = key.as_bytes().get(at + 1..at + 3).unwrap_or_default();
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong("has a `%` that is not followed by two hexadecimal digits"));
        }
    }
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| wrong("does not decode to UTF-8"))?;
    Ok(decoded.into_owned())
}

/// One object a bucket and key, at the place of its first record.
fn fold(objects: Vec<ObjectRef>) -> Vec<ObjectRef> {
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    let mut folded: Vec<ObjectRef> = Vec::with_capacity(objects.len());
    for object in objects {
        match places.get(&(object.bucket.clone(), object.key.clone())) {
            None => {
                places.insert((object.bucket.clone(), object.key.clone()), folded.len());
                folded.push(object);
            }
            Some(&place) => {
                if !is_older(&object, &folded[place]) {
                    folded[place] = object;
                }
            }
        }
    }
    folded
}

fn is_older(object: &ObjectRef, than: &ObjectRef) -> bool {
    match (&object.announced.sequencer, &than.announced.sequencer) {
        (Some(one), Some(other)) => compare_sequencers(one, other) == Ordering::Less,
        _ => false,
    }
}

/// "The sequencers can be of different lengths. So to compare these values, you first left pad the shorter value with
/// zeros and then do lexicographical comparison" (S3 Developer Guide, "Event message structure").
fn compare_sequencers(one: &str, other: &str) -> Ordering {
    let significant = |text: &str| text.trim_start_matches('0').to_ascii_lowercase();
    let (one, other) = (significant(one), significant(other));
    one.len().cmp(&other.len()).then_with(|| one.cmp(&other))
}

/// HTTP quotes an ETag, S3's messages do not; some servers' do.
pub(super) fn etag(text: Option<String>) -> Option<String> {
    some_text(text.map(|text| text.trim_matches('"').to_owned()))
}

fn some_text(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// One line of bounded length.
fn quoted(problem: &str) -> String {
    let mut line: String =
        problem.chars().take(QUOTED_CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if problem.chars().nth(QUOTED_CHARS_MAX).is_some() {
        line.push_str("...");
    }
    line
}
