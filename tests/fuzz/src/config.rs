//! What must hold of any configuration file and any environment.

use std::ffi::OsString;

use xc2_analyzer::config::{Config, ConfigError, ENV_PREFIX, load_text};
use xc2_analyzer::decode::{batch_schema, decode};
use xc2_analyzer::model::Secret;
use xc2_analyzer::source::SourceUrl;

/// A list of one row that has every field of the built-in configuration.
const ROW: &[u8] = b"](}(X\x02\0\0\0tsJ\x80\x99ffX\x03\0\0\0midX\x02\0\0\0m1X\x03\0\0\0ads](}X\x03\0\0\0aidK\x01seX\x03\0\0\0impK\x01X\x03\0\0\0revG?\xe0\0\0\0\0\0\0ue.";

/// A file, and after a zero byte variables of the environment, a line each.
pub fn check(input: &str) {
    let (file, variables) = input.split_once('\0').unwrap_or((input, ""));
    let load = || load_text(file, variables.lines().map(variable));
    let loaded = load();
    assert_eq!(loaded.as_ref().err(), load().as_ref().err(), "read twice");
    match loaded {
        Ok(config) => check_config(&config),
        Err(error) => check_error(&error, file, variables),
    }
}

/// `KEY=VALUE`; what has no prefix gets it, so that mutations find keys.
fn variable(line: &str) -> (OsString, OsString) {
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    let prefix = if key.starts_with(ENV_PREFIX) { "" } else { ENV_PREFIX };
    (format!("{prefix}{key}").into(), value.into())
}

/// What is valid can be used.
fn check_config(config: &Config) {
    let rules = config.pipeline.rules_now();
    let limits = &rules.limits;
    assert!(limits.batch_rows > 0 && limits.rows_max > 0 && limits.nesting_max > 0 && limits.cells_max > 0);
    assert!((0.0..=1.0).contains(&config.max_reject_ratio));
    assert_eq!(batch_schema(&rules.schema).fields().len(), 5 + rules.schema.measures.len());
    let mut rows = 0;
    if let Ok(decoded) = decode(ROW, &rules.schema, limits, &mut |batch| rows += batch.num_rows() as u64) {
        assert_eq!(rows + decoded.rejects.rows(), decoded.rows);
    }
    if let Ok(source) = config.source() {
        let shown = source.url.to_string();
        assert!(!matches!(SourceUrl::parse(&shown), Ok(other) if other != source.url), "{shown} is read as another");
        let _ = (source.url.region(), source.url.endpoint());
    }
}

/// An error is a sentence for a person, and tells no secret.
fn check_error(error: &ConfigError, file: &str, variables: &str) {
    let shown = error.to_string();
    assert!(!error.place.is_empty() && !error.problem.is_empty(), "{shown:?}");
    assert!(!error.problem.contains('\n'), "more than a line: {shown:?}");
    // The name of a variable is shown, its value is not.
    let values = variables.lines().filter_map(|line| line.split_once('='));
    let values = values.filter(|(key, _)| key.to_lowercase().ends_with("store__password")).map(|(_, value)| value);
    let lines = file.lines().filter(|line| line.trim_start().starts_with("password"));
    // What is written elsewhere too is no secret.
    let is_secret = |word: &&str| file.matches(*word).count() + variables.matches(*word).count() == 1;
    for secret in lines.chain(values).flat_map(marked_words).filter(is_secret) {
        assert!(!shown.contains(secret), "shows {secret:?}: {shown:?}");
        assert!(!format!("{:?}", Secret::new(secret)).contains(secret));
    }
}

/// The words of a line that no message says for other reasons.
fn marked_words(line: &str) -> impl Iterator<Item = &str> {
    const MARK: &str = "hunter";
    let words = line.split(|char: char| !char.is_ascii_alphanumeric());
    words.filter(|word| word.starts_with(MARK) && word.len() > MARK.len())
}
