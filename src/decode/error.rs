//! Why an object could not be turned into rows. Every error carries facts; none carries row contents.

use std::fmt;

use super::pickle::Keep;
use crate::model::{Disposition, FailureKind};

/// Why an object could not be turned into rows. Nothing the sink saw before it may be counted.
///
/// An `offset` counts bytes of the inflated stream, from 0 over all dumps; in [`DecodeError::Gzip`] it counts bytes
/// of the body as stored. Where an opcode is at fault, the offset is the opcode's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Zero bytes, or a gzip stream of zero bytes.
    #[error("the object is empty")]
    Empty,
    #[error("the object exceeds {limit} ({max}) at byte {offset}")]
    LimitExceeded { limit: Limit, max: u64, offset: u64 },
    #[error("the gzip stream {fault} at byte {offset} of the file")]
    Gzip { offset: u64, fault: GzipFault },
    /// `opcode` is absent where the next opcode itself could not be read.
    #[error("the pickle {fault} at byte {offset}{}", InOpcode(*opcode))]
    Pickle { offset: u64, opcode: Option<&'static str>, fault: PickleFault },
    /// The pickle asks for a Python object that no log row needs. It was not made, and nothing was run.
    #[error("the pickle asks for `{}.{}` at byte {offset} ({opcode})", module.escape_debug(), name.escape_debug())]
    ForbiddenGlobal { module: String, name: String, offset: u64, opcode: &'static str },
    /// The pickle asks for an object in a way that no log row needs (an extension code, a persistent id, a state to
    /// set).
    #[error("the pickle asks for an object through {opcode} at byte {offset}, which no log row needs")]
    ForbiddenOpcode { offset: u64, opcode: &'static str },
    /// The top level of a dump is neither a list, a tuple nor a dict.
    #[error("the pickle that ends at byte {offset} holds {found} where rows should be")]
    NoRows { found: &'static str, offset: u64 },
    /// A dict of columns of which one is no column, or of another length than the others.
    #[error("the dict of columns that ends at byte {offset} does not hold equally long lists")]
    UnequalColumns { offset: u64 },
    /// Rows that have left in a batch are changed, or turn out not to be the top level. No Python pickler writes that.
    #[error("the pickle changes rows after it has listed them, at byte {offset}{}", InOpcode(*opcode))]
    RowsChangedLater { offset: u64, opcode: Option<&'static str> },
    /// The decoder contradicts itself.
    #[error("the decoder failed: {detail}")]
    Defect { detail: String },
}

impl DecodeError {
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::LimitExceeded { .. } => FailureKind::TooLarge,
            Self::Gzip { .. } => FailureKind::Gzip,
            Self::ForbiddenGlobal { .. } | Self::ForbiddenOpcode { .. } => FailureKind::Forbidden,
            Self::Empty
            | Self::Pickle { .. }
            | Self::NoRows { .. }
            | Self::UnequalColumns { .. }
            | Self::RowsChangedLater { .. } => FailureKind::Pickle,
            Self::Defect { .. } => FailureKind::Defect,
        }
    }

    /// The byte that is at fault, when one is.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::LimitExceeded { offset, .. }
            | Self::Gzip { offset, .. }
            | Self::Pickle { offset, .. }
            | Self::ForbiddenGlobal { offset, .. }
            | Self::ForbiddenOpcode { offset, .. }
            | Self::NoRows { offset, .. }
            | Self::UnequalColumns { offset }
            | Self::RowsChangedLater { offset, .. } => Some(*offset),
            Self::Empty | Self::Defect { .. } => None,
        }
    }

    /// Always the object's own fault: the same bytes will fail the same way the next time.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Empty
            | Self::LimitExceeded { .. }
            | Self::Gzip { .. }
            | Self::Pickle { .. }
            | Self::ForbiddenGlobal { .. }
            | Self::ForbiddenOpcode { .. }
            | Self::NoRows { .. }
            | Self::UnequalColumns { .. }
            | Self::RowsChangedLater { .. }
            | Self::Defect { .. } => Disposition::Quarantine,
        }
    }
}

struct InOpcode(Option<&'static str>);

impl fmt::Display for InOpcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |opcode| write!(f, " ({opcode})"))
    }
}

/// The limit that was exceeded, by its name in [`crate::model::Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    #[error("object_bytes_max")]
    ObjectBytes,
    #[error("inflated_bytes_max")]
    InflatedBytes,
    #[error("inflate_ratio_max")]
    InflateRatio,
    #[error("rows_max")]
    Rows,
    #[error("nesting_max")]
    Nesting,
    #[error("text_bytes_max")]
    TextBytes,
    #[error("decoder_bytes_max")]
    DecoderBytes,
}

/// What is wrong with a gzip stream (RFC 1952).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GzipFault {
    #[error("ends early")]
    Truncated,
    #[error("has a damaged header")]
    Header,
    #[error("has damaged compressed data")]
    Deflate,
    #[error("does not match its checksum")]
    Checksum,
    #[error("does not match its stored length")]
    Length,
    #[error("is followed by bytes that are no gzip")]
    TrailingBytes,
}

/// What is wrong with a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleFault {
    #[error("ends early")]
    Truncated,
    #[error("has no opcode 0x{0:02x}")]
    UnknownOpcode(u8),
    #[error("is of protocol {0}, which is unknown")]
    UnknownProtocol(u8),
    #[error("takes a value that is not there")]
    StackUnderflow,
    #[error("needs a mark that is not there")]
    MarkMissing,
    #[error("refers to memo {0}, which is not set")]
    MemoMissing(u64),
    #[error("holds a number that is none")]
    BadNumber,
    #[error("holds text that is none")]
    BadText,
    #[error("has a negative length")]
    NegativeLength,
    #[error("has a frame that does not fit its opcodes")]
    Frame,
    #[error("has a key without a value")]
    OddItems,
    #[error("has a key that cannot be hashed")]
    UnhashableKey,
    #[error("needs {0} here")]
    WrongOperand(&'static str),
    /// An array, a frame or a part of one that contradicts itself.
    #[error("holds {0}")]
    BadObject(&'static str),
    #[error("needs a buffer that is not in the stream")]
    OutOfBand,
    /// A few bytes that ask for the same work over and over. No pickler writes that.
    #[error("asks for more work than its bytes are worth")]
    Repetition,
}

/// What a step of the decoder reports; the place is added where it is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    Pickle(PickleFault),
    Limit(Limit),
    Global {
        module: String,
        name: String,
    },
    Opcode,
    /// The object must be read again, with its rows held back until the end.
    RowsChanged,
    /// The object must be read again, and this much kept of its rows.
    Forgotten(Keep),
    /// Complete as it is.
    Placed(DecodeError),
}

impl From<PickleFault> for Fault {
    fn from(fault: PickleFault) -> Self {
        Self::Pickle(fault)
    }
}

impl From<Limit> for Fault {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Placed(error)
    }
}
