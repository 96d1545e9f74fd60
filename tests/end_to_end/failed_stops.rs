//! What a retry could not do, or did not come to, is still listed.

use std::process::Command;

use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::http_proxy::{Call, Fault, HttpProxy};
use crate::wire::Gate;
use crate::world::{Kind, World};

#[tokio::test]
async fn retry_that_is_asked_to_stop_says_what_it_did_not_come_to() {
    let corpus = Corpus::make(&["--seed", "82", "--files", "6", "--rows", "40", "--no-broken"]);
    let mut world = World::new("failed-stop", Kind::MariaDb, &corpus).await;
    world.set("XC2__RUN__SHUTDOWN_GRACE", "1500ms");
    // None of them is there yet.
    let keys: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    world.cloud.send(&s3_event(&world.cloud.bucket, &keys)).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.cloud.renew_queue("failed-stop-by-hand").await;
    world.set("XC2__SOURCE__URL", &world.cloud.queue_url.clone());
    world.upload(&corpus).await;

    let (proxy, gate) = (HttpProxy::start(), Gate::new());
    let held = gate.clone();
    proxy.script(move |request| (request.call == Call::GetObject).then(|| Fault::Hold(held.clone())));
    world.set("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    let retry = world.started(&["failed", "retry", "--all", "--format", "csv"]);
    gate.reached().await;
    assert!(Command::new("kill").arg("-TERM").arg(retry.id().to_string()).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(|| retry.wait_with_output().unwrap()).await.unwrap();
    let (told, said) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert_eq!(told.matches(",not tried,").count(), corpus.objects.len(), "{told}");
    assert!(said.contains("what was not tried is still listed"), "{said}");
    assert_eq!(world.database.number("SELECT COUNT(*) FROM failed_object WHERE state = 'open'").await, 6);

    proxy.script(|_| None);
    world.must(&["failed", "retry", "--kind", "missing"]);
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
}

#[tokio::test]
async fn message_that_can_not_be_read_stays_listed() {
    let corpus = Corpus::make(&["--seed", "83", "--files", "2", "--rows", "20", "--no-broken"]);
    let world = World::new("failed-message", Kind::MariaDb, &corpus).await;
    world.cloud.send("no notification \u{7f} of S3").await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    let key = world.database.rows("SELECT object_key FROM failed_object").await.remove(0).remove(0);
    assert_eq!(world.command(&["failed", "retry", &key]).status.code(), Some(1));
    let rows = world.database.rows("SELECT object_key, attempts, state, resolved_by FROM failed_object").await;
    assert_eq!(rows, [[key.as_str(), "2", "open", "NULL"]]);
    let shown = world.must(&["failed", "show", &key]);
    assert!(shown.contains("  no notification \\u{7f} of S3\n"), "{shown}");
}
