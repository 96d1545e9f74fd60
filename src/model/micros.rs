//! Money: an integer number of millionths of the currency unit. The only place where decimal text becomes money.

use std::fmt;

/// Millionths of the currency unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    pub const PER_UNIT: i64 = 1_000_000;

    /// Reads decimal text (`12.5`, `-1e-3`), rounded half to even at the sixth decimal.
    /// `None` when it is not a decimal number or does not fit.
    pub fn parse(text: &str) -> Option<Micros> {
        i64::try_from(scaled_decimal(text, 6)?).ok().map(Micros)
    }

    /// The micros of the shortest decimal text that reads back as `value`: `0.1` is exactly 100,000.
    /// `None` when `value` is not finite or does not fit.
    #[inline]
    pub fn from_f64(value: f64) -> Option<Micros> {
        if !value.is_finite() {
            return None;
        }
        Self::from_few_digits(value).or_else(|| Self::through_text(value))
    }

    #[cold]
    fn through_text(value: f64) -> Option<Micros> {
        // Rust prints the shortest digits that read back as the same double, as Python's `repr` does.
        Micros::parse(&format!("{value:e}"))
    }

    /// The answer for amounts below 10^9 with at most six decimals, which is nearly all of them, without any text.
    ///
    /// Decimal numbers of at most 15 digits map to distinct doubles. So when one of them reads back as `value` it is
    /// the shortest text of `value`, and here `micros / 10^6` does: both are exact, and their quotient is rounded
    /// once, as reading the text would.
    #[inline]
    fn from_few_digits(value: f64) -> Option<Micros> {
        const UNITS_MAX: f64 = 1e9;
        const MICROS_PER_UNIT: f64 = 1e6;
        if value.abs() >= UNITS_MAX {
            return None;
        }
        let micros = value * MICROS_PER_UNIT;
        // Towards zero, as the processor does: `round` is a call. Whichever it is, the quotient tells whether it is right.
        let micros = (micros + 0.5f64.copysign(micros)) as i64;
        (micros as f64 / MICROS_PER_UNIT == value).then_some(Micros(micros))
    }

    /// `None` when it does not fit.
    pub fn from_units(units: i64) -> Option<Micros> {
        units.checked_mul(Self::PER_UNIT).map(Micros)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal_text(i128::from(self.0), 6))
    }
}

/// `value` in units of 10^-`decimals`, as plain decimal text: `decimal_text(1500, 3)` is `1.500`.
pub fn decimal_text(value: i128, decimals: u32) -> String {
    let unit = 10u128.pow(decimals);
    let (sign, magnitude) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    if decimals == 0 {
        return format!("{sign}{magnitude}");
    }
    format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = decimals as usize)
}

/// The number that decimal text stands for, in units of 10^-`decimals`, rounded half to even.
/// `None` when the text is not a decimal number or the result does not fit an i128 with room to spare.
pub fn scaled_decimal(text: &str, decimals: u32) -> Option<i128> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // The value is `digits` x 10^shift in the wanted units.
    let shift = exponent.checked_sub(fraction.len() as i64)?.checked_add(i64::from(decimals))?;
    let kept = (digits.len() as i64).saturating_add(shift.min(0)).max(-1);
    let mut value: i128 = 0;
    for digit in digits.iter().take(kept.max(0) as usize) {
        value = append_digit(value, digit - b'0')?;
    }
    if shift < 0 {
        value += i128::from(rounds_up(&digits, kept, value));
    } else if value != 0 {
        for _ in 0..shift {
            value = append_digit(value, 0)?;
        }
    }
    Some(if negative { -value } else { value })
}

/// Thirty digits: more than any sum we keep, and far from the end of an i128.
fn append_digit(value: i128, digit: u8) -> Option<i128> {
    const VALUE_MAX: i128 = 10i128.pow(30);
    (value < VALUE_MAX).then_some(value * 10 + i128::from(digit))
}

/// Whether dropping `digits[kept..]` rounds away from zero. `kept` is -1 when even the first digit stands
/// at least one place below the half.
fn rounds_up(digits: &[u8], kept: i64, value: i128) -> bool {
    let Ok(kept) = usize::try_from(kept) else { return false };
    match digits.get(kept) {
        None => false,
        Some(b'5') if digits[kept + 1..].iter().all(|&digit| digit == b'0') => value % 2 == 1,
        Some(digit) => *digit >= b'5',
    }
}

/// `numerator` / `denominator` rounded half to even. The denominator is positive.
pub fn divide_half_even(numerator: i128, denominator: i128) -> i128 {
    debug_assert!(denominator > 0);
    let floor = numerator.div_euclid(denominator);
    let twice = 2 * numerator.rem_euclid(denominator);
    match twice.cmp(&denominator) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + (floor & 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.1, 100_000)]
    #[case(12.5, 12_500_000)]
    #[case(0.0, 0)]
    #[case(-0.0, 0)]
    #[case(1e-7, 0)]
    #[case(5e-7, 0)] // half to even: down to 0
    #[case(1.5e-6, 2)] // half to even: up to 2
    #[case(2.5e-6, 2)]
    #[case(2.500_001e-6, 3)]
    #[case(0.123_456_5, 123_456)]
    #[case(0.123_457_5, 123_458)]
    #[case(1e12, 1_000_000_000_000_000_000)]
    #[case(4_503_599_627_370.497, 4_503_599_627_370_497_000)]
    #[case(5e-324, 0)]
    #[case(9_007_199_254_740.992, 9_007_199_254_740_992_000)]
    fn double_becomes_micros_through_its_shortest_text(#[case] value: f64, #[case] micros: i64) {
        assert_eq!(Micros::from_f64(value), Some(Micros(micros)));
    }

    proptest::proptest! {
        #[test]
        fn short_way_gives_what_the_text_gives(digits in -999_999_999_999_999i64..999_999_999_999_999, drop in 0u32..18) {
            for value in [digits as f64 / 1e6, (digits / 10i64.pow(drop)) as f64 / 1e6, digits as f64 / 1e7, digits as f64] {
                let text = Micros::parse(&format!("{value:e}"));
                proptest::prop_assert_eq!(Micros::from_f64(value), text, "{}", value);
                if let Some(micros) = Micros::from_few_digits(value) {
                    proptest::prop_assert_eq!(Some(micros), text, "{}", value);
                }
            }
        }
    }

    #[rstest]
    #[case(f64::NAN)]
    #[case(f64::INFINITY)]
    #[case(1e13)]
    #[case(f64::MAX)]
    fn double_that_is_no_amount_is_refused(#[case] value: f64) {
        assert_eq!(Micros::from_f64(value), None);
    }

    #[rstest]
    #[case("1", Some(1_000_000))]
    #[case("1.", Some(1_000_000))]
    #[case(".000001", Some(1))]
    #[case("-2.5E1", Some(-25_000_000))]
    #[case("0.0000005", Some(0))]
    #[case("0.0000015", Some(2))]
    #[case("0.00000150000000000000000000000000000000000000001", Some(2))]
    #[case("0.00000050000000000000000000000000000000000000001", Some(1))]
    #[case("9223372036854.775807", Some(i64::MAX))]
    #[case("9223372036854.775808", None)]
    #[case("1e999999999999", None)]
    #[case("0e999999999999", Some(0))]
    #[case("1e-999999999999", Some(0))]
    #[case("", None)]
    #[case(".", None)]
    #[case("1e", None)]
    #[case("0x10", None)]
    #[case("1_000", None)]
    #[case("nan", None)]
    fn text_becomes_micros(#[case] text: &str, #[case] micros: Option<i64>) {
        assert_eq!(Micros::parse(text), micros.map(Micros));
    }

    #[rstest]
    #[case(5, 10, 0)]
    #[case(15, 10, 2)]
    #[case(25, 10, 2)]
    #[case(26, 10, 3)]
    #[case(-5, 10, 0)]
    #[case(-15, 10, -2)]
    fn division_rounds_half_to_even(#[case] numerator: i128, #[case] denominator: i128, #[case] expected: i128) {
        assert_eq!(divide_half_even(numerator, denominator), expected);
    }

    #[test]
    fn amounts_print_with_six_decimals() {
        assert_eq!(Micros(-1_500_000).to_string(), "-1.500000");
        assert_eq!(Micros(1).to_string(), "0.000001");
    }
}
