//! What the database holds, looked at from outside of the pipeline: in memory or in SQLite.

use rusqlite::{Connection, OptionalExtension};

use super::bodies::{Cells, add};
use super::bucket::{self, BUCKET};
use super::scenario::{Body, Scenario};
use super::world::World;

/// An object (or message) listed as failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub etag: String,
    pub kind: String,
    pub open: bool,
}

/// What is committed at this very moment.
pub trait Books: Send + Sync {
    /// The ETag under which the ledger holds this object.
    fn counted(&self, bucket: &str, key: &str) -> Option<String>;
    fn failed(&self, bucket: &str, key: &str) -> Vec<Listed>;
    /// The `ad` report.
    fn cells(&self) -> Cells;
}

/// Looks into the file that the store writes to, through a connection of its own.
pub struct SqliteBooks(std::sync::Mutex<Connection>);

impl SqliteBooks {
    pub fn open(path: &std::path::Path) -> SqliteBooks {
        SqliteBooks(Connection::open(path).unwrap().into())
    }
}

impl Books for SqliteBooks {
    fn counted(&self, bucket: &str, key: &str) -> Option<String> {
        let sql = "SELECT etag FROM processed_object WHERE bucket = ? AND object_key = ?";
        self.0.lock().unwrap().query_row(sql, [bucket, key], |row| row.get(0)).optional().unwrap()
    }

    fn failed(&self, bucket: &str, key: &str) -> Vec<Listed> {
        let sql = "SELECT generation, kind, state FROM failed_object WHERE bucket = ? AND object_key = ?";
        let connection = self.0.lock().unwrap();
        let mut statement = connection.prepare_cached(sql).unwrap();
        let listed = |row: &rusqlite::Row| {
            let open = row.get::<_, String>(2)? == "open";
            Ok(Listed { etag: row.get(0)?, kind: row.get(1)?, open })
        };
        statement.query_map([bucket, key], listed).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn cells(&self) -> Cells {
        let sql = "SELECT report_date || '|' || organization_id || '|' || media_key || '|' || inventory_id || '|' || \
                   ad_id || '|' || demand_id, impressions, clicks, revenue FROM report_ad";
        let connection = self.0.lock().unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let cell = |row: &rusqlite::Row| Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]));
        statement.query_map([], cell).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

/// The central invariant, at the moment when a message is deleted: what keeps it from being deleted, if anything does.
pub fn unfinished(world: &World, books: &dyn Books, message_id: &str, body: &Body) -> Option<String> {
    match body {
        Body::Test => None,
        Body::Unreadable => {
            let listed = !books.failed("", &format!("message:{message_id}")).is_empty();
            (!listed).then(|| "it can't be read and is not listed".to_owned())
        }
        Body::Uploads { uploads, .. } => uploads.iter().find_map(|&upload| unfinished_upload(world, books, upload)),
    }
}

fn unfinished_upload(world: &World, books: &dyn Books, (object, upload): (usize, usize)) -> Option<String> {
    let (scenario, key) = (&world.scenario, bucket::key(object));
    let etag = &world.bodies[object][upload].etag;
    let listed = books.failed(BUCKET, &key).iter().any(|listed| listed.etag == *etag);
    let terminal = match books.counted(BUCKET, &key) {
        None => listed,
        Some(counted) => {
            counted == *etag
                || listed
                || !scenario.settings.quarantine_overwritten
                || is_replaced(scenario, (object, upload), world.now())
        }
    };
    (!terminal).then(|| format!("{key} ({etag}) is neither counted nor listed as failed"))
}

/// Whether nobody can read this upload any more, since another one took its place.
pub fn is_replaced(scenario: &Scenario, (object, upload): (usize, usize), now: std::time::Duration) -> bool {
    let plan = &scenario.objects[object];
    !plan.versioned && plan.uploads.iter().skip(upload + 1).any(|later| later.at <= now)
}

/// At the end: what the books say beside what was to be.
pub fn judge(world: &World, books: &dyn Books, message_ids: &[(String, usize)]) {
    let mut expected = Cells::new();
    for object in 0..world.scenario.objects.len() {
        judge_object(world, books, object, &mut expected);
    }
    for (message_id, plan) in message_ids {
        let listed = books.failed("", &format!("message:{message_id}"));
        let is_unreadable = matches!(world.scenario.messages[*plan].body, Body::Unreadable);
        let kinds: Vec<&str> = listed.iter().map(|listed| listed.kind.as_str()).collect();
        if kinds != if is_unreadable { vec!["notification"] } else { vec![] } {
            world.wrong(format!("message {message_id} is listed as {kinds:?}"));
        }
    }
    let found = books.cells();
    if found != expected {
        let counted = |cells| super::bodies::fingerprints(cells);
        world.wrong(format!(
            "the report differs from what the ledger stands for; uploads counted by their fingerprints: {:?} instead of \
             {:?}; found {found:?}, expected {expected:?}",
            counted(&found),
            counted(&expected)
        ));
    }
}

fn judge_object(world: &World, books: &dyn Books, object: usize, expected: &mut Cells) {
    let (scenario, key) = (&world.scenario, bucket::key(object));
    let announced: Vec<usize> =
        scenario.announced().into_iter().filter(|(of, _)| *of == object).map(|(_, upload)| upload).collect();
    let (counted, failed) = (books.counted(BUCKET, &key), books.failed(BUCKET, &key));
    let etag = |upload: usize| &world.bodies[object][upload].etag;
    let listed = |upload: usize| failed.iter().find(|listed| listed.etag == *etag(upload));
    for listed in &failed {
        if !announced.iter().any(|&upload| *etag(upload) == listed.etag) {
            world.wrong(format!("{key}: {listed:?} is of no announced content"));
        }
    }
    match counted {
        Some(counted) => {
            let Some(&upload) = announced.iter().find(|&&upload| *etag(upload) == counted) else {
                return world.wrong(format!("{key}: {counted} was counted and never announced"));
            };
            if !bucket::can_be_counted(scenario, object, upload) {
                world.wrong(format!("{key}: {counted} was counted, and can't have been read"));
            }
            world.happened("objects counted");
            for (key, sums) in &world.bodies[object][upload].cells {
                add(expected, key.clone(), *sums);
            }
            for other in announced {
                let settled = match listed(other) {
                    Some(listed) if listed.open => {
                        other != upload
                            && (listed.kind == "overwritten"
                                || bucket::kinds(scenario, object, other).contains(&listed.kind.as_str()))
                    }
                    Some(_) => true,
                    None => {
                        other == upload
                            || !scenario.settings.quarantine_overwritten
                            || is_replaced(scenario, (object, other), world.now())
                    }
                };
                if !settled {
                    let (other, listed) = (etag(other), listed(other));
                    world.wrong(format!("{key}: {counted} is counted; of {other} the list says {listed:?}"));
                }
            }
        }
        None => {
            for upload in announced {
                world.happened("uploads listed as failed");
                let mut kinds = bucket::kinds(scenario, object, upload);
                if is_replaced(scenario, (object, upload), world.now()) {
                    kinds.push("replaced");
                }
                let right = listed(upload).is_some_and(|listed| listed.open && kinds.contains(&listed.kind.as_str()));
                if !right {
                    let (etag, listed) = (etag(upload), listed(upload));
                    world.wrong(format!("{key} ({etag}) is not counted; the list says {listed:?}, expected {kinds:?}"));
                }
            }
        }
    }
}
