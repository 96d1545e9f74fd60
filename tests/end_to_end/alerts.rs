//! Alerts as a Sentry server receives them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::corpus::Corpus;
use crate::world::{Kind, World};

/// Accepts what a Sentry client posts and keeps the events.
fn sentry() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dsn = format!("http://public@127.0.0.1:{}/1", listener.local_addr().unwrap().port());
    let events = Arc::<Mutex<Vec<Value>>>::default();
    let kept = events.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let kept = kept.clone();
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(body) = read_request(&mut reader) {
                    // An envelope is lines: headers, then for each item a header and a payload.
                    let lines = body.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                    kept.lock().unwrap().extend(lines.filter(|line| line.get("fingerprint").is_some()));
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
                }
            });
        }
    });
    (dsn, events)
}

fn read_request(reader: &mut impl BufRead) -> Option<String> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn failures_are_sent_grouped_by_kind_with_their_object() {
    let corpus = Corpus::make(&["--seed", "41", "--rows", "30", "--files", "4"]);
    let mut world = World::new("alerts", Kind::MariaDb, &corpus).await;
    let (dsn, events) = sentry();
    world.set("XC2__TELEMETRY__SENTRY_DSN", &dsn);
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());

    let events = events.lock().unwrap();
    for (key, failed) in corpus.failed() {
        let of_key = |event: &&Value| event["contexts"]["object"]["key"] == **key;
        let event = events.iter().find(of_key).unwrap_or_else(|| panic!("no alert for {key}"));
        let kind = event["fingerprint"][1].as_str().unwrap();
        assert!(failed["kinds"].as_array().unwrap().contains(&Value::from(kind)), "{key}: {kind}");
        assert_eq!(event["tags"]["kind"], kind);
    }
    assert_eq!(events.len(), corpus.failed().len(), "one alert a failure");
}
