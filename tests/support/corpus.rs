//! Log files written by CPython and what the reports must say of them: made by `tests/oracle`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

pub struct Corpus {
    pub dir: TempDir,
    pub expected: Value,
    pub metadata: Value,
    /// Key -> body.
    pub objects: BTreeMap<String, Vec<u8>>,
}

impl Corpus {
    /// `arguments` are those of `tests/oracle/corpus.py`, but the folder.
    pub fn make(arguments: &[&str]) -> Corpus {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new(python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/corpus.py"))
            .arg("--out")
            .arg(dir.path())
            .args(arguments)
            .output()
            .expect("run Python");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let json = |name: &str| serde_json::from_slice(&std::fs::read(dir.path().join(name)).unwrap()).unwrap();
        let (expected, metadata) = (json("expected.json"), json("metadata.json"));
        let mut objects = BTreeMap::new();
        let root = dir.path().join("objects");
        read_tree(&root, &root, &mut objects);
        Corpus { expected, metadata, objects, dir }
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("objects")
    }

    /// Keys that must be listed as failed.
    pub fn failed(&self) -> &serde_json::Map<String, Value> {
        self.expected["failed"].as_object().unwrap()
    }

    /// Keys that must be counted, with what is expected of each.
    pub fn counted(&self) -> &serde_json::Map<String, Value> {
        self.expected["objects"].as_object().unwrap()
    }
}

fn read_tree(root: &Path, folder: &Path, objects: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_tree(root, &path, objects);
        } else {
            let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            objects.insert(key, std::fs::read(&path).unwrap());
        }
    }
}

pub fn python() -> PathBuf {
    std::env::var_os("XC2_TEST_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}
