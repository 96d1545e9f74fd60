//! How many alerts of one kind are sent: a storm of a thousand failures of one kind says no more than its first few.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Alerts of one kind that are sent at once.
const BURST: u32 = 10;

/// After a burst, one of its kind is sent in so much time.
const REFILL: Duration = Duration::from_secs(60);

/// Kinds told apart; more share one limit. Kinds come from a few tables of the code, so this is never met.
const KINDS_MAX: usize = 100;

/// What is to become of one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To be sent, and to say that so many of its kind were not since the one before.
    Send {
        suppressed: u64,
    },
    Suppress,
}

/// One token bucket for each kind.
pub struct Limiter {
    buckets: BTreeMap<String, Bucket>,
}

struct Bucket {
    tokens: u32,
    /// When the last token came in.
    filled: Instant,
    suppressed: u64,
}

impl Limiter {
    pub const fn new() -> Self {
        Self { buckets: BTreeMap::new() }
    }

    pub fn ask(&mut self, kind: &str, now: Instant) -> Verdict {
        let is_known = self.buckets.contains_key(kind) || self.buckets.len() < KINDS_MAX;
        let kind = if is_known { kind } else { "others" };
        let full = || Bucket { tokens: BURST, filled: now, suppressed: 0 };
        let bucket = self.buckets.entry(kind.to_owned()).or_insert_with(full);
        let refills = now.saturating_duration_since(bucket.filled).as_secs() / REFILL.as_secs();
        if refills > 0 {
            bucket.tokens = bucket.tokens.saturating_add(u32::try_from(refills).unwrap_or(BURST)).min(BURST);
            bucket.filled = now;
        }
        if bucket.tokens == 0 {
            bucket.suppressed += 1;
            return Verdict::Suppress;
        }
        bucket.tokens -= 1;
        Verdict::Send { suppressed: std::mem::take(&mut bucket.suppressed) }
    }

    /// Kinds of which some were suppressed that no later alert told of.
    pub fn leftovers(&mut self) -> Vec<(String, u64)> {
        let buckets = self.buckets.iter_mut().filter(|(_, bucket)| bucket.suppressed > 0);
        buckets.map(|(kind, bucket)| (kind.clone(), std::mem::take(&mut bucket.suppressed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storm_is_thinned_out_and_what_was_left_out_is_counted() {
        let (mut limiter, begin) = (Limiter::new(), Instant::now());
        let sent = (0..1000).filter(|_| limiter.ask("gzip", begin) != Verdict::Suppress).count();
        assert_eq!(sent, BURST as usize);
        assert_eq!(limiter.ask("pickle", begin), Verdict::Send { suppressed: 0 }, "another kind has its own limit");
        assert_eq!(limiter.ask("gzip", begin + REFILL), Verdict::Send { suppressed: 990 });
        assert_eq!(limiter.ask("gzip", begin + REFILL), Verdict::Suppress);
        assert_eq!(limiter.leftovers(), [("gzip".to_owned(), 1)]);
        assert_eq!(limiter.leftovers(), []);
    }

    #[test]
    fn quiet_hour_refills_one_burst_and_no_more() {
        let (mut limiter, begin) = (Limiter::new(), Instant::now());
        for _ in 0..20 {
            limiter.ask("gzip", begin);
        }
        let later = begin + Duration::from_secs(3600);
        let sent = (0..100).filter(|_| limiter.ask("gzip", later) != Verdict::Suppress).count();
        assert_eq!(sent, BURST as usize);
    }

    #[test]
    fn kinds_are_bounded() {
        let mut limiter = Limiter::new();
        for kind in 0..1000 {
            limiter.ask(&kind.to_string(), Instant::now());
        }
        assert!(limiter.buckets.len() <= KINDS_MAX + 1);
    }
}
