//! The order of groups by their keys.

use super::groups::Groups;

/// The groups in the order of their keys, word by word. Words that are codes of texts (`is_text`) are compared by the
/// texts' `ranks`.
pub fn by_key(groups: &Groups, is_text: &[bool], ranks: &[i64]) -> Vec<u32> {
    let rank = |(&word, &is_text): (&i64, &bool)| if is_text { ranks[word as usize] } else { word };
    let ranked = |group: u32| groups.key(group as usize).iter().zip(is_text).map(rank);
    let all = 0..groups.len() as u32;
    match Packing::of(is_text.len(), all.clone().map(ranked)) {
        Some(packing) => {
            let mut packed: Vec<(u128, u32)> = all.map(|group| (packing.pack(ranked(group)), group)).collect();
            packed.sort_unstable();
            packed.into_iter().map(|(_, group)| group).collect()
        }
        None => {
            let mut order: Vec<u32> = all.collect();
            order.sort_unstable_by(|&a, &b| ranked(a).cmp(ranked(b)));
            order
        }
    }
}

/// How the words of keys fit side by side into one integer that sorts as they do: several times faster to compare.
struct Packing {
    /// The smallest value of each word, and the bits that hold its distance to the largest.
    words: Vec<(i64, u32)>,
}

impl Packing {
    /// `None` when the words' ranges need more than 128 bits together.
    fn of<K: Iterator<Item = i64>>(words: usize, keys: impl Iterator<Item = K>) -> Option<Packing> {
        let mut ranges = vec![(i64::MAX, i64::MIN); words];
        for key in keys {
            for ((least, most), word) in ranges.iter_mut().zip(key) {
                *least = word.min(*least);
                *most = word.max(*most);
            }
        }
        let bits = |(least, most): (i64, i64)| (least, u64::BITS - most.abs_diff(least).leading_zeros());
        let words: Vec<(i64, u32)> = ranges.into_iter().map(bits).collect();
        let fits = words.iter().map(|(_, bits)| bits).sum::<u32>() <= u128::BITS;
        fits.then_some(Packing { words })
    }

    fn pack(&self, key: impl Iterator<Item = i64>) -> u128 {
        let parts = key.zip(&self.words).map(|(word, &(least, bits))| (u128::from(word.abs_diff(least)), bits));
        parts.fold(0, |packed, (distance, bits)| packed.checked_shl(bits).unwrap_or(0) | distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), -3i64..3, Just(i64::MIN), Just(i64::MAX), Just(7)]
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_keys(
            keys in proptest::collection::hash_set((word(), word(), word(), 0i64..4), 0..40),
        ) {
            // Texts of the codes 0 to 3, and the place of each in their order.
            let ranks = [2, 0, 3, 1];
            let mut groups = Groups::new(4, 4, 0);
            for &(a, b, c, text) in &keys {
                groups.add(&[a, b, c, text], std::iter::empty()).unwrap();
            }
            let sorted = by_key(&groups, &[false, false, false, true], &ranks);
            let found: Vec<Vec<i64>> = sorted.iter().map(|&group| groups.key(group as usize).to_vec()).collect();
            let mut expected: Vec<(i64, i64, i64, i64)> = keys.into_iter().collect();
            expected.sort_by_key(|&(a, b, c, text)| (a, b, c, ranks[text as usize]));
            let expected: Vec<Vec<i64>> = expected.into_iter().map(|(a, b, c, text)| vec![a, b, c, text]).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
