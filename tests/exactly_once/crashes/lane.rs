//! One world after the other for one case after the other: emptied tables, a new queue, the same objects.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::Value;

use super::cases::{Action, Case, Ending, Provocation, provoked};
use super::until;
use crate::cloud::s3_event;
use crate::corpus::Corpus;
use crate::daemon::Daemon;
use crate::world::{Kind, World};

const SIGABRT: i32 = 6;
const TABLES: [&str; 8] = [
    "processed_object",
    "processed_object_day",
    "failed_object",
    "report_day",
    "report_ad",
    "report_ad_request",
    "report_demand",
    "report_media",
];
pub struct Lane<'a> {
    world: World,
    corpus: &'a Corpus,
    number: usize,
    /// Queues are never used twice: what an ended process asked for may still be answered.
    queues: usize,
}

/// One row of the printed table.
pub struct Outcome {
    case: String,
    ended: String,
    drained: Option<Duration>,
    objects: usize,
}

impl Outcome {
    pub const HEADER: &str =
        "point                      hit  action       the process          drained by a clean one in  objects  verdict";
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drained = self.drained.map_or("itself".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
        write!(f, "{}  {:<20} {drained:<26} {:>7}  exact", self.case, self.ended, self.objects)
    }
}

impl<'a> Lane<'a> {
    pub async fn new(corpus: &'a Corpus) -> Lane<'a> {
        static LANES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = LANES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut world = World::new(&format!("crashes-{number}"), Kind::MariaDb, corpus).await;
        // Little of everything at a time, so that all of it happens several times.
        for (variable, value) in [
            ("XC2__SOURCE__VISIBILITY", "3s"),
            ("XC2__SOURCE__DELIVERIES_MAX", "2"),
            ("XC2__SOURCE__BATCH_SIZE", "2"),
            ("XC2__SOURCE__BATCH_WAIT", "20ms"),
            ("XC2__STORE__MERGE_OBJECTS_MAX", "2"),
            ("XC2__STORE__UPSERT_ROWS", "4"),
            ("XC2__RUN__WORKERS", "2"),
        ] {
            world.set(variable, value);
        }
        world.upload(corpus).await;
        Lane { world, corpus, number, queues: 0 }
    }

    /// Runs one case and looks at everything; panics when something is not as it must be.
    pub async fn attack(&mut self, case: &Case) -> Outcome {
        self.begin().await;
        let mut daemon = self.start(&case.failpoint());
        let ended = self.meet(case, &mut daemon).await;
        let drained = match ended {
            Some(_) => {
                drop(daemon);
                self.look_at_the_first_commit(case).await;
                let began = Instant::now();
                let clean = self.start("");
                self.drain(clean).await;
                Some(began.elapsed())
            }
            None => {
                self.drain(daemon).await;
                None
            }
        };
        let settled = match case.ending() {
            Ending::ListsADefect => self.announce_the_defect_again().await,
            _ => 0,
        };
        self.verify(case, settled).await;
        let ended = ended.map_or("went on".to_owned(), |status| match status.signal() {
            Some(signal) => format!("died of signal {signal}"),
            None => format!("exited with {}", status.code().unwrap()),
        });
        Outcome { case: case.to_string(), ended, drained, objects: self.corpus.objects.len() }
    }

    /// How often each of these points is met when nothing is attacked.
    pub async fn note(&mut self, points: &[&str], by: Provocation) -> BTreeMap<String, u64> {
        self.begin().await;
        let notes: Vec<String> = points.iter().map(|point| format!("{point}=return(note)")).collect();
        let mut daemon = self.start(&notes.join(";"));
        match by {
            Provocation::Nothing => self.drain(daemon).await,
            Provocation::SlowDatabase => {
                let lock = self.lock_a_table().await;
                let enough = || async { points.iter().all(|point| self.met(point).len() >= 3) };
                self.world.until(&mut daemon, "enough heartbeats", enough).await;
                lock.disconnect().await.unwrap();
                self.drain(daemon).await;
            }
            Provocation::Stop => {
                let lock = self.lock_a_table().await;
                self.world.until(&mut daemon, "a delivery that is held", || self.is_held()).await;
                daemon.stop().await;
                lock.disconnect().await.unwrap();
            }
        }
        let mut met = BTreeMap::new();
        self.met("").into_iter().for_each(|(point, _)| *met.entry(point).or_default() += 1);
        met
    }

    async fn begin(&mut self) {
        for table in TABLES {
            self.world.database.execute(&format!("DELETE FROM {table}")).await;
        }
        let log = self.world.dir.path().join("daemon.log");
        if log.exists() {
            std::fs::remove_file(log).unwrap();
        }
        self.queues += 1;
        // By the bucket, which no other lane of this process has.
        let name = format!("{}-{}", self.world.cloud.bucket, self.queues);
        self.world.cloud.renew_queue(&name).await;
        self.world.set("XC2__SOURCE__URL", &self.world.cloud.queue_url.clone());
        for message in self.messages() {
            self.world.cloud.send(&message).await;
        }
    }

    /// Several objects in a message, several messages of an object, broken ones among them, and nothing to count.
    fn messages(&self) -> Vec<String> {
        let honest: Vec<&str> = self.corpus.counted().keys().map(String::as_str).collect();
        let broken: Vec<&str> = self.corpus.failed().keys().map(String::as_str).collect();
        let [a, b, c, d, e, f, g, h] = honest[..] else { panic!("8 honest objects") };
        let [x, y, z] = broken[..] else { panic!("3 broken objects") };
        let mut messages: Vec<String> = [&[a, b, x][..], &[c, d], &[a], &[e, y], &[f, c, g], &[x], &[h], &[z]]
            .iter()
            .map(|keys| s3_event(&self.world.cloud.bucket, keys))
            .collect();
        messages.push(serde_json::json!({"Event": "s3:TestEvent", "Service": "Amazon S3"}).to_string());
        messages
    }

    fn start(&mut self, failpoints: &str) -> Daemon {
        self.world.set("FAILPOINTS", failpoints);
        self.world.set("XC2__RUN__SHUTDOWN_GRACE", if failpoints.contains("release") { "1500ms" } else { "20s" });
        self.world.daemon()
    }

    /// Waits until the process has met the point and borne its consequences. `None` when it goes on, and it must.
    async fn meet(&self, case: &Case, daemon: &mut Daemon) -> Option<ExitStatus> {
        let by = provoked(case.point);
        let lock = if by == Provocation::Nothing { None } else { Some(self.lock_a_table().await) };
        if by == Provocation::Stop {
            self.world.until(daemon, "a delivery that is held", || self.is_held()).await;
            daemon.signal("TERM");
        }
        let goes_on = matches!(case.ending(), Ending::GoesOn | Ending::ListsADefect);
        let mut status = None;
        let met = async || {
            status = daemon.status();
            status.is_some() || goes_on && !self.met(case.point.name).is_empty()
        };
        until("the point", met).await;
        if let Some(lock) = lock {
            lock.disconnect().await.unwrap();
        }
        let met = self.met(case.point.name);
        assert_eq!(met, [(case.point.name.to_owned(), case.action.word().to_owned())], "{}", daemon.log());
        match (case.ending(), status) {
            (Ending::Killed, Some(status)) => assert_eq!(status.signal(), Some(SIGABRT)),
            (Ending::Fails, Some(status)) => {
                assert!(status.code().is_some_and(|code| code > 0), "{status}");
                assert!(self.says(&format!("failpoint {}", case.point.name)), "no reason in the log: {}", daemon.log());
            }
            (Ending::Stops, Some(status)) => assert_eq!(status.code(), Some(0)),
            (Ending::GoesOn | Ending::ListsADefect, None) => {}
            (wanted, found) => panic!("{wanted:?} was to come, and not {found:?}\n{}", daemon.log()),
        }
        status
    }

    /// The points around COMMIT lie where their names say: what was sent is done, though nobody heard of it.
    async fn look_at_the_first_commit(&self, case: &Case) {
        let counted = async || self.world.database.number("SELECT COUNT(*) FROM processed_object").await;
        match (case.point.name, case.hit, case.action) {
            ("commit.send.before", 1, _) => assert_eq!(counted().await, 0, "nothing was sent"),
            ("commit.sent" | "commit.answered", 1, Action::Abort) => {
                until("a commit that nobody heard of", async || counted().await > 0).await;
            }
            _ => {}
        }
    }

    /// Keeps every commit waiting until the connection ends.
    async fn lock_a_table(&self) -> mysql_async::Conn {
        let mut lock = mysql_async::Conn::from_url(self.world.database.url()).await.unwrap();
        lock.query_drop("LOCK TABLES report_day WRITE").await.unwrap();
        lock
    }

    async fn is_held(&self) -> bool {
        self.world.cloud.queue_depth().await.1 > 0
    }

    /// Lets a process finish everything, and stops it.
    async fn drain(&self, mut daemon: Daemon) {
        self.world.until_queue_is_empty(&mut daemon).await;
        let status = daemon.stop().await;
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// The panic of a decoder is listed, and not counted. Once the defect is mended, the object is announced again.
    /// Returns how many listings that settles: none, when the object is one of the broken ones.
    async fn announce_the_defect_again(&self) -> u64 {
        let log = self.log();
        let listed = |line: &&Value| line["message"] == "object listed as failed" && line["kind"] == "defect";
        let defects: Vec<&str> = log.iter().filter(listed).filter_map(|line| line["key"].as_str()).collect();
        let [defect] = defects[..] else { panic!("one object met our defect: {defects:?}") };
        // Not open any more: another message of it came later.
        let open = "SELECT object_key FROM failed_object WHERE kind = 'defect' AND state = 'open'";
        if self.world.database.rows(open).await == [[defect]] {
            self.world.cloud.send(&s3_event(&self.world.cloud.bucket, &[defect])).await;
            self.drain(self.world.daemon()).await;
        }
        u64::from(self.corpus.counted().contains_key(defect))
    }

    async fn verify(&self, case: &Case, settled: u64) {
        let World { database, cloud, .. } = &self.world;
        database.assert_equals(self.corpus).await;
        assert_eq!(cloud.queue_depth().await, (0, 0), "nothing is pending");
        self.world.must(&["audit"]);
        let both = "SELECT COUNT(*) FROM failed_object JOIN processed_object USING (object_id) WHERE state = 'open'";
        assert_eq!(database.number(both).await, 0, "objects that are counted and listed as failed");
        let listed = database.number("SELECT COUNT(*) FROM failed_object WHERE state = 'open'").await;
        assert_eq!(listed, self.corpus.failed().len() as u64, "only what is broken is listed");
        let resolved = database.number("SELECT COUNT(*) FROM failed_object WHERE state <> 'open'").await;
        assert_eq!(resolved, settled, "only a defect was ever listed in error");
        if let (Ending::GoesOn | Ending::Stops, true) = (case.ending(), !case.point.faults.is_empty()) {
            let problem = format!("failpoint {}: {}", case.point.name, case.action.word());
            assert!(self.says(&problem), "an error that was got over is not in the log: {problem}");
        }
    }

    /// The points that were met, with what happened there: those of this name, or all.
    fn met(&self, name: &str) -> Vec<(String, String)> {
        let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        self.log()
            .iter()
            .filter(|line| line["message"] == "failpoint" && (name.is_empty() || line["point"] == name))
            .map(|line| (text(line, "point"), text(line, "action")))
            .collect()
    }

    /// What the processes of this case said.
    fn log(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.world.dir.path().join("daemon.log")).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn says(&self, words: &str) -> bool {
        self.world.log_says(words)
    }
}
