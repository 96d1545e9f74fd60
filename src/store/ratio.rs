//! Quotients of exact sums: computed on read, from the sums at hand, so that every database gives the same answer.

use crate::model::MeasureKind;
use crate::model::micros::divide_half_even;
use crate::report::{Plan, Ratio, Report};

/// A quotient in millionths, rounded half to even: `ratio(plan, report, ecpm, sums)`. None when the denominator is 0.
pub fn ratio(plan: &Plan, report: &Report, ratio: &Ratio, sums: &[i128]) -> Option<i128> {
    let operand = |measure: usize| {
        let at = report.measures.iter().position(|&at| at == measure)?;
        Some((*sums.get(at)?, plan.measures[measure].kind))
    };
    quotient(operand(ratio.numerator)?, operand(ratio.denominator)?, ratio.times)
}

/// None when the denominator is 0, or when the quotient is beyond all reason (10^29 units).
fn quotient(numerator: (i128, MeasureKind), denominator: (i128, MeasureKind), times: u32) -> Option<i128> {
    const MILLION: i128 = 1_000_000;
    let scale = |kind| if kind == MeasureKind::Money { MILLION } else { 1 };
    let ((numerator, numerator_kind), (denominator, denominator_kind)) = (numerator, denominator);
    if denominator <= 0 {
        return None;
    }
    // Micros over a count are millionths already.
    let factor = MILLION * scale(denominator_kind) / scale(numerator_kind) * i128::from(times);
    let numerator = numerator.checked_mul(factor)?;
    // The division doubles a remainder, which is less than the denominator.
    denominator.checked_mul(2)?;
    Some(divide_half_even(numerator, denominator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use MeasureKind::{Count, Money};
    use rstest::rstest;

    #[rstest]
    #[case((1, Count), (3, Count), 1, Some(333_333))]
    #[case((2, Count), (3, Count), 1, Some(666_667))]
    #[case((1, Count), (2_000_000, Count), 1, Some(0))] // half of a millionth: to even
    #[case((3, Count), (2_000_000, Count), 1, Some(2))]
    #[case((10_000_000, Money), (30, Count), 1000, Some(333_333_333))]
    #[case((10_000_000, Money), (4_000_000, Money), 1, Some(2_500_000))]
    #[case((5, Count), (2_000_000, Money), 1, Some(2_500_000))]
    #[case((5, Count), (0, Count), 1, None)]
    #[case((0, Count), (7, Count), 1000, Some(0))]
    #[case((i128::from(i64::MAX) * 1000, Money), (1, Count), 1000, Some(i128::from(i64::MAX) * 1_000_000))]
    #[case((i128::MAX, Count), (1, Count), 1, None)]
    fn quotient_is_exact_to_the_millionth(
        #[case] numerator: (i128, MeasureKind),
        #[case] denominator: (i128, MeasureKind),
        #[case] times: u32,
        #[case] expected: Option<i128>,
    ) {
        assert_eq!(quotient(numerator, denominator, times), expected);
    }
}
