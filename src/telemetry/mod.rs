//! How the program tells people and machines what it does: the log, alerts, messages to a webhook, metrics, and the pages
//! that show them.
//!
//! `metrics` is the table of all metrics, `meter` what one is made of, `exporter` how Prometheus reads them, `endpoint` the
//! HTTP server.

pub mod alert;
mod alert_limit;
pub mod endpoint;
mod exporter;
mod log;
pub mod meter;
pub mod metrics;
pub mod process;
pub mod webhook;

pub use endpoint::{Check, Vitals};
pub use exporter::Exporter;
pub use log::{Format, LogSettings, init};
pub use metrics::Meter;
