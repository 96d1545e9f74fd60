//! The machine's stack and its marks. A mark fences what lies below it off, as in CPython's `_pickle.c`.

use super::super::error::{Fault, Limit, PickleFault};
use super::budget::Budget;
use super::value::Value;

pub struct Stack {
    values: Vec<Value>,
    /// Heights of `values` at which a mark stands.
    marks: Vec<usize>,
    marks_max: usize,
    /// Rows above the first mark have been read and taken off: they wait there for the opcode that lists them, in
    /// thought, and no other one may come to that mark.
    pub taken: bool,
    /// How many values lie below the rows: their list, or nothing where they become a tuple.
    pub below_rows: usize,
}

impl Stack {
    /// Every mark stands for an open container.
    pub fn new(nesting_max: usize) -> Self {
        Self { values: Vec::new(), marks: Vec::new(), marks_max: nesting_max, taken: false, below_rows: 1 }
    }

    pub fn clear(&mut self) {
        self.values.clear();
        self.marks.clear();
        self.taken = false;
        self.below_rows = 1;
    }

    pub fn height(&self) -> usize {
        self.values.len()
    }

    pub fn marks(&self) -> usize {
        self.marks.len()
    }

    /// Whether nothing lies below `from`, or, without it, below the top.
    pub fn would_be_empty(&self, from: Option<usize>) -> bool {
        self.marks.is_empty() && from.unwrap_or(self.values.len()) == 0
    }

    /// The height that popping some values would leave.
    pub fn height_without(&self, values: usize) -> Result<usize, PickleFault> {
        match self.values.len().checked_sub(values) {
            Some(height) if height >= self.fence() => Ok(height),
            _ => Err(PickleFault::StackUnderflow),
        }
    }

    #[inline]
    pub fn push(&mut self, value: Value, budget: &mut Budget) -> Result<(), Fault> {
        budget.push(&mut self.values, value)
    }

    pub fn pop(&mut self) -> Result<Value, PickleFault> {
        if self.values.len() <= self.fence() {
            return Err(PickleFault::StackUnderflow);
        }
        self.values.pop().ok_or(PickleFault::StackUnderflow)
    }

    pub fn top(&self) -> Result<Value, PickleFault> {
        match self.values.last() {
            Some(&value) if self.values.len() > self.fence() => Ok(value),
            _ => Err(PickleFault::StackUnderflow),
        }
    }

    /// POP: the top value, or the mark when it is on top.
    pub fn drop_top(&mut self) -> Result<(), PickleFault> {
        if self.marks.last() == Some(&self.values.len()) {
            return self.pop_mark().map(|_| ());
        }
        self.pop().map(|_| ())
    }

    pub fn mark(&mut self) -> Result<(), Fault> {
        if self.marks.len() >= self.marks_max {
            return Err(Limit::Nesting.into());
        }
        self.marks.push(self.values.len());
        Ok(())
    }

    /// Removes the last mark and says where the values above it begin.
    pub fn pop_mark(&mut self) -> Result<usize, PickleFault> {
        if self.taken && self.marks.len() == 1 {
            return Err(PickleFault::MarkMissing);
        }
        self.marks.pop().ok_or(PickleFault::MarkMissing)
    }

    /// The value under position `from`, where a mark stood.
    pub fn below(&self, from: usize) -> Result<Value, PickleFault> {
        if from <= self.fence() {
            return Err(PickleFault::StackUnderflow);
        }
        self.values.get(from - 1).copied().ok_or(PickleFault::StackUnderflow)
    }

    /// The values from a position on, which `truncate` removes.
    pub fn from(&self, from: usize) -> &[Value] {
        self.values.get(from..).unwrap_or_default()
    }

    pub fn truncate(&mut self, from: usize) {
        self.values.truncate(from);
    }

    /// Whether the next opcode may begin a row of the list that lies lowest: nothing else is open, and at most one
    /// element waits to be listed.
    #[inline]
    pub fn is_between_rows(&self) -> bool {
        match self.values.len().wrapping_sub(self.below_rows) {
            0 => self.marks.is_empty() || self.marks == [self.below_rows],
            1 => self.marks == [self.below_rows],
            _ => false,
        }
    }

    pub fn lowest(&self) -> Option<Value> {
        self.values.first().copied()
    }

    /// Between rows: where elements wait to be listed together, if they do.
    pub fn waiting(&self) -> Option<usize> {
        self.marks.last().copied()
    }

    /// Nothing is on the stack but the list of rows, if they become one.
    pub fn holds_rows_only(&self) -> bool {
        self.values.len() == self.below_rows && self.marks.len() <= 1
    }

    /// Takes the mark of the tuple that rows become.
    pub fn end_rows(&mut self) -> Result<usize, PickleFault> {
        self.taken = false;
        self.pop_mark()
    }

    fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }
}
