//! The decoder against CPython itself: random values, every protocol, both picklers, every shape, value by value.

use std::path::Path;
use std::process::Command;

#[test]
fn random_pickles_are_read_as_cpython_reads_them() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/differential.py");
    let output = Command::new(crate::corpus::python())
        .arg(script)
        .args(["--binary", env!("CARGO_BIN_EXE_xc2-analyzer"), "--seed", "1", "--files", "200"])
        .output()
        .expect("run Python");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", said.concat());
}
