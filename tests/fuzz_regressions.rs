//! What fuzzing found, what it begins with, and some of what it makes: read in every way that must not matter, as the
//! fuzz targets do (`tests/fuzz`).

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

#[path = "fuzz/src/lib.rs"]
mod fuzz;

#[global_allocator]
static ALLOCATOR: fuzz::memory::Counting = fuzz::memory::Counting;

fn files(folder: &str) -> Vec<PathBuf> {
    fn add(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { add(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    add(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found.sort();
    found
}

fn check_in_all_limits(body: &[u8]) {
    (0..4).for_each(|nth| fuzz::decode::check(body, &fuzz::decode::limits(nth)));
}

#[test]
fn pickles_that_were_found_are_read_alike_in_every_way() {
    let found = files("tests/fuzz/regressions/decode");
    assert!(!found.is_empty());
    found.iter().for_each(|path| check_in_all_limits(&fs::read(path).unwrap()));
}

#[test]
fn notifications_that_were_found_are_read() {
    let found = files("tests/fuzz/regressions/notification");
    assert!(!found.is_empty());
    found.iter().for_each(|path| fuzz::notification::check(&fs::read_to_string(path).unwrap()));
}

#[test]
fn configurations_that_were_found_are_read() {
    let found = files("tests/fuzz/regressions/config");
    assert!(!found.is_empty());
    found.iter().for_each(|path| fuzz::config::check(&fs::read_to_string(path).unwrap()));
}

#[test]
fn pickles_of_all_versions_are_read_alike_in_every_way_and_within_the_memory_they_are_allowed() {
    let pickles = files("tests/data/decode").into_iter().filter(|path| path.extension().is_some_and(|it| it == "gz"));
    let read = pickles.map(|path| check_in_all_limits(&fs::read(path).unwrap())).count();
    assert!(read > 100, "{read}");
}

#[test]
fn examples_of_notifications_mean_the_same_in_an_envelope() {
    for path in files("tests/data/notifications") {
        let example = fs::read_to_string(path).unwrap();
        fuzz::notification::check(&fuzz::notification::body_of_example(&example));
    }
}

#[test]
fn configuration_without_a_section_or_with_a_broken_one_is_read() {
    let whole = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml")).unwrap();
    fuzz::config::check(&whole);
    for (start, _) in whole.match_indices("\n[") {
        fuzz::config::check(&whole[start..]);
        fuzz::config::check(&whole[..start + 2]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pickles_of_any_opcodes_are_read_alike_in_every_way(choices in proptest::collection::vec(any::<u8>(), 1..300), limits in 0usize..4) {
        fuzz::decode::check(&fuzz::opcodes::pickles(&choices), &fuzz::decode::limits(limits));
    }
}
