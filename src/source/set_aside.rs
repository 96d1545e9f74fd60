//! Copying a failed object to where operators keep such objects, on the server's side: no byte of it passes through here.

use std::fmt;

use aws_sdk_s3::types::{MetadataDirective, TaggingDirective};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::{FailedObject, Generation, ObjectRef};

use super::aws::{CallFailure, Fault};
use super::fetch::{FOLDER_SCHEME, Objects};
use super::notification::{KEY_BYTES_MAX, is_bucket_name};

/// Where copies go: `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyTarget {
    pub bucket: String,
    pub prefix: String,
}

impl CopyTarget {
    /// Empty text: nowhere. The error is one sentence for the person who wrote it.
    pub fn parse(text: &str) -> Result<Option<CopyTarget>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let named = text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
        match named {
            Some((bucket, prefix)) if is_bucket_name(bucket) && !prefix.is_empty() => {
                Ok(Some(CopyTarget { bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
            }
            _ => Err(format!("`{text}`: write s3://bucket/prefix/, with a prefix, or nothing for no copies")),
        }
    }

    /// A copy of ours must not be counted, even where its bucket announces it: it is not a log that anyone wrote.
    pub fn holds(&self, object: &ObjectRef) -> bool {
        object.bucket == self.bucket && object.key.starts_with(&self.prefix)
    }

    /// One for each content of each object: the same content is copied to the same place again.
    fn key(&self, failed: &FailedObject, generation: &Generation) -> String {
        let of = generation.etag.as_deref().or(generation.version_id.as_deref()).unwrap_or("unknown");
        format!("{}{}/{}.{of}", self.prefix, failed.bucket, failed.key)
    }
}

/// Why no copy was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyError {
    /// No answer, throttled, a server error: it may be there the next time.
    pub is_passing: bool,
    pub problem: String,
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

/// Of the header `x-amz-copy-source`: everything but what S3's own examples leave as it is, the slash among it.
const SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Objects {
    /// Copies the very generation that was read; its new address. `None` where no copies are wanted, and for files of a
    /// local folder, which stay where they are.
    pub(super) async fn copy_aside(&self, failed: &FailedObject) -> Result<Option<String>, CopyError> {
        let (Some(target), Some(generation)) = (&self.copy_to, &failed.generation) else { return Ok(None) };
        if failed.bucket.is_empty() || failed.bucket.starts_with(FOLDER_SCHEME) {
            return Ok(None);
        }
        let refused = |problem: String| CopyError { is_passing: false, problem };
        let key = target.key(failed, generation);
        if key.len() > KEY_BYTES_MAX {
            return Err(refused(format!("the copy's key would have {} bytes, S3 allows {KEY_BYTES_MAX}", key.len())));
        }
        let source = utf8_percent_encode(&format!("{}/{}", failed.bucket, failed.key), SOURCE).to_string();
        let version = generation.version_id.as_deref().filter(|version| *version != "null");
        let source = version.map_or(source.clone(), |version| format!("{source}?versionId={version}"));
        let condition = generation.etag.as_ref().map(|etag| format!("\"{etag}\""));
        let copy = self.s3().map_err(|error| refused(error.to_string()))?.copy_object();
        let copy = copy.bucket(&target.bucket).key(&key).copy_source(source).set_copy_source_if_match(condition);
        // Metadata of HTTP is ASCII.
        let ascii = |text: &str| utf8_percent_encode(text, SOURCE).to_string();
        let copy = copy
            .metadata_directive(MetadataDirective::Replace)
            // Tags of the producer would need permissions of their own, to read and to write.
            .tagging_directive(TaggingDirective::Replace)
            .content_type("application/octet-stream")
            .metadata("xc2-kind", failed.kind.name())
            .metadata("xc2-bucket", ascii(&failed.bucket))
            .metadata("xc2-key", ascii(&failed.key))
            .metadata("xc2-etag", ascii(generation.etag.as_deref().unwrap_or_default()))
            .metadata("xc2-version", ascii(generation.version_id.as_deref().unwrap_or_default()));
        copy.send().await.map_err(|error| {
            let failure = CallFailure::of(&error);
            CopyError { is_passing: failure.fault() == Fault::Passing, problem: failure.problem }
        })?;
        Ok(Some(format!("s3://{}/{key}", target.bucket)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("s3://kept/broken/", "kept", "broken/")]
    #[case(" s3://kept/a/b ", "kept", "a/b")]
    fn target_is_a_bucket_and_a_prefix(#[case] text: &str, #[case] bucket: &str, #[case] prefix: &str) {
        let expected = CopyTarget { bucket: bucket.into(), prefix: prefix.into() };
        assert_eq!(CopyTarget::parse(text), Ok(Some(expected)));
    }

    #[rstest]
    #[case("s3://kept")] // all of a bucket would never be counted
    #[case("s3://kept/")]
    #[case("s3://a b/c")]
    #[case("/var/kept")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert!(CopyTarget::parse(text).unwrap_err().contains("write s3://bucket/prefix/"));
    }

    #[test]
    fn nothing_is_nowhere() {
        assert_eq!(CopyTarget::parse(" "), Ok(None));
    }
}
