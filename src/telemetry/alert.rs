//! Failures for people to act on, sent to Sentry when a DSN is configured: grouped by kind, with the object as
//! context, never with row contents.
//!
//! Nothing here waits for the server. Alerts go through a bounded channel to the client's own thread, which drops what
//! does not fit; a storm is thinned out before it, see [`Limiter`]. Only [`Guard`], at the end of the process, waits,
//! and not for long.

use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use sentry::integrations::backtrace::ProcessStacktraceIntegration;
use sentry::integrations::contexts::ContextIntegration;
use sentry::integrations::panic::PanicIntegration;
use sentry::protocol::{Context, Event, Map};
use sentry::transports::UreqHttpTransportOptions;
use sentry::{Level, Transport, TransportFactory, TransportOptions};

use super::alert_limit::{Limiter, Verdict};
use crate::model::{FailedObject, Secret};

/// How long an exit waits for alerts that are on their way.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// One request to the server, from connecting to the last byte of its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Alerts that wait for the server; one takes a few KB. More are dropped by the client.
const QUEUED_MAX: usize = 50;

/// Lines of the log that go with an alert.
const TRAIL_LINES_MAX: usize = 30;

static LIMITER: Mutex<Limiter> = Mutex::new(Limiter::new());

/// The error is a sentence about the DSN, without it: it holds a key.
pub fn check_dsn(dsn: &str) -> Result<(), String> {
    match dsn.parse::<sentry::types::Dsn>() {
        Err(error) if !dsn.is_empty() => Err(format!("is not a DSN of Sentry: {error}")),
        _ => Ok(()),
    }
}

/// Sends what is left when it is dropped.
pub struct Guard(Option<sentry::ClientInitGuard>);

impl Guard {
    /// Alerts go nowhere.
    pub fn none() -> Guard {
        Guard(None)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(client) = self.0.take() else { return };
        for (kind, suppressed) in lock().leftovers() {
            // Never suppressed itself: it is the only trace of these.
            capture(&kind, "these alerts were not sent, because there were too many of their kind", &[], suppressed);
        }
        // The client waits for its thread, which may wait for a server that never answers.
        let (done, is_done) = mpsc::channel();
        let closing = move || {
            drop(client);
            let _ = done.send(());
        };
        if std::thread::Builder::new().name("alerts-flush".into()).spawn(closing).is_ok() {
            let _ = is_done.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Where alerts are sent, without the key; `None` when they go nowhere.
pub fn host_of(dsn: &Secret) -> Option<(String, u16)> {
    let dsn = dsn.reveal().parse::<sentry::types::Dsn>().ok()?;
    Some((dsn.host().to_owned(), dsn.port()))
}

/// Starts the client; without a DSN alerts go nowhere.
pub fn init(dsn: &Secret, environment: &str) -> Guard {
    if dsn.reveal().is_empty() {
        return Guard(None);
    }
    let options = sentry::ClientOptions::new()
        .dsn(dsn.reveal())
        .maybe_release(sentry::release_name!())
        .environment(environment.to_owned())
        .max_breadcrumbs(TRAIL_LINES_MAX)
        .shutdown_timeout(FLUSH_TIMEOUT)
        .transport(BoundedTransport)
        // The client's own handler of panics waits for the server, on the thread that panics.
        .default_integrations(false)
        .add_integration(ContextIntegration::default())
        .add_integration(ProcessStacktraceIntegration);
    let client = sentry::init(options);
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        panicked(info);
        next(info);
    }));
    Guard(Some(client))
}

/// The client's transport, with an end to each request and to its queue.
struct BoundedTransport;

impl TransportFactory for BoundedTransport {
    fn create_transport_with_options(&self, mut options: TransportOptions) -> Arc<dyn Transport> {
        options.transport_channel_capacity = std::num::NonZeroUsize::new(QUEUED_MAX);
        let agent = ureq::Agent::config_builder().timeout_global(Some(REQUEST_TIMEOUT)).build().new_agent();
        Arc::new(UreqHttpTransportOptions::from(options).with_agent(agent).build())
    }
}

/// An object (or a message) was listed as failed.
pub fn failed_object(failed: &FailedObject) {
    let generation = failed.generation.as_ref();
    let facts = [
        ("bucket", Some(failed.bucket.clone())),
        ("key", Some(failed.key.clone())),
        ("etag", generation.and_then(|generation| generation.etag.clone())),
        ("version_id", generation.and_then(|generation| generation.version_id.clone())),
        ("offset", failed.trace.offset.map(|offset| offset.to_string())),
        ("reason", Some(failed.reason.clone())),
        ("attempts", Some(failed.attempts.to_string())),
        ("message_id", Some(failed.trace.message_id.clone())),
        ("batch", failed.trace.batch_id.clone()),
        ("advice", Some(failed.kind.advice().to_owned())),
    ];
    let facts: Vec<(&str, String)> = facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))).collect();
    send(failed.kind.name(), &failed.reason, &facts);
}

/// A dependency is out of reach and polling has stopped.
pub fn outage(dependency: &str, problem: &str) {
    send(&format!("outage of {dependency}"), problem, &[]);
}

/// Notices do not reach `receiver`, and will not until somebody does something about it.
pub fn notice_refused(receiver: &str, problem: &str) {
    send(&format!("notices refused by the {receiver}"), problem, &[]);
}

/// Objects lie in the bucket that were not announced, or whose announcement is late.
pub fn lost_notifications(url: &str, missing: u64) {
    let facts = [("url", url.to_owned()), ("missing", missing.to_string())];
    let advice = "see the log for their names; `backfill` counts them";
    send("lost notifications", &format!("{missing} objects of {url} are not in the books: {advice}"), &facts);
}

/// The bucket could not be compared with the books.
pub fn reconcile_failed(url: &str, problem: &str) {
    send("reconcile failed", problem, &[("url", url.to_owned())]);
}

/// The program ends because it can't go on.
pub fn halt(problem: &str) {
    send("halt", problem, &[]);
}

/// A panic may quote what it failed on, such as the text that was cut in the middle of a character.
fn without_quotes(message: &str) -> String {
    match message.find(['`', '"', '\'']) {
        Some(at) => format!("{}... (the rest may quote data; the log has it)", &message[..at]),
        None => message.to_owned(),
    }
}

fn panicked(info: &PanicHookInfo<'_>) {
    // The limiter's lock may be what panicked.
    let Ok(mut limiter) = LIMITER.try_lock() else { return };
    let Verdict::Send { suppressed } = limiter.ask("panic", Instant::now()) else { return };
    drop(limiter);
    let mut event = PanicIntegration::new().event_from_panic_info(info);
    let place = info.location().map(|place| place.to_string()).unwrap_or_default();
    for exception in &mut event.exception.values {
        exception.value = exception.value.as_deref().map(|message| format!("{} at {place}", without_quotes(message)));
    }
    event.tags.insert("kind".into(), "panic".into());
    with_suppressed(&mut event, suppressed);
    sentry::capture_event(event);
}

fn lock() -> std::sync::MutexGuard<'static, Limiter> {
    LIMITER.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn send(kind: &str, reason: &str, facts: &[(&str, String)]) {
    if sentry::Hub::current().client().is_none() {
        return;
    }
    let verdict = lock().ask(kind, Instant::now());
    if let Verdict::Send { suppressed } = verdict {
        capture(kind, reason, facts, suppressed);
    }
}

fn capture(kind: &str, reason: &str, facts: &[(&str, String)], suppressed: u64) {
    let mut event = Event {
        level: Level::Error,
        message: Some(format!("{kind}: {reason}")),
        fingerprint: vec!["xc2-analyzer".into(), kind.to_owned().into()].into(),
        ..Event::default()
    };
    event.tags.insert("kind".into(), kind.to_owned());
    if !facts.is_empty() {
        let facts: Map<String, serde_json::Value> =
            facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        event.contexts.insert("object".into(), Context::Other(facts));
    }
    with_suppressed(&mut event, suppressed);
    sentry::capture_event(event);
}

/// How many of the same kind were not sent since the one before.
fn with_suppressed(event: &mut Event<'_>, suppressed: u64) {
    if suppressed > 0 {
        event.extra.insert("suppressed".into(), suppressed.into());
        if let Some(message) = &mut event.message {
            message.push_str(&format!(" ({suppressed} more of this kind were not sent)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_a_panic_is_cut_where_it_quotes() {
        assert_eq!(without_quotes("index out of bounds: the len is 3"), "index out of bounds: the len is 3");
        let quoting = "byte index 1 is not a char boundary; it is inside '한' (bytes 0..3) of `한국어`";
        assert!(!without_quotes(quoting).contains('한'), "{}", without_quotes(quoting));
    }
}
