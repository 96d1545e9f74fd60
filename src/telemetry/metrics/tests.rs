use super::*;
use crate::telemetry::Exporter;
use crate::telemetry::meter::Kind;

/// The page, between its first lines and its last.
const PAGE: &str = include_str!("../../../docs/metrics.md");
const BEGINS: &str = "<!-- generated from src/telemetry/metrics.rs -->\n";
const ENDS: &str = "<!-- end of what is generated -->";

fn page() -> String {
    let mut page = String::from("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for Metric { name, kind, unit, label, values, help } in METRICS {
        let values = values().iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
        let labels = match *label {
            "" => String::new(),
            // It changes with each release.
            "version" => "`version`".to_owned(),
            label => format!("`{label}`: {values}"),
        };
        page += &format!("| `{name}` | {} | {} | {labels} | {help} |\n", kind.name(), unit.name());
    }
    page
}

/// With `XC2_WRITE_DOCUMENTS=1` the page is written.
#[test]
fn page_is_the_table() {
    let (before, rest) = PAGE.split_once(BEGINS).expect("where the generated part begins");
    let (found, after) = rest.split_once(ENDS).expect("where it ends");
    if std::env::var_os("XC2_WRITE_DOCUMENTS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        std::fs::write(path, format!("{before}{BEGINS}{}{ENDS}{after}", page())).unwrap();
        return;
    }
    assert_eq!(found, page(), "run this test with XC2_WRITE_DOCUMENTS=1");
}

#[test]
fn names_follow_the_conventions() {
    for Metric { name, kind, unit, help, .. } in METRICS {
        assert!(name.starts_with("xc2_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        let stem = name.trim_end_matches("_total").trim_end_matches("_timestamp_seconds");
        let is_bare = |unit: &str| !stem.ends_with(unit);
        match unit {
            Unit::Seconds => assert!(stem.ends_with("_seconds"), "{name}"),
            Unit::UnixSeconds => {
                assert!(name.ends_with("_time_seconds") || name.ends_with("_timestamp_seconds"), "{name}")
            }
            Unit::Bytes => assert!(stem.ends_with("_bytes"), "{name}"),
            Unit::Micros => assert!(stem.ends_with("_micros"), "{name}"),
            Unit::Count | Unit::Truth => assert!(is_bare("_seconds") && is_bare("_bytes"), "{name}"),
        }
        assert!(help.ends_with('.') && !help.contains("  "), "{name}: {help}");
    }
    let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), METRICS.len(), "a name stands twice");
}

#[test]
fn labels_have_few_values_and_each_its_place() {
    for Metric { name, values, .. } in METRICS {
        let mut values = values();
        let count = values.len();
        values.sort_unstable();
        values.dedup();
        assert!(values.len() == count && (1..=20).contains(&count), "{name}: {count} values");
    }
    assert_eq!(FailureKind::values()[FailureKind::Defect.index()], "defect");
    assert_eq!(RejectReason::values()[RejectReason::MoneyNegative.index()], "money_negative");
    assert_eq!(Dependency::values()[Dependency::Metadata.index()], "metadata");
    assert_eq!(Stage::values()[Stage::Acknowledge.index()], "acknowledge");
}

#[test]
fn every_metric_is_shown_with_its_help_type_and_values_before_anything_happens() {
    let (exporter, meter) = Exporter::new();
    let text = exporter.render(&meter);
    for Metric { name, kind, label, values, help, .. } in METRICS {
        assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}\n{text}");
        assert!(text.contains(&format!("# TYPE {name} {}\n", kind.name())), "{name}\n{text}");
        for value in values() {
            let suffix = if *kind == Kind::Histogram { "_count" } else { "" };
            let label = if label.is_empty() { String::new() } else { format!("{{{label}=\"{value}\"}}") };
            assert!(text.contains(&format!("\n{name}{suffix}{label} ")), "{name}{label}\n{text}");
        }
    }
}

#[test]
fn what_is_recorded_is_shown_and_read_from_one_place() {
    let (exporter, meter) = Exporter::new();
    meter.objects.add(ObjectOutcome::Counted, 3);
    meter.objects.add(ObjectOutcome::Failed, 1);
    meter.commit_objects.record((), 2.0);
    meter.outage.set(Dependency::Objects, 1.0);
    let text = exporter.render(&meter);
    for line in [
        "xc2_objects_total{outcome=\"counted\"} 3\n",
        "xc2_objects_total{outcome=\"failed\"} 1\n",
        "xc2_commit_objects_bucket{le=\"1\"} 0\n",
        "xc2_commit_objects_bucket{le=\"3\"} 1\n",
        "xc2_outage{dependency=\"objects\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert_eq!((meter.objects.get(ObjectOutcome::Counted), meter.objects.sum()), (3, 4));
    let silent = Meter::default();
    silent.objects.add(ObjectOutcome::Counted, 5);
    silent.commit_objects.record((), 2.0);
    assert_eq!(silent.objects.sum(), 5, "counted, though nobody shows it");
}
