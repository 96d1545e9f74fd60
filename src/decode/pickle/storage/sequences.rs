//! Lists and tuples.

use super::super::super::error::{Fault, Limit};
use super::super::value::Value;
use super::items::{Items, Run};
use super::{NOWHERE, Node, Sequence, Store, place, refuse_payload};

impl Store {
    pub fn add_list(&mut self) -> Result<Value, Fault> {
        self.add_sequence(false).map(Value::List)
    }

    pub fn add_tuple(&mut self, items: &[Value]) -> Result<Value, Fault> {
        let id = self.add_sequence(items.iter().all(|&item| self.is_hashable(item)))?;
        for &item in items {
            self.append(id, item, true)?;
        }
        Ok(Value::Tuple(id))
    }

    pub(super) fn add_sequence(&mut self, hashable: bool) -> Result<u32, Fault> {
        let node = Node { depth: 1, ..Node::default() };
        let sequence = Sequence { first: Value::Absent, length: 0, rest: NOWHERE, node, hashable };
        let id = place(self.sequences.len())?;
        self.budget.push(&mut self.sequences, sequence)?;
        Ok(id)
    }

    /// Appends to a list. Of an item that is not kept only the length tells, unless it is the first.
    pub fn append(&mut self, id: u32, item: Value, keep: bool) -> Result<(), Fault> {
        let depth = self.attach(item, Value::List(id))?;
        self.escaped |= keep && (id as usize) < self.mark.sequences;
        let sequence = &mut self.sequences[id as usize];
        if sequence.node.frozen {
            return Err(Fault::RowsChanged);
        }
        sequence.node.depth = sequence.node.depth.max(depth);
        sequence.length = sequence.length.checked_add(1).ok_or(Limit::DecoderBytes)?;
        if sequence.length == 1 {
            sequence.first = item;
            self.escaped |= (id as usize) < self.mark.sequences;
        } else if keep {
            if sequence.rest == NOWHERE {
                sequence.rest = place(self.rests.len())?;
                self.budget.push(&mut self.rests, Items::new())?;
            }
            self.rests[sequence.rest as usize].extend(&[item], &self.interner, &mut self.budget)?;
        }
        Ok(())
    }

    /// Appends to a list what is all kept.
    pub fn append_all(&mut self, id: u32, items: &[Value]) -> Result<(), Fault> {
        let mut depth = 0;
        for &item in items {
            refuse_payload(item)?;
            depth = depth.max(self.attach(item, Value::List(id))?);
        }
        let (Some(&first), added) = (items.first(), place(items.len())?) else { return Ok(()) };
        self.escaped |= (id as usize) < self.mark.sequences;
        let sequence = &mut self.sequences[id as usize];
        if sequence.node.frozen {
            return Err(Fault::RowsChanged);
        }
        sequence.node.depth = sequence.node.depth.max(depth);
        let after = if sequence.length == 0 {
            sequence.first = first;
            &items[1..]
        } else {
            items
        };
        sequence.length = sequence.length.checked_add(added).ok_or(Limit::DecoderBytes)?;
        if after.is_empty() {
            return Ok(());
        }
        if sequence.rest == NOWHERE {
            sequence.rest = place(self.rests.len())?;
            self.budget.push(&mut self.rests, Items::new())?;
        }
        self.rests[sequence.rest as usize].extend(after, &self.interner, &mut self.budget)
    }

    /// Elements of a list or tuple that are of one kind, from `index` on: `length` of them, or none.
    pub fn run(&self, sequence: Value, index: usize, length: usize) -> Option<Run<'_>> {
        let (Value::List(id) | Value::Tuple(id)) = sequence else { return None };
        self.rests.get(self.sequences[id as usize].rest as usize)?.run(index.checked_sub(1)?, length)
    }

    /// Elements of a list or tuple.
    pub fn length(&self, id: u32) -> usize {
        self.sequences[id as usize].length as usize
    }

    /// An element that was kept.
    pub fn item(&self, id: u32, index: usize) -> Option<Value> {
        let sequence = &self.sequences[id as usize];
        match index {
            _ if index >= sequence.length as usize => None,
            0 => Some(sequence.first),
            _ => self.rests.get(sequence.rest as usize)?.get(index - 1, &self.interner),
        }
    }
}
