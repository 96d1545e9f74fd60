//! A hash table from group keys to sums, laid out flat: key words and sums of all groups stand in pages side by side.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// A sum that no longer fits 64 bits.
///
/// Every measure is non-negative, so a sum overflows in one order of addition exactly when it does in every other:
/// 64 checked bits give the same answer as more bits would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumOverflow;

/// Group keys of a fixed number of words, each with a fixed number of sums.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Only so many words of a key, the first ones, are hashed: the others are (almost) determined by them.
    hashed_words: usize,
    index: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    keys: Pages,
    sums: Pages,
}

/// Rows of equally many words. Pages stay where they are: a vector would be copied as it grows.
#[derive(Clone, Debug, Default)]
struct Pages {
    width: usize,
    pages: Vec<Vec<i64>>,
}

impl Pages {
    /// A power of two, for the sake of the division.
    const ROWS: usize = 4096;

    fn row(&self, at: usize) -> &[i64] {
        &self.pages[at / Self::ROWS][at % Self::ROWS * self.width..][..self.width]
    }

    fn row_mut(&mut self, at: usize) -> &mut [i64] {
        &mut self.pages[at / Self::ROWS][at % Self::ROWS * self.width..][..self.width]
    }

    /// Appends the row `at`, which is the next.
    fn push(&mut self, at: usize, words: impl Iterator<Item = i64>) {
        if at.is_multiple_of(Self::ROWS) {
            self.pages.push(Vec::with_capacity(Self::ROWS * self.width));
        }
        self.pages[at / Self::ROWS].extend(words);
    }
}

/// Where a group stands. Its hash stands beside it, so that neither growing nor most of the comparisons read keys.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u64,
    group: u32,
}

impl Groups {
    pub fn new(key_words: usize, hashed_words: usize, sums_per_group: usize) -> Self {
        debug_assert!(hashed_words <= key_words);
        let pages = |width| Pages { width, pages: Vec::new() };
        Self { hashed_words, keys: pages(key_words), sums: pages(sums_per_group), ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn key(&self, group: usize) -> &[i64] {
        self.keys.row(group)
    }

    pub fn sums(&self, group: usize) -> &[i64] {
        self.sums.row(group)
    }

    /// Adds `values` to the group of `key`. After an overflow the table is of no use.
    pub fn add(&mut self, key: &[i64], values: impl Iterator<Item = i64>) -> Result<(), SumOverflow> {
        let group = self.group(key);
        for (sum, value) in self.sums.row_mut(group).iter_mut().zip(values) {
            *sum = sum.checked_add(value).ok_or(SumOverflow)?;
        }
        Ok(())
    }

    fn group(&mut self, key: &[i64]) -> usize {
        debug_assert_eq!(key.len(), self.keys.width);
        let Self { index, keys, sums, .. } = self;
        let hash = self.hasher.hash_one(&key[..self.hashed_words]);
        let is_it = |slot: &Slot| slot.hash == hash && keys.row(slot.group as usize) == key;
        if let Some(slot) = index.find(hash, is_it) {
            return slot.group as usize;
        }
        // 2^32 groups would be more than 100 GiB of keys: memory ends long before.
        let group = index.len();
        index.insert_unique(hash, Slot { hash, group: group as u32 }, |slot| slot.hash);
        keys.push(group, key.iter().copied());
        sums.push(group, std::iter::repeat_n(0, sums.width));
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_share_their_sums() {
        // The hash of one word alone must not decide.
        let mut groups = Groups::new(2, 1, 2);
        for (key, values) in [([1, 2], [10, 1]), ([1, 1], [5, 5]), ([1, 2], [1, 1])] {
            groups.add(&key, values.into_iter()).unwrap();
        }
        assert_eq!(groups.len(), 2);
        assert_eq!((groups.key(0), groups.sums(0)), (&[1, 2][..], &[11, 2][..]));
        assert_eq!((groups.key(1), groups.sums(1)), (&[1, 1][..], &[5, 5][..]));
    }

    #[test]
    fn sum_beyond_64_bits_is_an_error() {
        let mut groups = Groups::new(1, 1, 1);
        groups.add(&[1], [i64::MAX].into_iter()).unwrap();
        assert_eq!(groups.add(&[1], [1].into_iter()), Err(SumOverflow));
    }
}
