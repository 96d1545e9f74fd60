//! One test's own bucket, queue, database and folder, and the daemon between them.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cloud::Cloud;
use crate::corpus::Corpus;
use crate::daemon::{self, Daemon};
use crate::database::Database;
use crate::mariadb::MariaDb;
use crate::moto;

pub struct World {
    pub cloud: Cloud,
    pub database: Database,
    pub dir: TempDir,
    settings: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MariaDb,
    Sqlite,
}

impl World {
    /// With migrated tables and the corpus's metadata.
    pub async fn new(name: &str, kind: Kind, corpus: &Corpus) -> World {
        let dir = tempfile::tempdir().unwrap();
        let database = match kind {
            Kind::MariaDb => in_server(MariaDb::shared()).await,
            Kind::Sqlite => Database::Sqlite { path: dir.path().join("xc2.db") },
        };
        Self::with(name, dir, database, corpus).await
    }

    /// With a database server of its own, to be killed.
    pub async fn with_server(name: &str, server: &MariaDb, corpus: &Corpus) -> World {
        Self::with(name, tempfile::tempdir().unwrap(), in_server(server).await, corpus).await
    }

    async fn with(name: &str, dir: TempDir, database: Database, corpus: &Corpus) -> World {
        let cloud = Cloud::new(name).await;
        let mut world = World { cloud, database, dir, settings: Vec::new() };
        world.set("XC2__SOURCE__URL", &world.cloud.queue_url.clone());
        world.set("XC2__STORE__URL", &world.database.url());
        world.set("XC2__SOURCE__LONG_POLL", "1s");
        world.set("XC2__SOURCE__BATCH_WAIT", "100ms");
        world.set("XC2__TELEMETRY__FORMAT", "json");
        for (variable, value) in moto::server().environment() {
            world.set(variable, &value);
        }
        world.must(&["migrate"]);
        world.database.insert_metadata(&corpus.metadata).await;
        world
    }

    pub fn set(&mut self, variable: &str, value: &str) {
        self.settings.retain(|(known, _)| known != variable);
        self.settings.push((variable.to_owned(), value.to_owned()));
    }

    /// What its commands find in their environment.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    pub fn daemon(&self) -> Daemon {
        Daemon::start(self.dir.path(), &self.settings)
    }

    /// One of several, with a folder and a log of its own.
    pub fn daemon_in(&self, dir: &std::path::Path) -> Daemon {
        Daemon::start(dir, &self.settings)
    }

    /// A command that is not waited for.
    pub fn started(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = daemon::command(self.dir.path(), &self.settings);
        let (stdout, stderr) = (std::process::Stdio::piped(), std::process::Stdio::piped());
        command.args(arguments).stdout(stdout).stderr(stderr).spawn().unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        daemon::command(self.dir.path(), &self.settings).args(arguments).output().unwrap()
    }

    /// A line for the shell, in the environment that commands of this world have.
    pub fn shell(&self, line: &str) -> std::process::Command {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", line]).current_dir(self.dir.path()).env_clear().envs(self.settings.iter().cloned());
        shell
    }

    /// A command that goes on while the test does.
    pub fn start(&self, arguments: &[&str], output: std::process::Stdio) -> std::process::Child {
        let mut command = daemon::command(self.dir.path(), &self.settings);
        command.args(arguments).stdout(output).stderr(std::process::Stdio::null()).spawn().unwrap()
    }

    /// Standard output of a command that succeeds.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Uploads everything; S3 announces each object.
    pub async fn upload(&self, corpus: &Corpus) {
        for (key, body) in &corpus.objects {
            self.cloud.upload(key, body).await;
        }
    }

    pub fn log_says(&self, words: &str) -> bool {
        std::fs::read_to_string(self.dir.path().join("daemon.log")).unwrap().contains(words)
    }

    /// Objects that are in the ledger or listed as failed.
    pub async fn terminal(&self) -> u64 {
        let counted = self.database.number("SELECT COUNT(*) FROM processed_object").await;
        counted + self.database.number("SELECT COUNT(*) FROM failed_object").await
    }

    /// Waits until a condition of the outside world holds: it can only be asked, not awaited.
    pub async fn until<F: Future<Output = bool>>(&self, daemon: &mut Daemon, what: &str, holds: impl Fn() -> F) {
        const PATIENCE: Duration = Duration::from_secs(240);
        let began = Instant::now();
        while !holds().await {
            assert!(daemon.is_running(), "the daemon ended before {what}\n{}", daemon.log());
            assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}\n{}", daemon.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a daemon that was asked to stop has ended, and well.
    pub async fn until_ended(&self, daemon: &mut Daemon) {
        let began = Instant::now();
        let status = loop {
            match daemon.status() {
                Some(status) => break status,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            assert!(began.elapsed() < Duration::from_secs(60), "the daemon does not end\n{}", daemon.log());
        };
        assert!(status.success(), "{status}\n{}", daemon.log());
    }

    /// Waits until the queue holds no message, visible or not.
    pub async fn until_queue_is_empty(&self, daemon: &mut Daemon) {
        // The emulator answers one request at a time: who asks too often keeps it from its work.
        const PAUSE: Duration = Duration::from_millis(60);
        let is_empty = async || {
            tokio::time::sleep(PAUSE).await;
            self.cloud.queue_depth().await == (0, 0)
        };
        self.until(daemon, "an empty queue", is_empty).await;
    }
}

async fn in_server(server: &MariaDb) -> Database {
    Database::MariaDb { url: server.url(&server.database().await) }
}
