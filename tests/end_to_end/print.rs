//! `print`: documents for this configuration that AWS and systemd take, in pipelines as they are shown.

use serde_json::{Value, json};

use crate::corpus::Corpus;
use crate::daemon::command;
use crate::world::{Kind, World};

const URL: &str = "https://sqs.ap-northeast-2.amazonaws.com/210987654321/ad-logs";
const ARN: &str = "arn:aws:sqs:ap-northeast-2:210987654321:ad-logs";

/// Exit code, standard output and standard error.
fn print(config: &str, environment: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), config).unwrap();
    let environment: Vec<(String, String)> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let output = command(dir.path(), &environment).arg("print").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(!stdout.contains("geheim") && !stderr.contains("geheim"), "a secret was shown: {stdout}{stderr}");
    (output.status.code().unwrap(), stdout, stderr)
}

fn config() -> String {
    format!("[source]\nurl = '{URL}'\nprefix = 'logs/'\nsuffix = '.gz'\n[store]\nurl = 'mysql://xc2:geheim@db/ads'\n")
}

fn document(arguments: &[&str]) -> (Value, String) {
    let (exit, stdout, stderr) = print(&config(), &[], arguments);
    assert_eq!(exit, 0, "{stderr}");
    (serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}")), stderr)
}

#[test]
fn documents_name_the_queue_the_buckets_and_the_filter() {
    let (policy, stderr) = document(&["queue-policy", "--bucket", "ads", "--bucket", "more-ads"]);
    let statement = &policy["Statement"][0];
    assert_eq!((&statement["Resource"], &statement["Action"]), (&json!(ARN), &json!("sqs:SendMessage")));
    let condition = json!({
        "ArnLike": {"aws:SourceArn": ["arn:aws:s3:::ads", "arn:aws:s3:::more-ads"]},
        "StringEquals": {"aws:SourceAccount": "210987654321"},
    });
    assert_eq!(statement["Condition"], condition);
    let line = "xc2-analyzer print queue-policy --attributes --bucket ads --bucket more-ads | aws --region ap-northeast-2 sqs \
                set-queue-attributes --queue-url https://sqs.ap-northeast-2.amazonaws.com/210987654321/ad-logs --attributes \
                file:///dev/stdin\n";
    assert!(stderr.ends_with(line), "{stderr}");

    let (notification, _) = document(&["notification", "--bucket", "ads"]);
    let expected = json!({"QueueConfigurations": [{
        "Id": "xc2-analyzer", "QueueArn": ARN, "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "logs/"}, {"Name": "suffix", "Value": ".gz"}]}},
    }]});
    assert_eq!(notification, expected);

    let (policy, _) =
        document(&["iam-policy", "--bucket", "ads", "--kms-key", "arn:aws:kms:ap-northeast-2:210987654321:key/1"]);
    let text = policy.to_string();
    for part in [ARN, "arn:aws:s3:::ads/logs/*", "\"kms:Decrypt\"", &format!("{ARN}-dead-letters")] {
        assert!(text.contains(part), "{part}: {policy:#}");
    }
    assert!(!text.contains("sns:"), "no topic was named: {policy:#}");

    let (task, stderr) = document(&["task-definition", "--image", "registry/xc2:7"]);
    assert_eq!(task["containerDefinitions"][0]["image"], "registry/xc2:7");
    assert!(stderr.contains("ecs register-task-definition"), "{stderr}");
}

#[test]
fn what_is_not_known_is_asked_for() {
    let emulator = "[source]\nurl = 'http://127.0.0.1:5000/123456789012/q'\n";
    for (config, arguments, words) in [
        (config().as_str(), &["queue-policy"][..], "give --bucket NAME"),
        (emulator, &["queue-policy", "--bucket", "ads"], "give --region NAME"),
        ("[source]\nurl = 's3://ads/logs/'\n", &["queue-policy", "--region", "eu-west-1"], "is no queue of SQS"),
        ("[source]\nurl = '/logs'\n", &["iam-policy", "--region", "eu-west-1"], "nothing is asked of AWS"),
    ] {
        let (exit, stdout, stderr) = print(config, &[], arguments);
        assert!(exit == 1 && stdout.is_empty() && stderr.contains(words), "{arguments:?}: {stderr}");
    }
    assert_eq!(print("", &[], &["queue-policy", "--bucket", "ads"]).0, 78);
    let (exit, policy, _) =
        print("[source]\nurl = 's3://ads/logs/'\n", &[("AWS_REGION", "eu-west-1")], &["iam-policy"]);
    assert!(exit == 0 && policy.contains("arn:aws:s3:::ads/logs/*") && !policy.contains("sqs:"), "{policy}");
}

#[test]
fn configuration_is_printed_with_its_origins_and_without_secrets() {
    let (exit, text, _) =
        print(&config(), &[("XC2__STORE__PASSWORD", "geheim"), ("XC2__RUN__WORKERS", "3")], &["config"]);
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {text}"));
    assert_eq!(exit, 0);
    assert!(line("workers").ends_with("# XC2__RUN__WORKERS") && line("workers").starts_with("workers = 3 "), "{text}");
    assert!(line("prefix").ends_with("# config.toml") && line("batch_size").ends_with("# default"), "{text}");
    assert!(line("password").starts_with("password = \"***\""), "{text}");
    assert!(text.contains("url = \"mysql://xc2@db:3306/ads\""), "{text}");
}

/// What systemd itself says of the unit. Where there is no systemd, `tests/run` installs it.
#[test]
fn unit_is_taken_by_systemd() {
    let dir = tempfile::tempdir().unwrap();
    let (exit, unit, stderr) = print(
        &(config() + "[run]\nshutdown_grace = '45s'\n"),
        &[("XC2__SOURCE__SUFFIX", "100% \"gz\""), ("XC2__STORE__PASSWORD", "geheim")],
        &["unit"],
    );
    assert!(exit == 0 && stderr.contains("XC2__STORE__PASSWORD") && stderr.contains("systemctl"), "{stderr}");
    assert!(unit.contains("\nTimeoutStopSec=65s\n"), "{unit}");
    let path = dir.path().join("xc2-analyzer.service");
    std::fs::write(&path, &unit).unwrap();
    let verify = std::process::Command::new("systemd-analyze").arg("verify").arg(&path).output();
    let output = verify.expect("there is no systemd-analyze: run `tests/run`, or `apt-get install systemd`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("xc2-analyzer.service"), "{said}\n{unit}");
}

/// The pipeline that `print` shows is run as it is, and the bucket's objects come.
#[tokio::test]
async fn shown_pipelines_set_up_an_account_from_nothing() {
    let corpus = Corpus::make(&["--seed", "83", "--files", "1", "--rows", "10", "--no-broken"]);
    let mut world = World::new("print-setup", Kind::Sqlite, &corpus).await;
    world.cloud.renew_queue("print-setup-new").await;
    world.set("XC2__SOURCE__URL", &world.cloud.queue_url.clone());
    world.cloud.renew_bucket("print-setup-bucket").await;
    for what in ["queue-policy", "notification"] {
        let output = world.command(&["print", what, "--bucket", "print-setup-bucket"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let line = stderr.lines().last().unwrap();
        assert!(line.starts_with("xc2-analyzer print "), "{stderr}");
        crate::check_fixes::paste_line(&world, line);
    }
    let (before, _) = world.cloud.queue_depth().await;
    world.cloud.upload("a.pkl.gz", b"x").await;
    assert_eq!(world.cloud.queue_depth().await.0, before + 1);
    let text = String::from_utf8(world.command(&["check"]).stdout).unwrap();
    assert!(text.contains("ok       queue's policy: ") && text.contains("ok       notification: "), "{text}");
}
