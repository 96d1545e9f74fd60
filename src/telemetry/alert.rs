//! Failures for people to act on, sent to Sentry when a DSN is configured: grouped by kind, with the object as
//! context, never with row contents.

use std::time::Duration;

use sentry::Level;
use sentry::protocol::{Context, Map};

use crate::model::{FailedObject, Secret};

/// The error is a sentence about the DSN, without it: it holds a key.
pub fn check_dsn(dsn: &str) -> Result<(), String> {
    match dsn.parse::<sentry::types::Dsn>() {
        Err(error) if !dsn.is_empty() => Err(format!("is not a DSN of Sentry: {error}")),
        _ => Ok(()),
    }
}

/// Starts the client; without a DSN alerts go nowhere. Dropping the guard sends what is left, for at most
/// [`FLUSH_TIMEOUT`].
pub fn init(dsn: &Secret, environment: &str) -> Option<sentry::ClientInitGuard> {
    if dsn.reveal().is_empty() {
        return None;
    }
    let options = sentry::ClientOptions::new()
        .dsn(dsn.reveal())
        .maybe_release(sentry::release_name!())
        .environment(environment.to_owned())
        .shutdown_timeout(FLUSH_TIMEOUT);
    Some(sentry::init(options))
}

/// How long an exit waits for alerts that are on their way.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// An object (or a message) was listed as failed.
pub fn failed_object(failed: &FailedObject) {
    let facts = [
        ("bucket", failed.bucket.clone()),
        ("key", failed.key.clone()),
        ("attempts", failed.attempts.to_string()),
        ("advice", failed.kind.advice().to_owned()),
    ];
    send(failed.kind.name(), &failed.reason, &facts);
}

/// A dependency is out of reach and polling has stopped.
pub fn outage(dependency: &str, problem: &str) {
    send(&format!("outage of {dependency}"), problem, &[]);
}

/// The program ends because it can't go on.
pub fn halt(problem: &str) {
    send("halt", problem, &[]);
}

fn send(kind: &str, reason: &str, facts: &[(&str, String)]) {
    let facts: Map<String, serde_json::Value> =
        facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    sentry::with_scope(
        |scope| {
            scope.set_fingerprint(Some(&["xc2-analyzer", kind]));
            scope.set_tag("kind", kind);
            scope.set_context("object", Context::Other(facts));
        },
        || sentry::capture_message(&format!("{kind}: {reason}"), Level::Error),
    );
}
