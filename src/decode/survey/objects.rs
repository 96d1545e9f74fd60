//! The opcodes that ask Python for more than data. What would be called, with what, is noted; nothing is called.

use super::super::error::{Fault, PickleFault};
use super::super::pickle::{knows_global, opcode as op};
use super::render::render;
use super::thing::{Call, Content, How, Items, Kind, TextKind, Thing};
use super::walk::Walk;

/// What would have been executed is told in so many calls of so many characters.
const CALLS_MAX: usize = 8;
const CALL_CHARS_MAX: usize = 400;

/// What Python would have executed. Put into words at the end: a call may be told its result's state later.
pub(super) enum Told {
    Call(Thing),
    /// `object.__setstate__(state)`
    State(Thing, Thing),
}

impl Told {
    pub fn in_words(&self) -> String {
        match self {
            Told::Call(call) => render(call, CALL_CHARS_MAX),
            Told::State(object, state) => {
                let (object, state) = (render(object, CALL_CHARS_MAX / 2), render(state, CALL_CHARS_MAX / 2));
                format!("{object}.__setstate__({state})")
            }
        }
    }
}

impl Walk<'_> {
    pub(super) fn object(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            op::GLOBAL => {
                let (module, name) = (self.name()?, self.name()?);
                self.push_global(&module, &name)
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?.text(), self.pop()?.text());
                let (module, name) = module.zip(name).ok_or(PickleFault::WrongOperand("two names"))?;
                self.push_global(&module, &name)
            }
            op::REDUCE => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                match self.plain(&callable, &arguments) {
                    Some(plain) => self.push(plain),
                    None => self.call(How::Call, callable, arguments, None),
                }
            }
            op::NEWOBJ => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                self.call(How::New, class, arguments, None)
            }
            op::NEWOBJ_EX => {
                let (keywords, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(How::New, class, arguments, Some(keywords))
            }
            op::OBJ => {
                let mut parts = self.pop_to_mark()?.into_iter();
                let class = parts.next().ok_or(PickleFault::StackUnderflow)?;
                let arguments =
                    self.maker.container(self.reader.opcode_offset, Kind::Tuple, Items::all(parts.collect()));
                self.call(How::Call, class, arguments, None)
            }
            op::INST => {
                let (module, name) = (self.name()?, self.name()?);
                let parts = self.pop_to_mark()?;
                self.push_global(&module, &name)?;
                let class = self.pop()?;
                let arguments = self.maker.container(self.reader.opcode_offset, Kind::Tuple, Items::all(parts));
                self.call(How::Call, class, arguments, None)
            }
            op::BUILD => self.build(),
            op::PERSID => {
                let id = self.reader.line()?.to_vec();
                let id = self.maker.text(self.reader.opcode_offset, TextKind::Str, &id, id.len() as u64);
                self.call(How::Outside("persistent_load"), Thing::None, id, None)
            }
            op::BINPERSID => {
                let id = self.pop()?;
                self.call(How::Outside("persistent_load"), Thing::None, id, None)
            }
            op::EXT1 | op::EXT2 | op::EXT4 => {
                let number = match code {
                    op::EXT1 => self.reader.byte()?.into(),
                    op::EXT2 => u16::from_le_bytes(self.reader.array()?).into(),
                    _ => i64::from(u32::from_le_bytes(self.reader.array()?)),
                };
                self.call(How::Outside("copyreg_extension"), Thing::None, Thing::Int(number), None)
            }
            op::NEXT_BUFFER | op::READONLY_BUFFER => Err(PickleFault::OutOfBand.into()),
            _ => Err(PickleFault::UnknownOpcode(code).into()),
        }
    }

    fn name(&mut self) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(self.reader.line()?).into_owned())
    }

    fn push_global(&mut self, module: &str, name: &str) -> Result<(), Fault> {
        self.producer.saw_global(module, name);
        let global = Content::Global { module: module.into(), name: name.into() };
        let global = self.maker.node(self.reader.opcode_offset, global);
        self.push(global)
    }

    fn call(&mut self, how: How, callable: Thing, arguments: Thing, keywords: Option<Thing>) -> Result<(), Fault> {
        let call = Call { how, callable, arguments, keywords, state: None, items: Items::default() };
        let worth_telling = self.is_worth_telling(&call);
        let call = self.maker.node(self.reader.opcode_offset, Content::Call(call));
        if worth_telling {
            self.tell(Told::Call(call.clone()));
        }
        self.push(call)
    }

    /// BUILD: `object.__setstate__(state)`, or its attributes set, where it has no such method.
    fn build(&mut self) -> Result<(), Fault> {
        let state = self.pop()?;
        let top = self.top()?.clone();
        let is_call = match top.node().map(|node| node.content.borrow_mut()).as_deref_mut() {
            Some(Content::Call(call)) => {
                call.state = Some(state.clone());
                true
            }
            _ => false,
        };
        if !is_call && self.refused_at.is_some() {
            self.tell(Told::State(top, state));
        }
        Ok(())
    }

    /// A call past the place of refusal, of what the decoder has no meaning for, or with it.
    fn is_worth_telling(&self, call: &Call) -> bool {
        let Some(refused_at) = self.refused_at else { return false };
        let is_unknown = |thing: &Thing| thing.global().is_some_and(|(module, name)| !knows_global(&module, &name));
        let is_named = call.callable.global().is_some();
        let with_unknown = || (0..).map_while(|at| call.arguments.item(at)).any(|argument| is_unknown(&argument));
        self.reader.opcode_offset == refused_at || !is_named || is_unknown(&call.callable) || with_unknown()
    }

    fn tell(&mut self, told: Told) {
        if self.told.len() < CALLS_MAX {
            self.told.push((self.reader.opcode_offset, told));
        }
    }

    /// What the calls give by which data without an opcode of its own is written.
    fn plain(&self, callable: &Thing, arguments: &Thing) -> Option<Thing> {
        let (module, name) = callable.global()?;
        let at = self.reader.opcode_offset;
        let first = arguments.item(0);
        let is_builtin = matches!(module.as_str(), "builtins" | "__builtin__");
        match (module.as_str(), name.as_str()) {
            ("_codecs", "encode") => {
                let text = first?.text()?;
                let bytes: Option<Vec<u8>> =
                    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
                let bytes = bytes?;
                Some(self.maker.text(at, TextKind::Bytes, &bytes, bytes.len() as u64))
            }
            (_, "bytes") if is_builtin && first.is_none() => Some(self.maker.text(at, TextKind::Bytes, &[], 0)),
            (_, "bytearray") if is_builtin => {
                let bytes =
                    match first.as_ref().and_then(|first| first.node()).map(|node| node.content.borrow()).as_deref() {
                        None => Vec::new(),
                        Some(Content::Text { kept, .. }) => kept.to_vec(),
                        Some(_) => return None,
                    };
                Some(self.maker.text(at, TextKind::ByteArray, &bytes, bytes.len() as u64))
            }
            (_, "set" | "frozenset") if is_builtin => {
                let kind = if name == "set" { Kind::Set } else { Kind::FrozenSet };
                let items = first.map_or_else(Vec::new, |list| (0..).map_while(|at| list.item(at)).collect());
                Some(self.maker.container(at, kind, Items::all(items)))
            }
            ("collections", "OrderedDict") => {
                let pairs = first.map_or_else(Vec::new, |list| (0..).map_while(|at| list.item(at)).collect());
                let items: Vec<Thing> = pairs.iter().flat_map(|pair| [pair.item(0), pair.item(1)]).flatten().collect();
                let length = items.len() as u64 / 2;
                Some(self.maker.container(at, Kind::OrderedDict, Items { first: items, length }))
            }
            _ => None,
        }
    }
}
