//! A receiver of HTTP posts that keeps what it got, and answers as the test says: well, with an error, or never.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Ok,
    Status(u16),
    /// 429, and how many seconds to wait.
    TooMany(u32),
    /// The request is read, and nothing is ever said.
    Never,
}

/// One request, as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// `Idempotency-Key`.
    pub id: String,
    pub content_type: String,
    pub body: Value,
    pub at: Instant,
}

pub struct Receiver {
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Receiver {
    pub fn start(answer: Answer) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, answer) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(Mutex::new(answer)));
        let (kept, answering) = (requests.clone(), answer.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answering) = (kept.clone(), answering.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &kept, &answering));
            }
        });
        Receiver { port, requests, answer }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/T000/B000/secret-of-the-webhook", self.port)
    }

    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The notices among them.
    pub fn notices(&self) -> Vec<Value> {
        self.requests().iter().map(|request| request.body["metadata"]["event_payload"].clone()).collect()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Request>>, answer: &Mutex<Answer>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        // Decided by what is set when the request has come, and kept in the same breath.
        let answer = {
            let answer = *answer.lock().unwrap();
            kept.lock().unwrap().push(request);
            answer
        };
        let (status, more, body) = match answer {
            Answer::Ok => (200, String::new(), "ok"),
            Answer::Status(status) => (status, String::new(), "no_service"),
            Answer::TooMany(seconds) => (429, format!("Retry-After: {seconds}\r\n"), "rate_limited"),
            Answer::Never => {
                // Until the other side gives up.
                let _ = stream.read(&mut [0]);
                return;
            }
        };
        let head = format!("HTTP/1.1 {status} X\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let (mut length, mut id, mut content_type) = (0, String::new(), String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "idempotency-key" => id = value.trim().to_owned(),
            "content-type" => content_type = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Request { id, content_type, body, at: Instant::now() })
}
