//! SQS with faults: stands between the daemons and the emulator, passes calls on, spoils some, and remembers every
//! message it handed out.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::moto;

/// The calls that can be spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Receive,
    Extend,
    Acknowledge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Refused with SQS's words for too many requests.
    Throttled,
    /// Passed on, and then the connection breaks.
    AnswerLost,
    /// Every so many-th entry of a batch fails, the others are passed on: HTTP 200 with failed entries inside.
    EntriesFail { one_in: u64 },
    /// What is received is visible to everybody again after a second, the shortest time there is.
    Redelivered,
    /// The receipts are outdated at once, as if somebody else had received the messages since: an extension is refused,
    /// a deletion "succeeds" and deletes nothing.
    Outdated,
}

/// What became of one message.
#[derive(Clone, Default)]
pub struct Handed {
    pub body: String,
    /// How often it was received.
    pub times: u64,
    /// Whether a daemon deleted it.
    pub acknowledged: bool,
}

#[derive(Default)]
struct State {
    faults: BTreeMap<Call, Fault>,
    /// How often each fault was done, entries counted one by one.
    done: BTreeMap<(Call, Fault), u64>,
    /// Message id -> what became of it.
    messages: HashMap<String, Handed>,
    /// Receipt -> message id, and whether the receipt is outdated.
    receipts: HashMap<String, (String, bool)>,
    entries: u64,
    acknowledged: usize,
}

/// Serves until the test process ends.
pub struct Proxy {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
    /// The emulator forgets a message that is sent while it deletes another one, so they take turns: deletions hold
    /// this, and whoever sends or uploads meanwhile must hold it too.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

impl Proxy {
    pub fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (state, turn) = (Arc::<Mutex<State>>::default(), Arc::<tokio::sync::Mutex<()>>::default());
        let (shared, turns) = (state.clone(), turn.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let connection = Connection { client: client.unwrap(), state: shared.clone(), turn: turns.clone() };
                std::thread::spawn(move || connection.serve());
            }
        });
        Proxy { endpoint, state, turn }
    }

    pub fn set(&self, call: Call, fault: Fault) {
        self.state.lock().unwrap().faults.insert(call, fault);
    }

    pub fn clear(&self, call: Call) {
        self.state.lock().unwrap().faults.remove(&call);
    }

    /// How often each fault was done.
    pub fn done(&self) -> BTreeMap<(Call, Fault), u64> {
        self.state.lock().unwrap().done.clone()
    }

    pub fn count(&self, call: Call, fault: Fault) -> u64 {
        self.state.lock().unwrap().done.get(&(call, fault)).copied().unwrap_or(0)
    }

    /// Messages that daemons have deleted so far.
    pub fn acknowledged(&self) -> usize {
        self.state.lock().unwrap().acknowledged
    }

    /// Every message that was handed out.
    pub fn messages(&self) -> Vec<Handed> {
        self.state.lock().unwrap().messages.values().cloned().collect()
    }

    /// Whether this many announcements were handed out, and each of them at least so many times. The emulator's test
    /// event is none.
    pub fn all_received(&self, announcements: usize, times: u64) -> bool {
        let state = self.state.lock().unwrap();
        let handed = state.messages.values().filter(|message| message.body.contains("\"Records\""));
        let (mut count, mut least) = (0, u64::MAX);
        handed.for_each(|message| (count, least) = (count + 1, least.min(message.times)));
        count >= announcements && least >= times
    }
}

/// One request.
struct Connection {
    client: TcpStream,
    state: Arc<Mutex<State>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Http {
    head: String,
    body: Vec<u8>,
}

impl Connection {
    fn serve(mut self) -> Option<()> {
        let request = Http::read(&mut self.client)?;
        let call = request.call();
        let fault = call.and_then(|call| self.state().faults.get(&call).copied());
        let (Some(call), Some(fault)) = (call, fault) else {
            let answer = self.pass_on(call, &request)?;
            return self.answer(&answer);
        };
        match fault {
            Fault::Throttled => {
                self.count(call, fault, 1);
                self.answer(&throttled())
            }
            Fault::AnswerLost => {
                self.count(call, fault, 1);
                self.pass_on(Some(call), &request).map(drop)
            }
            Fault::EntriesFail { one_in } if call != Call::Receive => {
                let answer = self.fail_entries(call, &request, one_in)?;
                self.answer(&answer)
            }
            Fault::Redelivered | Fault::Outdated if call == Call::Receive => {
                let answer = self.pass_on(Some(call), &request)?;
                let receipts = receipts_of(&answer.json()?);
                self.count(call, fault, receipts.len() as u64);
                match fault {
                    Fault::Redelivered => self.show_again(&request, &receipts)?,
                    _ => self.outdate(&receipts),
                }
                self.answer(&answer)
            }
            fault => panic!("{fault:?} is no fault of {call:?}"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn count(&self, call: Call, fault: Fault, times: u64) {
        *self.state().done.entry((call, fault)).or_default() += times;
    }

    fn answer(&mut self, answer: &Http) -> Option<()> {
        self.client.write_all(answer.head.as_bytes()).ok()?;
        self.client.write_all(&answer.body).ok()
    }

    /// Asks the emulator, and remembers what it handed out and deleted. Receipts that are outdated do not get there.
    fn pass_on(&self, call: Option<Call>, request: &Http) -> Option<Http> {
        match call {
            None => ask_emulator(request),
            Some(Call::Receive) => {
                let answer = ask_emulator(request)?;
                self.remember(&answer.json().unwrap_or_default());
                Some(answer)
            }
            Some(call) => {
                let mut input = request.json()?;
                let outdated = self.take_outdated(&mut input);
                let mut answer = self.ask_for_entries(call, request, &input)?;
                for id in outdated {
                    match call {
                        Call::Extend => push(&mut answer, "Failed", failed(&id, "InvalidParameterValue", true)),
                        _ => push(&mut answer, "Successful", json!({"Id": id})),
                    }
                }
                Some(Http::of(200, &answer))
            }
        }
    }

    fn fail_entries(&self, call: Call, request: &Http, one_in: u64) -> Option<Http> {
        let mut input = request.json()?;
        let mut failing = Vec::new();
        input["Entries"].as_array_mut()?.retain(|entry| {
            let mut state = self.state();
            state.entries += 1;
            let fails = state.entries.is_multiple_of(one_in);
            if fails {
                failing.push(entry["Id"].as_str().unwrap().to_owned());
            }
            !fails
        });
        self.count(call, Fault::EntriesFail { one_in }, failing.len() as u64);
        let answer = self.pass_on(Some(call), &request.with(&input))?;
        let mut answer = answer.json()?;
        for id in failing {
            push(&mut answer, "Failed", failed(&id, "InternalError", false));
        }
        Some(Http::of(200, &answer))
    }

    /// The emulator's answer to the entries that are left; an empty batch is not asked for.
    fn ask_for_entries(&self, call: Call, request: &Http, input: &Value) -> Option<Value> {
        if input["Entries"].as_array()?.is_empty() {
            return Some(json!({"Successful": [], "Failed": []}));
        }
        let turn = (call == Call::Acknowledge).then(|| self.turn.blocking_lock());
        let answer = ask_emulator(&request.with(input))?.json()?;
        drop(turn);
        if call == Call::Acknowledge {
            self.remember_deleted(input, &answer);
        }
        Some(answer)
    }

    fn remember(&self, answer: &Value) {
        let mut state = self.state();
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let text = |name: &str| message[name].as_str().unwrap().to_owned();
            let id = text("MessageId");
            state.receipts.insert(text("ReceiptHandle"), (id.clone(), false));
            let handed = state.messages.entry(id).or_default();
            handed.times += 1;
            handed.body = text("Body");
        }
    }

    fn remember_deleted(&self, input: &Value, answer: &Value) {
        let done: Vec<&Value> =
            answer["Successful"].as_array().into_iter().flatten().map(|entry| &entry["Id"]).collect();
        let mut state = self.state();
        for entry in input["Entries"].as_array().into_iter().flatten().filter(|entry| done.contains(&&entry["Id"])) {
            let message =
                state.receipts.get(entry["ReceiptHandle"].as_str().unwrap()).map(|(message, _)| message.clone());
            if let Some(handed) = message.and_then(|message| state.messages.get_mut(&message)) {
                let first = !std::mem::replace(&mut handed.acknowledged, true);
                state.acknowledged += usize::from(first);
            }
        }
    }

    fn outdate(&self, receipts: &[String]) {
        let mut state = self.state();
        for receipt in receipts {
            state.receipts.get_mut(receipt).unwrap().1 = true;
        }
    }

    /// Removes the entries with outdated receipts; their ids.
    fn take_outdated(&self, input: &mut Value) -> Vec<String> {
        let state = self.state();
        let mut outdated = Vec::new();
        input["Entries"].as_array_mut().unwrap().retain(|entry| {
            let receipt = entry["ReceiptHandle"].as_str().unwrap();
            let is_outdated = state.receipts.get(receipt).is_some_and(|(_, outdated)| *outdated);
            if is_outdated {
                outdated.push(entry["Id"].as_str().unwrap().to_owned());
            }
            !is_outdated
        });
        outdated
    }

    fn show_again(&self, request: &Http, receipts: &[String]) -> Option<()> {
        if receipts.is_empty() {
            return Some(());
        }
        let numbered = receipts.iter().enumerate();
        let entries: Vec<Value> = numbered
            .map(|(at, receipt)| json!({"Id": at.to_string(), "ReceiptHandle": receipt, "VisibilityTimeout": 1}))
            .collect();
        let input = json!({"QueueUrl": request.json()?["QueueUrl"], "Entries": entries});
        let mut change = request.with(&input);
        change.head = change.head.replace(Call::Receive.name(), Call::Extend.name());
        ask_emulator(&change).map(drop)
    }
}

impl Call {
    /// As the protocol names it.
    fn name(self) -> &'static str {
        match self {
            Call::Receive => "AmazonSQS.ReceiveMessage",
            Call::Extend => "AmazonSQS.ChangeMessageVisibilityBatch",
            Call::Acknowledge => "AmazonSQS.DeleteMessageBatch",
        }
    }
}

impl Http {
    fn of(status: u16, body: &Value) -> Http {
        let body = body.to_string().into_bytes();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} So\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        );
        Http { head, body }
    }

    /// A message whose length its head says.
    fn read(stream: &mut TcpStream) -> Option<Http> {
        let mut bytes = Vec::new();
        let mut piece = [0; 16 * 1024];
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                break end + 4;
            }
            let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
            bytes.extend_from_slice(&piece[..read]);
        };
        let mut body = bytes.split_off(head);
        let head = String::from_utf8(bytes).ok()?;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while body.len() < length {
            let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
            body.extend_from_slice(&piece[..read]);
        }
        Some(Http { head, body })
    }

    fn call(&self) -> Option<Call> {
        let target = header(&self.head, "x-amz-target")?;
        [Call::Receive, Call::Extend, Call::Acknowledge].into_iter().find(|call| call.name() == target)
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The same request about something else.
    fn with(&self, input: &Value) -> Http {
        let body = input.to_string().into_bytes();
        let lines = self.head.split("\r\n").map(|line| match line.split_once(':') {
            Some((name, _)) if name.eq_ignore_ascii_case("content-length") => format!("{name}: {}", body.len()),
            _ => line.to_owned(),
        });
        Http { head: lines.collect::<Vec<_>>().join("\r\n"), body }
    }
}

fn ask_emulator(request: &Http) -> Option<Http> {
    let mut server = TcpStream::connect(moto::server().endpoint().strip_prefix("http://")?).ok()?;
    server.write_all(request.head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).ok()?;
    server.write_all(&request.body).ok()?;
    Http::read(&mut server)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn receipts_of(answer: &Value) -> Vec<String> {
    let messages = answer["Messages"].as_array().into_iter().flatten();
    messages.map(|message| message["ReceiptHandle"].as_str().unwrap().to_owned()).collect()
}

fn push(answer: &mut Value, list: &str, entry: Value) {
    match answer[list].as_array_mut() {
        Some(entries) => entries.push(entry),
        None => answer[list] = json!([entry]),
    }
}

fn failed(id: &str, code: &str, sender_fault: bool) -> Value {
    json!({"Id": id, "Code": code, "SenderFault": sender_fault, "Message": "a fault of the test"})
}

fn throttled() -> Http {
    Http::of(403, &json!({"__type": "com.amazonaws.sqs#RequestThrottled", "message": "Request is throttled."}))
}
