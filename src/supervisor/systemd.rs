//! The notify protocol of systemd (sd_notify(3)): ready, what we are at, still making progress, stopping.
//!
//! `NOTIFY_SOCKET` and `WATCHDOG_USEC` come from the service manager; without them all of this is nothing. It runs on
//! the same threads as the pipeline on purpose: when those hang, so does the watchdog's food.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;
use tracing::{error, warn};

use super::Condition;

/// How often the status is looked at when no watchdog asks for more.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// How often before polling begins: whoever waits for the start should not wait for us.
const STARTING_INTERVAL: Duration = Duration::from_millis(50);

/// What a stop needs beyond its grace: to return messages and to send the last alerts.
pub const STOP_MARGIN: Duration = Duration::from_secs(20);

/// Tells the service manager, as long as it is polled. A stop may take `grace`.
pub async fn attend(observe: impl Fn() -> Condition, stopping: impl Future<Output = ()>, grace: Duration) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled();
    let mut telling = Telling::new(watchdog.is_some());
    // A third of the watchdog's patience: one late message is not yet the end.
    let pause = watchdog.map_or(STATUS_INTERVAL, |patience| STATUS_INTERVAL.min(patience / 3));
    tokio::pin!(stopping);
    loop {
        let condition = observe();
        let news = telling.news(&condition);
        telling.send(&news);
        tokio::select! {
            () = &mut stopping, if !telling.stopping => telling.send(&stop(grace)),
            () = sleep(if telling.ready { pause } else { pause.min(STARTING_INTERVAL) }) => {}
        }
    }
}

/// With the time that this configuration's stop may take, so that the unit's need not follow every change of it.
fn stop(grace: Duration) -> [NotifyState<'static>; 2] {
    let microseconds = u32::try_from((grace + STOP_MARGIN).as_micros()).unwrap_or(u32::MAX);
    [NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(microseconds)]
}

/// What was said so far.
struct Telling {
    watchdog: bool,
    ready: bool,
    stopping: bool,
    starving: bool,
    status: String,
    /// Whether the last message could not be sent.
    unheard: bool,
}

impl Telling {
    fn new(watchdog: bool) -> Self {
        Self { watchdog, ready: false, stopping: false, starving: false, status: String::new(), unheard: false }
    }

    /// What is to be said now: ready once, the status when it changed, and that there is progress, if there is.
    fn news<'a>(&mut self, condition: &'a Condition) -> Vec<NotifyState<'a>> {
        let mut news = Vec::new();
        if condition.ready && !self.ready {
            self.ready = true;
            news.push(NotifyState::Ready);
        }
        if condition.status != self.status {
            self.status.clone_from(&condition.status);
            news.push(NotifyState::Status(&condition.status));
        }
        if self.watchdog && !condition.stalled {
            news.push(NotifyState::Watchdog);
        }
        // The last words, unless it moves again: who reads them wants to know why the daemon was killed.
        if condition.stalled && !self.starving {
            error!(condition.status, "no progress: the service manager's watchdog is not fed any more");
        }
        self.starving = condition.stalled;
        news
    }

    fn send(&mut self, news: &[NotifyState<'_>]) {
        self.stopping |= news.iter().any(|state| matches!(state, NotifyState::Stopping));
        if news.is_empty() {
            return;
        }
        match sd_notify::notify(news) {
            Ok(()) => self.unheard = false,
            // The next one may come through.
            Err(error) if !std::mem::replace(&mut self.unheard, true) => {
                warn!(%error, "the service manager can't be told: NOTIFY_SOCKET does not take messages");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(ready: bool, stalled: bool, status: &str) -> Condition {
        Condition { ready, stalled, in_flight: 0, status: status.to_owned() }
    }

    fn said(telling: &mut Telling, condition: &Condition) -> Vec<String> {
        telling.news(condition).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn readiness_is_said_once_and_a_status_when_it_changes() {
        let mut telling = Telling::new(false);
        assert_eq!(said(&mut telling, &condition(false, false, "starting")), ["STATUS=starting"]);
        assert_eq!(said(&mut telling, &condition(false, false, "starting")), [""; 0]);
        assert_eq!(said(&mut telling, &condition(true, false, "idle")), ["READY=1", "STATUS=idle"]);
        assert_eq!(said(&mut telling, &condition(true, false, "idle")), [""; 0]);
    }

    #[test]
    fn watchdog_is_fed_while_there_is_progress_and_starves_without() {
        let mut telling = Telling::new(true);
        assert_eq!(said(&mut telling, &condition(true, false, "")), ["READY=1", "WATCHDOG=1"]);
        assert_eq!(said(&mut telling, &condition(true, false, "")), ["WATCHDOG=1"]);
        assert_eq!(said(&mut telling, &condition(true, true, "stalled")), ["STATUS=stalled"]);
        assert_eq!(said(&mut telling, &condition(true, true, "stalled")), [""; 0]);
        assert_eq!(said(&mut telling, &condition(true, false, "stalled")), ["WATCHDOG=1"]);
    }

    #[test]
    fn stop_asks_for_its_grace_and_more_whatever_the_unit_says() {
        let said: Vec<_> = stop(Duration::from_secs(300)).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["STOPPING=1", "EXTEND_TIMEOUT_USEC=320000000"]);
        // An hour is the longest grace that the configuration takes, and fits.
        let longest = Duration::from_secs(3600) + STOP_MARGIN;
        assert!(u32::try_from(longest.as_micros()).is_ok());
    }
}
