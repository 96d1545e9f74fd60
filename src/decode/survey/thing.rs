//! Python values as a pickle describes them, kept for a person to be told of: their types, their beginnings, and calls
//! that nobody makes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What is kept of one text. Field names, commands and keys are shorter.
const TEXT_BYTES_KEPT: usize = 512;
/// What is kept of one list or set; of more only the number is known.
const ITEMS_KEPT: usize = 64;
/// What is kept of one dict, in items.
const DICT_ITEMS_KEPT: usize = 1024;

#[derive(Clone)]
pub(super) enum Thing {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Node(Rc<Node>),
    /// Was made, and was let go to keep within the limit.
    Forgotten,
}

/// What is not copied but referred to.
pub(super) struct Node {
    /// Of the opcode that made it.
    pub offset: u64,
    pub content: RefCell<Content>,
    held: Held,
}

pub(super) enum Content {
    Text {
        kind: TextKind,
        kept: Box<[u8]>,
        length: u64,
    },
    /// An integer beyond 64 bits, in digits or, when it is very long, in words.
    Long(Box<str>),
    Global {
        module: Box<str>,
        name: Box<str>,
    },
    Container(Kind, Items),
    Call(Call),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    Str,
    /// Python 2's `str`.
    OldStr,
    Bytes,
    ByteArray,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Tuple,
    Set,
    FrozenSet,
    Dict,
    OrderedDict,
}

impl Kind {
    pub fn is_dict(self) -> bool {
        matches!(self, Kind::Dict | Kind::OrderedDict)
    }
}

/// The first elements, or the first keys and values in turn, and how many there are.
#[derive(Default)]
pub(super) struct Items {
    pub first: Vec<Thing>,
    pub length: u64,
}

/// What a pickle asks Python to call.
pub(super) struct Call {
    pub how: How,
    pub callable: Thing,
    /// A tuple.
    pub arguments: Thing,
    /// Keyword arguments.
    pub keywords: Option<Thing>,
    /// Of BUILD.
    pub state: Option<Thing>,
    /// Appended or set afterwards.
    pub items: Items,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// `callable(*arguments)`
    Call,
    /// `class.__new__(class, *arguments)`
    New,
    /// What a name or number outside of the pickle stands for: a persistent id, an extension code.
    Outside(&'static str),
}

/// Bytes that a node holds, counted for as long as it lives.
struct Held {
    live: Rc<Cell<usize>>,
    bytes: Cell<usize>,
}

impl Held {
    fn more(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes);
        self.live.set(self.live.get() + bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.live.set(self.live.get() - self.bytes.get());
    }
}

/// Makes nodes and knows how much is held by all that live.
#[derive(Default)]
pub(super) struct Maker {
    live: Rc<Cell<usize>>,
}

impl Maker {
    pub fn live_bytes(&self) -> usize {
        self.live.get()
    }

    pub fn node(&self, offset: u64, content: Content) -> Thing {
        let inside = match &content {
            Content::Text { kept, .. } => kept.len(),
            Content::Long(text) => text.len(),
            Content::Global { module, name } => module.len() + name.len(),
            Content::Container(_, items) => items.first.capacity() * size_of::<Thing>(),
            Content::Call(_) => 0,
        };
        let held = Held { live: self.live.clone(), bytes: Cell::new(0) };
        held.more(size_of::<Node>() + inside);
        Thing::Node(Rc::new(Node { offset, content: RefCell::new(content), held }))
    }

    pub fn text(&self, offset: u64, kind: TextKind, bytes: &[u8], length: u64) -> Thing {
        let kept = bytes[..bytes.len().min(TEXT_BYTES_KEPT)].into();
        self.node(offset, Content::Text { kind, kept, length })
    }

    pub fn container(&self, offset: u64, kind: Kind, items: Items) -> Thing {
        self.node(offset, Content::Container(kind, items))
    }
}

impl Items {
    /// All of them: arguments, and what may be a tuple of rows.
    pub fn all(things: Vec<Thing>) -> Self {
        Self { length: things.len() as u64, first: things }
    }

    fn add(&mut self, thing: Thing, held: &Held) {
        self.length += 1;
        if self.first.len() < ITEMS_KEPT {
            self.first.push(thing);
            held.more(size_of::<Thing>());
        }
    }

    fn set(&mut self, key: Thing, value: Thing, held: &Held) {
        self.length += 1;
        if self.first.len() < 2 * DICT_ITEMS_KEPT {
            self.first.extend([key, value]);
            held.more(2 * size_of::<Thing>());
        }
    }

    /// Of a dict.
    pub fn pairs(&self) -> impl Iterator<Item = (&Thing, &Thing)> {
        self.first.chunks_exact(2).map(|pair| (&pair[0], &pair[1]))
    }
}

impl Node {
    /// Appends to a list, a set, or what a call gave. False when this is none of them.
    pub fn add(&self, thing: Thing) -> bool {
        match &mut *self.content.borrow_mut() {
            Content::Container(kind, items) if !kind.is_dict() => items.add(thing, &self.held),
            Content::Call(call) => call.items.add(thing, &self.held),
            _ => return false,
        }
        true
    }

    /// Sets an item of a dict, or of what a call gave.
    pub fn set(&self, key: Thing, value: Thing) -> bool {
        match &mut *self.content.borrow_mut() {
            Content::Container(kind, items) if kind.is_dict() => items.set(key, value, &self.held),
            Content::Call(call) => call.items.set(key, value, &self.held),
            _ => return false,
        }
        true
    }

    pub fn kind(&self) -> Option<Kind> {
        match &*self.content.borrow() {
            Content::Container(kind, _) => Some(*kind),
            _ => None,
        }
    }

    /// Elements of a container, or items of a dict.
    pub fn length(&self) -> u64 {
        match &*self.content.borrow() {
            Content::Container(_, items) => items.length,
            _ => 0,
        }
    }
}

impl Thing {
    pub fn node(&self) -> Option<&Rc<Node>> {
        match self {
            Thing::Node(node) => Some(node),
            _ => None,
        }
    }

    pub fn kind(&self) -> Option<Kind> {
        self.node().and_then(|node| node.kind())
    }

    /// Module and name of a global.
    pub fn global(&self) -> Option<(String, String)> {
        match &*self.node()?.content.borrow() {
            Content::Global { module, name } => Some((module.to_string(), name.to_string())),
            _ => None,
        }
    }

    /// The text of a `str`, as far as it was kept.
    pub fn text(&self) -> Option<String> {
        match &*self.node()?.content.borrow() {
            Content::Text { kept, .. } => Some(String::from_utf8_lossy(kept).into_owned()),
            _ => None,
        }
    }

    /// An element that was kept.
    pub fn item(&self, index: usize) -> Option<Thing> {
        match &*self.node()?.content.borrow() {
            Content::Container(_, items) => items.first.get(index).cloned(),
            _ => None,
        }
    }

    /// What a dict says under a key that is text. Of a key that was set twice the last value counts.
    pub fn get(&self, key: &str) -> Option<Thing> {
        match &*self.node()?.content.borrow() {
            Content::Container(kind, items) if kind.is_dict() => {
                let mut found = items.pairs().filter(|(name, _)| name.is_key(key)).map(|(_, value)| value.clone());
                found.by_ref().last()
            }
            _ => None,
        }
    }

    fn is_key(&self, key: &str) -> bool {
        let Some(node) = self.node() else { return false };
        let content = node.content.borrow();
        matches!(&*content, Content::Text { kind: TextKind::Str | TextKind::OldStr, kept, .. } if **kept == *key.as_bytes())
    }

    pub fn is_same(&self, other: &Thing) -> bool {
        match (self, other) {
            (Thing::Node(one), Thing::Node(other)) => Rc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Content {
    /// Moves what this refers to into `waiting`.
    fn give_up(&mut self, waiting: &mut Vec<Rc<Node>>) {
        let mut take = |thing: Thing| {
            if let Thing::Node(node) = thing {
                waiting.push(node);
            }
        };
        match self {
            Content::Container(_, items) => items.first.drain(..).for_each(take),
            Content::Call(call) => {
                call.items.first.drain(..).for_each(&mut take);
                for thing in [&mut call.callable, &mut call.arguments] {
                    take(std::mem::replace(thing, Thing::None));
                }
                for thing in [&mut call.keywords, &mut call.state] {
                    thing.take().into_iter().for_each(&mut take);
                }
            }
            Content::Text { .. } | Content::Long(_) | Content::Global { .. } => {}
        }
    }
}

/// One after the other: a chain of a million lists would overflow the stack.
impl Drop for Node {
    fn drop(&mut self) {
        let mut waiting = Vec::new();
        self.content.get_mut().give_up(&mut waiting);
        while let Some(node) = waiting.pop() {
            if let Some(mut node) = Rc::into_inner(node) {
                node.content.get_mut().give_up(&mut waiting);
            }
        }
    }
}
