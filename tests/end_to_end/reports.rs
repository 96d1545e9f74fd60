//! `report` in every format, compared by Python with its own computation; and its bounds.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use rstest::rstest;

use crate::corpus::{Corpus, python};
use crate::daemon::command;
use crate::world::{Kind, World};

#[rstest]
#[tokio::test]
async fn every_format_says_what_an_independent_computation_says(#[values(Kind::MariaDb, Kind::Sqlite)] kind: Kind) {
    let corpus = Corpus::make(&["--seed", "51", "--rows", "120"]);
    let mut world = World::new(&format!("reports-{}", kind as u8), kind, &corpus).await;
    world.set("XC2__SOURCE__URL", corpus.folder().to_str().unwrap());
    world.must(&["run"]);
    let files = world.dir.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let checked = Command::new(python())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/reports.py"))
        .args(["--binary", env!("CARGO_BIN_EXE_xc2-analyzer")])
        .arg("--expected")
        .arg(corpus.dir.path().join("expected.json"))
        .arg("--out")
        .arg(&files)
        .current_dir(world.dir.path())
        .env_clear()
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(world.settings().iter().cloned())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.contains("rows checked in each format"), "{said}");
}

/// A database of one report with that many rows: demand 1, 2, 3, ... of 2024-06-10.
fn demands(dir: &Path, rows: u64) -> Vec<(String, String)> {
    let settings = vec![("XC2__STORE__URL".to_owned(), "sqlite:xc2.db".to_owned())];
    assert!(command(dir, &settings).arg("migrate").status().unwrap().success());
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO report_demand (report_date, demand_id, impressions, clicks, revenue)
         SELECT '2024-06-10', i, 1000, i % 7, i * 1000000 FROM n"
    );
    rusqlite::Connection::open(dir.join("xc2.db")).unwrap().execute_batch(&sql).unwrap();
    settings
}

#[test]
fn report_that_does_not_fit_is_refused_with_the_bound_or_written_row_by_row() {
    let dir = tempfile::tempdir().unwrap();
    const ROWS: u64 = 1_048_575;
    let settings = demands(dir.path(), ROWS);
    let refused = |arguments: &[&str], bound: &str| {
        let output = command(dir.path(), &settings).args(["report", "demand"]).args(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains(bound) && output.stdout.is_empty(), "{stderr}");
        assert!(stderr.contains("--limit") || stderr.contains("lower limit"), "{stderr}");
    };
    refused(&[], "has 1,048,575 rows, and a table holds at most 50,000");
    refused(&["--chart", "ctr", "--by", "demand_id"], "a chart holds at most 1,000");
    refused(&["--output", "all.xlsx"], "an Excel sheet holds at most 1,048,574");
    refused(&["--format", "csv", "--sort", "ctr"], "for at most 500000");
    assert!(!dir.path().join("all.xlsx").exists());

    // Sorted by a ratio: any number of rows pass by, the first ones are kept.
    let sorted = ["report", "demand", "--sort", "-ctr,-demand_id", "--limit", "2", "--format", "csv"];
    let output = command(dir.path(), &settings).args(sorted).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let ids: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(ids, ["1048571", "1048564"], "{text}");

    // Who reads no further (`| head`) is no error, and nothing of the rest is waited for.
    for format in ["csv", "json"] {
        let all = ["report", "demand", "--format", format];
        let mut child = command(dir.path(), &settings).args(all).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = [0u8; 4096];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        assert!(child.wait().unwrap().success(), "{format}");
    }
}

#[test]
fn rows_are_not_held_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let settings = demands(dir.path(), 300_000);
    let written = |format: &str, limit: &str| {
        let output = format!("{limit}.{format}");
        let arguments = ["report", "demand", "--output", &output, "--limit", limit];
        let program = "import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
        let binary = env!("CARGO_BIN_EXE_xc2-analyzer");
        let mut measured = Command::new(python());
        measured.args(["-c", program, binary]).args(arguments).current_dir(dir.path());
        let measured = measured.env_clear().envs(settings.iter().cloned()).output().unwrap();
        assert!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stderr));
        String::from_utf8(measured.stdout).unwrap().trim().parse::<u64>().unwrap()
    };
    for format in ["csv", "json", "xlsx"] {
        let (few_kib, many_kib) = (written(format, "1000"), written(format, "300000"));
        // Each row would take 300 bytes and more: 90 MB.
        assert!(many_kib < few_kib + 30_000, "{format}: {few_kib} KiB for 1,000 rows, {many_kib} KiB for 300,000");
    }
}

#[test]
fn headings_language_and_chart_are_what_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = demands(dir.path(), 8);
    let run = |settings: &[(String, String)], arguments: &[&str]| {
        let output = command(dir.path(), settings).arg("report").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (listed, _) = run(&settings, &[]);
    assert!(listed.contains("demand: demand partners (DSP) (table report_demand)"), "{listed}");
    let chart = ["demand", "--by", "demand_id", "--chart", "수익", "--sort", "-수익", "--limit", "2"];
    settings.push(("XC2__DISPLAY__LANGUAGE".to_owned(), "ko".to_owned()));
    settings.push(("COLUMNS".to_owned(), "38".to_owned()));
    let (drawn, said) = run(&settings, &chart);
    let wanted = "수요처(DSP) (demand), 2024-06-10 (Asia/Seoul)\n\
                  수요처 ID   수익\n\
                  8           8.00  ####################\n\
                  7           7.00  #################\n\
                  합계       36.00\n\
                  전체 8행 중 2행 (합계는 전체 기준)\n";
    assert_eq!(drawn, wanted);
    assert!(said.contains("집계된 데이터가 아직 없습니다") && said.contains("실패 객체가 없습니다"), "{said}");
    settings.push(("LANG".to_owned(), "ko_KR.UTF-8".to_owned()));
    assert!(run(&settings, &chart).0.contains("█████████████████▌\n"), "{}", run(&settings, &chart).0);
    // An explicit language wins over the configured one.
    let english = [&chart[..], &["--lang", "en"]].concat();
    assert!(run(&settings, &english).0.contains("2 of 8 rows; the total is of all of them"));
}

#[test]
fn report_of_ones_own_has_the_names_that_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[[measure]]\nname = 'views'\nfield = 'v'\nlabels = { ko = '동영상 조회수' }\n\
                  [[report]]\nname = 'video'\ntable = 'video'\ndimensions = ['report_date', 'ad_type']\n\
                  measures = ['views', 'requests']\nlabels = { ko = '동영상', en = 'video views' }\n\
                  ratios = [{ name = 'view_rate', of = ['views', 'requests'], labels = { ko = '조회율' } }]";
    std::fs::write(dir.path().join("config.toml"), config).unwrap();
    let settings = [("XC2__STORE__URL".to_owned(), "sqlite:xc2.db".to_owned())];
    assert!(command(dir.path(), &settings).arg("migrate").status().unwrap().success());
    let row = "INSERT INTO video (report_date, ad_type, views, requests) VALUES ('2024-06-10', 'banner', 1, 8)";
    rusqlite::Connection::open(dir.path().join("xc2.db")).unwrap().execute_batch(row).unwrap();
    let run = |arguments: &[&str]| {
        let output = command(dir.path(), &settings).args(["report", "video"]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let korean = run(&["--lang", "ko", "--sort", "-조회율"]);
    assert!(korean.starts_with("동영상 (video), 2024-06-10") && korean.contains("동영상 조회수"), "{korean}");
    assert!(korean.contains("조회율") && korean.contains("12.50%"), "{korean}");
    assert!(run(&[]).starts_with("video: video views, 2024-06-10"));
}
