//! `check` names settings of a real queue and a real server that would weaken the promise, each with what to do.

use aws_sdk_sqs::types::QueueAttributeName::{FifoQueue, MessageRetentionPeriod, RedrivePolicy, VisibilityTimeout};

use crate::corpus::Corpus;
use crate::mariadb::MariaDb;
use crate::world::{Kind, World};

/// Level and words of each line, by its name.
fn line<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    // The indented lines are to be pasted.
    let found = text.lines().filter(|line| !line.starts_with(' ')).find_map(|line| {
        let (head, words) = line.split_once(": ")?;
        let (level, found) = head.split_at_checked(8)?;
        (found.trim() == name).then_some((level.trim(), words))
    });
    found.unwrap_or_else(|| panic!("no line about {name} in\n{text}"))
}

fn corpus() -> Corpus {
    Corpus::make(&["--seed", "81", "--files", "1", "--rows", "10", "--no-broken"])
}

fn redrive(queue: &str, receipts: u32) -> String {
    serde_json::json!({"deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:123456789012:{queue}"), "maxReceiveCount": receipts})
        .to_string()
}

const DAY: u32 = 24 * 3600;

#[tokio::test]
async fn setting_of_the_queue_that_weakens_the_promise_is_named() {
    let mut world = World::new("check-queue", Kind::Sqlite, &corpus()).await;
    let text = world.must(&["check"]);
    let (level, words) = line(&text, "dead letters");
    assert!(level == "warning" && words.contains("add one with a dead-letter queue"), "{text}");
    assert_eq!(line(&text, "queue's visibility").0, "warning", "the default of SQS is 30 s: {text}");

    world.cloud.queue("check-dead", &[(MessageRetentionPeriod, &(14 * DAY).to_string())]).await;
    world.cloud.set(RedrivePolicy, &redrive("check-dead", 10)).await;
    world.cloud.set(VisibilityTimeout, "120").await;
    world.cloud.upload("ads.pkl.gz", b"x").await;
    // How much memory this machine has for how many cores is its own affair.
    world.set("XC2__RUN__WORKERS", "1");
    world.set("XC2__LIMITS__OBJECT_BYTES_MAX", "1MiB");
    let output = world.command(&["check", "--strict"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.ends_with(" ok, 0 warnings, 0 failures\n"), "nothing is left to say: {text}");

    world.cloud.set(RedrivePolicy, &redrive("check-dead", 3)).await;
    world.cloud.set(VisibilityTimeout, "10").await;
    world.cloud.set(MessageRetentionPeriod, &(14 * DAY).to_string()).await;
    world.set("XC2__SOURCE__VISIBILITY", "9s");
    let text = world.must(&["check"]);
    for (name, words) in [
        ("dead letters", "raise maxReceiveCount to 4 (fetch_attempts_max) or more"),
        ("dead letters' retention", "14 days, the queue's is 14 days; make it the longer one"),
        ("queue's visibility", "the queue's own is 10s; raise it above 30s"),
        ("visibility", "a receive hides a message for 9s, extended every 3s; raise [source] visibility"),
    ] {
        let (level, found) = line(&text, name);
        assert!(level == "warning" && found.contains(words), "{name}: {text}");
    }

    world.cloud.set(MessageRetentionPeriod, &DAY.to_string()).await;
    let text = world.must(&["check"]);
    assert!(line(&text, "retention").1.contains("1 days; raise it to 7 days"), "{text}");
    assert_eq!(line(&text, "dead letters' retention").0, "ok", "{text}");
}

#[tokio::test]
async fn queue_of_another_kind_is_named() {
    let mut world = World::new("check-fifo", Kind::Sqlite, &corpus()).await;
    let url = world.cloud.queue("check.fifo", &[(FifoQueue, "true")]).await;
    world.set("XC2__SOURCE__URL", &url);
    // Nobody may send to it either, which is a failure.
    let text = String::from_utf8(world.command(&["check"]).stdout).unwrap();
    let (level, words) = line(&text, "queue type");
    assert!(level == "warning" && words.contains("use a standard queue"), "{text}");
    // It costs time and not exactness: `run` warns, and goes on.
    let mut daemon = world.daemon();
    world.until(&mut daemon, "the warning", async || world.log_says("a FIFO queue")).await;
    world.until(&mut daemon, "the start", async || world.log_says("metadata read")).await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn setting_of_the_server_that_weakens_the_promise_is_named() {
    let lazy = "--innodb-flush-log-at-trx-commit=2 --skip-innodb-doublewrite --log-bin --server-id=1 --sync-binlog=0 --sql-mode=";
    let server = MariaDb::start_with(lazy);
    let world = World::with_server("check-server", &server, &corpus()).await;
    let text = world.must(&["check"]);
    for (name, words) in [
        ("durable commits", "innodb_flush_log_at_trx_commit = 2; set it to 1, here"),
        ("durable binary log", "sync_binlog = 0; set it to 1, here"),
        ("whole pages", "innodb_doublewrite = OFF; set it to ON"),
        ("strict server", "sql_mode of the server is empty; add STRICT_TRANS_TABLES, here"),
    ] {
        let (level, found) = line(&text, name);
        assert!(level == "warning" && found.contains(words), "{name}: {text}");
    }
    for name in ["strict mode", "isolation", "schema", "metadata", "privileges"] {
        assert_eq!(line(&text, name).0, "ok", "{text}");
    }

    // Its rows stay when the transaction is rolled back.
    for (table, engine) in [("report_media", "MyISAM"), ("processed_object_day", "Aria")] {
        world.database.execute(&format!("ALTER TABLE {table} ENGINE={engine}")).await;
        let output = world.command(&["check"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let (level, words) = line(&text, "schema");
        assert_eq!((output.status.code(), level), (Some(1), "FAILURE"), "{text}");
        assert!(words.contains(&format!("table {table} is {engine} instead of an InnoDB table")), "{text}");
        world.database.execute(&format!("ALTER TABLE {table} ENGINE=InnoDB")).await;
    }
    let server_of_tests = World::new("check-good-server", Kind::MariaDb, &corpus()).await;
    let text = server_of_tests.must(&["check"]);
    for name in
        ["durable commits", "whole pages", "strict server", "strict mode", "isolation", "writable", "privileges"]
    {
        assert_eq!(line(&text, name).0, "ok", "{text}");
    }
}
