//! Numbers as text: for people with grouped digits, for programs with every one of them.

use super::sheet::{Cell, Column, Kind};
use crate::model::micros::decimal_text;
use crate::model::object::printable;
use crate::store::KeyValue;

/// Decimals of a millionth.
const DECIMALS: u32 = 6;
/// Money and quotients show at least so many.
const DECIMALS_MIN: u32 = 2;

/// `-1234567` as `-1,234,567`.
pub fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Millionths with grouped digits and the first so many decimals, of which the rest is zeros.
fn grouped_decimal(millionths: i128, decimals: u32) -> String {
    let text = decimal_text(millionths, DECIMALS);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if whole == "-0" { "-" } else { "" };
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    format!("{sign}{whole}.{}", &fraction[..decimals as usize])
}

/// Decimals that a number has, trailing zeros left out.
fn decimals(millionths: i128) -> u32 {
    (0..DECIMALS).rev().find(|&fewer| millionths % 10i128.pow(DECIMALS - fewer) != 0).map_or(0, |fewer| fewer + 1)
}

/// How a column's numbers are shown to people: no digit is left out, and all are equally long behind the point.
pub struct Style {
    kind: Kind,
    decimals: u32,
}

impl Style {
    pub fn of<'a>(column: &Column, cells: impl Iterator<Item = &'a Cell>) -> Style {
        let percent = |number: i128| if column.kind == Kind::Share { number.saturating_mul(100) } else { number };
        let needed = cells.map(|cell| match cell {
            Cell::Number(number) => decimals(percent(*number)),
            Cell::Key(_) | Cell::Nothing => 0,
        });
        Style { kind: column.kind, decimals: needed.max().unwrap_or(0).max(DECIMALS_MIN) }
    }

    pub fn text(&self, cell: &Cell) -> String {
        match (cell, self.kind) {
            (Cell::Key(key), _) => printable(&key.to_string()).into_owned(),
            (Cell::Nothing, _) => "-".to_owned(),
            (Cell::Number(number), Kind::Money | Kind::Quotient) => grouped_decimal(*number, self.decimals),
            (Cell::Number(number), Kind::Share) => {
                format!("{}%", grouped_decimal(number.saturating_mul(100), self.decimals))
            }
            (Cell::Number(number), Kind::Date | Kind::Text | Kind::Id | Kind::Count) => grouped(*number),
        }
    }
}

/// A cell with every digit and no grouping; `None` when it is empty.
pub fn plain(cell: &Cell, kind: Kind) -> Option<String> {
    match (cell, kind) {
        (Cell::Nothing, _) => None,
        (Cell::Key(KeyValue::Text(text)), _) => Some(text.to_string()),
        (Cell::Key(key), _) => Some(key.to_string()),
        (Cell::Number(number), Kind::Money | Kind::Share | Kind::Quotient) => Some(decimal_text(*number, DECIMALS)),
        (Cell::Number(number), Kind::Date | Kind::Text | Kind::Id | Kind::Count) => Some(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn column(kind: Kind) -> Column {
        Column { name: "x".into(), label: "x".into(), kind }
    }

    #[rstest]
    #[case(Kind::Money, &[1_500_000, 2_000_001], "1.500000")]
    #[case(Kind::Money, &[1_500_000], "1.50")]
    #[case(Kind::Money, &[1_234_567_891_250], "1,234,567.89125")]
    #[case(Kind::Money, &[-500_000], "-0.50")]
    #[case(Kind::Share, &[23_859], "2.3859%")]
    #[case(Kind::Share, &[1_000_000], "100.00%")]
    #[case(Kind::Quotient, &[4_805_392_116], "4,805.392116")]
    #[case(Kind::Count, &[1_234_567], "1,234,567")]
    #[case(Kind::Count, &[i128::from(i64::MAX) * 1000], "9,223,372,036,854,775,807,000")]
    fn column_shows_every_digit_and_no_more_zeros_than_needed(
        #[case] kind: Kind,
        #[case] numbers: &[i128],
        #[case] first: &str,
    ) {
        let cells: Vec<Cell> = numbers.iter().copied().map(Cell::Number).collect();
        assert_eq!(Style::of(&column(kind), cells.iter()).text(&cells[0]), first);
    }
}
