//! One S3 object (or one file of a local folder): its name and the generation of its content.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The ledger's primary key: SHA-256 of `bucket`, `/` and `key` in UTF-8.
///
/// A bucket name holds no `/`, so the text is unambiguous, and an operator can compute the id in SQL:
/// `UNHEX(SHA2(CONCAT(bucket, '/', object_key), 256))`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 32]);

impl ObjectId {
    pub fn of(bucket: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(bucket.as_bytes());
        hash.update(b"/");
        hash.update(key.as_bytes());
        Self(hash.finalize().into())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an event said of an object before anyone read it. Every part may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Announced {
    pub version_id: Option<String>,
    /// Without quotes.
    pub etag: Option<String>,
    /// S3's order of events on one key: hexadecimal, compared right-aligned.
    pub sequencer: Option<String>,
    pub bytes: Option<u64>,
    /// When it was created, or the event of that.
    pub event_at: Option<Timestamp>,
}

/// An object that was announced and is to be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    pub bucket: String,
    /// Decoded: the key as S3 knows it.
    pub key: String,
    pub announced: Announced,
}

impl ObjectRef {
    pub fn id(&self) -> ObjectId {
        ObjectId::of(&self.bucket, &self.key)
    }

    /// Whether both announce the same content: one read does for both.
    pub fn is_same_content(&self, other: &ObjectRef) -> bool {
        let content = |of: &ObjectRef| Announced { event_at: None, ..of.announced.clone() };
        self.bucket == other.bucket && self.key == other.key && content(self) == content(other)
    }
}

impl fmt::Display for ObjectRef {
    /// `s3://bucket/key`, or the file's path for an object of a local folder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who names an object may be anyone: a terminal must not obey the name.
        let key = printable(&self.key);
        match self.bucket.strip_prefix("file://") {
            Some(folder) => write!(f, "{}/{key}", printable(folder)),
            None => write!(f, "s3://{}/{key}", self.bucket),
        }
    }
}

/// `text` with its control characters escaped.
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// The content that a read really returned, as the store of objects named it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    pub version_id: Option<String>,
    /// Without quotes. A local file's is made of its length and modification time.
    pub etag: Option<String>,
    /// Of the body as stored, compressed.
    pub bytes: u64,
    /// SHA-256 of the body as stored.
    pub content_hash: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_the_sha_256_that_sql_computes() {
        // printf 'logs/2024/a b.pkl.gz' | sha256sum
        assert_eq!(
            ObjectId::of("logs", "2024/a b.pkl.gz").to_string(),
            "a737f7853e70a586c837b9d77418cba2803dbcc3a31b4069c133f2f86744508e"
        );
    }

    #[test]
    fn same_content_may_be_announced_at_different_times() {
        let announced = |etag: &str, second| Announced {
            etag: Some(etag.into()),
            event_at: Timestamp::from_second(second).ok(),
            ..Announced::default()
        };
        let object = |announced| ObjectRef { bucket: "b".into(), key: "k".into(), announced };
        assert!(object(announced("e", 1)).is_same_content(&object(announced("e", 2))));
        assert!(!object(announced("e", 1)).is_same_content(&object(announced("f", 1))));
    }
}
