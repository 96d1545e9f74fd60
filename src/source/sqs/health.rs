//! What the queue's settings mean for messages that must not be lost: for `check`.

use std::time::Duration;

use super::super::queue::QueueError;
use super::super::visibility::heartbeat;
use super::attributes::{QueueAttributes, Redrive};
use super::{CallFailure, SqsQueue, attributes, queue_error};
use crate::model::health::{HealthFact, HealthLevel, bad, good, judged};

/// What of our own settings the queue's are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How long a receive hides a message, and how often that is extended at least.
    pub visibility: Duration,
    pub heartbeat: Duration,
    /// How often an object that S3 refuses is asked for within one receipt.
    pub fetch_attempts_max: u32,
}

/// What is known of the queue that dead letters go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetters {
    Known(QueueAttributes),
    Unknown { problem: String },
}

impl SqsQueue {
    /// Facts about the queue and the one behind it.
    pub async fn health(&self, heartbeat: Duration, fetch_attempts_max: u32) -> Result<Vec<HealthFact>, QueueError> {
        let Some(attributes) = self.attributes().await? else {
            let detail = format!("{}: its settings can't be read", self.url);
            return Ok(vec![bad("queue", HealthLevel::Warning, detail, "grant sqs:GetQueueAttributes")]);
        };
        let (waiting, held) = (attributes.backlog, attributes.in_flight);
        let mut facts = vec![good("queue", format!("{}: {waiting} messages waiting, {held} held", self.url))];
        let dead_letters = match &attributes.redrive {
            Some(redrive) => Some(self.dead_letters(redrive).await),
            None => None,
        };
        let habits = Habits { visibility: self.visibility, heartbeat, fetch_attempts_max };
        facts.extend(facts_of(&attributes, dead_letters.as_ref(), habits));
        Ok(facts)
    }

    async fn dead_letters(&self, redrive: &Redrive) -> DeadLetters {
        match self.dead_letter_attributes(redrive).await {
            Ok(attributes) => DeadLetters::Known(attributes),
            Err(error) => DeadLetters::Unknown { problem: error.to_string() },
        }
    }

    async fn dead_letter_attributes(&self, redrive: &Redrive) -> Result<QueueAttributes, QueueError> {
        // `arn:aws:sqs:<region>:<account>:<name>`.
        let mut parts = redrive.dead_letter_arn.rsplit(':');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let found = self.settling.get_queue_url().queue_name(name).queue_owner_aws_account_id(account).send().await;
        let found = found.map_err(|error| queue_error(&redrive.dead_letter_arn, &CallFailure::of(&error)))?;
        let request = self.settling.get_queue_attributes().set_queue_url(found.queue_url);
        match request.set_attribute_names(Some(attributes::names())).send().await {
            Ok(answer) => Ok(QueueAttributes::of(&answer.attributes.unwrap_or_default())),
            Err(error) => Err(queue_error(&redrive.dead_letter_arn, &CallFailure::of(&error))),
        }
    }
}

/// Everything that is judged, from what was read: no call is made here.
fn facts_of(queue: &QueueAttributes, dead_letters: Option<&DeadLetters>, habits: Habits) -> Vec<HealthFact> {
    let mut facts = vec![kind(queue), our_visibility(habits), visibility(queue, habits), retention(queue)];
    match (&queue.redrive, dead_letters) {
        (Some(redrive), Some(dead_letters)) => {
            facts.extend([receipts(redrive, habits), dead_letter_retention(queue, dead_letters)]);
        }
        _ => facts.push(bad(
            "dead letters",
            HealthLevel::Warning,
            "the queue has no redrive policy",
            "add one with a dead-letter queue: a message that can't be handled comes again until its retention ends, and \
             then it is gone without a trace",
        )),
    }
    facts
}

/// A FIFO queue costs time, not exactness: the ledger needs no order, and what SQS drops as a duplicate within five
/// minutes is the same event of the same content.
fn kind(queue: &QueueAttributes) -> HealthFact {
    let detail = if queue.fifo { "it is a FIFO queue" } else { "standard" };
    let advice = "use a standard queue: S3 sends to no FIFO queue by itself, and one message that waits holds up all others \
                  of its group";
    judged("queue type", !queue.fifo, HealthLevel::Warning, detail.into(), advice)
}

fn our_visibility(habits: Habits) -> HealthFact {
    let Habits { visibility, heartbeat: longest, .. } = habits;
    let detail =
        format!("a receive hides a message for {visibility:?}, extended every {:?}", heartbeat(longest, visibility));
    let advice = format!(
        "raise [source] visibility to four times {longest:?}: this short, a moment of a busy machine or network is enough \
         for messages to come again while they are worked on"
    );
    judged("visibility", visibility >= longest, HealthLevel::Warning, detail, &advice)
}

/// `run` names its own with each receive.
fn visibility(queue: &QueueAttributes, habits: Habits) -> HealthFact {
    let detail = format!("the queue's own is {:?}", queue.visibility);
    let advice = format!(
        "raise it above {:?}, our heartbeat: `run` names its own with each receive, but what others receive (by hand, or a \
         redrive) comes again before they are done",
        habits.heartbeat
    );
    judged("queue's visibility", queue.visibility > habits.heartbeat, HealthLevel::Warning, detail, &advice)
}

/// Shorter than this, an outage over a weekend outlives the messages.
const RETENTION_MIN: Duration = Duration::from_secs(4 * 24 * 3600);

fn retention(queue: &QueueAttributes) -> HealthFact {
    let detail = format!("the queue keeps messages for {}", in_days(queue.retention));
    let advice = "raise it to 14 days: a message that was not received until then is gone, and its objects are found by \
                  `backfill` only";
    judged("retention", queue.retention >= RETENTION_MIN, HealthLevel::Warning, detail, advice)
}

/// A receipt is also spent by each restart of a daemon and each crash, without any fault of the message.
fn receipts(redrive: &Redrive, habits: Habits) -> HealthFact {
    let (receipts, attempts) = (redrive.receive_count_max, habits.fetch_attempts_max);
    let detail = format!("after {receipts} receipts, to {}", redrive.dead_letter_arn);
    let advice = format!(
        "raise maxReceiveCount to {attempts} (fetch_attempts_max) or more: each crash and each restart spends a receipt, \
         and messages that are in order become dead letters"
    );
    judged("dead letters", receipts >= attempts, HealthLevel::Warning, detail, &advice)
}

/// SQS Developer Guide, "Dead-letter queues": a standard queue's message keeps its first enqueue time there.
fn dead_letter_retention(queue: &QueueAttributes, dead_letters: &DeadLetters) -> HealthFact {
    const NAME: &str = "dead letters' retention";
    match dead_letters {
        DeadLetters::Unknown { problem } => bad(
            NAME,
            HealthLevel::Warning,
            format!("it can't be read: {problem}"),
            "create the dead-letter queue, or grant sqs:GetQueueUrl and sqs:GetQueueAttributes on it",
        ),
        DeadLetters::Known(dead) => judged(
            NAME,
            dead.retention > queue.retention,
            HealthLevel::Warning,
            format!("{}, the queue's is {}", in_days(dead.retention), in_days(queue.retention)),
            "make it the longer one (at most 14 days): a message's age counts from when it was first sent, so that it may be \
             gone before anyone looks",
        ),
    }
}

fn in_days(time: Duration) -> String {
    let hours = time.as_secs() / 3600;
    match (hours / 24, hours % 24) {
        (0, 0) => format!("{time:?}"),
        (0, hours) => format!("{hours} hours"),
        (days, 0) => format!("{days} days"),
        (days, hours) => format!("{days} days {hours} hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const HABITS: Habits =
        Habits { visibility: Duration::from_secs(120), heartbeat: Duration::from_secs(30), fetch_attempts_max: 4 };

    fn good_queue() -> QueueAttributes {
        QueueAttributes {
            visibility: Duration::from_secs(60),
            retention: 4 * DAY,
            redrive: Some(Redrive { dead_letter_arn: "arn:aws:sqs:us-east-1:1:dead".into(), receive_count_max: 10 }),
            ..QueueAttributes::default()
        }
    }

    fn good_dead_letters() -> DeadLetters {
        DeadLetters::Known(QueueAttributes { retention: 14 * DAY, ..QueueAttributes::default() })
    }

    fn warnings(queue: &QueueAttributes, dead_letters: Option<&DeadLetters>, habits: Habits) -> Vec<&'static str> {
        let facts = facts_of(queue, dead_letters, habits);
        assert!(facts.iter().all(|fact| fact.advice.is_empty() == (fact.level == HealthLevel::Ok)), "{facts:?}");
        facts.iter().filter(|fact| fact.level != HealthLevel::Ok).map(|fact| fact.name).collect()
    }

    #[test]
    fn good_queue_has_no_warnings() {
        assert_eq!(warnings(&good_queue(), Some(&good_dead_letters()), HABITS), [""; 0]);
    }

    #[rstest]
    #[case(|queue: &mut QueueAttributes| queue.fifo = true, "queue type")]
    #[case(|queue: &mut QueueAttributes| queue.visibility = Duration::from_secs(30), "queue's visibility")]
    #[case(|queue: &mut QueueAttributes| queue.visibility = Duration::ZERO, "queue's visibility")]
    #[case(|queue: &mut QueueAttributes| queue.retention = 3 * DAY, "retention")]
    #[case(|queue: &mut QueueAttributes| queue.retention = 14 * DAY, "dead letters' retention")]
    #[case(|queue: &mut QueueAttributes| queue.redrive.as_mut().unwrap().receive_count_max = 3, "dead letters")]
    #[case(|queue: &mut QueueAttributes| queue.redrive = None, "dead letters")]
    fn setting_of_the_queue_that_weakens_the_promise_is_named(
        #[case] spoil: fn(&mut QueueAttributes),
        #[case] name: &str,
    ) {
        let mut queue = good_queue();
        spoil(&mut queue);
        assert_eq!(warnings(&queue, Some(&good_dead_letters()), HABITS), [name]);
    }

    #[test]
    fn setting_of_ours_that_weakens_the_promise_is_named() {
        let habits = Habits { visibility: Duration::from_secs(29), ..HABITS };
        assert_eq!(warnings(&good_queue(), Some(&good_dead_letters()), habits), ["visibility"]);
        let habits = Habits { fetch_attempts_max: 11, ..HABITS };
        assert_eq!(warnings(&good_queue(), Some(&good_dead_letters()), habits), ["dead letters"]);
    }

    #[test]
    fn dead_letters_that_can_not_be_read_are_named() {
        let unknown = DeadLetters::Unknown { problem: "no such queue".into() };
        assert_eq!(warnings(&good_queue(), Some(&unknown), HABITS), ["dead letters' retention"]);
    }

    #[rstest]
    #[case(60, "60s")]
    #[case(3600 * 5, "5 hours")]
    #[case(3600 * 24 * 4, "4 days")]
    #[case(3600 * 25, "1 days 1 hours")]
    fn time_is_told_in_days(#[case] seconds: u64, #[case] text: &str) {
        assert_eq!(in_days(Duration::from_secs(seconds)), text);
    }
}
