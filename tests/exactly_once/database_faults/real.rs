//! The conditions themselves, brought about in a real server, in the middle of a transaction that waits at a gate.

use std::sync::Arc;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::cases::{Case, Found, run_all};
use crate::corpus::Corpus;
use crate::daemon::Daemon;
use crate::is_full;
use crate::mariadb::MariaDb;
use crate::mysql_proxy::{Fault, MySqlProxy, Step, nth};
use crate::wire::{Door, Gate};
use crate::wire_faults::{drain, hurry, receipts_max};
use crate::world::{Kind, World};

/// A world behind a wire whose `step` waits at a gate.
struct Scene {
    world: World,
    corpus: Arc<Corpus>,
    proxy: MySqlProxy,
    gate: Arc<Gate>,
}

impl Scene {
    /// In the server that all tests share.
    async fn new(name: &str, corpus: &Arc<Corpus>) -> Scene {
        Self::at(World::new(name, Kind::MariaDb, corpus).await, MariaDb::shared(), corpus)
    }

    /// In a server of its own, as a user like any other: an administrator may write to a read-only server.
    async fn with_server(name: &str, server: &MariaDb, corpus: &Arc<Corpus>) -> Scene {
        let world = World::with_server(name, server, corpus).await;
        server.run("CREATE USER IF NOT EXISTS xc2").await;
        server.run("GRANT ALL ON *.* TO xc2").await;
        server.run("REVOKE SUPER, READ_ONLY ADMIN, CONNECTION ADMIN ON *.* FROM xc2").await;
        Self::at(world, server, corpus)
    }

    fn at(mut world: World, server: &MariaDb, corpus: &Arc<Corpus>) -> Scene {
        hurry(&mut world);
        // A transaction waits at a gate for as long, and for a lock half of it.
        world.set("XC2__STORE__STATEMENT_TIMEOUT", "10s");
        let proxy = MySqlProxy::start(server.port);
        let user = if std::ptr::eq(server, MariaDb::shared()) { "root@" } else { "xc2@" };
        world.set("XC2__STORE__URL", &proxy.url(&world.database.url()).replace("root@", user));
        Scene { world, corpus: corpus.clone(), proxy, gate: Gate::new() }
    }

    /// Everything is uploaded, and the `n`th `step` of the daemon waits.
    async fn held_at(&self, step: Step, n: u32) -> Daemon {
        self.proxy.script(nth(step, n, 1, Fault::Hold(self.gate.clone())));
        self.world.upload(&self.corpus).await;
        let daemon = self.world.daemon();
        self.gate.reached().await;
        daemon
    }

    async fn until_log_says(&self, daemon: &mut Daemon, words: &str) {
        self.world.until(daemon, words, async || self.world.log_says(words)).await;
    }

    async fn until_server_said(&self, daemon: &mut Daemon, code: u16) {
        self.world.until(daemon, "the server's error", async || self.proxy.server_errors(code) > 0).await;
    }

    /// Exactly what was to be counted is counted, nothing is listed, and no attempt was burned.
    async fn concluded(self, daemon: Daemon, injected: usize) -> Found {
        let log = drain(&self.world, daemon).await;
        assert_eq!(self.world.database.rows("SELECT object_key, kind, reason FROM failed_object").await, [[""; 3]; 0]);
        self.world.must(&["audit"]);
        self.world.database.assert_equals(&self.corpus).await;
        assert_eq!(receipts_max(&log), 1, "an outage burns no attempt");
        let outages = log.matches("polling stops until it answers").count();
        let conflicts = log.matches("rolled back; trying again").count();
        Found { injected, outcome: format!("outages {outages}, conflicts {conflicts}") }
    }

    /// Another client of the same database.
    async fn other(&self) -> Conn {
        Conn::from_url(self.world.database.url()).await.unwrap()
    }

    /// The server's number of the daemon's connection that is in a transaction.
    async fn connection_in_transaction(&self) -> u64 {
        let database = self.world.database.url();
        let database = database.rsplit('/').next().unwrap();
        let sql = format!(
            "SELECT t.trx_mysql_thread_id FROM information_schema.innodb_trx t JOIN information_schema.processlist p
             ON p.id = t.trx_mysql_thread_id WHERE p.db = '{database}' AND t.trx_rows_modified > 0"
        );
        self.world.database.number(&sql).await
    }
}

fn corpus() -> Arc<Corpus> {
    Arc::new(Corpus::make(&["--seed", "72", "--files", "5", "--rows", "40", "--no-broken"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn condition_of_a_session_is_waited_out() {
    let corpus = corpus();
    let mut cases = vec![
        Case::new("lock wait", "upsert", lock_wait(corpus.clone())),
        Case::new("deadlock", "upsert", deadlock(corpus.clone())),
        Case::new("KILL CONNECTION", "upsert", killed("CONNECTION", Step::Upsert, corpus.clone())),
        Case::new("metadata emptied and filled", "in mid-run", metadata_emptied(corpus.clone())),
    ];
    if is_full() {
        cases.push(Case::new("KILL CONNECTION", "commit", killed("CONNECTION", Step::Commit, corpus.clone())));
        cases.push(Case::new("KILL QUERY", "lock wait of an upsert", kill_query(corpus.clone())));
        cases.push(Case::new("metadata dropped and restored", "in mid-run", metadata_dropped(corpus.clone())));
    }
    run_all("real conditions of a session", cases).await;
}

/// Another transaction keeps the rows of a report for longer than ours waits.
async fn lock_wait(corpus: Arc<Corpus>) -> Found {
    let scene = Scene::new("db-lock-wait", &corpus).await;
    let mut daemon = scene.held_at(Step::Commit, 1).await;
    let mut other = scene.other().await;
    other.query_drop("BEGIN").await.unwrap();
    // Every key there is or could be, once the first transaction has let go of its own.
    scene.gate.let_go();
    other.query_drop("SELECT COUNT(*) FROM report_media FOR UPDATE").await.unwrap();
    other.query_drop("UPDATE report_media SET clicks = clicks + 0").await.unwrap();
    scene.until_server_said(&mut daemon, 1205).await;
    other.query_drop("ROLLBACK").await.unwrap();
    let waits = scene.proxy.server_errors(1205) as usize;
    scene.concluded(daemon, waits).await
}

/// Another transaction holds what ours wants next, and wants what ours holds; ours is the smaller one, and is undone.
async fn deadlock(corpus: Arc<Corpus>) -> Found {
    let scene = Scene::new("db-deadlock", &corpus).await;
    let mut other = scene.other().await;
    other.query_drop("CREATE TABLE ballast (id INT PRIMARY KEY)").await.unwrap();
    // Reports are written in their order; the last one of them is the other's first.
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("INSERT INTO ballast SELECT seq FROM seq_1_to_20000").await.unwrap();
    other.query_drop("SELECT * FROM report_day FOR UPDATE").await.unwrap();
    other
        .query_drop(
            "INSERT INTO report_day SELECT '2000-01-01' + INTERVAL seq DAY, NOW(), NOW(), 0, 0 FROM seq_0_to_20000",
        )
        .await
        .unwrap();
    let mut daemon = scene.held_at(Step::ReportDay, 1).await;
    scene.gate.let_go();
    // Ours waits for the other's rows now, or is about to: whoever closes the circle, the smaller one is undone.
    other.query_drop("DELETE FROM report_ad").await.unwrap();
    other.query_drop("ROLLBACK").await.unwrap();
    scene.until_server_said(&mut daemon, 1213).await;
    other.query_drop("DROP TABLE ballast").await.unwrap();
    let deadlocks = scene.proxy.server_errors(1213) as usize;
    scene.concluded(daemon, deadlocks).await
}

async fn killed(what: &str, step: Step, corpus: Arc<Corpus>) -> Found {
    let scene = Scene::new(&format!("db-kill-{what}-{step:?}").to_lowercase(), &corpus).await;
    let daemon = scene.held_at(step, 2).await;
    let number = scene.connection_in_transaction().await;
    scene.world.database.execute(&format!("KILL {what} {number}")).await;
    scene.gate.let_go();
    scene.concluded(daemon, 1).await
}

/// The statement is interrupted while it waits for a lock; the transaction is still open.
async fn kill_query(corpus: Arc<Corpus>) -> Found {
    let scene = Scene::new("db-kill-query", &corpus).await;
    scene.world.database.execute("INSERT INTO report_day VALUES ('2024-06-10', NOW(), NOW(), 0, 0)").await;
    let mut other = scene.other().await;
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("INSERT INTO report_day SELECT '2000-01-01' + INTERVAL seq DAY, NOW(), NOW(), 0, 0 FROM seq_0_to_20000 ON DUPLICATE KEY UPDATE objects = objects").await.unwrap();
    let mut daemon = scene.held_at(Step::ReportDay, 1).await;
    let number = scene.connection_in_transaction().await;
    scene.gate.let_go();
    let waits = format!(
        "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = {number} AND trx_state = 'LOCK WAIT'"
    );
    scene.world.until(&mut daemon, "the lock wait", async || scene.world.database.number(&waits).await == 1).await;
    other.query_drop(format!("KILL QUERY {number}")).await.unwrap();
    scene.until_server_said(&mut daemon, 1317).await;
    other.query_drop("ROLLBACK").await.unwrap();
    scene.world.database.execute("DELETE FROM report_day WHERE objects = 0").await;
    let kills = scene.proxy.server_errors(1317) as usize;
    scene.concluded(daemon, kills).await
}

/// Somebody reloads the media: for a while there are none.
async fn metadata_emptied(corpus: Arc<Corpus>) -> Found {
    reloaded(corpus, "db-metadata-emptied", "DELETE FROM media", "INSERT INTO media SELECT * FROM media_kept").await
}

async fn metadata_dropped(corpus: Arc<Corpus>) -> Found {
    reloaded(
        corpus,
        "db-metadata-dropped",
        "DROP TABLE inventory",
        "CREATE TABLE inventory AS SELECT * FROM inventory_kept",
    )
    .await
}

async fn reloaded(corpus: Arc<Corpus>, name: &str, goes: &str, comes: &str) -> Found {
    let scene = Scene::new(name, &corpus).await;
    for table in ["media", "inventory"] {
        scene.world.database.execute(&format!("CREATE TABLE {table}_kept AS SELECT * FROM {table}")).await;
    }
    let mut daemon = scene.world.daemon();
    scene.until_log_says(&mut daemon, "metadata read").await;
    scene.world.database.execute(goes).await;
    scene.until_log_says(&mut daemon, "metadata is out of reach").await;
    scene.world.upload(&corpus).await;
    scene.world.database.execute(comes).await;
    scene.concluded(daemon, 1).await
}

/// One server after the other is brought into its condition and out of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn condition_of_the_server_is_waited_out() {
    let corpus = corpus();
    let mut cases = vec![
        Case::new("kill -9 and restart", "Upsert 3", power_failure(Step::Upsert, 3, corpus.clone())),
        Case::new("kill -9 and restart", "Commit 1, just sent", power_failure(Step::Commit, 1, corpus.clone())),
        Case::new("settings of a server", "Upsert 2", settings(corpus.clone())),
    ];
    if is_full() {
        cases.push(Case::new("kill -9 and restart", "Ledger 1", power_failure(Step::Ledger, 1, corpus.clone())));
        cases.push(Case::new(
            "kill -9 and restart",
            "Commit 2, just sent",
            power_failure(Step::Commit, 2, corpus.clone()),
        ));
    }
    run_all("real conditions of a server", cases).await;
}

async fn power_failure(step: Step, n: u32, corpus: Arc<Corpus>) -> Found {
    let server = MariaDb::start();
    let scene = Scene::with_server(&format!("db-power-{step:?}-{n}").to_lowercase(), &server, &corpus).await;
    let mut daemon = scene.held_at(step, n).await;
    // The statement races with the end of the server: it may be done, or not, and nobody is told.
    scene.gate.let_go();
    server.kill();
    scene.until_log_says(&mut daemon, "polling stops").await;
    server.restart();
    scene.concluded(daemon, 1).await
}

/// Read-only after a failover, out of connections, too small for a packet: one after the other, in one server.
async fn settings(corpus: Arc<Corpus>) -> Found {
    let server = MariaDb::start();
    let mut outcome = Vec::new();
    for found in [
        read_only(&server, &corpus).await,
        out_of_connections(&server, &corpus).await,
        packet_too_large(&server, &corpus).await,
    ] {
        outcome.push(found.outcome);
    }
    Found { injected: outcome.len(), outcome: outcome.join("; ") }
}

async fn read_only(server: &MariaDb, corpus: &Arc<Corpus>) -> Found {
    let scene = Scene::with_server("db-read-only", server, corpus).await;
    let mut daemon = scene.held_at(Step::Begin, 2).await;
    server.run("SET GLOBAL read_only = 1").await;
    scene.gate.let_go();
    scene.until_server_said(&mut daemon, 1290).await;
    scene.until_log_says(&mut daemon, "the server, or the transaction, only reads").await;
    server.run("SET GLOBAL read_only = 0").await;
    scene.concluded(daemon, 1).await
}

async fn out_of_connections(server: &MariaDb, corpus: &Arc<Corpus>) -> Found {
    let scene = Scene::with_server("db-connections", server, corpus).await;
    let mut daemon = scene.held_at(Step::Upsert, 2).await;
    scene.proxy.door(Door::Refusing);
    server.run("SET GLOBAL max_connections = 10").await;
    let url = scene.world.database.url().replace("root@", "xc2@");
    let mut others = Vec::new();
    let full = loop {
        match Conn::from_url(&url).await {
            Ok(connection) => others.push(connection),
            Err(error) => break error,
        }
    };
    assert!(full.to_string().contains("1040"), "{full}");
    scene.proxy.door(Door::Open);
    scene.until_server_said(&mut daemon, 1040).await;
    scene.until_log_says(&mut daemon, "limit of connections").await;
    for other in others {
        other.disconnect().await.unwrap();
    }
    server.run("SET GLOBAL max_connections = 300").await;
    scene.concluded(daemon, 1).await
}

/// A server that takes no packet as large as ours since it was started again.
async fn packet_too_large(server: &MariaDb, corpus: &Arc<Corpus>) -> Found {
    let mut scene = Scene::with_server("db-packet", server, corpus).await;
    scene.world.set("XC2__STORE__UPSERT_ROWS", "100");
    let mut daemon = scene.held_at(Step::Ledger, 2).await;
    scene.proxy.door(Door::Refusing);
    server.run("SET GLOBAL max_allowed_packet = 1024").await;
    scene.proxy.door(Door::Open);
    scene.until_log_says(&mut daemon, "raise the server's max_allowed_packet").await;
    server.run("SET GLOBAL max_allowed_packet = 16777216").await;
    scene.concluded(daemon, 1).await
}
