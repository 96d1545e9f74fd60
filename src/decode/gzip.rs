//! The body's bytes, inflated: gzip members one after the other, or plain bytes as they are.
//!
//! Formats: RFC 1952 (gzip) and RFC 1951 (deflate). As Python's `gzip` does, zero bytes after a member are skipped.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::error::{DecodeError, GzipFault, Limit};
use crate::model::Limits;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;
const DEFLATE: u8 = 8;
const FLAG_HEADER_CHECKSUM: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const FLAGS_RESERVED: u8 = 0b1110_0000;

/// Inflates a body piece by piece. Bytes that were handed out are only known to be right once `read` has returned 0.
pub(crate) struct Inflate<'a> {
    body: &'a [u8],
    /// The next byte of `body`.
    at: usize,
    state: State,
    deflate: Decompress,
    member_crc: Crc,
    pub members: u32,
    /// Handed out so far.
    pub inflated_bytes: u64,
    ceiling: Ceiling,
    /// Why nothing more comes. It may have been found behind bytes that are handed out first: a person wants to see them.
    failed: Option<DecodeError>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Plain,
    Header,
    Data,
    End,
}

/// The lower one of the two limits on inflated bytes.
struct Ceiling {
    bytes: u64,
    limit: Limit,
    max: u64,
}

impl Ceiling {
    fn of(body_bytes: usize, gzip: bool, limits: &Limits) -> Self {
        const FREE_BYTES: u64 = 1 << 20;
        let by_ratio = limits.inflate_ratio_max.saturating_mul(body_bytes as u64).saturating_add(FREE_BYTES);
        if gzip && by_ratio < limits.inflated_bytes_max {
            Self { bytes: by_ratio, limit: Limit::InflateRatio, max: limits.inflate_ratio_max }
        } else {
            Self { bytes: limits.inflated_bytes_max, limit: Limit::InflatedBytes, max: limits.inflated_bytes_max }
        }
    }
}

impl<'a> Inflate<'a> {
    pub fn new(body: &'a [u8], limits: &Limits) -> Self {
        // A pickle never begins with 0x1f: that is no opcode.
        let gzip = body.starts_with(&MAGIC);
        Self {
            body,
            at: 0,
            state: if gzip { State::Header } else { State::Plain },
            deflate: Decompress::new(false),
            member_crc: Crc::new(),
            members: 0,
            inflated_bytes: 0,
            ceiling: Ceiling::of(body.len(), gzip, limits),
            failed: None,
        }
    }

    /// Why nothing more comes: what the last `read` reported, or the next one will.
    pub fn failed(&self) -> Option<&DecodeError> {
        self.failed.as_ref()
    }

    /// Fills the start of `out` and says how far; 0 is the verified end. `out` is not empty.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let read = self.read_on(out);
        if let Err(error) = &read {
            // The first one counts: a damaged member may exceed a limit by what it gives last.
            return Err(self.failed.get_or_insert_with(|| error.clone()).clone());
        }
        read
    }

    fn read_on(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        let read = loop {
            match self.state {
                State::Plain => break self.copy(out),
                State::Header => self.header()?,
                State::Data => match self.data(out)? {
                    0 => {}
                    read => break read,
                },
                State::End => break 0,
            }
        };
        self.inflated_bytes += read as u64;
        if self.inflated_bytes > self.ceiling.bytes {
            let Ceiling { bytes, limit, max } = self.ceiling;
            return Err(DecodeError::LimitExceeded { limit, max, offset: bytes });
        }
        Ok(read)
    }

    /// Reads on to the end, for the sake of the checksums alone.
    pub fn verify(&mut self) -> Result<(), DecodeError> {
        let mut scratch = vec![0; 64 << 10];
        while self.read(&mut scratch)? > 0 {}
        Ok(())
    }

    /// More than this cannot be left: deflate makes no byte into more than 1032.
    pub fn rest_bytes_max(&self) -> u64 {
        const RATIO_MAX: u64 = 1032;
        (self.body.len() - self.at) as u64 * if self.state == State::Plain { 1 } else { RATIO_MAX }
    }

    fn copy(&mut self, out: &mut [u8]) -> usize {
        let rest = &self.body[self.at..];
        let read = rest.len().min(out.len());
        out[..read].copy_from_slice(&rest[..read]);
        self.at += read;
        read
    }

    fn data(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        let (in_before, out_before) = (self.deflate.total_in(), self.deflate.total_out());
        let status = self.deflate.decompress(&self.body[self.at..], out, FlushDecompress::None);
        let taken = (self.deflate.total_in() - in_before) as usize;
        let read = (self.deflate.total_out() - out_before) as usize;
        self.at += taken;
        self.member_crc.update(&out[..read]);
        let checked = match status {
            Ok(Status::StreamEnd) => self.trailer(),
            Ok(Status::Ok | Status::BufError) if taken == 0 && read == 0 => {
                let ended = self.at == self.body.len();
                Err(self.fault(if ended { GzipFault::Truncated } else { GzipFault::Deflate }))
            }
            Ok(Status::Ok | Status::BufError) => Ok(()),
            Err(_) => Err(self.fault(GzipFault::Deflate)),
        };
        match checked {
            Err(error) if read > 0 => self.failed = Some(error),
            checked => checked?,
        }
        Ok(read)
    }

    fn header(&mut self) -> Result<(), DecodeError> {
        let start = self.at;
        let fixed = self.take(HEADER_BYTES)?;
        let flags = fixed[3];
        if fixed[..2] != MAGIC || fixed[2] != DEFLATE || flags & FLAGS_RESERVED != 0 {
            self.at = start;
            return Err(self.fault(GzipFault::Header));
        }
        if flags & FLAG_EXTRA != 0 {
            let bytes = self.take(2)?;
            self.take(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))?;
        }
        for flag in [FLAG_NAME, FLAG_COMMENT] {
            if flags & flag != 0 {
                self.skip_text()?;
            }
        }
        if flags & FLAG_HEADER_CHECKSUM != 0 {
            let mut crc = Crc::new();
            crc.update(&self.body[start..self.at]);
            let stored = self.take(2)?;
            if u32::from(u16::from_le_bytes([stored[0], stored[1]])) != crc.sum() & 0xffff {
                return Err(self.fault(GzipFault::Header));
            }
        }
        self.members = self.members.saturating_add(1);
        self.deflate.reset(false);
        self.member_crc.reset();
        self.state = State::Data;
        Ok(())
    }

    fn trailer(&mut self) -> Result<(), DecodeError> {
        let start = self.at;
        let stored = self.take(TRAILER_BYTES)?;
        let crc = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
        let length = u32::from_le_bytes([stored[4], stored[5], stored[6], stored[7]]);
        let fault = if crc != self.member_crc.sum() {
            Some(GzipFault::Checksum)
        } else if length != self.deflate.total_out() as u32 {
            // The length is stored modulo 2^32.
            Some(GzipFault::Length)
        } else {
            None
        };
        if let Some(fault) = fault {
            self.at = start;
            return Err(self.fault(fault));
        }
        self.at += self.body[self.at..].iter().take_while(|&&byte| byte == 0).count();
        self.state = if self.at == self.body.len() {
            State::End
        } else if self.body[self.at..].starts_with(&MAGIC[..1]) {
            State::Header
        } else {
            return Err(self.fault(GzipFault::TrailingBytes));
        };
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], DecodeError> {
        match self.body[self.at..].get(..bytes) {
            Some(taken) => {
                self.at += bytes;
                Ok(taken)
            }
            None => {
                self.at = self.body.len();
                Err(self.fault(GzipFault::Truncated))
            }
        }
    }

    /// Skips text that a zero byte ends.
    fn skip_text(&mut self) -> Result<(), DecodeError> {
        let text = self.body[self.at..].iter().take_while(|&&byte| byte != 0).count();
        self.take(text + 1).map(|_| ())
    }

    fn fault(&self, fault: GzipFault) -> DecodeError {
        DecodeError::Gzip { offset: self.at as u64, fault }
    }
}
