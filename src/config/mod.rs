//! Configuration: what is written ([`raw`], in [`layers`]) and what is meant ([`validated`]). Everything is checked
//! here, before anything is opened.

mod effective;
mod layers;
mod notice;
mod raw;
mod validated;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

pub use effective::{Effective, Entry, Origin, Setting};
pub use layers::{DEFAULTS, ENV_PREFIX};
pub use validated::{Config, TelemetrySettings};

/// What these hold is never shown.
const SECRET_KEYS: [&str; 4] = ["store.url", "store.password", "telemetry.sentry_dsn", "notice.webhook"];

/// A configuration that can't be used: where it is written and what is wrong. Exit code 78.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// A file, an environment variable, or a key.
    pub place: String,
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Reads the built-in defaults, the file (`config.toml` of the working directory when none is named), the files of
/// `$CREDENTIALS_DIRECTORY` and the environment, in this order of precedence.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let credentials = match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(directory) => layers::credentials(Path::new(&directory))?,
        None => Vec::new(),
    };
    // Of two with one name the later one counts.
    load_from(layers::file(file).as_deref(), credentials.into_iter().chain(std::env::vars_os()))
}

/// The file that [`load`] reads.
pub fn file(named: Option<&Path>) -> Option<std::path::PathBuf> {
    layers::file(named)
}

/// The built-in defaults alone.
pub fn defaults() -> Config {
    load_from(None, std::iter::empty()).expect("the built-in config.toml is valid: a test reads it")
}

/// [`load`] with the environment given.
pub fn load_from(
    file: Option<&Path>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    match file {
        Some(path) => load_text_of(&path.display().to_string(), &layers::read(path)?, variables),
        None => load_text("", variables),
    }
}

/// [`load_from`] with the file's text given.
pub fn load_text(file: &str, variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Config, ConfigError> {
    load_text_of("config.toml", file, variables)
}

fn load_text_of(
    place: &str,
    file: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let mut table = layers::defaults();
    layers::overlay(&mut table, layers::parse(file, place)?, place)?;
    let environment = layers::environment(&table, variables)?;
    layers::overlay(&mut table, environment, "environment")?;
    let raw: raw::Raw = serde_path_to_error::deserialize(table).map_err(|error| {
        let key = error.path().to_string();
        // The parser's message repeats the value.
        let problem = match SECRET_KEYS.contains(&key.as_str()) {
            true => "must be text in quotes".to_owned(),
            false => error.inner().to_string().trim_end().replace('\n', " "),
        };
        ConfigError { place: format!("config key {key}"), problem }
    })?;
    validated::validate(raw)
}

#[cfg(test)]
mod tests;
