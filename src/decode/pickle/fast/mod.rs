//! The fast path: rows that look like the rows before are read straight from the window, without stack or store.
//!
//! It reads ahead of the opcode that lists them, as rows that wait are read, and it reads a row whole or not at all: then
//! the machine reads that row, opcode by opcode. Both give the same rows.

mod keys;
mod parse;
mod plain;

use super::super::error::Fault;
use super::super::rows::Rows;
use super::keep::Keep;
use super::machine::Machine;
use super::opcode as op;
use keys::Keys;
use parse::Parse;

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

pub struct Fast {
    /// Of rows and of their ads.
    keys: [Keys; 2],
    enabled: bool,
    /// Rows in a row that could not be read, and how many are not even tried.
    failures: u32,
    rests: u32,
}

impl Fast {
    pub fn new(enabled: bool) -> Self {
        Self { keys: Default::default(), enabled, failures: 0, rests: 0 }
    }

    pub fn begin_dump(&mut self) {
        self.forget_gets();
        self.rests = 0;
    }

    /// A memo entry changed, or all did.
    pub fn forget_gets(&mut self) {
        self.keys.iter_mut().for_each(Keys::forget_gets);
    }

    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.rests = if self.failures > 3 { self.failures.min(RESTS_MAX) } else { 0 };
    }
}

/// How a try to read rows ended.
enum Ended {
    /// What comes next is no row, or one that the machine must read.
    Otherwise,
    /// More must be inflated to tell.
    Early,
}

impl Machine<'_> {
    pub(super) fn may_be_fast(nesting_max: usize, fields: &super::super::fields::Fields) -> bool {
        // A field that is read as `ads` and as something else has two values here.
        nesting_max >= NESTING_MIN && !fields.scalars().any(|field| field == fields.ads)
    }

    /// Between two rows of a list: reads those that follow, as far as they look as expected.
    pub(super) fn fast_rows(&mut self, list: u32, rows: &mut Rows) -> Result<(), Fault> {
        // The first row stays in the store: its list may be some row's `ads`.
        if !self.fast.enabled || self.store.length(list) == 0 || !self.memo.is_dense() {
            return Ok(());
        }
        if self.fast.rests > 0 {
            self.fast.rests -= 1;
            return Ok(());
        }
        self.begin_row();
        loop {
            match self.fast_rows_of_window(list, rows)? {
                Ended::Early if self.reader.grow(UNREAD_BYTES_MAX)? => {}
                Ended::Early | Ended::Otherwise => return Ok(()),
            }
        }
    }

    fn fast_rows_of_window(&mut self, list: u32, rows: &mut Rows) -> Result<Ended, Fault> {
        let listed_together = self.stack.marks() == 1;
        let keeps_parts = self.keep == Keep::Parts;
        let start = self.reader.offset();
        let frame = self.frame_end.map_or(u64::MAX, |end| end.saturating_sub(start));
        let window = self.reader.unread();
        let bytes = &window[..window.len().min(usize::try_from(frame).unwrap_or(usize::MAX))];
        let schema = rows.schema;
        let is_gapless = self.memo.is_gapless();
        let plain = schema.measures.len() <= plain::MEASURES_MAX && schema.media_key_chars_max >= NUMBER_CHARS_MAX;
        let mut parse = Parse {
            bytes,
            at: 0,
            memo: &mut self.memo,
            store: &mut self.store,
            fields: self.fields,
            keys: &mut self.fast.keys,
            text_bytes_max: self.limits.text_bytes_max,
            media_key_chars_max: schema.media_key_chars_max,
            window: &schema.window,
            is_gapless,
            keeps_parts,
            protocols: 0,
        };
        let mut read_to = 0;
        let mut result: Result<(), Fault> = Ok(());
        loop {
            let mark = parse.memo.mark();
            let (start, protocols) = (parse.at, parse.protocols);
            result = match plain.then(|| parse.plain_row(rows, listed_together)).flatten() {
                Some(accepted) => accepted,
                None => {
                    parse.memo.roll_back(mark);
                    parse.store.roll_back();
                    parse.at = start;
                    parse.protocols = protocols;
                    let read = parse.row(rows).and_then(|()| parse.ends_row(listed_together));
                    if read.is_none() {
                        parse.memo.roll_back(mark);
                        parse.store.roll_back();
                        break;
                    }
                    rows.end(parse.store)
                }
            };
            read_to = parse.at;
            result = result.and_then(|()| parse.store.count_element(list));
            if result.is_err() {
                break;
            }
            if keeps_parts {
                parse.store.set_mark();
            } else {
                parse.store.roll_back();
            }
            result = parse.memo.turn_pages(&mut parse.store.budget);
            if result.is_err() {
                break;
            }
            self.protocol = self.protocol.max(7 - (parse.protocols | 1).leading_zeros() as u8);
            self.fast.failures = 0;
        }
        let early = bytes.len() - read_to < AHEAD_BYTES && bytes.len() == window.len();
        self.memo_mark = self.memo.mark();
        self.reader.advance(read_to);
        if read_to > 0 && listed_together {
            self.stack.taken = true;
        }
        result?;
        if early {
            return Ok(Ended::Early);
        }
        if matches!(self.reader.peek(), Some(op::EMPTY_DICT | op::MARK)) {
            self.fast.failed();
        }
        Ok(Ended::Otherwise)
    }
}
