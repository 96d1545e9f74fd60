//! `report` without a name: which reports there are, and what each has.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::sheet::{Column, columns};
use crate::model::Language;
use crate::report::{Plan, Ratio, labels};

pub fn text(plan: &Plan, language: Language) -> String {
    let mut text = String::new();
    for report in &plan.reports {
        let _ = writeln!(text, "{}: {} (table {})", report.name, labels::title(report, language), report.table);
        let all = columns(plan, report, &report.dimensions, language);
        let (dimensions, numbers) = all.split_at(report.dimensions.len());
        let (measures, ratios) = numbers.split_at(report.measures.len());
        list(&mut text, "dimensions", dimensions.iter().map(named).collect());
        list(&mut text, "measures", measures.iter().map(named).collect());
        let ratios = ratios
            .iter()
            .zip(&report.ratios)
            .map(|(column, ratio)| format!("{} = {}", named(column), quotient(plan, ratio)));
        list(&mut text, "ratios", ratios.collect());
    }
    text.push_str("xc2-analyzer report NAME --help says how to read one\n");
    text
}

fn named(column: &Column) -> String {
    if column.name == column.label { column.name.clone() } else { format!("{} {}", column.name, column.label) }
}

fn quotient(plan: &Plan, ratio: &Ratio) -> String {
    let (above, below) = (&plan.measures[ratio.numerator].name, &plan.measures[ratio.denominator].name);
    if ratio.times == 1 { format!("{above} / {below}") } else { format!("{} x {above} / {below}", ratio.times) }
}

/// Names behind their heading, in lines of a terminal's width.
fn list(text: &mut String, heading: &str, names: Vec<String>) {
    const WIDTH_MAX: usize = 100;
    let mut line = format!("  {heading:<12}");
    for (at, name) in names.iter().enumerate() {
        let name = if at + 1 < names.len() { format!("{name}, ") } else { name.clone() };
        if line.width() + name.width() > WIDTH_MAX {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(14);
        }
        line.push_str(&name);
    }
    if !names.is_empty() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_is_listed_with_what_it_has() {
        let plan = crate::config::defaults().plan;
        let english = text(&plan, Language::English);
        assert!(
            english.contains(
                "media: media (table report_media)\n  dimensions  report_date, organization_id, media_key, device\n"
            ),
            "{english}"
        );
        assert!(
            english.contains("  ratios      ctr = clicks / impressions, ecpm = 1000 x revenue / impressions\n"),
            "{english}"
        );
        let korean = text(&plan, Language::Korean);
        assert!(korean.contains("ad: 광고 성과 (table report_ad)\n  dimensions  report_date 날짜, "), "{korean}");
        assert!(korean.lines().all(|line| line.width() <= 100), "{korean}");
    }

    #[test]
    fn report_without_ratios_has_no_line_for_them() {
        let mut text = String::new();
        list(&mut text, "ratios", Vec::new());
        assert_eq!(text, "");
    }
}
