//! What lists and tuples hold after their first element: in chunks, each in as little room as its elements allow, since a
//! column is as long as the object has rows.

use std::mem;

use super::super::super::error::Fault;
use super::super::budget::Budget;
use super::super::intern::Interner;
use super::super::memo::Word;
use super::super::value::Value;

/// Elements of a chunk.
const CHUNK: usize = 4096;

/// Elements of one kind, or of any.
#[derive(Debug)]
enum Chunk {
    Ints(Vec<i32>),
    Floats(Vec<f64>),
    Words(Vec<Word>),
    Values(Vec<Value>),
}

#[derive(Debug)]
pub(super) struct Items {
    full: Vec<Chunk>,
    last: Chunk,
}

/// Neighbours of one kind.
pub enum Run<'s> {
    Ints(&'s [i32]),
    Floats(&'s [f64]),
    Words(&'s [Word]),
}

impl Items {
    pub fn new() -> Self {
        Self { full: Vec::new(), last: Chunk::Values(Vec::new()) }
    }

    pub fn extend(&mut self, mut items: &[Value], texts: &Interner, budget: &mut Budget) -> Result<(), Fault> {
        while let Some(&first) = items.first() {
            match self.last.len() {
                0 => self.last = Chunk::of(first),
                CHUNK => {
                    let full = mem::replace(&mut self.last, Chunk::of(first));
                    budget.push_scattered(&mut self.full, full)?;
                }
                _ => {}
            }
            let room = CHUNK - self.last.len();
            let taken = self.last.extend(&items[..items.len().min(room)], budget)?;
            if taken == 0 {
                self.last.widen(texts, budget)?;
            }
            items = &items[taken..];
        }
        Ok(())
    }

    fn chunk(&self, index: usize) -> &Chunk {
        self.full.get(index / CHUNK).unwrap_or(&self.last)
    }

    #[inline]
    pub fn get(&self, index: usize, texts: &Interner) -> Option<Value> {
        if index / CHUNK > self.full.len() {
            return None;
        }
        self.chunk(index).get(index % CHUNK, texts)
    }

    /// Elements of one kind from `index` on, `length` of them or none.
    pub fn run(&self, index: usize, length: usize) -> Option<Run<'_>> {
        if index / CHUNK > self.full.len() {
            return None;
        }
        let at = index % CHUNK;
        match self.chunk(index) {
            Chunk::Ints(ints) => ints.get(at..at + length).map(Run::Ints),
            Chunk::Floats(floats) => floats.get(at..at + length).map(Run::Floats),
            Chunk::Words(words) => words.get(at..at + length).map(Run::Words),
            Chunk::Values(_) => None,
        }
    }

    /// What was counted of it, `full` and all.
    pub fn bytes(&self) -> usize {
        let chunks = self.full.iter().map(Chunk::bytes).sum::<usize>() + self.last.bytes();
        chunks + self.full.capacity() * size_of::<Chunk>()
    }
}

impl Chunk {
    /// An empty one, of the kind that fits a value best.
    fn of(value: Value) -> Self {
        match value {
            Value::Int(int) if i32::try_from(int).is_ok() => Self::Ints(Vec::new()),
            Value::Float(_) => Self::Floats(Vec::new()),
            _ if Word::of(value).is_some() => Self::Words(Vec::new()),
            _ => Self::Values(Vec::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Ints(ints) => ints.len(),
            Self::Floats(floats) => floats.len(),
            Self::Words(words) => words.len(),
            Self::Values(values) => values.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Ints(ints) => ints.capacity() * size_of::<i32>(),
            Self::Floats(floats) => floats.capacity() * size_of::<f64>(),
            Self::Words(words) => words.capacity() * size_of::<Word>(),
            Self::Values(values) => values.capacity() * size_of::<Value>(),
        }
    }

    fn get(&self, at: usize, texts: &Interner) -> Option<Value> {
        match self {
            Self::Ints(ints) => ints.get(at).map(|&int| Value::Int(i64::from(int))),
            Self::Floats(floats) => floats.get(at).map(|&float| Value::Float(float)),
            Self::Words(words) => words.get(at).and_then(|word| word.value(texts)),
            Self::Values(values) => values.get(at).copied(),
        }
    }

    /// Takes items as long as they are of its kind, and says how many they were.
    fn extend(&mut self, items: &[Value], budget: &mut Budget) -> Result<usize, Fault> {
        match self {
            Self::Ints(ints) => extend(ints, items, budget, |item| match item {
                Value::Int(int) => i32::try_from(int).ok(),
                _ => None,
            }),
            Self::Floats(floats) => extend(floats, items, budget, |item| match item {
                Value::Float(float) => Some(float),
                _ => None,
            }),
            Self::Words(words) => extend(words, items, budget, Word::of),
            Self::Values(values) => extend(values, items, budget, Some),
        }
    }

    /// Makes it one that takes anything.
    fn widen(&mut self, texts: &Interner, budget: &mut Budget) -> Result<(), Fault> {
        let mut values = Vec::new();
        let narrow = self.bytes();
        budget.grow_scattered(&mut values, room(self.len() + 1))?;
        match self {
            Self::Ints(ints) => values.extend(ints.iter().map(|&int| Value::Int(i64::from(int)))),
            Self::Floats(floats) => values.extend(floats.iter().map(|&float| Value::Float(float))),
            Self::Words(words) => values.extend(words.iter().filter_map(|word| word.value(texts))),
            Self::Values(_) => {}
        }
        *self = Self::Values(values);
        budget.release_scattered(narrow);
        Ok(())
    }
}

/// How much room is made for some elements.
fn room(elements: usize) -> usize {
    elements.next_power_of_two().max(4)
}

fn extend<T>(
    to: &mut Vec<T>,
    items: &[Value],
    budget: &mut Budget,
    narrow: impl Fn(Value) -> Option<T>,
) -> Result<usize, Fault> {
    let before = to.len();
    let fitting = items.iter().map_while(|&item| narrow(item));
    if before + items.len() > to.capacity() {
        // As many as there may be: a list that goes on in another kind has but the rest of one chunk too much.
        budget.grow_scattered(to, room(before + items.len()))?;
    }
    to.extend(fitting);
    Ok(to.len() - before)
}
