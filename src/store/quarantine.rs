//! Listing objects as failed, unless they are counted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Quarantined;
use super::dialect::Merge;
use super::ledger::{CountedGeneration, counted_generations};
use super::notices;
use super::schema::{ADDRESS_CHARS_MAX, GENERATION_CHARS_MAX, NAME_CHARS_MAX, NOTE_CHARS_MAX, REASON_CHARS_MAX};
use super::session::{Session, SqlResult, Value};
use super::settle;
use super::upsert::Insert;
use crate::failpoint;
use crate::model::{Copied, FailedObject, FailureKind, Generation, ObjectId};

/// Of `failed_object.message_body`: SQS messages may be larger, and what names the object stands early.
const MESSAGE_BODY_BYTES_MAX: usize = 64 * 1024;
const CUT_MARK: &str = " ...(cut)";

/// Lists all of `failed`, then looks which of them the ledger holds: `AlreadyCounted`. When there is one, the caller
/// must roll back and ask again without those.
///
/// Listing before looking closes the race with a commit of the same object, which inserts its ledger row first and
/// settles listings after. Whoever comes second meets the other's uncommitted row and waits: either this transaction
/// sees the ledger row here, or the commit sees the listing there. Should both wait for each other, the server ends
/// one of them with a deadlock, which is tried again whole.
///
/// `notices_every`, when notices are wanted: each listing names the notice that tells of it, which this transaction
/// sees to. Those rows come first, so that transactions that list wait for each other there and nowhere else.
pub(super) async fn list(
    session: &mut Session,
    failed: &[FailedObject],
    now: &str,
    notices_every: Option<Duration>,
) -> SqlResult<Vec<Quarantined>> {
    let kinds = failed.iter().map(|failed| failed.kind).collect();
    let notices = match notices_every {
        Some(every) => notices::gather(session, kinds, now, every).await?,
        None => BTreeMap::new(),
    };
    let ids: Vec<ObjectId> = failed.iter().map(|failed| ObjectId::of(&failed.bucket, &failed.key)).collect();
    let insert = upsert(session);
    // In the order of the primary key, as every transaction takes its locks.
    let mut order: Vec<usize> = (0..failed.len()).collect();
    order.sort_by_key(|&at| (ids[at], generation_key(failed[at].generation.as_ref())));
    for at in order {
        failpoint::meet("quarantine.insert.before")?;
        session.execute(&insert.sql(1), row(ids[at], &failed[at], now, notices.get(&failed[at].kind))).await?;
        failpoint::meet("quarantine.insert.after")?;
    }
    let lock = session.dialect().lock_shared();
    let mut locked = ids.clone();
    locked.sort_unstable();
    locked.dedup();
    let counted = counted_generations(session, locked, lock).await?;
    failpoint::meet("quarantine.look.after")?;
    let discarded = settle::discarded(session, &ids).await?;
    let outcome = |(failed, id): (&FailedObject, &ObjectId)| match counted.get(id) {
        Some(counted) if is_counted(failed, counted) => Quarantined::AlreadyCounted,
        _ if discarded.contains(&(*id, generation_key(failed.generation.as_ref()))) => Quarantined::Discarded,
        _ => Quarantined::Listed,
    };
    Ok(failed.iter().zip(&ids).map(outcome).collect())
}

/// Whether what failed is what was counted: the same generation, or nothing that could be told from it. An announced
/// content that another one replaced before it was read is gone: what replaced it is in the reports.
fn is_counted(failed: &FailedObject, counted: &CountedGeneration) -> bool {
    let Some(generation) = &failed.generation else { return true };
    match failed.kind {
        FailureKind::Notification | FailureKind::Replaced => true,
        FailureKind::Missing
        | FailureKind::Denied
        | FailureKind::Unreachable
        | FailureKind::Overwritten
        | FailureKind::TooLarge
        | FailureKind::Gzip
        | FailureKind::Pickle
        | FailureKind::Forbidden
        | FailureKind::Rejects
        | FailureKind::Overflow
        | FailureKind::Defect => counted.is_same(generation),
    }
}

/// What tells two contents of one key apart in the list: the ETag, else the version, else nothing.
pub(super) fn generation_key(generation: Option<&Generation>) -> String {
    let text = generation.and_then(|generation| generation.etag.as_ref().or(generation.version_id.as_ref()));
    text.map_or_else(String::new, |text| text.chars().take(GENERATION_CHARS_MAX).collect())
}

/// Listing again keeps `first_seen` and the most deliveries of one message (`attempts`), and takes kind, reason and
/// message from the newest failure. A copy that was made before is still there, and stays known.
///
/// An operator's `discarded` is kept: that content was judged, and its redelivery tells nothing new. Any other state
/// becomes `open` again: `resolved` said that the object is counted, and it is not (see [`list`]).
fn upsert(session: &Session) -> Insert {
    let columns = [
        "object_id",
        "generation",
        "bucket",
        "object_key",
        "version_id",
        "etag",
        "kind",
        "reason",
        "attempts",
        "first_seen",
        "last_seen",
        "message_body",
        "state",
        "resolved_at",
        "copied_to",
        "copy_problem",
        "notice_id",
    ];
    let merged = [
        ("kind", Merge::Replace),
        ("reason", Merge::Replace),
        ("attempts", Merge::Greatest),
        ("last_seen", Merge::Greatest),
        ("message_body", Merge::Replace),
        ("copied_to", Merge::ReplaceUnlessNull),
        ("copy_problem", Merge::Replace),
    ];
    let new_notice = if session.dialect().is_sqlite() { "excluded.`notice_id`" } else { "VALUES(`notice_id`)" };
    let mut tail = session.dialect().on_duplicate(&["object_id", "generation"], &merged);
    // `state` last: MySQL assigns from left to right, and later ones see the new values. What people were told of, and
    // what an operator judged, is not told again.
    tail += &format!(
        ", `notice_id` = CASE `state` WHEN 'open' THEN COALESCE(`notice_id`, {new_notice}) \
         WHEN 'discarded' THEN `notice_id` ELSE {new_notice} END"
    );
    tail += ", `resolved_at` = CASE `state` WHEN 'discarded' THEN `resolved_at` END";
    tail += ", `resolved_by` = CASE `state` WHEN 'discarded' THEN `resolved_by` END";
    tail += ", `state` = CASE `state` WHEN 'discarded' THEN 'discarded' ELSE 'open' END";
    Insert { tail, ..Insert::into("failed_object", &columns) }
}

fn row(id: ObjectId, failed: &FailedObject, now: &str, notice: Option<&String>) -> Vec<Value> {
    let generation = failed.generation.as_ref();
    let name = |text: &str| Value::text(&cut_chars(text, NAME_CHARS_MAX));
    let name_or_null = |text: Option<&str>| text.map_or(Value::Null, name);
    let (copied_to, copy_problem) = match &failed.copy {
        Copied::Not => (Value::Null, Value::Null),
        Copied::To(address) => (Value::text(&cut_chars(address, ADDRESS_CHARS_MAX)), Value::Null),
        Copied::Failed { problem } => (Value::Null, Value::text(&cut_chars(problem, NOTE_CHARS_MAX))),
    };
    vec![
        Value::Bytes(id.0.to_vec()),
        Value::text(&generation_key(generation)),
        name(&failed.bucket),
        name(&failed.key),
        name_or_null(generation.and_then(|generation| generation.version_id.as_deref())),
        name_or_null(generation.and_then(|generation| generation.etag.as_deref())),
        Value::text(failed.kind.name()),
        Value::text(&cut_chars(&failed.reason, REASON_CHARS_MAX)),
        Value::Int(i64::from(failed.attempts)),
        Value::text(now),
        Value::text(now),
        Value::text(&cut_bytes(&failed.message_body, MESSAGE_BODY_BYTES_MAX)),
        Value::text("open"),
        Value::Null,
        copied_to,
        copy_problem,
        Value::text_or_null(notice.map(String::as_str)),
    ]
}

/// The text, or its beginning and a mark, in at most `chars_max` characters.
pub(super) fn cut_chars(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    text.chars().take(chars_max - CUT_MARK.len()).collect::<String>() + CUT_MARK
}

fn cut_bytes(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    text[..text.floor_char_boundary(bytes_max - CUT_MARK.len())].to_owned() + CUT_MARK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_at_a_character_and_marked() {
        assert_eq!(cut_chars("short", 20), "short");
        assert_eq!(cut_chars(&"가".repeat(30), 20), "가".repeat(11) + CUT_MARK);
        assert_eq!(cut_bytes(&"가".repeat(10), 20), "가".repeat(3) + CUT_MARK);
    }
}
