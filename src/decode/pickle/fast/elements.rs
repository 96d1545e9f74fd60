//! What columns are made of, outside of rows that leave at once: runs of numbers, texts and lists of ads, straight from the
//! window to the stack.
//!
//! It does what the machine would do, opcode by opcode, but for `ads`: those become their ids, and the list, the dicts in
//! it and the JSON text are not kept. Where something is to be done with them that asks for more, the object is read again.

use super::super::super::ads_json;
use super::super::super::columns::{NUMBERS_MAX, Numbers};
use super::super::super::error::Fault;
use super::super::super::rows::{MediaKey, Rows};
use super::super::intern::SHORT_BYTES_MAX;
use super::super::keep::Keep;
use super::super::machine::Machine;
use super::super::memo::Word;
use super::super::opcode as op;
use super::super::stack::Stack;
use super::super::text;
use super::super::value::Value;
use super::fields::Draft;
use super::keys::word_at;
use super::scan::{Scan, is_text};
use super::{AHEAD_BYTES, Fast, NESTING_MIN, RESTS_MAX, UNREAD_BYTES_MAX};

/// Numbers that are appended together.
const DECIMALS_MAX: usize = 64;

/// Where runs are tried.
#[derive(Default)]
pub struct Runs {
    /// At so many marks the machine had to go on with a run.
    marks: Option<usize>,
    failures: u32,
    rests: u32,
}

impl Runs {
    /// Whether a run may begin after an opcode, at some number of marks.
    #[inline]
    pub fn may_begin(&self, code: u8, marks: usize) -> bool {
        matches!(code, op::MARK | op::APPEND) || self.marks == Some(marks)
    }

    pub fn begin_dump(&mut self) {
        self.marks = None;
    }

    fn is_to_try(&mut self) -> bool {
        let rests = self.rests > 0;
        self.rests = self.rests.saturating_sub(1);
        !rests
    }

    fn ended(&mut self, marks: usize, bytes: usize) {
        self.marks = Some(marks);
        self.failures = if bytes > 0 { 0 } else { self.failures.saturating_add(1) };
        self.rests = if self.failures > 3 { self.failures.min(RESTS_MAX) } else { 0 };
    }
}

impl Machine<'_> {
    /// Reads what follows, as far as it is plain.
    pub(in super::super) fn fast_elements(&mut self, rows: &Rows) -> Result<(), Fault> {
        if self.keep == Keep::Everything
            || !self.fast.enabled
            || self.top_level.streamed().is_some()
            || !self.memo.is_dense()
            || self.stack.marks() + NESTING_MIN > self.limits.nesting_max
            || !self.reader.peek().is_some_and(begins)
            || !self.fast.runs.is_to_try()
        {
            return Ok(());
        }
        let mut bytes = 0;
        loop {
            let (read, is_early) = self.elements_of_window(rows)?;
            bytes += read;
            if !is_early || !self.reader.grow(UNREAD_BYTES_MAX)? {
                break;
            }
        }
        self.fast.runs.ended(self.stack.marks(), bytes);
        Ok(())
    }

    /// Reads what is plain in the window; says how many bytes that were, and whether what comes next may only be cut off.
    fn elements_of_window(&mut self, rows: &Rows) -> Result<(usize, bool), Fault> {
        let frame_bytes = self.frame_end.map_or(u64::MAX, |end| end.saturating_sub(self.reader.offset()));
        let unread = self.reader.unread();
        let frame_bytes = usize::try_from(frame_bytes).unwrap_or(usize::MAX);
        let bytes = &unread[..unread.len().min(frame_bytes)];
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
        let (mut read, mut numbers) = (0, [0; NUMBERS_MAX]);
        while scan.part(&mut self.fast, &mut self.stack, &mut numbers).is_some() {
            read = scan.at;
        }
        let turned = scan.memo.turn_pages(&mut scan.store.budget);
        let is_early = bytes.len() - read < AHEAD_BYTES && bytes.len() < frame_bytes;
        self.protocol = self.protocol.max(7 - (scan.protocols | 1).leading_zeros() as u8);
        self.fast.trace = scan.trace;
        self.reader.advance(read);
        turned.map(|()| (read, is_early))
    }
}

/// Whether a run may begin with an opcode.
fn begins(code: u8) -> bool {
    matches!(code, op::BININT1 | op::BININT2 | op::BININT | op::LONG1 | op::BINFLOAT | op::INT | op::LONG | op::FLOAT)
        || matches!(code, op::NONE | op::NEWTRUE | op::NEWFALSE | op::BINGET | op::LONG_BINGET | op::GET)
        || matches!(code, op::MARK | op::EMPTY_LIST)
        || is_text(code)
        || is_put(code)
}

fn is_put(code: u8) -> bool {
    matches!(code, op::MEMOIZE | op::BINPUT | op::LONG_BINPUT | op::PUT)
}

impl Scan<'_> {
    /// Reads an opcode, or several that make one element. `None` where the machine must go on; then nothing has happened.
    #[inline]
    fn part(&mut self, fast: &mut Fast, stack: &mut Stack, numbers: &mut Numbers) -> Option<()> {
        let (start, protocols) = (self.at, self.protocols);
        let done = match self.peek()? {
            op::BININT1 | op::BININT2 | op::BININT => return self.small_integers(stack),
            op::BINFLOAT => return self.floats(stack),
            op::SHORT_BINUNICODE => self.short_text(stack).or_else(|| self.other_element(op::SHORT_BINUNICODE, stack)),
            op::APPEND => self.append(stack),
            code @ (op::INT | op::FLOAT) => self.decimals(stack).or_else(|| self.other_element(code, stack)),
            code if is_put(code) => self.put_top(stack),
            op::EMPTY_LIST => self.ads_to_ids(fast, stack, numbers),
            op::MARK if self.is_old_start(op::LIST) => self.ads_to_ids(fast, stack, numbers),
            code if begins(code) && code != op::MARK => self.other_element(code, stack),
            _ => None,
        };
        if done.is_none() {
            (self.at, self.protocols) = (start, protocols);
        }
        done
    }

    /// One integer and those that follow.
    fn small_integers(&mut self, stack: &mut Stack) -> Option<()> {
        let first = self.at;
        while let Some(word) = word_at(self.bytes, self.at) {
            let operand = word >> 8;
            let (integer, length) = match word as u8 {
                op::BININT1 => (i64::from(operand as u8), 2),
                op::BININT2 => (i64::from(operand as u16), 3),
                op::BININT => (i64::from(operand as i32), 5),
                _ => break,
            };
            if stack.push(Value::Int(integer), &mut self.store.budget).is_err() {
                break;
            }
            self.at += length;
        }
        if self.at > first {
            self.protocols |= 1 << 1;
            return Some(());
        }
        // At the window's end there is less than a word.
        let value = self.value()?;
        if stack.push(value, &mut self.store.budget).is_err() {
            self.at = first;
            return None;
        }
        Some(())
    }

    fn floats(&mut self, stack: &mut Stack) -> Option<()> {
        let first = self.at;
        while let Some((&op::BINFLOAT, rest)) = self.bytes.get(self.at..)?.split_first() {
            let Some(&operand) = rest.first_chunk() else { break };
            if stack.push(Value::Float(f64::from_be_bytes(operand)), &mut self.store.budget).is_err() {
                break;
            }
            self.at += 9;
        }
        self.protocols |= 1 << 1;
        (self.at > first).then_some(())
    }

    /// Numbers in decimal, each of which is appended to the list on top at once.
    fn decimals(&mut self, stack: &mut Stack) -> Option<()> {
        let Ok(Value::List(list)) = stack.top() else { return None };
        let (start, mut numbers, mut length) = (self.at, [Value::None; DECIMALS_MAX], 0);
        while let Some(slot) = numbers.get_mut(length) {
            let Some((number, end)) = self.decimal_value() else { break };
            if self.bytes.get(end) != Some(&op::APPEND) {
                break;
            }
            *slot = number;
            length += 1;
            self.at = end + 1;
        }
        if length == 0 {
            return None;
        }
        let appended = self.store.append_all(list, &numbers[..length]);
        if appended.is_err() {
            self.at = start;
        }
        appended.ok()
    }

    /// A number in decimal, and where it ends.
    fn decimal_value(&mut self) -> Option<(Value, usize)> {
        let start = self.at;
        match self.peek()? {
            op::INT => self.decimal(start).map(|(number, end)| (Value::Int(number), end)),
            op::FLOAT => {
                let float = text::float(self.line()?);
                let end = std::mem::replace(&mut self.at, start);
                Some((Value::Float(float.ok()?), end))
            }
            _ => None,
        }
    }

    /// A text of up to eight bytes that is known, and its memo opcode.
    #[inline]
    fn short_text(&mut self, stack: &mut Stack) -> Option<()> {
        let start = self.at;
        let length = usize::from(*self.bytes.get(start + 1)?);
        let text = self.bytes.get(start + 2..start + 2 + length)?;
        if length > SHORT_BYTES_MAX || self.fields.find(text).is_some() {
            return None;
        }
        if self.store.keeps_states && self.fields.find_state(text).is_some() {
            return None;
        }
        let mask = u64::MAX.checked_shr(8 * (SHORT_BYTES_MAX - length) as u32).unwrap_or(0);
        let name = self.store.known_short(word_at(self.bytes, start + 2)? & mask, length)?;
        stack.push(Value::Text(self.store.interned(name.number)), &mut self.store.budget).ok()?;
        self.protocols |= 1 << 4;
        // Where the entry is not simply the next one, the machine sets it.
        let end = start + 2 + length;
        self.at = self.memoize(end, Word::of_text(name)).unwrap_or(end);
        Some(())
    }

    fn other_element(&mut self, code: u8, stack: &mut Stack) -> Option<()> {
        let value = match code {
            _ if !is_text(code) => self.value()?,
            _ => self.json(code).or_else(|| self.text(code))?,
        };
        self.protocols |= 1 << op::Opcode::of(code)?.protocol;
        stack.push(value, &mut self.store.budget).ok()
    }

    /// Text that can only be some row's `ads`. There are no escapes in it, so it means what its bytes say.
    fn json(&mut self, code: u8) -> Option<Value> {
        let start = self.at;
        let value = self.flat_json(code);
        if value.is_none() {
            self.at = start;
        }
        value
    }

    fn flat_json(&mut self, code: u8) -> Option<Value> {
        if self.keeps_parts {
            return None;
        }
        let text = match code {
            op::UNICODE => self.line()?,
            op::STRING => match self.line()?.trim_ascii() {
                [first @ (b'\'' | b'"'), text @ .., last] if first == last => text,
                _ => return None,
            },
            _ => self.sized(code)?,
        };
        if !text.starts_with(b"[{") || self.fields.find(text).is_some() {
            return None;
        }
        let ids = ads_json::flat(text, self.fields)?;
        self.store.add_ads(ids).ok().map(Value::JsonAds)
    }

    /// The memo opcode at hand, where it sets the next entry.
    fn put_top(&mut self, stack: &Stack) -> Option<()> {
        let value = stack.top().ok()?;
        if let Some(word) = Word::of(value) {
            return self.put(word);
        }
        let mark = self.memo.mark();
        let word = self.memo.word_of(value, &mut self.store.budget).ok()?;
        let done = self.put(word);
        if done.is_none() {
            self.memo.roll_back(mark);
        }
        done
    }

    /// APPEND of what takes nothing but its place.
    fn append(&mut self, stack: &mut Stack) -> Option<()> {
        let from = stack.height_without(1).ok()?;
        let (Value::List(list), &[item]) = (stack.below(from).ok()?, stack.from(from)) else { return None };
        if matches!(item, Value::List(_) | Value::Dict(_) | Value::Tuple(_) | Value::Ads(_) | Value::Payload(_)) {
            return None;
        }
        self.store.append_all(list, &[item]).ok()?;
        stack.truncate(from);
        self.at += 1;
        Some(())
    }

    /// A list of ads, which becomes its ids.
    fn ads_to_ids(&mut self, fast: &mut Fast, stack: &mut Stack, numbers: &mut Numbers) -> Option<()> {
        if self.keeps_parts {
            return None;
        }
        let start = self.at;
        let named_at = if self.peek()? == op::EMPTY_LIST { start + 1 } else { start + 2 };
        let mut media_key = MediaKey::Empty;
        let mut draft = Draft { has_timestamp: false, media_key: &mut media_key, numbers };
        draft.set_ids([0; 3]);
        let mark = self.memo.mark();
        let entry = self.memo.next();
        self.store.set_mark();
        let Fast { keys, ads: makes, .. } = fast;
        let end = makes.read(self, start, &mut draft, mark, |scan, draft| scan.lone_ads(keys, start, draft));
        let place = end.and_then(|_| self.store.add_ads(draft.ids()).ok());
        let (Some(end), Some(list)) = (end, place.map(Value::Ads)) else {
            self.undo(mark);
            return None;
        };
        if stack.push(list, &mut self.store.budget).is_err() {
            self.undo(mark);
            return None;
        }
        if is_put(*self.bytes.get(named_at)?) {
            self.memo.overwrite(entry as usize, Word::of(list)?, &mut self.store.budget).ok()?;
        }
        makes.learn(self, start, end);
        if self.store.has_text() {
            self.store.roll_back();
        }
        self.at = end;
        Some(())
    }
}
