//! The codes of a batch's rows on one axis.

use std::ops::Range;

use super::Overflow;
use super::axis::Axis;
use super::groups::Key;
use super::words::Words;

/// Writes the codes of an axis into the rows' keys, from bit `shift` on. The axis learns combinations that are new.
pub fn encode(axis: &mut Axis, words: &[Words], shift: u32, keys: &mut [Key]) -> Result<(), Overflow> {
    match words {
        [Words::Dates(dates)] => encode_words(axis, |row| i64::from(dates[row]), shift, keys),
        [Words::Ids(ids)] => encode_words(axis, |row| ids[row], shift, keys),
        words => {
            for (row, key) in keys.iter_mut().enumerate() {
                *key |= Key::from(axis.code(|nth| words[nth].at(row))?) << shift;
            }
            Ok(())
        }
    }
}

/// Of an axis of one dimension. Where the batch's words are close together, each is looked up once.
fn encode_words(axis: &mut Axis, word: impl Fn(usize) -> i64, shift: u32, keys: &mut [Key]) -> Result<(), Overflow> {
    const NO_CODE: u32 = u32::MAX;
    let Some(words) = close_together((0..keys.len()).map(&word)) else {
        for (row, key) in keys.iter_mut().enumerate() {
            *key |= Key::from(axis.code(|_| word(row))?) << shift;
        }
        return Ok(());
    };
    let mut codes = vec![NO_CODE; (words.end - words.start) as usize];
    for (row, key) in keys.iter_mut().enumerate() {
        let word = word(row);
        let code = &mut codes[(word - words.start) as usize];
        if *code == NO_CODE {
            *code = axis.code(|_| word)?;
        }
        *key |= Key::from(*code) << shift;
    }
    Ok(())
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
        let mut keys = vec![5; ids.len()];
        encode(&mut axis, &[Words::Ids(ids)], 8, &mut keys).unwrap();
        for (&id, key) in ids.iter().zip(keys) {
            assert_eq!((axis.words(axis.code_in(key, 8)), key & 0xff), (&[id][..], 5));
        }
    }
}
