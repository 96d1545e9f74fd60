//! The process dies at every step of the protocol.
//!
//! Every point of `failpoint::POINTS` x its first hits x {abort, panic, every error the step can meet there}: the real
//! binary runs into it, a clean one is started after it, and then every table, the queue and the books are looked at.

mod cases;
mod lane;

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::FutureExt;
use xc2_analyzer::failpoint::POINTS;

use crate::corpus::Corpus;
use cases::{Action, Provocation};
use lane::{Lane, Outcome};

/// Cases at a time: most of a case is waiting for messages to show again.
const LANES: usize = 4;

fn corpus() -> Corpus {
    let broken = ["--broken", "gzip cut in the middle", "--broken", "imports", "--broken", "unequal columns"];
    let honest = ["--seed", "41", "--files", "8", "--rows", "12", "--fingerprint"];
    Corpus::make(&[honest.as_slice(), broken.as_slice()].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_wherever_it_dies() {
    let mut cases = if crate::is_full() { cases::all() } else { cases::telling() };
    // To repeat what failed: XC2_CRASHES=commit.sent
    let only = std::env::var("XC2_CRASHES").unwrap_or_default();
    cases.retain(|case| case.point.name.contains(&only));
    assert!(!cases.is_empty(), "no point is called {only:?}");
    let (corpus, began, count) = (corpus(), Instant::now(), cases.len());
    let open = Mutex::new(VecDeque::from(cases));
    let failed = Mutex::new(Vec::new());
    println!("{}", Outcome::HEADER);
    let lanes = (0..LANES).map(async |_| {
        let mut lane = Lane::new(&corpus).await;
        loop {
            // The lock ends with the line: nothing is awaited under it.
            let Some(case) = open.lock().unwrap().pop_front() else { break };
            match AssertUnwindSafe(lane.attack(&case)).catch_unwind().await {
                Ok(outcome) => println!("{outcome}"),
                Err(_) => {
                    println!("{case}  FAILED: the panic above says why");
                    failed.lock().unwrap().push(case.to_string().trim_end().to_owned());
                    lane = Lane::new(&corpus).await;
                }
            }
        }
    });
    futures::future::join_all(lanes).await;
    let failed = failed.into_inner().unwrap();
    println!("{count} cases in {} s, {} failed", began.elapsed().as_secs(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Without it a point that is nowhere met would be a row of the table that nothing tests.
#[tokio::test(flavor = "multi_thread")]
async fn every_point_is_met_as_often_as_the_cases_need() {
    let corpus = corpus();
    let mut lane = Lane::new(&corpus).await;
    let mut met = BTreeMap::new();
    for provoked in [Provocation::Nothing, Provocation::SlowDatabase, Provocation::Stop] {
        let points: Vec<&str> =
            POINTS.iter().filter(|point| cases::provoked(point) == provoked).map(|point| point.name).collect();
        met.append(&mut lane.note(&points, provoked).await);
    }
    let mut missing = Vec::new();
    for case in cases::all().iter().filter(|case| case.action == Action::Abort) {
        let times = met.get(case.point.name).copied().unwrap_or(0);
        if times < case.hit {
            missing.push(format!("{}: met {times} times, hit {} is wanted", case.point.name, case.hit));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The table in the document can't go stale.
#[test]
fn document_lists_every_point_as_it_is_attacked() {
    let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/exactly-once.md");
    let document = std::fs::read_to_string(document).unwrap();
    let found: Vec<&str> = document.lines().filter(|line| line.starts_with("| `") && line.contains("abort")).collect();
    let wanted: Vec<String> = POINTS.iter().map(cases::row).collect();
    assert!(found == wanted, "docs/exactly-once.md is to say:\n{}", wanted.join("\n"));
}

/// Asked again and again, since it happens in another process.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(120);
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
