//! `healthcheck`: asks a running daemon whether it is well, for images without curl.

use std::time::Duration;

use super::CliError;
use super::output::print;
use crate::config::{Config, ConfigError};

#[derive(clap::Args)]
pub struct Args {
    /// Ask here instead of at the configured [telemetry] listen, for example http://127.0.0.1:9464/livez
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Ask /readyz (can it do work?) instead of /livez (does it make progress?)
    #[arg(long, conflicts_with = "url")]
    ready: bool,
}

/// A container's health check is given up after some seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Of an answer that is shown.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

pub async fn run(args: Args, config: Config) -> Result<(), CliError> {
    let url = match (&args.url, &config.telemetry.listen) {
        (Some(url), _) => url.clone(),
        (None, Some(listen)) => format!("http://{}/{}", reachable(listen), if args.ready { "readyz" } else { "livez" }),
        (None, None) => {
            let problem =
                "is empty, so the daemon serves nothing to ask: set it, or name a place with --url".to_owned();
            return Err(ConfigError { place: "config key telemetry.listen".to_owned(), problem }.into());
        }
    };
    let asked = url.clone();
    let answer = tokio::task::spawn_blocking(move || ask(&asked)).await;
    match answer.unwrap_or_else(|panic| Err(panic.to_string())) {
        Ok(line) => print(&format!("{line}\n")),
        Err(problem) => Err(CliError::Failed(format!("{url}: {problem}"))),
    }
}

/// A daemon that listens everywhere is asked at this machine.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}

/// The first line of an answer that says 200, or what is wrong.
fn ask(url: &str) -> Result<String, String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        // It is this machine that is asked, whatever the environment says of others.
        .proxy(None)
        .build();
    let mut answer = ureq::Agent::new_with_config(config).get(url).call().map_err(|error| error.to_string())?;
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    let text = text.map_err(|error| format!("answers {status}, and then: {error}"))?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    if status.as_u16() == 200 { Ok(line) } else { Err(format!("answers {status}: {line}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0.0.0.0:9464", "127.0.0.1:9464")]
    #[case("[::]:9464", "[::1]:9464")]
    #[case("10.0.0.7:9464", "10.0.0.7:9464")]
    #[case("localhost:9464", "localhost:9464")]
    fn daemon_that_listens_everywhere_is_asked_here(#[case] listen: &str, #[case] expected: &str) {
        assert_eq!(reachable(listen), expected);
    }
}
