//! `check` finds what is wrong with a real account and a real server, and the line that it prints to paste does away with it.

use std::path::Path;
use std::process::Command;

use aws_sdk_s3::types::{
    BucketVersioningStatus, Event, FilterRule, FilterRuleName, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter, VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName::{KmsMasterKeyId, MessageRetentionPeriod, Policy};
use serde_json::{Value, json};

use crate::corpus::Corpus;
use crate::http_proxy::{Fault, HttpProxy};
use crate::mariadb::MariaDb;
use crate::world::{Kind, World};

fn corpus() -> Corpus {
    Corpus::make(&["--seed", "82", "--files", "1", "--rows", "10", "--no-broken"])
}

/// What `check --format json` says, whatever its exit code.
fn checked(world: &World, more: &[&str]) -> Value {
    let arguments: Vec<&str> = ["check", "--format", "json"].iter().chain(more).copied().collect();
    let output = world.command(&arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn fact<'a>(report: &'a Value, name: &str) -> &'a Value {
    let facts = report["facts"].as_array().unwrap();
    facts.iter().find(|fact| fact["name"] == name).unwrap_or_else(|| panic!("no line about {name}: {report:#}"))
}

fn assert_fact(report: &Value, name: &str, level: &str, detail: &str) {
    let fact = fact(report, name);
    assert_eq!(fact["level"], level, "{report:#}");
    assert!(fact["detail"].as_str().unwrap().contains(detail), "{detail}: {fact:#}");
    assert_eq!(fact["advice"].is_null(), level == "ok", "{fact:#}");
}

/// Pastes the line of one fact into a shell that knows the emulator and this program.
fn paste(world: &World, report: &Value, name: &str) {
    let line = fact(report, name)["fix"].as_str().unwrap_or_else(|| panic!("nothing to paste for {name}: {report:#}"));
    paste_line(world, line);
}

pub fn paste_line(world: &World, line: &str) {
    run_line(world.dir.path(), world.shell(line), line);
}

/// Runs a shell whose PATH has this program and the tool of AWS; what it says.
pub fn run_line(dir: &Path, mut shell: Command, line: &str) -> String {
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    // Its first version does not read AWS_ENDPOINT_URL for queues.
    let wrapper = format!("#!/bin/sh\nexec '{}' --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"\n", aws().display());
    std::fs::write(bin.join("aws"), wrapper).unwrap();
    std::fs::set_permissions(bin.join("aws"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_xc2-analyzer")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = shell.env("PATH", format!("{}:{}:{path}", bin.display(), program.display())).output().unwrap();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The command line tool of AWS, beside the tests' Python or in PATH.
fn aws() -> std::path::PathBuf {
    let named = std::env::var_os("XC2_TEST_AWS").map(std::path::PathBuf::from);
    let beside = std::env::var_os("XC2_TEST_PYTHON")
        .and_then(|python| Some(std::path::Path::new(&python).parent()?.join("aws")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("aws"));
    let found = named.into_iter().chain(beside).chain(in_path).find(|program| program.is_file());
    found.expect("there is no aws: run `tests/run`, or `pip install awscli`, or set XC2_TEST_AWS")
}

fn to_queue(arn: &str, event: Event, prefix: &str) -> QueueConfiguration {
    let entry = QueueConfiguration::builder().queue_arn(arn).events(event);
    if prefix.is_empty() {
        return entry.build().unwrap();
    }
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
    let filter = NotificationConfigurationFilter::builder().key(S3KeyFilter::builder().filter_rules(rule).build());
    entry.filter(filter.build()).build().unwrap()
}

#[tokio::test]
async fn queue_that_nothing_is_right_with_is_put_right_by_pasting_what_is_printed() {
    let mut world = World::new("fix-queue", Kind::Sqlite, &corpus()).await;
    world.cloud.renew_queue("fix-queue-new").await;
    world.set("XC2__SOURCE__URL", &world.cloud.queue_url.clone());
    world.cloud.set(MessageRetentionPeriod, "3600").await;
    world.cloud.renew_bucket("fix-queue-new-bucket").await;
    // Not announcing at all is something that the emulator does not answer with a document.
    let dead = "arn:aws:sqs:us-east-1:123456789012:fix-queue-removals";
    world.cloud.queue("fix-queue-removals", &[]).await;
    world.cloud.announce(vec![to_queue(dead, Event::S3ObjectRemoved, "")]).await;
    world.cloud.upload("logs/광고.pkl.gz", b"x").await;
    let bucket = ["--bucket", "fix-queue-new-bucket"];

    let sick = checked(&world, &bucket);
    assert_eq!(sick["level"], "failure");
    for (name, level) in [
        ("notification", "failure"),
        ("dead letters", "warning"),
        ("queue's visibility", "warning"),
        ("retention", "warning"),
        // Last: the emulator forgets a policy when another attribute is set.
        ("queue's policy", "failure"),
    ] {
        assert_eq!(fact(&sick, name)["level"], level, "{sick:#}");
        paste(&world, &sick, name);
    }
    // The bucket is named by the policy from now on.
    let healed = checked(&world, &[]);
    for name in [
        "queue's policy",
        "notification",
        "dead letters",
        "dead letters' retention",
        "dead letters held",
        "queue's visibility",
        "retention",
        "bucket",
        "object",
        "clock",
        "credentials",
    ] {
        assert_fact(&healed, name, "ok", "");
    }
    assert!(
        fact(&healed, "object")["detail"].as_str().unwrap().contains("s3://fix-queue-new-bucket/logs/광고.pkl.gz"),
        "{healed:#}"
    );
    // And it works: what is uploaded comes.
    let (before, _) = world.cloud.queue_depth().await;
    world.cloud.upload("logs/2.pkl.gz", b"x").await;
    assert_eq!(world.cloud.queue_depth().await.0, before + 1);

    // Dead letters that can't be kept longer than the queue keeps its messages, and one that waits.
    world.cloud.set(MessageRetentionPeriod, "1209600").await;
    let dead = format!("{}-dead-letters", world.cloud.queue_url);
    world.cloud.sqs.send_message().queue_url(&dead).message_body("x").send().await.unwrap();
    let sick = checked(&world, &[]);
    assert_fact(&sick, "dead letters held", "warning", "1 wait");
    paste(&world, &sick, "dead letters' retention");
    assert_fact(&checked(&world, &[]), "dead letters' retention", "ok", "14 days, the queue's is 7 days");
}

#[tokio::test]
async fn notification_that_does_not_fit_is_mended_and_those_of_others_are_kept() {
    let mut world = World::new("fix-notification", Kind::Sqlite, &corpus()).await;
    world.set("XC2__SOURCE__PREFIX", "광고 logs/");
    let ours = "arn:aws:sqs:us-east-1:123456789012:fix-notification";
    world.cloud.queue("fix-other", &[]).await;
    let others = to_queue("arn:aws:sqs:us-east-1:123456789012:fix-other", Event::S3ObjectRemoved, "logs/");

    world.cloud.announce(vec![others.clone(), to_queue(ours, Event::S3ObjectCreated, "images/")]).await;
    assert_fact(&checked(&world, &[]), "notification", "failure", "counts only those 광고 logs/*");
    world.cloud.announce(vec![others.clone(), to_queue(ours, Event::S3ObjectCreatedPut, "")]).await;
    let sick = checked(&world, &[]);
    assert_fact(&sick, "notification", "warning", "not those of s3:ObjectCreated:Post, Copy, CompleteMultipartUpload");
    paste(&world, &sick, "notification");
    assert_fact(&checked(&world, &[]), "notification", "ok", "announces new objects 광고 logs/* to this queue");
    let kept = world.cloud.s3.get_bucket_notification_configuration().bucket("fix-notification").send().await.unwrap();
    let kept: Vec<&str> = kept.queue_configurations().iter().map(|entry| entry.queue_arn()).collect();
    assert!(kept.len() == 2 && kept.iter().any(|arn| arn.ends_with("fix-other")), "{kept:?}");
}

#[tokio::test]
async fn queue_that_strangers_may_send_to_and_one_that_s3_may_not_are_told() {
    let world = World::new("fix-policy", Kind::Sqlite, &corpus()).await;
    let statement = json!({
        "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage",
        "Resource": "arn:aws:sqs:us-east-1:123456789012:fix-policy",
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other-bucket"}},
    });
    let mut loose = statement.clone();
    loose["Condition"]["ArnLike"]["aws:SourceArn"] = "arn:aws:s3:*:*:fix-policy".into();
    loose["Principal"] = json!({"Service": "s3.amazonaws.com"});
    world.cloud.set(Policy, &json!({"Statement": [loose]}).to_string()).await;
    let sick = checked(&world, &[]);
    assert_fact(&sick, "queue's policy", "warning", "buckets of any account");
    paste(&world, &sick, "queue's policy");
    assert_fact(&checked(&world, &[]), "queue's policy", "ok", "s3://fix-policy");

    world.cloud.set(Policy, &json!({"Statement": [statement]}).to_string()).await;
    let sick = checked(&world, &["--bucket", "fix-policy"]);
    assert_fact(&sick, "queue's policy", "failure", "does not let S3 send for s3://fix-policy");
    assert_eq!(fact(&sick, "notification")["level"], "ok", "of the bucket that was named: {sick:#}");
}

#[tokio::test]
async fn queue_encrypted_with_the_key_of_aws_is_a_failure() {
    let world = World::new("fix-key", Kind::Sqlite, &corpus()).await;
    world.cloud.set(KmsMasterKeyId, "alias/aws/sqs").await;
    let sick = checked(&world, &[]);
    assert_fact(&sick, "queue's encryption", "failure", "S3 can't send to this queue");
    paste(&world, &sick, "queue's encryption");
    assert_fact(&checked(&world, &[]), "queue's encryption", "ok", "by no KMS key");
    world.cloud.set(KmsMasterKeyId, "1234abcd-12ab-34cd-56ef-1234567890ab").await;
    assert_fact(&checked(&world, &[]), "queue's encryption", "warning", "whose policy can't be seen");
}

#[tokio::test]
async fn versioned_empty_and_absent_buckets_are_told_apart() {
    let world = World::new("fix-bucket", Kind::Sqlite, &corpus()).await;
    assert_fact(&checked(&world, &[]), "bucket", "warning", "has no object, so that reading could not be tried");
    let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let put = world.cloud.s3.put_bucket_versioning().bucket("fix-bucket").versioning_configuration(versioning);
    put.send().await.unwrap();
    world.cloud.upload("empty", b"").await;
    assert_fact(&checked(&world, &[]), "object", "ok", "s3://fix-bucket/empty: its first byte was read");
    world.cloud.delete("empty").await;
    world.cloud.upload("a.pkl.gz", b"x").await;
    assert_fact(&checked(&world, &[]), "object", "ok", "also by its version ");

    let report = checked(&world, &["--bucket", "fix-no-such-bucket"]);
    let facts = report["facts"].as_array().unwrap();
    let absent =
        facts.iter().find(|fact| fact["detail"].as_str().unwrap().contains("s3://fix-no-such-bucket can't be listed"));
    assert_eq!(absent.unwrap()["level"], "failure", "{report:#}");
    assert_fact(&report, "object", "ok", "also by its version ");
}

#[tokio::test]
async fn clock_that_is_wrong_is_told_before_signatures_are_refused() {
    let mut world = World::new("fix-clock", Kind::Sqlite, &corpus()).await;
    let proxy = HttpProxy::start();
    world.set("AWS_ENDPOINT_URL", &proxy.endpoint);
    world.set("AWS_ENDPOINT_URL_SQS", &proxy.endpoint);
    for (minutes, level) in [(0, "ok"), (3, "warning"), (-7, "failure")] {
        let theirs = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&theirs).unwrap();
        proxy.script(move |_| Some(Fault::Date(date.clone())));
        let report = checked(&world, &[]);
        assert_eq!(fact(&report, "clock")["level"], level, "{report:#}");
        assert_eq!(fact(&report, "clock")["fix"].is_null(), level == "ok");
    }
}

#[tokio::test]
async fn part_that_is_out_of_reach_hides_nothing_of_the_others() {
    let mut world = World::new("fix-parts", Kind::MariaDb, &corpus()).await;
    let url = world.cloud.queue_url.clone();
    world.set("XC2__SOURCE__URL", &format!("{url}-not"));
    let report = checked(&world, &["--bucket", "fix-parts"]);
    assert_fact(&report, "queue", "failure", "does not exist");
    assert_fact(&report, "schema", "ok", "");
    assert_eq!(fact(&report, "bucket")["level"], "warning", "it is empty, and was asked all the same: {report:#}");
    paste(&world, &report, "queue");
    assert_fact(&checked(&world, &[]), "queue", "ok", "0 messages waiting");

    world.set("XC2__SOURCE__URL", &url);
    world.set("XC2__STORE__URL", "mysql://xc2:geheim@127.0.0.1:1/xc2");
    let report = checked(&world, &[]);
    assert_fact(&report, "store", "failure", "mysql://xc2@127.0.0.1:1/xc2");
    assert_fact(&report, "notification", "ok", "");
    assert!(!report.to_string().contains("geheim"), "{report:#}");

    // Nobody listens where the queue's URL leads.
    world.set("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let output = world.command(&["check"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("FAILURE  queue: ") && text.contains("FAILURE  store: "), "{text}");
}

#[tokio::test]
async fn privilege_that_is_missing_is_granted_by_pasting_what_is_printed() {
    let server = MariaDb::shared();
    let mut world = World::new("fix-privileges", Kind::MariaDb, &corpus()).await;
    let root = world.database.url();
    let database = root.rsplit('/').next().unwrap();
    let user = format!("limited_{}", std::process::id());
    server.run(&format!("CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY 'geheim'")).await;
    world.set("XC2__STORE__URL", &root.replace("root@", &format!("{user}:geheim@")));

    // Without any privilege the server says nothing but no.
    let report = checked(&world, &[]);
    assert_fact(&report, "store", "failure", "(error 1044)");
    let grant = fact(&report, "store")["fix"].as_str().unwrap();
    assert!(grant.starts_with("GRANT SELECT, INSERT, UPDATE, CREATE, ALTER ON "), "{grant}");

    server.run(&format!("GRANT SELECT ON `{}`.* TO '{user}'@'127.0.0.1'", database.replace('_', "\\_"))).await;
    let report = checked(&world, &[]);
    assert_fact(&report, "privileges", "failure", &format!("no INSERT, UPDATE on {database}"));
    assert_fact(&report, "schema", "ok", "");
    let line = fact(&report, "privileges")["fix"].as_str().unwrap();
    assert!(line.starts_with("GRANT INSERT, UPDATE ON ") && !report.to_string().contains("geheim"), "{line}");
    server.run(line).await;
    assert_fact(&checked(&world, &[]), "privileges", "ok", "`migrate` needs CREATE, ALTER besides");
    server.run(grant).await;
    let report = checked(&world, &[]);
    assert_fact(&report, "privileges", "ok", "enough for `run` and `migrate`");
    for (name, words) in [("server's clock", "ours is 0.0 s"), ("time zone", "our sessions use +00:00")] {
        assert_fact(&report, name, "ok", words);
    }
    server.run(&format!("DROP USER '{user}'@'127.0.0.1'")).await;
}

#[tokio::test]
async fn database_and_tables_that_are_not_there_are_made_by_pasting_what_is_printed() {
    let server = MariaDb::shared();
    let mut world = World::new("fix-schema", Kind::MariaDb, &corpus()).await;
    world.set("XC2__STORE__URL", &(world.database.url() + "_new"));
    let report = checked(&world, &[]);
    assert_fact(&report, "store", "failure", "(error 1049)");
    server.run(fact(&report, "store")["fix"].as_str().unwrap()).await;
    let report = checked(&world, &[]);
    assert_fact(&report, "schema", "failure", "statements are still to be executed, the first: CREATE TABLE");
    assert_fact(&report, "privileges", "ok", "");
    assert_eq!(fact(&report, "schema")["fix"], "xc2-analyzer migrate");
    paste(&world, &report, "schema");
    let report = checked(&world, &[]);
    assert_fact(&report, "schema", "ok", "");
    assert_fact(&report, "metadata", "warning", "0 media, 0 inventory");

    world.set("XC2__STORE__URL", "sqlite:not-yet.db");
    let report = checked(&world, &[]);
    assert_fact(&report, "store", "failure", "not-yet.db");
    paste(&world, &report, "store");
    assert_fact(&checked(&world, &[]), "schema", "ok", "");
}

#[tokio::test]
async fn strict_check_fails_on_a_warning_and_a_source_that_is_a_folder_or_a_bucket_is_tried() {
    let mut world = World::new("fix-strict", Kind::Sqlite, &corpus()).await;
    assert_eq!(world.command(&["check"]).status.code(), Some(0));
    assert_eq!(world.command(&["check", "--strict"]).status.code(), Some(1), "there is no redrive policy");

    world.set("XC2__SOURCE__URL", "s3://fix-strict/logs/");
    assert_fact(&checked(&world, &[]), "bucket", "warning", "s3://fix-strict/logs/ has no object");
    world.cloud.upload("logs/a b+c.pkl.gz", b"x").await;
    assert_fact(&checked(&world, &[]), "object", "ok", "s3://fix-strict/logs/a b+c.pkl.gz");

    let folder = world.dir.path().join("logs");
    world.set("XC2__SOURCE__URL", folder.to_str().unwrap());
    assert_fact(&checked(&world, &[]), "folder", "failure", "logs");
    std::fs::create_dir(&folder).unwrap();
    assert_fact(&checked(&world, &[]), "folder", "warning", "no file that");
    std::fs::write(folder.join("a.pkl.gz"), "x").unwrap();
    assert_fact(&checked(&world, &[]), "folder", "ok", "a.pkl.gz can be read");
    assert_eq!(checked(&world, &[])["version"], 1);
}
