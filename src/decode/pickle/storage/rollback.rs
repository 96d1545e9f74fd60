//! Forgetting rows that have been read: the store as it was when the row began.

use super::super::super::error::{Fault, Limit};
use super::super::value::Value;
use super::json::JSON_ENTRY_BYTES;
use super::{Store, StoreMark};

impl Store {
    /// A row begins.
    pub fn set_mark(&mut self) {
        self.mark = StoreMark {
            text: self.text.len(),
            sequences: self.sequences.len(),
            rests: self.rests.len(),
            dicts: self.dicts.len(),
            entries: self.entries.len(),
            json: self.json_places.len(),
        };
        self.escaped = false;
    }

    /// Whether there is text since the mark.
    #[inline]
    pub fn has_text(&self) -> bool {
        self.text.len() > self.mark.text
    }

    /// Something may refer to what came after the mark.
    pub fn escape(&mut self) {
        self.escaped = true;
    }

    pub fn has_escaped(&self) -> bool {
        self.escaped
    }

    /// Forgets what came after the mark.
    pub fn roll_back(&mut self) {
        let mark = self.mark;
        self.text.truncate(mark.text);
        self.sequences.truncate(mark.sequences);
        if self.rests.len() > mark.rests {
            let scattered: usize = self.rests.drain(mark.rests..).map(|rest| rest.bytes()).sum();
            self.budget.release_scattered(scattered);
        }
        self.dicts.truncate(mark.dicts);
        self.entries.truncate(mark.entries);
        for place in self.json_places.drain(mark.json..) {
            self.json.remove(&place);
            self.budget.release_scattered(JSON_ENTRY_BYTES);
        }
    }

    /// Forgets the items of a row that has been read, where they are the last ones.
    pub fn drop_items(&mut self, row: Value) {
        let Value::Dict(id) = row else { return };
        let dict = &mut self.dicts[id as usize];
        if dict.at as usize + dict.capacity as usize == self.entries.len() && dict.at as usize >= self.mark.entries {
            self.entries.truncate(dict.at as usize);
            (dict.at, dict.length, dict.capacity) = (0, 0, 0);
            dict.node.gone = true;
        }
    }

    pub fn is_gone(&self, id: u32) -> bool {
        self.dicts[id as usize].node.gone
    }

    /// A list whose elements are read as they come got more of them.
    pub fn count_elements(&mut self, id: u32, more: u32) -> Result<(), Fault> {
        let length = &mut self.sequences[id as usize].length;
        *length = length.checked_add(more).ok_or(Limit::DecoderBytes)?;
        Ok(())
    }
}
