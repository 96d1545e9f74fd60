//! What must hold of any body that the notification parser reads.

use std::collections::HashSet;

use serde_json::{Value, json};
use xc2_analyzer::model::ObjectRef;
use xc2_analyzer::model::delivery::Content;
use xc2_analyzer::source::Filter;
use xc2_analyzer::source::notification::{BODY_BYTES_MAX, KEY_BYTES_MAX, read};

use super::memory;

/// Of a body's length: its JSON as a tree, what SNS wraps as another, and the objects.
const MEMORY_TIMES: usize = 160;

/// The body of one of the repository's examples, which tell what it announces as well; or the text itself.
pub fn body_of_example(text: &str) -> String {
    let example: Option<Value> = serde_json::from_str(text).ok();
    let body = example.and_then(|example| Some(example.get("body")?.as_str()?.to_owned()));
    body.unwrap_or_else(|| text.to_owned())
}

pub fn check(body: &str) {
    let everything = Filter::default();
    let (content, held) = memory::peak_of(|| read(body, &everything));
    assert!(held <= body.len() * MEMORY_TIMES + (64 << 10), "{held} bytes were held for {}", body.len());
    assert_eq!(content, read(body, &everything), "read twice");
    check_content(body, &content);
    check_filter(body, &content);
    check_wrapped(body, &content);
}

fn check_content(body: &str, content: &Content) {
    match content {
        Content::Objects(objects) => {
            assert!(body.len() <= BODY_BYTES_MAX);
            let names: HashSet<_> = objects.iter().map(|object| (&object.bucket, &object.key)).collect();
            assert_eq!(names.len(), objects.len(), "an object comes twice");
            objects.iter().for_each(check_object);
        }
        Content::Unreadable { reason } => {
            assert!(!reason.is_empty() && reason.len() < 2048, "a reason of {} bytes", reason.len());
            assert!(!reason.chars().any(char::is_control), "a reason is one line: {reason:?}");
        }
    }
}

/// What of it goes into a request must not be able to change the request.
fn check_object(object: &ObjectRef) {
    assert!((1..=KEY_BYTES_MAX).contains(&object.key.len()), "{object:?}");
    let of_bucket = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    assert!((3..=255).contains(&object.bucket.len()) && object.bucket.bytes().all(of_bucket), "{object:?}");
    for text in [&object.announced.etag, &object.announced.version_id].into_iter().flatten() {
        assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()), "{object:?}");
    }
}

/// A filter takes objects away, and nothing else.
fn check_filter(body: &str, content: &Content) {
    let filter = Filter { prefix: "l".into(), suffix: "z".into(), aside: None };
    match (read(body, &filter), content) {
        (Content::Objects(some), Content::Objects(all)) => {
            let passing: Vec<&ObjectRef> = all.iter().filter(|object| filter.passes(object)).collect();
            assert_eq!(some.iter().collect::<Vec<_>>(), passing);
        }
        (filtered, content) => assert_eq!(filtered, *content),
    }
}

/// In an envelope of SNS the body means the same, unless it is one itself.
fn check_wrapped(body: &str, content: &Content) {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let is_enveloped = parsed.as_ref().is_some_and(|body| body.get("Type").is_some());
    let wrapped =
        json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": body }).to_string();
    if is_enveloped || wrapped.len() > BODY_BYTES_MAX {
        return;
    }
    match (read(&wrapped, &Filter::default()), content) {
        (Content::Unreadable { .. }, Content::Unreadable { .. }) => {}
        (wrapped, content) => assert_eq!(wrapped, *content, "in an envelope"),
    }
}
