//! Real conflicts of a real server: error 1205 undoes one statement, error 1213 the whole transaction. After either of
//! them everything is to be done again, and nothing may be left of the first attempt.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::{Backend, Fixture};
use crate::store::session::{Begin, Session};
use crate::store::{Counted, ObjectRollup, StoreError};

const DAY: &str = "2024-06-10";
const BOOKS: &str = "SELECT (SELECT COUNT(*) FROM processed_object), (SELECT SUM(impressions) FROM processed_object_day), \
                     (SELECT SUM(impressions) FROM report_media), (SELECT SUM(objects) FROM report_day)";

/// A database with one object of 10 impressions, and another of 5 that is to be counted.
async fn fixture() -> (Arc<Fixture>, ObjectRollup) {
    let fixture = Fixture::new(Backend::MariaDb).await;
    fixture.commit(&[fixture.object("first", &[(DAY, "m1", "PC", 10, 1)])]).await.unwrap();
    let object = fixture.object("second", &[(DAY, "m1", "PC", 5, 1)]);
    (Arc::new(fixture), object)
}

/// Another program's transaction that has changed what every commit changes last.
async fn day_held(fixture: &Fixture) -> Session {
    let mut other = fixture.store.begin(Begin::Write).await.unwrap();
    other.execute("UPDATE report_day SET `rows` = `rows` + 0, last_commit = NOW(6)", vec![]).await.unwrap();
    other
}

async fn assert_counted_once(fixture: &Fixture, object: ObjectRollup) {
    assert_eq!(fixture.rows(BOOKS).await, ["1|10|10|1"], "nothing is left of the first attempt");
    assert_eq!(fixture.commit(std::slice::from_ref(&object)).await.unwrap(), [Counted::Now]);
    assert_eq!(fixture.commit(&[object]).await.unwrap(), [Counted::Before]);
    assert_eq!(fixture.rows(BOOKS).await, ["2|15|15|2"]);
}

/// Error 1205, at the last statement of a transaction that has inserted everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_that_waited_too_long_for_a_lock_leaves_nothing_behind() {
    let (fixture, object) = fixture().await;
    let other = day_held(&fixture).await;
    // Our own patience with locks, made short for this test.
    let mut impatient = fixture.store.session().await.unwrap();
    impatient.run("SET SESSION innodb_lock_wait_timeout = 1").await.unwrap();
    impatient.release();
    let error = fixture.commit(std::slice::from_ref(&object)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { problem, .. } if problem.contains("1205")), "{error}");
    fixture.store.finish(other, Ok(())).await.unwrap();
    assert_counted_once(&fixture, object).await;
}

/// Error 1213: the server has rolled everything back, and the connection is in no transaction any more. A statement that
/// is repeated there alone would be committed alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_that_a_deadlock_ended_leaves_nothing_behind() {
    let (fixture, object) = fixture().await;
    fixture.run("CREATE TABLE ballast (id INT PRIMARY KEY) ENGINE=InnoDB").await;
    let mut other = day_held(&fixture).await;
    // The server ends the transaction that has changed less.
    other.run("INSERT INTO ballast SELECT seq FROM seq_1_to_2000").await.unwrap();
    let committing = tokio::spawn({
        let (fixture, object) = (fixture.clone(), object.clone());
        async move { fixture.commit(&[object]).await }
    });
    // Once it waits for the day, what it has inserted is wanted in return. The server makes that view anew only when
    // nobody has looked at it for a tenth of a second.
    let waits = "SELECT COUNT(*) FROM information_schema.innodb_trx JOIN information_schema.processlist \
                 ON id = trx_mysql_thread_id WHERE db = DATABASE() AND trx_state = 'LOCK WAIT'";
    while fixture.number(waits).await == 0 {
        assert!(!committing.is_finished(), "the commit was to wait");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let ledger = "SELECT 1 FROM processed_object WHERE object_id = UNHEX(SHA2('logs/second', 256)) FOR UPDATE";
    let found = other.query(ledger, vec![]).await.expect("the other one is to win");
    assert!(found.is_empty(), "it was rolled back");
    fixture.store.finish(other, Ok(())).await.unwrap();
    let error = committing.await.unwrap().unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { problem, .. } if problem.contains("1213")), "{error}");
    assert_counted_once(&fixture, object).await;
}
