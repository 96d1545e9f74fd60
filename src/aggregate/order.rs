//! The order of groups by the values that their keys stand for.

use super::groups::Key;

/// Keys that are read before the ranks of each axis are looked up: what is known of an axis is then read once for all.
const BLOCK_KEYS: usize = 128;

/// What groups are sorted by: for each dimension, the first one first, the values of its axis's codes.
pub struct Sort {
    axes: usize,
    by: Vec<Ranks>,
}

/// The values of an axis's codes, as small numbers in the same order.
struct Ranks {
    axis: usize,
    of_codes: Vec<u32>,
    /// That hold the largest one.
    bits: u32,
}

impl Sort {
    /// Of keys of so many axes.
    pub fn new(axes: usize) -> Sort {
        Sort { axes, by: Vec::new() }
    }

    /// Then by this: `values` has one for each code of an axis.
    pub fn by(&mut self, axis: usize, values: Vec<i64>) {
        let mut sorted: Vec<u32> = (0..values.len() as u32).collect();
        sorted.sort_unstable_by_key(|&code| values[code as usize]);
        let (mut of_codes, mut rank, mut before) = (vec![0; values.len()], 0, None);
        for code in sorted {
            let value = values[code as usize];
            rank += u32::from(before.is_some_and(|before| before != value));
            before = Some(value);
            of_codes[code as usize] = rank;
        }
        self.by.push(Ranks { axis, of_codes, bits: u32::BITS - rank.leading_zeros() });
    }

    /// The positions of keys in their order. `code` takes the code of an axis out of a key.
    #[inline]
    pub fn order(&self, keys: usize, key: impl Fn(usize) -> Key, code: impl Fn(usize, Key) -> usize) -> Vec<u32> {
        let position_bits = usize::BITS - keys.leading_zeros();
        let bits: u32 = self.by.iter().map(|ranks| ranks.bits).sum();
        if bits + position_bits > u64::BITS {
            return self.order_at_length(keys, key, code);
        }
        // All ranks side by side, and the position behind them, in one word that sorts as they do.
        let mut shift = bits + position_bits;
        let mut tables = vec![Vec::new(); self.axes];
        for Ranks { axis, of_codes, bits } in &self.by {
            shift -= bits;
            let table: &mut Vec<u64> = &mut tables[*axis];
            table.resize(of_codes.len(), 0);
            table.iter_mut().zip(of_codes).for_each(|(packed, &rank)| *packed |= u64::from(rank) << shift);
        }
        let tables: Vec<(usize, Vec<u64>)> =
            tables.into_iter().enumerate().filter(|(_, table)| table.len() > 1).collect();
        let mut packed: Vec<u64> = (0..keys as u64).collect();
        let mut block_keys = [0; BLOCK_KEYS];
        for (begin, packed) in (0..).step_by(BLOCK_KEYS).zip(packed.chunks_mut(BLOCK_KEYS)) {
            let block_keys = &mut block_keys[..packed.len()];
            block_keys.iter_mut().enumerate().for_each(|(nth, slot)| *slot = key(begin + nth));
            for (axis, table) in &tables {
                let ranks = block_keys.iter().map(|&key| table[code(*axis, key)]);
                packed.iter_mut().zip(ranks).for_each(|(packed, ranks)| *packed |= ranks);
            }
        }
        packed.sort_unstable();
        packed.into_iter().map(|packed| (packed & ((1 << position_bits) - 1)) as u32).collect()
    }

    fn order_at_length(&self, keys: usize, key: impl Fn(usize) -> Key, code: impl Fn(usize, Key) -> usize) -> Vec<u32> {
        let ranks = |position: u32| {
            let key = key(position as usize);
            self.by.iter().map(|ranks| ranks.of_codes[code(ranks.axis, key)]).collect::<Vec<u32>>()
        };
        let mut order: Vec<u32> = (0..keys as u32).collect();
        order.sort_by_cached_key(|&position| ranks(position));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), -3i64..3, Just(i64::MIN), Just(i64::MAX), Just(7)]
    }

    /// The axes' codes, a byte each.
    fn code(axis: usize, key: Key) -> usize {
        (key >> (8 * axis)) as usize & 0xff
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_values(
            first in proptest::collection::vec(value(), 4),
            second in proptest::collection::vec(value(), 4),
            keys in proptest::collection::hash_set((0u128..4, 0u128..4), 0..16),
        ) {
            let keys: Vec<Key> = keys.into_iter().map(|(first, second)| first | second << 8).collect();
            let mut sort = Sort::new(2);
            // The second axis, the first, and the second again by other values.
            sort.by(1, second.iter().map(|value| value / 2).collect());
            sort.by(0, first.clone());
            sort.by(1, second.clone());
            let values = |&position: &u32| {
                let key = keys[position as usize];
                let (first, second) = (first[code(0, key)], second[code(1, key)]);
                (second / 2, first, second)
            };
            for order in [sort.order(keys.len(), |at| keys[at], code), sort.order_at_length(keys.len(), |at| keys[at], code)] {
                prop_assert!(order.is_sorted_by_key(values));
                let mut positions = order.clone();
                positions.sort_unstable();
                prop_assert_eq!(positions, (0..keys.len() as u32).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn more_bits_than_a_word_has_are_sorted_too() {
        let mut sort = Sort::new(1);
        let values: Vec<i64> = (0..256).rev().collect();
        (0..8).for_each(|_| sort.by(0, values.clone()));
        assert_eq!(sort.order(256, |at| at as Key, code), (0..256).rev().collect::<Vec<u32>>());
    }
}
