//! Prometheus' own linter.

use std::io::Write;
use std::process::{Command, Stdio};

/// Fails where `text` is no exposition that Prometheus reads, or where a name breaks its conventions.
pub fn check_metrics(text: &str) {
    let promtool = std::env::var_os("XC2_TEST_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is there: tests/run installs it (Debian package prometheus)");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}\n{text}");
}
