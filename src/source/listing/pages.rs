//! What lies in a bucket's prefix or a folder, page by page: the one way to list.

use std::path::Path;

use jiff::Timestamp;

use super::super::aws::s3_client;
use super::super::notification::Filter;
use super::super::queue::QueueError;
use super::super::settings::{SourceSettings, SourceUrl};
use super::{bucket, folder};
use crate::model::ObjectRef;
use crate::model::delivery::Content;

/// One thing that was found. What can't be an object is a message too: it is listed as failed, not passed over.
#[derive(Clone, Debug)]
pub struct Found {
    /// As a person knows it.
    pub name: String,
    pub content: Content,
    /// When its content was last written, as the store of objects says.
    pub modified: Option<Timestamp>,
}

impl Found {
    pub fn new(object: ObjectRef, modified: Option<Timestamp>) -> Self {
        Self { name: object.to_string(), content: Content::Objects(vec![object]), modified }
    }

    pub(super) fn unreadable(name: String, reason: String) -> Self {
        Self { name, content: Content::Unreadable { reason }, modified: None }
    }

    /// `None` when it can't be one: its name is not text, or a folder may not be read.
    pub fn object(&self) -> Option<&ObjectRef> {
        match &self.content {
            Content::Objects(objects) => objects.first(),
            Content::Unreadable { .. } => None,
        }
    }
}

/// Some of what is there: at most about 1,000 things.
#[derive(Debug, Default)]
pub struct Page {
    pub found: Vec<Found>,
    /// Objects that the filter of `[source]` keeps out.
    pub filtered: u64,
}

/// The pages of a bucket's prefix or of a folder, in the order of their keys' bytes. One page at a time is in memory.
pub struct ObjectPages {
    url: String,
    steps: Steps,
    filter: Filter,
}

/// Where the listing goes on. A step either brings a page and moves on, or fails and stays.
enum Steps {
    /// Everything is known already.
    Done,
    Folder(folder::Walk),
    Bucket(bucket::Pages),
}

impl ObjectPages {
    /// Of `settings.url`, filtered by `settings.filter`. A folder has to exist; a bucket is asked with the first page.
    pub async fn open(settings: &SourceSettings) -> Result<Self, QueueError> {
        let filter = settings.filter.clone();
        match &settings.url {
            SourceUrl::Folder(path) => Self::of_folder(path, filter),
            SourceUrl::Bucket { bucket, prefix } => {
                let refused = |problem| QueueError::Refused { url: settings.url.to_string(), problem };
                let client = s3_client(settings).await.map_err(refused)?;
                Ok(Self::of_bucket(client, bucket, prefix, filter))
            }
            SourceUrl::Sqs(url) => {
                Err(QueueError::Refused { url: url.clone(), problem: "a queue can't be listed".into() })
            }
        }
    }

    /// The files below `path`; hidden ones are not listed, nor is what links to folders hold.
    pub fn of_folder(path: &Path, filter: Filter) -> Result<Self, QueueError> {
        let walk = folder::Walk::start(path)?;
        Ok(Self { url: walk.root.clone(), steps: Steps::Folder(walk), filter })
    }

    pub(in crate::source) fn of_bucket(client: aws_sdk_s3::Client, bucket: &str, prefix: &str, filter: Filter) -> Self {
        let steps = Steps::Bucket(bucket::Pages::start(client, bucket, prefix));
        Self { url: format!("s3://{bucket}/{prefix}"), steps, filter }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next page; `None` after the last. After an error, the next call asks for the same page. Not to be dropped
    /// half-way by who wants to go on: what it brings is not listed again.
    pub async fn next(&mut self) -> Result<Option<Page>, QueueError> {
        let found = match &mut self.steps {
            Steps::Done => None,
            Steps::Folder(walk) => walk.next(&self.url).await?,
            Steps::Bucket(pages) => pages.next(&self.url).await?,
        };
        let Some(mut found) = found else {
            self.steps = Steps::Done;
            return Ok(None);
        };
        let listed = found.len();
        found.retain(|found| found.object().is_none_or(|object| self.filter.passes(object)));
        let filtered = (listed - found.len()) as u64;
        Ok(Some(Page { found, filtered }))
    }
}
