//! What of this machine decides how `run` ends and how it is told of: memory, the service manager's patience, Sentry, notices.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;

use crate::config::Config;
use crate::model::HealthFact;
use crate::model::health::{HealthLevel, bad, good, judged};
use crate::notice::NoticeSettings;
use crate::pipeline::Job;
use crate::supervisor::systemd::STOP_MARGIN;
use crate::telemetry::alert;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Where an administrator's unit is, and where a package's.
const UNITS: [&str; 3] = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"];
const UNIT: &str = "xc2-analyzer.service";

pub async fn facts(config: &Config) -> Vec<HealthFact> {
    let unit = UNITS.iter().map(|folder| Path::new(folder).join(UNIT)).find(|path| path.is_file()).map(Unit::read);
    vec![
        memory(&config.pipeline, MemoryLimit::smallest(unit.as_ref())),
        stop(config.shutdown_grace, unit.as_ref()),
        alerts(config).await,
        notices(&config.notice),
    ]
}

/// A unit's text with those of its drop-ins after it: the last value of a key counts.
struct Unit {
    path: PathBuf,
    text: String,
}

impl Unit {
    fn read(path: PathBuf) -> Unit {
        let mut text = fs::read_to_string(&path).unwrap_or_default();
        for folder in UNITS.iter().rev().map(|folder| Path::new(folder).join(format!("{UNIT}.d"))) {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut paths: Vec<PathBuf> =
                entries.filter(|path| path.extension().is_some_and(|extension| extension == "conf")).collect();
            paths.sort();
            paths.iter().for_each(|path| text += &format!("\n{}", fs::read_to_string(path).unwrap_or_default()));
        }
        Unit { path, text }
    }

    fn value(&self, key: &str) -> Option<&str> {
        let of_key = |line: &&str| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
        self.text.lines().rfind(of_key).and_then(|line| line.split_once('=')).map(|(_, value)| value.trim())
    }
}

fn stop(grace: Duration, unit: Option<&Unit>) -> HealthFact {
    const NAME: &str = "stop";
    let needed = grace + STOP_MARGIN;
    let Some(unit) = unit else {
        return good(
            NAME,
            format!("drains for up to {grace:?}; whoever stops it must wait {needed:?} (stopTimeout, TimeoutStopSec)"),
        );
    };
    let place = unit.path.display();
    // systemd.service(5): 90 s unless the system's own default says otherwise.
    let written = unit.value("TimeoutStopSec").unwrap_or("90s");
    match patience(written) {
        Some(Some(patience)) => {
            let detail = format!("drains for up to {grace:?}; {place} waits {patience:?}");
            let advice = format!(
                "raise TimeoutStopSec to {}s or lower [run] shutdown_grace: who is killed loses nothing, and does the work again",
                needed.as_secs()
            );
            judged(NAME, patience >= needed, HealthLevel::Warning, detail, &advice)
                .fixed_by(format!("xc2-analyzer print unit | sudo tee {place} && sudo systemctl daemon-reload"))
        }
        Some(None) => good(NAME, format!("drains for up to {grace:?}; {place} waits for ever")),
        None => bad(
            NAME,
            HealthLevel::Warning,
            format!("{place}: TimeoutStopSec={written} is not understood"),
            "write it in seconds",
        ),
    }
}

/// A time of systemd's: `40`, `40s`, `1min 30s`, `infinity` (none).
fn patience(text: &str) -> Option<Option<Duration>> {
    if text == "infinity" || text == "0" {
        return Some(None);
    }
    if let Ok(seconds) = text.parse() {
        return Some(Some(Duration::from_secs(seconds)));
    }
    let time: SignedDuration = text.parse().ok()?;
    Duration::try_from(time).ok().map(Some)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct MemoryLimit {
    bytes: u64,
    whose: &'static str,
}

impl MemoryLimit {
    fn smallest(unit: Option<&Unit>) -> Option<MemoryLimit> {
        let of_unit = unit.and_then(|unit| unit.value("MemoryMax")).and_then(|text| text.parse::<ByteSize>().ok());
        let of_unit = of_unit.map(|size| MemoryLimit { bytes: size.as_u64(), whose: "the unit" });
        let of_group =
            cgroup(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default(), Path::new("/sys/fs/cgroup"));
        let of_group = of_group.map(|bytes| MemoryLimit { bytes, whose: "the control group" });
        let of_machine = total(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
        let of_machine = of_machine.map(|bytes| MemoryLimit { bytes, whose: "this machine" });
        [of_unit, of_group, of_machine].into_iter().flatten().min_by_key(|limit| limit.bytes)
    }
}

/// The smallest limit of our control group and those that it is in; `max` is none. In a container our own is the root.
fn cgroup(membership: &str, root: &Path) -> Option<u64> {
    let path = membership.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let read = |folder: &Path| fs::read_to_string(folder.join("memory.max")).ok()?.trim().parse::<u64>().ok();
    let groups = Path::new(path).ancestors().filter_map(|group| read(&root.join(group)));
    let first_version = fs::read_to_string(root.join("memory/memory.limit_in_bytes"));
    groups.chain(first_version.ok().and_then(|text| text.trim().parse().ok())).min()
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

fn memory(job: &Job, limit: Option<MemoryLimit>) -> HealthFact {
    const NAME: &str = "memory";
    let (worker, writer, workers) = (job.worker_bytes_max(), job.writer_bytes_max(), job.workers as u64);
    let worst = worker.saturating_mul(workers).saturating_add(writer);
    let shown = |bytes: u64| ByteSize::b(bytes).display().iec().to_string();
    let bound =
        format!("at worst {} ({workers} workers of {}, and {} that wait)", shown(worst), shown(worker), shown(writer));
    let Some(MemoryLimit { bytes, whose }) = limit else { return good(NAME, bound) };
    let detail = format!("{bound}; {whose} has {}", shown(bytes));
    let advice = "lower [run] workers, or [limits] object_bytes_max, decoder_bytes_max and cells_max, or give it more: objects \
                  as large as the limits let through could end it";
    let fact = judged(NAME, worst <= bytes, HealthLevel::Warning, detail, advice);
    match bytes.saturating_sub(writer) / worker.max(1) {
        0 => fact,
        fitting => fact.fixed_by(format!("export XC2__RUN__WORKERS={fitting}")),
    }
}

async fn alerts(config: &Config) -> HealthFact {
    const NAME: &str = "alerts";
    let Some((host, port)) = alert::host_of(&config.telemetry.sentry_dsn) else {
        return good(NAME, "no [telemetry] sentry_dsn: failures are told in the log and in failed_object only");
    };
    let place = format!("Sentry at {host}:{port}, environment {}", config.telemetry.environment);
    let connect = move || {
        let mut addresses = (host.as_str(), port).to_socket_addrs()?;
        let first = addresses.next().ok_or_else(|| std::io::Error::other("the name has no address"))?;
        TcpStream::connect_timeout(&first, CONNECT_TIME_MAX)
    };
    let advice = "correct [telemetry] sentry_dsn or the network: nobody would be told of failures";
    let problem = match tokio::time::timeout(2 * CONNECT_TIME_MAX, tokio::task::spawn_blocking(connect)).await {
        Ok(Ok(Ok(_))) => return good(NAME, format!("{place} answers")),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    bad(NAME, HealthLevel::Warning, format!("{place} can't be reached: {problem}"), advice)
}

/// Nobody is bothered to find out whether it would arrive.
fn notices(settings: &NoticeSettings) -> HealthFact {
    let webhook = settings.webhook.as_ref().map(|_| "the webhook".to_owned());
    let receivers: Vec<String> = webhook.into_iter().chain(settings.topic_arn.clone()).collect();
    let detail = match receivers.as_slice() {
        [] => "no [notice] webhook or topic_arn: nobody is told when a report date is complete".to_owned(),
        receivers => format!("to {}; xc2-analyzer notices send --test tries it", receivers.join(" and ")),
    };
    good("notices", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn unit(text: &str) -> Unit {
        Unit { path: "/etc/systemd/system/xc2-analyzer.service".into(), text: text.into() }
    }

    #[rstest]
    #[case("TimeoutStopSec=40s", HealthLevel::Ok, "waits 40s")]
    #[case("TimeoutStopSec=1min 30s", HealthLevel::Ok, "waits 90s")]
    #[case("TimeoutStopSec=40s\n[Service]\nTimeoutStopSec=25", HealthLevel::Warning, "waits 25s")]
    #[case("TimeoutStopSec=infinity", HealthLevel::Ok, "waits for ever")]
    #[case("# TimeoutStopSec=1", HealthLevel::Ok, "waits 90s")]
    #[case("TimeoutStopSec=soon", HealthLevel::Warning, "not understood")]
    fn patience_of_the_unit_is_compared_with_the_grace(
        #[case] text: &str,
        #[case] level: HealthLevel,
        #[case] detail: &str,
    ) {
        let fact = stop(Duration::from_secs(20), Some(&unit(text)));
        assert!(fact.level == level && fact.detail.contains(detail), "{fact:?}");
    }

    #[test]
    fn receivers_of_notices_are_named_without_the_secret_url() {
        let mut settings = crate::config::defaults().notice;
        assert!(notices(&settings).detail.contains("nobody is told"));
        settings.webhook = Some(crate::model::Secret::new("https://hooks.example/T0/secret"));
        settings.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:reports".into());
        let told = notices(&settings).detail;
        let expected =
            "to the webhook and arn:aws:sns:us-east-1:123456789012:reports; xc2-analyzer notices send --test tries it";
        assert_eq!(told, expected);
    }

    #[test]
    fn smallest_limit_of_the_groups_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let service = root.path().join("system.slice/xc2.service");
        fs::create_dir_all(&service).unwrap();
        assert_eq!(cgroup("0::/system.slice/xc2.service\n", root.path()), None);
        fs::write(service.join("memory.max"), "max\n").unwrap();
        fs::write(root.path().join("system.slice/memory.max"), "1073741824\n").unwrap();
        assert_eq!(cgroup("0::/system.slice/xc2.service\n", root.path()), Some(1 << 30));
        fs::write(root.path().join("memory.max"), "1048576\n").unwrap();
        assert_eq!(cgroup("0::/\n", root.path()), Some(1 << 20), "in a container");
    }

    #[test]
    fn memory_of_the_machine_is_read() {
        assert_eq!(total("MemTotal:        8000000 kB\nMemFree: 1 kB\n"), Some(8_192_000_000));
        assert_eq!(total(""), None);
    }

    #[test]
    fn workers_that_do_not_fit_are_told_with_how_many_do() {
        let mut job = crate::config::defaults().pipeline;
        job.workers = 4;
        let limit = |bytes| Some(MemoryLimit { bytes, whose: "this machine" });
        assert_eq!(memory(&job, limit(64 << 30)).level, HealthLevel::Ok);
        let fact = memory(&job, limit(4 << 30));
        assert_eq!((fact.level, fact.fix.as_str()), (HealthLevel::Warning, "export XC2__RUN__WORKERS=2"), "{fact:?}");
        let fact = memory(&job, limit(1 << 30));
        assert_eq!((fact.level, fact.fix.as_str()), (HealthLevel::Warning, ""), "{fact:?}");
    }
}
