//! What whoever runs the daemon is told: its condition, in one line and as facts.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::pipeline::{Pulse, Shutdown, Tally};
use crate::supervisor::{Condition, ecs, systemd};

/// How far beyond its bound a step may be: what makes a daemon be killed must not come from a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Goes on until it is dropped. A stop may take `grace`.
pub fn whoever_runs_us(pulse: &Arc<Pulse>, tally: &Arc<Tally>, shutdown: &Shutdown, grace: Duration) -> JoinSet<()> {
    let (pulse, tally, stopping) = (pulse.clone(), tally.clone(), shutdown.clone());
    let observe = move || condition(&pulse, &tally, &stopping);
    let stopping = shutdown.clone();
    let mut attendants = JoinSet::new();
    attendants.spawn(ecs::attend(observe.clone()));
    attendants.spawn(async move { systemd::attend(observe, stopping.stopping(), grace).await });
    attendants
}

fn condition(pulse: &Pulse, tally: &Tally, shutdown: &Shutdown) -> Condition {
    let done = tally.read();
    let (polling, stall) = (pulse.held(), pulse.stalled(PATIENCE));
    let held = polling.unwrap_or_default();
    let counted = format!("{} objects counted, {} failed", done.objects, done.failed);
    let status = match (&stall, polling, pulse.outages().first()) {
        (Some(stall), ..) => format!("{stall}; {held} deliveries held, {counted}"),
        _ if shutdown.is_stopping() => format!("stopping: {held} deliveries held, {counted}"),
        (None, _, Some((dependency, ..))) => {
            format!("waiting for the {dependency}, which is out of reach; {held} deliveries held, {counted}")
        }
        (None, None, None) => "starting: reading the metadata".to_owned(),
        (None, Some(0), None) => format!("idle; {counted}"),
        (None, Some(_), None) => format!("counting; {held} deliveries held, {counted}"),
    };
    Condition { ready: polling.is_some(), stalled: stall.is_some(), in_flight: held, status }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemon_that_has_not_polled_yet_is_not_ready_and_says_so() {
        let tally = Tally::default();
        let condition = condition(&Pulse::default(), &tally, &Shutdown::default());
        let status = "starting: reading the metadata".to_owned();
        assert_eq!(condition, Condition { ready: false, stalled: false, in_flight: 0, status });
    }

    #[test]
    fn stop_is_told_before_anything_else() {
        let (tally, shutdown) = (Tally::default(), Shutdown::default());
        shutdown.stop();
        let condition = condition(&Pulse::default(), &tally, &shutdown);
        assert_eq!(condition.status, "stopping: 0 deliveries held, 0 objects counted, 0 failed");
    }
}
