//! The other side of the books: the sum of every measure, and the rows, of each date.

use super::groups::SumOverflow;

/// Totals by the code that the date has on its axis.
#[derive(Clone, Debug)]
pub struct Days {
    /// The measures' sums, then the rows, code by code.
    totals: Vec<i64>,
    width: usize,
}

impl Days {
    pub fn new(measures: usize) -> Days {
        Days { totals: Vec::new(), width: measures + 1 }
    }

    pub fn len(&self) -> usize {
        self.totals.len() / self.width
    }

    /// The sums of the measures, and the rows.
    pub fn totals(&self, date: usize) -> (&[i64], i64) {
        let (rows, sums) = self.totals[date * self.width..][..self.width].split_last().expect("the rows are there");
        (sums, *rows)
    }

    /// Adds rows: the code of each row's date, and a column for each measure.
    pub fn add(&mut self, dates: &[u32], columns: &[&[i64]]) -> Result<(), SumOverflow> {
        /// More dates than this are added row by row.
        const DATES_FEW: usize = 4;
        let mut rows: Vec<i64> = Vec::new();
        for &date in dates {
            if rows.len() <= date as usize {
                rows.resize(date as usize + 1, 0);
            }
            rows[date as usize] += 1;
        }
        let of_batch: Vec<usize> = (0..rows.len()).filter(|&date| rows[date] > 0).collect();
        of_batch.iter().for_each(|&date| self.of(date)[columns.len()] += rows[date]);
        if of_batch.len() > DATES_FEW {
            return self.add_each(dates, columns);
        }
        // A batch has one date or two: each column is read once for each, without a branch on a row's date.
        for date in of_batch {
            for (total, column) in self.of(date).iter_mut().zip(columns) {
                let of_date = dates.iter().zip(*column);
                let of_date = of_date.map(|(&of, &value)| if of as usize == date { value } else { 0 });
                *total = total.checked_add(sum(of_date)?).ok_or(SumOverflow)?;
            }
        }
        Ok(())
    }

    fn add_each(&mut self, dates: &[u32], columns: &[&[i64]]) -> Result<(), SumOverflow> {
        for (row, &date) in dates.iter().enumerate() {
            for (total, column) in self.of(date as usize).iter_mut().zip(columns) {
                *total = total.checked_add(column[row]).ok_or(SumOverflow)?;
            }
        }
        Ok(())
    }

    /// Adds the totals of a date of others.
    pub fn merge(&mut self, date: usize, (sums, rows): (&[i64], i64)) -> Result<(), SumOverflow> {
        for (total, sum) in self.of(date).iter_mut().zip(sums.iter().chain([&rows])) {
            *total = total.checked_add(*sum).ok_or(SumOverflow)?;
        }
        Ok(())
    }

    fn of(&mut self, date: usize) -> &mut [i64] {
        let end = (date + 1) * self.width;
        if self.totals.len() < end {
            self.totals.resize(end, 0);
        }
        &mut self.totals[end - self.width..end]
    }
}

/// The sum of values that are not negative.
fn sum(values: impl ExactSizeIterator<Item = i64> + Clone) -> Result<i64, SumOverflow> {
    /// So many values of so many bits do not exceed 63 bits.
    const FEW: usize = 1 << 20;
    const SMALL: i64 = (1 << 42) - 1;
    let is_few = values.len() <= FEW;
    let (sum, all) = values.clone().fold((0i64, 0), |(sum, all), value| (sum.wrapping_add(value), all | value));
    if is_few && (0..=SMALL).contains(&all) {
        return Ok(sum);
    }
    values.into_iter().try_fold(0i64, |sum, value| sum.checked_add(value)).ok_or(SumOverflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_date_add_up() {
        let mut days = Days::new(2);
        days.add(&[0, 0, 1, 0], &[&[1, 2, 3, 4], &[10, 20, 30, i64::MAX - 30]]).unwrap();
        assert_eq!((days.totals(0), days.totals(1)), ((&[7, i64::MAX][..], 3), (&[3, 30][..], 1)));
        assert_eq!(days.add(&[0], &[&[0], &[1]]), Err(SumOverflow));
    }

    #[test]
    fn many_dates_add_up_as_few_do() {
        let dates: Vec<u32> = (0..1000).map(|row| row * 7 % 100).collect();
        let values: Vec<i64> = (0..1000).collect();
        let (mut many, mut few) = (Days::new(1), Days::new(1));
        many.add(&dates, &[&values]).unwrap();
        dates.chunks(2).zip(values.chunks(2)).for_each(|(dates, values)| few.add(dates, &[values]).unwrap());
        assert_eq!(many.len(), 100);
        assert!((0..100).all(|date| many.totals(date) == few.totals(date)));
        assert_eq!(many.add(&[0, 1, 2, 3, 4, 5, 5], &[&[0, 0, 0, 0, 0, i64::MAX, 1]]), Err(SumOverflow));
    }

    #[test]
    fn large_values_do_not_come_round() {
        let most = [i64::MAX; 3];
        assert_eq!(Days::new(1).add(&[0; 3], &[&most]), Err(SumOverflow));
        let few = [1 << 60; 7];
        let mut days = Days::new(1);
        days.add(&[0; 7], &[&few]).unwrap();
        assert_eq!(days.totals(0).0, [7 << 60]);
    }
}
