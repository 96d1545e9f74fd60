//! One receipt of one queue message.

use std::sync::Arc;

use jiff::Timestamp;

use super::ObjectRef;

/// What a queue needs to extend, release or acknowledge one delivery. Opaque to everyone else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub Arc<str>);

impl std::fmt::Debug for Receipt {
    /// Receipt handles are long and let their holder delete messages: logs get the end only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tail: String = self.0.chars().rev().take(8).collect();
        write!(f, "Receipt(..{})", tail.chars().rev().collect::<String>())
    }
}

/// One receipt of one queue message: what it announces and what is owed to the queue for it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The same for every delivery of the same message.
    pub message_id: String,
    pub receipt: Receipt,
    /// How often the queue has handed this message out, this time included; 1 is the first.
    pub attempt: u32,
    pub received_at: Timestamp,
    /// When the message was first sent, as the queue says.
    pub sent_at: Option<Timestamp>,
    /// As received, for the record of a failure.
    pub body: Arc<str>,
    /// What the body announces, or why it can't be understood.
    pub content: Content,
}

/// What a message body turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Objects to count, each named once. Empty for a test event, a removal, or when every record was filtered.
    Objects(Vec<ObjectRef>),
    /// Not a notification we know: listed as failed, with this reason, never dropped in silence.
    Unreadable { reason: String },
}
