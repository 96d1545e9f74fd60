//! What is said around the rows of a report, in each language.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::numbers::grouped;
use super::sheet::Sheet;
use crate::model::{Language, ReportDate};
use crate::report::labels;
use crate::store::{Filter, Sort, SortBy};

#[derive(Clone)]
pub struct Words {
    pub language: Language,
    /// Where days begin and end.
    pub zone: TimeZone,
}

impl Words {
    fn pick(&self, english: String, korean: String) -> String {
        match self.language {
            Language::English => english,
            Language::Korean => korean,
        }
    }

    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    pub fn total(&self) -> String {
        self.pick("total".into(), "합계".into())
    }

    /// The name of a workbook's second sheet.
    pub fn about(&self) -> String {
        self.pick("about".into(), "정보".into())
    }

    /// What the report is and what it covers: one line or two.
    pub fn heading(&self, sheet: &Sheet) -> Vec<String> {
        let (name, title) = (&sheet.report.name, &sheet.title);
        let dates = self.dates(sheet);
        let mut lines = vec![self.pick(format!("{name}: {title}, {dates}"), format!("{title} ({name}), {dates}"))];
        lines.extend(self.conditions(sheet));
        lines
    }

    /// The dates that were asked for; where an end is open, those that were found.
    pub fn dates(&self, sheet: &Sheet) -> String {
        let found = |date: fn(&(ReportDate, ReportDate)) -> ReportDate| sheet.facts.dates.as_ref().map(date);
        let from = sheet.range.0.or(found(|dates| dates.0));
        let to = sheet.range.1.or(found(|dates| dates.1));
        let dates = match (from, to) {
            (Some(from), Some(to)) if from == to => from.to_string(),
            (Some(from), Some(to)) => self.pick(format!("{from} to {to}"), format!("{from} ~ {to}")),
            (Some(from), None) => self.pick(format!("from {from}"), format!("{from} ~")),
            (None, Some(to)) => self.pick(format!("to {to}"), format!("~ {to}")),
            (None, None) => self.pick("all dates".into(), "전체 기간".into()),
        };
        format!("{dates} ({})", self.zone_name())
    }

    /// The filters as a line.
    pub fn conditions(&self, sheet: &Sheet) -> Option<String> {
        let one = |filter: &Filter| {
            let operator = if filter.excluded { "!=" } else { "=" };
            let values: Vec<_> = filter.values.iter().map(|value| crate::model::object::printable(value)).collect();
            format!("{} {operator} {}", labels::dimension(filter.dimension, self.language), values.join(", "))
        };
        let all = sheet.query.filters.iter().map(one).collect::<Vec<_>>().join("; ");
        if all.is_empty() { None } else { Some(self.pick(format!("where {all}"), format!("조건: {all}"))) }
    }

    /// How many rows of how many are shown, when it is not all of them.
    pub fn shown(&self, sheet: &Sheet) -> Option<String> {
        let (shown, all) = (sheet.rows_shown(), sheet.facts.groups);
        if shown == all {
            return None;
        }
        let (shown, all) = (grouped(shown.into()), grouped(all.into()));
        let total = if sheet.totals {
            self.pick("; the total is of all of them".into(), " (합계는 전체 기준)".into())
        } else {
            String::new()
        };
        Some(self.pick(format!("{shown} of {all} rows{total}"), format!("전체 {all}행 중 {shown}행{total}")))
    }

    pub fn sorted(&self, sheet: &Sheet) -> String {
        let one = |Sort { by, descending }: &Sort| {
            let name = match by {
                SortBy::Dimension(dimension) => dimension.name(),
                SortBy::Measure(at) => &sheet.plan.measures[*at].name,
                SortBy::Ratio(at) => &sheet.report.ratios[*at].name,
            };
            format!("{}{name}", if *descending { "-" } else { "" })
        };
        sheet.query.sort.iter().map(one).collect::<Vec<_>>().join(",")
    }

    pub fn nothing(&self, sheet: &Sheet) -> String {
        let (name, title, dates) = (&sheet.report.name, &sheet.title, self.dates(sheet));
        self.pick(format!("report {name}: no rows, {dates}"), format!("{title} ({name}): 데이터가 없습니다, {dates}"))
    }

    /// Whether the sums can be relied upon yet: when they last changed, and what they lack.
    pub fn freshness(&self, sheet: &Sheet, now: Timestamp) -> Vec<String> {
        let facts = &sheet.facts;
        let mut lines = vec![match facts.last_commit {
            Some(commit) => {
                let at = commit.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
                let zone = self.zone_name();
                self.pick(
                    format!("last commit into these dates: {at} ({zone})"),
                    format!("이 기간의 마지막 집계 반영: {at} ({zone})"),
                )
            }
            None => self.pick(
                "nothing was counted for these dates yet".into(),
                "이 기간에 집계된 데이터가 아직 없습니다".into(),
            ),
        }];
        let today = ReportDate::of(now.to_zoned(self.zone.clone()).date());
        if facts.dates.is_some_and(|(_, last)| last >= today) {
            lines.push(self.pick(
                format!("{today} has not ended: its sums still grow"),
                format!("{today}은(는) 아직 끝나지 않은 날짜라 수치가 더 늘어납니다"),
            ));
        }
        let open = grouped(facts.failed_open.into());
        lines.push(match facts.failed_open {
            0 => self.pick("no failed objects are open".into(), "처리되지 않은 실패 객체가 없습니다".into()),
            1 => self.pick(
                "1 failed object is open, and its rows are in no report: xc2-analyzer failed list".into(),
                "실패 객체 1개가 아직 집계되지 않았습니다: xc2-analyzer failed list".into(),
            ),
            _ => self.pick(
                format!("{open} failed objects are open, and their rows are in no report: xc2-analyzer failed list"),
                format!("실패 객체 {open}개가 아직 집계되지 않았습니다: xc2-analyzer failed list"),
            ),
        });
        lines
    }

    pub fn amounts_as_text(&self, count: u64) -> String {
        self.pick(
            format!(
                "{count} numbers have more than 15 digits and are written as text, since a spreadsheet would round them"
            ),
            format!("15자리를 넘는 숫자 {count}개는 반올림을 막기 위해 텍스트로 기록했습니다"),
        )
    }
}
