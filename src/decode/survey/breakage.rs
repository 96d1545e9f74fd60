//! Where an object broke: the place, the bytes around it, what was being built there, and what would have been executed.

use super::super::error::DecodeError;
use super::super::gzip::Inflate;
use super::super::pickle::opcode::{self as op, Opcode};
use super::render::{render, type_name};
use super::thing::{Kind, Thing};
use super::walk::{End, Walk};
use crate::model::Limits;

/// Shown before the place, and from it on.
const BYTES_BEFORE: u64 = 32;
const BYTES_AFTER: u64 = 32;
const KEY_CHARS_MAX: usize = 60;

/// Where an object broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakage {
    /// Of the row that was being read: rows before it are whole.
    pub row: u64,
    pub dump: u64,
    /// Where the fault is in the inflated stream; for a damaged gzip stream, how far it could be inflated.
    pub inflated_offset: u64,
    /// Where a damaged gzip stream is damaged, in the file.
    pub stored_offset: Option<u64>,
    /// The opcode at fault: its byte, and its name where it has one.
    pub opcode: Option<(u8, Option<&'static str>)>,
    /// From the outside in: `row 12`, `value of 'ads'`, `element 0`.
    pub building: Vec<String>,
    /// What lies on the stack, the top last.
    pub stack: Vec<String>,
    pub bytes: Bytes,
    /// In the order in which Python would have executed it.
    pub executed: Vec<Executed>,
}

/// Bytes around the place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Of the file as stored, or of the inflated stream.
    pub stored: bool,
    pub from: u64,
    pub bytes: Vec<u8>,
    /// The place, which may be the end.
    pub at: u64,
}

/// A call that Python would have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    pub offset: u64,
    pub call: String,
}

/// Where an error is, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Stored(u64),
    Inflated(u64),
    Unknown,
}

impl At {
    pub fn of(error: &DecodeError) -> At {
        match *error {
            DecodeError::Gzip { offset, .. } => At::Stored(offset),
            DecodeError::LimitExceeded { offset, .. }
            | DecodeError::Pickle { offset, .. }
            | DecodeError::ForbiddenGlobal { offset, .. }
            | DecodeError::ForbiddenOpcode { offset, .. }
            | DecodeError::NoRows { offset, .. }
            | DecodeError::UnequalColumns { offset }
            | DecodeError::RowsChangedLater { offset, .. } => At::Inflated(offset),
            DecodeError::Empty | DecodeError::Defect { .. } => At::Unknown,
        }
    }
}

impl Breakage {
    /// Of a walk that has just ended. `code` is the opcode that it ended at, if it did at one.
    pub(super) fn of(walk: &Walk<'_>, at: At, end: &End, body: &[u8], limits: &Limits) -> Breakage {
        let code = end.opcode();
        let ended = if code.is_some() { walk.reader.opcode_offset } else { walk.reader.source.inflated_bytes };
        let (inflated_offset, stored_offset) = match at {
            At::Stored(offset) => (ended, Some(offset)),
            At::Inflated(offset) => (offset, None),
            At::Unknown => (ended, None),
        };
        let bytes = match stored_offset {
            Some(at) => stored_bytes(body, at),
            None => inflated_bytes(body, limits, inflated_offset),
        };
        Breakage {
            row: walk.tally.rows,
            dump: walk.producer.dumps.saturating_sub(u64::from(matches!(end, End::At(None)))),
            inflated_offset,
            stored_offset,
            opcode: code.map(|code| (code, Opcode::of(code).map(|opcode| opcode.name))),
            building: match (&walk.last_value, end) {
                (Some(value), End::At(None)) => vec![format!("a whole dump, which holds {}", in_short(value))],
                _ => building(walk, code),
            },
            stack: stack(walk),
            bytes,
            executed: Vec::new(),
        }
    }
}

fn stored_bytes(body: &[u8], at: u64) -> Bytes {
    let from = at.saturating_sub(BYTES_BEFORE).min(body.len() as u64);
    let end = at.saturating_add(BYTES_AFTER).min(body.len() as u64);
    Bytes { stored: true, from, bytes: body[from as usize..end as usize].to_vec(), at }
}

/// Inflates up to the place once more: nothing was kept for an error that seldom comes.
fn inflated_bytes(body: &[u8], limits: &Limits, at: u64) -> Bytes {
    let from = at.saturating_sub(BYTES_BEFORE);
    let end = at.saturating_add(BYTES_AFTER);
    let mut source = Inflate::new(body, limits);
    let mut piece = vec![0; 64 << 10];
    let (mut offset, mut bytes) = (0, Vec::new());
    while offset < end {
        // Up to the place and no further at first: it may be where a limit is.
        let wanted = if offset < at { at - offset } else { end - offset };
        let wanted = wanted.min(piece.len() as u64) as usize;
        let Ok(read @ 1..) = source.read(&mut piece[..wanted]) else { break };
        let first = from.saturating_sub(offset).min(read as u64) as usize;
        let last = (end - offset).min(read as u64) as usize;
        bytes.extend_from_slice(&piece[first..last]);
        offset += read as u64;
    }
    Bytes { stored: false, from, bytes, at }
}

/// What lies on the stack: the lowest, and the topmost ones.
fn stack(walk: &Walk<'_>) -> Vec<String> {
    const LOWEST: usize = 2;
    const TOPMOST: usize = 8;
    let mut shown = Vec::new();
    let height = walk.stack.len();
    let mut marks = walk.marks.iter().peekable();
    for at in 0..=height {
        while marks.next_if(|&&mark| mark == at).is_some() {
            if at <= LOWEST || at + TOPMOST >= height {
                shown.push("MARK".to_owned());
            }
        }
        let Some(thing) = walk.stack.get(at) else { break };
        if at < LOWEST || at + TOPMOST >= height {
            shown.push(in_short(thing));
        } else if at == LOWEST {
            shown.push(format!("… {} more …", height - LOWEST - TOPMOST));
        }
    }
    shown
}

fn in_short(thing: &Thing) -> String {
    match thing.kind() {
        Some(kind) => {
            let length = thing.node().map_or(0, |node| node.length());
            format!("{} of {length}{}", type_name(thing), if kind.is_dict() { " items" } else { "" })
        }
        None => render(thing, KEY_CHARS_MAX),
    }
}

/// What was being built, from the outside in. A pickler writes a container empty and fills it later, under a mark or one
/// by one, so which of two neighbours on the stack holds the other is told from the marks and from what can be a key.
fn building(walk: &Walk<'_>, code: Option<u8>) -> Vec<String> {
    const STEPS_MAX: usize = 12;
    let mut path = Path { walk, steps: Vec::new() };
    let mut open: Option<Thing> = None;
    // What an opcode takes belongs to what it makes.
    let (mut marks, mut height) = (walk.marks.as_slice(), walk.stack.len());
    match code {
        Some(op::INST | op::OBJ) => {
            if let Some((&last, rest)) = marks.split_last() {
                (marks, height) = (rest, last.min(height));
            }
        }
        Some(op::STACK_GLOBAL | op::REDUCE | op::NEWOBJ | op::BUILD) => height = height.saturating_sub(2),
        Some(op::NEWOBJ_EX) => height = height.saturating_sub(3),
        Some(op::BINPERSID) => height = height.saturating_sub(1),
        _ => {}
    }
    let ends = marks.iter().copied().chain([height]);
    let mut from = 0;
    for (nth, end) in ends.enumerate() {
        let end = end.min(height).max(from);
        let is_last = nth == marks.len();
        open = path.through(open, &walk.stack[from..end], nth > 0, is_last);
        from = end;
    }
    let mut steps = path.steps;
    if steps.len() > STEPS_MAX {
        let more = steps.len() - STEPS_MAX;
        steps.truncate(STEPS_MAX);
        steps.push(format!("and {more} deeper"));
    }
    steps
}

struct Path<'w, 'a> {
    walk: &'w Walk<'a>,
    steps: Vec<String>,
}

impl Path<'_, '_> {
    /// Goes through what lies between two marks. Returns the container that the next mark fills, if it fills one.
    fn through(&mut self, owner: Option<Thing>, entries: &[Thing], marked: bool, is_last: bool) -> Option<Thing> {
        let mut open = owner;
        let is_tuple = marked && open.is_none();
        let mut pending: Vec<Thing> = Vec::new();
        // Whether what is open is filled without a mark, an item at a time: then no item that is whole waits on it.
        let mut one_by_one = !marked;
        for (at, entry) in entries.iter().enumerate() {
            let is_top = at + 1 == entries.len();
            let is_filled = entry.kind().is_some_and(|kind| !matches!(kind, Kind::Tuple | Kind::FrozenSet));
            let in_dict = open.as_ref().and_then(Thing::kind).is_some_and(Kind::is_dict);
            if in_dict && is_filled && pending.len().is_multiple_of(2) {
                // No key can be filled: this belongs to the value before.
                if let Some(value) = pending.pop() {
                    self.step(open.as_ref(), &pending, is_tuple);
                    open = Some(value);
                    one_by_one = true;
                    pending.clear();
                }
            }
            let is_empty = entry.node().is_some_and(|node| node.length() == 0);
            let is_begun = is_empty && entry.kind().is_some_and(Kind::is_dict);
            if is_filled && (one_by_one || is_begun || (is_top && (!is_last || is_empty))) {
                self.step(open.as_ref(), &pending, is_tuple && at == pending.len());
                open = Some(entry.clone());
                one_by_one = true;
                pending.clear();
                continue;
            }
            pending.push(entry.clone());
        }
        let fills =
            pending.is_empty() && entries.last().zip(open.as_ref()).is_some_and(|(last, open)| last.is_same(open));
        if !is_last && fills {
            return open;
        }
        self.step(open.as_ref(), &pending, is_tuple && open.is_none());
        None
    }

    fn step(&mut self, open: Option<&Thing>, pending: &[Thing], is_tuple: bool) {
        let step = match open {
            None if is_tuple => format!("element {} of a tuple", pending.len()),
            None => return,
            Some(open) => match open.kind() {
                _ if self.walk.list.as_ref().is_some_and(|list| list.is_same(open)) => {
                    format!("row {}", self.walk.tally.rows)
                }
                Some(kind) if kind.is_dict() => match pending.last() {
                    Some(key) if !pending.len().is_multiple_of(2) => format!("value of {}", render(key, KEY_CHARS_MAX)),
                    _ => "a key of a dict".to_owned(),
                },
                Some(Kind::Set) => "an element of a set".to_owned(),
                Some(_) => {
                    let before = open.node().map_or(0, |node| node.length());
                    format!("element {}", before + pending.len() as u64)
                }
                None => format!("the state of {}", type_name(open)),
            },
        };
        self.steps.push(step);
    }
}
