//! A queue as SQS keeps it: it hides, expires, redelivers, duplicates, reorders and dead-letters. It looks at every
//! message that is about to be deleted, and at every one that shows again, and asks why.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use xc2_analyzer::model::{Delivery, Receipt};
use xc2_analyzer::source::{Filter, ReceiptOutcome, notification};

use super::books::{Books, unfinished};
use super::process::{Process, Stage};
use super::scenario::Fault;
use super::world::World;

const LONG_POLL: Duration = Duration::from_secs(20);

/// Failed heartbeats in a row that a delivery must survive, and failed deletes after which it may be left.
const EXTEND_FAULTS_SURVIVED: u32 = 1;
const ACKNOWLEDGE_FAULTS_MAX: u32 = 5;

pub struct Server {
    pub world: Arc<World>,
    books: Arc<dyn Books>,
    messages: Mutex<Vec<Message>>,
    /// A message became visible, was deleted or died.
    changed: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    Deleted,
    /// In the dead-letter queue.
    Dead,
}

struct Message {
    /// Of the scenario's messages.
    plan: usize,
    body: Arc<str>,
    state: State,
    visible_at: Instant,
    receives: u32,
    /// One for each receipt, the newest last.
    handles: Vec<Handle>,
}

struct Handle {
    process: Arc<Process>,
    released: bool,
    deleted: bool,
    /// Faults that the process' heartbeats had met when this one was last extended.
    extend_faults_before: u32,
    acknowledge_faults: u32,
    /// Why nobody is to blame when the message shows again.
    excuse: Option<&'static str>,
}

impl Handle {
    /// Whether the queue, or an end of the process, is the reason that the message shows again.
    fn is_excused(&self) -> bool {
        let dead = matches!(self.process.stage(), Stage::Crashed | Stage::Abandoned | Stage::Ended);
        let extend_faults = self.process.extend_faults() - self.extend_faults_before;
        self.released
            || self.deleted
            || dead
            || self.excuse.is_some()
            || self.process.is_frozen()
            || extend_faults > EXTEND_FAULTS_SURVIVED
            || self.acknowledge_faults >= ACKNOWLEDGE_FAULTS_MAX
    }
}

fn message_id(message: usize) -> String {
    format!("m{message}")
}

fn receipt(message: usize, handle: usize) -> Receipt {
    Receipt(format!("{message}#{handle}").into())
}

fn parts(receipt: &Receipt) -> (usize, usize) {
    let (message, handle) = receipt.0.split_once('#').expect("a receipt of this queue");
    (message.parse().unwrap(), handle.parse().unwrap())
}

impl Server {
    pub fn new(world: Arc<World>, books: Arc<dyn Books>) -> Server {
        Server { world, books, messages: Mutex::default(), changed: Notify::new() }
    }

    pub fn visibility(&self) -> Duration {
        self.world.scenario.settings.visibility
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().unwrap()
    }

    /// Puts one of the scenario's messages into the queue, as a message of its own.
    pub fn send(&self, plan: usize) {
        let body = super::notices::body(&self.world, plan).into();
        let mut messages = self.messages();
        let visible_at = Instant::now();
        messages.push(Message { plan, body, state: State::Live, visible_at, receives: 0, handles: Vec::new() });
        self.world.say(|| format!("{} sent: {plan}", message_id(messages.len() - 1)));
        drop(messages);
        self.changed.notify_waiters();
    }

    /// Every message's id and its place in the scenario.
    pub fn sent(&self) -> Vec<(String, usize)> {
        self.messages().iter().enumerate().map(|(at, message)| (message_id(at), message.plan)).collect()
    }

    /// Waits until every message is deleted or dead.
    pub async fn drained(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.messages().iter().all(|message| message.state != State::Live) {
                return;
            }
            changed.await;
        }
    }

    /// Ids of the messages that are neither deleted nor dead.
    pub fn left(&self) -> Vec<String> {
        let messages = self.messages();
        (0..messages.len()).filter(|&at| messages[at].state == State::Live).map(message_id).collect()
    }

    /// Moves the dead letters back; how many there were.
    pub fn redrive(&self) -> usize {
        let mut redriven = 0;
        for message in self.messages().iter_mut().filter(|message| message.state == State::Dead) {
            (message.state, message.receives, message.visible_at) = (State::Live, 0, Instant::now());
            redriven += 1;
        }
        self.world.say(|| format!("{redriven} dead letters redriven"));
        self.changed.notify_waiters();
        redriven
    }

    /// One long poll.
    pub async fn hand_out(self: Arc<Server>, room: usize, process: Arc<Process>) -> Handed {
        let deadline = Instant::now() + LONG_POLL;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let deliveries = self.pick(room, &process);
            let now = Instant::now();
            if !deliveries.is_empty() || now >= deadline {
                return Handed { server: self.clone(), deliveries };
            }
            let next = self.messages().iter().map(|message| message.visible_at).filter(|at| *at > now).min();
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep_until(next.map_or(deadline, |next| next.min(deadline))) => {}
            }
        }
    }

    fn pick(&self, room: usize, process: &Arc<Process>) -> Vec<Delivery> {
        let mut messages = self.messages();
        let now = Instant::now();
        let mut order: Vec<usize> = (0..messages.len()).filter(|&at| messages[at].state == State::Live).collect();
        self.world.rng(|rng| rng.shuffle(&mut order));
        let wanted = self.world.rng(|rng| rng.usize(1..=room));
        let mut deliveries = Vec::new();
        for at in order {
            let message = &mut messages[at];
            let visible = message.visible_at <= now;
            if deliveries.len() == wanted || !(visible || self.world.strikes(Fault::DeliveredTwice)) {
                continue;
            }
            self.show_again(at, message, visible);
            if self.world.scenario.settings.receives_max.is_some_and(|most| message.receives >= most) {
                self.world.say(|| format!("{} is dead after {} receipts", message_id(at), message.receives));
                self.world.happened("dead letters");
                message.state = State::Dead;
                self.changed.notify_waiters();
                continue;
            }
            deliveries.push(self.deliver(at, message, process));
        }
        deliveries
    }

    /// A delivery must not come again for no other reason than that its process took its time.
    fn show_again(&self, at: usize, message: &mut Message, visible: bool) {
        let Some(newest) = message.handles.last_mut() else { return };
        if !visible {
            newest.excuse.get_or_insert("delivered twice");
        } else if !newest.is_excused() {
            let (message, process) = (message_id(at), &newest.process);
            self.world.wrong(format!("{message} shows again, although {process} holds it and the queue answered"));
        }
    }

    fn deliver(&self, at: usize, message: &mut Message, process: &Arc<Process>) -> Delivery {
        message.receives += 1;
        self.world.happened(if message.receives == 1 { "messages received" } else { "messages received again" });
        message.visible_at = Instant::now() + self.visibility();
        message.handles.push(Handle {
            process: process.clone(),
            released: false,
            deleted: false,
            extend_faults_before: process.extend_faults(),
            acknowledge_faults: 0,
            excuse: None,
        });
        self.world.say(|| format!("{} to {process}, receipt {}", message_id(at), message.receives));
        Delivery {
            message_id: message_id(at),
            receipt: receipt(at, message.handles.len() - 1),
            attempt: message.receives,
            received_at: Timestamp::UNIX_EPOCH,
            sent_at: None,
            body: message.body.clone(),
            content: notification::read(&message.body, &Filter::default()),
        }
    }

    /// Hides the message for another while, when this receipt is its newest and it is still hidden.
    pub fn extend(&self, receipt: &Receipt) -> ReceiptOutcome {
        self.with(receipt, |message, handle| {
            let newest = handle + 1 == message.handles.len();
            if message.state != State::Live || !newest || message.visible_at <= Instant::now() {
                return ReceiptOutcome::Gone;
            }
            message.visible_at = Instant::now() + self.visibility();
            let handle = &mut message.handles[handle];
            handle.extend_faults_before = handle.process.extend_faults();
            ReceiptOutcome::Done
        })
    }

    /// The one check that matters: is everything that this message announces in the books?
    pub fn check_before_delete(&self, receipt: &Receipt) {
        let (at, _) = parts(receipt);
        let plan = self.messages()[at].plan;
        let body = &self.world.scenario.messages[plan].body;
        if let Some(problem) = unfinished(&self.world, self.books.as_ref(), &message_id(at), body) {
            self.world.wrong(format!("{} is acknowledged although {problem}", message_id(at)));
        }
    }

    /// Says done in any case. An old receipt may delete nothing.
    pub fn delete(&self, receipt: &Receipt) -> ReceiptOutcome {
        let outcome = self.with(receipt, |message, handle| {
            message.handles[handle].deleted = true;
            let newest = handle + 1 == message.handles.len();
            let deleted = newest || self.world.rng(|rng| rng.bool());
            if deleted && message.state == State::Live && !self.world.strikes(Fault::DeletedInVain) {
                message.state = State::Deleted;
                message.handles.iter_mut().for_each(|handle| handle.deleted = true);
            }
            ReceiptOutcome::Done
        });
        self.changed.notify_waiters();
        outcome
    }

    pub fn release(&self, receipt: &Receipt) -> ReceiptOutcome {
        let outcome = self.with(receipt, |message, handle| {
            if handle + 1 != message.handles.len() || message.visible_at <= Instant::now() {
                return ReceiptOutcome::Gone;
            }
            message.handles[handle].released = true;
            message.visible_at = Instant::now();
            ReceiptOutcome::Done
        });
        self.changed.notify_waiters();
        outcome
    }

    fn with<T>(&self, receipt: &Receipt, change: impl FnOnce(&mut Message, usize) -> T) -> T {
        let (message, handle) = parts(receipt);
        change(&mut self.messages()[message], handle)
    }

    /// From here on nobody is to blame when the message shows again.
    pub fn excuse(&self, receipt: &Receipt, why: &'static str) {
        self.with(receipt, |message, handle| {
            message.handles[handle].excuse.get_or_insert(why);
        });
    }

    pub fn excuse_all_of(&self, process: &Process, why: &'static str) {
        let mut messages = self.messages();
        let handles = messages.iter_mut().flat_map(|message| &mut message.handles);
        for handle in handles.filter(|handle| handle.process.number == process.number) {
            handle.excuse.get_or_insert(why);
        }
    }

    pub fn acknowledge_failed(&self, receipt: &Receipt) {
        self.with(receipt, |message, handle| message.handles[handle].acknowledge_faults += 1);
    }

    /// After an orderly end nothing that the process received may be hidden, unless the queue itself is the reason.
    pub fn check_after_end(&self, process: &Process) {
        for (at, message) in self.messages().iter().enumerate() {
            let Some(newest) = message.handles.last() else { continue };
            let hidden = message.state == State::Live && message.visible_at > Instant::now();
            let settled = newest.released || newest.deleted || newest.excuse.is_some() || newest.acknowledge_faults > 0;
            if newest.process.number == process.number && hidden && !settled {
                self.world.wrong(format!("{} is still hidden after the orderly end of {process}", message_id(at)));
            }
        }
    }
}

/// What one receive brought, on its way to the process. Dropped before it came there, its messages stay hidden, and
/// nobody knows of them.
pub struct Handed {
    server: Arc<Server>,
    deliveries: Vec<Delivery>,
}

impl Handed {
    pub fn take(mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        for delivery in &self.deliveries {
            self.server.excuse(&delivery.receipt, "nobody was there to receive it");
        }
    }
}
