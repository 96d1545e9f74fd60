//! Telling people: one message when a report date is complete, one when it was corrected, and one for failures of a kind.
//!
//! What there is to tell is in the database's outbox (`store::notices`), so that a crash loses none of it and replicas do
//! not say it twice. [`Dispatcher`] moves it: seals what has gathered, writes the notice of a day that went quiet, and
//! sends what is due, beside the pipeline and never in its way. [`message`] and [`text`] turn facts into words; pure.
//!
//! Delivery is at least once: a notice whose receiver answered just before a crash is sent again. Its id is the same
//! then, and stands in every form of the message.

mod amount;
mod channels;
mod dispatcher;
pub mod message;
mod text;
mod words;

use std::time::Duration;

pub use channels::{Channels, SendError};
pub use dispatcher::{Dispatcher, Memory, OutageCount};
pub use words::Language;

use crate::model::Secret;

/// What `[notice]` configures, validated.
#[derive(Clone, Debug)]
pub struct NoticeSettings {
    /// None: no webhook.
    pub webhook: Option<Secret>,
    /// None: no topic.
    pub topic_arn: Option<String>,
    pub language: Language,
    /// A day that is over is complete when nothing was committed for it for so long.
    pub quiet: Duration,
    /// Days that ended longer ago are not told of.
    pub max_age: Duration,
    /// Failures of one kind within so much time are one message.
    pub failures_every: Duration,
    /// For one message to one receiver.
    pub timeout: Duration,
}

impl NoticeSettings {
    pub fn is_on(&self) -> bool {
        self.webhook.is_some() || self.topic_arn.is_some()
    }
}
