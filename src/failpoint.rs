//! Named places in the protocol where a test makes the program die or a step fail: all of them, in one table.
//!
//! Compiled in with the feature `failpoints` only; otherwise every call is empty. Driven by the environment, in the
//! language of the crate `fail`, for example at its third COMMIT:
//!
//! ```text
//! FAILPOINTS='commit.sent=2*off->1*return(abort)->off'
//! ```
//!
//! The word in `return(...)` is `abort` (the process dies at once, as by kill -9), `panic` (the task does), the name of a
//! [`Fault`] that the table allows at this point, or `note` (nothing happens, the log says that the point was met).
//! `tests/exactly_once/crashes` goes through the whole table.

/// An error that a step can meet in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No answer, or it was lost.
    Unavailable,
    /// A deadlock or a lock-wait timeout: the database's own refusal.
    Conflict,
}

impl Fault {
    /// In `FAILPOINTS`, and in reports of the tests.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Unavailable => "unavailable",
            Fault::Conflict => "conflict",
        }
    }
}

/// One place.
#[derive(Debug)]
pub struct Point {
    pub name: &'static str,
    /// What happens there.
    pub step: &'static str,
    /// The errors that the step can meet there, beside the end of the process.
    pub faults: &'static [Fault],
}

/// The fault that a test put at a point. Every stage makes its own error of it.
#[derive(Clone, Copy, Debug)]
pub struct Injected {
    pub point: &'static str,
    pub fault: Fault,
}

impl std::fmt::Display for Injected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failpoint {}: {}", self.point, self.fault.name())
    }
}

const NONE: &[Fault] = &[];
const LOST: &[Fault] = &[Fault::Unavailable];
const REFUSED: &[Fault] = &[Fault::Unavailable, Fault::Conflict];

const fn point(name: &'static str, step: &'static str, faults: &'static [Fault]) -> Point {
    Point { name, step, faults }
}

/// Every point, in the order in which an object meets them.
pub const POINTS: &[Point] = &[
    point("metadata.read.before", "before the metadata is read", LOST),
    point("metadata.read.after", "metadata read, not yet used", LOST),
    point("queue.receive.before", "before a receive is sent", LOST),
    point("queue.receive.after", "messages received, nothing done with them", LOST),
    point("notification.parse.before", "before a message is read", NONE),
    point("notification.parse.after", "message read, its objects not handed on", NONE),
    point("object.fetch.before", "before an object is asked for", LOST),
    point("object.fetch.after", "object read whole, not handed on", LOST),
    point("object.decode.before", "before the first byte is inflated", NONE),
    point("object.aggregate.before", "rows decoded, not yet summed", NONE),
    point("object.aggregate.after", "rows of one batch summed", NONE),
    point("object.decode.after", "object read to its end", NONE),
    point("commit.begin.before", "before BEGIN", LOST),
    point("commit.begin.after", "transaction open and empty", REFUSED),
    point("commit.ledger.before", "before ledger rows are inserted", REFUSED),
    point("commit.ledger.after", "ledger rows inserted", REFUSED),
    point("commit.resolve.before", "before open listings are settled", REFUSED),
    point("commit.resolve.after", "listings settled", REFUSED),
    point("commit.totals.before", "before control totals are inserted", REFUSED),
    point("commit.totals.after", "control totals inserted", REFUSED),
    point("commit.reports.before", "before the first report row is added", REFUSED),
    point("commit.chunk.before", "before each statement of several rows", REFUSED),
    point("commit.chunk.after", "after each statement of several rows", REFUSED),
    point("commit.reports.after", "all reports added to", REFUSED),
    point("commit.days.before", "before the days are counted on", REFUSED),
    point("commit.days.after", "days counted on", REFUSED),
    point("commit.send.before", "everything written, COMMIT not sent", REFUSED),
    point("commit.sent", "COMMIT sent, not answered", LOST),
    point("commit.answered", "COMMIT answered, the answer not used", LOST),
    point("quarantine.begin.before", "before BEGIN of a listing", LOST),
    point("quarantine.begin.after", "listing's transaction open and empty", REFUSED),
    point("quarantine.insert.before", "before a failed object is inserted", REFUSED),
    point("quarantine.insert.after", "failed object inserted, the ledger not asked", REFUSED),
    point("quarantine.look.after", "ledger asked about the failed objects", REFUSED),
    point("quarantine.send.before", "listing written, COMMIT not sent", REFUSED),
    point("quarantine.sent", "listing's COMMIT sent, not answered", LOST),
    point("quarantine.answered", "listing's COMMIT answered, the answer not used", LOST),
    point("queue.acknowledge.before", "committed, the deletion of the message not sent", LOST),
    point("queue.acknowledge.after", "message deleted, the answer not used", LOST),
    point("queue.extend.before", "before a heartbeat", LOST),
    point("queue.extend.after", "visibility extended, the answer not used", LOST),
    point("queue.release.before", "before unfinished messages are returned", LOST),
    point("queue.release.after", "messages returned, the answer not used", LOST),
];

#[cfg(not(feature = "failpoints"))]
mod compiled {
    use super::Injected;

    pub struct Scenario;

    pub fn from_environment() -> Scenario {
        Scenario
    }

    #[inline(always)]
    pub fn pass(_point: &'static str) {}

    #[inline(always)]
    pub fn meet(_point: &'static str) -> Result<(), Injected> {
        Ok(())
    }

    #[inline(always)]
    pub fn in_flight<W: Future>(_point: &'static str, work: W) -> W {
        work
    }
}

#[cfg(feature = "failpoints")]
mod compiled {
    use std::task::Poll;

    use tracing::warn;

    use super::{Fault, Injected, POINTS, Point};

    pub struct Scenario(#[allow(dead_code, reason = "held for its drop")] fail::FailScenario<'static>);

    pub fn from_environment() -> Scenario {
        Scenario(fail::FailScenario::setup())
    }

    pub fn pass(point: &'static str) {
        assert!(met(point).is_none(), "nothing can fail at {point}");
    }

    pub fn meet(point: &'static str) -> Result<(), Injected> {
        met(point).map_or(Ok(()), |fault| Err(Injected { point, fault }))
    }

    pub async fn in_flight<T, E: From<Injected>>(
        point: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut work = std::pin::pin!(work);
        let mut is_sent = false;
        std::future::poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            match polled.is_pending() && !std::mem::replace(&mut is_sent, true) {
                true => meet(point).map_or_else(|injected| Poll::Ready(Err(injected.into())), |()| polled),
                false => polled,
            }
        })
        .await
    }

    fn met(name: &str) -> Option<Fault> {
        let point = POINTS.iter().find(|point| point.name == name).expect("a point of the table");
        let word = fail::eval(name, |word| word.unwrap_or_default())?;
        warn!(point = name, action = word, "failpoint");
        match word.as_str() {
            "abort" => std::process::abort(),
            "panic" => panic!("failpoint {name}"),
            "note" => None,
            word => Some(fault(point, word)),
        }
    }

    fn fault(point: &Point, word: &str) -> Fault {
        let fault = point.faults.iter().find(|fault| fault.name() == word);
        *fault.unwrap_or_else(|| panic!("{word:?} can't happen at {}", point.name))
    }
}

/// Keeps the points as the environment says until it is dropped.
pub use compiled::Scenario;
/// Reads `FAILPOINTS`.
pub use compiled::from_environment;
/// A future whose request has left when it first waits: the point lies between the request and its answer.
pub use compiled::in_flight;
/// A point where a step may also fail.
pub use compiled::meet;
/// A point where nothing can fail but the process or the task.
pub use compiled::pass;
