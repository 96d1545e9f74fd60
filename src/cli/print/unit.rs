//! `print unit`: deploy/systemd/xc2-analyzer.service with this program, this file and this environment in it.

use std::path::Path;
use std::time::Duration;

use crate::cli::{CliError, io_error, output};
use crate::config::{self, Config, Effective, Origin, Setting};
use crate::supervisor::systemd::STOP_MARGIN;

const TEMPLATE: &str = include_str!("../../../deploy/systemd/xc2-analyzer.service");

pub fn print(config: &Config, file: Option<&Path>) -> Result<(), CliError> {
    let program = std::env::current_exe().map_err(io_error("find this program"))?;
    let path = match config::file(file) {
        Some(path) => Some(std::fs::canonicalize(&path).map_err(io_error(format!("find {}", path.display())))?),
        None => None,
    };
    let effective = Effective::load(file)?;
    let (secrets, open): (Vec<&Setting>, Vec<&Setting>) = effective
        .settings
        .iter()
        .filter(|setting| matches!(setting.origin, Origin::Environment(_)))
        .partition(|setting| setting.is_secret);
    let unit = filled(TEMPLATE, &program, path.as_deref(), config.shutdown_grace, &open);
    for path in [Some(&program), path.as_ref()].into_iter().flatten().filter(|path| is_hidden(path)) {
        eprintln!("# {}: the unit can't see it (ProtectHome): move it to /usr/local/bin or /etc/xc2", path.display());
    }
    if !secrets.is_empty() {
        let names: Vec<String> = secrets.iter().map(|setting| setting.variable()).collect();
        eprintln!("# into /etc/xc2/environment (root, mode 0600), since secrets are not printed: {}", names.join(", "));
    }
    let print = super::again(file, "unit");
    eprintln!(
        "# apply it by:\n{print} | sudo tee /etc/systemd/system/xc2-analyzer.service >/dev/null && sudo systemctl \
         daemon-reload && sudo systemctl enable --now xc2-analyzer"
    );
    output::print(&unit)
}

/// Below these the unit's processes see nothing (systemd.exec(5), ProtectHome=).
fn is_hidden(path: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|hidden| path.starts_with(hidden))
}

/// Only lines that are known are changed; whatever else the template says stays.
fn filled(template: &str, program: &Path, file: Option<&Path>, grace: Duration, settings: &[&Setting]) -> String {
    let mut text = String::new();
    for line in template.lines() {
        match line.split_once('=') {
            Some(("ExecStart", command)) => {
                // Settings come first: of two that set the same, the later one counts.
                settings.iter().for_each(|setting| text += &environment(setting));
                text += &exec_start(command, program, file);
            }
            Some(("TimeoutStopSec", _)) => text += &format!("TimeoutStopSec={}s\n", (grace + STOP_MARGIN).as_secs()),
            _ => text += &format!("{line}\n"),
        }
    }
    text
}

/// The template's words, but for the program and the file.
fn exec_start(command: &str, program: &Path, file: Option<&Path>) -> String {
    let mut words = vec![word(program)];
    let mut old = command.split_whitespace().skip(1);
    while let Some(next) = old.next() {
        match next {
            "--config" => drop(old.next()),
            other => words.push(other.to_owned()),
        }
    }
    if let Some(file) = file {
        words.extend(["--config".to_owned(), word(file)]);
    }
    format!("ExecStart={}\n", words.join(" "))
}

fn word(path: &Path) -> String {
    let text = escaped(&path.display().to_string()).replace('$', "$$");
    if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
}

fn environment(setting: &Setting) -> String {
    let value = setting.value.as_str().map_or_else(|| setting.value.to_string(), str::to_owned);
    format!("Environment=\"{}={}\"\n", setting.variable(), escaped(&value))
}

/// systemd.syntax(7) and systemd.unit(5): C's escapes, and `%` begins a specifier.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(unit: &str, key: &str) -> Vec<String> {
        let key = format!("{key}=");
        unit.lines().filter(|line| line.starts_with(&key)).map(str::to_owned).collect()
    }

    #[test]
    fn known_lines_are_filled_in_and_others_stay() {
        let setting = Setting {
            section: "source".into(),
            key: "prefix".into(),
            value: "lo\"gs 100%/".into(),
            origin: Origin::Environment("XC2__SOURCE__PREFIX".into()),
            is_secret: false,
        };
        let (program, file) = (Path::new("/opt/xc2/xc2-analyzer"), Path::new("/etc/my xc2.toml"));
        let unit = filled(TEMPLATE, program, Some(file), Duration::from_secs(45), &[&setting]);
        assert_eq!(lines(&unit, "ExecStart"), [r#"ExecStart=/opt/xc2/xc2-analyzer run --config "/etc/my xc2.toml""#]);
        assert_eq!(lines(&unit, "TimeoutStopSec"), ["TimeoutStopSec=65s"]);
        assert!(lines(&unit, "Environment").contains(&r#"Environment="XC2__SOURCE__PREFIX=lo\"gs 100%%/""#.to_owned()));
        let kept =
            TEMPLATE.lines().filter(|line| !line.starts_with("ExecStart=") && !line.starts_with("TimeoutStopSec="));
        kept.for_each(|line| assert!(unit.lines().any(|other| other == line), "{line} is gone"));
        let without_file = filled(TEMPLATE, program, None, Duration::from_secs(20), &[]);
        assert_eq!(lines(&without_file, "ExecStart"), ["ExecStart=/opt/xc2/xc2-analyzer run"]);
    }
}
