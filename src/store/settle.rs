//! What becomes of listings: settled by counting, or by an operator's decision.
//!
//! A row of `failed_object` is about one generation of one object. `open`: it waits for somebody. `resolved`: the object
//! was counted after all. `discarded`: an operator decided that this content is not to be counted, and it is not, however
//! often it is announced, until the listing is reopened.

use std::collections::HashSet;

use super::ledger::IDS_MAX;
use super::quarantine::{cut_chars, generation_key};
use super::schema::{NOTE_CHARS_MAX, WHO_CHARS_MAX};
use super::session::{Session, SqlResult, Value};
use super::sql_store::{SqlStore, now};
use super::upsert::chunk_sizes;
use super::{FailedKey, FailedState, ObjectRollup, StoreError};
use crate::model::ObjectId;

/// What an operator, or a retry on their behalf, says of open or discarded listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This content will not be counted.
    Discard { reason: String },
    /// The discard was a mistake.
    Reopen,
    /// What the listing is about is in the reports, or was a message whose objects have been dealt with.
    Resolve { note: String },
    /// It was tried again and failed in another way than under this listing: it stays open.
    Retried { note: String },
}

impl Decision {
    /// The only state in which it applies.
    fn of(&self) -> FailedState {
        match self {
            Decision::Discard { .. } | Decision::Resolve { .. } | Decision::Retried { .. } => FailedState::Open,
            Decision::Reopen => FailedState::Discarded,
        }
    }
}

/// Listings decided on in one transaction.
const DECISIONS_MAX: usize = 500;
/// A daemon at work may hold the same rows; the server ends one of two that wait for each other.
const CONFLICTS_MAX: u32 = 10;

impl SqlStore {
    /// Applies `decision` to those of `listings` that are in the state for it; which those are, in order. In transactions
    /// of a few hundred listings each: after an error some may have been decided on, and asking again does the rest.
    pub async fn decide(&self, listings: &[FailedKey], decision: &Decision) -> Result<Vec<bool>, StoreError> {
        let mut applied = Vec::with_capacity(listings.len());
        for chunk in listings.chunks(DECISIONS_MAX) {
            let mut conflicts = 0;
            applied.extend(loop {
                match self.decide_at_once(chunk, decision).await {
                    Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                    outcome => break outcome?,
                }
            });
        }
        Ok(applied)
    }

    async fn decide_at_once(&self, listings: &[FailedKey], decision: &Decision) -> Result<Vec<bool>, StoreError> {
        let mut session = self.begin_write().await?;
        let outcome = decide(&mut session, listings, decision, &now(), self.who()).await;
        self.finish(session, outcome).await
    }
}

async fn decide(
    session: &mut Session,
    listings: &[FailedKey],
    decision: &Decision,
    now: &str,
    who: &str,
) -> SqlResult<Vec<bool>> {
    let select = format!(
        "-- one listing\nSELECT state, resolved_at, resolved_by, note FROM failed_object \
         WHERE object_id = ? AND generation = ?{}",
        session.dialect().lock_exclusive()
    );
    let mut applied = vec![false; listings.len()];
    // In the order of the primary key, as every transaction takes its locks.
    let mut order: Vec<usize> = (0..listings.len()).collect();
    order.sort_by(|&one, &other| listings[one].cmp(&listings[other]));
    for at in order {
        let key = || vec![Value::Bytes(listings[at].id.0.to_vec()), Value::text(&listings[at].generation)];
        let Some(row) = session.query(&select, key()).await?.pop() else { continue };
        if *row.text(0)? != *decision.of().name() {
            continue;
        }
        let text = |at: usize| row.text_or_null(at).map(|text| text.unwrap_or_default());
        let before = Before { at: &text(1)?, by: &text(2)?, note: &text(3)? };
        let params = params(decision, before, now, who).into_iter().chain(key()).collect();
        session.execute(statement(decision), params).await?;
        applied[at] = true;
    }
    Ok(applied)
}

fn statement(decision: &Decision) -> &'static str {
    match decision {
        Decision::Discard { .. } | Decision::Reopen | Decision::Resolve { .. } => SETTLE,
        Decision::Retried { .. } => RETRIED,
    }
}

const SETTLE: &str = "-- settle listing
UPDATE failed_object SET state = ?, resolved_at = ?, resolved_by = ?, note = ? WHERE object_id = ? AND generation = ?";

const RETRIED: &str = "-- listing retried
UPDATE failed_object SET attempts = attempts + 1, last_seen = ?, note = ? WHERE object_id = ? AND generation = ?";

/// What the last decision left behind; empty where nothing was.
struct Before<'a> {
    at: &'a str,
    by: &'a str,
    note: &'a str,
}

fn params(decision: &Decision, before: Before, now: &str, who: &str) -> Vec<Value> {
    let who = cut_chars(who, WHO_CHARS_MAX);
    let note = |text: &str| Value::text(&cut_chars(text, NOTE_CHARS_MAX));
    // The newest first: when a note grows too long, the oldest part of it is cut.
    let earlier = match before.note {
        "" => String::new(),
        note => format!("; earlier: {note}"),
    };
    let settled = |state: FailedState, text: &str| {
        vec![Value::text(state.name()), Value::text(now), Value::text(&who), note(&format!("{text}{earlier}"))]
    };
    match decision {
        Decision::Discard { reason } => settled(FailedState::Discarded, reason),
        Decision::Resolve { note } => settled(FailedState::Resolved, note),
        Decision::Reopen => {
            let Before { at, by, note: reason } = before;
            let second = |time: &str| time.split('.').next().unwrap_or_default().to_owned();
            let (now, at) = (second(now), second(at));
            let told = format!("reopened {now} UTC by {who}; discarded {at} UTC by {by}: {reason}");
            vec![Value::text(FailedState::Open.name()), Value::Null, Value::Null, note(&told)]
        }
        Decision::Retried { note: text } => vec![Value::text(now), note(text)],
    }
}

const RESOLVE_FAILED: &str = "-- resolve failed
UPDATE failed_object SET state = 'resolved', resolved_at = ?, resolved_by = ? WHERE object_id = ? AND generation = ?";

/// Listings of objects that are counted now are settled, whichever generation they were about; but content that was
/// discarded must not be counted: the objects of which that is so.
///
/// The rows are looked up with a locking SELECT, not in the UPDATE's own WHERE: under READ COMMITTED an InnoDB UPDATE
/// skips rows that another transaction has inserted and not yet committed, and would leave its listing open. The lock also
/// makes a discard of the same moment wait: it then finds the listing resolved, or this finds it discarded.
pub(super) async fn by_counting(
    session: &mut Session,
    new: &[(ObjectId, &ObjectRollup)],
    now: &str,
    who: &str,
) -> SqlResult<Vec<ObjectId>> {
    let lock = session.dialect().lock_exclusive();
    let (mut ids, mut discarded) = (new.iter(), Vec::new());
    for size in chunk_sizes(new.len(), IDS_MAX) {
        let sql = format!(
            "SELECT object_id, generation, state FROM failed_object \
             WHERE object_id IN ({}) AND state <> 'resolved'{lock}",
            vec!["?"; size].join(", ")
        );
        let params = ids.by_ref().take(size).map(|(id, _)| Value::Bytes(id.0.to_vec())).collect();
        for row in session.query(&sql, params).await? {
            let (id, generation) = (ObjectId(row.hash(0)?), row.text(1)?);
            if *row.text(2)? == *FailedState::Discarded.name() {
                let counted = new.iter().find(|(counted, _)| *counted == id);
                let read = counted.map(|(_, object)| generation_key(Some(&object.generation))).unwrap_or_default();
                if !generation.is_empty() && *generation == *read {
                    discarded.push(id);
                }
                // Of a discard that names no content nothing is left to say once there is one.
                if !generation.is_empty() {
                    continue;
                }
            }
            let key = vec![Value::Bytes(id.0.to_vec()), Value::Text(generation)];
            let params = [Value::text(now), Value::text(&cut_chars(who, WHO_CHARS_MAX))].into_iter().chain(key);
            session.execute(RESOLVE_FAILED, params.collect()).await?;
        }
    }
    Ok(discarded)
}

/// Which listings of these objects an operator has discarded: object and generation.
pub(super) async fn discarded(session: &mut Session, ids: &[ObjectId]) -> SqlResult<HashSet<(ObjectId, String)>> {
    let (mut rest, mut discarded) = (ids.iter(), HashSet::new());
    for size in chunk_sizes(ids.len(), IDS_MAX) {
        let sql = format!(
            "SELECT object_id, generation FROM failed_object WHERE object_id IN ({}) AND state = 'discarded'",
            vec!["?"; size].join(", ")
        );
        let params = rest.by_ref().take(size).map(|id| Value::Bytes(id.0.to_vec())).collect();
        for row in session.query(&sql, params).await? {
            discarded.insert((ObjectId(row.hash(0)?), row.text(1)?.to_string()));
        }
    }
    Ok(discarded)
}
