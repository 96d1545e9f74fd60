//! The walk's stack and memo.

use super::super::error::{Fault, Limit, PickleFault};
use super::super::pickle::{opcode as op, text};
use super::thing::{Kind, Thing};
use super::walk::Walk;

impl Walk<'_> {
    pub(super) fn push(&mut self, thing: Thing) -> Result<(), Fault> {
        self.places.truncate(self.stack.len());
        self.places.push(self.reader.opcode_offset);
        self.stack.push(thing);
        let stack_bytes = self.stack.capacity() * size_of::<Thing>();
        if self.maker.live_bytes() + stack_bytes > self.held_bytes_max { self.keep_within_limit() } else { Ok(()) }
    }

    /// Lets go of what the memo alone holds, where too much is held. Names of fields may come again, so they stay.
    pub(super) fn keep_within_limit(&mut self) -> Result<(), Fault> {
        let held = |walk: &Self| {
            walk.maker.live_bytes()
                + walk.stack.capacity() * size_of::<Thing>()
                + walk.memo.capacity() * size_of::<(u64, Thing)>()
        };
        if held(self) <= self.held_bytes_max {
            return Ok(());
        }
        const NAMES_KEPT: u64 = 10_000;
        self.memo.retain(|&number, thing| number < NAMES_KEPT && thing.text().is_some());
        self.memo.shrink_to_fit();
        self.has_forgotten = true;
        if held(self) > self.held_bytes_max { Err(Limit::DecoderBytes.into()) } else { Ok(()) }
    }

    /// Counts the rows that are whole and wait on the stack to be listed.
    pub fn list_pending(&mut self) {
        let Some(list) = self.list.clone() else { return };
        if self.marks.first() != Some(&1) || !self.stack.first().is_some_and(|lowest| lowest.is_same(&list)) {
            return;
        }
        // Under the second mark is what is still being filled.
        let end = self.marks.get(1).map_or(self.stack.len(), |&mark| mark.saturating_sub(1));
        for at in 1..end {
            let row = self.stack[at].clone();
            let is_whole = row.kind().is_some_and(Kind::is_dict) && row.node().is_some_and(|node| node.length() > 0);
            if !is_whole {
                break;
            }
            let place = self.places[at];
            self.row(&row, place);
        }
    }

    pub(super) fn get(&mut self, code: u8) -> Result<(), Fault> {
        let number = match code {
            op::GET => text::index(self.reader.line()?)?,
            op::BINGET => self.reader.byte()?.into(),
            _ => u32::from_le_bytes(self.reader.array()?).into(),
        };
        self.producer.gets += 1;
        let thing = match self.memo.get(&number) {
            Some(thing) => thing.clone(),
            None if self.has_forgotten => Thing::Forgotten,
            None => return Err(PickleFault::MemoMissing(number).into()),
        };
        self.push(thing)
    }

    pub(super) fn put(&mut self, code: u8) -> Result<(), Fault> {
        let number = match code {
            op::PUT => text::index(self.reader.line()?)?,
            op::BINPUT => self.reader.byte()?.into(),
            op::LONG_BINPUT => u32::from_le_bytes(self.reader.array()?).into(),
            _ => self.memoized,
        };
        *(if code == op::MEMOIZE { &mut self.producer.memoizes } else { &mut self.producer.puts }) += 1;
        let top = self.top()?.clone();
        if self.memo.insert(number, top).is_none() {
            self.memoized += 1;
        }
        Ok(())
    }

    pub(super) fn top(&self) -> Result<&Thing, PickleFault> {
        let fence = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= fence { Err(PickleFault::StackUnderflow) } else { Ok(&self.stack[self.stack.len() - 1]) }
    }

    pub(super) fn pop(&mut self) -> Result<Thing, PickleFault> {
        self.top()?;
        self.stack.pop().ok_or(PickleFault::StackUnderflow)
    }

    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<Thing>, PickleFault> {
        let from = self.marks.pop().ok_or(PickleFault::MarkMissing)?;
        Ok(self.stack.split_off(from.min(self.stack.len())))
    }
}
