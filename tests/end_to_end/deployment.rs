//! What stands in `deploy/` agrees with the code: settings, permissions, times, ports. Nobody runs these files before
//! they are used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use xc2_analyzer::config::DEFAULTS;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The words of `text` that begin with `prefix` and go on in the characters that `belongs` takes.
fn words<'a>(text: &'a str, prefix: &'a str, belongs: impl Fn(char) -> bool + 'a) -> BTreeSet<&'a str> {
    let ends = move |rest: &str| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    text.match_indices(prefix).map(|(at, _)| &text[at..at + prefix.len() + ends(&text[at + prefix.len()..])]).collect()
}

fn deployed() -> Vec<(PathBuf, String)> {
    let mut found = vec![root().join("Dockerfile")];
    files(&root().join("deploy"), &mut found);
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_setting_that_is_deployed_is_a_key_of_the_configuration() {
    let defaults: toml::Table = DEFAULTS.parse().unwrap();
    let mut seen = 0;
    for (path, text) in deployed() {
        for word in words(&text, "XC2__", |c| c.is_ascii_uppercase() || c == '_') {
            let (section, key) = word["XC2__".len()..].split_once("__").unwrap_or((word, ""));
            let (section, key) = (section.to_lowercase(), key.to_lowercase());
            let known = defaults.get(&section).and_then(|section| section.get(&key)).is_some();
            assert!(known, "{}: {word} names no key", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "the settings are written in another way: {seen} found");
}

/// Calls of the SDK, by the method that builds them, and what AWS wants to have allowed for each.
const ACTIONS: &[(&str, &[&str])] = &[
    ("change_message_visibility_batch", &["sqs:ChangeMessageVisibility"]),
    ("copy_object", &["s3:PutObject"]),
    ("delete_message_batch", &["sqs:DeleteMessage"]),
    ("get_bucket_notification_configuration", &["s3:GetBucketNotification"]),
    ("get_caller_identity", &[]),
    ("get_object", &["s3:GetObject", "s3:GetObjectVersion"]),
    ("get_queue_attributes", &["sqs:GetQueueAttributes"]),
    ("get_queue_url", &["sqs:GetQueueUrl"]),
    ("head_bucket", &["s3:ListBucket"]),
    ("head_object", &["s3:GetObject", "s3:GetObjectVersion"]),
    ("list_objects_v2", &["s3:ListBucket"]),
    ("publish", &["sns:Publish"]),
    ("receive_message", &["sqs:ReceiveMessage"]),
];

/// Called by nobody's name in our code: a key's policy is asked by S3, the task's protection by the container agent.
const ALLOWED_FOR_OTHERS: &[&str] =
    &["kms:Decrypt", "kms:GenerateDataKey", "ecs:GetTaskProtection", "ecs:UpdateTaskProtection"];
const VERBS: &[&str] =
    &["change", "copy", "create", "delete", "get", "head", "list", "put", "receive", "send", "set", "upload"];

/// Methods without arguments that are named like a call of the SDK, in the files that name its crates.
fn calls() -> BTreeSet<String> {
    let mut sources = Vec::new();
    files(&root().join("src"), &mut sources);
    let mut calls = BTreeSet::new();
    for path in
        sources.iter().filter(|path| !path.to_str().unwrap().contains("tests") && !path.ends_with("emulator.rs"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        if !path.starts_with(root().join("src/source")) && !code.contains("aws_sdk_") {
            continue;
        }
        for end in code.match_indices("()").map(|(at, _)| at) {
            let name = code[..end].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
            let is_method = code[..end - name.len()].ends_with('.');
            let verb = name.split_once('_').map_or("", |(verb, _)| verb);
            if is_method && (VERBS.contains(&verb) || name == "publish") && name != "get_mut" {
                calls.insert(name.to_owned());
            }
        }
    }
    calls
}

#[test]
fn task_may_do_what_the_code_calls_and_no_more() {
    let policies = read("deploy/terraform/iam.tf");
    let (_, of_task) = policies.split_once("data \"aws_iam_policy_document\" \"task\"").unwrap();
    let (of_task, _) = of_task.split_once("resource \"aws_iam_role_policy\"").unwrap();
    let of_task: String = of_task.lines().filter(|line| !line.contains("variable ")).collect();
    let mut allowed = BTreeSet::new();
    for service in ["\"s3:", "\"sqs:", "\"sns:", "\"kms:", "\"ecs:", "\"sts:", "\"logs:"] {
        let actions = words(&of_task, service, |c| c.is_ascii_alphanumeric() || c == '*');
        allowed.extend(actions.into_iter().map(|word| word.trim_start_matches('"').to_owned()));
    }
    let calls = calls();
    assert!(calls.contains("receive_message") && calls.contains("get_object"), "{calls:?}");
    for call in &calls {
        let (_, needed) =
            ACTIONS.iter().find(|(name, _)| name == call).unwrap_or_else(|| panic!("{call}: which action is that?"));
        for action in *needed {
            assert!(allowed.contains(*action), "the code calls {call}: iam.tf must allow {action}");
        }
    }
    let needed = |action: &str| {
        ACTIONS.iter().any(|(_, actions)| actions.contains(&action)) || ALLOWED_FOR_OTHERS.contains(&action)
    };
    let surplus: Vec<_> = allowed.iter().filter(|action| !needed(action)).collect();
    assert!(surplus.is_empty(), "nobody calls {surplus:?}");
}

fn seconds(text: &str) -> u64 {
    text.trim_end_matches('s').parse().unwrap_or_else(|_| panic!("{text:?} is not a number of seconds"))
}

fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.trim().strip_prefix(key));
    found.unwrap_or_else(|| panic!("{key} is not there")).trim().trim_matches('"')
}

#[test]
fn whoever_stops_the_daemon_waits_for_its_grace_and_for_what_comes_after() {
    const MARGIN: u64 = xc2_analyzer::supervisor::systemd::STOP_MARGIN.as_secs();
    let defaults: toml::Table = DEFAULTS.parse().unwrap();
    let wanted = seconds(defaults["run"]["shutdown_grace"].as_str().unwrap()) + MARGIN;
    assert!(seconds(value(&read("deploy/systemd/xc2-analyzer.service"), "TimeoutStopSec=")) >= wanted);
    assert!(seconds(value(&read("deploy/compose/compose.yaml"), "stop_grace_period:")) >= wanted);
    let definition: Value = serde_json::from_str(&read("deploy/ecs/task-definition.json")).unwrap();
    let container = &definition["containerDefinitions"][0];
    assert!(container["stopTimeout"].as_u64().unwrap() >= wanted);
    let environment = container["environment"].as_array().unwrap();
    let grace = environment.iter().find(|entry| entry["name"] == "XC2__RUN__SHUTDOWN_GRACE").unwrap();
    assert!(container["stopTimeout"].as_u64().unwrap() >= seconds(grace["value"].as_str().unwrap()) + MARGIN);
    // Fargate's own limit.
    assert!(container["stopTimeout"].as_u64().unwrap() <= 120);
}

#[test]
fn terraform_fills_in_every_placeholder_of_the_task_definition() {
    let placeholders: BTreeSet<String> = words(&read("deploy/ecs/task-definition.json"), "${", |c| c != '}')
        .into_iter()
        .map(|word| word["${".len()..].to_owned())
        .collect();
    let service = read("deploy/terraform/service.tf");
    let (_, filled) = service.split_once("task-definition.json\", {").unwrap();
    let (filled, _) = filled.split_once("}))").unwrap();
    let filled: BTreeSet<String> =
        filled.lines().filter_map(|line| Some(line.split_once(" = ")?.0.trim().to_owned())).collect();
    assert_eq!(placeholders, filled);
}

#[test]
fn everybody_asks_for_health_at_the_same_port() {
    let ports = ["Dockerfile", "deploy/ecs/task-definition.json"].map(|file| {
        let text = read(file);
        let listens =
            words(&text, "0.0.0.0:", |c| c.is_ascii_digit()).into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert!(text.contains("\"healthcheck\""), "{file} asks for no health");
        listens
    });
    assert_eq!(ports[0], ports[1]);
    let port = ports[0][0].rsplit_once(':').unwrap().1;
    assert!(read("deploy/compose/compose.yaml").contains(&format!("127.0.0.1:{port}:{port}")));
    assert!(read("deploy/compose/prometheus.yml").contains(&format!("daemon:{port}")));
}

/// systemd's own judgement, by the Debian package `systemd`, which `tests/run` installs.
#[test]
fn systemd_understands_the_unit_and_finds_little_exposed() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("xc2-analyzer.service");
    // It looks for the program.
    let text = read("deploy/systemd/xc2-analyzer.service")
        .replace("/usr/local/bin/xc2-analyzer", env!("CARGO_BIN_EXE_xc2-analyzer"));
    std::fs::write(&unit, text).unwrap();
    let analyze = |arguments: &[&str]| {
        let mut command = std::process::Command::new("systemd-analyze");
        let output = command.args(arguments).arg(&unit).env("SYSTEMD_LOG_LEVEL", "warning").output();
        let output = output.expect("systemd-analyze is in PATH (Debian package systemd; tests/run installs it)");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    let verified = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    assert!(!verified.contains("xc2-analyzer.service"), "{verified}");
    // Tenths of 10: 1.5 of 10 at most, fails beyond.
    analyze(&["security", "--no-pager", "--offline=true", "--threshold=15"]);
}
