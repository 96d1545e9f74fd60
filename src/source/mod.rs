//! Where objects come from. The only module that names an AWS crate. Knows nothing of what is inside an object.

pub mod queue;

pub use queue::{Queue, QueueError, Received};
