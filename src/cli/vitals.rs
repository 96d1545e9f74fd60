//! What the daemon tells of itself over HTTP: whether it lives, whether it is ready, and its metrics.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

use crate::pipeline::{Pulse, Shutdown, Tally};
use crate::source::Queue;
use crate::store::SqlStore;
use crate::telemetry::{Check, Exporter, Meter, Vitals, process};

/// What a step may last beyond its own bounds before `/livez` calls it stalled.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Checks that ask others are repeated no sooner.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// One of them takes no longer: who probes waits for some seconds only.
const CHECK_TIMEOUT: Duration = Duration::from_secs(4);

/// How often the queue is asked how much it holds, and metrics are tidied.
const SAMPLED_EVERY: Duration = Duration::from_secs(15);

pub struct Daemon {
    pub exporter: Exporter,
    pub tally: Arc<Tally>,
    pub pulse: Arc<Pulse>,
    pub store: Arc<SqlStore>,
    pub queue: Arc<dyn Queue>,
    pub shutdown: Shutdown,
    pub asked: Mutex<Option<(Instant, Vec<Check>)>>,
}

impl Daemon {
    /// Tidies the metrics, and, where somebody reads them, samples what nobody announces. Runs until it is dropped.
    pub async fn sample(self: Arc<Self>, asks_queue: bool) {
        let mut ticks = tokio::time::interval(SAMPLED_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.exporter.upkeep();
            if !asks_queue {
                continue;
            }
            let (waiting, in_flight) = match tokio::time::timeout(SAMPLED_EVERY, self.queue.depth()).await {
                Ok(Ok(Some(depth))) => (depth.waiting as f64, depth.in_flight as f64),
                Ok(Ok(None)) => (f64::NAN, f64::NAN),
                Ok(Err(error)) => {
                    debug!(%error, "the queue does not tell how much it holds");
                    (f64::NAN, f64::NAN)
                }
                Err(_) => (f64::NAN, f64::NAN),
            };
            self.meter().queue_messages_waiting.set((), waiting);
            self.meter().queue_messages_in_flight.set((), in_flight);
        }
    }

    fn meter(&self) -> &Meter {
        self.tally.meter()
    }

    /// The writer's own way: the schema's version, and a row that is written and rolled back.
    async fn database(&self) -> Check {
        let answer = tokio::time::timeout(CHECK_TIMEOUT, self.store.probe_write()).await;
        let problem = answer.map_or(Some(late()), |answer| answer.err().map(|error| error.to_string()));
        Check { name: "the database takes writes and its schema is known", problem }
    }

    async fn queue(&self) -> Check {
        let answer = tokio::time::timeout(CHECK_TIMEOUT, self.queue.depth()).await;
        let problem = answer.map_or(Some(late()), |answer| answer.err().map(|error| error.to_string()));
        Check { name: "the queue answers", problem }
    }

    /// What the pipeline has met and is waiting out.
    fn outages(&self) -> Check {
        let down = self.pulse.outages().into_iter().map(|(dependency, lasting, problem)| {
            format!("{dependency} has been out of reach for {} s: {problem}", lasting.as_secs())
        });
        let problem = Some(down.collect::<Vec<_>>().join("; ")).filter(|problem| !problem.is_empty());
        Check { name: "polling", problem }
    }

    async fn asked(&self) -> Vec<Check> {
        // Held meanwhile: of many who probe at once, one asks.
        let mut asked = self.asked.lock().await;
        if let Some((at, checks)) = asked.as_ref()
            && at.elapsed() < KEPT_FOR
        {
            return checks.clone();
        }
        let (database, queue) = tokio::join!(self.database(), self.queue());
        let checks = vec![database, queue];
        *asked = Some((Instant::now(), checks.clone()));
        checks
    }
}

fn late() -> String {
    format!("no answer within {} s", CHECK_TIMEOUT.as_secs())
}

#[async_trait]
impl Vitals for Daemon {
    fn alive(&self) -> Result<(), String> {
        match self.pulse.stalled(PATIENCE) {
            None => Ok(()),
            Some(stall) => Err(stall.to_string()),
        }
    }

    async fn ready(&self) -> Vec<Check> {
        if self.shutdown.is_stopping() {
            return vec![Check { name: "running", problem: Some("asked to stop: no new work is taken".to_owned()) }];
        }
        let mut checks = vec![self.outages()];
        checks.extend(self.asked().await);
        checks
    }

    fn metrics(&self) -> String {
        let (meter, held) = (self.meter(), self.pulse.in_flight());
        meter.deliveries_in_flight.set((), held.deliveries as f64);
        meter.objects_in_flight.set((), held.objects as f64);
        meter.oldest_in_flight_age.set((), held.oldest.as_secs_f64());
        meter.stalled.set((), f64::from(self.alive().is_err()));
        process::look(meter);
        self.exporter.render(meter)
    }
}
