//! What befalls a soak.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;

use super::Stage;
use super::feed::Feed;
use super::fleet::{Fleet, REPLICAS_MAX};
use crate::sqs_proxy::{Call, Fault, Proxy};

/// How often each, in parts of their sum.
const EVENTS: [(u64, Event); 12] = [
    (14, Event::Start),
    (9, Event::Kill),
    (5, Event::Stop),
    (4, Event::Freeze),
    (17, Event::AnnounceAgain),
    (5, Event::Poison),
    (4, Event::Overwrite),
    (14, Event::QueueFault),
    (9, Event::LockHolder),
    (6, Event::ConnectionsKilled),
    (4, Event::MetadataChange),
    (3, Event::DatabaseKilled),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Start,
    Kill,
    Stop,
    Freeze,
    AnnounceAgain,
    Poison,
    Overwrite,
    QueueFault,
    LockHolder,
    ConnectionsKilled,
    MetadataChange,
    DatabaseKilled,
}

const QUEUE_FAULTS: [(Call, Fault); 10] = [
    (Call::Receive, Fault::Throttled),
    (Call::Receive, Fault::AnswerLost),
    (Call::Receive, Fault::Redelivered),
    (Call::Receive, Fault::Outdated),
    (Call::Extend, Fault::Throttled),
    (Call::Extend, Fault::EntriesFail { one_in: 2 }),
    (Call::Acknowledge, Fault::Throttled),
    (Call::Acknowledge, Fault::AnswerLost),
    (Call::Acknowledge, Fault::EntriesFail { one_in: 1 }),
    (Call::Acknowledge, Fault::EntriesFail { one_in: 3 }),
];

/// Every commit writes to one of these.
const TABLES: [&str; 6] =
    ["processed_object", "processed_object_day", "report_ad", "report_demand", "report_media", "report_day"];

pub struct Weather {
    stage: Arc<Stage>,
    feed: Arc<Feed>,
    random: fastrand::Rng,
    /// What lasts.
    lasting: JoinSet<()>,
    done: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    /// Events until the frozen go on.
    frozen_for: u64,
    /// Acknowledgements until the last blow.
    progress: usize,
}

impl Weather {
    /// Beside each other.
    const LASTING_MAX: usize = 3;

    pub fn new(stage: Arc<Stage>, feed: Arc<Feed>, seed: u64) -> Weather {
        let random = fastrand::Rng::with_seed(!seed);
        Weather { stage, feed, random, lasting: JoinSet::new(), done: Arc::default(), frozen_for: 0, progress: 0 }
    }

    /// Waits a little, and lets something happen.
    pub async fn next(&mut self, fleet: &mut Fleet) {
        tokio::time::sleep(Duration::from_millis(self.random.u64(50..1000))).await;
        while let Some(over) = self.lasting.try_join_next() {
            over.expect("the weather");
        }
        self.frozen_for = self.frozen_for.saturating_sub(1);
        if self.frozen_for == 0 {
            fleet.thaw_all();
        }
        let event = self.choose();
        if matches!(event, Event::Kill | Event::Stop | Event::Freeze | Event::DatabaseKilled) {
            // However slow the machine is: a blow comes when work has been done since the last one, not to those who
            // are still getting up from it.
            let progress = self.stage.proxy.acknowledged();
            if progress == std::mem::replace(&mut self.progress, progress) {
                return;
            }
        }
        let somebody = (fleet.len() > 0).then(|| self.random.usize(..fleet.len()));
        match (event, somebody) {
            (Event::Start, _) if fleet.len() < REPLICAS_MAX => fleet.start(),
            (_, None) => fleet.start(),
            (Event::Kill, Some(at)) => fleet.kill(at),
            (Event::Stop, Some(at)) => fleet.stop(at),
            (Event::Freeze, Some(at)) => {
                fleet.freeze(at);
                // About four seconds: longer than the visibility.
                self.frozen_for = self.frozen_for.max(16);
            }
            (event, _) => self.let_last(event),
        }
    }

    fn choose(&mut self) -> Event {
        let mut at = self.random.u64(..EVENTS.iter().map(|(often, _)| *often).sum::<u64>());
        for (often, event) in EVENTS {
            match at.checked_sub(often) {
                Some(rest) => at = rest,
                None => return event,
            }
        }
        unreachable!("the sum is above")
    }

    fn let_last(&mut self, event: Event) {
        if self.lasting.len() >= Self::LASTING_MAX {
            return;
        }
        let (stage, feed, done) = (self.stage.clone(), self.feed.clone(), self.done.clone());
        let mut random = self.random.fork();
        self.lasting.spawn(async move {
            let happened = match event {
                Event::AnnounceAgain => {
                    feed.announce_again(&mut random).await;
                    None
                }
                Event::Poison => {
                    feed.poison().await;
                    None
                }
                Event::Overwrite => {
                    feed.overwrite(&mut random).await;
                    None
                }
                Event::QueueFault => {
                    stage.spoil_the_queue(&mut random).await;
                    None
                }
                Event::LockHolder => stage.hold_a_lock(&mut random).await.then_some("locks held"),
                Event::ConnectionsKilled => stage.kill_connections(&mut random).await.then_some("connections killed"),
                Event::MetadataChange => {
                    stage.change_metadata(&mut random).await;
                    Some("metadata changed or away")
                }
                Event::DatabaseKilled => {
                    stage.kill_database(&mut random).await;
                    Some("database killed with -9")
                }
                Event::Start | Event::Kill | Event::Stop | Event::Freeze => None,
            };
            if let Some(happened) = happened {
                *done.lock().unwrap().entry(happened).or_default() += 1;
            }
        });
    }

    /// Waits until everything that lasts is over, and leaves two replicas at work.
    pub async fn calm_down(&mut self, fleet: &mut Fleet) {
        // Some of what lasts waits until the queue has room, so somebody must be at work.
        while !self.lasting.is_empty() {
            fleet.keep_two_at_work();
            let over = tokio::time::timeout(Duration::from_secs(1), self.lasting.join_next()).await;
            if let Ok(Some(over)) = over {
                over.expect("the weather");
            }
        }
        fleet.keep_two_at_work();
    }

    pub fn report(&self, proxy: &Proxy) -> String {
        let done = self.done.lock().unwrap();
        let database: Vec<String> = done.iter().map(|(name, times)| format!("{name} {times}")).collect();
        let queue: Vec<String> =
            proxy.done().iter().map(|((call, fault), times)| format!("{call:?} {fault:?} {times}")).collect();
        format!("database       {}\nqueue          {}", database.join(", "), queue.join(", "))
    }
}

impl Stage {
    async fn spoil_the_queue(&self, random: &mut fastrand::Rng) {
        let (call, fault) = QUEUE_FAULTS[random.usize(..QUEUE_FAULTS.len())];
        self.proxy.set(call, fault);
        tokio::time::sleep(Duration::from_millis(random.u64(200..3000))).await;
        self.proxy.clear(call);
    }

    /// Somebody else keeps a table for himself, or only some of its rows. False when the database was not there.
    async fn hold_a_lock(&self, random: &mut fastrand::Rng) -> bool {
        let table = TABLES[random.usize(..TABLES.len())];
        let Ok(mut holder) = mysql_async::Conn::from_url(self.world.database.url()).await else { return false };
        let held = match random.bool() {
            true => holder.query_drop(format!("LOCK TABLES {table} WRITE")).await,
            false => {
                let begun = holder.query_drop("START TRANSACTION").await;
                let rows: Result<Vec<mysql_async::Row>, _> =
                    holder.query(format!("SELECT * FROM {table} LIMIT 50 FOR UPDATE")).await;
                begun.and(rows.map(drop))
            }
        };
        tokio::time::sleep(Duration::from_millis(random.u64(100..4000))).await;
        let _ = holder.disconnect().await; // gone already when the server is
        held.is_ok()
    }

    /// Every connection to the database, or every second one.
    async fn kill_connections(&self, random: &mut fastrand::Rng) -> bool {
        let every = random.u64(1..=2);
        let ours = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB IS NOT NULL AND ID <> CONNECTION_ID()";
        let Some(connections) = self.ask(ours).await else { return false };
        for connection in connections.iter().filter(|row| row[0].parse::<u64>().unwrap().is_multiple_of(every)) {
            self.ask(&format!("KILL {}", connection[0])).await;
        }
        !connections.is_empty()
    }

    /// Changes that change no expectation: rows that nobody names, rows written as they were, a table that is away for
    /// a moment.
    async fn change_metadata(&self, random: &mut fastrand::Rng) {
        let number = random.u64(..);
        match random.u8(..3) {
            0 => self.insist(&format!("INSERT INTO media VALUES ('weather {number}', 7, 0.5, 0.5)")).await,
            1 => self.insist("UPDATE media SET organization_id = organization_id + 0").await,
            _ => {
                let _turn = self.database_turn.lock().await;
                self.insist_alone("RENAME TABLE media TO media_away").await;
                tokio::time::sleep(Duration::from_millis(random.u64(100..1000))).await;
                self.insist_alone("RENAME TABLE media_away TO media").await;
            }
        }
    }

    async fn kill_database(self: &Arc<Self>, random: &mut fastrand::Rng) {
        let _turn = self.database_turn.lock().await;
        let away = Duration::from_millis(random.u64(0..3000));
        let stage = self.clone();
        let restarted = tokio::task::spawn_blocking(move || {
            stage.server.kill();
            std::thread::sleep(away);
            stage.server.restart();
        });
        restarted.await.expect("the server's restart");
        self.wait_little_for_locks().await;
    }

    /// Runs a statement that must be run in the end, between the outages.
    pub async fn insist(&self, sql: &str) {
        let _turn = self.database_turn.lock().await;
        self.insist_alone(sql).await;
    }

    async fn insist_alone(&self, sql: &str) {
        let mut problem = None;
        for _ in 0..100 {
            let run = async {
                let mut connection = mysql_async::Conn::from_url(self.world.database.url()).await?;
                connection.query_drop(sql).await
            };
            match run.await {
                Ok(()) => return,
                // Done by an attempt whose answer was lost.
                Err(mysql_async::Error::Server(error))
                    if matches!(error.code, 1062 | 1050 | 1146) && problem.is_some() =>
                {
                    return;
                }
                Err(error) => problem = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{sql}: {problem:?}");
    }
}
