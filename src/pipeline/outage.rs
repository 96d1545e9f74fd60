//! Which dependencies are down. While one is, the poller receives nothing: what is held is kept and tried again, the
//! rest stays in the queue with its attempts unburned.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

use tokio::sync::watch;
use tracing::{error, info};

use crate::telemetry::alert;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    Queue,
    Objects,
    Database,
    Metadata,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dependency::Queue => "queue",
            Dependency::Objects => "object storage",
            Dependency::Database => "database",
            Dependency::Metadata => "metadata",
        })
    }
}

pub struct Outages {
    down: Mutex<BTreeMap<Dependency, Instant>>,
    count: watch::Sender<usize>,
}

impl Outages {
    pub fn new() -> Self {
        Self { down: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// Says so once for each outage, in the log and as an alert.
    pub fn is_down(&self, dependency: Dependency, problem: &dyn fmt::Display) {
        let mut down = self.down.lock().expect("no panic while this lock is held");
        if down.contains_key(&dependency) {
            return;
        }
        down.insert(dependency, Instant::now());
        self.count.send_replace(down.len());
        error!(%dependency, %problem, "{dependency} is out of reach: polling stops until it answers; nothing is lost");
        alert::outage(&dependency.to_string(), &problem.to_string());
    }

    pub fn is_up(&self, dependency: Dependency) {
        if *self.count.borrow() == 0 {
            return; // the usual case, without a lock
        }
        let mut down = self.down.lock().expect("no panic while this lock is held");
        if let Some(since) = down.remove(&dependency) {
            self.count.send_replace(down.len());
            info!(%dependency, seconds = since.elapsed().as_secs(), "{dependency} answers again");
        }
    }

    /// Waits until nothing is down.
    pub async fn over(&self) {
        // The sender lives as long as `self`.
        let _ = self.count.subscribe().wait_for(|&count| count == 0).await;
    }
}
