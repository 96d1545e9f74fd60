//! How a person or a service manager stops a command that counts.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::{CliError, io_error};
use crate::pipeline::Shutdown;

/// The first SIGTERM or SIGINT asks for an orderly end within `grace`; a second one ends the process at once, which
/// loses nothing either: what was not acknowledged comes back.
pub fn stop_on_signals(shutdown: &Shutdown, grace: Duration) -> Result<(), CliError> {
    const INTERRUPTED: i32 = 130;
    let mut terminate = signal(SignalKind::terminate()).map_err(io_error("listen for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io_error("listen for SIGINT"))?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let mut asked = async || tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} };
        asked().await;
        info!(grace_seconds = grace.as_secs(), "asked to stop: finishing what is in flight");
        shutdown.stop();
        tokio::select! {
            () = tokio::time::sleep(grace) => {
                warn!("the grace is over: returning what is unfinished to the queue");
                shutdown.abandon();
            }
            () = asked() => std::process::exit(INTERRUPTED),
        }
        asked().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}
