//! The queue as one process reaches it: calls fail, are lost, stall, and are carried out even when nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use xc2_analyzer::model::Receipt;
use xc2_analyzer::source::{Queue, QueueError, ReceiptOutcome, Received};

use super::process::{Process, Stage};
use super::queue::Server;
use super::scenario::{Dependency, Fault};

pub struct QueueClient {
    pub server: Arc<Server>,
    pub process: Arc<Process>,
}

/// How a call for several receipts can go wrong.
struct Faults {
    fails: Fault,
    entry_fails: Option<Fault>,
    lost: Option<Fault>,
    stalls: Option<Fault>,
}

const EXTEND: Faults = Faults {
    fails: Fault::ExtendFails,
    entry_fails: Some(Fault::ExtendEntryFails),
    lost: Some(Fault::ExtendLost),
    stalls: Some(Fault::ExtendStalls),
};

const ACKNOWLEDGE: Faults = Faults {
    fails: Fault::AcknowledgeFails,
    entry_fails: Some(Fault::AcknowledgeEntryFails),
    lost: Some(Fault::AcknowledgeLost),
    stalls: Some(Fault::AcknowledgeStalls),
};

const RELEASE: Faults =
    Faults { fails: Fault::ReleaseFails, entry_fails: Some(Fault::ReleaseEntryFails), lost: None, stalls: None };

impl QueueClient {
    async fn begin(&self, call: &str, receipts: &[Receipt]) {
        self.process.thawed().await;
        if self.process.stage() == Stage::Ended {
            self.server.world.wrong(format!("{} has ended and {call}", self.process));
        }
        self.server.world.say(|| {
            let receipts: Vec<&str> = receipts.iter().map(|receipt| &*receipt.0).collect();
            format!("{} {call} {}", self.process, receipts.join(" "))
        });
    }

    fn unavailable(&self) -> QueueError {
        QueueError::Unavailable { url: "queue".into(), problem: "simulated".into() }
    }

    /// One call for several receipts. `failed` is told of each receipt that the process can't know to be done.
    async fn call(
        &self,
        receipts: &[Receipt],
        faults: Faults,
        effect: fn(&Server, &Receipt) -> ReceiptOutcome,
        failed: &(dyn Fn(&Receipt) + Sync),
    ) -> Result<Vec<ReceiptOutcome>, QueueError> {
        let world = &self.server.world;
        let strikes = |fault: Option<Fault>| fault.is_some_and(|fault| world.strikes(fault));
        if world.is_out(Dependency::Queue) || world.strikes(faults.fails) {
            receipts.iter().for_each(failed);
            world.travel().await;
            self.process.thawed().await;
            return Err(self.unavailable());
        }
        let (stalls, lost) = (strikes(faults.stalls), strikes(faults.lost));
        if stalls || lost {
            receipts.iter().for_each(failed);
        }
        let entries: Vec<(Receipt, bool)> =
            receipts.iter().map(|receipt| (receipt.clone(), strikes(faults.entry_fails))).collect();
        entries.iter().filter(|(_, fails)| *fails).for_each(|(receipt, _)| failed(receipt));
        let server = self.server.clone();
        // A task of the server's: whoever asked may be gone when it is done.
        let answer = tokio::spawn(async move {
            if stalls {
                server.world.stall().await;
            }
            server.world.travel().await;
            let outcome = |(receipt, fails): &(Receipt, bool)| match fails {
                true => ReceiptOutcome::Failed { problem: "simulated".into() },
                false => effect(&server, receipt),
            };
            entries.iter().map(outcome).collect::<Vec<_>>()
        });
        let outcomes = answer.await.expect("the server does not panic");
        world.travel().await;
        self.process.thawed().await;
        world.say(|| format!("{} is answered {outcomes:?}{}", self.process, if lost { ", which is lost" } else { "" }));
        if lost { Err(self.unavailable()) } else { Ok(outcomes) }
    }
}

#[async_trait]
impl Queue for QueueClient {
    async fn receive(&self, room: usize) -> Result<Received, QueueError> {
        self.begin("receives", &[]).await;
        let world = &self.server.world;
        if let Some(dependency) = self.process.known_outage() {
            world.wrong(format!("{} receives, and knows that it can't reach the {dependency:?}", self.process));
        }
        if world.is_out(Dependency::Queue) || world.strikes(Fault::ReceiveFails) {
            world.travel().await;
            self.process.thawed().await;
            return Err(self.unavailable());
        }
        let (stalls, lost) = (world.strikes(Fault::ReceiveStalls), world.strikes(Fault::ReceiveLost));
        let (server, process) = (self.server.clone(), self.process.clone());
        let handed = tokio::spawn(async move {
            if stalls {
                server.world.stall().await;
            }
            server.world.travel().await;
            server.hand_out(room, process).await
        });
        let handed = handed.await.expect("the server does not panic");
        world.travel().await;
        self.process.thawed().await;
        if lost { Err(self.unavailable()) } else { Ok(Received::Deliveries(handed.take())) }
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        self.begin("extends", receipts).await;
        // One fault a call, however many entries it hits.
        let failed = AtomicBool::new(false);
        let fail = |_: &Receipt| {
            if !failed.swap(true, Ordering::Relaxed) {
                self.process.extend_failed();
            }
        };
        self.call(receipts, EXTEND, Server::extend, &fail).await
    }

    async fn acknowledge(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        self.begin("acknowledges", receipts).await;
        receipts.iter().for_each(|receipt| self.server.check_before_delete(receipt));
        // Whoever drops the call in the middle does not know what was deleted.
        let _unanswered = Unanswered { server: &self.server, process: &self.process, receipts };
        let failed = |receipt: &Receipt| self.server.acknowledge_failed(receipt);
        self.call(receipts, ACKNOWLEDGE, Server::delete, &failed).await
    }

    async fn release(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>, QueueError> {
        self.begin("releases", receipts).await;
        if !self.process.shutdown.is_stopping() {
            self.server.world.wrong(format!("{} gives deliveries back, and nobody asked it to stop", self.process));
        }
        let failed = |receipt: &Receipt| self.server.excuse(receipt, "not released");
        self.call(receipts, RELEASE, Server::release, &failed).await
    }

    fn visibility(&self) -> Option<Duration> {
        Some(self.server.visibility())
    }

    fn url(&self) -> &str {
        "queue"
    }
}

/// A call to delete that may be dropped: only at the end of a process.
struct Unanswered<'a> {
    server: &'a Server,
    process: &'a Process,
    receipts: &'a [Receipt],
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.process.shutdown.is_stopping() {
            self.receipts.iter().for_each(|receipt| self.server.acknowledge_failed(receipt));
        }
    }
}
