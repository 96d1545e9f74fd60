//! The platform's own tables that rows are joined with, as read: not yet a snapshot.

use std::fmt;

/// A share of revenue in units of 10^-18, between 0 and 1 inclusive.
///
/// Eighteen decimals hold every `DECIMAL` a database stores for a rate and the shortest text of every double in
/// that range down to 10^-18, so no rate is rounded on its way in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    pub const SCALE: u64 = 1_000_000_000_000_000_000;
    pub const ZERO: Rate = Rate(0);

    /// Reads decimal text such as `0.15`, `.5`, `1`, `1.5e-1`.
    pub fn parse(text: &str) -> Result<Rate, RateError> {
        let wrong = || RateError { text: text.chars().take(40).collect() };
        let units = super::micros::scaled_decimal(text.trim(), 18).ok_or_else(wrong)?;
        match u64::try_from(units) {
            Ok(units) if units <= Self::SCALE => Ok(Rate(units)),
            _ => Err(wrong()),
        }
    }

    /// Units of 10^-18.
    pub fn units(self) -> u64 {
        self.0
    }
}

/// A rate that is not a number between 0 and 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateError {
    pub text: String,
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rate `{}` is not a decimal number between 0 and 1", self.text)
    }
}

impl std::error::Error for RateError {}

/// One row of the media query. A `NULL` organization is 0, a `NULL` rate is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRow {
    pub media_key: String,
    pub organization_id: i64,
    pub agency_rate: Rate,
    pub media_rate: Rate,
}

/// One row of the inventory query, as written there. `NULL` is the empty string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryRow {
    pub inventory_id: i64,
    pub ad_type: String,
    pub device: String,
    pub app_type: String,
}

/// All metadata of one read, in one transaction's view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub media: Vec<MediaRow>,
    pub inventory: Vec<InventoryRow>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", 0)]
    #[case("1", Rate::SCALE)]
    #[case("1.000", Rate::SCALE)]
    #[case(".5", Rate::SCALE / 2)]
    #[case("0.1", Rate::SCALE / 10)]
    #[case("1.5e-1", 150_000_000_000_000_000)]
    #[case("0.3333333333333333", 333_333_333_333_333_300)]
    fn rate_is_read_exactly(#[case] text: &str, #[case] units: u64) {
        assert_eq!(Rate::parse(text).unwrap().units(), units);
    }

    #[rstest]
    #[case("1.000000000000000001")]
    #[case("-0.1")]
    #[case("15")]
    #[case("NaN")]
    #[case("")]
    #[case("0.1%")]
    fn rate_outside_zero_to_one_is_refused(#[case] text: &str) {
        assert!(Rate::parse(text).is_err());
    }
}
