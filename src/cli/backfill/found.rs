//! What `--reconcile` and `--dry-run` write to standard output: the objects that the books lack, as they are found, so
//! that a list of a million takes no memory.

use serde_json::{Value, json};

use super::Format;
use crate::cli::{CliError, output};
use crate::pipeline::{Scanned, Uncounted};
use crate::store::Standing;

pub struct Writer {
    format: Format,
    /// Whether an object has been written.
    begun: bool,
}

impl Writer {
    pub fn begin(format: Format, url: &str) -> Result<Writer, CliError> {
        if format == Format::Json {
            output::print(&format!("{{\"url\": {},\n\"objects\": [", Value::from(url)))?;
        }
        Ok(Writer { format, begun: false })
    }

    pub fn objects(&mut self, page: &[Uncounted]) -> Result<(), CliError> {
        let mut text = String::new();
        for uncounted in page {
            match self.format {
                Format::Text => text += &line(uncounted),
                Format::Json => text += &format!("{}\n{}", if self.begun { "," } else { "" }, member(uncounted)),
            }
            self.begun = true;
        }
        output::print(&text)
    }

    pub fn end(&self, scanned: &Scanned) -> Result<(), CliError> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => output::print(&format!("\n],\n\"summary\": {}}}\n", summary(scanned))),
        }
    }
}

fn state(uncounted: &Uncounted) -> &'static str {
    match uncounted.standing {
        Standing::Overwritten { .. } => "overwritten",
        Standing::Unknown | Standing::Counted | Standing::Failed => "missing",
    }
}

fn bytes(uncounted: &Uncounted) -> Option<u64> {
    uncounted.found.object().and_then(|object| object.announced.bytes)
}

/// State, bytes, time of the last modification, name: the name last, since it may hold spaces.
fn line(uncounted: &Uncounted) -> String {
    let bytes = bytes(uncounted).map_or("-".to_owned(), |bytes| bytes.to_string());
    let modified = uncounted.found.modified.map_or("-".to_owned(), |at| format!("{at:.0}"));
    format!("{:<11} {bytes:>12} {modified:<20} {}\n", state(uncounted), uncounted.found.name)
}

fn member(uncounted: &Uncounted) -> Value {
    let object = uncounted.found.object();
    let counted_etag = match &uncounted.standing {
        Standing::Overwritten { counted_etag } => counted_etag.as_deref(),
        Standing::Unknown | Standing::Counted | Standing::Failed => None,
    };
    json!({
        "state": state(uncounted),
        "name": uncounted.found.name,
        "bucket": object.map(|object| &object.bucket),
        "key": object.map(|object| &object.key),
        "etag": object.and_then(|object| object.announced.etag.as_deref()),
        "counted_etag": counted_etag,
        "bytes": bytes(uncounted),
        "modified": uncounted.found.modified.map(|at| at.to_string()),
    })
}

fn summary(scanned: &Scanned) -> Value {
    json!({
        "listed": scanned.listed,
        "filtered": scanned.filtered,
        "other_date": scanned.other_date,
        "undated": scanned.undated,
        "counted": scanned.counted,
        "failed": scanned.failed,
        "young": scanned.young,
        "missing": scanned.missing,
        "overwritten": scanned.overwritten,
        "uncounted_bytes": scanned.uncounted_bytes,
        "complete": scanned.complete,
    })
}
