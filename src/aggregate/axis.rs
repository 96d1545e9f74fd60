//! One part of a group's key: a dimension together with those that follow from it, as small codes.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Overflow;
use super::groups::Key;
use crate::model::Dimension;

/// Distinct combinations of the values of some dimensions, and a code for each, counted from 0.
///
/// A value is a word: a date, an id, or the code of a text. Where the first dimension determines the others, there are
/// as many combinations as it has values, or a few more when the metadata changed meanwhile.
#[derive(Clone, Debug)]
pub struct Axis {
    pub dimensions: Vec<Dimension>,
    /// Bits that a code has in a group's key: for all axes that a plan can have at once, no more than there are.
    pub bits: u32,
    /// One word a dimension, combination by combination.
    values: Vec<i64>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Axis {
    pub fn new(dimensions: Vec<Dimension>) -> Axis {
        let bits = match dimensions[0] {
            Dimension::ReportDate => 16, // 179 years
            // There is a media key or an organization.
            Dimension::MediaKey | Dimension::OrganizationId | Dimension::AdId | Dimension::DemandId => 28,
            // There is an inventory or its classes.
            Dimension::InventoryId => 28,
            Dimension::AdType => 16,
            Dimension::Device | Dimension::AppType => 6,
        };
        let hasher = DefaultHashBuilder::default();
        Axis { dimensions, bits, values: Vec::new(), index: HashTable::new(), hasher }
    }

    /// An axis of some of the dimensions, given by their places, and for each code of this axis the code there.
    pub fn part(&self, places: &[usize]) -> (Axis, Vec<u32>) {
        let dimensions = places.iter().map(|&place| self.dimensions[place]).collect();
        // No combinations but those of the whole: there is room for them.
        let mut part = Axis { bits: u32::BITS - 1, ..Axis::new(dimensions) };
        let code = |code: usize| part.code(|nth| self.words(code)[places[nth]]).expect("there is room");
        let codes = (0..self.len()).map(code).collect();
        (part, codes)
    }

    /// The axes of a plan's dimensions: each independent one with those that follow from it.
    pub fn of(dimensions: &[Dimension]) -> Vec<Axis> {
        let determining = |dimension: &Dimension| dimension.determined_by().filter(|by| dimensions.contains(by));
        let independent = dimensions.iter().filter(|dimension| determining(dimension).is_none());
        let axis = |&first: &Dimension| {
            let determined = dimensions.iter().filter(|dimension| determining(dimension) == Some(first));
            Axis::new(std::iter::once(first).chain(determined.copied()).collect())
        };
        independent.map(axis).collect()
    }

    /// Distinct combinations.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// The words of a combination.
    pub fn words(&self, code: usize) -> &[i64] {
        let width = self.dimensions.len();
        &self.values[code * width..][..width]
    }

    /// The code in a key, which stands there from bit `shift` on.
    #[inline]
    pub fn code_in(&self, key: Key, shift: u32) -> usize {
        (key >> shift & ((1 << self.bits) - 1)) as usize
    }

    /// The code of the combination whose words are `word(0)`, `word(1)`, ...
    #[inline]
    pub fn code(&mut self, word: impl Fn(usize) -> i64) -> Result<u32, Overflow> {
        let width = self.dimensions.len();
        // The others are (almost) determined by it.
        let hash = self.hasher.hash_one(word(0));
        let values = &self.values;
        let is_it = |&code: &u32| (0..width).all(|nth| values[code as usize * width + nth] == word(nth));
        match self.index.find(hash, is_it) {
            Some(&code) => Ok(code),
            None => self.add(hash, (0..width).map(word)),
        }
    }

    #[cold]
    fn add(&mut self, hash: u64, words: impl Iterator<Item = i64>) -> Result<u32, Overflow> {
        let (width, code) = (self.dimensions.len(), self.index.len() as u32);
        if code >> self.bits != 0 {
            return Err(Overflow::Values(self.dimensions[0]));
        }
        self.values.extend(words);
        let Self { index, values, hasher, .. } = self;
        index.insert_unique(hash, code, |&code| hasher.hash_one(values[code as usize * width]));
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_any_plan_fit_one_key() {
        // Every subset of the dimensions.
        for chosen in 0..1u32 << Dimension::ALL.len() {
            let dimensions = Dimension::ALL.into_iter().enumerate().filter(|(nth, _)| chosen >> nth & 1 == 1);
            let dimensions: Vec<Dimension> = dimensions.map(|(_, dimension)| dimension).collect();
            let axes = Axis::of(&dimensions);
            assert!(axes.iter().map(|axis| axis.bits).sum::<u32>() <= Key::BITS, "{dimensions:?}");
            assert_eq!(axes.iter().map(|axis| axis.dimensions.len()).sum::<usize>(), dimensions.len());
        }
    }

    #[test]
    fn combinations_are_told_apart_by_all_their_words() {
        let mut axis = Axis::new(vec![Dimension::MediaKey, Dimension::OrganizationId]);
        let mut code = |words: [i64; 2]| axis.code(|nth| words[nth]).unwrap();
        assert_eq!([code([1, 7]), code([2, 7]), code([1, 8]), code([1, 7])], [0, 1, 2, 0]);
        assert_eq!((axis.len(), axis.words(2)), (3, &[1, 8][..]));
    }

    #[test]
    fn part_has_fewer_combinations() {
        let mut axis = Axis::new(vec![Dimension::InventoryId, Dimension::Device, Dimension::AppType]);
        for words in [[5, 1, 2], [6, 1, 3], [7, 1, 2]] {
            axis.code(|nth| words[nth]).unwrap();
        }
        let (part, codes) = axis.part(&[1, 2]);
        assert_eq!((codes, part.words(1)), (vec![0, 1, 0], &[1, 3][..]));
    }

    #[test]
    fn more_values_than_a_key_has_room_for_are_an_error() {
        let mut axis = Axis::new(vec![Dimension::Device]);
        let codes: Result<Vec<u32>, Overflow> = (0..65).map(|value| axis.code(|_| value)).collect();
        assert_eq!(codes, Err(Overflow::Values(Dimension::Device)));
        assert_eq!(axis.code(|_| 63), Ok(63));
    }
}
