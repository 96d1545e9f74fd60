//! Whether a local folder has something to count.

use std::io::Read;
use std::path::Path;

use super::super::fetch::FOLDER_SCHEME;
use super::super::listing::Listing;
use super::super::queue::{Queue, Received};
use super::super::settings::SourceSettings;
use crate::model::delivery::Content;
use crate::model::health::{HealthFact, HealthLevel, bad, good};

const NAME: &str = "folder";

/// The first file that passes the filter is opened and its first byte read.
pub(super) async fn fact(settings: &SourceSettings) -> HealthFact {
    let failure = |detail: String, advice: &str| bad(NAME, HealthLevel::Failure, detail, advice);
    let listing = match Listing::open(settings).await {
        Ok(listing) => listing,
        Err(error) => return failure(error.to_string(), "correct [source] url, or create the folder"),
    };
    let first = match listing.receive(1).await {
        Ok(Received::Deliveries(deliveries)) => deliveries.into_iter().next(),
        Ok(Received::End) => None,
        Err(error) => return failure(error.to_string(), "let this user read the folder and those in it"),
    };
    let object = match first.map(|delivery| delivery.content) {
        Some(Content::Objects(objects)) => objects.into_iter().next(),
        Some(Content::Unreadable { reason }) => return failure(reason, "rename the file"),
        None => None,
    };
    let Some(object) = object else {
        let detail = format!("{}: no file that [source] prefix and suffix let through", listing.url());
        return bad(NAME, HealthLevel::Warning, detail, "`run` would end at once, with nothing to count");
    };
    let folder = object.bucket.strip_prefix(FOLDER_SCHEME).unwrap_or(&object.bucket);
    let path = Path::new(folder).join(&object.key);
    let read = tokio::task::spawn_blocking(move || {
        // Opening a FIFO would wait for its writer.
        match std::fs::metadata(&path)?.is_file() {
            true => std::fs::File::open(path)?.read(&mut [0]),
            false => Err(std::io::Error::other("it is not a regular file")),
        }
    });
    match read.await {
        Ok(Ok(_)) => good(NAME, format!("{}: {} can be read", listing.url(), object.key)),
        Ok(Err(error)) => failure(format!("{object} can't be read: {error}"), "let this user read the files"),
        Err(error) => failure(error.to_string(), "report it: it is a defect"),
    }
}
