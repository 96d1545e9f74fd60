//! The layers of configuration: the built-in `config.toml`, then a file, then the environment. The built-in file is
//! the one declaration of which keys exist, what they default to and what they mean.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::ConfigError;

/// The repository's own `config.toml`: every key, its default and its description.
pub const DEFAULTS: &str = include_str!("../../config.toml");

/// Environment variables of this prefix name a key: `XC2__STORE__URL` is `[store] url`.
pub const ENV_PREFIX: &str = "XC2__";

/// Entries of these lists are told apart by their `name`.
const NAMED_LISTS: [&str; 2] = ["measure", "report"];

pub fn defaults() -> Table {
    DEFAULTS.parse().expect("the built-in config.toml is valid TOML: a test reads it")
}

/// The file to read: the one that was named, or `config.toml` of the working directory when there is one.
pub fn file(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from("config.toml")).filter(|path| path.is_file()),
    }
}

pub fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError { place: path.display().to_string(), problem: format!("can't be read: {error}") })
}

pub fn parse(text: &str, place: &str) -> Result<Table, ConfigError> {
    // Not the line itself, which the parser's own message shows: there may be a password in it.
    text.parse().map_err(|error: toml::de::Error| {
        let line = text[..error.span().map_or(0, |span| span.start)].matches('\n').count() + 1;
        ConfigError { place: place.to_owned(), problem: format!("is not TOML: line {line}: {}", error.message()) }
    })
}

/// Lays `over` on `base`. Every key of `over` must be known to `base`, the built-in file.
pub fn overlay(base: &mut Table, over: Table, place: &str) -> Result<(), ConfigError> {
    let wrong = |problem| ConfigError { place: place.to_owned(), problem };
    for (name, value) in over {
        if NAMED_LISTS.contains(&name.as_str()) {
            overlay_list(base, &name, value).map_err(wrong)?;
            continue;
        }
        let Some(Value::Table(section)) = base.get_mut(&name) else {
            let known: Vec<&str> = base.keys().map(String::as_str).collect();
            return Err(wrong(format!("unknown section [{name}]{}", nearest(&name, &known))));
        };
        let Value::Table(keys) = value else {
            return Err(wrong(format!("{name} must be a section: [{name}]")));
        };
        for (key, value) in keys {
            set(section, &name, &key, value).map_err(wrong)?;
        }
    }
    Ok(())
}

fn set(section: &mut Table, name: &str, key: &str, value: Value) -> Result<(), String> {
    if !section.contains_key(key) {
        let known: Vec<&str> = section.keys().map(String::as_str).collect();
        return Err(format!("unknown key `{key}` in [{name}]{}", nearest(key, &known)));
    }
    section.insert(key.to_owned(), value);
    Ok(())
}

/// Lays an entry over the one of the same name, key by key, or adds it.
fn overlay_list(base: &mut Table, list: &str, over: Value) -> Result<(), String> {
    let Value::Array(over) = over else { return Err(format!("{list} must be a list of tables: [[{list}]]")) };
    let Some(Value::Array(entries)) = base.get_mut(list) else { return Err(format!("unknown list [[{list}]]")) };
    let mut seen = Vec::new();
    for entry in over {
        let Value::Table(entry) = entry else { return Err(format!("{list} must be a list of tables: [[{list}]]")) };
        let name = entry.get("name").cloned();
        if name.is_some() && seen.contains(&name) {
            return Err(format!("two [[{list}]] are named {}", name.unwrap_or_else(|| "".into())));
        }
        let same = |known: &&mut Value| name.is_some() && known.get("name") == name.as_ref();
        match entries.iter_mut().find(same) {
            Some(Value::Table(known)) => known.extend(entry),
            _ => entries.push(Value::Table(entry)),
        }
        seen.push(name);
    }
    Ok(())
}

/// The environment's keys as a table of the same form as a file. Values take the type of the key's default.
pub fn environment(base: &Table, variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Table, ConfigError> {
    let mut over = Table::new();
    for (variable, text) in variables {
        // Variables of others may be anything.
        let Some(variable) = variable.to_str() else { continue };
        let Some(path) = variable.strip_prefix(ENV_PREFIX) else { continue };
        let not_text =
            |_| ConfigError { place: format!("environment variable {variable}"), problem: "is not UTF-8".into() };
        let text = text.into_string().map_err(not_text)?;
        let wrong = |problem| ConfigError { place: format!("environment variable {variable}"), problem };
        let path = path.to_lowercase();
        let Some((section, key)) = path.split_once("__") else {
            return Err(wrong(format!("names no key; the form is {ENV_PREFIX}SECTION__KEY")));
        };
        let default = base.get(section).and_then(|section| section.get(key));
        let value = match default {
            Some(Value::Integer(_)) => text.parse().map(Value::Integer).map_err(|_| wrong(expected("a number")))?,
            Some(Value::Float(_)) => text.parse().map(Value::Float).map_err(|_| wrong(expected("a number")))?,
            Some(Value::Boolean(_)) => {
                text.parse().map(Value::Boolean).map_err(|_| wrong(expected("true or false")))?
            }
            // An unknown key is found when the table is laid over the base, with the nearest known name.
            _ => Value::String(text),
        };
        let keys = over.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(keys) = keys {
            keys.insert(key.to_owned(), value);
        }
    }
    Ok(over)
}

/// Settings that are laid out as one file a key, named as the environment variable would be: what systemd's
/// `LoadCredential=` puts into `$CREDENTIALS_DIRECTORY`, and secrets that are mounted into a container. The line end that
/// editors add is not part of the value.
pub fn credentials(directory: &Path) -> Result<Vec<(OsString, OsString)>, ConfigError> {
    let unreadable = |path: &Path, error: std::io::Error| ConfigError {
        place: format!("credentials in {}", path.display()),
        problem: format!("can't be read: {error}"),
    };
    let mut variables = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
        let entry = entry.map_err(|error| unreadable(directory, error))?;
        if !entry.file_name().to_string_lossy().starts_with(ENV_PREFIX) {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).map_err(|error| unreadable(&entry.path(), error))?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        variables.push((entry.file_name(), text.into()));
    }
    Ok(variables)
}

fn expected(what: &str) -> String {
    format!("its value must be {what}")
}

/// `; did you mean ...?`, or the known names when none is near.
fn nearest(name: &str, known: &[&str]) -> String {
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(name, candidate);
    match known.iter().min_by_key(distance) {
        Some(near) if strsim::damerau_levenshtein(name, near) <= name.len().max(4) / 2 => {
            format!("; did you mean `{near}`?")
        }
        _ => format!("; known are {}", known.join(", ")),
    }
}
