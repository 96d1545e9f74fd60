//! Notices in words, one line a fact, for people who read them on a phone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::amount::{amount, change, percent, percent_change};
use super::words::Language;
use crate::model::object::printable;
use crate::model::{FailureKind, Measure, MeasureKind};
use crate::store::{DayFacts, DaySums, FailureFacts};

/// Characters of a reason that are shown: the list of failed objects has all of them.
const REASON_CHARS_MAX: usize = 200;
/// Of a key.
const KEY_CHARS_MAX: usize = 300;

/// What the notice before told of the same day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub revision: i64,
    /// Sums by the measures that are counted now; one that was not counted then is 0.
    pub totals: DaySums,
}

/// A day that is complete, or was corrected.
pub fn day(facts: &DayFacts, measures: &[Measure], told: Option<&Told>, zone: &TimeZone, language: Language) -> String {
    let mut lines = vec![day_title(facts, told, language)];
    for (at, measure) in measures.iter().enumerate() {
        let today = facts.totals.sums[at];
        let before = facts.day_before.as_ref().map(|before| before.sums[at]);
        let than = language.choose("vs. the day before", "전일 대비");
        let line = format!("• {} {}", language.measure(&measure.name), amount(measure.kind, today));
        lines.push(match before {
            Some(before) => format!("{line} ({than} {})", difference(measure.kind, today, before)),
            None => line,
        });
    }
    if facts.day_before.is_none() {
        lines.push(language.choose("nothing was counted for the day before", "전일 집계 없음").to_owned());
    }
    lines.extend(told.map(|told| since(facts, measures, told, language)));
    let objects = language.count(facts.totals.objects.into(), "object", "객체", "개");
    let rows = language.count(facts.totals.rows, "row", "로그", "행");
    let rejected = language.count(facts.rejected_rows, "rejected row", "거부된 로그", "행");
    lines.push(format!("{objects}, {rows}, {rejected}"));
    if let Some((at, sum)) = facts.unmapped.filter(|(_, sum)| *sum != 0) {
        let share = percent(sum, facts.totals.sums[at]).unwrap_or_default();
        let (name, sum) = (language.measure(&measures[at].name), amount(measures[at].kind, sum));
        lines.push(match language {
            Language::English => format!("{share} % of the {name} ({sum}) is of media that the metadata does not know"),
            Language::Korean => format!("메타데이터에 없는 매체의 {name} {sum} ({share}%)"),
        });
    }
    lines.extend(open_failures(facts, language));
    let last = local(facts.last_commit, zone);
    lines.push(match language {
        Language::English => format!("last commit {last}"),
        Language::Korean => format!("마지막 반영 {last}"),
    });
    lines.join("\n")
}

fn day_title(facts: &DayFacts, told: Option<&Told>, language: Language) -> String {
    let date = facts.date;
    match (language, told.map(|told| told.revision + 1)) {
        (Language::English, None) => format!("{date} report complete"),
        (Language::English, Some(revision)) => format!("{date} report corrected (revision {revision})"),
        (Language::Korean, None) => format!("{date} 리포트 집계 완료"),
        (Language::Korean, Some(revision)) => format!("{date} 리포트 정정 (개정 {revision})"),
    }
}

/// `+38,120, +3.2%`
fn difference(kind: MeasureKind, now: i128, before: i128) -> String {
    let by = now - before;
    match percent_change(by, before) {
        Some(percent) => format!("{}, {percent}%", change(kind, by)),
        None => change(kind, by),
    }
}

fn since(facts: &DayFacts, measures: &[Measure], told: &Told, language: Language) -> String {
    let count = |now: i128, then: i128| change(MeasureKind::Count, now - then);
    let objects = count(facts.totals.objects.into(), told.totals.objects.into());
    let rows = count(facts.totals.rows, told.totals.rows);
    let sums = measures.iter().zip(facts.totals.sums.iter().zip(&told.totals.sums));
    let changed = sums.filter(|(_, (now, then))| now != then);
    let changed: Vec<String> = changed
        .map(|(measure, (now, then))| {
            format!("{} {}", language.measure(&measure.name), change(measure.kind, now - then))
        })
        .collect();
    let revision = told.revision;
    let mut line = match language {
        Language::English => format!("since revision {revision}: objects {objects}, rows {rows}"),
        Language::Korean => format!("개정 {revision} 이후: 객체 {objects}, 로그 {rows}"),
    };
    for change in changed {
        line += &format!(", {change}");
    }
    line
}

fn open_failures(facts: &DayFacts, language: Language) -> Option<String> {
    let (open, of_date) = (facts.failed_open, facts.failed_open_of_date);
    if open == 0 {
        return None;
    }
    Some(match language {
        Language::English => {
            let objects = language.count(open.into(), "object", "", "");
            format!(
                "not counted: {objects} listed as failed, {of_date} of them with this date in the key (xc2-analyzer failed list)"
            )
        }
        Language::Korean => {
            format!("미집계 실패 객체 {open}개, 그중 키에 이 날짜가 있는 것 {of_date}개 (xc2-analyzer failed list)")
        }
    })
}

/// Failures of one kind.
pub fn failures(facts: &FailureFacts, zone: &TimeZone, language: Language) -> String {
    let (kind, since) = (&facts.kind, local(facts.first_seen, zone));
    let mut lines = vec![match language {
        Language::English => {
            let objects = language.count(facts.objects.into(), "object", "", "");
            format!("{objects} listed as failed: {kind} (since {since})")
        }
        Language::Korean => format!("집계 실패 객체 {}개: {kind} ({since}부터)", facts.objects),
    }];
    for (bucket, key, reason) in &facts.examples {
        let place = if bucket.is_empty() { key.clone() } else { format!("{}{key}", place(bucket)) };
        lines.push(format!("• {}: {}", cut(&place, KEY_CHARS_MAX), cut(reason, REASON_CHARS_MAX)));
    }
    let more = facts.objects - facts.examples.len() as i64;
    if more > 0 {
        lines.push(match language {
            Language::English => format!("and {more} more: xc2-analyzer failed list --kind {kind}"),
            Language::Korean => format!("외 {more}개: xc2-analyzer failed list --kind {kind}"),
        });
    }
    let settled = facts.objects - facts.open;
    if settled > 0 {
        lines.push(match language {
            Language::English => format!("{settled} of them counted or discarded meanwhile"),
            Language::Korean => format!("그중 {settled}개는 이후 집계되었거나 폐기됨"),
        });
    }
    let known = FailureKind::ALL.iter().find(|known| known.name() == kind);
    lines.extend(known.map(|kind| format!("→ {}", language.advice(*kind))));
    lines.join("\n")
}

/// `s3://bucket/`, or the path of a local folder.
fn place(bucket: &str) -> String {
    let object =
        crate::model::ObjectRef { bucket: bucket.to_owned(), key: String::new(), announced: Default::default() };
    object.to_string()
}

/// To see whether messages arrive.
pub fn test(host: &str, language: Language) -> String {
    match language {
        Language::English => format!("Test notice of xc2-analyzer on {host}: nothing to do. Notices arrive here."),
        Language::Korean => format!("xc2-analyzer 시험 알림 ({host}): 조치할 것이 없습니다. 알림은 여기로 옵니다."),
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    let text = printable(text).to_string();
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn local(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}
