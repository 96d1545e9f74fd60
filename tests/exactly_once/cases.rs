//! Many cases side by side, and a table of what came of each.

use std::pin::Pin;
use std::time::Instant;

use tokio::sync::Semaphore;

/// Most of a case is waiting: for a long poll, a retry, a timeout. Of all groups that run at the same time.
static ROOM: Semaphore = Semaphore::const_new(8);

/// What a case found; that it came this far means that every assertion held.
pub struct Found {
    /// How often the fault really happened.
    pub injected: usize,
    pub outcome: String,
}

pub struct Case {
    pub fault: String,
    pub place: String,
    pub run: Pin<Box<dyn Future<Output = Found> + Send>>,
}

impl Case {
    pub fn new(
        fault: impl Into<String>,
        place: impl Into<String>,
        run: impl Future<Output = Found> + Send + 'static,
    ) -> Case {
        Case { fault: fault.into(), place: place.into(), run: Box::pin(run) }
    }
}

/// Runs all, prints one line each, and fails when one of them did. Each is a task of its own: one that waits for a child
/// process must not keep the others from theirs.
pub async fn run_all(title: &str, cases: Vec<Case>) {
    assert!(!cases.is_empty(), "{title}: no case");
    let run = cases.into_iter().map(|case| async move {
        let _room = ROOM.acquire().await.unwrap();
        let (began, Case { fault, place, run }) = (Instant::now(), case);
        let result = tokio::spawn(run).await;
        let (injected, outcome, verdict) = match &result {
            Ok(found) => (found.injected, found.outcome.as_str(), "exact"),
            Err(_) => (0, "see the panic above", "FAILED"),
        };
        let seconds = began.elapsed().as_secs_f32();
        let line = format!("{fault:<34} {place:<34} {injected:>8} {seconds:>6.1} s  {verdict:<7} {outcome}");
        println!("{title}: {line}");
        (line, result.is_err())
    });
    let mut lines: Vec<(String, bool)> = futures::future::join_all(run).await;
    lines.sort();
    let head = format!("{:<34} {:<34} {:>8} {:>8}  {:<7} outcome", "fault", "where", "injected", "took", "verdict");
    let table: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
    println!("\n{title}\n{head}\n{}", table.join("\n"));
    let failed: Vec<&str> = lines.iter().filter(|(_, failed)| *failed).map(|(line, _)| line.as_str()).collect();
    assert!(failed.is_empty(), "{title}: {} of {} cases failed:\n{}", failed.len(), lines.len(), failed.join("\n"));
}
