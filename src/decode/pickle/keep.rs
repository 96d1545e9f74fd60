//! What is kept of rows that have been read.
//!
//! Any later opcode may refer to any earlier object, but few do. So a row is forgotten as soon as it has been read, with
//! all that was made for it but short texts. Should something refer to it after all, the object is read again from its
//! start and more is kept: rows that share their `ads` cost a second reading, which their second row asks for.

use super::super::error::Fault;
use super::super::rows::Rows;
use super::machine::Machine;
use super::value::Value;

/// How much of a row is kept once it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Short texts.
    Texts,
    /// What its fields hold, but not the row itself.
    Parts,
    /// All of it. No row is read before the opcode that lists it, and none by the fast path.
    Everything,
}

// Tests read everything both ways.
#[cfg(test)]
thread_local! {
    pub static KEEPS_EVERYTHING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Keep {
    /// What to keep when nothing is known of an object.
    pub fn least() -> Keep {
        #[cfg(test)]
        if KEEPS_EVERYTHING.get() {
            return Keep::Everything;
        }
        Keep::Texts
    }

    /// What to keep when this was too little.
    pub fn more(self) -> Keep {
        match self {
            Keep::Texts => Keep::Parts,
            Keep::Parts | Keep::Everything => Keep::Everything,
        }
    }
}

impl Machine<'_> {
    /// Between two rows: the one that waits on the stack to be listed is read already, for another one begins.
    pub(super) fn read_waiting(&mut self, rows: &mut Rows) -> Result<(), Fault> {
        let Some(list) = self.top_level.streamed() else { return Ok(()) };
        let Some(from) = self.stack.waiting() else { return Ok(()) };
        if let Some(&row) = self.stack.from(from).first() {
            // It is refused once it is listed: until then it may be taken off again.
            if matches!(row, Value::Payload(_)) {
                return Err(Fault::Forgotten(Keep::Everything));
            }
            self.store.append(list, row, false)?;
            self.read_row(row, rows)?;
            self.stack.truncate(from);
        }
        self.stack.taken = true;
        self.let_go()
    }

    /// Reads a row that has been counted into its list.
    pub(super) fn read_row(&mut self, row: Value, rows: &mut Rows) -> Result<(), Fault> {
        self.store.freeze(row, self.fields.ads);
        rows.add(row, &mut self.store)?;
        if self.keep == Keep::Parts && !self.store.has_escaped() {
            self.store.drop_items(row);
        }
        Ok(())
    }

    /// Forgets what was made for the rows that have been read, unless something may refer to it.
    pub(super) fn let_go(&mut self) -> Result<(), Fault> {
        if self.keep == Keep::Texts && !self.store.has_escaped() && self.stack.holds_rows_only() {
            self.memo.forget(self.memo_mark, &mut self.store.budget)?;
            self.store.roll_back();
        }
        self.begin_row();
        Ok(())
    }

    pub(super) fn begin_row(&mut self) {
        self.memo_mark = self.memo.mark();
        self.store.set_mark();
    }
}
