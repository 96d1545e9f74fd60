//! From one version of the schema to the next, on tables with rows.

use rstest::rstest;

use super::fixture::{Backend, Fixture, failure};
use crate::store::Store;

/// The database as a program of version 1 left it.
async fn version_1(backend: Backend) -> Fixture {
    let fixture = Fixture::new(backend).await;
    fixture.commit(&[fixture.object("a", &[("2024-06-10", "m1", "PC", 30, 5)])]).await.unwrap();
    fixture.store.quarantine(&[failure("b", 1)]).await.unwrap();
    fixture.run("DROP TABLE notice").await;
    fixture.run("ALTER TABLE failed_object DROP COLUMN notice_id").await;
    fixture.run("UPDATE schema_version SET version = 1").await;
    fixture
}

#[rstest]
#[tokio::test]
async fn version_1_becomes_2_with_all_its_rows(#[values(Backend::Sqlite, Backend::MariaDb)] backend: Backend) {
    let fixture = version_1(backend).await;
    let error = fixture.store.verify_schema().await.unwrap_err().to_string();
    assert!(error.contains("run `xc2-analyzer migrate`"), "{error}");
    let ran = fixture.store.migrate().await.unwrap();
    assert!(ran.iter().any(|statement| statement.starts_with("CREATE TABLE `notice`")), "{ran:#?}");
    assert!(ran.iter().any(|statement| statement.contains("ADD COLUMN `notice_id`")), "{ran:#?}");
    fixture.store.verify_schema().await.unwrap();
    assert_eq!(fixture.store.migrate().await.unwrap(), Vec::<String>::new());
    assert_eq!(fixture.rows("SELECT version FROM schema_version").await, ["2"]);
    assert_eq!(fixture.rows("SELECT object_key FROM processed_object").await, ["a"]);
    assert_eq!(fixture.rows("SELECT object_key, state, notice_id FROM failed_object").await, ["b|open|NULL"]);
    fixture.commit(&[fixture.object("b", &[("2024-06-10", "m1", "PC", 1, 1)])]).await.unwrap();
    fixture.store.quarantine(&[failure("c", 1)]).await.unwrap();
    assert_eq!(fixture.store.audit(None, None).await.unwrap().findings, []);
}
