//! Days and spans of days as people say them, in the platform's time zone.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::model::ReportDate;

/// A day, a month, a year, or words for a span of days that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// First and last day.
    Days(Date, Date),
    Today,
    Yesterday,
    ThisWeek,
    LastWeek,
    ThisMonth,
    LastMonth,
    ThisYear,
    LastYear,
    /// So many days, of which yesterday is the last: today's sums still grow.
    LastDays(i64),
}

const WORDS: [(&str, When); 8] = [
    ("today", When::Today),
    ("yesterday", When::Yesterday),
    ("this-week", When::ThisWeek),
    ("last-week", When::LastWeek),
    ("this-month", When::ThisMonth),
    ("last-month", When::LastMonth),
    ("this-year", When::ThisYear),
    ("last-year", When::LastYear),
];

/// About ten years.
const DAYS_MAX: i64 = 3660;

impl When {
    /// First and last day, both included. A span that has not ended yet ends with its own end, not with today.
    pub fn days(self, today: Date) -> (Date, Date) {
        let monday = today.saturating_sub(i64::from(today.weekday().to_monday_zero_offset()).days());
        let month = |day: Date| (day.first_of_month(), day.last_of_month());
        let year = |day: Date| (day.first_of_year(), day.last_of_year());
        let yesterday = today.saturating_sub(1.day());
        match self {
            When::Days(first, last) => (first, last),
            When::Today => (today, today),
            When::Yesterday => (yesterday, yesterday),
            When::ThisWeek => (monday, monday.saturating_add(6.days())),
            When::LastWeek => (monday.saturating_sub(7.days()), monday.saturating_sub(1.day())),
            When::ThisMonth => month(today),
            When::LastMonth => month(today.first_of_month().saturating_sub(1.day())),
            When::ThisYear => year(today),
            When::LastYear => year(today.first_of_year().saturating_sub(1.day())),
            When::LastDays(days) => (today.saturating_sub(days.days()), yesterday),
        }
    }

    pub fn first(self, today: Date) -> ReportDate {
        ReportDate::of(self.days(today).0)
    }

    pub fn last(self, today: Date) -> ReportDate {
        ReportDate::of(self.days(today).1)
    }
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        if let Some((_, when)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*when);
        }
        let days = text.strip_prefix("last-").and_then(|rest| rest.strip_suffix("-days")).and_then(|n| n.parse().ok());
        if let Some(days @ 1..=DAYS_MAX) = days {
            return Ok(When::LastDays(days));
        }
        day_month_or_year(text).ok_or_else(|| {
            let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
            format!(
                "write a day (2024-06-10), a month (2024-06), a year (2024), last-N-days (N up to {DAYS_MAX}), or one of {}",
                words.join(", ")
            )
        })
    }
}

fn day_month_or_year(text: &str) -> Option<When> {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [year] if digits(year, 4) => {
            let first = Date::new(year.parse().ok()?, 1, 1).ok()?;
            Some(When::Days(first, first.last_of_year()))
        }
        [year, month] if digits(year, 4) && digits(month, 2) => {
            let first = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
            Some(When::Days(first, first.last_of_month()))
        }
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            let day = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
            Some(When::Days(day, day))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    // 2024-03-01 is a Friday, after a leap day.
    #[rstest]
    #[case("2024-06-10", "2024-06-10", "2024-06-10")]
    #[case("2024-02", "2024-02-01", "2024-02-29")]
    #[case("2023", "2023-01-01", "2023-12-31")]
    #[case("today", "2024-03-01", "2024-03-01")]
    #[case("yesterday", "2024-02-29", "2024-02-29")]
    #[case("last-1-days", "2024-02-29", "2024-02-29")]
    #[case("last-7-days", "2024-02-23", "2024-02-29")]
    #[case("this-week", "2024-02-26", "2024-03-03")]
    #[case("last-week", "2024-02-19", "2024-02-25")]
    #[case("this-month", "2024-03-01", "2024-03-31")]
    #[case("last-month", "2024-02-01", "2024-02-29")]
    #[case("this-year", "2024-01-01", "2024-12-31")]
    #[case("last-year", "2023-01-01", "2023-12-31")]
    fn words_are_spans_of_days(#[case] text: &str, #[case] first: &str, #[case] last: &str) {
        let (from, to) = text.parse::<When>().unwrap().days(jiff::civil::date(2024, 3, 1));
        assert_eq!((from.to_string(), to.to_string()), (first.to_owned(), last.to_owned()));
    }

    #[rstest]
    #[case("tomorow")]
    #[case("last-0-days")]
    #[case("last-9999-days")]
    #[case("2024-13")]
    #[case("2024-02-30")]
    #[case("24-06-10")]
    #[case("20240610")]
    #[case("")]
    fn what_is_no_day_is_told_what_is(#[case] text: &str) {
        assert!(text.parse::<When>().unwrap_err().contains("last-month"));
    }
}
