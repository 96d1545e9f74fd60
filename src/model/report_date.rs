//! A calendar day in the platform's time zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Days since 1970-01-01, as Arrow's `Date32` counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportDate(pub i32);

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

impl ReportDate {
    pub fn of(date: Date) -> Self {
        Self((date - EPOCH).get_days())
    }

    /// 0001-01-01 and 9999-12-31: the dates of four-digit years.
    pub const FIRST: ReportDate = ReportDate(-719_162);
    pub const LAST: ReportDate = ReportDate(2_932_896);

    /// A date beyond [`ReportDate::FIRST`] and [`ReportDate::LAST`] becomes the nearer of the two.
    pub fn to_date(self) -> Date {
        EPOCH.saturating_add(self.clamp(Self::FIRST, Self::LAST).0.days())
    }
}

impl fmt::Display for ReportDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_date().fmt(f)
    }
}

impl FromStr for ReportDate {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::of)
    }
}

/// Turns Unix seconds into dates of one time zone; remembers the last days, since logs are about in order.
pub struct Calendar {
    zone: TimeZone,
    /// The newest last.
    days: [Day; 4],
}

#[derive(Clone, Copy)]
struct Day {
    /// The first second of the date, and the first one after it.
    begin: i64,
    end: i64,
    date: ReportDate,
}

impl Calendar {
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, days: [Day { begin: 0, end: 0, date: ReportDate(0) }; 4] }
    }

    /// The date of a Unix second. Seconds outside of the years -9999 to 9999 are clamped to their ends.
    pub fn date(&mut self, second: i64) -> ReportDate {
        let known = self.days.iter().rev().find(|day| day.begin <= second && second < day.end);
        match known {
            Some(day) => day.date,
            None => self.turn_to(second),
        }
    }

    fn turn_to(&mut self, second: i64) -> ReportDate {
        let clamped = second.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let instant = Timestamp::from_second(clamped).unwrap_or(Timestamp::UNIX_EPOCH);
        let zoned = instant.to_zoned(self.zone.clone());
        let date = ReportDate::of(zoned.date());
        let start = zoned.start_of_day().map(|day| day.timestamp().as_second());
        let end = zoned.tomorrow().and_then(|next| next.start_of_day()).map(|day| day.timestamp().as_second());
        // At the ends of time there is no day before or after: such a second is looked up each time.
        if let (Ok(begin), Ok(end)) = (start, end) {
            self.days.rotate_left(1);
            self.days[3] = Day { begin, end, date };
        }
        date
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1_717_999_200, "2024-06-10")] // 15:00 in Seoul
    #[case(1_717_945_199, "2024-06-09")] // 23:59:59 in Seoul, 14:59:59 in London
    #[case(1_717_945_200, "2024-06-10")] // midnight in Seoul
    #[case(946_684_800, "2000-01-01")]
    #[case(-1, "1970-01-01")]
    #[case(549_122_399, "1987-05-27")] // a second before midnight in Seoul's summer time, +10:00
    #[case(549_122_400, "1987-05-28")]
    fn second_belongs_to_its_day_in_seoul(#[case] second: i64, #[case] date: &str) {
        let mut calendar = Calendar::new(TimeZone::get("Asia/Seoul").unwrap());
        assert_eq!(calendar.date(second).to_string(), date);
        assert_eq!(calendar.date(second).to_string(), date, "the remembered day");
    }

    #[test]
    fn first_and_last_date_have_four_digit_years() {
        assert_eq!(ReportDate::FIRST.to_string(), "0001-01-01");
        assert_eq!(ReportDate::LAST.to_string(), "9999-12-31");
        assert_eq!(ReportDate(i32::MAX).to_string(), "9999-12-31");
    }

    #[test]
    fn ends_of_time_do_not_panic() {
        let mut calendar = Calendar::new(TimeZone::get("Asia/Seoul").unwrap());
        calendar.date(i64::MAX);
        calendar.date(i64::MIN);
    }
}
