//! What whoever runs the daemon is told: systemd by its notify socket, ECS by the container agent's endpoint.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::{Json, Router, extract::State, routing::put};
use serde_json::{Value, json};
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;

use crate::corpus::Corpus;
use crate::http_proxy::{Call, Fault, HttpProxy};
use crate::world::{Kind, World};

const PATIENCE: Duration = Duration::from_secs(120);

/// The service manager's end of the notify socket.
struct Manager {
    socket: UnixDatagram,
    /// Every line so far.
    heard: Vec<String>,
}

impl Manager {
    fn of(world: &mut World) -> Manager {
        let path = world.dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        world.set("NOTIFY_SOCKET", path.to_str().unwrap());
        Manager { socket, heard: Vec::new() }
    }

    /// The next message's lines.
    async fn message(&mut self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let received = tokio::time::timeout(PATIENCE, self.socket.recv(&mut bytes)).await;
        let length = received.unwrap_or_else(|_| panic!("nothing more after {:#?}", self.heard)).unwrap();
        let lines: Vec<String> = std::str::from_utf8(&bytes[..length]).unwrap().lines().map(str::to_owned).collect();
        self.heard.extend(lines.iter().cloned());
        lines
    }

    async fn until(&mut self, words: &str) -> String {
        loop {
            if let Some(line) = self.message().await.into_iter().find(|line| line.contains(words)) {
                return line;
            }
        }
    }

    /// Messages that have arrived by now.
    fn rest(&mut self) -> &[String] {
        let mut bytes = [0; 4096];
        while let Ok(length) = self.socket.try_recv(&mut bytes) {
            self.heard.extend(std::str::from_utf8(&bytes[..length]).unwrap().lines().map(str::to_owned));
        }
        &self.heard
    }
}

#[tokio::test]
async fn service_manager_hears_when_polling_begins_that_it_goes_on_and_when_it_ends() {
    let corpus = Corpus::make(&["--seed", "61", "--files", "3", "--rows", "20", "--no-broken"]);
    let mut world = World::new("supervisor-systemd", Kind::MariaDb, &corpus).await;
    let mut manager = Manager::of(&mut world);
    world.set("WATCHDOG_USEC", "600000");
    let mut daemon = world.daemon();
    manager.until("READY=1").await;
    assert!(world.log_says("metadata read"), "ready before anything was verified");
    world.upload(&corpus).await;
    world.until_queue_is_empty(&mut daemon).await;
    assert_eq!(manager.until("STATUS=idle; 3 objects counted").await, "STATUS=idle; 3 objects counted, 0 failed");
    // Fed by progress, not by work: an idle daemon polls.
    for _ in 0..3 {
        manager.until("WATCHDOG=1").await;
    }
    assert!(daemon.stop().await.success());
    let heard = manager.rest();
    let times = |words: &str| heard.iter().filter(|line| line.starts_with(words)).count();
    assert_eq!((times("READY=1"), times("STOPPING=1")), (1, 1), "{heard:#?}");
    // The default grace of 20 s, and 20 s more.
    assert_eq!(times("EXTEND_TIMEOUT_USEC=40000000"), 1, "{heard:#?}");
    assert!(times("STATUS=stopping") >= 1, "{heard:#?}");
    assert!(times("WATCHDOG=1") >= 3, "{heard:#?}");
    assert_eq!(
        heard.iter().position(|line| line == "READY=1").map(|at| heard[..at].contains(&"STOPPING=1".into())),
        Some(false)
    );
}

#[tokio::test]
async fn outage_shows_in_the_status_and_does_not_starve_the_watchdog() {
    let corpus = Corpus::make(&["--seed", "62", "--files", "1", "--rows", "20", "--no-broken"]);
    let mut world = World::new("supervisor-outage", Kind::MariaDb, &corpus).await;
    let mut manager = Manager::of(&mut world);
    world.set("WATCHDOG_USEC", "600000");
    world.set("XC2__METADATA__REFRESH", "100ms");
    let daemon = world.daemon();
    manager.until("READY=1").await;
    world.database.execute("RENAME TABLE media TO media_old").await;
    manager.until("STATUS=waiting for the metadata").await;
    for _ in 0..3 {
        manager.until("WATCHDOG=1").await;
    }
    world.database.execute("RENAME TABLE media_old TO media").await;
    manager.until("STATUS=idle").await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn daemon_that_can_not_start_is_never_ready() {
    let corpus = Corpus::make(&["--seed", "63", "--files", "1", "--rows", "1", "--no-broken"]);
    let mut world = World::new("supervisor-not-ready", Kind::Sqlite, &corpus).await;
    let mut manager = Manager::of(&mut world);
    world.database.execute("DROP TABLE processed_object").await;
    let status = world.daemon().ended(PATIENCE).await;
    assert_eq!(status.code(), Some(1));
    assert!(!manager.rest().contains(&"READY=1".to_owned()));
}

/// A container agent that answers as `answer` says and keeps what it was asked.
struct Agent {
    asked: mpsc::UnboundedReceiver<Value>,
    answer: Arc<Mutex<(StatusCode, Value)>>,
}

impl Agent {
    async fn of(world: &mut World) -> Agent {
        type Shared = (mpsc::UnboundedSender<Value>, Arc<Mutex<(StatusCode, Value)>>);
        async fn protect(State((asked, answer)): State<Shared>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
            let (status, body_of_answer) = answer.lock().unwrap().clone();
            asked.send(body).unwrap();
            (status, Json(body_of_answer))
        }
        let (sender, asked) = mpsc::unbounded_channel();
        let granted = json!({ "protection": { "ExpirationDate": null, "ProtectionEnabled": true, "TaskArn": "arn" } });
        let answer = Arc::new(Mutex::new((StatusCode::OK, granted)));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        world.set("ECS_AGENT_URI", &format!("http://{}/api/1", listener.local_addr().unwrap()));
        let router =
            Router::new().route("/api/1/task-protection/v1/state", put(protect)).with_state((sender, answer.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Agent { asked, answer }
    }

    async fn next(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.asked.recv()).await.expect("the agent is asked nothing").unwrap()
    }
}

#[tokio::test]
async fn task_with_work_in_flight_is_protected_from_scale_in_until_it_is_idle() {
    let corpus = Corpus::make(&["--seed", "64", "--files", "2", "--rows", "20", "--no-broken"]);
    let mut world = World::new("supervisor-ecs", Kind::MariaDb, &corpus).await;
    let mut agent = Agent::of(&mut world).await;
    let proxy = HttpProxy::start();
    proxy.script(|request| (request.call == Call::GetObject).then_some(Fault::Error { status: 503, code: "SlowDown" }));
    world.set("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    assert_eq!(agent.next().await, json!({ "ProtectionEnabled": true, "ExpiresInMinutes": 10 }));
    proxy.script(|_| None);
    world.until_queue_is_empty(&mut daemon).await;
    assert_eq!(agent.next().await, json!({ "ProtectionEnabled": false }));
    assert!(daemon.stop().await.success());
    assert!(agent.asked.try_recv().is_err(), "asked more often than things changed");
    world.database.assert_equals(&corpus).await;
}

#[tokio::test]
async fn agent_that_refuses_disturbs_nothing() {
    let corpus = Corpus::make(&["--seed", "65", "--files", "2", "--rows", "20", "--no-broken"]);
    let mut world = World::new("supervisor-refused", Kind::MariaDb, &corpus).await;
    let mut agent = Agent::of(&mut world).await;
    let refusal = json!({ "error": { "Arn": "arn", "Code": "AccessDeniedException", "Message": "no" } });
    *agent.answer.lock().unwrap() = (StatusCode::BAD_REQUEST, refusal);
    let proxy = HttpProxy::start();
    proxy.script(|request| (request.call == Call::GetObject).then_some(Fault::Error { status: 503, code: "SlowDown" }));
    world.set("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    world.upload(&corpus).await;
    let mut daemon = world.daemon();
    agent.next().await;
    world.until(&mut daemon, "the advice", async || world.log_says("the task role needs ecs:GetTaskProtection")).await;
    proxy.script(|_| None);
    world.until_queue_is_empty(&mut daemon).await;
    assert!(daemon.stop().await.success());
    world.database.assert_equals(&corpus).await;
}
