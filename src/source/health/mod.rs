//! What `check` finds out about the source: the queue, the buckets that announce on it, and ourselves.
//!
//! Each part is asked on its own, so that one that fails hides nothing of the others. Nothing is changed, received or
//! sent.

mod announced;
mod bucket;
mod clock;
mod folder;
mod identity;

use std::time::Duration;

use super::announcements::Announcements;
use super::arn::QueueArn;
use super::aws::{Aws, CallFailure};
use super::notification::Filter;
use super::policy::QueuePolicy;
use super::settings::{SourceSettings, SourceUrl};
use super::sqs::{QueueAttributes, SqsQueue};
use crate::model::health::{HealthFact, HealthLevel, bad};
pub(super) use clock::ServerClock;
use identity::Identity;

/// What of our own settings a source is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How often the visibility of a message is extended at least.
    pub heartbeat: Duration,
    /// How often an object that S3 refuses is asked for within one receipt.
    pub fetch_attempts_max: u32,
}

/// Longer than this nobody waits for one line.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// What the parts share.
struct Surroundings<'a> {
    url: &'a str,
    filter: &'a Filter,
    identity: Identity,
}

impl Surroundings<'_> {
    fn grant(&self, bucket: &str) -> String {
        self.identity.grant(&[bucket.to_owned()])
    }
}

/// Facts about the configured source. `buckets` are those that announce, beside the ones that the queue's policy names.
pub async fn health(settings: &SourceSettings, habits: Habits, buckets: &[String]) -> Vec<HealthFact> {
    let hurried = SourceSettings {
        connect_timeout: settings.connect_timeout.min(CALL_TIME_MAX),
        read_timeout: settings.read_timeout.min(CALL_TIME_MAX),
        ..settings.clone()
    };
    if let SourceUrl::Folder(_) = &settings.url {
        return vec![folder::fact(settings).await];
    }
    let clock = ServerClock::default();
    let aws = match Aws::load(&hurried).await {
        Ok(aws) => aws.watched_by(clock.clone()),
        Err(problem) => return vec![bad("source", HealthLevel::Failure, problem, "correct the AWS environment")],
    };
    let (identity, who) = Identity::of(&aws).await;
    let url = settings.url.to_string();
    let mut facts = vec![who];
    let around = Surroundings { url: &url, filter: &settings.filter, identity };
    match &settings.url {
        SourceUrl::Bucket { bucket, prefix } => {
            let filter = Filter { prefix: prefix.clone(), ..settings.filter.clone() };
            facts.extend(objects(&aws, &around, bucket, &filter).await);
        }
        _ => facts.extend(of_queue(&aws, &hurried, &around, habits, buckets).await),
    }
    facts.extend(clock.fact());
    facts
}

async fn of_queue(
    aws: &Aws,
    settings: &SourceSettings,
    around: &Surroundings<'_>,
    habits: Habits,
    buckets: &[String],
) -> Vec<HealthFact> {
    let mut facts = Vec::new();
    let attributes = match SqsQueue::open_at(aws, settings).await {
        Ok(queue) => {
            let (of_queue, attributes) = queue.health(habits).await;
            facts.extend(of_queue);
            attributes
        }
        Err(error) => {
            facts.push(queue_absent(settings, &aws.region(), &error.to_string()));
            None
        }
    };
    let arn = attributes.as_ref().and_then(|attributes| attributes.arn.clone());
    let Some(arn) = arn.or_else(|| QueueArn::of_url(&settings.url, &aws.region())) else { return facts };
    let policy = attributes.as_ref().map(|attributes| policy_of(attributes, &arn));
    let mut known = buckets.to_vec();
    if let Some(Ok(policy)) = &policy {
        known.extend(policy.buckets());
    }
    known.sort();
    known.dedup();
    match &policy {
        None => {}
        Some(Ok(policy)) => facts.push(announced::policy(around.url, &arn, policy, &known)),
        Some(Err(problem)) => {
            let detail = format!("it can't be understood: {problem}");
            facts.push(bad("queue's policy", HealthLevel::Warning, detail, "correct it"));
        }
    }
    if known.is_empty() {
        let detail = "which buckets announce on this queue is not known: its policy names none";
        facts.push(bad("bucket", HealthLevel::Warning, detail, "name them: xc2-analyzer check --bucket NAME"));
    }
    let policy = policy.and_then(Result::ok);
    for bucket in known {
        facts.extend(announcing(aws, around, &bucket, &arn, policy.as_ref()).await);
    }
    facts
}

fn policy_of(attributes: &QueueAttributes, arn: &QueueArn) -> Result<QueuePolicy, String> {
    match attributes.policy.as_deref() {
        None | Some("") => Ok(QueuePolicy::default()),
        Some(text) => QueuePolicy::parse(text, arn),
    }
}

fn queue_absent(settings: &SourceSettings, region: &str, problem: &str) -> HealthFact {
    let arn = QueueArn::of_url(&settings.url, region);
    let is_absent = problem.contains("NonExistentQueue") || problem.contains("QueueDoesNotExist");
    match arn.filter(|_| is_absent) {
        Some(arn) => bad("queue", HealthLevel::Failure, problem, "correct [source] url, or create the queue")
            .fixed_by(super::command::aws(Some(&arn.region), &["sqs", "create-queue", "--queue-name", &arn.name])),
        None => bad("queue", HealthLevel::Failure, problem, "correct [source] url, the network or the credentials"),
    }
}

async fn announcing(
    aws: &Aws,
    around: &Surroundings<'_>,
    bucket: &str,
    queue: &QueueArn,
    policy: Option<&QueuePolicy>,
) -> Vec<HealthFact> {
    let s3 = match aws.s3() {
        Ok(s3) => s3,
        Err(problem) => return vec![bad("bucket", HealthLevel::Failure, problem, "correct the AWS environment")],
    };
    let (announced, fact) = announced::notification(around, &s3, bucket, queue, policy).await;
    let mut facts = vec![fact];
    facts.extend(bucket::facts(around, &s3, bucket, &worth_reading(around.filter, announced.as_ref(), queue)).await);
    facts
}

/// Of an object that is counted: where our own filter says nothing, the bucket's does.
fn worth_reading(ours: &Filter, announced: Option<&Announcements>, queue: &QueueArn) -> Filter {
    let arn = queue.to_string();
    let entry = announced.and_then(|announced| announced.queues.iter().find(|entry| entry.to == arn));
    let Some(entry) = entry else { return ours.clone() };
    let or = |ours: &String, theirs: &String| if ours.is_empty() { theirs.clone() } else { ours.clone() };
    Filter {
        prefix: or(&ours.prefix, &entry.filter.prefix),
        suffix: or(&ours.suffix, &entry.filter.suffix),
        aside: ours.aside.clone(),
    }
}

async fn objects(aws: &Aws, around: &Surroundings<'_>, bucket: &str, filter: &Filter) -> Vec<HealthFact> {
    match aws.s3() {
        Ok(s3) => bucket::facts(around, &s3, bucket, filter).await,
        Err(problem) => vec![bad("bucket", HealthLevel::Failure, problem, "correct the AWS environment")],
    }
}

fn access_denied(failure: &CallFailure) -> bool {
    failure.code.as_deref().is_some_and(|code| code.contains("AccessDenied"))
}
