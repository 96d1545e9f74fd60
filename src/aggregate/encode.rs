//! The codes of a batch's rows on one axis.

use std::ops::Range;

use super::Overflow;
use super::axis::Axis;
use super::groups::Key;
use super::words::Words;

/// Writes the codes of an axis into the rows' keys, from bit `shift` on. The axis learns combinations that are new.
pub fn encode(axis: &mut Axis, words: &[Words], shift: u32, keys: &mut [Key]) -> Result<(), Overflow> {
    let codes = match words[0] {
        Words::Dates(dates) => by_first(axis, words, dates.len(), |row| i64::from(dates[row]))?,
        Words::Ids(ids) => by_first(axis, words, ids.len(), |row| ids[row])?,
        // Equal keys of a dictionary are equal texts.
        Words::Texts { keys, .. } => by_first(axis, words, keys.len(), |row| i64::from(keys[row]))?,
    };
    put(&codes, axis.bits, shift, keys);
    Ok(())
}

/// Puts codes of so many bits into keys. Few stand astride the middle of a key: for the others 64 bits do.
fn put(codes: &[u32], bits: u32, shift: u32, keys: &mut [Key]) {
    const HALF: u32 = Key::BITS / 2;
    let rows = keys.iter_mut().zip(codes);
    if shift + bits <= HALF {
        rows.for_each(|(key, &code)| *key |= Key::from(u64::from(code) << shift));
    } else if shift >= HALF {
        let shift = shift - HALF;
        rows.for_each(|(key, &code)| *key |= Key::from(u64::from(code) << shift) << HALF);
    } else {
        rows.for_each(|(key, &code)| *key |= Key::from(code) << shift);
    }
}

/// The rows' codes. Where the first words are close together, the axis is asked once for each: the others follow from it.
#[inline]
fn by_first(axis: &mut Axis, words: &[Words], rows: usize, first: impl Fn(usize) -> i64) -> Result<Vec<u32>, Overflow> {
    const NO_CODE: u32 = u32::MAX;
    let mut code_of = |row: usize| axis.code(|nth| words[nth].at(row));
    if let Some(range) = close_together((0..rows).map(&first)) {
        let mut known = vec![NO_CODE; (range.end - range.start) as usize];
        let mut codes = vec![0; rows];
        for (row, of_row) in codes.iter_mut().enumerate() {
            let code = &mut known[(first(row) - range.start) as usize];
            if *code == NO_CODE {
                *code = code_of(row)?;
            }
            *of_row = *code;
        }
        if (1..words.len()).all(|nth| are_of(&codes, axis, nth, &words[nth])) {
            return Ok(codes);
        }
    }
    (0..rows).map(|row| axis.code(|nth| words[nth].at(row))).collect()
}

/// Whether the rows' words of one dimension are those of the combinations.
fn are_of(codes: &[u32], axis: &Axis, nth: usize, words: &Words) -> bool {
    let of_codes: Vec<i64> = (0..axis.len()).map(|code| axis.words(code)[nth]).collect();
    let expected = codes.iter().map(|&code| of_codes[code as usize]);
    match *words {
        Words::Dates(dates) => are_equal(expected, dates.iter().map(|&date| i64::from(date))),
        Words::Ids(ids) => are_equal(expected, ids.iter().copied()),
        Words::Texts { keys, codes } => are_equal(expected, keys.iter().map(|&key| codes[key as usize])),
    }
}

/// Without a branch on each: they nearly always are.
#[inline]
fn are_equal(expected: impl Iterator<Item = i64>, words: impl Iterator<Item = i64>) -> bool {
    expected.zip(words).fold(true, |are, (expected, word)| are & (expected == word))
}

/// The range of words, if there are no more in it than there are rows.
fn close_together(words: impl ExactSizeIterator<Item = i64>) -> Option<Range<i64>> {
    let rows = words.len() as u64;
    let (least, most) = words.fold((i64::MAX, i64::MIN), |(least, most), word| (least.min(word), most.max(word)));
    (least <= most && most.abs_diff(least) < rows && most < i64::MAX).then(|| least..most + 1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::model::Dimension;

    #[rstest]
    #[case(&[])]
    #[case(&[7])]
    #[case(&[3, 1, 2, 1])]
    #[case(&[1, 1 << 40, 1])]
    #[case(&[i64::MAX, i64::MAX - 1, i64::MAX])]
    #[case(&[i64::MIN, i64::MIN + 1, i64::MIN])]
    #[case(&[i64::MIN, i64::MAX, 0])]
    fn codes_are_those_of_the_axis(#[case] ids: &[i64]) {
        let mut axis = Axis::new(vec![Dimension::AdId]);
        axis.code(|_| 1).unwrap();
        for shift in [8, 36, 37, 63, 64, 100] {
            let mut keys = vec![5; ids.len()];
            encode(&mut axis, &[Words::Ids(ids)], shift, &mut keys).unwrap();
            for (&id, key) in ids.iter().zip(keys) {
                assert_eq!((axis.words(axis.code_in(key, shift)), key & 0xff), (&[id][..], 5));
                assert_eq!(key & !(((1 << axis.bits) - 1) << shift), 5);
            }
        }
    }

    #[test]
    fn rows_whose_other_words_differ_have_codes_of_their_own() {
        let mut axis = Axis::new(vec![Dimension::MediaKey, Dimension::OrganizationId]);
        // A dictionary with one text twice: its first and its last key.
        let texts = Words::Texts { keys: &[0, 1, 2, 0, 1], codes: &[40, 41, 40] };
        for organizations in [[7, 8, 7, 7, 8], [7, 8, 9, 7, 8], [7, 8, 7, 7, 9]] {
            let mut keys = vec![0; 5];
            let words = [texts, Words::Ids(&organizations)];
            encode(&mut axis, &words, 0, &mut keys).unwrap();
            let found: Vec<&[i64]> = keys.iter().map(|&key| axis.words(axis.code_in(key, 0))).collect();
            let expected: Vec<[i64; 2]> =
                [40, 41, 40, 40, 41].into_iter().zip(organizations).map(|(text, of)| [text, of]).collect();
            assert_eq!(found, expected);
        }
        assert_eq!(axis.len(), 4);
    }
}
