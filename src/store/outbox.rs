//! How notices leave: claimed for a time, sent by somebody else, and then settled. Delivered at least once: who dies
//! between the receiver's answer and the settling leaves a notice that is sent again, under the same id.

use std::time::Duration;

use jiff::Timestamp;

use super::StoreError;
use super::failed::timestamp;
use super::notices::NoticeState;
use super::session::{Begin, Row, Session, SqlResult, Value};
use super::sql_store::{SqlStore, as_stored};

/// Where notices go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Webhook,
    Topic,
}

/// One row of `notice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    pub id: String,
    pub state: NoticeState,
    pub objects: i64,
    pub created_at: Timestamp,
    pub attempts: i64,
    pub next_attempt: Timestamp,
    pub delivered_at: Option<Timestamp>,
    pub last_error: Option<String>,
    /// JSON; none while it gathers.
    pub body: Option<String>,
}

/// A notice that nobody else sends for the time of the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedNotice {
    pub id: String,
    pub kind: String,
    /// JSON, as it was written once and for all.
    pub body: String,
    /// This one included.
    pub attempts: i64,
    pub created_at: Timestamp,
    /// What has arrived already.
    pub on_webhook: bool,
    pub on_topic: bool,
}

impl SqlStore {
    /// Takes a notice that is due, for `lease`: nobody else sends it until then.
    pub async fn claim_notice(&self, now: Timestamp, lease: Duration) -> Result<Option<ClaimedNotice>, StoreError> {
        let mut session = self.begin_write().await?;
        let outcome = claim(&mut session, now, lease).await;
        self.finish(session, outcome).await
    }

    /// It arrived there; all that is left to do after a crash is the other channel.
    pub async fn notice_arrived(&self, id: &str, channel: Channel, now: Timestamp) -> Result<(), StoreError> {
        let sql = match channel {
            Channel::Webhook => "-- notice arrived\nUPDATE notice SET webhook_at = ? WHERE notice_id = ?",
            Channel::Topic => "-- notice arrived\nUPDATE notice SET topic_at = ? WHERE notice_id = ?",
        };
        self.change_notice(sql, vec![Value::text(&as_stored(now)), Value::text(id)]).await
    }

    /// It arrived everywhere.
    pub async fn notice_delivered(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.change_notice(NOTICE_DELIVERED, vec![Value::text(&as_stored(now)), Value::text(id)]).await
    }

    /// It did not arrive: the next attempt, or none.
    pub async fn notice_failed(
        &self,
        notice: &ClaimedNotice,
        next_attempt: Option<Timestamp>,
        problem: &str,
    ) -> Result<(), StoreError> {
        let problem: String = problem.chars().take(super::schema::REASON_CHARS_MAX).collect();
        let state = if next_attempt.is_some() { NoticeState::Open } else { NoticeState::GivenUp };
        let next = as_stored(next_attempt.unwrap_or(notice.created_at));
        // Not when the lease was over and somebody else has tried meanwhile.
        let params = vec![
            Value::text(state.name()),
            Value::text(&next),
            Value::text(&problem),
            Value::text(&notice.id),
            Value::Int(notice.attempts),
        ];
        self.change_notice(NOTICE_FAILED, params).await
    }

    async fn change_notice(&self, sql: &str, params: Vec<Value>) -> Result<(), StoreError> {
        let mut session = self.begin_write().await?;
        let outcome = session.execute(sql, params).await.map(drop);
        self.finish(session, outcome).await
    }

    /// Deletes what was delivered or given up before `before`, but the last notice of each day: corrections are
    /// measured against it. How many.
    pub async fn forget_notices(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut session = self.begin_write().await?;
        let outcome = forget(&mut session, before).await;
        self.finish(session, outcome).await
    }

    /// The newest notices first.
    pub async fn notices(&self, state: Option<NoticeState>, limit: u64) -> Result<Vec<NoticeRow>, StoreError> {
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = read(&mut session, state, limit).await;
        self.finish(session, outcome).await
    }
}

const DUE: &str = "-- notices that are due
SELECT notice_id, kind, body, attempts, created_at, webhook_at, topic_at FROM notice
WHERE state = 'open' AND next_attempt <= ? ORDER BY next_attempt, notice_id LIMIT 10";

const CLAIM: &str = "-- claim notice
UPDATE notice SET attempts = attempts + 1, next_attempt = ? WHERE notice_id = ? AND attempts = ? AND state = 'open'";

async fn claim(session: &mut Session, now: Timestamp, lease: Duration) -> SqlResult<Option<ClaimedNotice>> {
    let until = now.saturating_add(lease).unwrap_or(now);
    for row in session.query(DUE, vec![Value::text(&as_stored(now))]).await? {
        let (id, attempts) = (row.text(0)?, row.int(3)?);
        let claim = vec![Value::text(&as_stored(until)), Value::Text(id.clone()), Value::Int(attempts)];
        if session.execute(CLAIM, claim).await? == 0 {
            continue; // somebody else has it
        }
        return Ok(Some(ClaimedNotice {
            id: id.to_string(),
            kind: row.text(1)?.to_string(),
            body: row.text_or_null(2)?.map_or_else(String::new, |body| body.to_string()),
            attempts: attempts + 1,
            created_at: timestamp(&row.text(4)?)?,
            on_webhook: row.text_or_null(5)?.is_some(),
            on_topic: row.text_or_null(6)?.is_some(),
        }));
    }
    Ok(None)
}

const NOTICE_DELIVERED: &str = "-- notice delivered
UPDATE notice SET state = 'delivered', delivered_at = ?, last_error = NULL WHERE notice_id = ?";

const NOTICE_FAILED: &str = "-- notice failed
UPDATE notice SET state = ?, next_attempt = ?, last_error = ? WHERE notice_id = ? AND attempts = ? AND state = 'open'";

const FORGETTABLE: &str = "-- notices to be forgotten
SELECT n.notice_id FROM notice n
WHERE n.state IN ('delivered', 'given_up') AND n.created_at < ? AND (n.kind <> 'day' OR EXISTS (
    SELECT 1 FROM notice later WHERE later.kind = 'day' AND later.subject = n.subject AND later.revision > n.revision
)) LIMIT 500";

const FORGET: &str = "-- forget notice
DELETE FROM notice WHERE notice_id = ?";

async fn forget(session: &mut Session, before: Timestamp) -> SqlResult<u64> {
    let mut forgotten = 0;
    for row in session.query(FORGETTABLE, vec![Value::text(&as_stored(before))]).await? {
        forgotten += session.execute(FORGET, vec![Value::Text(row.text(0)?)]).await?;
    }
    Ok(forgotten)
}

const NOTICES: &str = "-- notices
SELECT notice_id, state, objects, created_at, attempts, next_attempt, delivered_at, last_error, body FROM notice";

async fn read(session: &mut Session, state: Option<NoticeState>, limit: u64) -> SqlResult<Vec<NoticeRow>> {
    let filter = if state.is_some() { "\nWHERE state = ?" } else { "" };
    let sql = format!("{NOTICES}{filter}\nORDER BY created_at DESC, notice_id LIMIT {limit}");
    let rows = session.query(&sql, state.iter().map(|state| Value::text(state.name())).collect()).await?;
    let moment = |row: &Row, at| row.text_or_null(at)?.map(|text| timestamp(&text)).transpose();
    let text = |row: &Row, at| -> SqlResult<Option<String>> { Ok(row.text_or_null(at)?.map(|text| text.to_string())) };
    let row = |row: &Row| {
        Ok(NoticeRow {
            id: row.text(0)?.to_string(),
            state: NoticeState::read(row, 1)?,
            objects: row.int(2)?,
            created_at: timestamp(&row.text(3)?)?,
            attempts: row.int(4)?,
            next_attempt: timestamp(&row.text(5)?)?,
            delivered_at: moment(row, 6)?,
            last_error: text(row, 7)?,
            body: text(row, 8)?,
        })
    };
    rows.iter().map(row).collect()
}
