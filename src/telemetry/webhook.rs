//! A message to a webhook: one POST of JSON, and what the receiver answered. Knows no retries.

use std::time::Duration;

use crate::model::Secret;

/// Characters of an answer that are kept for the one who looks for the reason.
const ANSWER_CHARS_MAX: usize = 300;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// A wait that the receiver asks for is believed up to this.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Why a message is not known to have arrived. Nothing here repeats the URL, which is the key to the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookError {
    /// No answer, a server error, or too many messages: it passes.
    Passing { problem: String, wait: Option<Duration> },
    /// The receiver does not want it, and will not the next time: the URL is wrong, or was withdrawn.
    Refused { problem: String },
}

impl std::fmt::Display for WebhookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WebhookError::Passing { problem, .. } | WebhookError::Refused { problem } => f.write_str(problem),
        }
    }
}

/// The error is a sentence about the URL, without it.
pub fn check_url(url: &str) -> Result<(), String> {
    let parsed = url::Url::parse(url).map_err(|error| format!("is not a URL: {error}"))?;
    match parsed.scheme() {
        "http" | "https" if parsed.host_str().is_some_and(|host| !host.is_empty()) => Ok(()),
        _ => Err("must begin with https:// (or http://) and name a host".to_owned()),
    }
}

/// Posts `body` and returns the receiver's answer. `id` goes along as `Idempotency-Key`. Blocks for at most `timeout`.
pub fn post(url: &Secret, id: &str, body: &str, timeout: Duration) -> Result<String, WebhookError> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        // A webhook that moved is a webhook to be configured anew; and a POST that is redirected becomes a GET.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("xc2-analyzer/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    let request = agent
        .post(url.reveal())
        .header("Content-Type", "application/json; charset=utf-8")
        .header("Idempotency-Key", id);
    let mut answer = request.send(body).map_err(|error| unanswered(&error, url))?;
    let status = answer.status().as_u16();
    let wait = answer.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?));
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
    judge(status, wait, &first_line(&text))
}

fn unanswered(error: &ureq::Error, url: &Secret) -> WebhookError {
    let problem = match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        error => error.to_string().replace(url.reveal(), "***"),
    };
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            WebhookError::Refused { problem: "the URL is not usable".into() }
        }
        _ => WebhookError::Passing { problem, wait: None },
    }
}

/// Seconds. The other form, a date, is not used by those who limit rates.
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(WAIT_MAX))
}

fn judge(status: u16, wait: Option<Duration>, answer: &str) -> Result<String, WebhookError> {
    let problem = match answer {
        "" => format!("HTTP {status}"),
        answer => format!("HTTP {status}: {answer}"),
    };
    match status {
        200..=299 => Ok(problem),
        408 | 425 | 429 | 500.. => Err(WebhookError::Passing { problem, wait }),
        _ => Err(WebhookError::Refused { problem }),
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|character| !character.is_control()).take(ANSWER_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(200, true, false)]
    #[case(204, true, false)]
    #[case(301, false, true)]
    #[case(400, false, true)]
    #[case(403, false, true)]
    #[case(404, false, true)]
    #[case(410, false, true)]
    #[case(408, false, false)]
    #[case(429, false, false)]
    #[case(500, false, false)]
    #[case(503, false, false)]
    fn answer_says_whether_to_try_again(#[case] status: u16, #[case] arrived: bool, #[case] refused: bool) {
        let judged = judge(status, None, "");
        assert_eq!(judged.is_ok(), arrived);
        assert_eq!(matches!(judged, Err(WebhookError::Refused { .. })), refused);
    }

    #[test]
    fn wait_is_believed_up_to_a_day() {
        assert_eq!(retry_after(" 30 "), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("999999999"), Some(WAIT_MAX));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }

    #[test]
    fn nobody_there_is_told_without_the_url() {
        let url = Secret::new("http://127.0.0.1:1/services/T000/secret-path");
        let error = post(&url, "id", "{}", Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, WebhookError::Passing { .. }), "{error}");
        assert!(!error.to_string().contains("secret-path"), "{error}");
    }

    #[rstest]
    #[case("https://hooks.slack.com/services/T/B/x", true)]
    #[case("http://127.0.0.1:8080/", true)]
    #[case("hooks.slack.com/services", false)]
    #[case("ftp://hooks.example.com/", false)]
    fn url_is_checked_before_it_is_needed(#[case] url: &str, #[case] good: bool) {
        assert_eq!(check_url(url).is_ok(), good);
    }
}
