//! What is attacked: point x hit x action, and how the process must end.

use std::fmt;

use xc2_analyzer::failpoint::{Fault, POINTS, Point};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process is gone at once.
    Abort,
    /// The task is.
    Panic,
    Fault(Fault),
}

impl Action {
    /// In `FAILPOINTS`.
    pub fn word(self) -> &'static str {
        match self {
            Action::Abort => "abort",
            Action::Panic => "panic",
            Action::Fault(fault) => fault.name(),
        }
    }
}

pub struct Case {
    pub point: &'static Point,
    /// At which passage of the point, from 1.
    pub hit: u64,
    pub action: Action,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = self.point.name;
        f.pad(&format!("{point:<26} {:>3}  {:<11}", self.hit, self.action.word()))
    }
}

/// What the world does so that the process comes to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provocation {
    Nothing,
    /// A locked table keeps deliveries open until their visibility must be extended.
    SlowDatabase,
    /// The same, and the process is asked to stop with too little grace.
    Stop,
}

/// How the process must behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Killed by SIGABRT.
    Killed,
    /// An exit code that is not 0, and the reason in the log.
    Fails,
    /// It gets over it.
    GoesOn,
    /// It gets over it; the object at hand is listed as our defect, and counted when it is announced again.
    ListsADefect,
    /// It was asked to stop, and does in order.
    Stops,
}

impl Case {
    /// One for `FAILPOINTS`.
    pub fn failpoint(&self) -> String {
        let (point, word) = (self.point.name, self.action.word());
        match self.hit {
            1 => format!("{point}=1*return({word})->off"),
            hit => format!("{point}={}*off->1*return({word})->off", hit - 1),
        }
    }

    pub fn ending(&self) -> Ending {
        let is_start = self.point.name.starts_with("metadata.") && self.hit == 1;
        match self.action {
            Action::Abort => Ending::Killed,
            Action::Panic if self.point.name.starts_with("object.") && self.point.faults.is_empty() => {
                Ending::ListsADefect
            }
            Action::Panic => Ending::Fails,
            // At the start a person waits for the reason; nothing has been received yet.
            Action::Fault(_) if is_start => Ending::Fails,
            Action::Fault(_) if provoked(self.point) == Provocation::Stop => Ending::Stops,
            Action::Fault(_) => Ending::GoesOn,
        }
    }
}

pub fn provoked(point: &Point) -> Provocation {
    match point.name {
        "queue.extend.before" | "queue.extend.after" => Provocation::SlowDatabase,
        "queue.release.before" | "queue.release.after" => Provocation::Stop,
        _ => Provocation::Nothing,
    }
}

/// How many passages of a point are attacked, each in a case of its own: three, or as many as there surely are; every
/// statement of the first transaction.
fn hits(point: &Point) -> u64 {
    match point.name {
        "commit.chunk.before" | "commit.chunk.after" => 16,
        "queue.release.before" | "queue.release.after" => 1,
        // At the start, and when a row names a media that is not in it.
        "metadata.read.before" | "metadata.read.after" => 2,
        // Three objects are broken, and listed with one another or one by one.
        name if name.starts_with("quarantine.") && !name.starts_with("quarantine.insert.") => 1,
        _ => 3,
    }
}

fn actions(point: &Point) -> Vec<Action> {
    let faults = point.faults.iter().map(|&fault| Action::Fault(fault));
    [Action::Abort, Action::Panic].into_iter().chain(faults).collect()
}

/// Everything.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for point in POINTS {
        for hit in 1..=hits(point) {
            cases.extend(actions(point).into_iter().map(|action| Case { point, hit, action }));
        }
    }
    cases
}

/// The point's row in docs/exactly-once.md.
pub fn row(point: &Point) -> String {
    let actions: Vec<&str> = actions(point).into_iter().map(Action::word).collect();
    format!("| `{}` | {} | {} | {} |", point.name, point.step, actions.join(", "), hits(point))
}

/// The places where comparable programs lose or double.
pub fn telling() -> Vec<Case> {
    const TELLING: &[(&str, u64, Action)] = &[
        ("queue.receive.after", 2, Action::Abort),
        ("object.fetch.after", 2, Action::Fault(Fault::Unavailable)),
        ("object.decode.after", 2, Action::Panic),
        ("commit.ledger.after", 2, Action::Fault(Fault::Conflict)),
        ("commit.chunk.after", 3, Action::Abort),
        ("commit.chunk.after", 5, Action::Fault(Fault::Conflict)),
        ("commit.send.before", 2, Action::Abort),
        ("commit.sent", 1, Action::Abort),
        ("commit.sent", 2, Action::Fault(Fault::Unavailable)),
        ("commit.answered", 1, Action::Fault(Fault::Unavailable)),
        ("quarantine.answered", 1, Action::Abort),
        ("queue.acknowledge.before", 1, Action::Abort),
        ("queue.acknowledge.after", 2, Action::Fault(Fault::Unavailable)),
        ("queue.extend.before", 1, Action::Panic),
        ("queue.release.before", 1, Action::Fault(Fault::Unavailable)),
    ];
    let case = |&(name, hit, action): &(&str, u64, Action)| Case {
        point: POINTS.iter().find(|point| point.name == name).expect("a point of the table"),
        hit,
        action,
    };
    TELLING.iter().map(case).collect()
}
