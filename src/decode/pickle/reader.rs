//! The inflated stream as the machine reads it: a window that moves on, and the place where it stands.

use super::super::error::{DecodeError, Fault, Limit, PickleFault};
use super::super::gzip::Inflate;
use super::budget::Budget;
use super::opcode::{self as op, Opcode};

/// What is inflated at a time: small enough to stay in the cache.
const WINDOW_BYTES: usize = 64 << 10;

pub struct Reader<'a> {
    pub source: Inflate<'a>,
    window: Vec<u8>,
    at: usize,
    end: usize,
    /// Offset of `window[0]` in the inflated stream.
    window_offset: u64,
    /// Of one text, bytes or number. The only bound on what is gathered into the window at once.
    text_bytes_max: usize,
    /// Where the current opcode stands.
    pub opcode_offset: u64,
    pub opcode: Option<Opcode>,
}

impl<'a> Reader<'a> {
    pub fn new(source: Inflate<'a>, text_bytes_max: usize) -> Self {
        Self {
            source,
            window: vec![0; WINDOW_BYTES],
            at: 0,
            end: 0,
            window_offset: 0,
            text_bytes_max,
            opcode_offset: 0,
            opcode: None,
        }
    }

    /// Offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.window_offset + self.at as u64
    }

    /// Whether the stream ends here; if so, it has been verified to its last byte.
    pub fn at_end(&mut self) -> Result<bool, Fault> {
        Ok(self.at == self.end && !self.fill()?)
    }

    /// The next byte, if it has been inflated already.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.window.get(self.at..self.end)?.first().copied()
    }

    /// Whether a dict begins here, as far as it has been inflated.
    pub fn begins_dict(&self) -> bool {
        matches!(self.unread(), [op::EMPTY_DICT, ..] | [op::MARK, op::DICT, ..])
    }

    /// What has been inflated and not read.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        self.window.get(self.at..self.end).unwrap_or_default()
    }

    /// Moves on by bytes of `unread`.
    pub fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.opcode = None;
        self.opcode_offset = self.offset();
    }

    /// Inflates more while less than `bytes_max` is unread. False when nothing came; why nothing comes is reported when
    /// what is unread has been read.
    pub fn grow(&mut self, bytes_max: usize) -> Result<bool, Fault> {
        if self.end - self.at >= bytes_max {
            return Ok(false);
        }
        match self.fill() {
            Err(_) if self.end > self.at => Ok(false),
            grown => grown,
        }
    }

    /// The next opcode's code. From here on errors are placed at it.
    pub fn opcode(&mut self) -> Result<u8, Fault> {
        self.opcode = None;
        self.opcode_offset = self.offset();
        let code = self.byte()?;
        self.opcode = Opcode::of(code);
        Ok(code)
    }

    pub fn byte(&mut self) -> Result<u8, Fault> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// The next `length` bytes. The length is the stream's word and not believed: the window grows with what arrives.
    pub fn bytes(&mut self, length: usize) -> Result<&[u8], Fault> {
        while self.end - self.at < length {
            if !self.fill()? {
                return Err(PickleFault::Truncated.into());
            }
        }
        self.at += length;
        Ok(&self.window[self.at - length..self.at])
    }

    /// As `bytes`, for lengths of text that the stream gives.
    pub fn text(&mut self, length: u64) -> Result<&[u8], Fault> {
        match usize::try_from(length) {
            Ok(length) if length <= self.text_bytes_max => self.bytes(length),
            _ => Err(Limit::TextBytes.into()),
        }
    }

    /// Appends the next `length` bytes to `out`, counting its growth before it grows.
    pub fn long_bytes(&mut self, length: u64, out: &mut Vec<u8>, budget: &mut Budget) -> Result<(), Fault> {
        let mut missing = length;
        while missing > 0 {
            if self.at == self.end && !self.fill()? {
                return Err(PickleFault::Truncated.into());
            }
            let step = (self.end - self.at).min(usize::try_from(missing).unwrap_or(usize::MAX));
            budget.extend_scattered(out, &self.window[self.at..self.at + step])?;
            self.at += step;
            missing -= step as u64;
        }
        Ok(())
    }

    /// The bytes up to the next line feed, which is skipped.
    pub fn line(&mut self) -> Result<&[u8], Fault> {
        let mut searched = 0;
        loop {
            let unread = &self.window[self.at..self.end];
            if let Some(length) = unread[searched..].iter().position(|&byte| byte == b'\n') {
                let length = searched + length;
                self.text(length as u64)?;
                self.at += 1;
                return Ok(&self.window[self.at - 1 - length..self.at - 1]);
            }
            searched = unread.len();
            if searched > self.text_bytes_max {
                return Err(Limit::TextBytes.into());
            }
            if !self.fill()? {
                return Err(PickleFault::Truncated.into());
            }
        }
    }

    /// Hands over a line of any length piece by piece, without the line feed. `take` says how much of a piece it took: all
    /// of the last one.
    pub fn long_line(&mut self, mut take: impl FnMut(&[u8], bool) -> Result<usize, Fault>) -> Result<(), Fault> {
        loop {
            let unread = &self.window[self.at..self.end];
            let length = unread.iter().position(|&byte| byte == b'\n');
            self.at += take(&unread[..length.unwrap_or(unread.len())], length.is_some())?;
            if length.is_some() {
                self.at += 1;
                return Ok(());
            }
            if !self.fill()? {
                return Err(PickleFault::Truncated.into());
            }
        }
    }

    /// Appends what the source has next to what is unread; false at the end.
    fn fill(&mut self) -> Result<bool, Fault> {
        if self.at > 0 {
            self.window.copy_within(self.at..self.end, 0);
            self.window_offset += self.at as u64;
            self.end -= self.at;
            self.at = 0;
        }
        if self.end == self.window.len() {
            self.window.resize(self.end * 2, 0);
        }
        let read = self.source.read(&mut self.window[self.end..])?;
        self.end += read;
        Ok(read > 0)
    }

    /// Completes a fault with the place of the current opcode.
    pub fn place(&self, fault: Fault, max: impl FnOnce(Limit) -> u64) -> DecodeError {
        let (offset, opcode) = (self.opcode_offset, self.opcode.map(|opcode| opcode.name));
        match fault {
            Fault::Pickle(fault) => DecodeError::Pickle { offset, opcode, fault },
            Fault::Limit(limit) => DecodeError::LimitExceeded { limit, max: max(limit), offset },
            Fault::Global { module, name } => {
                DecodeError::ForbiddenGlobal { module, name, offset, opcode: opcode.unwrap_or_default() }
            }
            Fault::Opcode => DecodeError::ForbiddenOpcode { offset, opcode: opcode.unwrap_or_default() },
            Fault::RowsChanged => DecodeError::RowsChangedLater { offset, opcode },
            Fault::Forgotten(_) => DecodeError::Defect { detail: "what is referred to was not kept".into() },
            Fault::Placed(error) => error,
        }
    }
}
