//! Why an object (or a message) was set aside: one row of `failed_object`.

use std::fmt;

use super::Generation;

macro_rules! failure_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $advice:literal;)+) => {
        /// The kinds of failure, as stored in `failed_object.kind` and as alerts are grouped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FailureKind { $($(#[$doc])* $variant,)+ }

        impl FailureKind {
            pub const ALL: &[FailureKind] = &[$(FailureKind::$variant,)+];

            pub fn name(self) -> &'static str {
                match self { $(FailureKind::$variant => $name,)+ }
            }

            /// What an operator can do about it.
            pub fn advice(self) -> &'static str {
                match self { $(FailureKind::$variant => $advice,)+ }
            }
        }
    };
}

failure_kinds! {
    /// The message body is not a notification that we know.
    Notification = "notification", "look at the message body: who else writes to this queue?";
    /// S3 has no such object (any more).
    Missing = "missing", "ask the producer to upload the object again; its new event will count it, or retry it then";
    /// Reading the object is not allowed.
    Denied = "denied", "grant s3:GetObject on the object (and kms:Decrypt on its key), then retry it";
    /// S3 answers, yet never with this object.
    Unreachable = "unreachable", "read the object by hand; when that works, retry it";
    /// The announced generation was replaced before it could be read.
    Replaced = "replaced", "nothing, when the new upload's own event has counted the object; otherwise retry it";
    /// The object was counted before, with other content.
    Overwritten = "overwritten", "the first content is in the reports; find out which of the two is right";
    /// More bytes than the configured limits allow, compressed or inflated.
    TooLarge = "too_large", "raise the limit that the reason names, when the object is honest, and retry it";
    /// The gzip stream is damaged or ends early.
    Gzip = "gzip", "ask the producer to upload the object again";
    /// The pickle is damaged, ends early, or holds no rows.
    Pickle = "pickle", "ask the producer to write it again; the reason says where it breaks";
    /// The pickle asks for code or for Python objects that no log row needs.
    Forbidden = "forbidden", "do not unpickle this object in Python; find out who wrote it";
    /// More rows were rejected than `max_reject_ratio` allows.
    Rejects = "rejects", "see the reasons with `inspect`; correct the producer or the limit, then retry it";
    /// Sums of the object do not fit the report's columns.
    Overflow = "overflow", "see the rollup with `inspect`: one of its numbers can't be true";
    /// The decoder itself failed: a defect of this program.
    Defect = "defect", "keep the object and report it to the developers of xc2-analyzer";
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An object set aside, with everything needed to find, judge and retry it.
#[derive(Clone, Debug)]
pub struct FailedObject {
    /// Empty when the message named no object.
    pub bucket: String,
    /// `message:` and the message id when the message named no object.
    pub key: String,
    /// What the read returned, or, when there was none, what the event announced.
    pub generation: Option<Generation>,
    pub kind: FailureKind,
    /// One sentence: what happened, at which offset. Never row contents.
    pub reason: String,
    /// How often the queue had delivered it when it failed.
    pub attempts: u32,
    /// The message that announced it, as received.
    pub message_body: String,
    pub trace: Trace,
    pub copy: Copied,
}

/// Whether a failed object's content was copied to where operators keep such objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Copied {
    /// Nobody asked for it, or there was no content to copy.
    #[default]
    Not,
    /// There it is.
    To(String),
    /// It should have been.
    Failed { problem: String },
}

/// Where in the data's way an object failed: for alerts and logs, not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Empty when no message announced it.
    pub message_id: String,
    /// The batch that a worker took it in; none when it did not come that far.
    pub batch_id: Option<String>,
    /// The byte at which it breaks, when it is a byte that is at fault.
    pub offset: Option<u64>,
}
