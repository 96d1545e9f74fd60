//! What gets into the outbox, each notice under an id that follows from what it is about: replicas and restarts that have
//! the same to tell meet in the primary key. How it gets out again: `outbox`.
//!
//! A notice of failures is begun by the transaction that lists the first of them (`gathering`), gains the others of its
//! kind until its time is over, and is then sealed: written out, once. A notice of a day is written in one transaction
//! with a look at the day, see [`SqlStore::write_day_notice`]. From then on (`open`) whoever claims it sends it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::StoreError;
use super::dialect::Merge;
use super::failed::timestamp;
use super::notice_facts::{self, FailureFacts};
use super::session::{Begin, Class, Row, Session, SqlError, SqlResult, Value};
use super::sql_store::{SqlStore, as_stored};
use super::upsert::Insert;
use crate::model::{FailureKind, ReportDate};

pub(super) const DAY: &str = "day";
const FAILURES: &str = "failures";

/// What becomes of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// Failures may still be added to it.
    Gathering,
    /// To be sent.
    Open,
    Delivered,
    /// It was tried for too long.
    GivenUp,
}

impl NoticeState {
    pub const ALL: [NoticeState; 4] =
        [NoticeState::Gathering, NoticeState::Open, NoticeState::Delivered, NoticeState::GivenUp];

    pub fn name(self) -> &'static str {
        match self {
            NoticeState::Gathering => "gathering",
            NoticeState::Open => "open",
            NoticeState::Delivered => "delivered",
            NoticeState::GivenUp => "given_up",
        }
    }

    pub(super) fn read(row: &Row, at: usize) -> SqlResult<NoticeState> {
        let name = row.text(at)?;
        Self::ALL.into_iter().find(|state| state.name() == &*name).ok_or_else(|| {
            SqlError::new(Class::Schema, format!("notice holds the state {name:?}, which this program lacks"))
        })
    }
}

/// A date that nothing was committed for lately, and that people do not know of, or not all of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietDay {
    pub date: ReportDate,
    /// Of the last notice; 0 when there was none.
    pub revision: i64,
}

/// The notice of a day, ready to be written.
#[derive(Clone, Debug)]
pub struct DayNotice {
    pub id: String,
    pub date: ReportDate,
    pub revision: i64,
    /// The day as it was when the totals were read.
    pub objects: i64,
    pub last_commit: Timestamp,
    pub body: String,
}

/// What became of a notice of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Now,
    /// Another replica, or this one before a crash.
    Before,
    /// Something was committed for the day meanwhile.
    NotQuiet,
}

/// The notice of each kind that tells of failures at this moment. Its row is locked until the transaction ends, so that
/// nobody seals it before.
pub(super) async fn gather(
    session: &mut Session,
    kinds: BTreeSet<FailureKind>,
    now: &str,
    every: Duration,
) -> SqlResult<BTreeMap<FailureKind, String>> {
    let (begin, end) = window(timestamp(now)?, every);
    let mut notices = BTreeMap::new();
    for kind in kinds {
        let mut revision = 1;
        let id = loop {
            let begun = begin.strftime("%Y%m%dT%H%M%SZ");
            let id = format!("{FAILURES}-{kind}-{begun}-{revision}");
            if begun_notice(session, &id, kind, revision, now, end).await? == NoticeState::Gathering {
                break id;
            }
            revision += 1; // sealed already: by a clock that is ahead of ours
        };
        notices.insert(kind, id);
    }
    Ok(notices)
}

async fn begun_notice(
    session: &mut Session,
    id: &str,
    kind: FailureKind,
    revision: i64,
    now: &str,
    due: Timestamp,
) -> SqlResult<NoticeState> {
    let fixed = [("objects", Merge::Greatest)]; // changes nothing, and locks the row
    let tail = session.dialect().on_duplicate(&["notice_id"], &fixed);
    let row = vec![
        Value::text(id),
        Value::text(FAILURES),
        Value::text(kind.name()),
        Value::Int(revision),
        Value::Int(0),
        Value::Null,
        Value::text(NoticeState::Gathering.name()),
        Value::text(now),
        Value::Int(0),
        Value::text(&as_stored(due)),
    ];
    session.execute(&Insert { tail, ..insert() }.sql(1), row).await?;
    let lock = session.dialect().lock_exclusive();
    let state = session.query(&format!("{NOTICE_STATE}{lock}"), vec![Value::text(id)]).await?;
    state.first().map_or(Ok(NoticeState::Gathering), |row| NoticeState::read(row, 0))
}

fn insert() -> Insert {
    let columns = [
        "notice_id",
        "kind",
        "subject",
        "revision",
        "objects",
        "body",
        "state",
        "created_at",
        "attempts",
        "next_attempt",
    ];
    Insert::into("notice", &columns)
}

const NOTICE_STATE: &str = "-- notice state
SELECT state FROM notice WHERE notice_id = ?";

/// The part of time that a moment lies in: parts begin at multiples of `every`, in whole seconds.
fn window(moment: Timestamp, every: Duration) -> (Timestamp, Timestamp) {
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
    let begin = moment.as_second().div_euclid(every) * every;
    let at = |second| Timestamp::from_second(second).unwrap_or(moment);
    (at(begin), at(begin.saturating_add(every)))
}

impl SqlStore {
    /// Seals one notice of failures whose time is over; whether there was one. `compose` writes it out. One that turns
    /// out to have nothing new to tell is dropped.
    pub async fn seal_failures(
        &self,
        now: Timestamp,
        compose: &(dyn Fn(&FailureFacts) -> String + Sync),
    ) -> Result<bool, StoreError> {
        let mut session = self.begin_write().await?;
        let outcome = seal(&mut session, now, compose).await;
        self.finish(session, outcome).await
    }

    /// The dates from `from` to `to` that nothing was committed for after `quiet_since`, and that have objects which
    /// no notice tells of: the earliest few.
    pub async fn quiet_days(
        &self,
        from: ReportDate,
        to: ReportDate,
        quiet_since: Timestamp,
    ) -> Result<Vec<QuietDay>, StoreError> {
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = quiet_days(&mut session, from, to, quiet_since).await;
        self.finish(session, outcome).await
    }

    /// Writes a notice of a day unless the day has changed since its totals were read. The day's row is locked while it
    /// is looked at: a commit comes before, and then the totals are old, or after, and then a correction follows.
    pub async fn write_day_notice(&self, notice: &DayNotice, now: Timestamp) -> Result<Written, StoreError> {
        let mut session = self.begin_write().await?;
        let outcome = write_day(&mut session, notice, now).await;
        self.finish(session, outcome).await
    }
}

const DUE_FAILURES: &str = "-- notices of failures to be sealed
SELECT notice_id, subject FROM notice WHERE state = 'gathering' AND next_attempt <= ? ORDER BY next_attempt, notice_id LIMIT 1";

const SEAL: &str = "-- seal notice
UPDATE notice SET body = ?, objects = ?, state = 'open' WHERE notice_id = ?";

const NOTHING_TO_TELL: &str = "-- notice of nothing
DELETE FROM notice WHERE notice_id = ?";

async fn seal(
    session: &mut Session,
    now: Timestamp,
    compose: &(dyn Fn(&FailureFacts) -> String + Sync),
) -> SqlResult<bool> {
    // By its key alone: a scan would wait for notices that are still gathering.
    let due = session.query(DUE_FAILURES, vec![Value::text(&as_stored(now))]).await?;
    let Some(due) = due.first() else { return Ok(false) };
    let id = due.text(0)?;
    let lock = session.dialect().lock_exclusive();
    let locked = session.query(&format!("{NOTICE_STATE}{lock}"), vec![Value::Text(id.clone())]).await?;
    match locked.first().map(|row| NoticeState::read(row, 0)).transpose()? {
        Some(NoticeState::Gathering) => {}
        // Somebody else was faster.
        Some(NoticeState::Open | NoticeState::Delivered | NoticeState::GivenUp) | None => return Ok(true),
    }
    // All who added to it have committed.
    match notice_facts::failures(session, &id, &due.text(1)?).await? {
        None => session.execute(NOTHING_TO_TELL, vec![Value::Text(id)]).await?,
        Some(facts) => {
            let row = vec![Value::text(&compose(&facts)), Value::Int(facts.objects), Value::Text(id)];
            session.execute(SEAL, row).await?
        }
    };
    Ok(true)
}

const QUIET_DAYS: &str = "-- days that have gone quiet
SELECT report_date, objects FROM report_day
WHERE report_date BETWEEN ? AND ? AND last_commit <= ? ORDER BY report_date";

const DAYS_TOLD: &str = "-- days told of
SELECT subject, MAX(revision), MAX(objects) FROM notice WHERE kind = 'day' AND subject BETWEEN ? AND ? GROUP BY subject";

/// Days of one answer.
const DAYS_MAX: usize = 50;

async fn quiet_days(
    session: &mut Session,
    from: ReportDate,
    to: ReportDate,
    quiet_since: Timestamp,
) -> SqlResult<Vec<QuietDay>> {
    let range = vec![Value::Date(from), Value::Date(to), Value::text(&as_stored(quiet_since))];
    let quiet = session.query(QUIET_DAYS, range).await?;
    if quiet.is_empty() {
        return Ok(Vec::new());
    }
    let range = vec![Value::text(&from.to_string()), Value::text(&to.to_string())];
    let mut told = BTreeMap::new();
    for row in session.query(DAYS_TOLD, range).await? {
        told.insert(row.text(0)?.to_string(), (row.int(1)?, row.int(2)?));
    }
    let mut days = Vec::new();
    for row in quiet {
        let (date, objects) = (row.date(0)?, row.int(1)?);
        let (revision, objects_told) = told.get(&date.to_string()).copied().unwrap_or_default();
        // Every commit for a day adds an object to it: by this number a late one is known, whatever its clock said.
        if revision == 0 || objects > objects_told {
            days.push(QuietDay { date, revision });
        }
    }
    days.truncate(DAYS_MAX);
    Ok(days)
}

const DAY_NOW: &str = "-- day as it is
SELECT objects, last_commit FROM report_day WHERE report_date = ?";

async fn write_day(session: &mut Session, notice: &DayNotice, now: Timestamp) -> SqlResult<Written> {
    let lock = session.dialect().lock_exclusive();
    let day = session.query(&format!("{DAY_NOW}{lock}"), vec![Value::Date(notice.date)]).await?;
    let Some(day) = day.first() else { return Ok(Written::NotQuiet) };
    if (day.int(0)?, timestamp(&day.text(1)?)?) != (notice.objects, notice.last_commit) {
        return Ok(Written::NotQuiet);
    }
    let now = Value::text(&as_stored(now));
    let row = vec![
        Value::text(&notice.id),
        Value::text(DAY),
        Value::text(&notice.date.to_string()),
        Value::Int(notice.revision),
        Value::Int(notice.objects),
        Value::text(&notice.body),
        Value::text(NoticeState::Open.name()),
        now.clone(),
        Value::Int(0),
        now,
    ];
    match session.execute(&insert().sql(1), row).await {
        Ok(_) => Ok(Written::Now),
        Err(error) if error.class == Class::Duplicate => Ok(Written::Before),
        Err(error) => Err(error),
    }
}
