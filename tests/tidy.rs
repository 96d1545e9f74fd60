//! The rules that no compiler holds: who may know whom, who may name AWS, SQL and the commit, how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

use xc2_analyzer::failpoint::{POINTS, Point};

/// A module of `src/`, and the modules it may name. `lib.rs` and `main.rs` may name all.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("model", &[]),
    // Where tests make the program die. Everyone may name it.
    ("failpoint", &[]),
    ("report", &["model"]),
    ("source", &["model"]),
    ("decode", &["model"]),
    ("enrich", &["model"]),
    ("aggregate", &["model", "report"]),
    // Of aggregate it takes the rollup.
    ("store", &["model", "report", "aggregate"]),
    ("telemetry", &["model"]),
    ("supervisor", &[]),
    ("pipeline", &["model", "report", "source", "decode", "enrich", "aggregate", "store", "telemetry"]),
    ("notice", &["model", "source", "store", "telemetry"]),
    ("config", &["model", "report", "source", "store", "pipeline", "notice", "telemetry"]),
    ("cli", &["model", "report", "source", "store", "pipeline", "config", "notice", "telemetry", "supervisor"]),
];

/// Longer than this, a file has more than one subject.
const LINES_MAX: usize = 400;

struct Source {
    path: PathBuf,
    module: String,
    /// Without comments, so that a sentence may name what the code may not.
    code: String,
    lines: usize,
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let code = lines.iter().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n"));
        let inside = path.strip_prefix(&root).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        Source { module, code: code.collect(), lines: lines.len(), path: path.clone() }
    };
    files.into_iter().map(read).collect()
}

fn is_test(source: &Source) -> bool {
    let parts: Vec<&str> = source.path.iter().filter_map(|part| part.to_str()).collect();
    parts.iter().any(|part| part.trim_end_matches(".rs") == "tests")
}

fn before_its_tests(source: &Source) -> &str {
    // `mod tests;` names a file of its own, which is left out; only `mod tests {` ends a file's own code.
    source.code.split("#[cfg(test)]\nmod tests {").next().unwrap_or("")
}

#[test]
fn modules_know_only_whom_they_may() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !["lib", "main"].contains(&source.module.as_str())) {
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(module, _)| *module == source.module) else {
            wrong.push(format!("{}: module {} is not in the list", source.path.display(), source.module));
            continue;
        };
        for (other, _) in MAY_KNOW {
            let names_it =
                source.code.contains(&format!("crate::{other}::")) || source.code.contains(&format!("crate::{other};"));
            if names_it && *other != source.module && *other != "failpoint" && !allowed.contains(other) {
                wrong.push(format!("{} names {other}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_of_the_list_exists() {
    let sources = sources();
    for (module, _) in MAY_KNOW {
        assert!(sources.iter().any(|source| source.module == *module), "{module} is gone: take it from the list");
    }
}

fn assert_only(owner: &str, words: &[&str]) {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        for word in words.iter().filter(|word| before_its_tests(source).contains(**word)) {
            if !source.path.to_str().unwrap().contains(owner) {
                wrong.push(format!("{} says {word:?}, which belongs to {owner}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_source_names_aws_crates() {
    assert_only("src/source/", &["aws_sdk", "aws_config", "aws_smithy", "aws_types"]);
}

#[test]
fn only_store_names_sql() {
    assert_only("src/store/", &["mysql_async", "rusqlite", "INSERT INTO", "UPDATE ", "SELECT ", "CREATE TABLE"]);
}

/// Nobody goes around the table of metrics.
#[test]
fn only_telemetry_names_the_crates_of_metrics() {
    let macros = ["counter!(", "gauge!(", "histogram!(", "metrics_exporter_prometheus", " metrics::{", "axum::"];
    assert_only("src/telemetry/", &macros);
}

#[test]
fn only_retry_names_backoff() {
    assert_only("src/pipeline/retry.rs", &["backoff::"]);
}

#[test]
fn only_the_writer_commits_and_acknowledges() {
    let pipeline_and_commands = |source: &Source| ["pipeline", "cli", "config"].contains(&source.module.as_str());
    for source in sources().iter().filter(|source| pipeline_and_commands(source) && !is_test(source)) {
        let calls = [".store.commit(", ".queue.acknowledge(", ".commit(&", ".quarantine(&"];
        let named = calls.iter().any(|call| before_its_tests(source).contains(call));
        assert_eq!(named, source.path.ends_with("pipeline/writer.rs"), "{}", source.path.display());
    }
}

#[test]
fn every_failpoint_of_the_table_is_in_the_code_once_and_as_declared() {
    let mut wrong = Vec::new();
    let code: String = sources().into_iter().filter(|source| source.module != "failpoint").map(|s| s.code).collect();
    for Point { name, faults, .. } in POINTS {
        let calls = |function: &str| code.matches(&format!("failpoint::{function}(\"{name}\"")).count();
        let found = (calls("pass"), calls("meet") + calls("in_flight"));
        let wanted = if faults.is_empty() { (1, 0) } else { (0, 1) };
        if found != wanted {
            wrong.push(format!("{name}: passed and met {found:?} times instead of {wanted:?}"));
        }
    }
    let named = code.matches("failpoint::pass(").count() + code.matches("failpoint::meet(").count();
    let named = named + code.matches("failpoint::in_flight(").count();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(named, POINTS.len(), "a point is in the code and not in the table");
}

#[test]
fn files_have_one_subject() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.lines > LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path.display(), source.lines))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// A target that the manifest names by hand must be there whenever cargo runs, and an image is built without `tests/`.
#[test]
fn manifest_names_no_test() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(!manifest.contains("[[test]]"), "name what a test needs in the test: #![cfg(feature = \"..\")]");
}
