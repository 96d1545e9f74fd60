//! A bucket that keeps or replaces what is uploaded, answers late, fails, and is out of reach at times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use xc2_analyzer::model::{Generation, ObjectRef};
use xc2_analyzer::source::{Fetch, FetchError, Fetched};

use super::process::Process;
use super::scenario::{Access, Content, Dependency, Fault, Scenario};
use super::world::World;

pub const BUCKET: &str = "logs";

pub fn key(object: usize) -> String {
    format!("2024/k{object}.pkl.gz")
}

fn object_of(key: &str) -> Option<usize> {
    key.strip_prefix("2024/k")?.strip_suffix(".pkl.gz")?.parse().ok()
}

pub fn version_id(upload: usize) -> String {
    format!("v{upload}")
}

/// Whether some order of events lets this upload be counted.
pub fn can_be_counted(scenario: &Scenario, object: usize, upload: usize) -> bool {
    let plan = &scenario.objects[object];
    matches!(plan.access, Access::Granted | Access::Late { .. })
        && matches!(plan.uploads[upload].content, Content::Rows { .. })
}

/// As what this upload may be listed, when no other one of its key is in the way.
pub fn kinds(scenario: &Scenario, object: usize, upload: usize) -> Vec<&'static str> {
    let plan = &scenario.objects[object];
    let content = match plan.uploads[upload].content {
        Content::Rows { .. } => None,
        Content::MostlyBad => Some("rejects"),
        Content::Truncated => Some("gzip"),
        Content::NoRows => Some("pickle"),
        Content::TooLarge => Some("too_large"),
        Content::Unfit => Some("overflow"),
    };
    match plan.access {
        Access::Granted => Vec::from_iter(content),
        Access::Late { .. } => ["missing"].into_iter().chain(content).collect(),
        Access::Never => vec!["missing"],
        Access::Denied => vec!["denied"],
        Access::Archived | Access::Broken => vec!["unreachable"],
    }
}

/// What all processes read from.
pub struct Bucket {
    world: Arc<World>,
    /// Passing failures of one object alone, so far: fewer than what makes the pipeline give an object up.
    failures: Mutex<BTreeMap<usize, u32>>,
}

impl Bucket {
    pub fn new(world: Arc<World>) -> Bucket {
        Bucket { world, failures: Mutex::default() }
    }

    fn fails_alone(&self, object: usize) -> bool {
        // The beginning or end of an outage may look like one failure more.
        let most = self.world.scenario.settings.fetch_attempts_max - 2;
        let mut failures = self.failures.lock().unwrap();
        let so_far = failures.entry(object).or_default();
        let fails = *so_far < most && self.world.strikes(Fault::FetchFails);
        *so_far += u32::from(fails);
        fails
    }

    fn read(&self, asked: &ObjectRef, bytes_max: u64) -> Result<Fetched, FetchError> {
        let unavailable = |problem: &str| FetchError::Unavailable { problem: problem.to_owned() };
        if self.world.is_out(Dependency::Objects) {
            return Err(unavailable("no route to host"));
        }
        if self.world.strikes(Fault::FetchRefused) {
            return Err(FetchError::Refused { problem: "the token is no more".to_owned() });
        }
        let missing = || FetchError::Missing { problem: "NoSuchKey".to_owned() };
        let (Some(object), now) = (object_of(&asked.key), self.world.now()) else { return Err(missing()) };
        let Some(plan) = self.world.scenario.objects.get(object) else { return Err(missing()) };
        match plan.access {
            Access::Granted => {}
            Access::Late { until } if now >= until || self.world.is_calm() => {}
            Access::Late { .. } | Access::Never => return Err(missing()),
            Access::Denied => return Err(FetchError::Denied { problem: "AccessDenied".to_owned() }),
            Access::Archived => return Err(FetchError::Withheld { problem: "InvalidObjectState".to_owned() }),
            Access::Broken => return Err(unavailable("InternalError")),
        }
        if self.fails_alone(object) {
            return Err(unavailable("SlowDown"));
        }
        let upload = match &asked.announced.version_id {
            Some(version) if plan.versioned => {
                (0..plan.uploads.len()).find(|&upload| version_id(upload) == *version).ok_or_else(missing)?
            }
            _ => plan.uploads.iter().rposition(|upload| upload.at <= now).ok_or_else(missing)?,
        };
        let made = &self.world.bodies[object][upload];
        if let Some(announced) = asked.announced.etag.as_ref().filter(|announced| **announced != made.etag) {
            return Err(FetchError::Replaced { announced: announced.clone() });
        }
        let bytes = made.bytes.len() as u64;
        if bytes > bytes_max {
            return Err(FetchError::TooLarge { bytes, limit: bytes_max });
        }
        let generation = Generation {
            version_id: plan.versioned.then(|| version_id(upload)),
            etag: Some(made.etag.clone()),
            bytes,
            content_hash: Sha256::digest(&made.bytes).into(),
        };
        Ok(Fetched { body: made.bytes.clone(), generation })
    }
}

/// The bucket, as one process reaches it.
pub struct BucketClient {
    pub bucket: Arc<Bucket>,
    pub process: Arc<Process>,
}

#[async_trait]
impl Fetch for BucketClient {
    async fn fetch(&self, object: &ObjectRef, bytes_max: u64) -> Result<Fetched, FetchError> {
        let world = &self.bucket.world;
        self.process.thawed().await;
        world.travel().await;
        if world.strikes(Fault::FetchStalls) {
            world.stall().await;
        }
        let read = self.bucket.read(object, bytes_max);
        world.travel().await;
        self.process.thawed().await;
        if !matches!(read, Err(FetchError::Unavailable { .. })) {
            self.process.learns(Dependency::Objects, false);
        }
        world.say(|| {
            let outcome = read.as_ref().map(|fetched| fetched.generation.etag.clone().unwrap_or_default());
            format!("{} fetches {}: {outcome:?}", self.process, object.key)
        });
        read
    }

    async fn probe(&self, _bucket: &str) -> Result<(), FetchError> {
        let world = &self.bucket.world;
        self.process.thawed().await;
        world.travel().await;
        let out = world.is_out(Dependency::Objects);
        self.process.thawed().await;
        self.process.learns(Dependency::Objects, out);
        world.say(|| format!("{} probes the bucket: {}", self.process, if out { "silence" } else { "an answer" }));
        if out { Err(FetchError::Unavailable { problem: "no route to host".to_owned() }) } else { Ok(()) }
    }
}
