//! Alert rules, dashboards and the runbook: they hold together, and name only metrics that there are.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use xc2_analyzer::telemetry::metrics::METRICS;

use super::{read, root};

const RULES: &str = "deploy/prometheus/alerts.yaml";
const OPERATIONS: &str = "deploy/grafana/operations.json";

/// What follows `key: ` on lines of the rules.
fn values(rules: &str, key: &str) -> Vec<String> {
    let value =
        |line: &str| line.trim().trim_start_matches("- ").strip_prefix(key).map(|value| value.trim().to_owned());
    rules.lines().filter_map(value).collect()
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_its_test() {
    let (rules, runbook, tests) = (read(RULES), read("docs/runbook.md"), read("deploy/prometheus/alerts_test.yaml"));
    let alerts = values(&rules, "alert:");
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in &alerts {
        assert!(runbook.contains(&format!("\n## {alert}\n")), "docs/runbook.md has no section {alert}");
        let fires = tests.split(&format!("alertname: {alert}\n")).skip(1).any(|test| {
            let after = test.trim_start();
            after.starts_with("exp_alerts:\n")
        });
        assert!(fires, "no test of the rules makes {alert} fire");
        let section = format!("runbook: docs/runbook.md#{}", alert.to_lowercase());
        assert!(rules.contains(&section), "{alert} does not lead to its section");
    }
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("## Xc2")).count();
    assert_eq!(sections, alerts.len(), "the runbook has a section of an alert that is gone");
}

/// Names that look like ours in an expression.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("xc2_") || word.starts_with("process_")).map(str::to_owned).collect()
}

fn there_is(name: &str) -> bool {
    let is = |metric: &str| ["", "_bucket", "_sum", "_count"].iter().any(|end| format!("{metric}{end}") == name);
    METRICS.iter().any(|metric| is(metric.name))
}

#[test]
fn rules_and_dashboards_name_metrics_that_there_are() {
    let mut expressions = expressions_of_dashboard();
    expressions.push(read(RULES));
    expressions.push(read("docs/runbook.md"));
    let unknown: BTreeSet<String> =
        expressions.iter().flat_map(|text| named(text)).filter(|name| !there_is(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

fn promtool() -> PathBuf {
    std::env::var_os("XC2_TEST_PROMTOOL").map_or_else(|| "promtool".into(), PathBuf::from)
}

fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: install prometheus"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn rules_fire_when_they_should_and_only_then() {
    let rules = root().join(RULES);
    must(Command::new(promtool()).args(["check", "rules"]).arg(&rules));
    let folder = rules.parent().unwrap();
    must(Command::new(promtool()).args(["test", "rules", "alerts_test.yaml"]).current_dir(folder));
}

/// Every PromQL expression of the dashboard of operations.
fn expressions_of_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(OPERATIONS)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(expressions.len() > 10);
    expressions
}

#[test]
fn dashboard_asks_prometheus_what_it_understands() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.json"); // JSON is YAML
    let rule = |(number, expression): (usize, String)| {
        let expression = expression.replace("$__rate_interval", "5m").replace("$instance", ".*");
        serde_json::json!({ "record": format!("panel:{number}"), "expr": expression })
    };
    let recorded: Vec<Value> = expressions_of_dashboard().into_iter().enumerate().map(rule).collect();
    let file = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": recorded }] });
    std::fs::write(&rules, file.to_string()).unwrap();
    must(Command::new(promtool()).args(["check", "rules"]).arg(&rules));
}
