//! What to do about an error: the one question every stage's error answers.

/// What the pipeline does with the work at hand after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The world is at fault and may recover: keep the work, wait, try it whole again.
    Retry,
    /// The object is at fault and will be the next time too: list it as failed, go on with the others.
    Quarantine,
    /// The deployment is at fault (unknown schema, no permission): stop, give everything back, tell a person.
    Halt,
}
