//! `print config`: the configuration as it takes effect, as TOML that can be read again, each value with its origin.

use std::path::Path;

use toml::{Table, Value};

use crate::cli::{CliError, output};
use crate::config::{Config, Effective, Origin};

pub fn print(config: &Config, file: Option<&Path>) -> Result<(), CliError> {
    eprintln!("# secrets are starred out; [store] url is shown without its password and its parameters");
    output::print(&text(&Effective::load(file)?, &config.store.label()))
}

fn text(effective: &Effective, store: &str) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in &effective.settings {
        if setting.section != section {
            text += &format!("{}[{}]\n", if section.is_empty() { "" } else { "\n" }, setting.section);
            section = &setting.section;
        }
        let value = match (section, setting.key.as_str()) {
            ("store", "url") => Value::from(store),
            _ => setting.value.clone(),
        };
        text += &line(&setting.key, value, &setting.origin);
    }
    for entry in &effective.entries {
        text += &format!("\n[[{}]] # {}\n", entry.list, origin(&entry.origin));
        for (key, value) in &entry.value {
            text += &pair(key, value.clone());
        }
    }
    text
}

fn line(key: &str, value: Value, from: &Origin) -> String {
    let pair = pair(key, value);
    let pair = pair.trim_end();
    format!("{pair:<40} # {}\n", origin(from))
}

/// `key = value` as TOML writes it, on one line.
fn pair(key: &str, value: Value) -> String {
    match value {
        Value::Array(_) | Value::Table(_) => format!("{key} = {value}\n"),
        value => Table::from_iter([(key.to_owned(), value)]).to_string(),
    }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::File(path) => path.clone(),
        Origin::Environment(variable) => variable.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_as_the_same_configuration() {
        let file = "[source]\nprefix = 'lo\"gs/'\n[log]\nmax_reject_ratio = 0.25\n[store]\nurl = 'mysql://a:geheim@b/c'\n\
                    [[report]]\nname = 'demand'\nenabled = false\n";
        let first = Effective::of(Some(("my.toml", file)), std::iter::empty()).unwrap();
        let printed = text(&first, "mysql://a@b:3306/c");
        assert!(printed.contains("# my.toml\n") && !printed.contains("geheim"), "{printed}");
        assert!(printed.contains("url = \"mysql://a@b:3306/c\""), "{printed}");
        let again = Effective::of(Some(("printed", &printed)), std::iter::empty()).unwrap();
        let values = |effective: &Effective| -> Vec<Value> {
            let not_secret = effective.settings.iter().filter(|setting| !setting.is_secret);
            let entries = effective.entries.iter().map(|entry| Value::from(entry.value.clone()));
            not_secret.map(|setting| setting.value.clone()).chain(entries).collect()
        };
        assert_eq!(values(&again), values(&first));
    }
}
