//! A wire to S3 and SQS that fails on demand, request by request.
//!
//! Each connection carries one request: both sides are told `Connection: close`, so that a fault meets no other one.
// Each of the test programs that include this uses a part of it.
#![allow(dead_code)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::moto;
use crate::wire::{Door, Entrance, Gate, reset};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    GetObject,
    /// Which the daemon asks to learn whether the storage answers at all.
    ListObjects,
    Receive,
    Delete,
    /// A heartbeat.
    Extend,
    /// Back to the queue at once.
    Release,
    Other,
}

pub struct Request {
    pub call: Call,
    pub path: String,
}

#[derive(Clone)]
pub enum Fault {
    /// The service's own error; the request is not passed on.
    Error { status: u16, code: &'static str },
    /// What a middlebox answers instead of the service: no code, and HTML.
    Page { status: u16 },
    /// Reset before a byte of the answer; the request is not passed on.
    Reset,
    /// Accepted, and never answered; the request is not passed on.
    Silence,
    /// The service does it; its answer is lost, and the connection reset.
    LoseAnswer,
    /// Half of the body comes, then the end, although more was announced.
    Truncate,
    /// Half of the body comes, announced as the whole, without a checksum.
    Shorten,
    /// An answer of the right headers and no body, announced as such, without a checksum.
    Empty,
    /// Half of the body comes, then a reset.
    ResetBody,
    /// Half of the body comes, then nothing.
    StallBody,
    /// One byte at a time.
    Drip { pause: Duration },
    /// As many bytes as there should be, and others.
    Garbage,
    /// The answer, dated by a clock that is wrong.
    Date(String),
    /// It waits at the gate, then it goes on.
    Hold(Arc<Gate>),
}

impl Fault {
    pub fn name(&self) -> String {
        match self {
            Fault::Error { status, code } => format!("{status} {code}"),
            Fault::Page { status } => format!("{status} page of a middlebox"),
            Fault::Reset => "reset before the answer".into(),
            Fault::Silence => "half-open".into(),
            Fault::LoseAnswer => "done, answer lost".into(),
            Fault::Truncate => "truncated under its length".into(),
            Fault::Shorten => "truncated with its length".into(),
            Fault::Empty => "no body under a 200".into(),
            Fault::ResetBody => "reset in mid-body".into(),
            Fault::StallBody => "stall in mid-body".into(),
            Fault::Drip { .. } => "slow drip".into(),
            Fault::Garbage => "garbage".into(),
            Fault::Date(_) => "wrong date".into(),
            Fault::Hold(_) => "held".into(),
        }
    }
}

type Script = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

/// The `n`th call of this kind, from 1, and `times - 1` after it.
pub fn nth(call: Call, n: u32, times: u32, fault: Fault) -> impl FnMut(&Request) -> Option<Fault> + Send {
    let mut seen = 0;
    move |request| {
        if request.call != call {
            return None;
        }
        seen += 1;
        (n..n + times).contains(&seen).then(|| fault.clone())
    }
}

#[derive(Default)]
struct Shared {
    script: Mutex<Option<Script>>,
    injected: Mutex<Vec<(Call, String)>>,
}

pub struct HttpProxy {
    pub endpoint: String,
    entrance: Entrance,
    shared: Arc<Shared>,
}

impl HttpProxy {
    /// Before the emulator of this process.
    pub fn start() -> HttpProxy {
        let shared = Arc::<Shared>::default();
        let upstream: Arc<str> = moto::server().endpoint().trim_start_matches("http://").into();
        let serving = shared.clone();
        let entrance = Entrance::open(move |client| {
            let (shared, upstream) = (serving.clone(), upstream.clone());
            async move {
                let mut exchange = Exchange { client, upstream };
                if exchange.serve(&shared).await == Some(End::Reset) {
                    reset(exchange.client);
                }
            }
        });
        HttpProxy { endpoint: format!("http://127.0.0.1:{}", entrance.port), entrance, shared }
    }

    /// Asked for each request; replaces the script before.
    pub fn script(&self, script: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        *self.shared.script.lock().unwrap() = Some(Box::new(script));
    }

    pub fn door(&self, door: Door) {
        self.entrance.set(door);
    }

    /// What was done to which call, in order.
    pub fn injected(&self) -> Vec<(Call, String)> {
        self.shared.injected.lock().unwrap().clone()
    }
}

struct Exchange {
    client: TcpStream,
    upstream: Arc<str>,
}

#[derive(PartialEq, Eq)]
enum End {
    Done,
    Reset,
}

/// A message's head, without its empty line, and its body.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Exchange {
    /// `None` when a side went away by itself.
    async fn serve(&mut self, shared: &Shared) -> Option<End> {
        let asked = read_message(&mut self.client).await?;
        let request = Request { call: call_of(&asked), path: asked.head.split(' ').nth(1)?.to_owned() };
        let fault = shared.script.lock().unwrap().as_mut().and_then(|script| script(&request));
        let Some(fault) = fault else {
            let answer = self.ask(&asked).await?;
            return self.answer(&answer.head, &answer.body).await;
        };
        shared.injected.lock().unwrap().push((request.call, fault.name()));
        match &fault {
            Fault::Error { status, code } => {
                let (kind, body) = error_body(request.call, code);
                return self.answer(&own_head(*status, kind, body.len()), body.as_bytes()).await;
            }
            Fault::Page { status } => {
                let body = "<html><body>Access to this page is blocked.</body></html>";
                return self.answer(&own_head(*status, "text/html", body.len()), body.as_bytes()).await;
            }
            Fault::Reset => return Some(End::Reset),
            Fault::Silence => return self.until_given_up().await,
            Fault::Hold(gate) => gate.pass().await,
            _ => {}
        }
        let answer = self.ask(&asked).await?;
        self.spoil(&fault, answer).await
    }

    /// What becomes of an answer that the service gave.
    async fn spoil(&mut self, fault: &Fault, Message { head, mut body }: Message) -> Option<End> {
        let half = body.len() / 2;
        match fault {
            Fault::LoseAnswer => Some(End::Reset),
            Fault::Truncate => self.answer(&head, &body[..half]).await,
            Fault::Shorten => self.answer(&with_length(&head, half), &body[..half]).await,
            Fault::Empty => self.answer(&with_length(&head, 0), b"").await,
            Fault::ResetBody => {
                self.answer(&head, &body[..half]).await?;
                Some(End::Reset)
            }
            Fault::StallBody => {
                self.answer(&head, &body[..half]).await?;
                self.until_given_up().await
            }
            Fault::Drip { pause } => {
                self.answer(&head, b"").await?;
                for byte in body {
                    self.client.write_all(&[byte]).await.ok()?;
                    tokio::time::sleep(*pause).await;
                }
                Some(End::Done)
            }
            Fault::Garbage => {
                // Another byte in each place.
                body.iter_mut().for_each(|byte| *byte ^= 0x5a);
                self.answer(&head, &body).await
            }
            Fault::Date(date) => {
                let head = without(&head, |name| name == "date") + &format!("\r\nDate: {date}");
                self.answer(&head, &body).await
            }
            _ => self.answer(&head, &body).await,
        }
    }

    async fn ask(&self, asked: &Message) -> Option<Message> {
        let mut server = TcpStream::connect(&*self.upstream).await.ok()?;
        server.write_all(format!("{}\r\n\r\n", closing(&asked.head)).as_bytes()).await.ok()?;
        server.write_all(&asked.body).await.ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await.ok()?;
        let end = head_end(&answer)?;
        let body = answer.split_off(end + 4);
        answer.truncate(end);
        Some(Message { head: String::from_utf8(answer).ok()?, body })
    }

    async fn answer(&mut self, head: &str, body: &[u8]) -> Option<End> {
        self.client.write_all(format!("{}\r\n\r\n", closing(head)).as_bytes()).await.ok()?;
        self.client.write_all(body).await.ok()?;
        Some(End::Done)
    }

    async fn until_given_up(&mut self) -> Option<End> {
        let mut nowhere = [0; 1024];
        while matches!(self.client.read(&mut nowhere).await, Ok(read) if read > 0) {}
        Some(End::Done)
    }
}

fn call_of(asked: &Message) -> Call {
    let target = header(&asked.head, "x-amz-target").unwrap_or_default();
    let body = String::from_utf8_lossy(&asked.body);
    match target.rsplit('.').next().unwrap_or_default() {
        "ReceiveMessage" => Call::Receive,
        "DeleteMessageBatch" => Call::Delete,
        "ChangeMessageVisibilityBatch" if body.contains("\"VisibilityTimeout\":0") => Call::Release,
        "ChangeMessageVisibilityBatch" => Call::Extend,
        "" if asked.head.contains("list-type=") => Call::ListObjects,
        "" if asked.head.starts_with("GET ") => Call::GetObject,
        _ => Call::Other,
    }
}

async fn read_message(stream: &mut TcpStream) -> Option<Message> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = head_end(&read) {
            break end;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = read.split_off(end + 4);
    read.truncate(end);
    let head = String::from_utf8(read).ok()?;
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Message { head, body })
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n")
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(':').filter(|(known, _)| known.eq_ignore_ascii_case(name)))?
        .1
        .trim()
        .into()
}

/// The head, with these headers left out.
fn without(head: &str, left_out: fn(&str) -> bool) -> String {
    let kept = head.lines().filter(|line| !left_out(&line.split(':').next().unwrap_or_default().to_ascii_lowercase()));
    kept.collect::<Vec<_>>().join("\r\n")
}

fn closing(head: &str) -> String {
    without(head, |name| name == "connection") + "\r\nConnection: close"
}

fn with_length(head: &str, bytes: usize) -> String {
    let other = without(head, |name| name == "content-length" || name.starts_with("x-amz-checksum-"));
    format!("{other}\r\nContent-Length: {bytes}")
}

fn own_head(status: u16, kind: &str, bytes: usize) -> String {
    format!("HTTP/1.1 {status} So\r\nContent-Type: {kind}\r\nContent-Length: {bytes}")
}

fn error_body(call: Call, code: &str) -> (&'static str, String) {
    match call {
        Call::GetObject | Call::ListObjects => {
            ("application/xml", format!("<Error><Code>{code}</Code><Message>injected by the test</Message></Error>"))
        }
        _ => {
            let body =
                serde_json::json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "injected by the test"});
            ("application/x-amz-json-1.0", body.to_string())
        }
    }
}
