use jiff::tz::TimeZone;

use super::*;
use crate::model::Origin;

fn measures() -> Vec<Measure> {
    let measure = |name: &str, kind| Measure {
        name: name.into(),
        kind,
        origin: Origin::Field(name.into()),
        labels: Default::default(),
    };
    vec![
        measure("impressions", MeasureKind::Count),
        measure("clicks", MeasureKind::Count),
        measure("revenue", MeasureKind::Money),
    ]
}

fn seoul() -> TimeZone {
    TimeZone::get("Asia/Seoul").unwrap()
}

fn facts() -> DayFacts {
    DayFacts {
        date: "2024-06-11".parse().unwrap(),
        first_commit: "2024-06-10T15:03:00Z".parse().unwrap(),
        last_commit: "2024-06-11T15:41:00Z".parse().unwrap(),
        totals: DaySums { objects: 1440, rows: 3_210_998, sums: vec![1_234_567, 9_000, 12_345_500_000] },
        day_before: Some(DaySums { objects: 1439, rows: 3_000_000, sums: vec![1_196_300, 9_090, 0] }),
        rejected_rows: 1,
        unmapped: Some((2, 49_382_000)),
        failed_open: 3,
        failed_open_of_date: 1,
        told: None,
    }
}

fn lines(body: &Value) -> Vec<&str> {
    body["text"].as_str().unwrap().lines().collect()
}

#[test]
fn day_is_told_in_english() {
    let (id, revision, body) = day(&facts(), &measures(), &seoul(), Language::English);
    assert_eq!((id.as_str(), revision), ("day-2024-06-11-1", 1));
    let expected = [
        "2024-06-11 report complete",
        "• impressions 1,234,567 (vs. the day before +38,267, +3.2%)",
        "• clicks 9,000 (vs. the day before -90, -1.0%)",
        "• revenue 12,345.5 (vs. the day before +12,345.5)",
        "1,440 objects, 3,210,998 rows, 1 rejected row",
        "0.4 % of the revenue (49.382) is of media that the metadata does not know",
        "not counted: 3 objects listed as failed, 1 of them with this date in the key (xc2-analyzer failed list)",
        "last commit 2024-06-12 00:41 KST",
    ];
    assert_eq!(lines(&body), expected);
    assert_eq!(body["totals"]["impressions"]["change"], 38_267);
    assert_eq!(body["totals"]["impressions"]["change_percent"], "+3.2");
    assert_eq!(body["totals"]["revenue"]["total"], "12345.500000");
    assert_eq!(body["totals"]["revenue"]["change_percent"], Value::Null, "nothing of zero");
}

#[test]
fn day_is_told_in_korean() {
    let body = day(&facts(), &measures(), &seoul(), Language::Korean).2;
    let expected = [
        "2024-06-11 리포트 집계 완료",
        "• 노출수 1,234,567 (전일 대비 +38,267, +3.2%)",
        "• 클릭수 9,000 (전일 대비 -90, -1.0%)",
        "• 수익 12,345.5 (전일 대비 +12,345.5)",
        "객체 1,440개, 로그 3,210,998행, 거부된 로그 1행",
        "메타데이터에 없는 매체의 수익 49.382 (0.4%)",
        "미집계 실패 객체 3개, 그중 키에 이 날짜가 있는 것 1개 (xc2-analyzer failed list)",
        "마지막 반영 2024-06-12 00:41 KST",
    ];
    assert_eq!(lines(&body), expected);
}

/// What the document shows is what is sent.
#[test]
fn document_shows_these_very_messages() {
    let document = include_str!("../../../docs/notices.md");
    for language in [Language::English, Language::Korean] {
        for body in [day(&facts(), &measures(), &seoul(), language).2, failures(&failure_facts(), &seoul(), language)] {
            let text = body["text"].as_str().unwrap();
            assert!(document.contains(text), "docs/notices.md is to show:\n{text}");
        }
    }
    let body = day(&facts(), &measures(), &seoul(), Language::English).2;
    for key in body
        .as_object()
        .unwrap()
        .keys()
        .chain(failures(&failure_facts(), &seoul(), Language::English).as_object().unwrap().keys())
    {
        assert!(document.contains(&format!("`{key}`")), "docs/notices.md does not explain {key}");
    }
}

#[test]
fn first_day_has_no_day_before() {
    let facts = DayFacts { day_before: None, unmapped: None, failed_open: 0, ..facts() };
    let body = day(&facts, &measures(), &seoul(), Language::English).2;
    assert_eq!(lines(&body)[3..5], ["• revenue 12,345.5", "nothing was counted for the day before"]);
    assert_eq!(body["totals"]["revenue"].get("change"), None);
}

#[test]
fn correction_says_what_changed_since_the_notice_before() {
    let first = day(&facts(), &measures(), &seoul(), Language::Korean).2;
    let mut facts = DayFacts { told: Some(first.to_string()), ..facts() };
    facts.totals.objects += 2;
    facts.totals.rows += 4_200;
    facts.totals.sums[0] += 200;
    facts.totals.sums[2] += 1_500_000;
    let (id, revision, body) = day(&facts, &measures(), &seoul(), Language::English);
    assert_eq!((id.as_str(), revision), ("day-2024-06-11-2", 2));
    assert_eq!(lines(&body)[0], "2024-06-11 report corrected (revision 2)");
    let since = "since revision 1: objects +2, rows +4,200, impressions +200, revenue +1.5";
    assert!(lines(&body).contains(&since), "{:#?}", lines(&body));
    assert_eq!(body["since"]["totals"]["revenue"], "1.500000");
    let korean = day(&facts, &measures(), &seoul(), Language::Korean).2;
    assert_eq!(lines(&korean)[0], "2024-06-11 리포트 정정 (개정 2)");
    assert!(
        lines(&korean).contains(&"개정 1 이후: 객체 +2, 로그 +4,200, 노출수 +200, 수익 +1.5"),
        "{:#?}",
        lines(&korean)
    );
}

#[test]
fn sums_beyond_64_bits_survive_the_way_through_json() {
    let mut facts = facts();
    facts.totals.sums[0] = i128::from(i64::MAX) + 1;
    facts.told = Some(day(&facts, &measures(), &seoul(), Language::English).2.to_string());
    let body = day(&facts, &measures(), &seoul(), Language::English).2;
    assert_eq!(body["totals"]["impressions"]["total"], "9223372036854775808");
    assert_eq!(body["since"]["totals"]["impressions"], 0);
}

fn failure_facts() -> FailureFacts {
    let example =
        |number: u32| ("logs".to_owned(), format!("a/<{number}>.gz"), "the gzip stream ends early".to_owned());
    FailureFacts {
        notice_id: "failures-gzip-20240611T031000Z-1".into(),
        kind: "gzip".into(),
        objects: 12,
        open: 11,
        first_seen: "2024-06-11T03:10:02Z".parse().unwrap(),
        last_seen: "2024-06-11T03:12:00Z".parse().unwrap(),
        examples: (0..2).map(example).collect(),
    }
}

#[test]
fn failures_are_told_with_the_first_few_and_what_to_do() {
    let body = failures(&failure_facts(), &seoul(), Language::English);
    let expected = [
        "12 objects listed as failed: gzip (since 2024-06-11 12:10 KST)",
        "• s3://logs/a/<0>.gz: the gzip stream ends early",
        "• s3://logs/a/<1>.gz: the gzip stream ends early",
        "and 10 more: xc2-analyzer failed list --kind gzip",
        "1 of them counted or discarded meanwhile",
        "→ ask the producer to upload the object again",
    ];
    assert_eq!(lines(&body), expected);
    let korean = failures(&failure_facts(), &seoul(), Language::Korean);
    assert_eq!(lines(&korean)[0], "집계 실패 객체 12개: gzip (2024-06-11 12:10 KST부터)");
    assert_eq!(lines(&korean)[5], "→ 원본을 다시 업로드하도록 요청하세요");
}

#[test]
fn webhook_gets_text_that_slack_does_not_interpret_and_the_id() {
    let posted: Value =
        serde_json::from_str(&for_webhook(&failures(&failure_facts(), &seoul(), Language::English))).unwrap();
    let text = posted["text"].as_str().unwrap();
    assert!(text.contains("s3://logs/a/&lt;0&gt;.gz"), "{text}");
    assert!(text.ends_with("\n`failures-gzip-20240611T031000Z-1`"), "{text}");
    assert_eq!(posted["metadata"]["event_type"], "xc2_notice_failures");
    assert_eq!(posted["metadata"]["event_payload"]["objects"], 12);
}

#[test]
fn name_of_an_object_can_not_break_the_lines() {
    let mut facts = failure_facts();
    facts.examples[0].1 = "evil\n2024-06-11 report complete\u{1b}[2J".into();
    assert!(!lines(&failures(&facts, &seoul(), Language::English)).contains(&"2024-06-11 report complete"));
}
