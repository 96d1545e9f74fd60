//! The memo: what later opcodes may refer to.

use hashbrown::HashMap;

use super::super::error::Fault;
use super::budget::Budget;
use super::value::Value;

/// Memo entries by index. CPython numbers them 0, 1, 2, ...; any other numbering is legal and goes to a hash map, so
/// that an index of four thousand million costs no more than one of four.
#[derive(Default)]
pub struct Memo {
    dense: Vec<Value>,
    /// Entry 0 is not set: Python 2's `cPickle` counts from 1.
    first_absent: bool,
    sparse: HashMap<u64, Value>,
}

/// A bound on what one entry of a hash map of 24-byte pairs takes, empty slots included.
const SPARSE_ENTRY_BYTES: usize = 64;

impl Memo {
    pub fn get(&self, index: u64) -> Option<Value> {
        match usize::try_from(index).ok().and_then(|index| self.dense.get(index)) {
            Some(Value::Absent) => None,
            Some(value) => Some(*value),
            None => self.sparse.get(&index).copied(),
        }
    }

    pub fn put(&mut self, index: u64, value: Value, budget: &mut Budget) -> Result<(), Fault> {
        if index == 1 && self.dense.is_empty() {
            budget.push(&mut self.dense, Value::Absent)?;
            self.first_absent = true;
        }
        let next = self.dense.len() as u64;
        if index == next {
            if !self.sparse.is_empty() {
                self.sparse.remove(&index);
            }
            return budget.push(&mut self.dense, value);
        }
        if index < next {
            self.first_absent &= index != 0;
            self.dense[index as usize] = value;
            return Ok(());
        }
        if self.sparse.insert(index, value).is_none() {
            budget.charge_scattered(SPARSE_ENTRY_BYTES)?;
        }
        Ok(())
    }

    /// The index that MEMOIZE takes: the number of entries.
    pub fn len(&self) -> u64 {
        self.dense.len() as u64 - u64::from(self.first_absent) + self.sparse.len() as u64
    }

    pub fn clear(&mut self) {
        self.dense.clear();
        self.first_absent = false;
        self.sparse = HashMap::new();
    }
}
