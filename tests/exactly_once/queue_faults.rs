//! The queue redelivers, forgets, throttles and replays.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::announcements::{FORMS, Form, announcements};
use crate::books::Books;
use crate::cloud::Cloud;
use crate::corpus::Corpus;
use crate::daemon::Daemon;
use crate::mariadb::MariaDb;
use crate::sqs_proxy::{Call, Fault, Proxy};
use crate::world::{Kind, World};

fn corpus(seed: &str, files: &str) -> Corpus {
    Corpus::make(&["--seed", seed, "--files", files, "--rows", "30", "--no-broken", "--fingerprint"])
}

/// Everything uploaded and announced, and faults between the queue and the daemons.
async fn world(name: &str, corpus: &Corpus) -> (World, Proxy) {
    let mut world = World::new(name, Kind::MariaDb, corpus).await;
    let proxy = Proxy::start();
    world.set("AWS_ENDPOINT_URL_SQS", &proxy.endpoint);
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "4");
    world.upload(corpus).await;
    (world, proxy)
}

/// Nothing is left in the queue, every daemon ends in order, and the books are as computed.
async fn drained(world: &World, mut daemons: Vec<Daemon>, corpus: &Corpus) {
    world.until_queue_is_empty(&mut daemons[0]).await;
    for daemon in daemons {
        assert_eq!(daemon.stop().await.code(), Some(0));
    }
    world.database.assert_equals(corpus).await;
    assert_eq!(world.cloud.queue_depth().await, (0, 0));
    world.must(&["audit"]);
}

fn times_logged(world: &World, words: &str) -> usize {
    std::fs::read_to_string(world.dir.path().join("daemon.log")).unwrap().matches(words).count()
}

const DUPLICATE: &str = "object had been counted before: nothing added";

#[tokio::test]
async fn message_that_every_replica_gets_again_and_again_counts_once() {
    let corpus = corpus("61", "24");
    let (world, proxy) = world("queue-redelivered", &corpus).await;
    proxy.set(Call::Receive, Fault::Redelivered);
    // What is acknowledged is gone, and then it can't be redelivered.
    proxy.set(Call::Acknowledge, Fault::Throttled);
    let mut daemons = vec![world.daemon(), world.daemon(), world.daemon()];
    world.until(&mut daemons[0], "six receipts of each", async || proxy.all_received(corpus.objects.len(), 6)).await;
    proxy.clear(Call::Receive);
    proxy.clear(Call::Acknowledge);
    drained(&world, daemons, &corpus).await;
    assert!(times_logged(&world, DUPLICATE) > corpus.objects.len(), "the ledger was put to the test");
}

#[tokio::test]
async fn object_that_is_announced_in_every_form_counts_once() {
    let corpus = corpus("62", "20");
    let (world, _proxy) = world("queue-forms", &corpus).await;
    let keys: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    // Alone, with others, and twice in one message.
    for form in FORMS {
        for body in keys.iter().flat_map(|key| announcements(form, &world.cloud.bucket, &[key])) {
            world.cloud.send(&body).await;
        }
        for body in announcements(form, &world.cloud.bucket, &[keys[5], keys[1], keys[5]]) {
            world.cloud.send(&body).await;
        }
    }
    drained(&world, vec![world.daemon(), world.daemon()], &corpus).await;
}

/// Holds a table until it is dropped: whoever writes to it waits.
async fn hold(world: &World, table: &str) -> mysql_async::Conn {
    let mut holder = mysql_async::Conn::from_url(world.database.url()).await.unwrap();
    holder.query_drop(format!("LOCK TABLES {table} WRITE")).await.unwrap();
    holder
}

/// Two replicas that can't keep anything hidden wait for `table` until every message has come to them three times.
async fn visibility_ends_while_the_commit_waits_for(table: &str, name: &str, seed: &str) {
    let corpus = corpus(seed, "12");
    let (mut world, proxy) = world(name, &corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "3s");
    // Room for what comes again while nothing gets on.
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "100");
    proxy.set(Call::Extend, Fault::Throttled);
    let holder = hold(&world, table).await;
    let mut daemons = vec![world.daemon(), world.daemon()];
    world.until(&mut daemons[0], "three receipts of each", async || proxy.all_received(12, 3)).await;
    holder.disconnect().await.unwrap();
    drained(&world, daemons, &corpus).await;
    assert!(times_logged(&world, DUPLICATE) > 0, "the ledger was put to the test");
}

#[tokio::test]
async fn visibility_that_ends_before_the_commit_counts_nothing_twice() {
    // The first statement waits.
    visibility_ends_while_the_commit_waits_for("processed_object", "queue-before", "63").await;
}

#[tokio::test]
async fn visibility_that_ends_during_the_commit_counts_nothing_twice() {
    // The last statement waits: the ledger's rows and the sums are written and not committed.
    visibility_ends_while_the_commit_waits_for("report_day", "queue-during", "64").await;
}

#[tokio::test]
async fn visibility_that_ends_after_the_commit_counts_nothing_twice() {
    let corpus = corpus("65", "12");
    let (mut world, proxy) = world("queue-after", &corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "3s");
    proxy.set(Call::Extend, Fault::Throttled);
    proxy.set(Call::Acknowledge, Fault::Throttled);
    let mut daemons = vec![world.daemon(), world.daemon()];
    world.until(&mut daemons[0], "the commits", async || world.terminal().await == 12).await;
    world.until(&mut daemons[0], "three receipts of each", async || proxy.all_received(12, 3)).await;
    proxy.clear(Call::Acknowledge);
    drained(&world, daemons, &corpus).await;
    assert!(times_logged(&world, DUPLICATE) > 0, "the ledger was put to the test");
}

#[tokio::test]
async fn heartbeats_that_are_throttled_for_a_while_go_on_afterwards() {
    let corpus = corpus("66", "8");
    let (mut world, proxy) = world("queue-heartbeats", &corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "6s");
    let holder = hold(&world, "report_day").await;
    proxy.set(Call::Extend, Fault::Throttled);
    let mut daemon = world.daemon();
    // The first attempt comes after a third of the visibility, and it and the next one fail.
    let throttled = async || proxy.count(Call::Extend, Fault::Throttled) >= 2;
    world.until(&mut daemon, "throttled heartbeats", throttled).await;
    proxy.set(Call::Extend, Fault::EntriesFail { one_in: 2 });
    let failed = async || proxy.count(Call::Extend, Fault::EntriesFail { one_in: 2 }) >= 4;
    world.until(&mut daemon, "entries that fail", failed).await;
    proxy.clear(Call::Extend);
    world.until(&mut daemon, "heartbeats", async || world.log_says("visibility is extended again")).await;
    holder.disconnect().await.unwrap();
    drained(&world, vec![daemon], &corpus).await;
    assert_eq!(times_logged(&world, "visibility not extended, trying again"), 1, "told once for all failures in a row");
    assert!(proxy.messages().iter().all(|message| message.times == 1), "nothing was let go of meanwhile");
}

#[tokio::test]
async fn deletions_that_fail_entry_by_entry_are_done_again() {
    let corpus = corpus("67", "24");
    let (world, proxy) = world("queue-entries", &corpus).await;
    proxy.set(Call::Acknowledge, Fault::EntriesFail { one_in: 2 });
    drained(&world, vec![world.daemon()], &corpus).await;
    assert!(proxy.count(Call::Acknowledge, Fault::EntriesFail { one_in: 2 }) >= 12);
    assert!(proxy.messages().iter().all(|message| message.times == 1), "no message had to come again");
}

#[tokio::test]
async fn deletions_that_go_on_failing_stop_no_other_work_and_come_again() {
    let corpus = corpus("68", "24");
    let (mut world, proxy) = world("queue-undeleted", &corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "3s");
    proxy.set(Call::Acknowledge, Fault::EntriesFail { one_in: 1 });
    let mut daemon = world.daemon();
    world.until(&mut daemon, "all commits", async || world.terminal().await == 24).await;
    world.until(&mut daemon, "a deletion given up", async || world.log_says("not acknowledged: these messages")).await;
    proxy.clear(Call::Acknowledge);
    drained(&world, vec![daemon], &corpus).await;
    assert!(proxy.messages().iter().any(|message| message.times > 1), "what was not deleted came again");
    assert!(times_logged(&world, DUPLICATE) > 0);
}

#[tokio::test]
async fn answers_that_are_lost_change_nothing() {
    let corpus = corpus("69", "12");
    let (mut world, proxy) = world("queue-answers", &corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "3s");
    // Received by nobody, and hidden all the same.
    proxy.set(Call::Receive, Fault::AnswerLost);
    let mut daemon = world.daemon();
    let lost = async || proxy.count(Call::Receive, Fault::AnswerLost) >= 2;
    world.until(&mut daemon, "lost receipts", lost).await;
    proxy.set(Call::Acknowledge, Fault::AnswerLost);
    proxy.clear(Call::Receive);
    let lost = async || proxy.count(Call::Acknowledge, Fault::AnswerLost) >= 2;
    world.until(&mut daemon, "lost acknowledgements", lost).await;
    proxy.clear(Call::Acknowledge);
    drained(&world, vec![daemon], &corpus).await;
}

#[tokio::test]
async fn outdated_receipts_delete_nothing_and_the_message_that_comes_again_counts_nothing() {
    let corpus = corpus("70", "12");
    let (mut world, proxy) = world("queue-outdated", &corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "3s");
    proxy.set(Call::Receive, Fault::Outdated);
    let holder = hold(&world, "report_day").await;
    let mut daemon = world.daemon();
    // An extension is refused for good, so it is not asked for again; the work itself goes on.
    world.until(&mut daemon, "a refusal", async || world.log_says("delivery is no longer hidden")).await;
    holder.disconnect().await.unwrap();
    world.until(&mut daemon, "all commits", async || world.terminal().await == 12).await;
    proxy.clear(Call::Receive);
    drained(&world, vec![daemon], &corpus).await;
    assert!(proxy.messages().iter().all(|message| message.times > 1), "an outdated receipt deletes nothing");
}

#[tokio::test]
async fn replay_of_everything_by_a_fresh_process_changes_no_byte() {
    // Broken objects take the most time.
    let broken = if crate::is_full() { "--fingerprint" } else { "--no-broken" };
    let corpus = Corpus::make(&["--seed", "71", "--files", "24", "--rows", "30", "--fingerprint", broken]);
    let (mut world, _proxy) = world("queue-replay", &corpus).await;
    drained(&world, vec![world.daemon()], &corpus).await;
    let books = Books::read(&world.database).await;
    let rows_before = world.database.rows("SELECT object_key, batch_id, committed_at FROM processed_object").await;

    let keys: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    for (at, keys) in keys.chunks(3).enumerate() {
        for body in announcements(FORMS[at % FORMS.len()], &world.cloud.bucket, keys) {
            world.cloud.send(&body).await;
        }
    }
    drained(&world, vec![world.daemon()], &corpus).await;
    Books::read(&world.database).await.assert_same(&books, "after the replay from the queue");

    world.set("XC2__SOURCE__URL", &format!("s3://{}/", world.cloud.bucket));
    world.must(&["run"]);
    Books::read(&world.database).await.assert_same(&books, "after the listing of the bucket");
    let rows_after = world.database.rows("SELECT object_key, batch_id, committed_at FROM processed_object").await;
    assert_eq!(rows_after, rows_before, "the ledger still says when each object was first counted");
    world.must(&["audit"]);
}

/// A consumer without heartbeats that fails on every message.
async fn receive_and_fail(cloud: &Cloud, queue_url: &str, visibility_seconds: i32) {
    let receive = cloud.sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
    receive.visibility_timeout(visibility_seconds).send().await.unwrap();
}

/// Gives the queue a dead-letter queue, for messages that were received three times in vain; its URL.
async fn add_dead_letter_queue(cloud: &Cloud, queue_url: &str) -> String {
    let name = format!("{}-dead", queue_url.rsplit('/').next().unwrap());
    let dead_url = cloud.sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap();
    let arn = cloud.attribute_of(&dead_url, QueueAttributeName::QueueArn).await;
    let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": "3"}).to_string();
    let set = cloud.sqs.set_queue_attributes().queue_url(queue_url);
    set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap();
    dead_url
}

/// A consumer that always fails takes turns with the end of its visibility until all its messages are dead letters.
async fn until_all_are_dead(cloud: &Cloud, queue_url: &str, dead_url: &str, messages: u64, visibility_seconds: i32) {
    let died = async {
        while cloud.depth_of(dead_url).await.0 < messages {
            receive_and_fail(cloud, queue_url, visibility_seconds).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), died).await.expect("the emulator dead-letters");
}

/// As the console's redrive does it: from the dead-letter queue back to where they came from.
async fn redrive(cloud: &Cloud, dead_url: &str) {
    loop {
        let receive = cloud.sqs.receive_message().queue_url(dead_url).max_number_of_messages(10);
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return;
        }
        for message in messages {
            cloud.send(message.body.as_deref().unwrap()).await;
            let delete = cloud.sqs.delete_message().queue_url(dead_url);
            delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
        }
    }
}

#[tokio::test]
async fn outage_that_would_dead_letter_everything_burns_no_attempts() {
    let corpus = corpus("72", "24");
    let server = MariaDb::start();
    let mut world = World::with_server("queue-outage", &server, &corpus).await;
    world.set("XC2__SOURCE__VISIBILITY", "3s");
    world.set("XC2__SOURCE__DELIVERIES_MAX", "10");
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "2");
    let dead_url = add_dead_letter_queue(&world.cloud, &world.cloud.queue_url).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "some objects", async || world.terminal().await >= 2).await;
    server.kill();
    world.until(&mut daemon, "the outage", async || world.log_says("polling stops")).await;

    // The outage lasts until a consumer of the usual kind has lost its message: three receipts with our own
    // visibility.
    let naive =
        world.cloud.sqs.create_queue().queue_name("queue-outage-naive").send().await.unwrap().queue_url.unwrap();
    let naive_dead_url = add_dead_letter_queue(&world.cloud, &naive).await;
    world.cloud.sqs.send_message().queue_url(&naive).message_body("{}").send().await.unwrap();
    until_all_are_dead(&world.cloud, &naive, &naive_dead_url, 1, 3).await;

    server.restart();
    drained(&world, vec![daemon], &corpus).await;
    assert_eq!(world.cloud.depth_of(&dead_url).await, (0, 0));
    assert_eq!(world.database.number("SELECT COUNT(*) FROM failed_object").await, 0, "an outage is not poison");
}

#[tokio::test]
async fn redriven_dead_letters_count_once_and_poison_never_becomes_one() {
    let corpus = corpus("73", "18");
    let (world, _proxy) = world("queue-redrive", &corpus).await;
    let dead_url = add_dead_letter_queue(&world.cloud, &world.cloud.queue_url).await;
    until_all_are_dead(&world.cloud, &world.cloud.queue_url, &dead_url, 18, 1).await;
    assert_eq!(world.cloud.queue_depth().await, (0, 0));
    // A third of them had been counted all the same, before their consumer failed.
    let keys: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    world.cloud.send(&announcements(Form::S3, &world.cloud.bucket, &keys[..6])[0]).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert_eq!(world.terminal().await, 6);

    redrive(&world.cloud, &dead_url).await;
    for number in 0..3 {
        world.cloud.send(&format!("poison {number}")).await;
    }
    world.until_queue_is_empty(&mut daemon).await;
    let poison = world.database.rows("SELECT kind, COUNT(*) FROM failed_object GROUP BY kind").await;
    assert_eq!(poison, [["notification", "3"]]);
    assert_eq!(world.cloud.depth_of(&dead_url).await, (0, 0), "listed and acknowledged, not left to the queue");
    drained(&world, vec![daemon], &corpus).await;
    assert_eq!(times_logged(&world, DUPLICATE), 6);
}

#[tokio::test]
async fn poison_at_the_head_of_the_line_does_not_hold_up_the_line() {
    let corpus = corpus("74", "12");
    let mut world = World::new("queue-head", Kind::MariaDb, &corpus).await;
    // One delivery at a time: whatever is not done with blocks everything behind it.
    world.set("XC2__SOURCE__DELIVERIES_MAX", "1");
    world.set("XC2__SOURCE__BATCH_WAIT", "10ms");
    let first = corpus.objects.keys().next().unwrap();
    let half_readable =
        announcements(Form::S3, &world.cloud.bucket, &[first, "x"])[0].replace("\"key\":\"x\"", "\"key\":\"%zz\"");
    let deep = "[".repeat(100_000);
    for poison in
        ["", "\u{0}", "{\"Records\": 5}", "[[[[", deep.as_str(), "{\"Records\": [{}]}", half_readable.as_str()]
    {
        // The queue takes no empty body.
        world.cloud.send(if poison.is_empty() { " " } else { poison }).await;
    }
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    let poison = world.database.rows("SELECT kind, COUNT(*) FROM failed_object GROUP BY kind").await;
    assert_eq!(poison, [["notification", "7"]]);
    drained(&world, vec![daemon], &corpus).await;
}

#[tokio::test]
async fn stop_while_every_channel_is_full_ends_when_its_grace_is_over() {
    let corpus = corpus("75", "24");
    let (mut world, proxy) = world("queue-full", &corpus).await;
    world.set("XC2__RUN__SHUTDOWN_GRACE", "3s");
    world.set("XC2__RUN__WORKERS", "1");
    world.set("XC2__SOURCE__BATCH_SIZE", "1");
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "1");
    let holder = hold(&world, "report_day").await;
    let mut daemon = world.daemon();
    // The writer waits for the lock, the worker for the writer, the batcher for the worker, the poller for the batcher.
    world.until(&mut daemon, "a whole receive", async || proxy.all_received(8, 1)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended(Duration::from_secs(15)).await.code(), Some(0));
    assert_eq!(world.cloud.queue_depth().await, (24, 0), "everything is returned to the queue");
    holder.disconnect().await.unwrap();
    drained(&world, vec![world.daemon()], &corpus).await;
}
