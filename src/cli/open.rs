//! Opens what the configuration names: the database, and the source in its three kinds.

use std::path::Path;
use std::sync::Arc;

use super::CliError;
use crate::config::Config;
use crate::model::{Announced, ObjectRef};
use crate::source::fetch::FOLDER_SCHEME;
use crate::source::{self, Objects, Queue, SourceSettings};
use crate::store::{SqlStore, StoreError};

pub async fn store(config: &Config) -> Result<SqlStore, StoreError> {
    SqlStore::open(&config.store, config.plan.clone()).await
}

/// A queue and the objects that its deliveries name.
pub async fn source(settings: &SourceSettings) -> Result<(Arc<dyn Queue>, Arc<Objects>), CliError> {
    let queue = source::open(settings).await?;
    Ok((queue, Arc::new(Objects::open(settings).await?)))
}

/// One file of this machine as an object.
pub fn file(path: &Path) -> std::io::Result<ObjectRef> {
    let path = std::fs::canonicalize(path)?;
    let not_text = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path is not UTF-8");
    let text = path.to_str().ok_or_else(not_text)?;
    let (folder, name) = text.rsplit_once('/').ok_or_else(not_text)?;
    Ok(ObjectRef { bucket: format!("{FOLDER_SCHEME}{folder}"), key: name.to_owned(), announced: Announced::default() })
}
