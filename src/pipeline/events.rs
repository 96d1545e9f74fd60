//! The log's one line for each object, under the same names whatever became of it. docs/metrics.md has them for people.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::work::Work;
use crate::model::{FailedObject, Generation, ObjectRef, Rejects};

/// An object's way so far.
#[derive(Clone, Debug)]
pub struct Timings {
    /// When its message was received.
    pub received: Instant,
    /// From there until it was asked for.
    pub wait: Duration,
    pub fetched: Option<Fetched>,
    /// From there until the writer took it.
    pub writer_wait: Option<Duration>,
}

/// What a worker did.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// All attempts, and the waits between them.
    pub fetch: Duration,
    /// None when there was nothing to count.
    pub count: Option<Duration>,
    /// When the worker was done with it.
    pub done: Instant,
}

/// What the log tells of any object beside what became of it.
#[derive(Clone, Debug)]
pub struct Passage {
    pub message_id: Arc<str>,
    pub attempt: u32,
    pub batch_id: String,
    pub rows: Option<u64>,
    pub rejected_rows: Option<u64>,
    pub timings: Timings,
}

impl Passage {
    /// Of an object that was not fetched.
    pub fn of(work: &Work) -> Passage {
        let timings =
            Timings { received: work.received, wait: work.received.elapsed(), fetched: None, writer_wait: None };
        let (message_id, attempt) = (work.message_id.clone(), work.attempt);
        Passage { message_id, attempt, batch_id: String::new(), rows: None, rejected_rows: None, timings }
    }

    /// Its body was counted, or can't be.
    pub fn counted(&mut self, took: Duration) {
        if let Some(fetched) = &mut self.timings.fetched {
            (fetched.count, fetched.done) = (Some(took), Instant::now());
        }
    }

    /// The writer has it.
    pub fn taken(&mut self) {
        self.timings.writer_wait = self.timings.fetched.map(|fetched| fetched.done.elapsed());
    }
}

/// What became of an object that is final, for its line.
pub struct Line<'a> {
    pub object: &'a ObjectRef,
    pub generation: Option<&'a Generation>,
    pub passage: &'a Passage,
    /// Of the transaction that made it final.
    pub commit: Duration,
}

fn ms(time: Duration) -> u64 {
    time.as_millis() as u64
}

/// A line with the fields that all have in common; `None` is left out.
macro_rules! line {
    ($level:ident, $line:expr, $($more:tt)*) => {{
        let Line { object, generation, passage, commit } = $line;
        let Passage { message_id, attempt, batch_id, rows, rejected_rows, timings } = passage;
        let fetched = timings.fetched;
        tracing::$level!(
            %object,
            bucket = object.bucket,
            key = object.key,
            etag = generation.and_then(|generation| generation.etag.as_deref()),
            message_id = &**message_id,
            attempt,
            batch = Some(batch_id.as_str()).filter(|id| !id.is_empty()),
            bytes = generation.map(|generation| generation.bytes),
            rows,
            rejected_rows,
            wait_ms = ms(timings.wait),
            fetch_ms = fetched.map(|fetched| ms(fetched.fetch)),
            count_ms = fetched.and_then(|fetched| fetched.count).map(ms),
            writer_wait_ms = timings.writer_wait.map(ms),
            commit_ms = ms(*commit),
            total_ms = ms(timings.received.elapsed()),
            $($more)*
        )
    }};
}

pub fn counted(line: &Line<'_>, rejects: &Rejects) {
    match rejects.rows() {
        0 => line!(info, line, "object counted"),
        _ => line!(warn, line, %rejects, "object counted"),
    }
}

pub fn duplicate(line: &Line<'_>) {
    line!(info, line, "object had been counted before: nothing added");
}

pub fn overwrite_ignored(line: &Line<'_>, counted_etag: &str) {
    line!(warn, line, counted_etag, "object had been counted with other content: ignored");
}

pub fn failed(line: &Line<'_>, FailedObject { kind, reason, .. }: &FailedObject) {
    line!(error, line, %kind, reason, advice = kind.advice(), "object listed as failed");
}

pub fn discarded(line: &Line<'_>) {
    line!(info, line, "an operator discarded this content: neither counted nor listed anew");
}

pub fn not_listed(line: &Line<'_>, FailedObject { kind, reason, .. }: &FailedObject) {
    line!(info, line, %kind, reason, "object had been counted before: not listed");
}
