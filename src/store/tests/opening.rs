use std::time::{Duration, Instant};

use rstest::rstest;

use super::fixture::{Backend, Fixture, plan};
use super::mariadb::MariaDb;
use crate::model::{Disposition, Secret};
use crate::store::{SqlStore, Store, StoreError, StoreSettings};

async fn open(url: &str, password: Option<&str>) -> Result<SqlStore, StoreError> {
    let settings = StoreSettings {
        url: url.into(),
        password: password.map(Secret::new),
        connect_timeout: Duration::from_millis(500),
        ..StoreSettings::default()
    };
    SqlStore::open(&settings, plan().into()).await
}

#[tokio::test]
async fn wrong_password_is_refused_and_never_shown() {
    let server = MariaDb::shared();
    let database = server.database().await;
    server.run("CREATE USER IF NOT EXISTS secretive IDENTIFIED BY 'geheim'").await;
    server.run(&format!("GRANT ALL ON {database}.* TO secretive")).await;
    let url = |password: &str| format!("mysql://secretive{password}@127.0.0.1:{}/{database}", server.port);
    open(&url(":geheim"), None).await.unwrap();
    open(&url(""), Some("geheim")).await.unwrap();
    for (url, password) in [(url(":verkehrt"), None), (url(":geheim"), Some("verkehrt"))] {
        let Err(error) = open(&url, password).await else { panic!("opened with a wrong password") };
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("geheim") && !shown.contains("verkehrt"), "{shown}");
        assert!(shown.contains("mysql://secretive@127.0.0.1:") && shown.contains("check the user"), "{shown}");
    }
}

#[tokio::test]
async fn unknown_database_is_refused() {
    let Err(error) = open(&MariaDb::shared().url("nowhere"), None).await else { panic!("opened") };
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("create the database"), "{error}");
}

#[tokio::test]
async fn unreachable_server_is_an_outage() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("mysql://xc2:geheim@127.0.0.1:{port}/xc2");
    // It accepts and never says a word.
    let started = Instant::now();
    let Err(silent) = open(&url, None).await else { panic!("opened") };
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(listener);
    let Err(closed) = open(&url, None).await else { panic!("opened") };
    for error in [silent, closed] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(error.to_string().starts_with(&format!("database mysql://xc2@127.0.0.1:{port}/xc2: ")), "{error}");
    }
}

#[tokio::test]
async fn sqlite_in_a_missing_folder_is_refused() {
    let Err(error) = open("sqlite:/no/such/folder/xc2.db", None).await else { panic!("opened") };
    assert_eq!(error.disposition(), Disposition::Halt);
    assert!(error.to_string().contains("there is no folder /no/such/folder"), "{error}");
}

#[tokio::test]
async fn file_that_is_no_database_is_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "no database, and long enough to be looked at as one".repeat(100)).unwrap();
    let Err(error) = open(&format!("sqlite:{}", path.display()), None).await else { panic!("opened") };
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
}

#[rstest]
#[case("READ ONLY")]
#[case("killed")]
#[tokio::test]
async fn broken_connection_is_replaced(#[case] how: &str) {
    let fixture = Fixture::new(Backend::MariaDb).await;
    let object = fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)]);
    if how == "killed" {
        let id = fixture.number("SELECT CONNECTION_ID()").await;
        MariaDb::shared().run(&format!("KILL {id}")).await;
    } else {
        fixture.run("SET SESSION TRANSACTION READ ONLY").await;
    }
    let error = fixture.commit(std::slice::from_ref(&object)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    fixture.commit(&[object]).await.expect("a fresh connection");
}

#[tokio::test]
async fn lock_wait_that_exceeds_the_statement_timeout_is_an_outage() {
    let fixture = Fixture::new(Backend::MariaDb).await;
    let mut blocker = fixture.store.begin(crate::store::session::Begin::Write).await.unwrap();
    let object = fixture.object("a", &[("2024-06-10", "m1", "PC", 1, 1)]);
    let (objects, now) = (std::slice::from_ref(&object), ("2024-06-10 00:00:00", "tests"));
    crate::store::ledger::count(&mut blocker, &fixture.plan, objects, &Default::default(), now, 8).await.unwrap();
    let settings = StoreSettings { statement_timeout: Duration::from_millis(300), ..fixture.settings.clone() };
    let hasty = SqlStore::open(&settings, fixture.plan.clone()).await.unwrap();
    let started = Instant::now();
    let error = hasty.commit(std::slice::from_ref(&object)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
    drop(blocker);
    assert_eq!(fixture.commit(&[object]).await.unwrap().len(), 1);
}
