//! Tests of the tests: faults that somebody could make, each of them made in a copy of the code, each to be noticed by the
//! test that is named for it. `faults.toml` is the table, `run` goes through it.

mod copy;
mod faults;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use copy::Copy;
use faults::{Fault, read};

/// Longer than the slowest of the named tests takes on a busy machine, with the compiler before it.
const PATIENCE: Duration = Duration::from_secs(900);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A table of faults that fit no more would be a table of nothing.
#[test]
fn every_fault_fits_the_code() {
    let mut wrong = Vec::new();
    let faults = read();
    for (at, fault) in faults.iter().enumerate() {
        if faults[..at].iter().any(|earlier| earlier.name == fault.name) {
            wrong.push(format!("{} is there twice", fault.name));
        }
        if let Err(problem) = fault.changed(root()) {
            wrong.push(format!("{}: {problem}", fault.name));
        }
        if !is_defined(&root().join("src"), fault.test_function())
            && !is_defined(&root().join("tests"), fault.test_function())
        {
            wrong.push(format!("{}: there is no test {}", fault.name, fault.test_name()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn is_defined(folder: &Path, function: &str) -> bool {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.iter().any(|path| match path.is_dir() {
        true => is_defined(path, function),
        false => {
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            is_rust && std::fs::read_to_string(path).unwrap().contains(&format!("fn {function}("))
        }
    })
}

/// What a named test made of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// The first of its cases that failed.
    Failed(String),
    /// It says nothing about the fault: not compiled, not found, or not ended.
    Void(String),
}

/// All of them by `tests/mutants/run`, which takes minutes; otherwise the one against the heart of the promise.
#[test]
fn every_fault_is_caught() {
    let wanted = std::env::var("XC2_MUTANTS").unwrap_or_else(|_| "acknowledge_before_commit".to_owned());
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let mut faults = read();
    for name in wanted.iter().filter(|name| **name != "all") {
        assert!(faults.iter().any(|fault| fault.name == *name), "there is no fault {name} in faults.toml");
    }
    faults.retain(|fault| wanted.contains(&"all") || wanted.contains(&fault.name.as_str()));
    let copy = Copy::make(root());

    // A test that fails anyway catches nothing. Who works on single faults has seen it pass.
    let mut tests: Vec<&Vec<String>> = faults.iter().map(|fault| &fault.test).collect();
    tests.sort();
    tests.dedup();
    for test in tests.into_iter().filter(|_| wanted.contains(&"all")) {
        let verdict = verdict(&copy, test);
        assert_eq!(verdict, Verdict::Passed, "{test:?} on the code as it is");
    }

    let mut missed = Vec::new();
    print_row("fault", "file", "caught by", "seconds");
    for fault in &faults {
        let begun = Instant::now();
        let verdict = with_fault(&copy, fault);
        let seconds = begun.elapsed().as_secs().to_string();
        match &verdict {
            Verdict::Failed(case) => print_row(&fault.name, fault.file(), case, &seconds),
            other => {
                print_row(&fault.name, fault.file(), &format!("NOT CAUGHT: {other:?}"), &seconds);
                missed.push(format!("{} ({})", fault.name, fault.says));
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}

fn print_row(fault: &str, file: &str, caught_by: &str, seconds: &str) {
    println!("{fault:<38} {file:<28} {seconds:>7}  {caught_by}");
}

fn with_fault(copy: &Copy, fault: &Fault) -> Verdict {
    let changed = fault.changed(&copy.tree()).expect("another test has looked");
    let read = |file: &String| (file.clone(), std::fs::read(copy.tree().join(file)).unwrap());
    let originals: Vec<(String, Vec<u8>)> = changed.keys().map(read).collect();
    for (file, text) in &changed {
        copy.write(file, text.as_bytes());
    }
    let verdict = verdict(copy, &fault.test);
    for (file, bytes) in &originals {
        copy.write(file, bytes);
    }
    verdict
}

/// Compiles the copy and runs one of its tests.
fn verdict(copy: &Copy, test: &[String]) -> Verdict {
    let (name, arguments) = test.split_last().expect("a test has a name");
    let log = copy.folder().join("cargo-test.log");
    let output = std::fs::File::create(&log).unwrap();
    // In a process group of its own: what hangs is the test, which cargo has started.
    let mut command = Command::new(env!("CARGO"));
    command
        .process_group(0)
        .args(["test", "--features", "failpoints"])
        .args(arguments)
        .args(["--", name])
        .current_dir(copy.tree())
        .env("CARGO_TARGET_DIR", copy.target())
        // Only whether it fails is wanted, and soon.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("XC2_SMALLER_MAX", "0")
        .env("RUST_BACKTRACE", "0");
    // Those of the run that this test belongs to.
    for variable in ["XC2_SEED", "XC2_EXACTLY_ONCE", "XC2_MUTANTS"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let mut cargo = command.spawn().expect("run cargo");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match cargo.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                let group = format!("-{}", cargo.id());
                let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
                let _ = cargo.wait();
                return Verdict::Void(format!("not ended after {PATIENCE:?}, see {}", log.display()));
            }
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    let ran: Vec<(&str, &str)> = text.lines().filter_map(result_of).filter(|(ran, _)| belongs_to(ran, name)).collect();
    match ran.iter().find(|(_, result)| *result == "FAILED") {
        Some((failed, _)) => Verdict::Failed((*failed).to_owned()),
        None if status.success() && !ran.is_empty() => Verdict::Passed,
        None => Verdict::Void(format!("{status}, {} results, see {}", ran.len(), log.display())),
    }
}

/// Of `test NAME ... ok`.
fn result_of(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ")
}

/// Whether a test that ran is the named one, or a case of it.
fn belongs_to(ran: &str, name: &str) -> bool {
    ran.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
