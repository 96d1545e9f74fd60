//! Amazon ECS: while deliveries are open, this task asks not to be the one that is stopped when the service scales in.
//!
//! The container agent's task scale-in protection endpoint, `PUT $ECS_AGENT_URI/task-protection/v1/state` (Amazon ECS
//! Developer Guide, "Task scale-in protection endpoint"). It saves work, not data: a task that is stopped all the same
//! drains, and what it leaves is delivered again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::Condition;

/// How long the agent protects without being asked again, in minutes: it accepts 1 to 2,880. It is also how long a
/// deployment waits for a task that is never idle: ECS refuses to renew what keeps a deployment from its end.
const EXPIRES_MINUTES: u64 = 10;
/// Renewed when half of that is over, so that a refused request has time for others.
const RENEW_AFTER: Duration = Duration::from_secs(EXPIRES_MINUTES * 60 / 2);
const EXPIRES: Duration = Duration::from_secs(EXPIRES_MINUTES * 60);
/// Without work for so long, the task may go. Shorter pauses are not worth two requests.
const IDLE_MIN: Duration = Duration::from_secs(10);
/// After a request that failed; ECS throttles who asks more often.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How often the work in flight is looked at: shorter work needs no protection.
const INTERVAL: Duration = Duration::from_secs(1);

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Keeps this task protected while it has work, as long as it is polled. Outside of ECS it is nothing.
pub async fn attend(observe: impl Fn() -> Condition) {
    let Ok(agent) = std::env::var("ECS_AGENT_URI") else { return };
    let mut protection = Protection::new(Instant::now());
    let mut refused = false;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(request) = protection.due(Instant::now(), observe().in_flight) else { continue };
        let agent = agent.clone();
        // A request that hangs must not hold up a thread of the pipeline.
        let answer = tokio::task::spawn_blocking(move || ask(&agent, request)).await;
        let answer = answer.unwrap_or_else(|panic| Err(panic.to_string()));
        protection.answered(Instant::now(), request, answer.is_ok());
        match answer {
            Ok(()) => {
                debug!(?request, "scale-in protection changed");
                if std::mem::take(&mut refused) {
                    info!("the ECS agent protects this task again");
                }
            }
            Err(problem) if !std::mem::replace(&mut refused, true) => {
                warn!(
                    problem,
                    "this task is not protected from scale-in; nothing else depends on it, and it is tried again"
                );
            }
            Err(problem) => debug!(problem, "the ECS agent still refuses"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Protect,
    Release,
}

/// What the agent granted, and since when there is nothing to protect.
struct Protection {
    granted: Option<Instant>,
    idle_since: Option<Instant>,
    /// No request before.
    not_before: Instant,
}

impl Protection {
    fn new(now: Instant) -> Self {
        Self { granted: None, idle_since: None, not_before: now }
    }

    /// The request that this moment asks for, if any.
    fn due(&mut self, now: Instant, in_flight: usize) -> Option<Request> {
        self.granted = self.granted.filter(|granted| now < *granted + EXPIRES);
        let request = match (in_flight, self.granted) {
            (0, granted) => {
                let since = *self.idle_since.get_or_insert(now);
                (granted.is_some() && now >= since + IDLE_MIN).then_some(Request::Release)
            }
            (_, granted) => {
                self.idle_since = None;
                granted.is_none_or(|granted| now >= granted + RENEW_AFTER).then_some(Request::Protect)
            }
        };
        request.filter(|_| now >= self.not_before)
    }

    fn answered(&mut self, now: Instant, request: Request, granted: bool) {
        match (request, granted) {
            (Request::Protect, true) => self.granted = Some(now),
            (Request::Release, true) => self.granted = None,
            (_, false) => self.not_before = now + RETRY_AFTER,
        }
    }
}

/// One request. The error is the agent's own words, or what kept us from an answer.
fn ask(agent: &str, request: Request) -> Result<(), String> {
    let body = match request {
        Request::Protect => json!({ "ProtectionEnabled": true, "ExpiresInMinutes": EXPIRES_MINUTES }),
        Request::Release => json!({ "ProtectionEnabled": false }),
    };
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(REQUEST_TIMEOUT))
        .http_status_as_error(false)
        // The agent is on this host, where no proxy leads.
        .proxy(None)
        .build();
    let url = format!("{}/task-protection/v1/state", agent.trim_end_matches('/'));
    let mut answer = ureq::Agent::new_with_config(config)
        .put(&url)
        .send_json(&body)
        .map_err(|error| format!("PUT {url}: {error}"))?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    verdict(status, &body.map_err(|error| format!("PUT {url}: {error}"))?)
}

/// A refusal comes as `failure` (also with status 200) or as `error`.
fn verdict(status: u16, body: &str) -> Result<(), String> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |part: &str, field: &str| answer[part][field].as_str().map(str::to_owned);
    if answer["protection"].is_object() {
        return Ok(());
    }
    if let Some(reason) = text("failure", "Reason") {
        return Err(match text("failure", "Detail") {
            Some(detail) => format!("{reason}: {detail}"),
            None => reason,
        });
    }
    let code = text("error", "Code").unwrap_or_else(|| format!("status {status}"));
    let advice = match code.as_str() {
        "AccessDeniedException" => "; the task role needs ecs:GetTaskProtection and ecs:UpdateTaskProtection",
        _ => "",
    };
    Err(format!("{code}: {}{advice}", text("error", "Message").unwrap_or_else(|| "no reason given".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Moves a clock through `steps` of (seconds, deliveries in flight, whether the agent grants what is asked then);
    /// says what is asked, and when.
    fn asked(steps: &[(u64, usize, bool)]) -> Vec<(u64, Request)> {
        let began = Instant::now();
        let mut protection = Protection::new(began);
        let mut asked = Vec::new();
        for &(seconds, in_flight, granted) in steps {
            let now = began + Duration::from_secs(seconds);
            if let Some(request) = protection.due(now, in_flight) {
                protection.answered(now, request, granted);
                asked.push((seconds, request));
            }
        }
        asked
    }

    #[test]
    fn work_is_protected_at_once_and_released_when_it_is_over() {
        let steps =
            [(0, 0, true), (1, 3, true), (2, 1, true), (3, 0, true), (12, 0, true), (13, 0, true), (60, 0, true)];
        assert_eq!(asked(&steps), [(1, Request::Protect), (13, Request::Release)]);
    }

    #[test]
    fn short_pauses_ask_for_nothing() {
        let steps: Vec<_> = (0..290).map(|second| (second, usize::from(second % 9 == 0), true)).collect();
        assert_eq!(asked(&steps), [(0, Request::Protect)]);
    }

    #[test]
    fn long_work_renews_before_the_agent_forgets() {
        let steps: Vec<_> = (0..1000).map(|second| (second, 1, true)).collect();
        let at: Vec<u64> = asked(&steps).into_iter().map(|(second, _)| second).collect();
        assert_eq!(at, [0, 300, 600, 900]);
    }

    #[test]
    fn refused_request_is_repeated_no_sooner_than_after_its_pause() {
        let steps: Vec<_> = (0..100).map(|second| (second, 1, false)).collect();
        let at: Vec<u64> = asked(&steps).into_iter().map(|(second, _)| second).collect();
        assert_eq!(at, [0, 30, 60, 90]);
    }

    #[test]
    fn protection_that_ran_out_is_asked_for_anew_and_never_released() {
        let busy = |seconds| (seconds, 1, seconds == 0);
        let mut steps: Vec<_> = [0, 300, 599].map(busy).to_vec();
        steps.extend([(700, 0, true), (720, 0, true)]);
        assert_eq!(asked(&steps), [(0, Request::Protect), (300, Request::Protect), (599, Request::Protect)]);
    }

    #[rstest]
    #[case(200, r#"{"protection":{"ExpirationDate":"2026-06-10T00:00:00Z","ProtectionEnabled":true,"TaskArn":"a"}}"#, Ok(()))]
    #[case(200, r#"{"failure":{"Arn":"a","Detail":null,"Reason":"DEPLOYMENT_BLOCKED"}}"#, Err("DEPLOYMENT_BLOCKED"))]
    #[case(
        400,
        r#"{"requestID":"1","error":{"Arn":"a","Code":"AccessDeniedException","Message":"no"}}"#,
        Err("AccessDeniedException: no; the task role needs ecs:GetTaskProtection and ecs:UpdateTaskProtection")
    )]
    #[case(500, "", Err("status 500: no reason given"))]
    #[case(200, "<html>", Err("status 200: no reason given"))]
    fn answer_is_read_as_documented(#[case] status: u16, #[case] body: &str, #[case] expected: Result<(), &str>) {
        assert_eq!(verdict(status, body), expected.map_err(str::to_owned));
    }
}
