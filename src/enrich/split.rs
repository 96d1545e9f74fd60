//! The revenue split of one row: who gets which part of it.

use crate::model::Rate;
use crate::model::micros::divide_half_even;

/// The media's and the agency's share of `revenue`, in micros, each rounded half to even such that the two add up to
/// the whole when the rates add up to 1.
///
/// Revenue of 63 bits times two rates of at most 10^18 stays below 2 x 10^37, an i128 holds 1.7 x 10^38.
pub fn split(revenue: i64, media_rate: Rate, agency_rate: Rate) -> (i64, i64) {
    let media = share(revenue, media_rate.units());
    let both = share(revenue, media_rate.units() + agency_rate.units());
    (media, both - media)
}

/// `revenue` times a rate in units of 10^-18, rounded half to even.
fn share(revenue: i64, rate: u64) -> i64 {
    // Rates have a few decimals and amounts are small: then 64 bits do, at a fraction of the time.
    const PER_MILLIONTH: u64 = Rate::SCALE / 1_000_000;
    if let Ok(revenue) = u64::try_from(revenue)
        && rate.is_multiple_of(PER_MILLIONTH)
        && let Some(millionths) = revenue.checked_mul(rate / PER_MILLIONTH)
    {
        let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
        let up = rest > 500_000 || (rest == 500_000 && whole % 2 == 1);
        return (whole + u64::from(up)) as i64;
    }
    divide_half_even(i128::from(revenue) * i128::from(rate), i128::from(Rate::SCALE)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(12_500_000, "0.8", "0.2", 10_000_000, 2_500_000)]
    #[case(1, "0.5", "0.5", 0, 1)] // the media's half rounds to even, the agency gets the rest
    #[case(3, "0.5", "0.5", 2, 1)]
    #[case(10, "0.333333", "0.666667", 3, 7)]
    #[case(10, "0.25", "0", 2, 0)]
    #[case(10, "0", "0.25", 0, 2)]
    #[case(0, "0.7", "0.3", 0, 0)]
    #[case(i64::MAX, "1", "0", i64::MAX, 0)]
    #[case(1_000_001, "0.7", "0.1", 700_001, 100_000)]
    fn revenue_is_split(
        #[case] revenue: i64,
        #[case] media: &str,
        #[case] agency: &str,
        #[case] media_part: i64,
        #[case] agency_part: i64,
    ) {
        let parts = split(revenue, Rate::parse(media).unwrap(), Rate::parse(agency).unwrap());
        assert_eq!(parts, (media_part, agency_part));
    }

    proptest! {
        #[test]
        fn short_way_gives_what_the_long_way_gives(revenue in 0..i64::MAX, bits in 0u32..63, rate in 0u64..=1_000_000) {
            let (revenue, rate) = (revenue >> bits, rate * (Rate::SCALE / 1_000_000));
            let long = divide_half_even(i128::from(revenue) * i128::from(rate), i128::from(Rate::SCALE));
            prop_assert_eq!(i128::from(share(revenue, rate)), long);
        }

        #[test]
        fn shares_add_up_to_the_whole_when_the_rates_do(revenue in 0..i64::MAX, parts in 0u32..=1_000_000) {
            let media = Rate::parse(&format!("{}e-6", parts)).unwrap();
            let agency = Rate::parse(&format!("{}e-6", 1_000_000 - parts)).unwrap();
            let (media, agency) = split(revenue, media, agency);
            prop_assert_eq!(media + agency, revenue);
            prop_assert!(media >= 0 && agency >= 0);
        }
    }
}
