//! What the queue's settings mean for messages that must not be lost: for `check`.

use std::time::Duration;

use super::super::arn::QueueArn;
use super::super::command;
use super::super::health::Habits;
use super::super::queue::QueueError;
use super::super::visibility::heartbeat;
use super::attributes::{QueueAttributes, Redrive};
use super::{CallFailure, SqsQueue, attributes, queue_error};
use crate::model::health::{HealthFact, HealthLevel, bad, good, judged};

/// What is known of the queue that dead letters go to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DeadLetters {
    Known { url: String, attributes: Box<QueueAttributes> },
    Unknown { problem: String },
}

impl SqsQueue {
    /// Facts about the queue and the one behind it, and what the queue says of itself when we may ask.
    pub(in super::super) async fn health(&self, habits: Habits) -> (Vec<HealthFact>, Option<QueueAttributes>) {
        let attributes = match self.attributes().await {
            Ok(Some(attributes)) => attributes,
            Ok(None) => {
                let detail = format!("{}: its settings can't be read", self.url);
                let fact = bad("queue", HealthLevel::Warning, detail, "grant sqs:GetQueueAttributes");
                return (vec![fact], None);
            }
            Err(error) => {
                let advice = "correct [source] url, the network or the credentials";
                return (vec![bad("queue", HealthLevel::Failure, error.to_string(), advice)], None);
            }
        };
        let (waiting, held) = (attributes.backlog, attributes.in_flight);
        let mut facts = vec![good("queue", format!("{}: {waiting} messages waiting, {held} held", self.url))];
        let dead_letters = match &attributes.redrive {
            Some(redrive) => Some(self.dead_letters(redrive).await),
            None => None,
        };
        let seen = Seen {
            url: &self.url,
            queue: &attributes,
            dead_letters: dead_letters.as_ref(),
            habits,
            visibility: self.visibility,
        };
        facts.extend(seen.facts());
        (facts, Some(attributes))
    }

    async fn dead_letters(&self, redrive: &Redrive) -> DeadLetters {
        match self.dead_letter_attributes(redrive).await {
            Ok((url, attributes)) => DeadLetters::Known { url, attributes: Box::new(attributes) },
            Err(error) => DeadLetters::Unknown { problem: error.to_string() },
        }
    }

    async fn dead_letter_attributes(&self, redrive: &Redrive) -> Result<(String, QueueAttributes), QueueError> {
        // `arn:aws:sqs:<region>:<account>:<name>`.
        let mut parts = redrive.dead_letter_arn.rsplit(':');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let found = self.settling.get_queue_url().queue_name(name).queue_owner_aws_account_id(account).send().await;
        let found = found.map_err(|error| queue_error(&redrive.dead_letter_arn, &CallFailure::of(&error)))?;
        let url = found.queue_url.unwrap_or_default();
        let request = self.settling.get_queue_attributes().queue_url(&url);
        match request.set_attribute_names(Some(attributes::names())).send().await {
            Ok(answer) => Ok((url, QueueAttributes::of(&answer.attributes.unwrap_or_default()))),
            Err(error) => Err(queue_error(&redrive.dead_letter_arn, &CallFailure::of(&error))),
        }
    }
}

/// What was read, to be judged: no call is made here.
struct Seen<'a> {
    url: &'a str,
    queue: &'a QueueAttributes,
    dead_letters: Option<&'a DeadLetters>,
    habits: Habits,
    /// How long a receive of ours hides a message.
    visibility: Duration,
}

/// Shorter than this, an outage over a weekend outlives the messages.
const RETENTION_MIN: Duration = Duration::from_secs(4 * 24 * 3600);
/// What we advise: long enough, and shorter than what a queue of dead letters can have.
const RETENTION_ADVISED: Duration = Duration::from_secs(7 * 24 * 3600);
const RETENTION_MAX: Duration = Duration::from_secs(command::RETENTION_MAX_SECONDS);

/// A message is received once more after each crash and each restart; so often, it is not its fault.
const RECEIPTS_ADVISED: u32 = 10;

impl Seen<'_> {
    fn facts(&self) -> Vec<HealthFact> {
        let mut facts =
            vec![self.kind(), self.encryption(), self.our_visibility(), self.queues_visibility(), self.retention()];
        match (&self.queue.redrive, self.dead_letters) {
            (Some(redrive), Some(dead_letters)) => {
                facts.push(self.receipts(redrive));
                facts.extend(self.of_dead_letters(redrive, dead_letters));
            }
            _ => facts.push(self.no_redrive()),
        }
        facts
    }

    fn region(&self) -> Option<&str> {
        self.queue.arn.as_ref().map(|arn| arn.region.as_str())
    }

    fn set(&self, name: &str, value: &str) -> String {
        command::set_queue_attributes(self.region(), self.url, &[(name, value)])
    }

    /// A FIFO queue costs time, not exactness: the ledger needs no order, and what SQS drops as a duplicate within five
    /// minutes is the same event of the same content.
    fn kind(&self) -> HealthFact {
        let fifo = self.queue.fifo;
        let detail = if fifo { "it is a FIFO queue" } else { "standard" };
        let advice = "use a standard queue: S3 sends to no FIFO queue by itself, and one message that waits holds up all \
                      others of its group";
        judged("queue type", !fifo, HealthLevel::Warning, detail.into(), advice)
    }

    /// SQS Developer Guide, "Key management": the key that AWS manages has a policy that nobody can change, and it lets no
    /// service send.
    fn encryption(&self) -> HealthFact {
        const NAME: &str = "queue's encryption";
        match self.queue.kms_key.as_deref() {
            None => good(NAME, "by no KMS key"),
            Some(key) if key.ends_with("alias/aws/sqs") => bad(
                NAME,
                HealthLevel::Failure,
                format!("by the KMS key {key}, which AWS manages: S3 can't send to this queue"),
                "let SQS encrypt with its own key, or use a KMS key of your own",
            )
            .fixed_by(command::set_queue_attributes(
                self.region(),
                self.url,
                &[("KmsMasterKeyId", ""), ("SqsManagedSseEnabled", "true")],
            )),
            Some(key) => bad(
                NAME,
                HealthLevel::Warning,
                format!("by the KMS key {key}, whose policy can't be seen from here"),
                "see that the key's policy lets s3.amazonaws.com use kms:GenerateDataKey and kms:Decrypt, and us kms:Decrypt \
                 (print iam-policy --kms-key ARN): otherwise nothing comes, or nothing can be received",
            )
            .fixed_by(command::key_policy(self.region(), key)),
        }
    }

    fn our_visibility(&self) -> HealthFact {
        let (visibility, longest) = (self.visibility, self.habits.heartbeat);
        let detail = format!(
            "a receive hides a message for {visibility:?}, extended every {:?}",
            heartbeat(longest, visibility)
        );
        let advice = format!(
            "raise [source] visibility to four times {longest:?}: this short, a moment of a busy machine or network is enough \
             for messages to come again while they are worked on"
        );
        let fact = judged("visibility", visibility >= longest, HealthLevel::Warning, detail, &advice);
        fact.fixed_by(format!("export XC2__SOURCE__VISIBILITY={}s", 4 * longest.as_secs()))
    }

    /// `run` names its own with each receive.
    fn queues_visibility(&self) -> HealthFact {
        let (visibility, heartbeat) = (self.queue.visibility, self.habits.heartbeat);
        let detail = format!("the queue's own is {visibility:?}");
        let advice = format!(
            "raise it above {heartbeat:?}, our heartbeat: `run` names its own with each receive, but what others receive (by \
             hand, or a redrive) comes again before they are done"
        );
        let fact = judged("queue's visibility", visibility > heartbeat, HealthLevel::Warning, detail, &advice);
        fact.fixed_by(self.set("VisibilityTimeout", &(4 * heartbeat.as_secs()).to_string()))
    }

    fn retention(&self) -> HealthFact {
        let retention = self.queue.retention;
        let detail = format!("the queue keeps messages for {}", in_days(retention));
        let advice = "raise it to 7 days: a message that was not received until then is gone, and its objects are found by \
                      `backfill` only";
        let fact = judged("retention", retention >= RETENTION_MIN, HealthLevel::Warning, detail, advice);
        fact.fixed_by(self.set("MessageRetentionPeriod", &RETENTION_ADVISED.as_secs().to_string()))
    }

    fn no_redrive(&self) -> HealthFact {
        let fact = bad(
            "dead letters",
            HealthLevel::Warning,
            "the queue has no redrive policy",
            "add one with a dead-letter queue: a message that can't be handled comes again until its retention ends, and \
             then it is gone without a trace",
        );
        let Some(arn) = &self.queue.arn else { return fact };
        let dead_letters = arn.dead_letters();
        let policy = command::redrive_policy(&dead_letters.to_string(), self.receipts_advised());
        let (create, set) = (command::create_dead_letters(&dead_letters), self.set("RedrivePolicy", &policy));
        fact.fixed_by(format!("{create} && {set}"))
    }

    fn receipts_advised(&self) -> u32 {
        RECEIPTS_ADVISED.max(self.habits.fetch_attempts_max)
    }

    /// A receipt is also spent by each restart of a daemon and each crash, without any fault of the message.
    fn receipts(&self, redrive: &Redrive) -> HealthFact {
        let (receipts, attempts) = (redrive.receive_count_max, self.habits.fetch_attempts_max);
        let detail = format!("after {receipts} receipts, to {}", redrive.dead_letter_arn);
        let advice = format!(
            "raise maxReceiveCount to {attempts} (fetch_attempts_max) or more: each crash and each restart spends a receipt, \
             and messages that are in order become dead letters"
        );
        let fact = judged("dead letters", receipts >= attempts, HealthLevel::Warning, detail, &advice);
        let policy = command::redrive_policy(&redrive.dead_letter_arn, self.receipts_advised());
        fact.fixed_by(self.set("RedrivePolicy", &policy))
    }

    fn of_dead_letters(&self, redrive: &Redrive, dead_letters: &DeadLetters) -> Vec<HealthFact> {
        const NAME: &str = "dead letters' retention";
        match dead_letters {
            DeadLetters::Unknown { problem } => {
                let detail = format!("it can't be read: {problem}");
                let advice = "create the dead-letter queue, or grant sqs:GetQueueUrl and sqs:GetQueueAttributes on it";
                let fact = bad(NAME, HealthLevel::Warning, detail, advice);
                let absent = problem.contains("NonExistentQueue") || problem.contains("QueueDoesNotExist");
                match QueueArn::parse(&redrive.dead_letter_arn).filter(|_| absent) {
                    Some(arn) => vec![fact.fixed_by(command::create_dead_letters(&arn))],
                    None => vec![fact],
                }
            }
            DeadLetters::Known { url, attributes: dead } => {
                vec![self.dead_letter_retention(url, dead.retention), dead_letters_held(url, redrive, dead.backlog)]
            }
        }
    }

    /// SQS Developer Guide, "Dead-letter queues": a standard queue's message keeps its first enqueue time there.
    fn dead_letter_retention(&self, url: &str, dead: Duration) -> HealthFact {
        let queue = self.queue.retention;
        let fact = judged(
            "dead letters' retention",
            dead > queue,
            HealthLevel::Warning,
            format!("{}, the queue's is {}", in_days(dead), in_days(queue)),
            "make it the longer one (at most 14 days): a message's age counts from when it was first sent, so that it may be \
             gone before anyone looks",
        );
        // Beyond the longest there is none: then the queue's own must be the shorter one.
        fact.fixed_by(match queue < RETENTION_MAX {
            true => {
                let longest = RETENTION_MAX.as_secs().to_string();
                command::set_queue_attributes(self.region(), url, &[("MessageRetentionPeriod", &longest)])
            }
            false => self.set("MessageRetentionPeriod", &RETENTION_ADVISED.as_secs().to_string()),
        })
    }
}

fn dead_letters_held(url: &str, redrive: &Redrive, held: u64) -> HealthFact {
    let detail = match held {
        0 => "none waits".to_owned(),
        held => format!("{held} wait in {url}"),
    };
    let advice =
        "look at why (`failed list`, the log), then send them back to the queue: what was counted is not counted again";
    let fact = judged("dead letters held", held == 0, HealthLevel::Warning, detail, advice);
    let arn = &redrive.dead_letter_arn;
    let region = QueueArn::parse(arn).map(|arn| arn.region);
    fact.fixed_by(command::aws(region.as_deref(), &["sqs", "start-message-move-task", "--source-arn", arn]))
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
    const HABITS: Habits = Habits { heartbeat: Duration::from_secs(30), fetch_attempts_max: 4 };
    const VISIBILITY: Duration = Duration::from_secs(120);

    fn good_queue() -> QueueAttributes {
        QueueAttributes {
            visibility: Duration::from_secs(60),
            retention: 4 * DAY,
            arn: QueueArn::parse("arn:aws:sqs:us-east-1:1:q"),
            redrive: Some(Redrive { dead_letter_arn: "arn:aws:sqs:us-east-1:1:dead".into(), receive_count_max: 10 }),
            ..QueueAttributes::default()
        }
    }

    fn good_dead_letters() -> DeadLetters {
        let attributes = QueueAttributes { retention: 14 * DAY, ..QueueAttributes::default() };
        DeadLetters::Known {
            url: "https://sqs.us-east-1.amazonaws.com/1/dead".into(),
            attributes: Box::new(attributes),
        }
    }

    fn facts(
        queue: &QueueAttributes,
        dead_letters: Option<&DeadLetters>,
        habits: Habits,
        visibility: Duration,
    ) -> Vec<HealthFact> {
        Seen { url: "https://sqs.us-east-1.amazonaws.com/1/q", queue, dead_letters, habits, visibility }.facts()
    }

    fn warnings(queue: &QueueAttributes, dead_letters: Option<&DeadLetters>, habits: Habits) -> Vec<&'static str> {
        let facts = facts(queue, dead_letters, habits, VISIBILITY);
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
    #[case(|queue: &mut QueueAttributes| queue.kms_key = Some("alias/aws/sqs".into()), "queue's encryption")]
    #[case(|queue: &mut QueueAttributes| queue.kms_key = Some("1234abcd".into()), "queue's encryption")]
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
        let facts = facts(&good_queue(), Some(&good_dead_letters()), HABITS, Duration::from_secs(29));
        let bad: Vec<_> = facts.iter().filter(|fact| fact.level != HealthLevel::Ok).collect();
        assert_eq!(
            (bad.len(), bad[0].name, bad[0].fix.as_str()),
            (1, "visibility", "export XC2__SOURCE__VISIBILITY=120s")
        );
        let habits = Habits { fetch_attempts_max: 11, ..HABITS };
        assert_eq!(warnings(&good_queue(), Some(&good_dead_letters()), habits), ["dead letters"]);
    }

    /// The whole of the advice for a queue that keeps messages as long as it can is to keep them shorter.
    #[test]
    fn queue_whose_dead_letters_can_not_be_kept_longer_is_the_one_to_change() {
        let queue = QueueAttributes { retention: 14 * DAY, ..good_queue() };
        let facts = facts(&queue, Some(&good_dead_letters()), HABITS, VISIBILITY);
        let fact = facts.iter().find(|fact| fact.name == "dead letters' retention").unwrap();
        assert!(
            fact.fix.contains("amazonaws.com/1/q ") && fact.fix.ends_with("MessageRetentionPeriod=604800"),
            "{fact:?}"
        );
    }

    #[test]
    fn dead_letters_that_wait_are_told() {
        let DeadLetters::Known { url, attributes } = good_dead_letters() else { unreachable!() };
        let attributes = Box::new(QueueAttributes { backlog: 3, ..*attributes });
        let dead = DeadLetters::Known { url, attributes };
        assert_eq!(warnings(&good_queue(), Some(&dead), HABITS), ["dead letters held"]);
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
