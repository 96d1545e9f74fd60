//! Memory of tables that are done with, for tables to come. One object's tables are as large as the next one's: memory
//! from the system would be mapped, zeroed and unmapped for each of them.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::groups::Slot;

/// What the rollups of one program give back and take. Nothing is lent: a rollup that takes memory owns it, and holds no
/// more than it would have asked the system for.
#[derive(Debug, Default)]
pub struct Spare {
    slots: Mutex<Stock<Slot>>,
    pages: Mutex<Stock<i64>>,
}

impl Spare {
    /// Bytes of slots, and of records, that are kept: those of the tables of two objects of 120,000 groups.
    const SLOTS_BYTES_MAX: usize = 5 << 20;
    const PAGES_BYTES_MAX: usize = 11 << 20;
    /// What it keeps at most, beyond the tables that are in use.
    pub const BYTES_MAX: usize = Self::SLOTS_BYTES_MAX + Self::PAGES_BYTES_MAX;

    /// So many equal slots.
    pub(super) fn slots(&self, len: usize, slot: Slot) -> Vec<Slot> {
        let mut slots = held(&self.slots).take(len).unwrap_or_else(|| Vec::with_capacity(len));
        slots.resize(len, slot);
        slots
    }

    /// So many zeroes.
    pub(super) fn page(&self, words: usize) -> Vec<i64> {
        let taken = held(&self.pages).take(words);
        taken.map_or_else(
            || vec![0; words],
            |mut page| {
                page.resize(words, 0);
                page
            },
        )
    }

    pub(super) fn keep_slots(&self, slots: Vec<Slot>) {
        held(&self.slots).keep(slots, Self::SLOTS_BYTES_MAX);
    }

    pub(super) fn keep_page(&self, page: Vec<i64>) {
        held(&self.pages).keep(page, Self::PAGES_BYTES_MAX);
    }
}

fn held<T>(stock: &Mutex<Stock<T>>) -> MutexGuard<'_, Stock<T>> {
    // A stock is whole at every moment that a panic could come.
    stock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Empty vectors that have room, those of longest ago first.
#[derive(Debug)]
struct Stock<T> {
    vectors: VecDeque<Vec<T>>,
    bytes: usize,
}

impl<T> Default for Stock<T> {
    fn default() -> Self {
        Self { vectors: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Stock<T> {
    /// Small ones cost the allocator nothing worth saving.
    const BYTES_MIN: usize = 32 << 10;

    fn bytes_of(vector: &Vec<T>) -> usize {
        vector.capacity() * mem::size_of::<T>()
    }

    /// The one with that room, no more and no less, that came last: parts of it may be in the cache.
    fn take(&mut self, capacity: usize) -> Option<Vec<T>> {
        let at = self.vectors.iter().rposition(|vector| vector.capacity() == capacity)?;
        let taken = self.vectors.remove(at)?;
        self.bytes -= Self::bytes_of(&taken);
        Some(taken)
    }

    /// Keeps a vector's room in place of what has not been asked for longest.
    fn keep(&mut self, mut vector: Vec<T>, bytes_max: usize) {
        let bytes = Self::bytes_of(&vector);
        if !(Self::BYTES_MIN..=bytes_max).contains(&bytes) {
            return;
        }
        while self.bytes + bytes > bytes_max
            && let Some(oldest) = self.vectors.pop_front()
        {
            self.bytes -= Self::bytes_of(&oldest);
        }
        vector.clear();
        self.bytes += bytes;
        self.vectors.push_back(vector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: usize = 8 << 10;

    #[test]
    fn room_is_used_again_by_who_needs_as_much() {
        let spare = Spare::default();
        let mut page = spare.page(WORDS);
        page.fill(7);
        let (address, room) = (page.as_ptr(), page.capacity());
        spare.keep_page(page);
        let larger = spare.page(2 * WORDS);
        assert_ne!(larger.as_ptr(), address);
        let again = spare.page(WORDS);
        assert_eq!((again.as_ptr(), again.capacity(), again), (address, room, vec![0; WORDS]));
        let stock = held(&spare.pages);
        assert_eq!((stock.bytes, stock.vectors.len()), (0, 0));
    }

    #[test]
    fn what_is_kept_stays_within_its_bound_and_the_newest_stays() {
        let mut stock = Stock::default();
        let bytes_max = 3 * WORDS * mem::size_of::<i64>() + 1;
        for words in [WORDS, WORDS, 2 * WORDS, WORDS, 5 * WORDS, 1] {
            stock.keep(Vec::<i64>::with_capacity(words), bytes_max);
            assert!(stock.bytes <= bytes_max);
        }
        // Too large a one and a small one are not kept, and drive nothing out.
        let kept: Vec<usize> = stock.vectors.iter().map(Vec::capacity).collect();
        assert_eq!((kept, stock.bytes), (vec![2 * WORDS, WORDS], bytes_max - 1));
    }
}
