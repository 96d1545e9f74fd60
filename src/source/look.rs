//! What is under an object's name now, without reading it.

use std::path::Path;

use crate::model::{Announced, ObjectRef};

use super::aws::CallFailure;
use super::fetch::{FOLDER_SCHEME, FetchError, Objects, file_etag, refused_file, refused_get};
use super::notification::etag;

impl Objects {
    /// The content that `object` has now, whatever was announced of it; one attempt.
    pub async fn look(&self, object: &ObjectRef) -> Result<Announced, FetchError> {
        if let Some(folder) = object.bucket.strip_prefix(FOLDER_SCHEME) {
            let file = tokio::fs::metadata(Path::new(folder).join(&object.key)).await.map_err(refused_file)?;
            let (etag, bytes) = (Some(file_etag(&file)), Some(file.len()));
            return Ok(Announced { etag, bytes, ..Announced::default() });
        }
        let request = self.s3()?.head_object().bucket(&object.bucket).key(&object.key);
        let nothing_announced = Announced::default();
        let answer = request.send().await.map_err(|error| refused_get(&CallFailure::of(&error), &nothing_announced))?;
        Ok(Announced {
            version_id: answer.version_id,
            etag: etag(answer.e_tag),
            sequencer: None,
            bytes: answer.content_length.and_then(|length| u64::try_from(length).ok()),
            event_at: None,
        })
    }
}
