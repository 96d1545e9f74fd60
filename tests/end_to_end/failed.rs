//! `failed`: what was set aside is looked at, repaired and counted, or discarded, and the reports stay right.

use std::process::Output;

use serde_json::Value;

use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::world::{Kind, World};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output as JSON, whatever the exit code.
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", text(&output.stdout), text(&output.stderr)))
}

/// The outcome of each object by its name, as `retry` tells it.
fn outcomes(output: &Output) -> Vec<(String, String)> {
    let field = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let mut outcomes: Vec<_> =
        json(output).as_array().unwrap().iter().map(|row| (field(row, "object"), field(row, "outcome"))).collect();
    outcomes.sort();
    outcomes
}

/// A corpus of honest objects, all but the first `broken` uploaded as they are, and those cut in half; counted by a daemon.
async fn with_cut_objects(name: &str, kind: Kind, corpus: &Corpus, broken: usize) -> (World, Vec<String>) {
    let mut world = World::new(name, kind, corpus).await;
    // Announced by hand, so that a repaired object is announced by nobody.
    world.cloud.renew_queue(&format!("{name}-by-hand")).await;
    world.set("XC2__SOURCE__URL", &world.cloud.queue_url.clone());
    world.set("USER", "kim");
    world.upload(corpus).await;
    // Large ones: half of a small one might be whole.
    let mut keys: Vec<&String> = corpus.objects.keys().collect();
    keys.sort_by_key(|key| std::cmp::Reverse(corpus.objects[*key].len()));
    let cut: Vec<String> = keys.into_iter().take(broken).cloned().collect();
    for key in &cut {
        let body = &corpus.objects[key];
        world.cloud.upload(key, &body[..body.len() / 2]).await;
    }
    let all: Vec<&str> = corpus.objects.keys().map(String::as_str).collect();
    world.cloud.send(&s3_event(&world.cloud.bucket, &all)).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    (world, cut)
}

async fn repaired_object_is_counted_by_a_retry(name: &str, kind: Kind) {
    let corpus = Corpus::make(&["--seed", "71", "--files", "6", "--rows", "60", "--no-broken"]);
    let (world, cut) = with_cut_objects(name, kind, &corpus, 2).await;
    let listed = json(&world.command(&["failed", "list", "--format", "json"]));
    let mut keys: Vec<&str> = listed.as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    let mut expected: Vec<&str> = cut.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(keys, expected);

    let address = format!("s3://{}/{}", world.cloud.bucket, cut[0]);
    let shown = json(&world.command(&["failed", "show", &address, "--format", "json"]))[0].clone();
    assert_eq!((shown["state"].as_str(), shown["attempts"].as_i64()), (Some("open"), Some(1)));
    assert_eq!(shown["now"]["etag"], shown["generation"], "it is still what was listed");
    assert!(shown["message_body"].as_str().unwrap().contains("ObjectCreated:Put"), "{shown}");
    let shown = world.must(&["failed", "show", &address]);
    for words in ["Asia/Seoul (2", " UTC)", "aws s3api head-object --bucket ", "xc2-analyzer inspect ", "failed retry "]
    {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }

    // Nobody has repaired it.
    let retry = world.command(&["failed", "retry", &address, "--format", "json"]);
    assert_eq!((retry.status.code(), outcomes(&retry)), (Some(1), vec![(address.clone(), "failed again".to_owned())]));
    let attempts = "SELECT attempts, state, COUNT(*) FROM failed_object GROUP BY attempts, state ORDER BY attempts";
    assert_eq!(world.database.rows(attempts).await, [["1", "open", "1"], ["2", "open", "1"]]);

    // The producer has: and what would be done is told first, and is not done.
    for key in &cut {
        world.cloud.upload(key, &corpus.objects[key]).await;
    }
    let shown = json(&world.command(&["failed", "show", &address, "--format", "json"]))[0].clone();
    assert_ne!(shown["now"]["etag"], shown["generation"]);
    world.must(&["failed", "retry", "--all", "--dry-run"]);
    assert_eq!(world.database.number("SELECT COUNT(*) FROM failed_object WHERE state = 'open'").await, 2);
    let id = shown["id"].as_str().unwrap();
    assert!(world.must(&["failed", "retry", &id[..16]]).contains("resolved"));
    world.must(&["failed", "retry", "--prefix", &format!("s3://{}/", world.cloud.bucket), "--by", "lee"]);
    world.database.assert_equals(&corpus).await;
    let by = "SELECT state, resolved_by FROM failed_object ORDER BY resolved_by";
    let expected = [["resolved", "kim (failed retry)"], ["resolved", "lee (failed retry)"]];
    assert_eq!(world.database.rows(by).await, expected);
    world.must(&["audit"]);

    let again = world.command(&["failed", "retry", &address]);
    assert!(again.status.code() == Some(1) && text(&again.stderr).contains("resolved by kim"), "{again:?}");
    // Its own event comes late.
    world.cloud.send(&s3_event(&world.cloud.bucket, &[&cut[0]])).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
}

#[tokio::test]
async fn repaired_object_is_counted_by_a_retry_into_mariadb() {
    repaired_object_is_counted_by_a_retry("failed-mariadb", Kind::MariaDb).await;
}

#[tokio::test]
async fn repaired_object_is_counted_by_a_retry_into_sqlite() {
    repaired_object_is_counted_by_a_retry("failed-sqlite", Kind::Sqlite).await;
}

#[tokio::test]
async fn everything_that_failed_is_retried_next_to_a_daemon_and_each_kind_as_it_must_be() {
    let corpus = Corpus::make(&[
        "--seed",
        "72",
        "--files",
        "30",
        "--rows",
        "60",
        "--fingerprint",
        "--broken",
        "gzip cut in the middle",
        "--broken",
        "runs a command",
        "--broken",
        "too many rejects",
    ]);
    let mut world = World::new("failed-mix", Kind::MariaDb, &corpus).await;
    world.cloud.renew_queue("failed-mix-by-hand").await;
    world.set("XC2__SOURCE__URL", &world.cloud.queue_url.clone());
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "2");
    world.upload(&corpus).await;
    let bucket = world.cloud.bucket.clone();
    let honest: Vec<String> = corpus.counted().keys().cloned().collect();
    let (cut, others) = honest.split_at(8);
    for key in cut {
        world.cloud.upload(key, b"\x80\x02").await;
    }
    let mut daemon = world.daemon();
    for key in cut.iter().chain(corpus.failed().keys()).chain(&others[..1]) {
        world.cloud.send(&s3_event(&bucket, &[key])).await;
    }
    world.cloud.send(&s3_event(&bucket, &["never there.pkl.gz"])).await;
    world.cloud.send("no notification of S3").await;
    world.until_queue_is_empty(&mut daemon).await;
    // Counted, then overwritten, then restored: the second content was announced in between.
    let first = &corpus.objects[&others[0]];
    world.cloud.upload(&others[0], &corpus.objects[&others[1]]).await;
    world.cloud.send(&s3_event(&bucket, &[&others[0]])).await;
    world.until_queue_is_empty(&mut daemon).await;
    world.cloud.upload(&others[0], first).await;
    // One message that this program can read, as if the one before it could not.
    let readable = s3_event(&bucket, &[&others[1]]);
    world
        .database
        .execute(&format!("UPDATE failed_object SET message_body = '{readable}' WHERE kind = 'notification'"))
        .await;

    for key in cut {
        world.cloud.upload(key, &corpus.objects[key]).await;
    }
    // The daemon counts the rest meanwhile, and some of what is retried as well.
    for keys in others[1..].chunks(3).chain(cut.chunks(2)) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        world.cloud.send(&s3_event(&bucket, &keys)).await;
    }
    let retry = world.command(&["failed", "retry", "--all", "--format", "json"]);
    assert_eq!(retry.status.code(), Some(1), "{}", text(&retry.stderr));
    let told = outcomes(&retry);
    let fate = |name: &str| &told.iter().find(|(object, _)| object.contains(name)).expect(name).1;
    for key in cut {
        assert_eq!(fate(key), "resolved");
    }
    for key in corpus.failed().keys() {
        assert_eq!(fate(key), "failed again");
    }
    assert_eq!([fate("never there"), fate("message:"), fate(&others[0])], ["failed again", "resolved", "refused"]);
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());

    let overwritten = world.command(&["failed", "retry", &format!("s3://{bucket}/{}", others[0])]);
    assert_eq!(overwritten.status.code(), Some(1));
    let shown = world.must(&["failed", "show", &format!("s3://{bucket}/{}", others[0])]);
    assert!(shown.contains("in the reports: ETag ") && shown.contains("the first one is there now"), "{shown}");
    let shown = world.must(&["failed", "show", "never there"]);
    assert!(shown.contains("still nothing") && shown.contains("list-object-versions"), "{shown}");
    let ambiguous = world.command(&["failed", "show", "logs/"]);
    assert!(ambiguous.status.code() == Some(1) && text(&ambiguous.stderr).contains("objects are listed whose key"));

    for kind in ["missing", "overwritten"] {
        world.must(&["failed", "discard", "--kind", kind, "--reason", "known", "--by", "kim", "--yes"]);
    }
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
    let list = world.command(&["failed", "list", "--limit", "1"]);
    assert!(text(&list.stderr).contains("only the newest 1 of 3 are shown"), "{}", text(&list.stderr));
}

/// Wherever a retry is killed, nothing is lost and nothing is counted twice: it is begun again.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn retry_that_is_killed_is_begun_again() {
    let corpus = Corpus::make(&["--seed", "73", "--files", "12", "--rows", "60", "--no-broken", "--fingerprint"]);
    let (mut world, cut) = with_cut_objects("failed-kill", Kind::MariaDb, &corpus, 8).await;
    // One of them stays broken, so that a retry lists as well.
    for key in &cut[1..] {
        world.cloud.upload(key, &corpus.objects[key]).await;
    }
    world.set("XC2__STORE__MERGE_OBJECTS_MAX", "1");
    for point in [
        "object.fetch.after",
        "commit.ledger.after",
        "commit.resolve.after",
        "commit.reports.after",
        "commit.send.before",
        "commit.sent",
        "commit.answered",
        "quarantine.insert.after",
        "quarantine.answered",
    ] {
        world.set("FAILPOINTS", &format!("{point}=return(abort)"));
        let killed = world.command(&["failed", "retry", "--all"]);
        assert_eq!(killed.status.code(), None, "{point}: {}", text(&killed.stderr));
        let contradictions = "SELECT COUNT(*) FROM failed_object f JOIN processed_object o USING (object_id) \
                              WHERE f.state = 'open'";
        assert_eq!(world.database.number(contradictions).await, 0, "{point}");
    }
    world.set("FAILPOINTS", "");
    assert_eq!(world.command(&["failed", "retry", "--all"]).status.code(), Some(1), "one is still broken");
    world.cloud.upload(&cut[0], &corpus.objects[&cut[0]]).await;
    world.must(&["failed", "retry", "--all"]);
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
}

#[tokio::test]
async fn discarded_object_stays_out_of_the_reports_until_it_is_reopened() {
    let corpus = Corpus::make(&["--seed", "74", "--files", "3", "--rows", "40", "--broken", "too many rejects"]);
    let mut world = World::new("failed-discard", Kind::MariaDb, &corpus).await;
    world.upload(&corpus).await;
    let key = corpus.failed().keys().next().unwrap().clone();
    let address = format!("s3://{}/{key}", world.cloud.bucket);
    let counted = async |world: &World| {
        let mut daemon = world.daemon();
        world.until_queue_is_empty(&mut daemon).await;
        assert!(daemon.stop().await.success());
        world.database.number("SELECT COUNT(*) FROM processed_object").await
    };
    assert_eq!(counted(&world).await, 3);

    let asked = world.command(&["failed", "discard", &address, "--reason", "a test", "--by", "kim"]);
    assert!(asked.status.code() == Some(1) && text(&asked.stderr).contains("add --yes"), "{asked:?}");
    let nobody = world.command(&["failed", "discard", &address, "--reason", "a test", "--yes"]);
    assert!(nobody.status.code() == Some(1) && text(&nobody.stderr).contains("--by"), "{nobody:?}");
    assert_eq!(world.command(&["failed", "discard", &address, "--yes"]).status.code(), Some(2), "without a reason");
    world.must(&["failed", "discard", &address, "--reason", "a test", "--by", "kim", "--yes"]);
    assert_eq!(json(&world.command(&["failed", "list", "--format", "json"])), Value::Array(Vec::new()));
    let listed = json(&world.command(&["failed", "list", "--state", "discarded", "--format", "json"]));
    assert_eq!((listed[0]["resolved_by"].as_str(), listed[0]["note"].as_str()), (Some("kim"), Some("a test")));
    world.must(&["audit"]);

    // It comes again, to a program that would count it.
    world.set("XC2__LOG__MAX_REJECT_RATIO", "1");
    world.cloud.send(&s3_event(&world.cloud.bucket, &[&key])).await;
    assert_eq!(counted(&world).await, 3);
    assert!(world.log_says("an operator discarded this content: neither counted nor listed anew"));
    assert_eq!(world.database.rows("SELECT state FROM failed_object").await, [["discarded"]]);
    let refused = world.command(&["failed", "retry", &address]);
    assert!(refused.status.code() == Some(1) && text(&refused.stderr).contains("failed reopen"), "{refused:?}");
    world.must(&["audit"]);

    world.must(&["failed", "reopen", &address, "--by", "lee"]);
    world.must(&["failed", "retry", "--kind", "rejects"]);
    assert_eq!(world.database.number("SELECT COUNT(*) FROM processed_object").await, 4);
    let shown = world.must(&["failed", "show", &address]);
    for words in ["resolved 2", "by somebody (failed retry)", "reopened ", "by lee; discarded ", "by kim: a test"] {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }
    world.must(&["audit"]);
}

#[tokio::test]
async fn file_of_a_folder_is_retried() {
    let corpus = Corpus::make(&["--seed", "75", "--files", "4", "--rows", "40", "--no-broken"]);
    let mut world = World::new("failed-folder", Kind::Sqlite, &corpus).await;
    world.set("XC2__SOURCE__URL", corpus.folder().to_str().unwrap());
    let key = corpus.objects.iter().max_by_key(|(_, body)| body.len()).unwrap().0;
    let (path, body) = (corpus.folder().join(key), &corpus.objects[key]);
    std::fs::write(&path, &body[..body.len() / 2]).unwrap();
    world.must(&["run"]);
    std::fs::write(&path, body).unwrap();
    // No credentials of S3 are needed for files.
    world.set("AWS_ENDPOINT_URL", "");
    world.must(&["failed", "retry", path.to_str().unwrap()]);
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
}

#[tokio::test]
async fn listed_version_is_read_again_unless_the_current_one_is_asked_for() {
    let corpus = Corpus::make(&["--seed", "79", "--files", "3", "--rows", "60", "--no-broken"]);
    let mut world = World::new("failed-versions", Kind::MariaDb, &corpus).await;
    world.cloud.keep_versions().await;
    let (key, body) = corpus.objects.iter().max_by_key(|(_, body)| body.len()).unwrap();
    world.cloud.upload(key, &body[..body.len() / 2]).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    // The event of the repaired object is lost.
    world.cloud.renew_queue("failed-versions-by-hand").await;
    world.set("XC2__SOURCE__URL", &world.cloud.queue_url.clone());
    world.upload(&corpus).await;
    let listed = world.database.rows("SELECT version_id FROM failed_object").await;
    assert!(listed.len() == 1 && listed[0][0] != "NULL", "{listed:?}");

    let address = format!("s3://{}/{key}", world.cloud.bucket);
    let retry = world.command(&["failed", "retry", &address]);
    assert!(retry.status.code() == Some(1) && text(&retry.stderr).contains("--current"), "{}", text(&retry.stderr));
    assert_eq!(world.database.rows("SELECT attempts, state FROM failed_object").await, [["2", "open"]]);
    let shown = world.must(&["failed", "show", &address]);
    assert!(shown.contains("--version-id ") && shown.contains("failed retry --current "), "{shown}");
    assert!(world.must(&["failed", "retry", "--current", &address]).contains("with the content that is there now"));
    let rest = corpus.objects.keys().filter(|other| *other != key).map(String::as_str).collect::<Vec<_>>();
    world.cloud.send(&s3_event(&world.cloud.bucket, &rest)).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
}

/// The content that was listed is gone, and what replaced it is broken too, or is counted already.
#[tokio::test]
async fn listing_whose_content_is_gone_tells_what_became_of_the_present_one() {
    let corpus = Corpus::make(&["--seed", "80", "--files", "4", "--rows", "60", "--no-broken"]);
    let (world, cut) = with_cut_objects("failed-gone", Kind::MariaDb, &corpus, 1).await;
    let address = format!("s3://{}/{}", world.cloud.bucket, cut[0]);
    let body = &corpus.objects[&cut[0]];
    world.cloud.upload(&cut[0], &body[..body.len() / 3]).await;
    let retry = world.command(&["failed", "retry", &address, "--format", "json"]);
    let told = json(&retry)[0]["detail"].as_str().unwrap().to_owned();
    assert!(retry.status.code() == Some(1) && told.contains("what is there now is listed itself"), "{told}");
    assert_eq!(world.database.rows("SELECT state FROM failed_object").await, [["open"], ["open"]]);

    world.cloud.upload(&cut[0], body).await;
    world.cloud.send(&s3_event(&world.cloud.bucket, &[&cut[0]])).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
    // As a listing of another time: of a content that nobody could read before the counted one came.
    let unread = "UPDATE failed_object SET state = 'open', kind = 'denied' WHERE attempts > 1";
    world.database.execute(unread).await;
    assert!(world.must(&["failed", "retry", "--kind", "denied"]).contains("replaced by the one that is counted"));
    world.database.assert_equals(&corpus).await;
    world.must(&["audit"]);
}

#[tokio::test]
async fn database_of_version_1_is_refused_until_it_is_migrated() {
    let corpus = Corpus::make(&["--seed", "81", "--files", "2", "--rows", "20", "--broken", "an int"]);
    let mut world = World::new("failed-version-1", Kind::Sqlite, &corpus).await;
    world.set("XC2__SOURCE__URL", corpus.folder().to_str().unwrap());
    world.must(&["run"]);
    for column in ["resolved_by", "note", "copied_to", "copy_problem"] {
        world.database.execute(&format!("ALTER TABLE failed_object DROP COLUMN {column}")).await;
    }
    world.database.execute("UPDATE schema_version SET version = 1").await;
    for command in [&["run"] as &[&str], &["failed", "list"], &["failed", "retry", "--all"]] {
        let refused = world.command(command);
        let told = text(&refused.stderr);
        assert!(refused.status.code() == Some(1) && told.contains("run `xc2-analyzer migrate`"), "{told}");
    }
    world.must(&["migrate"]);
    world.must(&["run"]);
    world.database.assert_equals(&corpus).await;
    assert!(world.must(&["failed", "list"]).contains("an int"));
}
