//! Horizontal bars, one a row: eighths of a block, or `#` where the terminal is not told to be one of UTF-8.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::numbers::Style;
use super::sheet::{Cell, Column, Kind, Sheet};
use crate::model::object::printable;

/// More bars are no picture.
pub const CHART_ROWS_MAX: u64 = 1_000;
/// Without a terminal to ask.
const WIDTH_DEFAULT: usize = 100;
const BAR_WIDTH_MIN: usize = 10;
const BAR_WIDTH_MAX: usize = 400;
/// Of a label; a longer one is cut.
const LABEL_WIDTH_MAX: usize = 40;

pub fn draw(sheet: &Sheet, column: usize, rows: &[Vec<Cell>], out: &mut impl Write) -> io::Result<()> {
    let drawn = &sheet.columns[column];
    let total = sheet.total_cells();
    let total = if sheet.totals { Some(&total[column]) } else { None };
    let style = Style::of(drawn, rows.iter().map(|row| &row[column]).chain(total));
    let keys = sheet.query.dimensions.len();
    let headings: Vec<&str> = sheet.columns[..keys].iter().map(|column| column.label.as_str()).collect();
    let mut lines = vec![Line { label: headings.join("  "), value: drawn.label.clone(), amount: 0 }];
    for row in rows {
        let label = row[..keys].iter().zip(&sheet.columns).map(label).collect::<Vec<_>>().join("  ");
        let amount = if let Cell::Number(number) = row[column] { number.max(0) } else { 0 };
        lines.push(Line { label, value: style.text(&row[column]), amount });
    }
    if let Some(total) = total {
        lines.push(Line { label: sheet.words.total(), value: style.text(total), amount: 0 });
    }
    out.write_all(text(&lines, width(), is_utf8()).as_bytes())
}

fn label((cell, column): (&Cell, &Column)) -> String {
    match (cell, column.kind) {
        (Cell::Key(key), Kind::Text) if key.to_string().is_empty() => "\"\"".to_owned(),
        (Cell::Key(key), _) => printable(&key.to_string()).into_owned(),
        _ => String::new(),
    }
}

struct Line {
    label: String,
    value: String,
    amount: i128,
}

fn text(lines: &[Line], width: usize, blocks: bool) -> String {
    let widest = |text: fn(&Line) -> &str| lines.iter().map(|line| text(line).width()).max().unwrap_or(0);
    let labels = widest(|line| &line.label).min(LABEL_WIDTH_MAX);
    let values = widest(|line| &line.value);
    let bar_max = width.saturating_sub(labels + values + 4).clamp(BAR_WIDTH_MIN, BAR_WIDTH_MAX);
    let most = lines.iter().map(|line| line.amount).max().unwrap_or(0);
    let line = |Line { label, value, amount }: &Line| {
        let label = cut(label, labels);
        let room = " ".repeat(labels - label.width());
        let space = " ".repeat(values - value.width());
        format!("{label}{room}  {space}{value}  {}", bar(*amount, most, bar_max, blocks)).trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

/// The first columns of a terminal that a text takes.
fn cut(text: &str, width_max: usize) -> String {
    if text.width() <= width_max {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        // As a whole: some characters join the one before them.
        let longer = format!("{kept}{c}");
        if longer.width() + 2 > width_max {
            break;
        }
        kept = longer;
    }
    kept + ".."
}

/// A bar of `amount` where `most` is `width` wide. What is not nothing is seen.
fn bar(amount: i128, most: i128, width: usize, blocks: bool) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if amount <= 0 || most <= 0 {
        return String::new();
    }
    let parts = if blocks { 8 } else { 1 };
    // Of amounts beyond 10^34 both are shortened alike.
    let scale = (most >> 100) + 1;
    let length = (amount / scale * (width as i128) * parts / (most / scale)).max(1) as usize;
    if !blocks {
        return "#".repeat(length);
    }
    format!("{}{}", "█".repeat(length / 8), EIGHTHS[length % 8])
}

/// Of the terminal; of `COLUMNS` where there is none.
fn width() -> usize {
    let columns = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    comfy_table::Table::new().width().map(usize::from).or_else(columns).unwrap_or(WIDTH_DEFAULT)
}

/// By the first of the locale's variables that is set, as the C library reads them.
fn is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, 100, "")]
    #[case(1, 100_000, "▏")]
    #[case(50, 100, "█████")]
    #[case(57, 100, "█████▋")]
    #[case(100, 100, "██████████")]
    #[case(i128::MAX / 2, i128::MAX, "████▉")]
    fn bar_is_drawn_to_the_eighth(#[case] amount: i128, #[case] most: i128, #[case] drawn: &str) {
        assert_eq!(bar(amount, most, 10, true), drawn);
        assert!(bar(amount, most, 10, false).chars().all(|c| c == '#'));
    }

    #[test]
    fn korean_labels_are_as_wide_as_they_look() {
        let line = |label: &str, value: &str, amount| Line { label: label.into(), value: value.into(), amount };
        let lines = [line("매체 키", "수익", 0), line("뉴스-홈", "1,000.50", 80), line("m1", "9.00", 10)];
        assert_eq!(
            text(&lines, 31, true),
            "매체 키      수익\n뉴스-홈  1,000.50  ████████████\nm1           9.00  █▌\n"
        );
        assert_eq!(
            text(&lines, 31, false),
            "매체 키      수익\n뉴스-홈  1,000.50  ############\nm1           9.00  #\n"
        );
    }

    #[test]
    fn long_label_is_cut_where_a_character_ends() {
        assert_eq!(cut("가나다라", 7), "가나..");
        assert_eq!(cut("가나다", 6), "가나다");
    }
}
