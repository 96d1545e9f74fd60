//! The program's own small HTTP server: `/metrics` for Prometheus, `/livez` and `/readyz` for whoever starts, restarts and
//! routes. It is told what it serves, and knows nothing of queues and databases.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::exporter::Exporter;

/// One line of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    /// Why it is not ready.
    pub problem: Option<String>,
}

/// What the server tells.
#[async_trait]
pub trait Vitals: Send + Sync + 'static {
    /// The error is what does not move, and since when. Never waits for anybody.
    fn alive(&self) -> Result<(), String>;

    /// Whether work can be done now. May ask others, so it keeps its answers for a while.
    async fn ready(&self) -> Vec<Check>;

    /// The metrics as text.
    fn metrics(&self) -> String;
}

/// The place to listen at: `host:port`. The error is a sentence about it.
pub fn check_listen(listen: &str) -> Result<(), String> {
    let wrong =
        |problem: &str| Err(format!("{listen:?} {problem}; write host:port, such as 127.0.0.1:9464 or [::1]:9464"));
    let Some((host, port)) = listen.rsplit_once(':') else { return wrong("has no port") };
    if host.is_empty() {
        return wrong("has no host (0.0.0.0 is all of IPv4)");
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return wrong("has an IPv6 address without brackets");
    }
    match port.parse::<u16>() {
        Ok(_) => Ok(()),
        Err(_) => wrong("has a port that is no number up to 65535"),
    }
}

/// Takes the place, so that one that is taken already is known at start.
pub async fn bind(listen: &str) -> io::Result<TcpListener> {
    TcpListener::bind(listen).await
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, vitals: Arc<dyn Vitals>) -> io::Result<()> {
    axum::serve(listener, router(vitals)).await
}

fn router(vitals: Arc<dyn Vitals>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(vitals)
}

const INDEX: &str = concat!(
    "xc2-analyzer ",
    env!("CARGO_PKG_VERSION"),
    "\n\n\
     /metrics  for Prometheus\n\
     /livez    200 while the pipeline makes progress, else 503 with what does not\n\
     /readyz   200 while work can be done, else 503 with what is missing\n"
);

async fn index() -> &'static str {
    INDEX
}

async fn metrics(State(vitals): State<Arc<dyn Vitals>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, Exporter::CONTENT_TYPE)], vitals.metrics())
}

async fn livez(State(vitals): State<Arc<dyn Vitals>>) -> (StatusCode, String) {
    match vitals.alive() {
        Ok(()) => (StatusCode::OK, "ok: the pipeline makes progress\n".to_owned()),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

async fn readyz(State(vitals): State<Arc<dyn Vitals>>) -> (StatusCode, String) {
    let checks = vitals.ready().await;
    let is_ready = checks.iter().all(|check| check.problem.is_none());
    let line = |check: &Check| match &check.problem {
        None => format!("ok: {}\n", check.name),
        Some(problem) => format!("FAILURE: {}: {problem}\n", check.name),
    };
    // What is wrong comes first: some who ask show the first line only.
    let (failed, fine): (Vec<_>, Vec<_>) = checks.iter().partition(|check| check.problem.is_some());
    let lines = failed.into_iter().chain(fine).map(line).collect();
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("127.0.0.1:9464", "")]
    #[case("[::]:9464", "")]
    #[case("localhost:0", "")]
    #[case("9464", "has no port")]
    #[case(":9464", "has no host")]
    #[case("::1:9464", "without brackets")]
    #[case("localhost:http", "no number")]
    #[case("localhost:65536", "no number")]
    fn place_to_listen_at_is_checked(#[case] listen: &str, #[case] problem: &str) {
        match check_listen(listen) {
            Ok(()) => assert_eq!(problem, ""),
            Err(error) => assert!(!problem.is_empty() && error.contains(problem), "{error}"),
        }
    }
}
