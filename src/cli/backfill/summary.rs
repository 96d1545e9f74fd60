//! The numbers of a listing and of a backfill, in words.

use std::fmt;
use std::time::Duration;

use indicatif::HumanBytes;

use crate::cli::output::thousands;
use crate::pipeline::{Scanned, Tallied};

/// While a listing goes on.
pub fn of_progress(url: &str, scanned: &Scanned) -> String {
    format!("listing {url}: {} listed, {} not counted yet", thousands(scanned.listed), thousands(scanned.uncounted()))
}

/// `s3://logs/: 12 objects listed: 10 counted, 2 missing (1.20 MiB)`
pub fn of_scan(url: &str, scanned: &Scanned) -> String {
    let parts = [
        (scanned.filtered, "filtered"),
        (scanned.other_date, "of other dates"),
        (scanned.undated, "without a date in the key"),
        (scanned.counted, "counted"),
        (scanned.failed, "listed as failed"),
        (scanned.young, "too young to be missing"),
        (scanned.missing, "missing"),
        (scanned.overwritten, "overwritten"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, what)| *number > 0 || *what == "missing")
        .map(|(number, what)| format!("{} {what}", thousands(*number)))
        .collect();
    let size = match scanned.uncounted() {
        0 => String::new(),
        _ => format!(" ({})", HumanBytes(scanned.uncounted_bytes)),
    };
    let end = if scanned.complete { "" } else { "; stopped before everything was listed" };
    let objects = plural(scanned.listed, "object");
    format!("{url}: {objects} listed: {}{size}{end}", parts.join(", "))
}

/// What a person may want to do next.
pub fn hints(scanned: &Scanned, reconciled: bool) -> Vec<&'static str> {
    let mut hints = Vec::new();
    if reconciled && scanned.missing > 0 {
        hints.push("missing: their notifications were lost or are still queued; `backfill` counts them");
    }
    if reconciled && scanned.overwritten > 0 {
        hints.push(
            "overwritten: counted under another ETag; `backfill` reads them, and adds nothing: the same bytes stay \
             counted, others are treated as [store] on_overwrite says",
        );
    }
    if scanned.failed > 0 {
        hints.push("listed as failed: not read again; see `failed list`, and `failed retry` once the cause is gone");
    }
    hints
}

/// How a backfill ended.
pub struct Summary {
    /// What there was to do, and what the books lacked when it was done.
    pub before: Scanned,
    pub now: Scanned,
    pub done: Tallied,
    pub elapsed: Duration,
}

impl Summary {
    /// Whether everything is counted or listed as failed.
    pub fn is_complete(&self) -> bool {
        self.now.complete && self.left() == 0
    }

    fn left(&self) -> u64 {
        let found = if self.now.complete { self.now.uncounted() } else { self.before.uncounted() };
        found.saturating_sub(self.done.acknowledged)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, now) = (&self.done, &self.now);
        let seconds = self.elapsed.as_secs_f64();
        write!(
            f,
            "counted {} ({} rows, {})",
            plural(done.objects, "object"),
            thousands(done.rows),
            HumanBytes(done.bytes)
        )?;
        if done.objects > 0 {
            write!(f, " in {seconds:.1} s")?;
        }
        write!(f, "; already counted {}", thousands(now.counted + done.duplicates))?;
        write!(f, "; listed as failed {}", thousands(now.failed + done.failed))?;
        if done.failed > 0 {
            write!(f, " ({} of them now)", thousands(done.failed))?;
        }
        write!(f, "; left {}", thousands(self.left()))?;
        match self.is_complete() {
            true => Ok(()),
            false => f.write_str(": stopped before the end; run it again to go on"),
        }
    }
}

fn plural(number: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCANNED: Scanned = Scanned {
        listed: 1234,
        filtered: 4,
        other_date: 0,
        undated: 0,
        counted: 1200,
        failed: 20,
        young: 0,
        missing: 9,
        overwritten: 1,
        uncounted_bytes: 2048,
        complete: true,
    };

    #[test]
    fn listing_is_told_in_one_line() {
        assert_eq!(
            of_scan("s3://logs/", &SCANNED),
            "s3://logs/: 1,234 objects listed: 4 filtered, 1,200 counted, 20 listed as failed, 9 missing, \
             1 overwritten (2.00 KiB)"
        );
        let nothing = Scanned { listed: 1, ..Scanned::default() };
        let line = "/logs: 1 object listed: 0 missing; stopped before everything was listed";
        assert_eq!(of_scan("/logs", &nothing), line);
    }

    #[test]
    fn end_is_told_with_what_is_left() {
        let done =
            Tallied { objects: 7, duplicates: 1, failed: 2, rows: 70_000, acknowledged: 10, ..Tallied::default() };
        let whole = Summary { before: SCANNED, now: SCANNED, done, elapsed: Duration::from_millis(1500) };
        assert_eq!(
            whole.to_string(),
            "counted 7 objects (70,000 rows, 0 B) in 1.5 s; already counted 1,201; listed as failed 22 (2 of them now); \
             left 0"
        );
        assert!(whole.is_complete());
        let now = Scanned { listed: 100, missing: 4, overwritten: 0, complete: false, ..SCANNED };
        let done = Tallied { objects: 3, acknowledged: 3, ..done };
        let cut = Summary { now, done, ..whole };
        assert!(cut.to_string().ends_with("; left 7: stopped before the end; run it again to go on"), "{cut}");
        assert!(!cut.is_complete());
    }
}
