//! A wire to MariaDB (or MySQL) that fails on demand, exactly at a statement.
//!
//! It knows as much of the protocol as that takes: packets have a header of four bytes (length, sequence number); a
//! client's packet with number 0 is a command; a command's text stands in it, or was prepared under a number before.
//! ("MySQL Client/Server Protocol", "Packets" and "Command Phase".)

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{Door, Entrance, Gate, reset};

/// What a statement is within the protocol of counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The settings of a new session.
    Setup,
    Begin,
    /// Asks for the schema's version.
    Version,
    Ledger,
    /// Looks into the ledger or the list of failures.
    Lookup,
    ControlTotals,
    /// One chunk of one report.
    Upsert,
    ReportDay,
    /// Writes the list of failures.
    Listing,
    Commit,
    Rollback,
    /// Everything of the read-only transaction that reads the metadata.
    Metadata,
    Other,
}

impl Step {
    fn of(sql: &str, writes: bool) -> Step {
        let begins = |words: &str| sql.starts_with(words);
        match sql {
            "START TRANSACTION" => Step::Begin,
            "COMMIT" if writes => Step::Commit,
            "ROLLBACK" => Step::Rollback,
            "COMMIT" => Step::Metadata,
            _ if begins("INSERT INTO `processed_object` ") => Step::Ledger,
            _ if begins("INSERT INTO `processed_object_day` ") => Step::ControlTotals,
            _ if begins("INSERT INTO `report_day` ") => Step::ReportDay,
            _ if begins("INSERT INTO `report_") => Step::Upsert,
            _ if begins("INSERT INTO `failed_object` ") || sql.contains("UPDATE failed_object") => Step::Listing,
            _ if writes && begins("SELECT version ") => Step::Version,
            _ if writes && begins("SELECT ") => Step::Lookup,
            _ if begins("SET TRANSACTION") || begins("START TRANSACTION WITH CONSISTENT SNAPSHOT") => Step::Metadata,
            _ if sql.contains("FROM media") || sql.contains("FROM inventory") => Step::Metadata,
            _ if begins("SET ") => Step::Setup,
            _ => Step::Other,
        }
    }
}

/// One command of a client.
pub struct Command<'a> {
    pub step: Step,
    pub sql: &'a str,
    /// Whether it is only prepared now, to be executed later.
    pub prepares: bool,
    /// Its place in a transaction that writes, of which BEGIN is 0.
    pub place: usize,
}

#[derive(Clone)]
pub enum Fault {
    /// The connection is reset, and the server never sees the statement.
    CutBefore,
    /// The server gets half of the packet, then the connection is reset.
    CutWithin,
    /// The server does it; its answer is lost, and the connection reset.
    LoseAnswer,
    /// Half of the answer comes, then the connection is reset.
    CutAnswer,
    /// From here on nothing gets through, and nobody is told: the server keeps the transaction and its locks.
    Partition,
    /// The same, and the server has half of the packet.
    PartitionWithin,
    /// The same, and the server has done it.
    PartitionAfter,
    /// The same, and half of the answer has come.
    PartitionAnswer,
    /// The wire answers with this error of a server, which never sees the statement. `rolls_back`: the server undoes the
    /// transaction at the same time, as a deadlock's victim is undone.
    Error { code: u16, state: &'static str, rolls_back: bool },
    /// The wire says that it was done, and it was not.
    Swallow,
    /// It waits at the gate, then it goes on.
    Hold(Arc<Gate>),
}

impl Fault {
    pub fn name(&self) -> String {
        match self {
            Fault::CutBefore => "cut before".into(),
            Fault::CutWithin => "cut within the packet".into(),
            Fault::LoseAnswer => "done, answer lost".into(),
            Fault::CutAnswer => "cut within the answer".into(),
            Fault::Partition => "partition before".into(),
            Fault::PartitionWithin => "partition within the packet".into(),
            Fault::PartitionAfter => "partition after".into(),
            Fault::PartitionAnswer => "partition within the answer".into(),
            Fault::Error { code, rolls_back: true, .. } => format!("error {code}, rolled back"),
            Fault::Error { code, .. } => format!("error {code}"),
            Fault::Swallow => "swallowed".into(),
            Fault::Hold(_) => "held".into(),
        }
    }
}

type Script = Box<dyn FnMut(&Command) -> Option<Fault> + Send>;

/// The `n`th statement of this kind, from 1, and `times - 1` after it.
pub fn nth(step: Step, n: u32, times: u32, fault: Fault) -> impl FnMut(&Command) -> Option<Fault> + Send {
    let mut seen = 0;
    move |command| {
        if command.step != step || command.prepares {
            return None;
        }
        seen += 1;
        (n..n + times).contains(&seen).then(|| fault.clone())
    }
}

#[derive(Default)]
struct Shared {
    upstream: u16,
    script: Mutex<Option<Script>>,
    injected: Mutex<Vec<(Step, String)>>,
    connections: Mutex<u32>,
    server_errors: Mutex<BTreeMap<u16, u32>>,
}

pub struct MySqlProxy {
    entrance: Entrance,
    shared: Arc<Shared>,
}

impl MySqlProxy {
    /// Before the server at this port of this machine.
    pub fn start(upstream: u16) -> MySqlProxy {
        let shared = Arc::new(Shared { upstream, ..Shared::default() });
        let serving = shared.clone();
        let entrance = Entrance::open(move |client| {
            let shared = serving.clone();
            async move {
                *shared.connections.lock().unwrap() += 1;
                if let Ok(server) = TcpStream::connect(("127.0.0.1", shared.upstream)).await {
                    let _ = server.set_nodelay(true);
                    Connection::new(shared, client, server).relay().await;
                } else {
                    reset(client);
                }
            }
        });
        MySqlProxy { entrance, shared }
    }

    /// The same URL, through this wire.
    pub fn url(&self, direct: &str) -> String {
        direct.replace(&format!(":{}/", self.shared.upstream), &format!(":{}/", self.entrance.port))
    }

    /// Asked for each command, on every connection; replaces the script before.
    pub fn script(&self, script: impl FnMut(&Command) -> Option<Fault> + Send + 'static) {
        *self.shared.script.lock().unwrap() = Some(Box::new(script));
    }

    pub fn door(&self, door: Door) {
        self.entrance.set(door);
    }

    /// What was done to which statement, in order.
    pub fn injected(&self) -> Vec<(Step, String)> {
        self.shared.injected.lock().unwrap().clone()
    }

    /// How many connections came through.
    pub fn connections(&self) -> u32 {
        *self.shared.connections.lock().unwrap()
    }

    /// How often the server itself answered with this error.
    pub fn server_errors(&self, code: u16) -> u32 {
        self.shared.server_errors.lock().unwrap().get(&code).copied().unwrap_or(0)
    }
}

/// One side of a connection, read packet by packet.
struct Side {
    stream: TcpStream,
    read: Vec<u8>,
}

const HEADER_BYTES: usize = 4;

impl Side {
    /// The next packet with its header; `None` at the end. Loses nothing when it is dropped while it waits.
    async fn packet(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(header) = self.read.first_chunk::<HEADER_BYTES>() {
                let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize + HEADER_BYTES;
                if self.read.len() >= length {
                    let rest = self.read.split_off(length);
                    return Some(std::mem::replace(&mut self.read, rest));
                }
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }
}

/// What is to be done to the answer that is awaited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ToAnswer {
    Lose,
    Cut,
    Withhold,
    Stall,
}

struct Connection {
    shared: Arc<Shared>,
    client: Side,
    server: Side,
    statements: HashMap<u32, String>,
    /// The text that the server is about to give a number.
    preparing: Option<String>,
    /// Whether the transaction that is open writes, and how many statements it has had.
    writes: bool,
    place: usize,
    to_answer: Option<ToAnswer>,
    /// The next packet of the server begins an answer.
    awaits_answer: bool,
}

/// Why relaying ends.
enum End {
    /// Both sides see a reset.
    Reset,
    /// Neither side is told: both stay open until they give up by themselves.
    Silence,
}

const COM_QUERY: u8 = 0x03;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const OK: u8 = 0x00;
const ERR: u8 = 0xff;

impl Connection {
    fn new(shared: Arc<Shared>, client: TcpStream, server: TcpStream) -> Connection {
        let side = |stream| Side { stream, read: Vec::new() };
        Connection {
            shared,
            client: side(client),
            server: side(server),
            statements: HashMap::new(),
            preparing: None,
            writes: false,
            place: 0,
            to_answer: None,
            awaits_answer: false,
        }
    }

    async fn relay(mut self) {
        let end = loop {
            let went = tokio::select! {
                packet = self.client.packet() => match packet {
                    Some(packet) => self.client_said(packet).await,
                    None => return,
                },
                packet = self.server.packet() => match packet {
                    Some(packet) => self.server_said(packet).await,
                    // A server that goes closes its connections.
                    None => return,
                },
            };
            if let Err(end) = went {
                break end;
            }
        };
        match end {
            End::Reset => {
                reset(self.client.stream);
                reset(self.server.stream);
            }
            End::Silence => {
                let mut nowhere = [0; 4096];
                // Whatever the client still says is lost, its goodbye too; the server's end of it is the server's to find.
                while matches!(self.client.stream.read(&mut nowhere).await, Ok(read) if read > 0) {}
                while matches!(self.server.stream.read(&mut nowhere).await, Ok(read) if read > 0) {}
            }
        }
    }

    async fn client_said(&mut self, packet: Vec<u8>) -> Result<(), End> {
        let Some((sql, prepares)) = self.text(&packet) else {
            return self.server.write(&packet).await.ok_or(End::Reset);
        };
        let step = Step::of(&sql, self.writes);
        if !prepares {
            self.writes = match step {
                Step::Begin => true,
                Step::Rollback | Step::Metadata => false,
                _ => self.writes,
            };
            self.place = if step == Step::Begin { 0 } else { self.place + 1 };
        }
        let command = Command { step, sql: &sql, prepares, place: self.place };
        let fault = self.shared.script.lock().unwrap().as_mut().and_then(|script| script(&command));
        if step == Step::Commit && !prepares {
            self.writes = false;
        }
        if prepares {
            self.preparing = Some(sql);
        }
        self.awaits_answer = true;
        let Some(fault) = fault else { return self.server.write(&packet).await.ok_or(End::Reset) };
        self.shared.injected.lock().unwrap().push((step, fault.name()));
        self.inject(fault, &packet).await
    }

    async fn inject(&mut self, fault: Fault, packet: &[u8]) -> Result<(), End> {
        let half = &packet[..HEADER_BYTES + (packet.len() - HEADER_BYTES) / 2];
        match fault {
            Fault::CutBefore => return Err(End::Reset),
            Fault::Partition => return Err(End::Silence),
            Fault::CutWithin => {
                self.server.write(half).await.ok_or(End::Reset)?;
                return Err(End::Reset);
            }
            Fault::PartitionWithin => {
                self.server.write(half).await.ok_or(End::Reset)?;
                return Err(End::Silence);
            }
            Fault::LoseAnswer => self.to_answer = Some(ToAnswer::Lose),
            Fault::CutAnswer => self.to_answer = Some(ToAnswer::Cut),
            Fault::PartitionAfter => self.to_answer = Some(ToAnswer::Withhold),
            Fault::PartitionAnswer => self.to_answer = Some(ToAnswer::Stall),
            Fault::Error { code, state, rolls_back } => {
                if rolls_back {
                    self.roll_back().await.ok_or(End::Reset)?;
                }
                return self.client.write(&error_packet(code, state)).await.ok_or(End::Reset);
            }
            // OK of a statement without rows: no rows touched, no id, autocommit, no warnings.
            Fault::Swallow => return self.client.write(&[7, 0, 0, 1, OK, 0, 0, 2, 0, 0, 0]).await.ok_or(End::Reset),
            Fault::Hold(gate) => gate.pass().await,
        }
        self.server.write(packet).await.ok_or(End::Reset)
    }

    async fn roll_back(&mut self) -> Option<()> {
        self.server.write(b"\x09\x00\x00\x00\x03ROLLBACK").await?;
        self.server.packet().await.map(drop)
    }

    async fn server_said(&mut self, packet: Vec<u8>) -> Result<(), End> {
        let payload = &packet[HEADER_BYTES..];
        let begins = std::mem::take(&mut self.awaits_answer);
        // No row begins with this byte.
        if payload.first() == Some(&ERR) && payload.len() > 2 {
            let code = u16::from_le_bytes([payload[1], payload[2]]);
            *self.shared.server_errors.lock().unwrap().entry(code).or_default() += 1;
        }
        if let Some(sql) = self.preparing.take()
            && let [OK, a, b, c, d, ..] = *payload
        {
            self.statements.insert(u32::from_le_bytes([a, b, c, d]), sql);
        }
        let half = &packet[..HEADER_BYTES + payload.len() / 2];
        // A result begins with the number of its columns: what is cut there is what follows.
        let is_cut = !begins || payload.first() == Some(&OK) || payload.first() == Some(&ERR);
        match self.to_answer {
            Some(ToAnswer::Lose) => Err(End::Reset),
            Some(ToAnswer::Withhold) => Err(End::Silence),
            Some(ToAnswer::Cut) if is_cut => {
                self.client.write(half).await.ok_or(End::Reset)?;
                Err(End::Reset)
            }
            Some(ToAnswer::Stall) if is_cut => {
                self.client.write(half).await.ok_or(End::Reset)?;
                Err(End::Silence)
            }
            _ => self.client.write(&packet).await.ok_or(End::Reset),
        }
    }

    /// The text of a command, and whether it is only prepared; `None` for what is no statement.
    fn text(&self, packet: &[u8]) -> Option<(String, bool)> {
        let (header, payload) = packet.split_at(HEADER_BYTES);
        let (command, rest) = payload.split_first()?;
        match (header[3], *command) {
            (0, COM_QUERY) => Some((String::from_utf8_lossy(rest).into_owned(), false)),
            (0, COM_STMT_PREPARE) => Some((String::from_utf8_lossy(rest).into_owned(), true)),
            (0, COM_STMT_EXECUTE) => {
                let number = u32::from_le_bytes(*rest.first_chunk()?);
                self.statements.get(&number).map(|sql| (sql.clone(), false))
            }
            _ => None,
        }
    }
}

fn error_packet(code: u16, state: &str) -> Vec<u8> {
    let mut payload = vec![ERR];
    payload.extend_from_slice(&code.to_le_bytes());
    payload.extend_from_slice(format!("#{state}injected by the test").as_bytes());
    let mut packet = vec![payload.len() as u8, 0, 0, 1];
    packet.append(&mut payload);
    packet
}
