//! What a retry does with each listing, decided before anything is read.

use std::collections::HashMap;

use crate::config::Config;
use crate::model::delivery::Content;
use crate::model::{Announced, FailureKind, ObjectId};
use crate::source::given::What;
use crate::source::{Given, notification};
use crate::store::{CountedRow, FailedRow};

use super::select;

/// What is done with one listing.
#[derive(Clone, Debug)]
pub enum Step {
    /// It goes through the pipeline. Several listings of one object may share one read.
    Try(Given),
    /// The ledger holds this very content: nothing is to be counted.
    CountedAlready,
    /// A retry can't help; why, and what can.
    Refused(String),
}

impl Step {
    /// For a person who asks what would be done.
    pub fn told(&self) -> String {
        match self {
            Step::Try(Given { what: What::Current(_), .. }) => "read what is there now".to_owned(),
            Step::Try(Given { what: What::Announced(Content::Unreadable { .. }), .. }) => {
                "the message can't be read by this program either".to_owned()
            }
            Step::Try(Given { what: What::Announced(Content::Objects(objects)), .. }) => match objects.as_slice() {
                [] => "the message can be read now: it announces nothing to count".to_owned(),
                [object] if object.announced.version_id.is_some() => "read the listed version".to_owned(),
                objects => format!("the message can be read now: count the objects it names ({})", objects.len()),
            },
            Step::CountedAlready => "is counted already: mark it resolved".to_owned(),
            Step::Refused(why) => format!("refuse: {why}"),
        }
    }
}

/// One step for each of `rows`.
pub fn steps(rows: &[FailedRow], counted: &HashMap<ObjectId, CountedRow>, config: &Config, current: bool) -> Vec<Step> {
    rows.iter().map(|row| step(row, counted.get(&row.id), config, current)).collect()
}

fn step(row: &FailedRow, counted: Option<&CountedRow>, config: &Config, current: bool) -> Step {
    if row.id != ObjectId::of(&row.bucket, &row.key) {
        return Step::Refused("its name was too long to be kept whole: announce it to the queue again".to_owned());
    }
    if let Some(counted) = counted {
        if is_counted(row, counted) {
            return Step::CountedAlready;
        }
        if row.kind == FailureKind::Overwritten.name() {
            let id = select::short(row.id);
            return Step::Refused(format!(
                "another content of it is in the reports, and a second one is never added: compare the two, see \
                 `xc2-analyzer failed show {id}`"
            ));
        }
    }
    if row.bucket.is_empty() {
        return message(row, config);
    }
    let object = select::object(row);
    // The version `null` is overwritten in place: it names no content.
    let versioned = row.version_id.as_deref().is_some_and(|version| version != "null");
    let what = match versioned && !current {
        true => What::Announced(Content::Objects(vec![object])),
        false => What::Current(object),
    };
    Step::Try(given(row, what))
}

/// Whether what is listed is what is in the reports. A listing that names no content is about whatever the object is.
fn is_counted(row: &FailedRow, counted: &CountedRow) -> bool {
    let version = |version: &Option<String>| version.clone().filter(|version| version != "null");
    let same_version = version(&row.version_id).is_some_and(|listed| version(&counted.version_id) == Some(listed));
    row.generation.is_empty() || (row.etag.is_some() && row.etag == counted.etag) || same_version
}

/// A message that could not be read: perhaps this program can.
fn message(row: &FailedRow, config: &Config) -> Step {
    let body: Option<serde_json::Value> = serde_json::from_str(&row.message_body).ok();
    if body.is_some_and(|body| body.get("listed_in").is_some()) {
        let why = "it was found while a folder or a bucket was listed: correct what the reason says, count the folder \
                   again, then discard this";
        return Step::Refused(why.to_owned());
    }
    let filter = config.filter();
    Step::Try(given(row, What::Announced(notification::read(&row.message_body, filter))))
}

fn given(row: &FailedRow, what: What) -> Given {
    Given {
        message_id: row.key.strip_prefix("message:").unwrap_or(&row.key).to_owned(),
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        body: row.message_body.as_str().into(),
        what,
    }
}

/// What the pipeline is given: each object once, with the most attempts of its listings.
pub fn queue(steps: &[Step]) -> Vec<Given> {
    let mut places: HashMap<(ObjectId, Option<Announced>), usize> = HashMap::new();
    let mut queue: Vec<Given> = Vec::new();
    for step in steps {
        let Step::Try(given) = step else { continue };
        let place = match &given.what {
            What::Current(object) => Some((object.id(), None)),
            What::Announced(Content::Objects(objects)) => match objects.as_slice() {
                [object] => Some((object.id(), Some(object.announced.clone()))),
                _ => None,
            },
            What::Announced(Content::Unreadable { .. }) => None,
        };
        match place.and_then(|place| places.insert(place.clone(), queue.len()).map(|at| (place, at))) {
            Some((place, at)) => {
                queue[at].attempts = queue[at].attempts.max(given.attempts);
                places.insert(place, at);
            }
            None => queue.push(given.clone()),
        }
    }
    queue
}
