use std::time::Duration;

use super::{objects_by_date, objects_told, world};
use crate::corpus::Corpus;
use crate::receiver::{Answer, Receiver};
use crate::world::Kind;

#[tokio::test]
async fn notice_on_its_way_when_the_process_is_killed_comes_again_under_its_id() {
    let receiver = Receiver::start(Answer::Never);
    let corpus = Corpus::make(&["--seed", "64", "--files", "3", "--rows", "20", "--no-broken"]);
    let world = world("notices-killed", Kind::MariaDb, &corpus, &receiver).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "the first message", async || !receiver.requests().is_empty()).await;
    daemon.kill();
    let cut_off = receiver.requests()[0].id.clone();
    receiver.answer(Answer::Ok);
    let heard = receiver.requests().len();
    let mut daemon = world.daemon();
    let again = async || receiver.requests()[heard..].iter().any(|request| request.id == cut_off);
    world.until(&mut daemon, "the same message", again).await;
    let delivered = format!("SELECT COUNT(*) FROM notice WHERE notice_id = '{cut_off}' AND state = 'delivered'");
    world.until(&mut daemon, "the record of it", async || world.database.number(&delivered).await == 1).await;
    let bodies: Vec<_> = receiver.requests().iter().filter(|r| r.id == cut_off).map(|r| r.body.clone()).collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "every attempt sends the same");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn notice_that_was_written_and_never_sent_survives_a_kill() {
    // A port that nobody listens on.
    let (closed, receiver) = ("http://127.0.0.1:1/", Receiver::start(Answer::Ok));
    let corpus = Corpus::make(&["--seed", "65", "--files", "3", "--rows", "20"]);
    let mut world = world("notices-unsent", Kind::MariaDb, &corpus, &receiver).await;
    world.set("XC2__NOTICE__WEBHOOK", closed);
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    let failing = "SELECT COUNT(*) FROM notice WHERE attempts > 0 AND last_error IS NOT NULL";
    world.until(&mut daemon, "a failed attempt", async || world.database.number(failing).await > 0).await;
    world.until_queue_is_empty(&mut daemon).await;
    daemon.kill();
    let written = world.database.rows("SELECT notice_id FROM notice").await;
    assert!(!written.is_empty());
    world.set("XC2__NOTICE__WEBHOOK", &receiver.url());
    let mut daemon = world.daemon();
    let arrived = async || {
        let heard: Vec<String> = receiver.requests().iter().map(|request| request.id.clone()).collect();
        written.iter().all(|row| heard.contains(&row[0]))
    };
    world.until(&mut daemon, "everything that was written", arrived).await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn errors_of_the_receiver_are_waited_out_as_it_asks() {
    let receiver = Receiver::start(Answer::Status(503));
    let corpus = Corpus::make(&["--seed", "66", "--files", "2", "--rows", "20", "--no-broken"]);
    let world = world("notices-errors", Kind::Sqlite, &corpus, &receiver).await;
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "a 503", async || !receiver.requests().is_empty()).await;
    receiver.answer(Answer::TooMany(9));
    let heard = receiver.requests().len();
    world.until(&mut daemon, "a 429", async || receiver.requests().len() > heard).await;
    receiver.answer(Answer::Ok);
    let told_off = receiver.requests().len();
    let expected = objects_by_date(&corpus);
    world.until(&mut daemon, "all days", async || objects_told(&receiver.notices()[told_off..]) == expected).await;
    let requests = receiver.requests();
    let waited = requests[told_off].at - requests[told_off - 1].at;
    assert!(waited >= Duration::from_secs(9), "asked again after {waited:?}");
    assert!(world.log_says("HTTP 503: no_service") && world.log_says("HTTP 429: rate_limited"));
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn receiver_that_hangs_keeps_nothing_from_being_counted() {
    let receiver = Receiver::start(Answer::Never);
    let corpus = Corpus::make(&["--seed", "67", "--files", "12", "--rows", "20"]);
    let world = world("notices-hanging", Kind::MariaDb, &corpus, &receiver).await;
    let mut daemon = world.daemon();
    world.upload(&corpus).await;
    world.until(&mut daemon, "a message that hangs", async || !receiver.requests().is_empty()).await;
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success(), "nor from ending");
    world.database.assert_equals(&corpus).await;
    let open = world.database.number("SELECT COUNT(*) FROM notice WHERE state = 'open'").await;
    assert!(open > 0, "nothing of it is lost");
}

#[tokio::test]
async fn webhook_that_was_withdrawn_is_a_thing_to_be_told_of_and_keeps_its_notices() {
    let (receiver, kent) = (Receiver::start(Answer::Status(404)), crate::kent::Kent::start());
    let corpus = Corpus::make(&["--seed", "68", "--files", "2", "--rows", "20", "--no-broken"]);
    let mut world = world("notices-withdrawn", Kind::MariaDb, &corpus, &receiver).await;
    world.set("XC2__TELEMETRY__SENTRY_DSN", &kent.dsn());
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until(&mut daemon, "the error", async || world.log_says("the receiver refuses notices")).await;
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let listed = world.must(&["notices", "list", "--state", "open", "--format", "csv"]);
    assert!(listed.contains("day-2024-06-") && listed.contains("webhook: HTTP 404: no_service"), "{listed}");
    let events = kent.events();
    let alerts = events.iter().filter(|event| event["tags"]["kind"] == "notices refused by the webhook").count();
    assert!(alerts > 0, "{events:#?}");
    assert!(!world.log_says("secret-of-the-webhook"), "the URL is in the log");
}

#[tokio::test]
async fn setup_can_be_tried_by_hand() {
    let receiver = Receiver::start(Answer::Ok);
    let corpus = Corpus::make(&["--seed", "69", "--files", "1", "--rows", "5", "--no-broken"]);
    let mut world = world("notices-setup", Kind::Sqlite, &corpus, &receiver).await;
    assert_eq!(world.must(&["notices", "send", "--test"]), "webhook: arrived (HTTP 200: ok)\n");
    let request = receiver.requests().remove(0);
    assert!(request.id.starts_with("test-"), "{}", request.id);
    assert_eq!(request.content_type, "application/json; charset=utf-8");
    assert!(request.body["text"].as_str().unwrap().contains("Test notice of xc2-analyzer"));
    world.set("XC2__NOTICE__LANGUAGE", "ko");
    world.must(&["notices", "send", "--test"]);
    assert!(receiver.requests()[1].body["text"].as_str().unwrap().contains("시험 알림"));

    receiver.answer(Answer::Status(403));
    let refused = world.command(&["notices", "send", "--test"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stdout);
    assert_eq!(said, "webhook: did not arrive: HTTP 403: no_service\n");

    world.set("XC2__NOTICE__WEBHOOK", "");
    let nowhere = world.command(&["notices", "send", "--test"]);
    assert_eq!(nowhere.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("names no webhook and no topic"));
    let listed = world.command(&["notices", "list"]);
    assert!(listed.status.success());
    assert!(String::from_utf8_lossy(&listed.stderr).contains("no notices; [notice] names no webhook"));
}
