//! The table of faults, and what the code becomes with one of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    fault: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub name: String,
    /// What is wrong with it, in words.
    pub says: String,
    /// Arguments of `cargo test`, then the test's name.
    pub test: Vec<String>,
    pub edit: Vec<Edit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    file: String,
    old: String,
    new: String,
}

/// All faults.
pub fn read() -> Vec<Fault> {
    let table: Table = toml::from_str(include_str!("faults.toml")).expect("faults.toml is a table of faults");
    table.fault
}

impl Fault {
    pub fn test_name(&self) -> &str {
        self.test.last().map_or("", String::as_str)
    }

    pub fn test_function(&self) -> &str {
        self.test_name().rsplit("::").next().unwrap_or_default()
    }

    /// Where it is made, in the first place.
    pub fn file(&self) -> &str {
        self.edit.first().map_or("", |edit| edit.file.as_str())
    }

    /// The files that differ, with their text. An error when the fault does not fit the code below `root`.
    pub fn changed(&self, root: &Path) -> Result<BTreeMap<String, String>, String> {
        let mut changed = BTreeMap::new();
        for Edit { file, old, new } in &self.edit {
            if !changed.contains_key(file) {
                let text = std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))?;
                changed.insert(file.clone(), text);
            }
            let text = changed.get_mut(file).expect("just read");
            match text.matches(old.as_str()).count() {
                1 => *text = text.replacen(old.as_str(), new, 1),
                times => return Err(format!("{file} has {times} times, instead of once: {old}")),
            }
        }
        if changed.is_empty() { Err("it changes nothing".to_owned()) } else { Ok(changed) }
    }
}
