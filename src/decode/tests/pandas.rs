//! What pandas and numpy wrote, version by version: the files in `tests/data/decode`, of which `make.py` there says more.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use serde::Deserialize;

use super::super::Shape;
use super::{read, read_within};
use crate::model::Limits;

#[derive(Deserialize)]
struct Expected {
    /// Folders.
    of: Vec<String>,
    dumps: u64,
    rows: Vec<String>,
    /// How many for each reason, and where the first of them stand.
    rejected: BTreeMap<String, (u64, Vec<u64>)>,
}

/// Folder, case, protocol.
type Name = (String, String, u8);

pub fn fixtures() -> impl Iterator<Item = (Name, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/decode");
    let mut files: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    files.sort();
    files.into_iter().filter_map(|path| {
        let folder = path.parent()?.file_name()?.to_str()?.to_owned();
        let (case, protocol) = path.file_name()?.to_str()?.strip_suffix(".pkl.gz")?.split_once(".p")?;
        let name = (folder, case.to_owned(), protocol.parse().ok()?);
        Some((name, std::fs::read(&path).ok()?))
    })
}

/// By case.
fn expectations() -> BTreeMap<String, Vec<Expected>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/decode/expected.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub fn inflated(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn pandas_and_numpy_of_all_versions_are_read() {
    let mut wrong = Vec::new();
    let mut files = 0;
    let expectations = expectations();
    for ((folder, case, protocol), body) in fixtures() {
        files += 1;
        let expected = expectations[&case].iter().find(|expected| expected.of.contains(&folder)).unwrap();
        let (rows, decoded) = match read(&body) {
            Ok(read) => read,
            Err(error) => {
                wrong.push(format!("{folder} {case} {protocol}: {error}"));
                continue;
            }
        };
        let rejects = decoded.rejects.iter();
        let rejected: BTreeMap<_, _> =
            rejects.map(|(reason, it)| (reason.to_string(), (it.rows, it.first_rows.clone()))).collect();
        if rows != expected.rows || rejected != expected.rejected || decoded.dumps != expected.dumps {
            let difference = rows.iter().zip(&expected.rows).find(|(read, expected)| read != expected);
            wrong.push(format!(
                "{folder} {case} {protocol}: {difference:?}\n  {rejected:?}\n  {:?} {}",
                expected.rejected, decoded.dumps
            ));
        }
        let shape = match case.as_str() {
            "rows" | "fold" => Shape::Rows,
            "columns" => Shape::Columns,
            _ => Shape::DataFrame,
        };
        assert_eq!((decoded.shape, decoded.gzip_members), (shape, 1), "{folder} {case} {protocol}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files > 100, "{files}");
}

#[test]
fn frames_leave_in_batches() {
    for ((folder, case, protocol), body) in
        fixtures().filter(|fixture| fixture.0.1 == "frame" || fixture.0.1 == "texts")
    {
        let whole = read(&body).unwrap();
        for batch_rows in [1, 3] {
            let limits = Limits { batch_rows, ..Limits::default() };
            assert_eq!(read_within(&body, &limits).unwrap(), whole, "{folder} {case} {protocol}");
        }
    }
}

/// The longest text in these frames has 30 characters, their arrays are longer.
#[test]
fn arrays_may_be_longer_than_texts() {
    let limits = Limits { text_bytes_max: 40, ..Limits::default() };
    for ((folder, case, protocol), body) in fixtures().filter(|fixture| fixture.0.1 == "frame") {
        assert_eq!(read_within(&body, &limits), read(&body), "{folder} {case} {protocol}");
    }
}
