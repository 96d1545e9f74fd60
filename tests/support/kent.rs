//! A real Sentry ingest for tests: kent's server on a free port, one for each test that asks, since it keeps no more than
//! a hundred events.
#![allow(dead_code)]

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Names the program; otherwise `kent-server` is looked for in PATH.
pub const PROGRAM_VARIABLE: &str = "XC2_TEST_KENT";

const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A running server. Dropping it stops the server; so does the end of this process, however it ends.
pub struct Kent {
    port: u16,
    shell: Child,
}

impl Kent {
    /// Starts a server and waits until it answers.
    pub fn start() -> Kent {
        let program = program();
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            if let Some(kent) = Self::start_at(&program, port) {
                return kent;
            }
        }
        panic!("{} ended five times before it answered; run it by hand to see why", program.display());
    }

    fn start_at(program: &std::path::Path, port: u16) -> Option<Kent> {
        // As in moto.rs: the shell kills the server when this process is gone.
        const GUARD: &str = r#"
            exec 3<&0
            "$0" run --host 127.0.0.1 --port "$1" >/dev/null 2>&1 </dev/null 3<&- & server=$!
            { cat <&3 >/dev/null; kill -9 "$server"; } 2>/dev/null & watcher=$!
            wait "$server"
            kill "$watcher" 2>/dev/null
        "#;
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD]).arg(program).arg(port.to_string());
        let shell = guard.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start sh");
        let mut kent = Kent { port, shell };
        let began = Instant::now();
        while began.elapsed() < START_TIME_MAX {
            if kent.shell.try_wait().unwrap().is_some() {
                return None;
            }
            if kent.get("/api/eventlist/").is_some() {
                return Some(kent);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{} did not answer on port {port} within {START_TIME_MAX:?}", program.display());
    }

    pub fn dsn(&self) -> String {
        format!("http://public@127.0.0.1:{}/1", self.port)
    }

    /// Everything that arrived and is an event, in order.
    pub fn events(&self) -> Vec<Value> {
        let list = self.get("/api/eventlist/").expect("kent answers");
        let ids = list["events"].as_array().unwrap().iter().map(|event| event["event_id"].as_str().unwrap().to_owned());
        let event =
            |id: String| self.get(&format!("/api/event/{id}")).expect("kent answers")["payload"]["body"].clone();
        ids.map(event).filter(|body| body.get("event_id").is_some()).collect()
    }

    fn get(&self, path: &str) -> Option<Value> {
        let answer = ureq::get(format!("http://127.0.0.1:{}{path}", self.port)).call().ok()?;
        answer.into_body().read_json().ok()
    }
}

impl Drop for Kent {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os(PROGRAM_VARIABLE) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{PROGRAM_VARIABLE} names {}, which is not a file", named.display());
        return named;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kent-server")).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("kent-server (a Sentry ingest) is not in PATH and {PROGRAM_VARIABLE} is not set: tests/run installs it")
    })
}
