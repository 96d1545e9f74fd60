//! Which dependencies are down. While one is, the poller receives nothing: what is held is kept and tried again, the
//! rest stays in the queue with its attempts unburned.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, error, info};

use super::tally::Tally;
pub use crate::model::Dependency;
use crate::telemetry::alert;

pub struct Outages {
    down: watch::Sender<BTreeMap<Dependency, Down>>,
    tally: Arc<Tally>,
}

struct Down {
    since: Instant,
    /// Of the first failure.
    problem: String,
}

impl Outages {
    pub fn new(tally: Arc<Tally>) -> Self {
        Self { down: watch::Sender::default(), tally }
    }

    /// What is down, for how long, and why.
    pub fn now(&self) -> Vec<(Dependency, Duration, String)> {
        let down = self.down.borrow();
        down.iter().map(|(dependency, down)| (*dependency, down.since.elapsed(), down.problem.clone())).collect()
    }

    /// Says so once for each outage, in the log and as an alert; each further attempt only to who asks for details.
    pub fn is_down(&self, dependency: Dependency, problem: &dyn fmt::Display) {
        let is_news = self.down.send_if_modified(|down| match down.entry(dependency) {
            Entry::Vacant(entry) => {
                entry.insert(Down { since: Instant::now(), problem: problem.to_string() });
                true
            }
            Entry::Occupied(_) => false,
        });
        if !is_news {
            debug!(%dependency, %problem, "{dependency} is still out of reach");
            return;
        }
        error!(%dependency, %problem, "{dependency} is out of reach: polling stops until it answers; nothing is lost");
        self.tally.outage(dependency, true);
        alert::outage(&dependency.to_string(), &problem.to_string());
    }

    pub fn is_up(&self, dependency: Dependency) {
        if self.down.borrow().is_empty() {
            return; // the usual case
        }
        let mut since = None;
        self.down.send_if_modified(|down| {
            since = down.remove(&dependency).map(|down| down.since);
            since.is_some()
        });
        if let Some(since) = since {
            self.tally.outage(dependency, false);
            info!(%dependency, seconds = since.elapsed().as_secs(), "{dependency} answers again");
        }
    }

    /// Whether nothing is down, except perhaps `dependency`.
    pub fn are_over_but(&self, dependency: Dependency) -> bool {
        is_well_but(dependency, &self.down.borrow())
    }

    /// Waits until nothing is down, except perhaps `dependency`.
    pub async fn over_but(&self, dependency: Dependency) {
        // The sender lives as long as `self`.
        let _ = self.down.subscribe().wait_for(|down| is_well_but(dependency, down)).await;
    }
}

fn is_well_but(dependency: Dependency, down: &BTreeMap<Dependency, Down>) -> bool {
    down.keys().all(|&other| other == dependency)
}
