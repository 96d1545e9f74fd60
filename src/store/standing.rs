//! Looking objects up in the books: which of them are counted or listed as failed, and which nobody knows.
//!
//! A look decides nothing: what is unknown now may be counted a moment later by another process. Who counts it asks the
//! ledger's primary key again.

use std::collections::HashMap;

use super::StoreError;
use super::ledger::counted_generations;
use super::session::{Begin, Session, SqlResult, Value};
use super::sql_store::SqlStore;
use super::upsert::chunk_sizes;
use crate::model::{Generation, ObjectId};

/// What the books say of one object as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Neither in the ledger nor, with this content, listed as failed.
    Unknown,
    /// In the ledger; also when its ETag is not known on one side, since nothing then speaks for other content.
    Counted,
    /// In the ledger under another ETag, and not listed. It may hold the same bytes: only reading it can tell.
    Overwritten { counted_etag: Option<String> },
    /// Listed as failed, open or discarded, with this content or before anything of it could be read.
    Failed,
}

impl SqlStore {
    /// The standing of each of `objects` (its id, and its ETag if that is known), in order, in one consistent view.
    pub async fn standings(&self, objects: &[(ObjectId, Option<&str>)]) -> Result<Vec<Standing>, StoreError> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.begin(Begin::Snapshot).await?;
        let outcome = standings(&mut session, objects).await;
        self.finish(session, outcome).await
    }
}

async fn standings(session: &mut Session, objects: &[(ObjectId, Option<&str>)]) -> SqlResult<Vec<Standing>> {
    // In the order of the primary key, which is the order of the pages to read.
    let mut ids: Vec<ObjectId> = objects.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let counted = counted_generations(session, ids.clone(), "").await?;
    let failed = failed_etags(session, ids).await?;
    let standing = |(id, etag): &(ObjectId, Option<&str>)| {
        let as_listed = Generation { etag: etag.map(str::to_owned), ..Generation::default() };
        let is_counted = counted.get(id).map(|counted| counted.is_same(&as_listed));
        if is_counted == Some(true) {
            return Standing::Counted;
        }
        let is_of_this = |failed: &Option<String>| match (failed.as_deref(), etag) {
            (Some(failed), Some(listed)) => failed == *listed,
            _ => true,
        };
        match (counted.get(id), failed.get(id)) {
            (_, Some(failed)) if failed.iter().any(is_of_this) => Standing::Failed,
            (Some(counted), _) => Standing::Overwritten { counted_etag: counted.etag.clone() },
            (None, _) => Standing::Unknown,
        }
    };
    Ok(objects.iter().map(standing).collect())
}

/// The ETags under which these objects are listed and not settled; `None` for a listing that is not about one content.
async fn failed_etags(session: &mut Session, ids: Vec<ObjectId>) -> SqlResult<HashMap<ObjectId, Vec<Option<String>>>> {
    let mut failed: HashMap<ObjectId, Vec<Option<String>>> = HashMap::new();
    let mut ids = ids.into_iter();
    for size in chunk_sizes(ids.len(), IDS_MAX) {
        let sql = format!(
            "-- failed etags\nSELECT object_id, etag FROM failed_object \
             WHERE object_id IN ({}) AND state IN ('open', 'discarded')",
            vec!["?"; size].join(", ")
        );
        let params = ids.by_ref().take(size).map(|id| Value::Bytes(id.0.to_vec())).collect();
        for row in session.query(&sql, params).await? {
            let etag = row.text_or_null(1)?.map(|etag| etag.to_string());
            failed.entry(ObjectId(row.hash(0)?)).or_default().push(etag);
        }
    }
    Ok(failed)
}

/// Ids of one `IN` list.
const IDS_MAX: usize = 512;
