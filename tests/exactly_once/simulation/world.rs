//! What everything in one schedule shares: the clock, chance, the log of events, and the list of what went wrong.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::bodies::{self, Made};
use super::scenario::{Dependency, Fault, Scenario, Upload};

pub struct World {
    pub scenario: Scenario,
    /// By object and upload.
    pub bodies: Vec<Vec<Made>>,
    begun: Instant,
    calm: AtomicBool,
    rng: Mutex<Rng>,
    numbers: AtomicU64,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    events: Vec<String>,
    hash: DefaultHasher,
    violations: Vec<String>,
    happened: BTreeMap<String, u64>,
    /// Events are kept, not only hashed.
    kept: bool,
}

impl World {
    /// `kept`: the events are wanted afterwards.
    pub fn new(scenario: &Scenario, kept: bool) -> World {
        let mut number = 0;
        let mut made = |upload: &Upload| {
            number += 1;
            bodies::make(number - 1, upload.content, scenario.seed)
        };
        World {
            bodies: scenario.objects.iter().map(|object| object.uploads.iter().map(&mut made).collect()).collect(),
            scenario: scenario.clone(),
            begun: Instant::now(),
            calm: AtomicBool::new(false),
            rng: Mutex::new(Rng::with_seed(!scenario.seed)),
            numbers: AtomicU64::new(0),
            log: Mutex::new(Log { kept, ..Log::default() }),
        }
    }

    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub async fn until(&self, time: Duration) {
        tokio::time::sleep_until(self.begun + time).await;
    }

    /// From here on nothing fails.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.say(|| "calm");
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Whether this call meets this fault.
    pub fn strikes(&self, fault: Fault) -> bool {
        let rate = self.scenario.faults.get(&fault).copied().unwrap_or(0);
        let strikes = !self.is_calm() && self.rng(|rng| rng.u32(0..1000)) < rate;
        if strikes {
            self.say(|| format!("{fault:?}"));
            self.happened(&format!("{fault:?}"));
        }
        strikes
    }

    pub fn is_out(&self, dependency: Dependency) -> bool {
        let now = self.now();
        let out = |outage: &super::scenario::Outage| outage.of == dependency && outage.from <= now && now < outage.till;
        !self.is_calm() && self.scenario.outages.iter().any(out)
    }

    pub fn rng<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap())
    }

    /// A number that was not given before.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The time that one message takes on the wire.
    pub async fn travel(&self) {
        let millis = self.rng(|rng| rng.u64(1..40));
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// A silence: mostly short, sometimes longer than anything waits.
    pub async fn stall(&self) {
        let seconds = self.rng(|rng| [1, 10, 60, 600][rng.usize(0..4)]);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub fn say<T: Display>(&self, event: impl FnOnce() -> T) {
        let line = format!("{:>9.3} {}", self.now().as_secs_f64(), event());
        let mut log = self.log.lock().unwrap();
        line.hash(&mut log.hash);
        if log.kept {
            log.events.push(line);
        }
    }

    /// Counts things of a kind.
    pub fn happened(&self, what: &str) {
        *self.log.lock().unwrap().happened.entry(what.to_owned()).or_default() += 1;
    }

    /// Something that must never happen, has.
    pub fn wrong(&self, what: impl Display) {
        self.say(|| format!("WRONG: {what}"));
        let at = self.now().as_secs_f64();
        self.log.lock().unwrap().violations.push(format!("at {at:.3} s: {what}"));
    }

    pub fn is_wrong(&self) -> bool {
        !self.log.lock().unwrap().violations.is_empty()
    }

    pub fn outcome(&self) -> Outcome {
        let log = self.log.lock().unwrap();
        Outcome {
            violations: log.violations.clone(),
            events: log.events.clone(),
            hash: log.hash.finish(),
            happened: log.happened.clone(),
            seconds: self.now().as_secs(),
        }
    }
}

/// What came of one schedule.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// None when all is well.
    pub violations: Vec<String>,
    pub events: Vec<String>,
    /// Of all events with their times.
    pub hash: u64,
    /// How often what happened.
    pub happened: BTreeMap<String, u64>,
    /// Simulated.
    pub seconds: u64,
}
