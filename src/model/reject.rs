//! Rows that were read and not counted: reasons, numbers, and where the first few stand.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! reject_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// Why a row was not counted. When several apply, the first in this order is the one that is given.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RejectReason { $($(#[$doc])* $variant,)+ }

        impl RejectReason {
            pub const ALL: &[RejectReason] = &[$(RejectReason::$variant,)+];

            pub fn name(self) -> &'static str {
                match self { $(RejectReason::$variant => $name,)+ }
            }
        }
    };
}

reject_reasons! {
    /// An element of the list of rows is not a dict.
    NotARow = "not_a_row";
    TimestampMissing = "timestamp_missing";
    /// Of another type, NaN or infinite.
    TimestampNotANumber = "timestamp_not_a_number";
    TimestampOutOfWindow = "timestamp_out_of_window";
    /// Neither text nor an integer, or text that is not Unicode (a lone surrogate).
    MediaKeyNotText = "media_key_not_text";
    /// More characters than the column holds.
    MediaKeyTooLong = "media_key_too_long";
    /// Neither a list of dicts nor JSON text of one.
    AdsUnreadable = "ads_unreadable";
    /// An inventory, ad or demand id that is not an integer of 64 bits.
    IdNotAnInteger = "id_not_an_integer";
    /// Of another type, fractional, NaN, or beyond 64 bits.
    CounterNotAnInteger = "counter_not_an_integer";
    CounterNegative = "counter_negative";
    /// Of another type, NaN, infinite, or beyond what micros hold.
    MoneyNotANumber = "money_not_a_number";
    MoneyNegative = "money_negative";
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many rows were rejected for one reason, and where the first of them stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    pub rows: u64,
    /// Ordinals of rows in the object, counted from 0 over all its dumps.
    pub first_rows: Vec<u64>,
}

/// The rejected rows of one object, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects(BTreeMap<RejectReason, Rejected>);

impl Rejects {
    /// Ordinals kept for each reason.
    pub const FIRST_ROWS_MAX: usize = 5;

    pub fn add(&mut self, reason: RejectReason, row: u64) {
        let rejected = self.0.entry(reason).or_default();
        rejected.rows += 1;
        if rejected.first_rows.len() < Self::FIRST_ROWS_MAX {
            rejected.first_rows.push(row);
        }
    }

    pub fn rows(&self) -> u64 {
        self.0.values().map(|rejected| rejected.rows).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (RejectReason, &Rejected)> {
        self.0.iter().map(|(reason, rejected)| (*reason, rejected))
    }
}

impl fmt::Display for Rejects {
    /// `timestamp_missing: 3 rows (first 0, 7, 9); money_negative: 1 row (first 4)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (reason, rejected)) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            let noun = if rejected.rows == 1 { "row" } else { "rows" };
            let first: Vec<String> = rejected.first_rows.iter().map(u64::to_string).collect();
            write!(f, "{separator}{reason}: {} {noun} (first {})", rejected.rows, first.join(", "))?;
        }
        Ok(())
    }
}
