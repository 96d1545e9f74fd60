//! The layers of configuration: the built-in `config.toml`, then a file, then the environment. The built-in file is
//! the one declaration of which keys exist, what they default to and what they mean.

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

pub fn read(path: &Path) -> Result<Table, ConfigError> {
    let wrong = |problem: String| ConfigError { place: path.display().to_string(), problem };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("can't be read: {error}")))?;
    // The parser's message shows the line with a mark below it.
    text.parse().map_err(|error: toml::de::Error| wrong(format!("is not TOML\n{error}")))
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

/// Replaces the entry of the same name, or adds one.
fn overlay_list(base: &mut Table, list: &str, over: Value) -> Result<(), String> {
    let Value::Array(over) = over else { return Err(format!("{list} must be a list of tables: [[{list}]]")) };
    let Some(Value::Array(entries)) = base.get_mut(list) else { return Err(format!("unknown list [[{list}]]")) };
    for entry in over {
        let same = |known: &Value| entry.get("name").is_some() && known.get("name") == entry.get("name");
        match entries.iter().position(same) {
            Some(at) => entries[at] = entry,
            None => entries.push(entry),
        }
    }
    Ok(())
}

/// The environment's keys as a table of the same form as a file. Values take the type of the key's default.
pub fn environment(base: &Table, variables: impl Iterator<Item = (String, String)>) -> Result<Table, ConfigError> {
    let mut over = Table::new();
    for (variable, text) in variables {
        let Some(path) = variable.strip_prefix(ENV_PREFIX) else { continue };
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
