//! The date that a key tells, as producers write it into the names of log files.

use jiff::civil::{Date, date};

/// The years that a date in a key may have: longer runs of digits are full of other "years".
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2099;

/// The first date from the left that `key` holds, in one of these forms, without a digit right before or after it:
///
/// - `2024-06-11`, `2024/06/11`, `2024_06_11`: the same separator twice, two digits each for month and day;
/// - `20240611`, also followed at once by a time of day as `HH`, `HHMM` or `HHMMSS`;
/// - `year=2024/month=06/day=11`, whole names of folders; month and day may have one digit.
pub fn date_in_key(key: &str) -> Option<Date> {
    let bytes = key.as_bytes();
    (0..bytes.len()).find_map(|at| {
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let rest = &bytes[at..];
        match before {
            None | Some(b'/') => folders(rest).or_else(|| written(rest)),
            Some(byte) if byte.is_ascii_digit() => None,
            Some(_) => written(rest),
        }
    })
}

/// `year=2024/month=06/day=11`
fn folders(text: &[u8]) -> Option<Date> {
    let (year, rest) = named(text, b"year=")?;
    let (month, rest) = named(rest.strip_prefix(b"/")?, b"month=")?;
    let (day, rest) = named(rest.strip_prefix(b"/")?, b"day=")?;
    let ends = rest.is_empty() || rest[0] == b'/';
    if ends && year.len() == 4 && month.len() <= 2 && day.len() <= 2 { of_digits(year, month, day) } else { None }
}

/// The digits after `name`, and what follows them.
fn named<'a>(text: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let value = text.strip_prefix(name)?;
    Some(value.split_at(digits(value)))
}

/// `2024-06-11`, `20240611`, `2024061123`
fn written(text: &[u8]) -> Option<Date> {
    match digits(text) {
        4 => {
            let separator = *text.get(4).filter(|byte| b"-/_".contains(byte))?;
            let whole = digits(text.get(5..)?) == 2 && text.get(7) == Some(&separator) && digits(text.get(8..)?) == 2;
            if whole { of_digits(&text[..4], &text[5..7], &text[8..10]) } else { None }
        }
        run @ (8 | 10 | 12 | 14) => {
            let limits = [23, 59, 59];
            let time = text[8..run].chunks(2).zip(limits).all(|(part, max)| number(part).is_some_and(|n| n <= max));
            if time { of_digits(&text[..4], &text[4..6], &text[6..8]) } else { None }
        }
        _ => None,
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn number(digits: &[u8]) -> Option<i16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn of_digits(year: &[u8], month: &[u8], day: &[u8]) -> Option<Date> {
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let known = YEARS.contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // A day that the month does not have is no date.
    (known && day <= i16::from(date(year, month as i8, 1).days_in_month())).then(|| date(year, month as i8, day as i8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("logs/2024-06-11/a.pkl.gz", "2024-06-11")]
    #[case("logs/2024/06/11/23/a.pkl.gz", "2024-06-11")]
    #[case("ads_2024_06_11.pkl", "2024-06-11")]
    #[case("ads-20240611.pkl.gz", "2024-06-11")]
    #[case("20240611", "2024-06-11")]
    #[case("ads20240611T2359.pkl", "2024-06-11")]
    #[case("ads-2024061123.pkl", "2024-06-11")]
    #[case("ads-202406112359.pkl", "2024-06-11")]
    #[case("ads-20240611235959.pkl", "2024-06-11")]
    #[case("logs/dt=2024-06-11/hour=03/a", "2024-06-11")]
    #[case("year=2024/month=06/day=11/a", "2024-06-11")]
    #[case("logs/year=2024/month=6/day=1", "2024-06-01")]
    #[case("2024-02-30/2024-02-29/x", "2024-02-29")] // what is no date is passed over
    #[case("2024-06-12/ads-2024-06-11.pkl", "2024-06-12")] // the first one
    #[case("광고/2024-06-11", "2024-06-11")]
    fn date_is_found(#[case] key: &str, #[case] date: &str) {
        assert_eq!(date_in_key(key).map(|date| date.to_string()).as_deref(), Some(date));
    }

    #[rstest]
    #[case("")]
    #[case("logs/a.pkl.gz")]
    #[case("1718000000.pkl")] // seconds since 1970
    #[case("1718000000123.pkl")]
    #[case("120240611")]
    #[case("202406119")]
    #[case("2024061124.pkl")] // no such hour
    #[case("2024-13-01")]
    #[case("2023-02-29")]
    #[case("2024-06/11")]
    #[case("2024-6-1")]
    #[case("2024-06-111")]
    #[case("1999-12-31")]
    #[case("2024-06")]
    #[case("year=2024/month=06")]
    #[case("myyear=2024/month=06/day=11")]
    #[case("year=2024/month=06/day=11th")]
    fn other_digits_are_no_date(#[case] key: &str) {
        assert_eq!(date_in_key(key), None);
    }
}
