//! How the program tells people what it does: the log, and alerts.

pub mod alert;
mod log;

pub use log::{Format, LogSettings, init};
