//! Whether the pipeline makes progress: what each of its tasks is doing, and since when. For whoever restarts what hangs.
//!
//! A part is at work on one step, which its own timeouts bound, or it rests: it has nothing to do, waits out an outage, or
//! waits for room that another part makes. A part that rests is not to blame, however long it rests; one that is at its step
//! for longer than the step can take is stalled. An outage is no stall: each attempt begins the step anew, and a restart
//! would bring nobody back. Where all parts rest although deliveries are held, they wait for one another, and that is a
//! stall as well.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::deliveries::{Deliveries, InFlight};
use super::outage::{Dependency, Outages};
use crate::source::visibility::Beat;

/// How long single steps can take at most when everything does what it should: the sums of the timeouts below them.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// One long poll and its answer.
    pub receive: Duration,
    /// One call of the queue that is answered at once.
    pub settle: Duration,
    /// One attempt to read an object.
    pub fetch: Duration,
    /// One transaction, from waiting for a connection to the answer of its COMMIT.
    pub transaction: Duration,
}

impl Bounds {
    /// Until the first rows of an object are decoded, and from one batch of rows to the next.
    pub const DECODE: Duration = Duration::from_secs(5 * 60);
    /// Parts that wait for one another by design do so for less than this: the longest wait between two attempts is 20 s.
    pub const ALL_REST: Duration = Duration::from_secs(60);
}

impl Default for Bounds {
    /// Those of the default configuration.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { receive: seconds(40), settle: seconds(30), fetch: seconds(305), transaction: seconds(610) }
    }
}

/// A part of the pipeline that does not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// `poller`, `batcher`, `worker 1`, `writer`, `metadata`, `heartbeat`, or `pipeline` when all wait for one another.
    pub part: String,
    /// What it is at.
    pub doing: &'static str,
    pub lasting: Duration,
    /// What that takes at most.
    pub bound: Duration,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stall { part, doing, lasting, bound } = self;
        write!(f, "{part} is stalled: {doing} for {} s, which takes {} s at most", lasting.as_secs(), bound.as_secs())
    }
}

/// The progress of one pipeline. Shared with [`pipeline::run`](super::run), which fills it.
#[derive(Default)]
pub struct Pulse {
    parts: Mutex<Vec<Arc<Part>>>,
    watched: Mutex<Watched>,
}

/// What keeps its own record.
#[derive(Default)]
struct Watched {
    /// Not owned: their end is the pipeline's.
    deliveries: Weak<Deliveries>,
    outages: Weak<Outages>,
    heartbeat: Option<Beat>,
}

impl Pulse {
    /// What is stalled: beyond its own bounds by more than `patience`. Of several, the one that hangs longest. `None` before
    /// the pipeline runs and after it has ended.
    pub fn stalled(&self, patience: Duration) -> Option<Stall> {
        let mut stalls: Vec<Stall> = lock(&self.parts).iter().filter_map(|part| part.at_work()).collect();
        let all_rest = stalls.is_empty();
        stalls.extend(self.heartbeat());
        stalls.extend(self.all_rest().filter(|_| all_rest));
        stalls.retain(|stall| stall.lasting > stall.bound + patience);
        stalls.into_iter().max_by_key(|stall| stall.lasting)
    }

    /// Deliveries that are held. `None` before polling begins and after the pipeline has ended.
    pub fn held(&self) -> Option<usize> {
        lock(&self.watched).deliveries.upgrade().map(|deliveries| deliveries.in_flight().deliveries)
    }

    /// What is held at this moment.
    pub fn in_flight(&self) -> InFlight {
        let deliveries = lock(&self.watched).deliveries.upgrade();
        deliveries.map(|deliveries| deliveries.in_flight()).unwrap_or_default()
    }

    /// The dependencies that are out of reach, for how long, and why.
    pub fn outages(&self) -> Vec<(Dependency, Duration, String)> {
        let outages = lock(&self.watched).outages.upgrade();
        outages.map(|outages| outages.now()).unwrap_or_default()
    }

    /// A task of the pipeline, at rest.
    pub(super) fn part(&self, name: impl Into<String>) -> Arc<Part> {
        let part = Arc::new(Part { name: name.into(), state: Mutex::new(State::resting()) });
        lock(&self.parts).push(part.clone());
        part
    }

    pub(super) fn watch(&self, deliveries: &Arc<Deliveries>, outages: &Arc<Outages>) {
        let mut watched = lock(&self.watched);
        watched.outages = Arc::downgrade(outages);
        watched.heartbeat = Some(deliveries.heartbeat());
        watched.deliveries = Arc::downgrade(deliveries);
    }

    fn heartbeat(&self) -> Option<Stall> {
        let beat = lock(&self.watched).heartbeat.clone()?;
        let silent_since = beat.silent_since()?;
        let (part, doing) = ("heartbeat".to_owned(), "keeping deliveries hidden");
        Some(Stall { part, doing, lasting: silent_since.elapsed(), bound: beat.longest_silence() })
    }

    /// For how long nobody has done anything for the deliveries that are held.
    fn all_rest(&self) -> Option<Stall> {
        let deliveries = lock(&self.watched).deliveries.upgrade()?;
        if deliveries.in_flight().deliveries == 0 {
            return None;
        }
        let since = lock(&self.parts).iter().map(|part| lock(&part.state).since).max()?;
        let (part, doing) = ("pipeline".to_owned(), "all parts waiting for one another");
        Some(Stall { part, doing, lasting: since.elapsed(), bound: Bounds::ALL_REST })
    }
}

/// One task's record. A step takes two locks of nobody else's, for each object or call, never for each row.
pub(super) struct Part {
    name: String,
    state: Mutex<State>,
}

struct State {
    /// And how long it takes at most; `None` at rest.
    step: Option<(&'static str, Duration)>,
    since: Instant,
}

impl State {
    fn resting() -> State {
        State { step: None, since: Instant::now() }
    }
}

impl Part {
    /// Begins a step, which ends when the returned value is dropped, also when the work is cancelled.
    #[must_use = "the step ends when this is dropped"]
    pub fn step(&self, doing: &'static str, bound: Duration) -> Step<'_> {
        *lock(&self.state) = State { step: Some((doing, bound)), since: Instant::now() };
        Step(self)
    }

    /// The step moves on: its time begins anew.
    pub fn turn(&self) {
        lock(&self.state).since = Instant::now();
    }

    fn at_work(&self) -> Option<Stall> {
        let state = lock(&self.state);
        let (doing, bound) = state.step?;
        Some(Stall { part: self.name.clone(), doing, lasting: state.since.elapsed(), bound })
    }
}

/// A step that is being done.
pub(super) struct Step<'a>(&'a Part);

impl Drop for Step<'_> {
    fn drop(&mut self) {
        *lock(&self.0.state) = State::resting();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is read here must be told even after a panic elsewhere, and it is whole at any moment.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
