//! A private S3 and SQS for tests: moto's server on a free port, one for each test process.
//!
//! Included with `#[path]`, so that unit tests and integration tests share it.

// Each of the test programs that include this uses a part of it.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Names the program; otherwise `moto_server` is looked for in PATH.
pub const PROGRAM_VARIABLE: &str = "XC2_TEST_MOTO_SERVER";

const START_TIME_MAX: Duration = Duration::from_secs(30);

/// A running server. Dropping it stops the server; so does the end of this process, however it ends.
pub struct Moto {
    endpoint: String,
    port: u16,
    shell: Child,
}

/// The server of this process, started by the first test that asks. Tests share it: each takes its own names for
/// buckets and queues.
pub fn server() -> &'static Moto {
    static SERVER: OnceLock<Moto> = OnceLock::new();
    SERVER.get_or_init(Moto::start)
}

impl Moto {
    /// Starts a server and waits until it answers.
    pub fn start() -> Moto {
        let program = program();
        // Another process may take the port between the two lines: then the server ends, and another port is tried.
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            if let Some(moto) = Self::start_at(&program, port) {
                return moto;
            }
        }
        panic!("{} ended five times before it answered; run it by hand to see why", program.display());
    }

    fn start_at(program: &Path, port: u16) -> Option<Moto> {
        // The shell holds the other end of a pipe from this process and kills the server when the pipe closes. A test
        // process that is killed runs no destructor, but its end of the pipe closes all the same.
        const GUARD: &str = r#"
            exec 3<&0
            "$0" -H 127.0.0.1 -p "$1" >/dev/null 2>&1 </dev/null 3<&- & server=$!
            { cat <&3 >/dev/null; kill -9 "$server"; } 2>/dev/null & watcher=$!
            wait "$server"
            kill "$watcher" 2>/dev/null
        "#;
        let shell = Command::new("sh")
            .args(["-c", GUARD])
            .arg(program)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start sh");
        let mut moto = Moto { endpoint: format!("http://127.0.0.1:{port}"), port, shell };
        let began = Instant::now();
        while began.elapsed() < START_TIME_MAX {
            if moto.shell.try_wait().unwrap().is_some() {
                return None;
            }
            if moto.request("GET", "/moto-api/data.json").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Some(moto);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} did not answer on port {port} within {START_TIME_MAX:?}", program.display());
    }

    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What the environment of a child process needs in order to use this server and nothing else.
    pub fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("AWS_CONFIG_FILE", "/dev/null".into()),
        ]
    }

    /// From here on, whoever has no policy that allows it is denied.
    pub fn enforce_permissions(&self) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let head = "POST /moto-api/reset-auth HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain";
        write!(stream, "{head}\r\nContent-Length: 1\r\nConnection: close\r\n\r\n0").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// A bare HTTP request, and the whole answer to it; `None` without an answer.
    fn request(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The shell ends when it has killed the server.
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
    let found = std::env::split_paths(&path).map(|folder| folder.join("moto_server")).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "moto_server (S3 and SQS for tests) is not in PATH and {PROGRAM_VARIABLE} is not set: tests/run installs it"
        )
    })
}
