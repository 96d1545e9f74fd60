//! What the pipeline has done so far, for progress bars and summaries. Counted where it becomes final: by the writer.

use crate::enrich::Unmapped;
use crate::store::ObjectRollup;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Running counters of one pipeline.
        #[derive(Debug, Default)]
        pub struct Tally { $($(#[$doc])* $name: AtomicU64,)+ }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Tallied { $($(#[$doc])* pub $name: u64,)+ }

        impl Tally {
            $(pub fn $name(&self, more: u64) { self.$name.fetch_add(more, Ordering::Relaxed); })+

            pub fn read(&self) -> Tallied {
                Tallied { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

tally! {
    /// Deliveries received.
    deliveries,
    /// Objects counted now.
    objects,
    /// Objects that were announced again: folded into one read, or found in the ledger.
    duplicates,
    /// Objects (and messages) listed as failed.
    failed,
    /// Objects that were announced again after an operator had discarded their content.
    discarded,
    /// Rows counted now.
    rows,
    rejected_rows,
    /// Compressed bytes of the objects counted now.
    bytes,
    unmapped_media_rows,
    unmapped_inventory_rows,
    commits,
    acknowledged,
    /// Outages that began, and that ended.
    outages,
    recoveries,
}

impl Tally {
    /// One object was counted now.
    pub fn counted(&self, object: &ObjectRollup, unmapped: &Unmapped) {
        self.objects(1);
        self.rows(object.rows - object.rejected_rows);
        self.rejected_rows(object.rejected_rows);
        self.bytes(object.generation.bytes);
        self.unmapped_media_rows(unmapped.media_rows);
        self.unmapped_inventory_rows(unmapped.inventory_rows);
    }
}
