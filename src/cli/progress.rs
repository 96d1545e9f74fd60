//! Progress of long work: a bar on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::thousands;
use crate::pipeline::{Tallied, Tally};

/// Shows what `tally` counts, of `objects` in all, until `work` is done.
pub async fn shown<T>(objects: u64, tally: Arc<Tally>, work: impl Future<Output = T>) -> T {
    let terminal = std::io::stderr().is_terminal();
    let every = if terminal { Duration::from_millis(100) } else { Duration::from_secs(5) };
    let bar = if terminal { bar(objects) } else { ProgressBar::hidden() };
    let mut ticks = tokio::time::interval(every);
    ticks.tick().await; // the first one is at once
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = ticks.tick() => {
                let now = tally.read();
                bar.set_position(now.acknowledged);
                bar.set_message(message(&now));
                if !terminal {
                    eprintln!("{} of {objects} deliveries, {}", now.acknowledged, message(&now));
                }
            }
        }
    }
}

fn message(now: &Tallied) -> String {
    format!("{} rows, {} objects counted, {} failed", thousands(now.rows), now.objects, now.failed)
}

fn bar(objects: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:32} {pos}/{len} {msg}");
    // The template is a constant: were it wrong, a plain bar would do.
    ProgressBar::new(objects).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
