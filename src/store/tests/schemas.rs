use std::collections::BTreeMap;

use rstest::rstest;

use super::fixture::{Backend, Fixture, failure, measure, measures, plan, report, reports};
use crate::report::Plan;
use crate::store::{Dialect, SCHEMA_VERSION, Store, StoreError, schema_sql};

#[rstest]
#[tokio::test]
async fn migration_runs_once_and_then_finds_nothing_to_do(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::empty(backend, plan()).await;
    let error = fixture.store.verify_schema().await.unwrap_err();
    assert!(matches!(&error, StoreError::Schema { .. }), "{error}");
    assert!(error.to_string().contains("run `xc2-analyzer migrate`"), "{error}");
    let planned = fixture.store.migration().await.unwrap();
    assert_eq!(fixture.store.migrate().await.unwrap(), planned);
    assert_eq!(fixture.store.migrate().await.unwrap(), Vec::<String>::new());
    fixture.store.verify_schema().await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_migrations_at_once_both_succeed(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::empty(backend, plan()).await;
    let (one, two) = (fixture.reopened(plan()).await, fixture.reopened(plan()).await);
    let (one, two) = tokio::join!(one.migrate(), two.migrate());
    let statements = one.unwrap().len() + two.unwrap().len();
    assert_eq!(statements, fixture.reopened(plan()).await.migrate().await.unwrap().len() + statements);
    fixture.store.verify_schema().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn printed_schema_is_the_one_that_is_verified(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::empty(backend, plan()).await;
    assert_eq!(fixture.store.dialect() == Dialect::Sqlite, backend == Backend::Sqlite);
    for statement in schema_sql(&plan(), fixture.store.dialect()) {
        fixture.run(&statement).await;
    }
    fixture.store.verify_schema().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn new_measure_ratio_and_report_extend_the_tables(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 30, 5)])]).await.unwrap();
    let mut measures = measures();
    measures.push(measure("requests", None));
    let mut reports = reports();
    reports[1] =
        report("day_total", &["report_date", "organization_id"], &["impressions", "revenue", "requests", "clicks"]);
    reports[1].columns =
        BTreeMap::from([("organization_id".into(), "org".into()), ("revenue".into(), "income".into())]);
    reports.push(report("demand", &["report_date", "demand_id"], &["requests"]));
    let wider = fixture.reopened(Plan::new(&measures, &reports).unwrap()).await;
    let statements = wider.migrate().await.unwrap();
    let added: Vec<&str> = statements.iter().map(|text| text.lines().next().unwrap()).collect();
    assert_eq!(added.iter().filter(|text| text.starts_with("ALTER TABLE")).count(), 5, "{added:#?}");
    assert!(added.contains(&"CREATE TABLE `report_demand` ("), "{added:#?}");
    wider.verify_schema().await.unwrap();
    let object = super::fixture::object(wider.plan(), "b", &[("2024-06-10", "m1", "PC", 3, 5)]);
    wider.commit(&[object]).await.unwrap();
    assert_eq!(fixture.rows("SELECT impressions, requests FROM report_day_total").await, ["33|3"]);
    fixture.store.verify_schema().await.expect("the smaller plan still fits the wider tables");
}

#[rstest]
#[tokio::test]
async fn version_1_with_rows_is_refused_until_it_is_migrated(
    #[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend,
) {
    let fixture = Fixture::new(backend).await;
    fixture.store.quarantine(&[failure("a", 1)]).await.unwrap();
    fixture.commit(&[fixture.object("b", &[("2024-06-10", "m1", "PC", 30, 5)])]).await.unwrap();
    // What version 2 added, taken away again.
    for column in ["resolved_by", "note", "copied_to", "copy_problem"] {
        fixture.run(&format!("ALTER TABLE failed_object DROP COLUMN {column}")).await;
    }
    fixture.run("UPDATE schema_version SET version = 1").await;
    let error = fixture.store.verify_schema().await.unwrap_err().to_string();
    assert!(error.contains("not up to date") && error.contains("run `xc2-analyzer migrate`"), "{error}");
    let statements = fixture.store.migrate().await.unwrap();
    assert_eq!(statements.iter().filter(|sql| sql.starts_with("ALTER TABLE `failed_object` ADD")).count(), 4);
    fixture.store.verify_schema().await.unwrap();
    assert_eq!(fixture.number("SELECT version FROM schema_version").await, SCHEMA_VERSION);
    let rows = "SELECT object_key, state, resolved_by, note, copied_to, copy_problem FROM failed_object";
    assert_eq!(fixture.rows(rows).await, ["a|open|NULL|NULL|NULL|NULL"]);
    fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 3, 5)])]).await.unwrap();
    assert_eq!(fixture.rows("SELECT state, resolved_by FROM failed_object").await, ["resolved|daemon"]);
    assert_eq!(fixture.rows("SELECT SUM(impressions) FROM report_media").await, ["33"]);
}

#[rstest]
#[tokio::test]
async fn newer_schema_is_refused(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.run("UPDATE schema_version SET version = 99").await;
    for error in [fixture.store.verify_schema().await.err(), fixture.store.migrate().await.err()] {
        let error = error.expect("refused").to_string();
        assert!(error.contains("the schema has version 99"), "{error}");
    }
}

#[rstest]
#[case(
    "impressions BIGINT NOT NULL DEFAULT 0",
    "impressions DECIMAL(20,2) NOT NULL DEFAULT 0",
    "column impressions is decimal(20,2) instead of bigint"
)]
#[case("impressions BIGINT NOT NULL DEFAULT 0", "impressions BIGINT", "column impressions may be NULL")]
#[case(
    "PRIMARY KEY (report_date, org)",
    "PRIMARY KEY (org, report_date)",
    "has the primary key (org, report_date) instead of (report_date, org)"
)]
#[case("org BIGINT NOT NULL, ", "", "has no column org (bigint)")]
#[case("PRIMARY KEY (", "note VARCHAR(5) NOT NULL, PRIMARY KEY (", "column note is not ours")]
#[case("PRIMARY KEY (", "UNIQUE KEY one (org), PRIMARY KEY (", "another unique index, one")]
#[case("ENGINE=InnoDB", "ENGINE=MyISAM", "is MyISAM instead of an InnoDB table")]
#[tokio::test]
async fn table_that_can_not_be_extended_is_named_with_what_is_there(
    #[case] good: &str,
    #[case] bad: &str,
    #[case] problem: &str,
) {
    let ddl = "CREATE TABLE report_day_total (report_date DATE NOT NULL, org BIGINT NOT NULL, \
               impressions BIGINT NOT NULL DEFAULT 0, income DECIMAL(20,6) NOT NULL DEFAULT 0, \
               PRIMARY KEY (report_date, org)) ENGINE=InnoDB";
    let fixture = Fixture::empty(Backend::MariaDb, plan()).await;
    fixture.run(ddl).await;
    fixture.store.migrate().await.unwrap();
    fixture.run("DROP TABLE report_day_total").await;
    let mut broken = ddl.replacen(good, bad, 1);
    if bad.is_empty() {
        broken = broken.replace("(report_date, org)", "(report_date)");
    }
    fixture.run(&broken).await;
    for error in [fixture.store.verify_schema().await.err(), fixture.store.migration().await.err()] {
        let error = error.expect("refused");
        assert!(matches!(error, StoreError::Schema { .. }), "{error}");
        assert!(error.to_string().contains("table report_day_total"), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[tokio::test]
async fn collation_that_mixes_keys_is_refused() {
    let fixture = Fixture::new(Backend::MariaDb).await;
    fixture.run("ALTER TABLE report_media MODIFY media_key VARCHAR(64) COLLATE utf8mb4_bin NOT NULL").await;
    let error = fixture.store.verify_schema().await.unwrap_err().to_string();
    assert!(error.contains("column media_key has the collation utf8mb4_bin"), "{error}");
}

#[tokio::test]
async fn sqlite_table_that_is_not_strict_is_refused() {
    let fixture = Fixture::empty(Backend::Sqlite, plan()).await;
    fixture.run("CREATE TABLE report_media (report_date TEXT)").await;
    let error = fixture.store.migrate().await.unwrap_err().to_string();
    assert!(error.contains("table report_media is not STRICT"), "{error}");
    assert_eq!(fixture.number("SELECT COUNT(*) FROM sqlite_master WHERE name = 'processed_object'").await, 0);
}

#[rstest]
#[tokio::test]
async fn missing_table_is_a_schema_error_not_an_outage(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = Fixture::new(backend).await;
    fixture.run("DROP TABLE report_media").await;
    let error = fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)])]).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema { .. }), "{error}");
    assert_eq!(fixture.number("SELECT COUNT(*) FROM processed_object").await, 0);
    assert!(fixture.store.metadata().await.is_ok());
}
