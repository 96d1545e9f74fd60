//! Who runs us: what a service manager is told, and what a container scheduler is asked for. Knows no stage; what the
//! pipeline is at comes as a [`Condition`]. Neither can disturb the work: what they do not answer is logged, once.

pub mod ecs;
pub mod systemd;

/// What the daemon is at, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Queue, database and schema were verified, and polling has begun.
    pub ready: bool,
    /// Something that ought to move has not moved for too long. An outage that is waited out is none.
    pub stalled: bool,
    /// Deliveries that are received and not yet acknowledged.
    pub in_flight: usize,
    /// One line for a person.
    pub status: String,
}
