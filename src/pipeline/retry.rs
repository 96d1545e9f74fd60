//! The one retry policy: jittered exponential waits. Every call that may be repeated is repeated by the pipeline and by
//! nobody below it, so attempts are never multiplied. The only user of the crate `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// Waits between attempts: each about 1.7 times the one before, give or take a third, up to a maximum, without end.
pub struct Waits {
    backoff: ExponentialBackoff,
    attempts: u32,
}

impl Waits {
    const FIRST: Duration = Duration::from_millis(200);
    const MAX: Duration = Duration::from_secs(15);
    const JITTER: f64 = 0.33;

    pub fn new() -> Self {
        let backoff = ExponentialBackoff {
            current_interval: Self::FIRST,
            initial_interval: Self::FIRST,
            randomization_factor: 0.0, // see `wait`
            multiplier: 1.7,
            max_interval: Self::MAX,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { backoff, attempts: 0 }
    }

    /// Attempts that failed so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// To be called after each failed attempt.
    pub async fn wait(&mut self) {
        self.attempts += 1;
        // Not the crate's own jitter: a simulation can seed this one.
        let jitter = 1.0 + Self::JITTER * (2.0 * fastrand::f64() - 1.0);
        tokio::time::sleep(self.backoff.next_backoff().unwrap_or(Self::MAX).mul_f64(jitter)).await;
    }
}
