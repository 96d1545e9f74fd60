//! `print`: documents for this configuration that AWS and systemd take, in pipelines as they are shown.

use serde_json::{Value, json};

use crate::corpus::Corpus;
use crate::daemon::{Daemon, command};
use crate::database::Database;
use crate::moto::Moto;
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
    assert!(!task.to_string().contains("${"), "ECS would take a placeholder for a value: {task:#}");
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

/// An account that is set up as the documents say, and a user who may do what the printed policy allows and nothing else.
const ACCOUNT: &str = r#"
exec >/dev/null
aws sqs create-queue --queue-name ad-logs
aws sqs create-queue --queue-name ad-logs-dead-letters
aws s3api create-bucket --bucket ad-logs-bucket
xc2-analyzer print queue-policy --attributes --bucket ad-logs-bucket |
    aws sqs set-queue-attributes --queue-url "$XC2__SOURCE__URL" --attributes file:///dev/stdin
xc2-analyzer print notification --bucket ad-logs-bucket |
    aws s3api put-bucket-notification-configuration --bucket ad-logs-bucket --notification-configuration file:///dev/stdin
aws s3api put-object --bucket ad-logs-bucket --key logs/1.pkl.gz --body object
aws iam create-user --user-name xc2
xc2-analyzer print iam-policy --bucket ad-logs-bucket |
    aws iam put-user-policy --user-name xc2 --policy-name xc2-analyzer --policy-document file:///dev/stdin
xc2-analyzer migrate
aws iam create-access-key --user-name xc2 --output json >key.json
"#;

#[tokio::test]
async fn printed_policy_is_enough_to_check_and_to_run_and_allows_nothing_else() {
    let corpus = Corpus::make(&["--seed", "84", "--files", "1", "--rows", "10", "--no-broken"]);
    // Of its own: permissions are enforced for all who use it.
    let moto = Moto::start();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("object"), corpus.objects.values().next().unwrap()).unwrap();
    let mut environment: Vec<(String, String)> =
        moto.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut set = |name: &str, value: String| {
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value));
        environment.clone()
    };
    set("AWS_DEFAULT_REGION", "us-east-1".into());
    set("XC2__SOURCE__URL", format!("{}/123456789012/ad-logs", moto.endpoint()));
    set("XC2__SOURCE__PREFIX", "logs/".into());
    set("XC2__SOURCE__LONG_POLL", "1s".into());
    let before = set("XC2__STORE__URL", "sqlite:xc2.db".into());
    let shell = |line: &str, environment: &[(String, String)]| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-ec", line]).current_dir(dir.path()).env_clear().envs(environment.iter().cloned());
        shell
    };
    crate::check_fixes::run_line(dir.path(), shell(ACCOUNT, &before), ACCOUNT);
    let database = Database::Sqlite { path: dir.path().join("xc2.db") };
    database.insert_metadata(&corpus.metadata).await;
    let key: Value = serde_json::from_str(&std::fs::read_to_string(dir.path().join("key.json")).unwrap()).unwrap();
    let key = |name: &str| key["AccessKey"][name].as_str().unwrap().to_owned();
    set("AWS_ACCESS_KEY_ID", key("AccessKeyId"));
    let limited = set("AWS_SECRET_ACCESS_KEY", key("SecretAccessKey"));
    moto.enforce_permissions();

    let output = command(dir.path(), &limited).args(["check"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("we are arn:aws:iam::123456789012:user/xc2"), "{text}");
    // Not the listing: when it enforces, this emulator takes the signature of one with a prefix for wrong.
    for name in ["queue", "queue's policy", "notification"] {
        assert!(text.contains(&format!("ok       {name}: ")), "{name}: {text}");
    }
    let mut daemon = Daemon::start(dir.path(), &limited);
    let began = std::time::Instant::now();
    while database.number("SELECT COUNT(*) FROM processed_object").await == 0 {
        assert!(daemon.is_running() && began.elapsed().as_secs() < 120, "nothing was counted: {}", daemon.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(daemon.stop().await.success());
    for more in
        ["sqs purge-queue --queue-url $XC2__SOURCE__URL", "s3api put-object --bucket ad-logs-bucket --key logs/2"]
    {
        let line = format!("! aws {more}");
        crate::check_fixes::run_line(dir.path(), shell(&line, &limited), &line);
    }
}
