use std::io::Write;

use rstest::rstest;

use super::*;

fn load_text(text: &str) -> Result<Config, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load_from(Some(file.path()), std::iter::empty())
}

fn load_environment(variable: &str, value: &str) -> Result<Config, ConfigError> {
    load_from(None, std::iter::once((variable.into(), value.into())))
}

#[test]
fn built_in_defaults_are_valid_and_hold_four_reports() {
    let names: Vec<String> = defaults().plan.reports.iter().map(|report| report.name.clone()).collect();
    assert_eq!(names, ["ad", "ad_request", "demand", "media"]);
}

#[rstest]
#[case("[store]\nurll = 'x'", "unknown key `urll` in [store]; did you mean `url`?")]
#[case("[stroe]\nurl = 'x'", "unknown section [stroe]; did you mean `store`?")]
#[case("[limits]\nzzzzzzzz = 1", "known are batch_rows, ")]
#[case("[source]\nbatch_size = 'ten'", "config key source.batch_size: invalid type: string \"ten\"")]
#[case("[source]\nbatch_size = 0", "config key source.batch_size: must be at least 1")]
#[case("[source]\nbatch_wait = '1 fortnight'", "config key source.batch_wait")]
#[case("[source]\nvisibility = '13h'", "config key source.visibility: must be at most 12h")]
#[case("[source]\nlong_poll = '21s'", "config key source.long_poll: must be at most 20s")]
#[case("[log]\ntimezone = 'Asia/Soul'", "config key log.timezone: \"Asia/Soul\" is not a time zone")]
#[case("[log]\nmax_reject_ratio = 5", "config key log.max_reject_ratio: must be between 0 and 1")]
#[case("[log]\nearliest = 'yesterday'", "config key log.earliest")]
#[case("[log]\nmedia_key = ''", "config key log.media_key: must not be empty")]
#[case("[log]\nmedia_key = 'ts'", "config key log.media_key: the field \"ts\" is read twice")]
#[case("[store]\non_overwrite = 'add'", "config key store.on_overwrite: \"add\" is neither")]
#[case("[limits]\nobject_bytes_max = 'big'", "config key limits.object_bytes_max")]
#[case("[[report]]\nname = 'x'", "config key report[4]: missing field `table`")]
#[case("[[report]]\nname = 'ad'\ntabel = 'x'", "unknown field `tabel`")]
#[case(
    "[[report]]\nname = 'x'\ntable = 'x'\ndimensions = ['report_date', 'planet']\nmeasures = ['clicks']",
    "report \"x\": there is no dimension \"planet\""
)]
#[case(
    "[[report]]\nname = 'x'\ntable = 'media'\ndimensions = ['report_date']\nmeasures = ['clicks']",
    "table \"media\" is one of the fixed tables"
)]
#[case("[display]\nlanguage = 'fr'", "config key display.language: \"fr\" is neither \"en\" nor \"ko\"")]
#[case(
    "[[measure]]\nname = 'views'\nfield = 'v'\nlabels = { fr = 'vues' }",
    "config key measure[8].labels.fr: unknown field `fr`"
)]
#[case(
    "[[measure]]\nname = 'views'\nfield = 'v'\nlabels = { ko = '' }",
    "measure \"views\": the label \"\" is not one line"
)]
#[case("[[measure]]\nname = 'views'", "measure \"views\": give either `field`, or both")]
#[case("[store\nurl = 1", "is not TOML: line 1: ")]
#[case("[store]\n\nurl = 'x'\npassword = geheim", "is not TOML: line 4: ")]
#[case("[store]\npassword = 4711", "config key store.password: must be text in quotes")]
#[case("[[report]]\nname = 'ad'\n[[report]]\nname = 'ad'", "two [[report]] are named \"ad\"")]
#[case("[run]\nshutdown_grace = '5s'", "config key run.shutdown_grace: must be longer than source.long_poll")]
#[case("[failed]\ncopy_to = 's3://kept'", "config key failed.copy_to: `s3://kept`: write s3://bucket/prefix/")]
#[case("[notice]\nlanguage = 'kr'", "config key notice.language: \"kr\" is neither")]
#[case("[notice]\nwebhook = 'hooks.example.com/geheim'", "config key notice.webhook: is not a URL")]
#[case("[notice]\nwebhook = 4711", "config key notice.webhook: must be text in quotes")]
#[case("[notice]\ntopic_arn = 'reports'", "config key notice.topic_arn: `reports` is not a topic's ARN")]
#[case("[notice]\nfailures_every = '10ms'", "config key notice.failures_every: must be at least 1s")]
#[case("[reconcile]\nurl = 'https://sqs.us-east-1.amazonaws.com/1/q'", "config key reconcile.url: is a queue")]
#[case("[reconcile]\naction = 'fix'", "config key reconcile.action: \"fix\" is neither")]
#[case("[reconcile]\nlookback = '1h'", "config key reconcile.lookback: must be at least min_age and interval")]
#[case("store = 1", "store must be a section: [store]")]
fn mistake_is_named(#[case] text: &str, #[case] message: &str) {
    let error = load_text(text).err().expect("refused").to_string();
    assert!(error.contains(message), "{error}");
    assert!(!error.contains("geheim") && !error.contains("4711"), "a secret is shown: {error}");
}

#[test]
fn variable_that_is_no_text_matters_only_when_it_is_ours() {
    use std::os::unix::ffi::OsStringExt;
    let not_text = || OsString::from_vec(vec![0xff]);
    assert!(load_from(None, std::iter::once(("FOO".into(), not_text()))).is_ok());
    let error = load_from(None, std::iter::once(("XC2__STORE__URL".into(), not_text()))).err().unwrap().to_string();
    assert_eq!(error, "environment variable XC2__STORE__URL: is not UTF-8");
}

#[test]
fn environment_overrides_a_key_whatever_its_type() {
    assert_eq!(load_environment("XC2__SOURCE__BATCH_SIZE", "3").unwrap().pipeline.batch_size, 3);
    assert_eq!(load_environment("XC2__LOG__MAX_REJECT_RATIO", "0.5").unwrap().max_reject_ratio, 0.5);
    let error = load_environment("XC2__SOURCE__BATCH_SIZE", "three").err().unwrap().to_string();
    assert_eq!(error, "environment variable XC2__SOURCE__BATCH_SIZE: its value must be a number");
    let error = load_environment("XC2__STORE__URI", "x").err().unwrap().to_string();
    assert_eq!(error, "environment: unknown key `uri` in [store]; did you mean `url`?");
}

#[test]
fn report_of_the_same_name_is_replaced_and_another_is_added() {
    let config = load_text(
        "[[report]]\nname = 'demand'\nenabled = false\n\
         [[report]]\nname = 'daily'\ntable = 'daily'\ndimensions = ['report_date']\nmeasures = ['clicks']",
    )
    .unwrap();
    let names: Vec<&str> = config.plan.reports.iter().map(|report| report.name.as_str()).collect();
    assert_eq!(names, ["ad", "ad_request", "media", "daily"]);
}

#[test]
fn named_file_that_is_absent_is_an_error() {
    let error = load_from(Some(Path::new("/nowhere/xc2.toml")), std::iter::empty()).err().unwrap();
    assert!(error.to_string().starts_with("/nowhere/xc2.toml: can't be read"), "{error}");
}

#[test]
fn credential_is_a_file_named_as_its_variable_and_ends_before_the_line_end() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("XC2__STORE__PASSWORD"), "a b\n").unwrap();
    std::fs::write(directory.path().join("another-services-key"), [0xff]).unwrap();
    let found = layers::credentials(directory.path()).unwrap();
    assert_eq!(found, [("XC2__STORE__PASSWORD".into(), "a b".into())]);
    let config = load_from(None, found.into_iter()).unwrap();
    assert_eq!(config.store.password.unwrap().reveal(), "a b");
}

#[test]
fn credentials_that_can_not_be_read_are_an_error_that_names_them() {
    let error = layers::credentials(Path::new("/nonexistent/credentials")).unwrap_err();
    assert!(error.to_string().starts_with("credentials in /nonexistent/credentials: can't be read:"), "{error}");
}
