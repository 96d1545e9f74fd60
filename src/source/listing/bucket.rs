//! The pages of a bucket's prefix.

use aws_sdk_s3::types::{EncodingType, Object};

use jiff::Timestamp;

use crate::model::{Announced, ObjectRef};

use super::super::aws::{CallFailure, Fault};
use super::super::notification::{etag, form_decoded};
use super::super::queue::QueueError;
use super::Found;

pub(super) struct Pages {
    client: aws_sdk_s3::Client,
    bucket: String,
    prefix: String,
    next: Next,
    /// S3 gives at most 1,000.
    pub page_objects_max: i32,
}

enum Next {
    First,
    After(String),
    End,
}

impl Pages {
    pub fn start(client: aws_sdk_s3::Client, bucket: &str, prefix: &str) -> Self {
        Self { client, bucket: bucket.to_owned(), prefix: prefix.to_owned(), next: Next::First, page_objects_max: 1000 }
    }

    /// The next page, in the order of their keys' bytes.
    pub async fn next(&mut self, url: &str) -> Result<Option<Vec<Found>>, QueueError> {
        let token = match &self.next {
            Next::First => None,
            Next::After(token) => Some(token.clone()),
            Next::End => return Ok(None),
        };
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix);
        // Keys may hold characters that XML can't: S3 encodes them when asked to.
        let request =
            request.encoding_type(EncodingType::Url).set_continuation_token(token).max_keys(self.page_objects_max);
        let page = request.send().await.map_err(|error| {
            let (url, failure) = (url.to_owned(), CallFailure::of(&error));
            match failure.fault() {
                Fault::Passing => QueueError::Unavailable { url, problem: failure.problem },
                Fault::Setup | Fault::Request => QueueError::Refused { url, problem: failure.problem },
            }
        })?;
        let found = page.contents().iter().map(|object| self.found(object)).collect();
        self.next = match page.next_continuation_token {
            Some(token) if page.is_truncated == Some(true) => Next::After(token),
            _ => Next::End,
        };
        Ok(Some(found))
    }

    fn found(&self, object: &Object) -> Found {
        let written = object.key().unwrap_or_default();
        let key = match form_decoded(written) {
            Ok(key) => key,
            Err(reason) => {
                let name = format!("s3://{}/{written}", self.bucket);
                return Found::unreadable(name, reason);
            }
        };
        let announced = Announced {
            version_id: None,
            etag: etag(object.e_tag().map(str::to_owned)),
            sequencer: None,
            bytes: object.size().and_then(|size| u64::try_from(size).ok()),
            event_at: object.last_modified().and_then(|at| Timestamp::from_millisecond(at.to_millis().ok()?).ok()),
        };
        let modified = object.last_modified().and_then(|at| Timestamp::new(at.secs(), at.subsec_nanos() as i32).ok());
        Found::new(ObjectRef { bucket: self.bucket.clone(), key, announced }, modified)
    }
}
