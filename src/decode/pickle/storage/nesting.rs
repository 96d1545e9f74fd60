//! How deep containers are within containers. Of a set nothing else is known.

use super::super::super::error::{Fault, Limit};
use super::super::value::Value;
use super::{Store, refuse_payload};

impl Store {
    /// Counts `child` into the nesting of `parent`: the depth that the parent has with it.
    #[inline]
    pub(super) fn attach(&mut self, child: Value, parent: Value) -> Result<u16, Fault> {
        match child {
            Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Set(_) | Value::FrozenSet(_) => {
                self.attach_container(child, parent)
            }
            Value::Ads(_) => self.depth_with_ads(),
            _ => Ok(0),
        }
    }

    fn attach_container(&mut self, child: Value, parent: Value) -> Result<u16, Fault> {
        if child == parent {
            return Ok(0);
        }
        let node = match child {
            Value::List(id) | Value::Tuple(id) | Value::Set(id) | Value::FrozenSet(id) => {
                &mut self.sequences[id as usize].node
            }
            Value::Dict(id) => &mut self.dicts[id as usize].node,
            _ => return Ok(0),
        };
        if node.attached {
            return Ok(0);
        }
        node.attached = true;
        let depth = node.depth.saturating_add(1);
        self.check_depth(depth)?;
        if usize::from(depth) > self.nesting_max {
            return Err(Limit::Nesting.into());
        }
        Ok(depth)
    }

    /// Counts an item of a dict into the dict's nesting: containers may be keys, too.
    pub fn attach_to_dict(&mut self, id: u32, key: Value, value: Value) -> Result<(), Fault> {
        refuse_payload(key)?;
        refuse_payload(value)?;
        let depth = self.attach(key, Value::Dict(id))?.max(self.attach(value, Value::Dict(id))?);
        let node = &mut self.dicts[id as usize].node;
        node.depth = node.depth.max(depth);
        Ok(())
    }

    /// An empty set, or one made of a list, a tuple or another set.
    pub fn add_set(&mut self, frozen: bool, of: Option<Value>) -> Result<Value, Fault> {
        let depth = match of {
            Some(Value::List(id) | Value::Tuple(id) | Value::Set(id) | Value::FrozenSet(id)) => {
                self.sequences[id as usize].node.depth
            }
            _ => 1,
        };
        let id = self.add_sequence(frozen)?;
        self.sequences[id as usize].node.depth = depth;
        Ok(if frozen { Value::FrozenSet(id) } else { Value::Set(id) })
    }

    /// Counts an element into a set's nesting.
    pub fn attach_to_set(&mut self, id: u32, element: Value) -> Result<(), Fault> {
        let depth = self.attach(element, Value::Set(id))?;
        let node = &mut self.sequences[id as usize].node;
        node.depth = node.depth.max(depth);
        Ok(())
    }
}
