//! How the program tells people what it does: the log, alerts, and messages to a webhook.

pub mod alert;
mod alert_limit;
mod log;
pub mod webhook;

pub use log::{Format, LogSettings, init};
