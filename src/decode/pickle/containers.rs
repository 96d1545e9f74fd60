//! The opcodes that make containers and fill them, and those that ask for Python objects.

use super::super::error::{Fault, PickleFault};
use super::super::rows::Rows;
use super::globals::Global;
use super::keep::Keep;
use super::machine::Machine;
use super::objects::Object;
use super::opcode as op;
use super::storage::{not_kept, refuse_ads, refuse_payload};
use super::value::Value;

impl Machine<'_> {
    pub(super) fn list(&mut self, code: u8, rows: &mut Rows) -> Result<(), Fault> {
        let from = if code == op::LIST { Some(self.stack.pop_mark()?) } else { None };
        let list = self.store.add_list()?;
        let Value::List(id) = list else { return Ok(()) };
        if self.stack.would_be_empty(from) {
            self.top_level.begin_list(id);
            self.begin_row();
        }
        if let Some(from) = from {
            self.append_from(id, from, rows)?;
        }
        self.push(list)
    }

    pub(super) fn append(&mut self, code: u8, rows: &mut Rows) -> Result<(), Fault> {
        let from = match code {
            op::APPENDS => {
                // Rows that have been read wait for this.
                self.stack.taken &= self.stack.marks() > 1;
                self.stack.pop_mark()?
            }
            _ => self.stack.height_without(1)?,
        };
        match self.stack.below(from)? {
            Value::List(id) => self.append_from(id, from, rows),
            Value::Ads(_) => Err(not_kept()),
            _ => Err(PickleFault::WrongOperand("a list").into()),
        }
    }

    /// Appends what is on the stack from a position on. What goes to the list of rows is complete: a pickler writes an
    /// element whole before it appends it.
    fn append_from(&mut self, id: u32, from: usize, rows: &mut Rows) -> Result<(), Fault> {
        if !self.top_level.is_streamed(id) {
            self.store.append_all(id, self.stack.from(from))?;
            self.stack.truncate(from);
            return Ok(());
        }
        for &item in self.stack.from(from) {
            refuse_payload(item)?;
            self.store.append(id, item, false)?;
        }
        for position in from..self.stack.height() {
            let Some(&row) = self.stack.from(position).first() else { break };
            self.read_row(row, rows)?;
        }
        self.stack.truncate(from);
        self.let_go()
    }

    pub(super) fn dict(&mut self, code: u8) -> Result<(), Fault> {
        let from = if code == op::DICT { Some(self.stack.pop_mark()?) } else { None };
        let dict = self.store.add_dict()?;
        let Value::Dict(id) = dict else { return Ok(()) };
        if self.stack.would_be_empty(from) {
            self.top_level.begin_dict(id);
        }
        if let Some(from) = from {
            self.set_from(id, from)?;
        }
        self.push(dict)
    }

    pub(super) fn set_items(&mut self, code: u8) -> Result<(), Fault> {
        let from = match code {
            op::SETITEMS => self.stack.pop_mark()?,
            _ => self.stack.height_without(2)?,
        };
        let Value::Dict(id) = self.stack.below(from)? else { return Err(PickleFault::WrongOperand("a dict").into()) };
        self.set_from(id, from)
    }

    /// Sets the items whose keys and values are on the stack from a position on.
    fn set_from(&mut self, id: u32, from: usize) -> Result<(), Fault> {
        let items = self.stack.from(from);
        if !items.len().is_multiple_of(2) {
            return Err(PickleFault::OddItems.into());
        }
        let is_top = self.top_level.is_dict(id);
        let fields = items.iter().step_by(2).filter(|key| matches!(key, Value::Field(_))).count();
        self.store.expect_items(id, fields)?;
        for item in items.chunks_exact(2) {
            let (key, value) = (item[0], item[1]);
            self.store.attach_to_dict(id, key, value)?;
            match key {
                Value::JsonAds(_) => return Err(not_kept()),
                // Of an object's state.
                Value::Field(field) if field.0 as usize >= self.fields.len() && value.is_ads() => {
                    return Err(not_kept());
                }
                Value::Field(field) => self.store.set(id, field, value)?,
                _ if !self.store.is_hashable(key) => return Err(PickleFault::UnhashableKey.into()),
                _ if is_top => {
                    self.store.escape();
                    self.top_level.add_unknown(key, value, &mut self.store.budget)?;
                }
                _ => {}
            }
        }
        self.stack.truncate(from);
        Ok(())
    }

    pub(super) fn tuple(&mut self, code: u8, rows: &mut Rows) -> Result<(), Fault> {
        if code == op::TUPLE
            && self.stack.marks() == 1
            && self.stack.below_rows == 0
            && let Some(id) = self.top_level.tuple()
        {
            return self.tuple_of_rows(id, rows);
        }
        let from = match code {
            op::TUPLE => self.stack.pop_mark()?,
            op::EMPTY_TUPLE => self.stack.height_without(0)?,
            op::TUPLE1 => self.stack.height_without(1)?,
            op::TUPLE2 => self.stack.height_without(2)?,
            _ => self.stack.height_without(3)?,
        };
        refuse_ads(self.stack.from(from))?;
        let tuple = self.store.add_tuple(self.stack.from(from))?;
        self.stack.truncate(from);
        self.push(tuple)
    }

    /// The tuple of which all rows but the last have been read.
    fn tuple_of_rows(&mut self, id: u32, rows: &mut Rows) -> Result<(), Fault> {
        let from = self.stack.end_rows()?;
        if from > 0 {
            // Another mark on an empty stack, later on.
            return Err(Fault::Forgotten(Keep::Everything));
        }
        // A tuple may hold one: it is refused when it turns out to be the rows, and this one may be taken off again.
        if self.stack.from(from).iter().any(|item| matches!(item, Value::Payload(_))) {
            return Err(Fault::Forgotten(Keep::Everything));
        }
        self.append_from(id, from, rows)?;
        self.stack.below_rows = 1;
        self.push(Value::Tuple(id))
    }

    /// ADDITEMS and FROZENSET: the elements matter to nothing, but they must be able to be elements.
    pub(super) fn set(&mut self, code: u8) -> Result<(), Fault> {
        let from = self.stack.pop_mark()?;
        let set = match code {
            op::ADDITEMS => self.stack.below(from)?,
            _ => self.store.add_set(true, None)?,
        };
        for &item in self.stack.from(from) {
            refuse_payload(item)?;
            if !self.store.is_hashable(item) {
                return Err(PickleFault::UnhashableKey.into());
            }
            if let Value::Set(id) | Value::FrozenSet(id) = set {
                self.store.attach_to_set(id, item)?;
            }
        }
        match (code, set) {
            (op::ADDITEMS, Value::Set(_)) => {
                self.stack.truncate(from);
                Ok(())
            }
            (op::ADDITEMS, _) => Err(PickleFault::WrongOperand("a set").into()),
            _ => {
                self.stack.truncate(from);
                self.push(set)
            }
        }
    }

    /// Finds a constructor by its names, or refuses it by them.
    pub(super) fn global(&mut self, code: u8) -> Result<(), Fault> {
        let (module, name) = if code == op::STACK_GLOBAL {
            let (name, module) = (self.stack.pop()?, self.stack.pop()?);
            refuse_ads(&[name, module])?;
            let texts = self.store.key_text(module, self.fields).zip(self.store.key_text(name, self.fields));
            let (module, name) = texts.ok_or(PickleFault::WrongOperand("two names"))?;
            (module.to_owned(), name.to_owned())
        } else {
            (utf8(self.reader.line()?)?, utf8(self.reader.line()?)?)
        };
        let global = Global::find(&module, &name)?;
        if code == op::INST {
            return Err(global.refuse());
        }
        self.store.keeps_states |= global.has_state();
        self.push(if global == Global::NotAvailable { Value::NotAvailable } else { Value::Global(global) })
    }

    /// REDUCE: `callable(*arguments)`, of which nothing is called.
    pub(super) fn reduce(&mut self) -> Result<(), Fault> {
        let (arguments, callable) = (self.stack.pop()?, self.stack.pop()?);
        let global = match (callable, self.store.object(callable)) {
            (Value::Global(global), _) => global,
            (_, Some(Object { class: Global::Partial, .. })) => Global::UnpickleBlock,
            _ => return Err(PickleFault::WrongOperand("a callable").into()),
        };
        let Value::Tuple(id) = arguments else { return Err(PickleFault::WrongOperand("a tuple").into()) };
        if global.is_recorded() {
            let object = self.store.add_object(global, arguments)?;
            return self.push(object);
        }
        /// More than any constructor that is known takes.
        const ARGUMENTS_MAX: usize = 16;
        let length = self.store.length(id).min(ARGUMENTS_MAX);
        let arguments: Vec<Value> = (0..length).filter_map(|index| self.store.item(id, index)).collect();
        self.store.budget.read_to(self.reader.offset());
        let work = arguments.iter().map(|&argument| self.store.work_on(argument)).sum();
        self.store.budget.repeat(work)?;
        let value = global.call(&arguments, &mut self.store, self.fields)?;
        self.push(value)
    }

    /// NEWOBJ: `class.__new__(class, *arguments)`, of which nothing is called.
    pub(super) fn new_object(&mut self) -> Result<(), Fault> {
        let from = self.stack.height_without(2)?;
        let &[Value::Global(class), arguments @ Value::Tuple(_)] = self.stack.from(from) else {
            return Err(self.refuse(op::NEWOBJ)?);
        };
        if !class.has_state() {
            return Err(class.refuse());
        }
        self.stack.truncate(from);
        let object = self.store.add_object(class, arguments)?;
        self.push(object)
    }

    /// BUILD: `object.__setstate__(state)`. The state is kept with the object, for who knows the class.
    pub(super) fn build(&mut self) -> Result<(), Fault> {
        let from = self.stack.height_without(1)?;
        let Value::Object(object) = self.stack.below(from)? else { return Err(self.refuse(op::BUILD)?) };
        let state = self.stack.pop()?;
        refuse_ads(&[state])?;
        self.store.set_state(object, state);
        Ok(())
    }

    /// NEWOBJ, NEWOBJ_EX, OBJ, BUILD: says, where it can, of which class an object was wanted.
    pub(super) fn refuse(&mut self, code: u8) -> Result<Fault, Fault> {
        let class = match code {
            op::OBJ => {
                let from = self.stack.pop_mark()?;
                self.stack.from(from).first().copied().ok_or(PickleFault::StackUnderflow)?
            }
            op::NEWOBJ_EX => self.stack.below(self.stack.height_without(2)?)?,
            _ => self.stack.below(self.stack.height_without(1)?)?,
        };
        Ok(if let Value::Global(global) = class { global.refuse() } else { Fault::Opcode })
    }
}

fn utf8(bytes: &[u8]) -> Result<String, PickleFault> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| PickleFault::BadText)
}
