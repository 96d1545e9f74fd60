//! Progress of long work: a bar on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::output::thousands;
use crate::pipeline::{Tallied, Tally};

/// Shows what `tally` counts, of `objects` in all, until `work` is done.
pub async fn shown<T>(objects: u64, tally: Arc<Tally>, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let show = |bar: &ProgressBar| {
        let now = tally.read();
        bar.set_position(now.acknowledged);
        line(&now, objects, begun.elapsed())
    };
    told(bar(objects, "{elapsed_precise} {bar:20} {msg}"), show, work).await
}

/// Shows `message` until `work` is done, when nobody knows how much of it there is.
pub async fn spinning<T>(message: impl Fn() -> String, work: impl Future<Output = T>) -> T {
    told(bar(0, "{elapsed_precise} {spinner} {msg}"), |_| message(), work).await
}

async fn told<T>(bar: ProgressBar, show: impl Fn(&ProgressBar) -> String, work: impl Future<Output = T>) -> T {
    let terminal = std::io::stderr().is_terminal();
    let every = if terminal { Duration::from_millis(100) } else { Duration::from_secs(5) };
    let bar = if terminal { bar } else { ProgressBar::hidden() };
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
                let message = show(&bar);
                match terminal {
                    true => bar.set_message(message),
                    false => eprintln!("{message}"),
                }
                bar.tick();
            }
        }
    }
}

/// What is done, how fast, and how long the rest takes at that rate.
fn line(now: &Tallied, objects: u64, elapsed: Duration) -> String {
    let done = now.acknowledged;
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = (now.rows as f64 / seconds) as u64;
    let failed = if now.failed > 0 { format!(", {} failed", thousands(now.failed)) } else { String::new() };
    let rest = match objects.saturating_sub(done) {
        0 => String::new(),
        _ if done == 0 => ", ETA unknown".to_owned(),
        left => format!(", ETA {}", clock((seconds / done as f64 * left as f64) as u64)),
    };
    format!(
        "{}/{} objects, {} rows, {}, {} rows/s{failed}{rest}",
        thousands(done),
        thousands(objects),
        thousands(now.rows),
        HumanBytes(now.bytes),
        thousands(rate)
    )
}

/// `1:02:03`
fn clock(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn bar(objects: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    // The templates are constants: were one wrong, a plain bar would do.
    ProgressBar::new(objects).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_rest_follow_from_what_is_done() {
        let now = Tallied { acknowledged: 30, rows: 60_000, bytes: 3 << 20, failed: 1, ..Tallied::default() };
        assert_eq!(
            line(&now, 1230, Duration::from_secs(60)),
            "30/1,230 objects, 60,000 rows, 3.00 MiB, 1,000 rows/s, 1 failed, ETA 0:40:00"
        );
        let begun = line(&Tallied::default(), 2, Duration::ZERO);
        assert_eq!(begun, "0/2 objects, 0 rows, 0 B, 0 rows/s, ETA unknown");
        let all = Tallied { acknowledged: 2, ..Tallied::default() };
        assert_eq!(line(&all, 2, Duration::from_secs(1)), "2/2 objects, 0 rows, 0 B, 0 rows/s");
    }
}
