//! Which of the listed objects somebody asks about, by date.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Found, date_in_key};

/// What an object's date is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateBy {
    /// [`DateBy::Key`] where the key holds a date, else [`DateBy::Modified`].
    Auto,
    /// The date in the key, as [`date_in_key`] finds it, taken as it is written.
    Key,
    /// The day, in the logs' time zone, on which the object was last modified.
    Modified,
}

/// Objects of these dates, the first and the last included.
#[derive(Clone, Debug)]
pub struct DateRange {
    pub since: Option<Date>,
    pub until: Option<Date>,
    pub by: DateBy,
    pub zone: TimeZone,
}

/// Nothing set: all objects.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub dates: Option<DateRange>,
    /// Objects that were last modified at this time or later.
    pub modified_since: Option<Timestamp>,
}

/// Whether an object is one of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Chosen,
    /// It has another date.
    OtherDate,
    /// It has no date of the kind that was asked for, and so is not chosen.
    Undated,
}

impl Selection {
    /// What can't be an object has no date and is always chosen: nothing is passed over in silence.
    pub fn choose(&self, found: &Found) -> Choice {
        let Some(object) = found.object() else { return Choice::Chosen };
        let too_old = self.modified_since.zip(found.modified).is_some_and(|(since, modified)| modified < since);
        if too_old {
            return Choice::OtherDate;
        }
        match &self.dates {
            Some(range) => range.choose(&object.key, found.modified),
            None => Choice::Chosen,
        }
    }
}

impl DateRange {
    fn choose(&self, key: &str, modified: Option<Timestamp>) -> Choice {
        let modified = || modified.map(|modified| modified.to_zoned(self.zone.clone()).date());
        let date = match self.by {
            DateBy::Auto => date_in_key(key).or_else(modified),
            DateBy::Key => date_in_key(key),
            DateBy::Modified => modified(),
        };
        let Some(date) = date else { return Choice::Undated };
        let within = self.since.is_none_or(|since| since <= date) && self.until.is_none_or(|until| date <= until);
        if within { Choice::Chosen } else { Choice::OtherDate }
    }
}

#[cfg(test)]
mod tests {
    use super::Choice::{Chosen, OtherDate, Undated};
    use super::*;
    use crate::model::{Announced, ObjectRef};
    use rstest::rstest;

    fn found(key: &str, modified: &str) -> Found {
        let object = ObjectRef { bucket: "logs".into(), key: key.into(), announced: Announced::default() };
        Found::new(object, modified.parse().ok())
    }

    #[rstest]
    #[case(DateBy::Auto, "2024-06-11/a", "2024-07-01T00:00:00Z", Chosen)]
    #[case(DateBy::Auto, "2024-06-10/a", "2024-06-11T00:00:00Z", OtherDate)]
    #[case(DateBy::Auto, "a", "2024-06-11T00:00:00Z", Chosen)]
    #[case(DateBy::Auto, "a", "", Undated)]
    #[case(DateBy::Key, "a", "2024-06-11T00:00:00Z", Undated)]
    #[case(DateBy::Key, "2024-06-12/a", "", Chosen)]
    #[case(DateBy::Key, "2024-06-13/a", "2024-06-12T00:00:00Z", OtherDate)]
    #[case(DateBy::Modified, "2024-06-13/a", "2024-06-12T14:59:59Z", Chosen)] // a second before midnight in Seoul
    #[case(DateBy::Modified, "2024-06-12/a", "2024-06-12T15:00:00Z", OtherDate)]
    #[case(DateBy::Modified, "2024-06-11/a", "2024-06-10T14:59:59Z", OtherDate)]
    #[case(DateBy::Modified, "2024-06-10/a", "2024-06-10T15:00:00Z", Chosen)]
    fn range_holds_its_first_and_last_day(
        #[case] by: DateBy,
        #[case] key: &str,
        #[case] modified: &str,
        #[case] choice: Choice,
    ) {
        let day = |text: &str| Some(text.parse().unwrap());
        let zone = TimeZone::get("Asia/Seoul").unwrap();
        let dates = Some(DateRange { since: day("2024-06-11"), until: day("2024-06-12"), by, zone });
        let selection = Selection { dates, modified_since: None };
        assert_eq!(selection.choose(&found(key, modified)), choice);
    }

    #[test]
    fn nothing_asked_is_everything_chosen() {
        assert_eq!(Selection::default().choose(&found("a", "")), Chosen);
        let unreadable = Found::unreadable("a".into(), "its name is not UTF-8".into());
        let dates = Some(DateRange { since: None, until: None, by: DateBy::Key, zone: TimeZone::UTC });
        assert_eq!(Selection { dates, modified_since: None }.choose(&unreadable), Chosen);
    }

    #[test]
    fn older_objects_are_left_out() {
        let since = "2024-06-11T00:00:00Z".parse().ok();
        let selection = Selection { dates: None, modified_since: since };
        assert_eq!(selection.choose(&found("a", "2024-06-10T23:59:59Z")), OtherDate);
        assert_eq!(selection.choose(&found("a", "2024-06-11T00:00:00Z")), Chosen);
        assert_eq!(selection.choose(&found("a", "")), Chosen);
    }
}
