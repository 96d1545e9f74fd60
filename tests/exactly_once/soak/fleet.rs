//! The replicas of a soak: one to four, started, stopped, killed and frozen at random.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use super::Stage;
use crate::daemon::Daemon;

pub const REPLICAS_MAX: usize = 4;

struct Replica {
    daemon: Daemon,
    folder: PathBuf,
    frozen: bool,
}

/// Words of a log that are counted, and what they are called in the report.
const COUNTED: [(&str, &str); 7] = [
    ("\"object counted\"", "objects counted"),
    ("object had been counted before", "found to be counted"),
    ("(error 1213)", "deadlocks"),
    ("(error 1205)", "lock waits given up"),
    ("polling stops until it answers", "outages"),
    ("delivery is no longer hidden", "deliveries let go of"),
    ("not acknowledged: these messages", "acknowledgements given up"),
];

#[derive(Default)]
struct Counts {
    log: BTreeMap<&'static str, usize>,
    /// Resident memory of any one process at its height, in KiB.
    memory_max: u64,
}

pub struct Fleet {
    stage: Arc<Stage>,
    replicas: Vec<Replica>,
    counts: Arc<Mutex<Counts>>,
    stopping: JoinSet<()>,
    started: u64,
    killed: u64,
    stopped: u64,
    frozen: u64,
    /// Ended by themselves before their work began, because the database was away: for the service manager to start
    /// again.
    refused: u64,
}

impl Fleet {
    pub fn new(stage: Arc<Stage>) -> Fleet {
        Fleet {
            stage,
            replicas: Vec::new(),
            counts: Arc::default(),
            stopping: JoinSet::new(),
            started: 0,
            killed: 0,
            stopped: 0,
            frozen: 0,
            refused: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.replicas.len()
    }

    pub fn start(&mut self) {
        self.started += 1;
        let folder = self.stage.world.dir.path().join(format!("replica-{}", self.started));
        std::fs::create_dir(&folder).unwrap();
        let daemon = self.stage.world.daemon_in(&folder);
        self.replicas.push(Replica { daemon, folder, frozen: false });
    }

    pub fn kill(&mut self, at: usize) {
        self.killed += 1;
        let replica = self.replicas.swap_remove(at);
        self.measure_memory(&replica);
        let log = replica.daemon.log();
        replica.daemon.kill();
        bury(&self.counts, &replica.folder, &log);
    }

    /// Tells one to stop; it must do so in order.
    pub fn stop(&mut self, at: usize) {
        if self.replicas[at].frozen {
            return;
        }
        self.stopped += 1;
        let replica = self.replicas.swap_remove(at);
        self.measure_memory(&replica);
        let counts = self.counts.clone();
        self.stopping.spawn(async move {
            let Replica { daemon, folder, .. } = replica;
            daemon.signal("TERM");
            let status = daemon.ended(Duration::from_secs(60)).await;
            let log = std::fs::read_to_string(folder.join("daemon.log")).unwrap();
            // One that was told before it listened to signals ends by the signal itself; one that met an outage at its
            // start says so and ends.
            assert!(status.code() == Some(0) || !has_begun(&log), "{status}\n{log}");
            bury(&counts, &folder, &log);
        });
    }

    /// Stops the clock of one: its deliveries show again, its transaction stays open, and then it goes on.
    pub fn freeze(&mut self, at: usize) {
        if !self.replicas[at].frozen {
            self.frozen += 1;
            self.replicas[at].frozen = true;
            self.replicas[at].daemon.signal("STOP");
        }
    }

    pub fn thaw_all(&mut self) {
        for replica in self.replicas.iter_mut().filter(|replica| replica.frozen) {
            replica.frozen = false;
            replica.daemon.signal("CONT");
        }
    }

    /// Nobody may end by himself once he has begun to work.
    pub fn look(&mut self) {
        while let Some(stopped) = self.stopping.try_join_next() {
            stopped.expect("an orderly stop");
        }
        for at in (0..self.replicas.len()).rev() {
            self.measure_memory(&self.replicas[at]);
            if !self.replicas[at].daemon.is_running() {
                let replica = self.replicas.swap_remove(at);
                let log = replica.daemon.log();
                assert!(!has_begun(&log), "a daemon ended by itself\n{log}");
                self.refused += 1;
                bury(&self.counts, &replica.folder, &log);
            }
        }
    }

    /// Somebody who meets an outage at his start ends, and another takes his place.
    pub fn keep_two_at_work(&mut self) {
        self.thaw_all();
        self.look();
        while self.replicas.len() < 2 {
            self.start();
        }
    }

    fn measure_memory(&self, replica: &Replica) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", replica.daemon.pid())).unwrap_or_default();
        let height =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")?.trim().parse().ok());
        let mut counts = self.counts.lock().unwrap();
        counts.memory_max = counts.memory_max.max(height.unwrap_or(0));
    }

    pub async fn stop_all(&mut self) {
        self.look();
        self.thaw_all();
        while !self.replicas.is_empty() {
            self.stop(0);
        }
        while let Some(stopped) = self.stopping.join_next().await {
            stopped.expect("an orderly stop");
        }
    }

    pub fn logs(&self) -> String {
        let tail = |replica: &Replica| {
            let log = replica.daemon.log();
            let lines: Vec<&str> = log.lines().collect();
            lines[lines.len().saturating_sub(30)..].join("\n")
        };
        self.replicas.iter().map(tail).collect::<Vec<_>>().join("\n---\n")
    }

    pub fn told(&self) -> String {
        let memory = self.counts.lock().unwrap().memory_max / 1024;
        format!(
            "{} replicas at work; {} started, {} killed, {} stopped, {} frozen, at most {memory} MiB",
            self.replicas.len(),
            self.started,
            self.killed,
            self.stopped,
            self.frozen
        )
    }

    pub fn report(&self) -> String {
        let counts = self.counts.lock().unwrap();
        let log = COUNTED.map(|(_, name)| format!("{name} {}", counts.log.get(name).copied().unwrap_or(0))).join(", ");
        format!(
            "replicas       {} started, {} killed with -9, {} stopped in order, {} frozen, {} did not begin\n\
             their logs say {log}\n\
             memory         no process held more than {} MiB",
            self.started,
            self.killed,
            self.stopped,
            self.frozen,
            self.refused,
            counts.memory_max / 1024
        )
    }
}

fn has_begun(log: &str) -> bool {
    log.contains("\"message\":\"metadata read\"")
}

/// Counts what a process said, and removes it.
fn bury(counts: &Mutex<Counts>, folder: &std::path::Path, log: &str) {
    assert!(!log.contains("panicked"), "a panic\n{log}");
    let mut counts = counts.lock().unwrap();
    for (words, name) in COUNTED {
        *counts.log.entry(name).or_default() += log.matches(words).count();
    }
    std::fs::remove_dir_all(folder).unwrap();
}
