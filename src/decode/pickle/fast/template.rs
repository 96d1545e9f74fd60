//! What rows of one make have in common: the bytes between their values. Where those are as they were, the values are all
//! that is left to read.

use super::super::memo::{MemoMark, Word};
use super::fields::Draft;
use super::keys::Role;
use super::scan::{Scan, Step, StepKind};

/// Bytes of a row that are always the same, then a value or a memo opcode.
struct Slot {
    literal: [u64; 2],
    mask: [u64; 2],
    length: usize,
    /// Entries that the literal's own memo opcodes make: `words[words.0..words.1]`.
    words: (usize, usize),
    then: Then,
}

enum Then {
    Value(Role),
    Put(Word),
    Literal,
}

pub struct Template {
    slots: Vec<Slot>,
    words: Vec<Word>,
    /// Whether containers are in it, which leave nothing in the store.
    pub makes_containers: bool,
}

const LITERAL_BYTES: usize = 16;
/// Makes that are known at a time.
const TEMPLATES_MAX: usize = 4;
/// So many others in a row make room for theirs.
const MISSES_MAX: u32 = 256;

/// The makes of what was read before.
#[derive(Default)]
pub struct Makes {
    /// The last one that fitted comes first.
    templates: Vec<Template>,
    misses: u32,
    is_new: bool,
}

impl Makes {
    /// Reads what begins at a place, by a template or, with a trace, by `whole`, and says where it ends.
    #[inline]
    pub fn read(
        &mut self,
        scan: &mut Scan,
        start: usize,
        draft: &mut Draft,
        mark: MemoMark,
        whole: impl FnOnce(&mut Scan, &mut Draft) -> Option<usize>,
    ) -> Option<usize> {
        for nth in 0..self.templates.len() {
            let template = &self.templates[nth];
            if scan.keeps_parts && template.makes_containers {
                continue;
            }
            if let Some(end) = scan.templated(template, start, draft) {
                self.templates.swap(0, nth);
                self.misses = 0;
                self.is_new = false;
                return Some(end);
            }
            scan.undo(mark);
            draft.clear();
        }
        self.is_new = true;
        whole(scan, draft)
    }

    /// Learns from what was read last, if it was not read by a template.
    #[inline]
    pub fn learn(&mut self, scan: &Scan, start: usize, end: usize) {
        if self.is_new {
            self.add(scan, start, end);
        }
    }

    fn add(&mut self, scan: &Scan, start: usize, end: usize) {
        self.misses += 1;
        if self.templates.len() == TEMPLATES_MAX {
            if self.misses < MISSES_MAX {
                return;
            }
            self.templates.pop();
        }
        self.templates.extend(Template::of(scan.bytes, start, end, &scan.trace));
    }

    pub fn clear(&mut self) {
        self.templates.clear();
    }
}

impl Template {
    /// Of a row that was read from `start` to `end`, `makes_containers` beside the row itself.
    pub fn of(bytes: &[u8], start: usize, end: usize, steps: &[Step]) -> Option<Template> {
        let mut template = Template { slots: Vec::new(), words: Vec::new(), makes_containers: false };
        let (mut at, mut first_word) = (start, 0);
        for step in steps {
            let then = match step.kind {
                StepKind::Memoize(word) => {
                    template.words.push(word);
                    continue;
                }
                StepKind::Put(word) => Then::Put(word),
                StepKind::Value(role) => Then::Value(role),
            };
            template.add(bytes.get(at..step.start)?, first_word, then)?;
            (at, first_word) = (step.end, template.words.len());
        }
        template.add(bytes.get(at..end)?, first_word, Then::Literal)?;
        let containers = steps.iter().filter(|step| match step.kind {
            StepKind::Memoize(word) | StepKind::Put(word) => word == Word::FORGOTTEN,
            StepKind::Value(_) => false,
        });
        template.makes_containers = containers.count() > 1;
        Some(template)
    }

    fn add(&mut self, literal: &[u8], first_word: usize, then: Then) -> Option<()> {
        let (last, others) = match literal.chunks(LITERAL_BYTES).collect::<Vec<_>>()[..] {
            [] => (&[][..], Vec::new()),
            [ref others @ .., last] => (last, others.to_vec()),
        };
        for other in others {
            self.slots.push(slot(other, (0, 0), Then::Literal));
        }
        self.slots.push(slot(last, (first_word, self.words.len()), then));
        Some(())
    }
}

fn slot(literal: &[u8], words: (usize, usize), then: Then) -> Slot {
    let (mut padded, mut mask) = ([0; LITERAL_BYTES], [0; LITERAL_BYTES]);
    padded[..literal.len()].copy_from_slice(literal);
    mask[..literal.len()].fill(0xff);
    Slot { literal: words_of(&padded), mask: words_of(&mask), length: literal.len(), words, then }
}

#[inline(always)]
fn words_of(bytes: &[u8; LITERAL_BYTES]) -> [u64; 2] {
    let whole = u128::from_le_bytes(*bytes);
    [whole as u64, (whole >> 64) as u64]
}

impl Scan<'_> {
    /// Reads a row of the template's make and says where it ends.
    #[inline(never)]
    pub fn templated(&mut self, template: &Template, start: usize, draft: &mut Draft) -> Option<usize> {
        let mut at = start;
        for slot in &template.slots {
            let [first, second] = words_of(self.bytes.get(at..)?.first_chunk()?);
            if (first ^ slot.literal[0]) & slot.mask[0] | (second ^ slot.literal[1]) & slot.mask[1] != 0 {
                return None;
            }
            at += slot.length;
            if slot.words.0 < slot.words.1 {
                for &word in template.words.get(slot.words.0..slot.words.1)? {
                    self.memo.push(word, &mut self.store.budget).ok()?;
                }
            }
            at = match slot.then {
                Then::Value(role) => self.field(role, at, draft)?,
                Then::Put(word) => {
                    let end = self.memoize(at, word)?;
                    (end > at).then_some(end)?
                }
                Then::Literal => at,
            };
        }
        Some(at)
    }
}
