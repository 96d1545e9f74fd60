//! Numbers as people read them. Integers throughout: money is micros, shares are tenths of a percent.

use crate::model::MeasureKind;
use crate::model::micros::decimal_text;

/// `1,234,567` or `1,234.5`: every digit that counts, no zeros after it.
pub fn amount(kind: MeasureKind, value: i128) -> String {
    match kind {
        MeasureKind::Count => grouped(&value.to_string()),
        MeasureKind::Money => {
            let text = decimal_text(value, 6);
            let (units, micros) = text.split_once('.').unwrap_or((&text, ""));
            match micros.trim_end_matches('0') {
                "" => grouped(units),
                micros => format!("{}.{micros}", grouped(units)),
            }
        }
    }
}

/// As [`amount`], with its sign: `+12`, `-12`, `0`.
pub fn change(kind: MeasureKind, value: i128) -> String {
    let sign = if value > 0 { "+" } else { "" };
    format!("{sign}{}", amount(kind, value))
}

/// `part` of `whole` in percent with one decimal, rounded half away from zero; none of nothing.
pub fn percent(part: i128, whole: i128) -> Option<String> {
    if whole == 0 {
        return None;
    }
    let (part, whole) = if whole < 0 { (part.checked_neg()?, whole.checked_neg()?) } else { (part, whole) };
    let tenths = (part.unsigned_abs().checked_mul(2000)? + whole.unsigned_abs()) / (2 * whole.unsigned_abs());
    let tenths = i128::try_from(tenths).ok()?;
    Some(decimal_text(if part < 0 { -tenths } else { tenths }, 1))
}

/// As [`percent`], with its sign.
pub fn percent_change(part: i128, whole: i128) -> Option<String> {
    let text = percent(part, whole)?;
    // What rounds to nothing has no direction.
    Some(if part > 0 && text != "0.0" { format!("+{text}") } else { text })
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(MeasureKind::Count, 0, "0", "0")]
    #[case(MeasureKind::Count, 1_234_567, "1,234,567", "+1,234,567")]
    #[case(MeasureKind::Count, -123, "-123", "-123")]
    #[case(MeasureKind::Count, 1000, "1,000", "+1,000")]
    #[case(MeasureKind::Money, 12_500_000, "12.5", "+12.5")]
    #[case(MeasureKind::Money, 1, "0.000001", "+0.000001")]
    #[case(MeasureKind::Money, -1_234_000_000, "-1,234", "-1,234")]
    #[case(MeasureKind::Money, i128::from(i64::MAX), "9,223,372,036,854.775807", "+9,223,372,036,854.775807")]
    fn amounts_keep_every_digit(
        #[case] kind: MeasureKind,
        #[case] value: i128,
        #[case] text: &str,
        #[case] signed: &str,
    ) {
        assert_eq!(amount(kind, value), text);
        assert_eq!(change(kind, value), signed);
    }

    #[rstest]
    #[case(32, 1000, Some("+3.2"))]
    #[case(-32, 1000, Some("-3.2"))]
    #[case(0, 7, Some("0.0"))]
    #[case(1, 3, Some("+33.3"))]
    #[case(2, 3, Some("+66.7"))]
    #[case(1, 2000, Some("+0.1"))] // 0.05 %: half away from zero
    #[case(-1, 2000, Some("-0.1"))]
    #[case(5, 0, None)]
    #[case(1, 100_000, Some("0.0"))]
    #[case(-1, 100_000, Some("0.0"))]
    #[case(100, 1, Some("+10000.0"))]
    fn shares_are_computed_from_integers(#[case] part: i128, #[case] whole: i128, #[case] text: Option<&str>) {
        assert_eq!(percent_change(part, whole).as_deref(), text);
    }
}
