//! Reading one announced object whole, from S3 or from a local folder.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use sha2::{Digest, Sha256};

use crate::failpoint::{self, Injected};
use crate::model::{Announced, Disposition, FailedObject, FailureKind, Generation, ObjectRef};

use super::aws::{CallFailure, Fault, s3_client};
use super::notification::etag;
use super::set_aside::{CopyError, CopyTarget};
use super::settings::{SourceSettings, SourceUrl};

#[cfg(test)]
mod tests;

/// What marks the bucket of a local file: it is followed by the folder's absolute path.
pub const FOLDER_SCHEME: &str = "file://";

/// An object as it was read.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The whole of it: as long as the store of objects said it is.
    pub body: Vec<u8>,
    /// What the read returned, whatever was announced.
    pub generation: Generation,
}

/// Why an object was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// There is no such object, version or bucket (any more), or it is a delete marker.
    #[error("it does not exist: {problem}")]
    Missing { problem: String },
    /// We may not read this object, or not decrypt it.
    #[error("reading it is not allowed: {problem}")]
    Denied { problem: String },
    /// The announced content has been replaced by another under the same key.
    #[error("the announced content (ETag {announced}) was replaced before it could be read")]
    Replaced { announced: String },
    /// Longer than the limit; what was read of it is dropped. `bytes` is at least this many when nobody said how many.
    #[error("it has {bytes} bytes, more than object_bytes_max = {limit}")]
    TooLarge { bytes: u64, limit: u64 },
    /// The store of objects answers, and will not give this object: archived, in another region, not a file.
    #[error("it can't be read: {problem}")]
    Withheld { problem: String },
    /// No answer, a server error, throttled, or a body that ended early: it passes.
    #[error("it could not be read: {problem}")]
    Unavailable { problem: String },
    /// Our credentials or our configuration are wrong, so that no object can be read.
    #[error("no object can be read: {problem}")]
    Refused { problem: String },
}

impl FetchError {
    pub fn disposition(&self) -> Disposition {
        match self {
            FetchError::Missing { .. }
            | FetchError::Denied { .. }
            | FetchError::Replaced { .. }
            | FetchError::Withheld { .. }
            | FetchError::TooLarge { .. } => Disposition::Quarantine,
            FetchError::Unavailable { .. } => Disposition::Retry,
            FetchError::Refused { .. } => Disposition::Halt,
        }
    }

    /// Whether the failure is of this object alone and may still heal (a late upload, a corrected policy): to be asked
    /// for again a limited number of times, and then listed as failed. False for [`FetchError::TooLarge`], which is
    /// listed at once, and for outages, which are waited out.
    pub fn is_of_object(&self) -> bool {
        match self {
            FetchError::Missing { .. }
            | FetchError::Denied { .. }
            | FetchError::Replaced { .. }
            | FetchError::Withheld { .. } => true,
            FetchError::TooLarge { .. } | FetchError::Unavailable { .. } | FetchError::Refused { .. } => false,
        }
    }

    /// As what it is listed, once it is given up.
    pub fn kind(&self) -> FailureKind {
        match self {
            FetchError::Missing { .. } => FailureKind::Missing,
            FetchError::Denied { .. } | FetchError::Refused { .. } => FailureKind::Denied,
            FetchError::Replaced { .. } => FailureKind::Replaced,
            FetchError::TooLarge { .. } => FailureKind::TooLarge,
            FetchError::Withheld { .. } | FetchError::Unavailable { .. } => FailureKind::Unreachable,
        }
    }
}

impl From<Injected> for FetchError {
    fn from(injected: Injected) -> Self {
        FetchError::Unavailable { problem: injected.to_string() }
    }
}

/// What the pipeline asks of a store of objects, whether S3, a local folder, or the simulated one in tests. No call
/// retries by itself: the pipeline owns the retries.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Reads `object` whole, one attempt. Bounded in time, and in memory by `bytes_max`.
    ///
    /// What is read is the announced generation: its version, or, where there is none, the content with its ETag.
    /// Without an announced one it is whatever is there now.
    async fn fetch(&self, object: &ObjectRef, bytes_max: u64) -> Result<Fetched, FetchError>;

    /// Whether the store of objects answers at all for this bucket, so that an object which never comes can be told
    /// from an outage. A refusal is an answer.
    async fn probe(&self, bucket: &str) -> Result<(), FetchError>;

    /// Copies what was read of a failed object to where operators keep such objects, one attempt; where that is. `None`
    /// where no copies are wanted.
    async fn set_aside(&self, _failed: &FailedObject) -> Result<Option<String>, CopyError> {
        Ok(None)
    }
}

/// Reads objects of S3 and of local folders. One that is shared by all workers; it keeps no state but connections.
#[derive(Clone, Debug)]
pub struct Objects {
    /// None where only local folders are read.
    s3: Option<aws_sdk_s3::Client>,
    read_timeout: Duration,
    fetch_timeout: Duration,
    pub(super) copy_to: Option<CopyTarget>,
}

impl Objects {
    /// For the objects of `settings.url`; local files can be read through it in any case. No request is made: an error
    /// is [`FetchError::Refused`], and of the AWS environment.
    pub async fn open(settings: &SourceSettings) -> Result<Self, FetchError> {
        let client = match settings.url {
            SourceUrl::Folder(_) => Ok(None),
            SourceUrl::Sqs(_) | SourceUrl::Bucket { .. } => s3_client(settings).await.map(Some),
        };
        Ok(Self::with(client.map_err(|problem| FetchError::Refused { problem })?, settings))
    }

    pub(super) fn with(s3: Option<aws_sdk_s3::Client>, settings: &SourceSettings) -> Self {
        let SourceSettings { read_timeout, fetch_timeout, .. } = *settings;
        Self { s3, read_timeout, fetch_timeout, copy_to: settings.filter.aside.clone() }
    }

    pub(super) fn s3(&self) -> Result<&aws_sdk_s3::Client, FetchError> {
        let missing = || FetchError::Refused { problem: "the source is a local folder, S3 is not set up".into() };
        self.s3.as_ref().ok_or_else(missing)
    }

    async fn fetch_s3(&self, object: &ObjectRef, bytes_max: u64) -> Result<Fetched, FetchError> {
        let announced = &object.announced;
        // The version `null` is the one that a bucket without versioning overwrites in place: it names no content.
        let condition = match announced.version_id.as_deref() {
            None | Some("null") => announced.etag.as_ref().map(|etag| format!("\"{etag}\"")),
            Some(_) => None,
        };
        let request = self.s3()?.get_object().bucket(&object.bucket).key(&object.key);
        let request = request.set_version_id(announced.version_id.clone()).set_if_match(condition);
        let answer = request.send().await.map_err(|error| refused_get(&CallFailure::of(&error), announced))?;

        let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
        let (body, content_hash) = self.read_body(answer.body, length, bytes_max).await?;
        let generation = Generation {
            version_id: answer.version_id,
            etag: etag(answer.e_tag),
            bytes: body.len() as u64,
            content_hash,
        };
        held_to(announced, &generation)?;
        Ok(Fetched { body, generation })
    }

    /// Reads until the end, no silence longer than `read_timeout`. A body shorter than `length` is an error: HTTP notices
    /// that by itself on most ways, and a log cut short must never be counted.
    async fn read_body(
        &self,
        mut stream: ByteStream,
        length: Option<u64>,
        bytes_max: u64,
    ) -> Result<(Vec<u8>, [u8; 32]), FetchError> {
        let too_large = |bytes| FetchError::TooLarge { bytes, limit: bytes_max };
        let unavailable = |problem| FetchError::Unavailable { problem };
        if let Some(bytes) = length.filter(|bytes| *bytes > bytes_max) {
            return Err(too_large(bytes));
        }
        let mut body = Vec::with_capacity(usize::try_from(length.unwrap_or(0)).unwrap_or(0));
        let mut hash = Sha256::new();
        loop {
            let piece = tokio::time::timeout(self.read_timeout, stream.next()).await.map_err(|_| {
                unavailable(format!("no byte came for {:?} after {} bytes", self.read_timeout, body.len()))
            })?;
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|error| unavailable(format!("after {} bytes: {error}", body.len())))?;
            if (body.len() + piece.len()) as u64 > bytes_max {
                return Err(too_large((body.len() + piece.len()) as u64));
            }
            // Piece by piece, so that hashing a large object does not keep the thread from other work.
            hash.update(&piece);
            body.extend_from_slice(&piece);
        }
        match length {
            Some(length) if length != body.len() as u64 => {
                Err(unavailable(format!("{} of {length} bytes came", body.len())))
            }
            _ => Ok((body, hash.finalize().into())),
        }
    }
}

#[async_trait]
impl Fetch for Objects {
    /// Bounded in time by `fetch_timeout`; `bytes_max` is enforced before the body is read and while it comes.
    async fn fetch(&self, object: &ObjectRef, bytes_max: u64) -> Result<Fetched, FetchError> {
        let read = async {
            match object.bucket.strip_prefix(FOLDER_SCHEME) {
                Some(folder) => {
                    let (path, announced) = (Path::new(folder).join(&object.key), object.announced.clone());
                    let read = tokio::task::spawn_blocking(move || read_file(&path, &announced, bytes_max));
                    read.await.map_err(|error| FetchError::Unavailable { problem: error.to_string() })?
                }
                None => self.fetch_s3(object, bytes_max).await,
            }
        };
        let late = |_| FetchError::Unavailable {
            problem: format!("it was not read whole within {:?} (fetch_timeout)", self.fetch_timeout),
        };
        failpoint::meet("object.fetch.before")?;
        let fetched = tokio::time::timeout(self.fetch_timeout, read).await.map_err(late)??;
        failpoint::meet("object.fetch.after")?;
        Ok(fetched)
    }

    async fn set_aside(&self, failed: &FailedObject) -> Result<Option<String>, CopyError> {
        self.copy_aside(failed).await
    }

    /// Not a HEAD request: its answers have no body, so an expired token would look like a refusal, and an outage of
    /// the credentials like a fault of the object.
    async fn probe(&self, bucket: &str) -> Result<(), FetchError> {
        if let Some(folder) = bucket.strip_prefix(FOLDER_SCHEME) {
            return match tokio::fs::metadata(folder).await {
                Ok(_) => Ok(()),
                Err(error) => Err(FetchError::Unavailable { problem: format!("{folder}: {error}") }),
            };
        }
        match self.s3()?.list_objects_v2().bucket(bucket).max_keys(1).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = CallFailure::of(&error);
                match failure.fault() {
                    Fault::Request => Ok(()),
                    Fault::Passing => Err(FetchError::Unavailable { problem: failure.problem }),
                    Fault::Setup => Err(FetchError::Refused { problem: failure.problem }),
                }
            }
        }
    }
}

/// Whether what an answer of 200 brought is the announced content, and all of it.
///
/// What stands between us and S3 answers 200 too: with a page of its own, with what it kept of an older content, or with
/// the part of a body that it got, under a length that fits. None of that is the object's fault, and half of several
/// pickles in one stream reads like a whole file.
fn held_to(announced: &Announced, read: &Generation) -> Result<(), FetchError> {
    let unavailable = |problem| Err(FetchError::Unavailable { problem });
    let Some(etag) = &read.etag else {
        return unavailable("the answer has no ETag: it is not of the store of objects".to_owned());
    };
    let other = |announced: &String| Err(FetchError::Replaced { announced: announced.clone() });
    match (announced.version_id.as_ref().filter(|version| *version != "null"), &announced.etag) {
        (Some(version), _) if read.version_id.as_ref().is_some_and(|read| read != version) => return other(version),
        (None, Some(announced)) if announced != etag => return other(announced),
        // Of content that was not announced the size is not known.
        (None, None) => return Ok(()),
        _ => {}
    }
    match announced.bytes {
        Some(bytes) if read.bytes < bytes => unavailable(format!("{} of {bytes} announced bytes came", read.bytes)),
        _ => Ok(()),
    }
}

/// Blocking: reading and hashing a large file would keep other work from an async thread.
fn read_file(path: &Path, announced: &Announced, bytes_max: u64) -> Result<Fetched, FetchError> {
    // Asked for by name first: opening a FIFO would wait for its writer.
    let before = fs::metadata(path).map_err(refused_file)?;
    if !before.is_file() {
        return Err(FetchError::Withheld { problem: "it is not a regular file".into() });
    }
    let etag = file_etag(&before);
    if let Some(announced) = announced.etag.as_ref().filter(|announced| **announced != etag) {
        return Err(FetchError::Replaced { announced: announced.clone() });
    }
    if before.len() > bytes_max {
        return Err(FetchError::TooLarge { bytes: before.len(), limit: bytes_max });
    }
    let mut body = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    // One byte more than there should be: enough to notice a file that grows.
    let mut file = fs::File::open(path).map_err(refused_file)?.take(before.len() + 1);
    file.read_to_end(&mut body).map_err(refused_file)?;
    let after = file.into_inner().metadata().map_err(refused_file)?;
    if body.len() as u64 != before.len() || file_etag(&after) != etag {
        return Err(FetchError::Unavailable { problem: "it changed while it was read".into() });
    }
    let content_hash = Sha256::digest(&body).into();
    let generation = Generation { version_id: None, etag: Some(etag), bytes: before.len(), content_hash };
    Ok(Fetched { body, generation })
}

/// Length and modification time in nanoseconds, both in hexadecimal: what a folder has for an ETag.
pub(super) fn file_etag(file: &fs::Metadata) -> String {
    let modified = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", file.len(), age.as_nanos())
}

pub(super) fn refused_file(error: io::Error) -> FetchError {
    let problem = error.to_string();
    match error.kind() {
        // A folder in the middle of the path that is a file, or a name no file can have: there is no such file.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
            FetchError::Missing { problem }
        }
        io::ErrorKind::PermissionDenied => FetchError::Denied { problem },
        _ => FetchError::Unavailable { problem },
    }
}

/// What S3's refusal of a GET means (S3 API Reference, "GetObject" and "Error responses").
pub(super) fn refused_get(failure: &CallFailure, announced: &Announced) -> FetchError {
    let problem = failure.problem.clone();
    match failure.fault() {
        Fault::Passing => return FetchError::Unavailable { problem },
        // A request that can't even be made: of all that goes into it only the object's names differ from one to the next,
        // and whoever sends messages must not stop us with them.
        Fault::Setup if failure.unmade => return FetchError::Withheld { problem },
        Fault::Setup => return FetchError::Refused { problem },
        Fault::Request => {}
    }
    let code = failure.code.as_deref().unwrap_or_default();
    match (failure.status, code) {
        // Of the bucket too: any sender of a message can name a bucket that does not exist, and must not stop us with it.
        (Some(404), _) => FetchError::Missing { problem },
        // "If the specified version in the request is a delete marker, the response returns a 405 Method Not Allowed".
        (Some(405), _) => FetchError::Missing { problem: format!("it is a delete marker ({problem})") },
        (Some(412), _) => FetchError::Replaced { announced: announced.etag.clone().unwrap_or_default() },
        // Archived objects are 403 as well, but no permission helps: they have to be restored.
        (_, "InvalidObjectState") => FetchError::Withheld { problem },
        // GetObject: without s3:ListBucket a missing object is answered with 403 too.
        (Some(403), "AccessDenied") => FetchError::Denied {
            problem: format!("{problem} (or it does not exist, when s3:ListBucket is not granted)"),
        },
        (Some(401 | 403), _) => FetchError::Denied { problem },
        // A key of KMS that is disabled, deleted or not ours is 400.
        (_, code) if code.starts_with("KMS.") => FetchError::Denied { problem },
        (Some(301), _) => FetchError::Withheld { problem: format!("{problem} (AWS_REGION must be the bucket's)") },
        _ => FetchError::Withheld { problem },
    }
}
