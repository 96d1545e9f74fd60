//! The configuration as it takes effect, key by key, with where each value comes from. For people: secrets are starred out.

use std::ffi::OsString;
use std::path::Path;

use toml::{Table, Value};

use super::{ConfigError, ENV_PREFIX, SECRET_KEYS, layers};

/// Which layer a value is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(String),
    /// The variable's name.
    Environment(String),
}

/// One key of a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub section: String,
    pub key: String,
    /// Three stars where it is a secret that is set.
    pub value: Value,
    pub origin: Origin,
    pub is_secret: bool,
}

impl Setting {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("{ENV_PREFIX}{}__{}", self.section.to_uppercase(), self.key.to_uppercase())
    }
}

/// A `[[measure]]` or `[[report]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub list: String,
    pub value: Table,
    pub origin: Origin,
}

/// All of it, in the order of sections and keys by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effective {
    pub settings: Vec<Setting>,
    pub entries: Vec<Entry>,
}

impl Effective {
    /// Of the same layers as [`super::load`].
    pub fn load(file: Option<&Path>) -> Result<Effective, ConfigError> {
        let path = layers::file(file);
        let file = match &path {
            Some(path) => Some((path.display().to_string(), layers::read(path)?)),
            None => None,
        };
        let file = file.as_ref().map(|(place, text)| (place.as_str(), text.as_str()));
        Effective::of(file, std::env::vars_os())
    }

    /// With the file's name and text given, and the environment.
    pub fn of(
        file: Option<(&str, &str)>,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Effective, ConfigError> {
        let defaults = layers::defaults();
        let mut table = defaults.clone();
        let (place, in_file) = match file {
            Some((place, text)) => (place, layers::parse(text, place)?),
            None => ("", Table::new()),
        };
        layers::overlay(&mut table, in_file.clone(), place)?;
        let environment = layers::environment(&table, variables)?;
        layers::overlay(&mut table, environment.clone(), "environment")?;
        let mut found = Effective::default();
        for (section, value) in table {
            match value {
                Value::Table(keys) => found.settings.extend(keys.into_iter().map(|(key, value)| {
                    let has = |layer: &Table| layer.get(&section).is_some_and(|keys| keys.get(&key).is_some());
                    setting(&section, key.clone(), value, place, has(&in_file), has(&environment))
                })),
                Value::Array(entries) => found.entries.extend(entries.into_iter().filter_map(|entry| {
                    let Value::Table(value) = entry else { return None };
                    let is_default = defaults[&section]
                        .as_array()
                        .is_some_and(|known| known.iter().any(|known| known.as_table() == Some(&value)));
                    let origin = if is_default { Origin::Default } else { Origin::File(place.to_owned()) };
                    Some(Entry { list: section.clone(), value, origin })
                })),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn setting(section: &str, key: String, value: Value, place: &str, in_file: bool, in_environment: bool) -> Setting {
    let is_secret = SECRET_KEYS.contains(&format!("{section}.{key}").as_str());
    let mut setting = Setting { section: section.to_owned(), key, value, origin: Origin::Default, is_secret };
    setting.origin = match (in_environment, in_file) {
        (true, _) => Origin::Environment(setting.variable()),
        (_, true) => Origin::File(place.to_owned()),
        _ => Origin::Default,
    };
    let is_set = setting.origin != Origin::Default && setting.value.as_str() != Some("");
    if is_secret && is_set {
        setting.value = Value::String("***".to_owned());
    }
    setting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_says_where_it_comes_from_and_no_secret_is_shown() {
        let file = "[store]\nurl = 'mysql://xc2:geheim@db/ads'\n[source]\nprefix = 'logs/'\nsuffix = '.gz'\n\
                    [[report]]\nname = 'demand'\nenabled = false\n";
        let variables = [
            ("XC2__SOURCE__SUFFIX", ".pkl.gz"),
            ("XC2__STORE__PASSWORD", "geheim"),
            ("XC2__TELEMETRY__SENTRY_DSN", ""),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into())).into_iter();
        let found = Effective::of(Some(("my.toml", file)), variables).unwrap();
        let of = |section: &str, key: &str| {
            let setting =
                found.settings.iter().find(|setting| setting.section == section && setting.key == key).unwrap();
            (setting.value.clone(), setting.origin.clone())
        };
        let (in_file, in_environment) =
            (|| Origin::File("my.toml".into()), |name: &str| Origin::Environment(name.into()));
        assert_eq!(of("source", "prefix"), ("logs/".into(), in_file()));
        assert_eq!(of("source", "suffix"), (".pkl.gz".into(), in_environment("XC2__SOURCE__SUFFIX")));
        assert_eq!(of("source", "batch_size"), (10.into(), Origin::Default));
        assert_eq!(of("store", "url"), ("***".into(), in_file()));
        assert_eq!(of("store", "password"), ("***".into(), in_environment("XC2__STORE__PASSWORD")));
        assert_eq!(of("telemetry", "sentry_dsn"), ("".into(), in_environment("XC2__TELEMETRY__SENTRY_DSN")));
        let changed: Vec<&Entry> = found.entries.iter().filter(|entry| entry.origin != Origin::Default).collect();
        assert!(changed.len() == 1 && changed[0].value["name"].as_str() == Some("demand"), "{changed:?}");
        assert!(!format!("{found:?}").contains("geheim"), "{found:?}");
    }

    #[test]
    fn every_key_of_the_built_in_file_is_listed() {
        let found = Effective::of(None, std::iter::empty()).unwrap();
        assert!(found.settings.iter().all(|setting| setting.origin == Origin::Default));
        assert!(
            found.settings.len() > 40 && found.entries.len() == 12,
            "{} {}",
            found.settings.len(),
            found.entries.len()
        );
    }
}
