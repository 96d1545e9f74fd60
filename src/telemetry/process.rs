//! What Linux says of this process, for metrics. Elsewhere there is no `/proc`, and these metrics stay 0.

use std::fs;
use std::time::{Duration, SystemTime};

use super::metrics::Meter;

/// `USER_HZ`, which Linux promises to programs on every architecture of ours (`man 7 time`).
const TICKS_A_SECOND: u64 = 100;

/// To be called once, early.
pub fn started(meter: &Meter) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    meter.process_start_time.set((), now.as_secs_f64());
}

/// To be called before each scrape.
pub fn look(meter: &Meter) {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    if let Some(bytes) = resident_bytes(&read("status")) {
        meter.process_resident_memory.set((), bytes as f64);
    }
    if let Some(seconds) = cpu_seconds(&read("stat")) {
        meter.process_cpu.rise_to((), seconds);
    }
    if let Some(max) = max_fds(&read("limits")) {
        meter.process_max_fds.set((), max as f64);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is this listing's own.
        meter.process_open_fds.set((), open.count().saturating_sub(1) as f64);
    }
}

/// `VmRSS:   148128 kB`, with a tab before the number
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The second field is the program's name in parentheses, which may hold anything; of those after it, the 12th and 13th are
/// user and system time.
fn cpu_seconds(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / TICKS_A_SECOND)
}

/// `Max open files            1024                 524288               files`: the soft limit.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_proc_are_read() {
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t  148128 kB\n"), Some(148_128 * 1024));
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 250 155 0 0 20 0 8 0 100 1 2";
        assert_eq!(cpu_seconds(stat), Some(4));
        let limits = "Limit    Soft Limit   Hard Limit   Units\nMax open files            1024      524288     files\n";
        assert_eq!(max_fds(limits), Some(1024));
        assert_eq!((resident_bytes(""), cpu_seconds(""), max_fds("")), (None, None, None));
    }
}
