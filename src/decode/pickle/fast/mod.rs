//! The fast path: rows that look like the rows before are read straight from the window, without stack or store.
//!
//! It reads ahead of the opcode that lists them, as rows that wait are read, and it reads a row whole or not at all: then
//! the machine reads that row, opcode by opcode. Both give the same rows.

mod elements;
mod fields;
mod keys;
mod row;
mod scan;
mod template;

use super::super::columns::{MEASURE, NUMBERS_MAX};
use super::super::error::Fault;
use super::super::fields::Fields;
use super::super::rows::Rows;
use super::keep::Keep;
use super::machine::Machine;
use super::opcode as op;
use crate::model::{Limits, LogSchema};
use elements::Runs;
use fields::Draft;
use keys::Keys;
use scan::{Scan, Step};
use template::Makes;

/// Where fewer bytes are left, a row that cannot be read may only be cut off.
const AHEAD_BYTES: usize = 4 << 10;
/// The window is not made larger for a row.
const UNREAD_BYTES_MAX: usize = 32 << 10;
/// Rows that are left to the machine without a try, at most, after many that could not be read.
const RESTS_MAX: u32 = 64;
/// The least that `nesting_max` must be: what is deeper here is left to the machine, which counts.
const NESTING_MIN: usize = 16;

/// What the longest integer of 64 bits has.
const NUMBER_CHARS_MAX: usize = 20;

/// What has been learnt of an object's rows.
pub struct Fast {
    enabled: bool,
    /// Of rows and of their ads.
    keys: [Keys; 2],
    rows: Makes,
    /// Of `ads` outside of rows.
    ads: Makes,
    /// Of the texts that keys and templates name.
    epoch: u32,
    pub(super) runs: Runs,
    /// Lends its memory.
    trace: Vec<Step>,
    /// Rows in a row that could not be read, and how many are not even tried.
    failures: u32,
    rests: u32,
}

impl Fast {
    pub fn new(schema: &LogSchema, fields: &Fields, limits: &Limits) -> Self {
        // A field of two roles would have two values here.
        let has_clear_roles = fields.scalars().all(|field| field != fields.ads)
            && fields.of_row().all(|field| !fields.ids.contains(&field));
        let enabled = has_clear_roles
            && limits.nesting_max >= NESTING_MIN
            && MEASURE + schema.measures.len() <= NUMBERS_MAX
            && schema.media_key_chars_max >= NUMBER_CHARS_MAX;
        Self {
            enabled,
            keys: Default::default(),
            rows: Makes::default(),
            ads: Makes::default(),
            runs: Runs::default(),
            epoch: 0,
            trace: Vec::new(),
            failures: 0,
            rests: 0,
        }
    }

    /// The memo is empty again, and texts may be of another epoch.
    pub fn begin_dump(&mut self, epoch: u32) {
        self.runs.begin_dump();
        self.forget_gets();
        if epoch != self.epoch {
            self.keys.iter_mut().for_each(Keys::clear);
            self.forget_makes();
            self.epoch = epoch;
        }
    }

    /// A memo entry changed, or all did.
    pub fn forget_gets(&mut self) {
        if self.keys.iter().any(Keys::has_gets) {
            self.keys.iter_mut().for_each(Keys::forget_gets);
            self.forget_makes();
        }
    }

    fn forget_makes(&mut self) {
        self.rows.clear();
        self.ads.clear();
    }

    fn is_to_try(&mut self) -> bool {
        let rests = self.rests > 0;
        self.rests = self.rests.saturating_sub(1);
        self.enabled && !rests
    }

    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.rests = if self.failures > 3 { self.failures.min(RESTS_MAX) } else { 0 };
    }
}

/// What must come after a row.
#[derive(Clone, Copy, PartialEq)]
enum After {
    /// Another row or the opcode that lists them all.
    Listed,
    /// Another row or the opcode that makes them a tuple.
    InTuple,
    /// The opcode that lists this one.
    Append,
    Stop,
}

impl After {
    /// Where the row that ends at a place ends with what is its own of that.
    fn end(self, bytes: &[u8], at: usize) -> Option<usize> {
        match (self, *bytes.get(at)?) {
            (After::Listed, op::EMPTY_DICT | op::APPENDS) | (After::InTuple, op::EMPTY_DICT | op::TUPLE) => Some(at),
            (After::InTuple, op::MARK) if bytes.get(at + 1) == Some(&op::DICT) => Some(at),
            (After::Append, op::APPEND) | (After::Stop, op::STOP) => Some(at + 1),
            _ => None,
        }
    }
}

impl Machine<'_> {
    /// Between two rows of a list: reads those that follow, as far as they look as expected.
    pub(super) fn fast_rows(&mut self, list: u32, rows: &mut Rows) -> Result<(), Fault> {
        // The first row stays in the store: its list may be some row's `ads`.
        if self.store.length(list) == 0 || !self.memo.is_dense() || !self.fast.is_to_try() {
            return Ok(());
        }
        let after = match self.stack.marks() {
            1 if self.top_level.tuple().is_some() => After::InTuple,
            1 => After::Listed,
            _ => After::Append,
        };
        loop {
            self.begin_row();
            let read = self.fast_rows_of_window(after, 0, rows)?;
            if read.rows > 0 {
                self.stack.taken = after != After::Append;
                self.store.count_elements(list, read.rows)?;
            }
            if !read.is_early {
                break;
            }
            if !self.reader.grow(UNREAD_BYTES_MAX)? {
                return Ok(());
            }
        }
        if matches!(self.reader.peek(), Some(op::EMPTY_DICT | op::MARK)) {
            self.fast.failed();
        }
        Ok(())
    }

    /// At the start of a dump: reads one that is a row and nothing else.
    pub(super) fn fast_dump(&mut self, rows: &mut Rows) -> Result<bool, Fault> {
        if !self.fast.is_to_try() {
            return Ok(false);
        }
        if self.reader.unread().len() < AHEAD_BYTES {
            self.reader.grow(UNREAD_BYTES_MAX)?;
        }
        let bytes = self.reader.unread();
        let (mut at, mut protocol, mut frame_end) = (0, 0, None);
        if let [op::PROTO, named @ 0..=op::PROTOCOL_MAX, ..] = *bytes {
            (at, protocol) = (2, named);
        }
        if bytes.get(at) == Some(&op::FRAME) {
            let Some(length) = bytes.get(at + 1..).and_then(|length| length.first_chunk()) else { return Ok(false) };
            protocol = protocol.max(4);
            at += 9;
            // One that ends beyond all offsets is the machine's to refuse.
            let length = u64::from_le_bytes(*length);
            let Some(end) = (self.reader.offset() + at as u64).checked_add(length) else { return Ok(false) };
            frame_end = Some(end);
        }
        if !matches!(bytes.get(at..), Some([op::EMPTY_DICT, ..] | [op::MARK, op::DICT, ..])) {
            return Ok(false);
        }
        self.frame_end = frame_end;
        let read = self.fast_rows_of_window(After::Stop, at, rows)?;
        if read.rows > 0 {
            self.protocol = self.protocol.max(protocol);
        }
        self.frame_end = None;
        if read.rows == 0 {
            self.fast.failed();
        }
        Ok(read.rows > 0)
    }

    /// Reads the rows that begin at a place of what is unread, and goes on behind them.
    fn fast_rows_of_window(&mut self, after: After, from: usize, rows: &mut Rows) -> Result<Read, Fault> {
        let frame_bytes = self.frame_end.map_or(u64::MAX, |end| end.saturating_sub(self.reader.offset()));
        let unread = self.reader.unread();
        // A list goes on behind its frame, a dump ends with it.
        let frame_bytes = usize::try_from(frame_bytes).unwrap_or(usize::MAX);
        let is_cut_by_frame = after != After::Stop && frame_bytes < unread.len();
        let bytes = if is_cut_by_frame { &unread[..frame_bytes] } else { unread };
        let mut scan = Scan {
            bytes,
            at: 0,
            is_gapless: self.memo.is_gapless(),
            memo: &mut self.memo,
            store: &mut self.store,
            fields: self.fields,
            text_bytes_max: self.limits.text_bytes_max,
            media_key_chars_max: rows.schema.media_key_chars_max,
            window: &rows.schema.window,
            keeps_parts: self.keep == Keep::Parts,
            protocols: 0,
            trace: std::mem::take(&mut self.fast.trace),
        };
        let Fast { keys, rows: makes, .. } = &mut self.fast;
        let mut read = Read { rows: 0, is_early: false };
        let (mut start, mut read_to) = (from, 0);
        let mut failed = None;
        loop {
            let (mark, protocols) = (scan.memo.mark(), scan.protocols);
            let mut draft = Draft::new(rows.draft());
            let row_end = makes.read(&mut scan, start, &mut draft, mark, |scan, draft| scan.row(keys, start, draft));
            let end = row_end.and_then(|row_end| after.end(bytes, row_end));
            // A dump is no longer than its frame says, and no shorter.
            let end = end.filter(|&end| after != After::Stop || self.frame_end.is_none() || end == frame_bytes);
            let (Some(row_end), Some(end), true) = (row_end, end, draft.has_timestamp) else {
                scan.undo(mark);
                scan.protocols = protocols;
                break;
            };
            makes.learn(&scan, start, row_end);
            (start, read_to) = (end, end);
            read.rows += 1;
            if let Err(fault) = rows.accept(scan.store) {
                failed = Some(fault);
                break;
            }
            if let Err(fault) = scan.end_row() {
                failed = Some(fault);
                break;
            }
            if after == After::Stop {
                break;
            }
        }
        read.is_early = bytes.len() - read_to < AHEAD_BYTES && !is_cut_by_frame;
        if read.rows > 0 {
            self.protocol = self.protocol.max(7 - (scan.protocols | 1).leading_zeros() as u8);
            self.fast.failures = 0;
        }
        self.fast.trace = scan.trace;
        self.memo_mark = self.memo.mark();
        self.reader.advance(read_to);
        failed.map_or(Ok(read), Err)
    }
}

/// What was read of a window.
struct Read {
    rows: u32,
    /// What comes next may only be cut off.
    is_early: bool,
}
