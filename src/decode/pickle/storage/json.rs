//! JSON texts that were parsed: one that many rows share is parsed once.

use super::super::super::ads_json::Ids;
use super::super::super::error::Fault;
use super::super::value::Span;
use super::Store;
use crate::model::RejectReason;

/// A bound on what a remembered JSON text takes.
pub(super) const JSON_ENTRY_BYTES: usize = 96;

impl Store {
    pub fn json(&self, span: Span) -> Option<Result<Ids, RejectReason>> {
        if self.is_scratch(span) {
            return None;
        }
        self.json.get(&span.at).copied()
    }

    pub fn remember_json(&mut self, span: Span, ids: Result<Ids, RejectReason>) -> Result<(), Fault> {
        if self.is_scratch(span) {
            return Ok(());
        }
        self.budget.charge_scattered(JSON_ENTRY_BYTES)?;
        self.json.insert(span.at, ids);
        // A text from before the row at hand stays when the row is forgotten, and so does what it turned out to hold.
        if span.at as usize >= self.mark.text {
            self.json_places.push(span.at);
        }
        Ok(())
    }
}
