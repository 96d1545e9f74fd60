//! A notice as it is kept and sent: JSON for programs, with the words for people in it. Written once; every attempt sends
//! the same.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::amount::{percent, percent_change};
use super::text::{self, Told};
use super::words::Language;
use crate::model::micros::{decimal_text, scaled_decimal};
use crate::model::{Measure, MeasureKind};
use crate::store::{DayFacts, DaySums, FailureFacts};

/// The notice of a day, and which revision it is.
pub fn day(facts: &DayFacts, measures: &[Measure], zone: &TimeZone, language: Language) -> (String, i64, Value) {
    let told = facts.told.as_deref().and_then(|body| told(body, measures));
    let revision = told.as_ref().map_or(1, |told| told.revision + 1);
    let id = format!("day-{}-{revision}", facts.date);
    let mut body = json!({
        "id": id,
        "kind": "day",
        "report_date": facts.date.to_string(),
        "revision": revision,
        "objects": facts.totals.objects,
        "rows": number(facts.totals.rows),
        "rejected_rows": number(facts.rejected_rows),
        "first_commit": facts.first_commit.to_string(),
        "last_commit": facts.last_commit.to_string(),
        "totals": totals(facts, measures),
        "failed_open": facts.failed_open,
        "failed_open_of_date": facts.failed_open_of_date,
        "subject": match revision {
            1 => format!("{} report complete", facts.date),
            revision => format!("{} report corrected, revision {revision}", facts.date),
        },
        "text": text::day(facts, measures, told.as_ref(), zone, language),
    });
    if let Some((at, sum)) = facts.unmapped {
        let measure = &measures[at];
        let share = percent(sum, facts.totals.sums[at]);
        body["unmapped"] = json!({ "measure": measure.name, "total": value(measure.kind, sum), "percent": share });
    }
    if let Some(told) = &told {
        body["since"] = since(facts, measures, told);
    }
    (id, revision, body)
}

fn totals(facts: &DayFacts, measures: &[Measure]) -> Value {
    let total = |(at, measure): (usize, &Measure)| {
        let now = facts.totals.sums[at];
        let mut total = json!({ "kind": kind(measure.kind), "total": value(measure.kind, now) });
        if let Some(before) = facts.day_before.as_ref().map(|before| before.sums[at]) {
            total["day_before"] = value(measure.kind, before);
            total["change"] = value(measure.kind, now - before);
            total["change_percent"] = json!(percent_change(now - before, before));
        }
        (measure.name.clone(), total)
    };
    Value::Object(measures.iter().enumerate().map(total).collect::<Map<_, _>>())
}

fn since(facts: &DayFacts, measures: &[Measure], told: &Told) -> Value {
    let changes = measures.iter().zip(facts.totals.sums.iter().zip(&told.totals.sums));
    let changes = changes.map(|(measure, (now, then))| (measure.name.clone(), value(measure.kind, now - then)));
    json!({
        "revision": told.revision,
        "objects": facts.totals.objects - told.totals.objects,
        "rows": number(facts.totals.rows - told.totals.rows),
        "totals": changes.collect::<Map<_, _>>(),
    })
}

/// What an earlier notice told, read back from its JSON.
fn told(body: &str, measures: &[Measure]) -> Option<Told> {
    let body: Value = serde_json::from_str(body).ok()?;
    let sum = |measure: &Measure| {
        let total = &body["totals"][&measure.name]["total"];
        let text = total.as_str().map_or_else(|| total.to_string(), str::to_owned);
        let decimals = if measure.kind == MeasureKind::Money { 6 } else { 0 };
        scaled_decimal(&text, decimals).unwrap_or(0)
    };
    let wide = |value: &Value| scaled_decimal(value.as_str().unwrap_or(&value.to_string()), 0).unwrap_or(0);
    let totals = DaySums {
        objects: body["objects"].as_i64()?,
        rows: wide(&body["rows"]),
        sums: measures.iter().map(sum).collect(),
    };
    Some(Told { revision: body["revision"].as_i64()?, totals })
}

/// The notice of failures of one kind.
pub fn failures(facts: &FailureFacts, zone: &TimeZone, language: Language) -> Value {
    let example =
        |(bucket, key, reason): &(String, String, String)| json!({ "bucket": bucket, "key": key, "reason": reason });
    json!({
        "id": facts.notice_id,
        "kind": "failures",
        "failure_kind": facts.kind,
        "objects": facts.objects,
        "open": facts.open,
        "first_seen": facts.first_seen.to_string(),
        "last_seen": facts.last_seen.to_string(),
        "examples": facts.examples.iter().map(example).collect::<Vec<_>>(),
        "subject": format!("{} listed as failed: {}", facts.objects, facts.kind),
        "text": text::failures(facts, zone, language),
    })
}

/// To see whether notices arrive. Not kept.
pub fn test(host: &str, now: Timestamp, language: Language) -> Value {
    json!({
        "id": format!("test-{}", now.strftime("%Y%m%dT%H%M%S%.3fZ")),
        "kind": "test",
        "subject": "xc2-analyzer: test notice",
        "text": text::test(host, language),
    })
}

/// What is posted to a webhook: Slack's form, which its like understand too. Programs find the notice in `metadata`
/// (Slack API, "Message metadata").
pub fn for_webhook(body: &Value) -> String {
    let text = body["text"].as_str().unwrap_or_default();
    let id = body["id"].as_str().unwrap_or_default();
    // Of the three characters that Slack wants escaped, names of objects may hold each.
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut payload = body.clone();
    if let Some(payload) = payload.as_object_mut() {
        payload.remove("text");
        payload.remove("subject");
    }
    let event_type = format!("xc2_notice_{}", body["kind"].as_str().unwrap_or_default());
    json!({
        "text": format!("{text}\n`{id}`"),
        "metadata": { "event_type": event_type, "event_payload": payload },
    })
    .to_string()
}

/// A number in JSON where a program reads it without loss, else its digits.
fn number(value: i128) -> Value {
    i64::try_from(value).map_or_else(|_| Value::from(value.to_string()), Value::from)
}

/// Money is decimal text: a double would lose digits.
fn value(kind: MeasureKind, value: i128) -> Value {
    match kind {
        MeasureKind::Count => number(value),
        MeasureKind::Money => decimal_text(value, 6).into(),
    }
}

fn kind(kind: MeasureKind) -> &'static str {
    match kind {
        MeasureKind::Count => "count",
        MeasureKind::Money => "money",
    }
}

#[cfg(test)]
mod tests;
