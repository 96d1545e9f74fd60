//! A hash table from group keys to sums, built for tables that outgrow the cache.
//!
//! A group's key and sums are one record, and a slot says where a key's record is. Rows are added in blocks: the slots of
//! all its rows are read first, then the records, then the sums are added, so that no row waits for the memory of the row
//! before.

use std::hash::BuildHasher;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use super::spare::Spare;

/// A group's key: the codes of its axes side by side.
pub type Key = u128;

/// A sum that no longer fits 64 bits.
///
/// Every measure is non-negative, so a sum overflows in one order of addition exactly when it does in every other:
/// 64 bits give the same answer as more bits would, and an overflow shows as a negative sum at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumOverflow;

/// Groups, each with a fixed number of sums.
#[derive(Clone, Debug)]
pub struct Groups {
    /// A power of two of them, at most three quarters of them taken.
    slots: Vec<Slot>,
    records: Records,
    hasher: DefaultHashBuilder,
    spare: Arc<Spare>,
}

/// Where a group is. A key's slot is the one that its hash names, or the next one that was free.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    hash: u32,
    group: u32,
}

const FREE: Slot = Slot { hash: 0, group: u32::MAX };

/// Rows whose memory is asked for at once.
const BLOCK_ROWS: usize = 32;

impl Groups {
    pub fn new(sums_per_group: usize, spare: Arc<Spare>) -> Self {
        let records = Records { width: KEY_WORDS + sums_per_group, ..Records::default() };
        Self { slots: Vec::new(), records, hasher: DefaultHashBuilder::default(), spare }
    }

    /// Where its memory comes from, and goes to.
    pub fn spare(&self) -> &Arc<Spare> {
        &self.spare
    }

    pub fn len(&self) -> usize {
        self.records.len
    }

    #[inline]
    pub fn key(&self, group: usize) -> Key {
        key_of(self.records.at(group))
    }

    pub fn keys(&self) -> impl ExactSizeIterator<Item = Key> {
        (0..self.len()).map(|group| self.key(group))
    }

    #[inline]
    pub fn sums(&self, group: usize) -> &[i64] {
        &self.records.at(group)[KEY_WORDS..]
    }

    /// Adds rows to the groups of their keys. `values` writes those of some rows, one row's after the other's, as many as
    /// there are sums. After an overflow the table is of no use.
    #[inline]
    pub fn add(
        &mut self,
        mut keys: impl ExactSizeIterator<Item = Key>,
        mut values: impl FnMut(Range<usize>, &mut [i64]),
    ) -> Result<(), SumOverflow> {
        let (rows, width) = (keys.len(), self.records.width - KEY_WORDS);
        let mut block_keys = [0; BLOCK_ROWS];
        let mut block_values = vec![0; BLOCK_ROWS * width];
        // Sums of a known number are added without a loop.
        let add = match width {
            1 => Records::add::<1>,
            2 => Records::add::<2>,
            3 => Records::add::<3>,
            4 => Records::add::<4>,
            5 => Records::add::<5>,
            6 => Records::add::<6>,
            7 => Records::add::<7>,
            8 => Records::add::<8>,
            _ => Records::add_any,
        };
        let (mut all, mut begin) = (0, 0);
        while begin < rows {
            let block = begin..rows.min(begin + BLOCK_ROWS);
            let keys = {
                let block_keys = &mut block_keys[..block.len()];
                block_keys.iter_mut().zip(&mut keys).for_each(|(slot, key)| *slot = key);
                &*block_keys
            };
            values(block.clone(), &mut block_values[..block.len() * width]);
            let groups = self.groups(keys);
            all |= add(&mut self.records, &groups[..block.len()], &block_values);
            begin = block.end;
        }
        if all < 0 { Err(SumOverflow) } else { Ok(()) }
    }

    /// The group of each key of a block; new ones are made.
    #[inline]
    fn groups(&mut self, block: &[Key]) -> [u32; BLOCK_ROWS] {
        self.reserve(block.len());
        // Whether a row's group is known is a coin toss: a branch on it would be mispredicted, and what was asked for ahead
        // of it thrown away. So each step is done for all rows, and what was found is told by arithmetic.
        let mask = self.slots.len() - 1;
        let mut hashes = [0; BLOCK_ROWS];
        hashes.iter_mut().zip(block).for_each(|(hash, &key)| *hash = self.hasher.hash_one(key) as u32);
        let mut slots = [FREE; BLOCK_ROWS];
        slots.iter_mut().zip(&hashes).for_each(|(slot, &hash)| *slot = self.slots[hash as usize & mask]);
        let mut groups = [u32::MAX; BLOCK_ROWS];
        for (((group, slot), &hash), &key) in groups.iter_mut().zip(&slots).zip(&hashes).zip(block) {
            // Where there is none, any record does to be compared with.
            let candidate = slot.group & u32::from(slot.hash == hash).wrapping_neg();
            let is_it = self.records.get(candidate as usize).map_or(0, |record| u32::from(key_of(record) == key));
            *group = candidate | is_it.wrapping_sub(1);
        }
        for ((group, &hash), &key) in groups.iter_mut().zip(&hashes).zip(block) {
            if *group == u32::MAX {
                *group = self.find_or_add(hash, key);
            }
        }
        groups
    }

    fn find_or_add(&mut self, hash: u32, key: Key) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.group == u32::MAX {
                break;
            }
            if slot.hash == hash && self.key(slot.group as usize) == key {
                return slot.group;
            }
            at = (at + 1) & mask;
        }
        // 2^32 groups would be more than 100 GiB: memory ends long before.
        let group = self.records.push(key, &self.spare) as u32;
        self.slots[at] = Slot { hash, group };
        group
    }

    /// Makes room for more groups.
    fn reserve(&mut self, more: usize) {
        const SLOTS_MIN: usize = 64;
        if (self.len() + more) * 4 <= self.slots.len() * 3 {
            return;
        }
        // A small table grows in larger steps: most of those that grow go on to grow.
        let growth = if self.slots.len() < 1 << 16 { 8 } else { 2 };
        let mut slots = self.spare.slots((self.slots.len() * growth).max(SLOTS_MIN), FREE);
        let mask = slots.len() - 1;
        for slot in self.slots.iter().filter(|slot| slot.group != u32::MAX) {
            let mut at = slot.hash as usize & mask;
            while slots[at].group != u32::MAX {
                at = (at + 1) & mask;
            }
            slots[at] = *slot;
        }
        self.spare.keep_slots(mem::replace(&mut self.slots, slots));
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.spare.keep_slots(mem::take(&mut self.slots));
        self.records.pages.drain(..).for_each(|page| self.spare.keep_page(page));
    }
}

/// A key and the sums of its group.
type Record = [i64];

const KEY_WORDS: usize = 2;

#[inline]
fn key_of(record: &Record) -> Key {
    Key::from(record[1] as u64) << 64 | Key::from(record[0] as u64)
}

/// Records of equally many words. Pages stay where they are: a vector would be copied as it grows.
#[derive(Clone, Debug, Default)]
struct Records {
    width: usize,
    /// Zeroes behind the last record.
    pages: Vec<Vec<i64>>,
    len: usize,
}

impl Records {
    /// Records of a page: a power of two, for the sake of the division.
    const PAGE: usize = 4096;

    #[inline]
    fn get(&self, at: usize) -> Option<&Record> {
        self.pages.get(at / Self::PAGE)?.get(at % Self::PAGE * self.width..)?.get(..self.width)
    }

    #[inline]
    fn at(&self, at: usize) -> &Record {
        &self.pages[at / Self::PAGE][at % Self::PAGE * self.width..][..self.width]
    }

    #[inline]
    fn at_mut(&mut self, at: usize) -> &mut Record {
        &mut self.pages[at / Self::PAGE][at % Self::PAGE * self.width..][..self.width]
    }

    /// Adds rows' values to the sums of their groups; returns the bits of all these sums.
    fn add<const SUMS: usize>(&mut self, groups: &[u32], values: &[i64]) -> i64 {
        let mut all = 0;
        for (&group, values) in groups.iter().zip(values.as_chunks::<SUMS>().0) {
            let at = group as usize;
            let record = &mut self.pages[at / Self::PAGE][at % Self::PAGE * (KEY_WORDS + SUMS)..];
            let sums = record[KEY_WORDS..].first_chunk_mut::<SUMS>().expect("a record has all its sums");
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = sum.wrapping_add(*value);
                all |= *sum;
            }
        }
        all
    }

    fn add_any(&mut self, groups: &[u32], values: &[i64]) -> i64 {
        let (width, mut all) = (self.width, 0);
        for (&group, values) in groups.iter().zip(values.chunks_exact(width - KEY_WORDS)) {
            for (sum, value) in self.at_mut(group as usize)[KEY_WORDS..].iter_mut().zip(values) {
                *sum = sum.wrapping_add(*value);
                all |= *sum;
            }
        }
        all
    }

    /// Appends a record of zero sums and says where it is.
    fn push(&mut self, key: Key, spare: &Spare) -> usize {
        /// Of the first page: most tables are small.
        const FIRST: usize = 64;
        let at = self.len;
        if at.is_multiple_of(Self::PAGE) {
            let records = if at == 0 { FIRST } else { Self::PAGE };
            self.pages.push(spare.page(records * self.width));
        }
        let page = &mut self.pages[at / Self::PAGE];
        let begin = at % Self::PAGE * self.width;
        if begin == page.len() {
            page.resize((2 * begin).min(Self::PAGE * self.width), 0);
        }
        page[begin..begin + KEY_WORDS].copy_from_slice(&[key as i64, (key >> 64) as i64]);
        self.len += 1;
        at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_keys_share_their_sums() {
        let mut groups = Groups::new(2, Arc::default());
        let rows = [[10, 1], [5, 5], [1, 1]];
        groups
            .add([12, 1 << 127 | 11, 12].into_iter(), |of, values| values.copy_from_slice(rows[of].as_flattened()))
            .unwrap();
        groups.add([1 << 127 | 11].into_iter(), |_, values| values.copy_from_slice(&[100, 0])).unwrap();
        assert_eq!(groups.keys().collect::<Vec<_>>(), [12, 1 << 127 | 11]);
        assert_eq!((groups.sums(0), groups.sums(1)), (&[11, 2][..], &[105, 5][..]));
    }

    #[test]
    fn sum_beyond_64_bits_is_an_error() {
        let mut groups = Groups::new(1, Arc::default());
        groups.add([1].into_iter(), |_, values| values.fill(i64::MAX)).unwrap();
        assert_eq!(groups.clone().add([1].into_iter(), |_, values| values.fill(1)), Err(SumOverflow));
        // Not even when it comes round to be positive within one batch.
        assert_eq!(groups.add([1, 1, 1, 2].into_iter(), |_, values| values.fill(i64::MAX)), Err(SumOverflow));
    }

    #[test]
    fn any_number_of_sums_is_added() {
        for width in 1..12 {
            let mut groups = Groups::new(width, Arc::default());
            for round in 1..=2 {
                let keys = [3, 9, 3].into_iter();
                let values = |row: usize| (0..width).map(move |nth| (round * 100 * row + nth) as i64);
                let write = |of: Range<usize>, block: &mut [i64]| {
                    block.iter_mut().zip(of.flat_map(values)).for_each(|(slot, value)| *slot = value);
                };
                groups.add(keys, write).unwrap();
            }
            let sums = |hundreds: i64, rows: i64| (0..width as i64).map(move |nth| 100 * hundreds + nth * rows);
            assert!(groups.sums(0).iter().copied().eq(sums(6, 4)), "{width} sums");
            assert!(groups.sums(1).iter().copied().eq(sums(3, 2)), "{width} sums");
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_an_ordinary_table(
            few in proptest::collection::vec((0u128..40, 0i64..100), 0..300),
            many in 0u128..10_000,
            before in 0u32..20_000,
        ) {
            // A table whose memory is full of another's sums.
            let spare = Arc::<Spare>::default();
            Groups::new(1, spare.clone()).add((0..before).rev().map(Key::from), |_, values| values.fill(7)).unwrap();
            let rows: Vec<(Key, i64)> = few.into_iter().chain((0..many).map(|key| (key << 90 | key, 1))).collect();
            let mut groups = Groups::new(1, spare);
            let mut expected: HashMap<Key, i64> = HashMap::new();
            for rows in rows.chunks(1000) {
                let values = rows.iter().map(|(_, value)| *value).collect::<Vec<i64>>();
                groups.add(rows.iter().map(|(key, _)| *key), |of, block| block.copy_from_slice(&values[of])).unwrap();
                rows.iter().for_each(|(key, value)| *expected.entry(*key).or_default() += value);
            }
            prop_assert_eq!(groups.len(), expected.len());
            for (group, key) in groups.keys().enumerate() {
                prop_assert_eq!(Some(&groups.sums(group)[0]), expected.get(&key));
            }
        }
    }
}
