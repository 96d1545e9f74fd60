//! Joins one object's batches with one snapshot. Media are resolved once for each distinct key of a batch.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::{Field, Int64Type, Schema, UInt32Type};
use jiff::tz::TimeZone;

use super::snapshot::{Absent, Inventory, Media, Snapshot};
use super::split::split;
use crate::model::report_date::Calendar;
use crate::model::{Dimension, Measure, Origin, Share};

/// Rows whose media or inventory the metadata does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmapped {
    pub media_rows: u64,
    pub inventory_rows: u64,
    /// The keys themselves.
    pub keys: Absent,
}

/// Enriches the batches of one object with one snapshot.
pub struct Enricher<'a> {
    dimensions: &'a [Dimension],
    measures: &'a [Measure],
    snapshot: Arc<Snapshot>,
    calendar: Calendar,
    unmapped: Unmapped,
}

impl<'a> Enricher<'a> {
    pub fn new(dimensions: &'a [Dimension], measures: &'a [Measure], snapshot: Arc<Snapshot>, zone: TimeZone) -> Self {
        Self { dimensions, measures, snapshot, calendar: Calendar::new(zone), unmapped: Unmapped::default() }
    }

    /// A column for each dimension and measure, from a batch as `decode` makes them.
    ///
    /// # Panics
    /// When a column is missing or of another type: `decode` owes them.
    pub fn enrich(&mut self, batch: &RecordBatch) -> RecordBatch {
        let media = self.media(batch);
        let inventory = self.inventory(batch);
        let mut columns: Vec<(&str, ArrayRef)> = Vec::with_capacity(self.dimensions.len() + self.measures.len());
        for &dimension in self.dimensions {
            columns.push((dimension.name(), self.dimension(dimension, batch, &media, &inventory)));
        }
        for measure in self.measures {
            let values = match &measure.origin {
                Origin::Field(_) => column(batch, &measure.name).clone(),
                Origin::Share { of, share } => media.shares(column(batch, &self.measures[*of].name), *share),
            };
            columns.push((&measure.name, values));
        }
        let fields: Vec<Field> =
            columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), false)).collect();
        let values = columns.into_iter().map(|(_, values)| values).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), values).expect("columns of one batch are equally long")
    }

    /// What the snapshot did not know of all batches so far.
    pub fn unmapped(self) -> Unmapped {
        self.unmapped
    }

    fn media<'b>(&mut self, batch: &'b RecordBatch) -> MediaOfRows<'b> {
        let keys = column(batch, "media_key").as_dictionary::<UInt32Type>();
        let texts = keys.values().as_string::<i32>();
        let known: Vec<Option<Media>> = texts.iter().map(|text| self.snapshot.media(text.unwrap_or(""))).collect();
        let media = MediaOfRows {
            rows: keys.keys().values(),
            media: known.iter().map(|media| media.unwrap_or_default()).collect(),
        };
        if known.iter().any(Option::is_none) {
            let unknown = |key: usize| known[key].is_none() && !texts.value(key).is_empty();
            let rows = media.rows.iter().filter(|&&key| unknown(key as usize));
            for &key in rows {
                self.unmapped.media_rows += 1;
                self.unmapped.keys.add_media(texts.value(key as usize));
            }
        }
        media
    }

    fn inventory(&mut self, batch: &RecordBatch) -> Vec<Inventory> {
        let wanted = [Dimension::AdType, Dimension::Device, Dimension::AppType];
        if !wanted.iter().any(|dimension| self.dimensions.contains(dimension)) {
            return Vec::new();
        }
        let ids = integers(column(batch, "inventory_id"));
        ids.iter().map(|&id| self.inventory_of(id)).collect()
    }

    fn inventory_of(&mut self, id: i64) -> Inventory {
        self.snapshot.inventory(id).unwrap_or_else(|| {
            if id != 0 {
                self.unmapped.inventory_rows += 1;
                self.unmapped.keys.add_inventory(id);
            }
            Inventory::default()
        })
    }

    fn dimension(
        &mut self,
        dimension: Dimension,
        batch: &RecordBatch,
        media: &MediaOfRows,
        inventory: &[Inventory],
    ) -> ArrayRef {
        match dimension {
            Dimension::ReportDate => {
                let seconds = integers(column(batch, "timestamp"));
                Arc::new(Date32Array::from_iter_values(seconds.iter().map(|&second| self.calendar.date(second).0)))
            }
            Dimension::OrganizationId => {
                Arc::new(Int64Array::from_iter_values(media.each().map(|media| media.organization_id)))
            }
            Dimension::MediaKey | Dimension::InventoryId | Dimension::AdId | Dimension::DemandId => {
                column(batch, dimension.name()).clone()
            }
            Dimension::AdType => self.classes(inventory.iter().map(|inventory| inventory.ad_type)),
            Dimension::Device => self.classes(inventory.iter().map(|inventory| inventory.device)),
            Dimension::AppType => self.classes(inventory.iter().map(|inventory| inventory.app_type)),
        }
    }

    fn classes(&self, codes: impl Iterator<Item = u32>) -> ArrayRef {
        let texts = StringArray::from_iter_values(self.snapshot.classes());
        Arc::new(DictionaryArray::new(UInt32Array::from_iter_values(codes), Arc::new(texts)))
    }
}

/// The media of each row, through the batch's dictionary.
struct MediaOfRows<'a> {
    rows: &'a [u32],
    media: Vec<Media>,
}

impl MediaOfRows<'_> {
    fn each(&self) -> impl Iterator<Item = &Media> {
        self.rows.iter().map(|&key| &self.media[key as usize])
    }

    fn shares(&self, revenue: &ArrayRef, whose: Share) -> ArrayRef {
        let shares = self.each().zip(integers(revenue)).map(|(media, &revenue)| {
            let (of_media, of_agency) = split(revenue, media.media_rate, media.agency_rate);
            match whose {
                Share::Media => of_media,
                Share::Agency => of_agency,
            }
        });
        Arc::new(Int64Array::from_iter_values(shares))
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).unwrap_or_else(|| panic!("a decoded batch has the column {name}"))
}

fn integers(column: &ArrayRef) -> &[i64] {
    column.as_primitive::<Int64Type>().values()
}
