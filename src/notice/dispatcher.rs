//! Moves the outbox along, beside the pipeline: a turn every so often, and nothing in it that the pipeline waits for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::channels::{Channels, SendError};
use super::{NoticeSettings, message};
use crate::model::ReportDate;
use crate::store::{Channel, ClaimedNotice, DayNotice, SqlStore, StoreError, Written};
use crate::telemetry::alert;

/// Notices of one turn, of each sort: the rest waits for the next.
const TURN_MAX: usize = 20;

/// Between two attempts that failed by themselves: this, doubled each time, up to the longest.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_LONGEST: Duration = Duration::from_secs(3600);
/// After a refusal that only a person can do something about.
const RETRY_REFUSED: Duration = Duration::from_secs(3600);
/// Up to so much is added to a wait, in percent of it, so that replicas do not come in step.
const JITTER_PERCENT: u32 = 20;
/// A notice that has not arrived for so long is given up, and stays in the list.
const GIVE_UP_AFTER: Duration = Duration::from_secs(14 * 24 * 3600);
/// Delivered notices are deleted after this.
const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Between two turns: a quarter of the shortest wait that is configured, within these.
const TURN_SHORTEST: Duration = Duration::from_millis(200);
const TURN_LONGEST: Duration = Duration::from_secs(15);

/// Beside the timeouts of its channels, what a claim leaves room for.
const LEASE_SPARE: Duration = Duration::from_secs(5);

/// Outages that began and that ended, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutageCount {
    pub begun: u64,
    pub ended: u64,
}

pub struct Dispatcher {
    pub store: Arc<SqlStore>,
    pub channels: Channels,
    pub settings: NoticeSettings,
    /// Where a day begins and ends.
    pub zone: TimeZone,
    pub outages: Box<dyn Fn() -> OutageCount + Send + Sync>,
    pub clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// What a dispatcher remembers between its turns.
pub struct Memory {
    /// Since when the logs would have come, had there been any: no start and no outage after it.
    listening_since: Timestamp,
    outages: OutageCount,
    /// What a receiver asked to be left alone until.
    paused_until: [Option<Timestamp>; 2],
    forgotten_at: Option<Timestamp>,
}

impl Dispatcher {
    /// Runs until `stop`. A turn that has begun is finished first.
    pub async fn run(self, stop: CancellationToken) {
        let mut memory = self.begin();
        let shortest = self.settings.quiet.min(self.settings.failures_every);
        let mut turns = tokio::time::interval((shortest / 4).clamp(TURN_SHORTEST, TURN_LONGEST));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = turns.tick() => {}
            }
            if let Err(error) = self.turn(&mut memory, &stop).await {
                // The pipeline meets the same database, and says so once.
                debug!(%error, "notices wait for the database");
            }
        }
    }

    /// To be done before the first turn, at the moment when the pipeline begins to listen.
    pub fn begin(&self) -> Memory {
        Memory {
            listening_since: (self.clock)(),
            outages: (self.outages)(),
            paused_until: [None; 2],
            forgotten_at: None,
        }
    }

    /// Seals, writes and sends what is due now. An error means that the database was not there: nothing is lost.
    pub async fn turn(&self, memory: &mut Memory, stop: &CancellationToken) -> Result<(), StoreError> {
        self.seal_failures().await?;
        self.write_days(memory).await?;
        for _ in 0..TURN_MAX {
            if stop.is_cancelled() || !self.send_next(memory).await? {
                break;
            }
        }
        self.forget(memory).await
    }

    async fn seal_failures(&self) -> Result<(), StoreError> {
        let compose = |facts: &_| message::failures(facts, &self.zone, self.channels.language).to_string();
        for _ in 0..TURN_MAX {
            if !self.store.seal_failures((self.clock)(), &compose).await? {
                break;
            }
        }
        Ok(())
    }

    async fn write_days(&self, memory: &mut Memory) -> Result<(), StoreError> {
        let (now, outages) = ((self.clock)(), (self.outages)());
        if outages != memory.outages || outages.begun > outages.ended {
            memory.outages = outages;
            memory.listening_since = now;
        }
        // When nothing could have come, that nothing came says nothing.
        let quiet_since = before(now, self.settings.quiet);
        if memory.listening_since > quiet_since {
            return Ok(());
        }
        // Of the days that were over by then.
        let last = ReportDate(self.date(quiet_since).0 - 1);
        let first = self.date(before(now, self.settings.max_age));
        if first > last {
            return Ok(());
        }
        for day in self.store.quiet_days(first, last, quiet_since).await? {
            let Some(facts) = self.store.day_facts(day.date).await? else { continue };
            let measures = &self.store.plan().measures;
            let (id, revision, body) = message::day(&facts, measures, &self.zone, self.channels.language);
            let notice = DayNotice {
                id,
                date: day.date,
                revision,
                objects: facts.totals.objects,
                last_commit: facts.last_commit,
                body: body.to_string(),
            };
            if facts.last_commit <= quiet_since && self.store.write_day_notice(&notice, now).await? == Written::Now {
                info!(notice = notice.id, objects = notice.objects, "report date complete");
            }
        }
        Ok(())
    }

    fn date(&self, moment: Timestamp) -> ReportDate {
        let date: Date = moment.to_zoned(self.zone.clone()).date();
        ReportDate::of(date)
    }

    /// Sends one notice that is due; whether there was one.
    async fn send_next(&self, memory: &mut Memory) -> Result<bool, StoreError> {
        let now = (self.clock)();
        let channels = self.channels.list();
        let paused = |memory: &Memory, channel| memory.paused_until[place(channel)].filter(|until| now < *until);
        if channels.iter().all(|&channel| paused(memory, channel).is_some()) {
            return Ok(false);
        }
        let lease = self.settings.timeout * channels.len() as u32 + LEASE_SPARE;
        let Some(notice) = self.store.claim_notice(now, lease).await? else { return Ok(false) };
        let body: Value = serde_json::from_str(&notice.body).unwrap_or_default();
        let mut failed: Option<(Duration, String)> = None;
        for channel in channels {
            let arrived = match channel {
                Channel::Webhook => notice.on_webhook,
                Channel::Topic => notice.on_topic,
            };
            if arrived {
                continue;
            }
            if let Some(until) = paused(memory, channel) {
                let wait = until.duration_since(now).unsigned_abs();
                failed = later(failed, wait, format!("{channel}: it asked to be left alone until {until}"));
                continue;
            }
            match self.channels.send(channel, &body).await {
                Ok(answer) => {
                    self.store.notice_arrived(&notice.id, channel, (self.clock)()).await?;
                    info!(notice = notice.id, %channel, answer, "notice delivered");
                }
                Err(error) => {
                    let wait = self.judge(&notice, channel, &error, memory);
                    failed = later(failed, wait, format!("{channel}: {error}"));
                }
            }
        }
        self.settle(&notice, failed).await?;
        Ok(true)
    }

    /// Says what happened, and how long to wait for the next attempt.
    fn judge(&self, notice: &ClaimedNotice, channel: Channel, error: &SendError, memory: &mut Memory) -> Duration {
        let (id, attempt) = (&notice.id, notice.attempts);
        match error {
            SendError::Passing { problem, wait } => {
                warn!(notice = id, %channel, problem, attempt, "notice not delivered yet; it is kept and tried again");
                if let Some(wait) = wait {
                    let until = (self.clock)().saturating_add(*wait).ok();
                    memory.paused_until[place(channel)] = until;
                }
                wait.unwrap_or_default().max(retry_wait(attempt))
            }
            SendError::Refused { problem } => {
                error!(
                    notice = id, %channel, problem, attempt,
                    "the receiver refuses notices: correct [notice] in the configuration (`notices send --test` tries it); \
                     the notice is kept and tried again every hour"
                );
                alert::notice_refused(&channel.to_string(), problem);
                RETRY_REFUSED
            }
        }
    }

    async fn settle(&self, notice: &ClaimedNotice, failed: Option<(Duration, String)>) -> Result<(), StoreError> {
        let now = (self.clock)();
        let Some((wait, problem)) = failed else { return self.store.notice_delivered(&notice.id, now).await };
        let age = now.duration_since(notice.created_at).unsigned_abs();
        let next = (age < GIVE_UP_AFTER).then(|| now.saturating_add(jittered(wait)).unwrap_or(now));
        if next.is_none() {
            error!(notice = notice.id, problem, "notice given up after two weeks; `notices list` has it");
        }
        self.store.notice_failed(notice, next, &problem).await
    }

    async fn forget(&self, memory: &mut Memory) -> Result<(), StoreError> {
        let now = (self.clock)();
        if memory.forgotten_at.is_none_or(|at| now.duration_since(at).unsigned_abs() >= FORGET_EVERY) {
            memory.forgotten_at = Some(now);
            self.store.forget_notices(before(now, KEEP)).await?;
        }
        Ok(())
    }
}

/// The longer wait of two, with its reason.
fn later(one: Option<(Duration, String)>, wait: Duration, problem: String) -> Option<(Duration, String)> {
    one.filter(|(longer, _)| *longer >= wait).or(Some((wait, problem)))
}

fn before(moment: Timestamp, by: Duration) -> Timestamp {
    moment.saturating_sub(by).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn place(channel: Channel) -> usize {
    match channel {
        Channel::Webhook => 0,
        Channel::Topic => 1,
    }
}

fn retry_wait(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_LONGEST)
}

fn jittered(wait: Duration) -> Duration {
    wait.saturating_add(wait.saturating_mul(fastrand::u32(0..=JITTER_PERCENT)) / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let seconds: Vec<u64> = [1, 2, 3, 10, 11, 1000].map(|attempts| retry_wait(attempts).as_secs()).to_vec();
        assert_eq!(seconds, [5, 10, 20, 2560, 3600, 3600]);
        let wait = jittered(Duration::from_secs(100)).as_secs();
        assert!((100..=120).contains(&wait), "{wait}");
    }
}
