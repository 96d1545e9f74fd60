//! What a person at a terminal meets: clear refusals, readable answers.

use rstest::rstest;
use serde_json::Value;

use crate::corpus::Corpus;
use crate::daemon::command;
use crate::mariadb::MariaDb;

/// Runs with this configuration file; returns the exit code and both outputs.
fn run_with(config: &str, arguments: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), config).unwrap();
    let aws = crate::moto::server().environment().map(|(variable, value)| (variable.to_owned(), value));
    let output = command(dir.path(), &aws).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn database_url() -> String {
    let server = MariaDb::shared();
    server.url(&server.database().await)
}

#[rstest]
#[case("[source]\nulr = 'x'", 78, "unknown key `ulr` in [source]; did you mean `url`?")]
#[case("[source]\nbatch_size = 'x'", 78, "config key source.batch_size: invalid type")]
#[case("", 78, "config key source.url: is empty")]
#[case("[source]\nurl = 'ftp://logs'", 78, "config key source.url: `ftp://logs`")]
#[case("[source]\nurl = '/'\n[store]\nurl = 'postgres://db'", 78, "config key store.url: is neither mysql://")]
#[case("[source]\nurl = '/'\n[store]\nurl = 'sqlite:/no/such/folder/xc2.db'", 1, "/no/such/folder")]
#[case("[source]\nurl = '/'", 1, "xc2-analyzer migrate")]
#[case("[source]\nurl = '/'\n[store]\nurl = 'mysql://xc2:geheim@127.0.0.1:1/xc2'", 1, "mysql://xc2@127.0.0.1:1/xc2")]
#[case("[telemetry]\nsentry_dsn = 'https://geheim'", 78, "config key telemetry.sentry_dsn")]
fn run_refuses_in_one_line(#[case] config: &str, #[case] code: i32, #[case] message: &str) {
    let (exit, stdout, stderr) = run_with(config, &["run"]);
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("xc2-analyzer: ")).collect();
    assert_eq!((exit, lines.len(), stdout.as_str()), (code, 1, ""), "{stderr}");
    assert!(lines[0].contains(message), "{stderr}");
    assert!(!stderr.contains("geheim"), "a secret was shown: {stderr}");
}

#[tokio::test]
async fn run_refuses_a_queue_that_is_not_there_and_a_wrong_password() {
    let url = database_url().await;
    let queue = format!("{}/123456789012/no-such-queue", crate::moto::server().endpoint());
    let config = format!("[source]\nurl = '{queue}'\n[store]\nurl = '{url}'");
    assert_eq!(run_with(&config, &["migrate"]).0, 0);
    let (exit, _, stderr) = run_with(&config, &["run"]);
    assert!(exit == 1 && stderr.contains("no-such-queue"), "{exit} {stderr}");

    let wrong = url.replace("mysql://root@", "mysql://nobody:geheim@");
    let (exit, _, stderr) = run_with(&format!("[source]\nurl = '/'\n[store]\nurl = '{wrong}'"), &["run"]);
    assert!(exit == 1 && stderr.contains("nobody") && !stderr.contains("geheim"), "{exit} {stderr}");
}

#[test]
fn usage_error_exits_with_2() {
    assert_eq!(run_with("", &["rnu"]).0, 2);
    assert_eq!(run_with("", &["report", "media", "--from", "tuesday"]).0, 2);
}

#[tokio::test]
async fn check_says_what_is_right_and_what_to_do() {
    let url = database_url().await;
    let config = format!("[source]\nurl = '/tmp'\n[store]\nurl = '{url}'");
    let (exit, stdout, _) = run_with(&config, &["check"]);
    assert!(exit == 1 && stdout.contains("FAILURE  schema: ") && stdout.contains("xc2-analyzer migrate"), "{stdout}");
    assert_eq!(run_with(&config, &["migrate"]).0, 0);
    let (exit, stdout, _) = run_with(&config, &["check"]);
    assert!(exit == 0 && stdout.contains("ok       schema: ") && stdout.contains("warning  metadata: "), "{stdout}");
}

#[test]
fn migrate_prints_what_it_would_do_and_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = format!("[store]\nurl = 'sqlite:{}/xc2.db'", dir.path().display());
    let (_, first, _) = run_with(&config, &["migrate", "--print"]);
    assert!(first.contains("report_ad_request"), "{first}");
    assert_eq!(run_with(&config, &["migrate", "--print"]).1, first);
    assert_eq!(run_with(&config, &["migrate"]).0, 0);
    assert_eq!(run_with(&config, &["migrate", "--print"]).1, "");
}

#[test]
fn demo_shows_the_whole_product() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        command(dir.path(), &[]).args(["demo", "--files", "6", "--rows", "500", "--dir", "demo"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for words in [
        "report ad (table report_ad)",
        "report ad_request",
        "report demand",
        "report media",
        "뉴스-홈",
        "ads-broken.pkl.gz",
        "the books balance on all 3 dates",
        "counted: 6 objects, 3,000 rows",
        "delivered again, and neither counted nor listed again: 2 objects; failed: 1",
        "xc2.db",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    // The same database through the commands.
    let settings = [("XC2__STORE__URL".to_owned(), "sqlite:demo/xc2.db".to_owned())];
    let run = |arguments: &[&str]| command(dir.path(), &settings).args(arguments).output().unwrap();
    let report = run(&["report", "media", "--by", "report_date", "--format", "json"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let rows = &report["rows"];
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert!(rows[0]["revenue"].as_str().unwrap().contains('.'));
    let failed = run(&["failed", "list", "--format", "csv"]);
    assert!(String::from_utf8(failed.stdout).unwrap().contains("ads-broken.pkl.gz,gzip,"));

    // Books that do not balance are found.
    let connection = rusqlite::Connection::open(dir.path().join("demo/xc2.db")).unwrap();
    connection.execute("UPDATE report_demand SET clicks = clicks + 1 WHERE demand_id = 1", []).unwrap();
    let audit = run(&["audit"]);
    assert_eq!(audit.status.code(), Some(1));
    assert!(String::from_utf8(audit.stderr).unwrap().contains("BROKEN"));
}

#[test]
fn inspect_shows_what_is_in_an_object_and_why_one_is_broken() {
    let corpus = Corpus::make(&["--seed", "31", "--rows", "50"]);
    for (key, object) in corpus.counted() {
        let path = corpus.folder().join(key);
        let (exit, stdout, stderr) = run_with("", &["inspect", path.to_str().unwrap(), "--format", "json"]);
        assert_eq!(exit, 0, "{key}: {stderr}");
        let inspected: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(inspected["rows"], object["rows"], "{key}");
        let rejects = inspected["rejects"].as_array().unwrap().iter();
        let rejects = rejects.map(|reject| (reject["reason"].as_str().unwrap().to_owned(), reject["rows"].clone()));
        assert_eq!(Value::Object(rejects.collect()), object["rejected"], "{key}");
    }
    // What is listed for its rejects only is shown: they are what one wants to see.
    let may_be_shown = |failed: &Value| failed["kinds"].as_array().unwrap().contains(&"rejects".into());
    for (key, failed) in corpus.failed().iter().filter(|(_, failed)| !may_be_shown(failed)) {
        let path = corpus.folder().join(key);
        let (exit, stdout, stderr) = run_with("", &["inspect", path.to_str().unwrap()]);
        let is_told =
            |kind: &str| stderr.contains(&format!(": {kind}: ")) && stdout.contains(&format!("BROKEN ({kind})"));
        let is_told = failed["kinds"].as_array().unwrap().iter().any(|kind| is_told(kind.as_str().unwrap()));
        assert!(exit == 1 && is_told, "{key}: {stderr}{stdout}");
    }
}
