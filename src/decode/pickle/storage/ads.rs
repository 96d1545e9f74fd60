//! The `ads` of which only the ids are kept. Whatever else is done with them than to name them, list them and read them
//! as some row's `ads` asks for the object to be read again, with all of them kept.

use super::super::super::ads_json::Ids;
use super::super::super::error::{Fault, Limit};
use super::super::keep::Keep;
use super::super::value::Value;
use super::Store;

const PAGE: usize = 1024;
/// Places fit a word of the memo.
const ADS_MAX: usize = 1 << 28;
/// Containers within such a list, itself included: no less and no more.
const DEPTH: usize = 2;
const DEPTH_MAX: usize = 8;

#[derive(Default)]
pub(super) struct AdsTable {
    pages: Vec<Vec<Ids>>,
}

impl Store {
    /// Keeps the ids of a list of ads and gives their place.
    pub fn add_ads(&mut self, ids: Ids) -> Result<u32, Fault> {
        let pages = &mut self.ads.pages;
        if pages.last().is_none_or(|page| page.len() == PAGE) {
            let mut page = Vec::new();
            self.budget.grow_scattered(&mut page, PAGE)?;
            self.budget.push_scattered(pages, page)?;
        }
        let place = (pages.len() - 1) * PAGE + pages.last().map_or(0, Vec::len);
        if place >= ADS_MAX {
            return Err(Limit::DecoderBytes.into());
        }
        if let Some(page) = pages.last_mut() {
            page.push(ids);
        }
        Ok(place as u32)
    }

    pub fn ads(&self, place: u32) -> Ids {
        let place = place as usize;
        self.ads.pages.get(place / PAGE).and_then(|page| page.get(place % PAGE)).copied().unwrap_or_default()
    }

    /// The depth of what a list of ads is put into. How deep it really is, and whether that was counted elsewhere already,
    /// is not known.
    pub(super) fn depth_with_ads(&self) -> Result<u16, Fault> {
        self.check_depth(DEPTH as u16 + 1)?;
        Ok(DEPTH as u16 + 1)
    }

    /// Where ads that are not kept might make a difference to whether something is nested too deep, they must be kept.
    pub(super) fn check_depth(&self, depth: u16) -> Result<(), Fault> {
        let is_doubtful = !self.ads.pages.is_empty() && usize::from(depth) + DEPTH_MAX > self.nesting_max;
        if is_doubtful { Err(not_kept()) } else { Ok(()) }
    }
}

/// For what only an object that is kept can tell.
pub fn not_kept() -> Fault {
    Fault::Forgotten(Keep::Parts)
}

/// Refuses values of which only the ids are kept, for now.
pub fn refuse_ads(values: &[Value]) -> Result<(), Fault> {
    if values.iter().any(|value| value.is_ads()) { Err(not_kept()) } else { Ok(()) }
}
