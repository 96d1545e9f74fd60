//! Joins one object's batches with one snapshot. Media are resolved once for each distinct key.

use std::ptr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::{Field, Int64Type, Schema, UInt32Type};
use jiff::tz::TimeZone;

use super::snapshot::{Absent, Inventory, Media, Snapshot};
use super::split::split;
use crate::model::report_date::Calendar;
use crate::model::{Dimension, Measure, MeasureKind, Origin, Share};

/// Rows whose media or inventory the metadata does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmapped {
    pub media_rows: u64,
    pub inventory_rows: u64,
    /// Their revenue: of the first measure of money that a row brings.
    pub media_revenue_micros: u64,
    pub inventory_revenue_micros: u64,
    /// The keys themselves.
    pub keys: Absent,
}

/// Enriches the batches of one object with one snapshot.
pub struct Enricher<'a> {
    dimensions: &'a [Dimension],
    measures: &'a [Measure],
    snapshot: Arc<Snapshot>,
    calendar: Calendar,
    /// The texts of the snapshot's classes.
    classes: ArrayRef,
    media: MediaOfKeys,
    unmapped: Unmapped,
}

/// What the snapshot says of each media key of a dictionary. Batches share dictionaries, so it is asked once.
struct MediaOfKeys {
    keys: ArrayRef,
    media: Vec<Media>,
    /// The codes of keys that it does not know.
    unknown: Vec<u32>,
}

impl<'a> Enricher<'a> {
    pub fn new(dimensions: &'a [Dimension], measures: &'a [Measure], snapshot: Arc<Snapshot>, zone: TimeZone) -> Self {
        let texts = |texts: &[String]| Arc::new(StringArray::from_iter_values(texts)) as ArrayRef;
        Self {
            dimensions,
            measures,
            calendar: Calendar::new(zone),
            classes: texts(snapshot.classes()),
            snapshot,
            media: MediaOfKeys { keys: texts(&[]), media: Vec::new(), unknown: Vec::new() },
            unmapped: Unmapped::default(),
        }
    }

    /// A column for each dimension and measure, from a batch as `decode` makes them.
    ///
    /// # Panics
    /// When a column is missing or of another type: `decode` owes them.
    pub fn enrich(&mut self, batch: &RecordBatch) -> RecordBatch {
        let media_keys = column(batch, "media_key").as_dictionary::<UInt32Type>();
        self.ask_for_media(media_keys.values());
        let revenue = self.revenue(batch);
        self.count_unknown_media(media_keys.keys().values(), revenue);
        let inventory = self.inventory(batch, revenue);
        let mut columns: Vec<(&str, ArrayRef)> = Vec::with_capacity(self.dimensions.len() + self.measures.len());
        for &dimension in self.dimensions {
            columns.push((dimension.name(), self.dimension(dimension, batch, &inventory)));
        }
        let mut shares = Shares { of: None, media: Vec::new(), agency: Vec::new() };
        for measure in self.measures {
            let values = match &measure.origin {
                Origin::Field(_) => column(batch, &measure.name).clone(),
                Origin::Share { of, share } => {
                    let revenue = integers(column(batch, &self.measures[*of].name));
                    shares.take(*of, *share, || self.split(media_keys.keys().values(), revenue))
                }
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

    fn ask_for_media(&mut self, keys: &ArrayRef) {
        if ptr::addr_eq(Arc::as_ptr(keys), Arc::as_ptr(&self.media.keys)) {
            return;
        }
        let texts = keys.as_string::<i32>();
        let known: Vec<Option<Media>> = texts.iter().map(|text| self.snapshot.media(text.unwrap_or(""))).collect();
        let is_unknown = |&key: &u32| known[key as usize].is_none() && !texts.value(key as usize).is_empty();
        self.media.unknown = (0..known.len() as u32).filter(is_unknown).collect();
        self.media.media = known.into_iter().map(Option::unwrap_or_default).collect();
        self.media.keys = keys.clone();
    }

    fn revenue<'b>(&self, batch: &'b RecordBatch) -> Option<&'b [i64]> {
        let is_revenue =
            |measure: &&Measure| measure.kind == MeasureKind::Money && matches!(measure.origin, Origin::Field(_));
        let measure = self.measures.iter().find(is_revenue)?;
        Some(integers(column(batch, &measure.name)))
    }

    fn count_unknown_media(&mut self, of_rows: &[u32], revenue: Option<&[i64]>) {
        if self.media.unknown.is_empty() {
            return;
        }
        let mut rows = vec![0; self.media.media.len()];
        of_rows.iter().for_each(|&key| rows[key as usize] += 1);
        let is_unknown = |&(key, _): &(&u32, &i64)| self.media.unknown.binary_search(key).is_ok();
        let unmapped = of_rows.iter().zip(revenue.unwrap_or_default()).filter(is_unknown);
        add_micros(&mut self.unmapped.media_revenue_micros, unmapped.map(|(_, micros)| *micros));
        let texts = self.media.keys.as_string::<i32>();
        for &key in self.media.unknown.iter().filter(|&&key| rows[key as usize] > 0) {
            self.unmapped.media_rows += rows[key as usize];
            self.unmapped.keys.add_media(texts.value(key as usize));
        }
    }

    fn inventory(&mut self, batch: &RecordBatch, revenue: Option<&[i64]>) -> Vec<Inventory> {
        let wanted = [Dimension::AdType, Dimension::Device, Dimension::AppType];
        if !wanted.iter().any(|dimension| self.dimensions.contains(dimension)) {
            return Vec::new();
        }
        let ids = integers(column(batch, "inventory_id"));
        let unmapped_before = self.unmapped.inventory_rows;
        let inventory = ids.iter().map(|&id| self.inventory_of(id)).collect();
        if self.unmapped.inventory_rows > unmapped_before {
            let is_unknown = |&(&id, _): &(&i64, &i64)| id != 0 && self.snapshot.inventory(id).is_none();
            let unmapped = ids.iter().zip(revenue.unwrap_or_default()).filter(is_unknown);
            add_micros(&mut self.unmapped.inventory_revenue_micros, unmapped.map(|(_, micros)| *micros));
        }
        inventory
    }

    #[inline]
    fn inventory_of(&mut self, id: i64) -> Inventory {
        self.snapshot.inventory(id).unwrap_or_else(|| {
            if id != 0 {
                self.unmapped.inventory_rows += 1;
                self.unmapped.keys.add_inventory(id);
            }
            Inventory::default()
        })
    }

    fn dimension(&mut self, dimension: Dimension, batch: &RecordBatch, inventory: &[Inventory]) -> ArrayRef {
        match dimension {
            Dimension::ReportDate => {
                let seconds = integers(column(batch, "timestamp"));
                Arc::new(Date32Array::from_iter_values(seconds.iter().map(|&second| self.calendar.date(second).0)))
            }
            Dimension::OrganizationId => {
                let keys = column(batch, "media_key").as_dictionary::<UInt32Type>().keys().values();
                let media = &self.media.media;
                Arc::new(Int64Array::from_iter_values(keys.iter().map(|&key| media[key as usize].organization_id)))
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
        Arc::new(DictionaryArray::new(UInt32Array::from_iter_values(codes), self.classes.clone()))
    }

    /// The media's and the agency's shares of each row's revenue.
    fn split(&self, media_keys: &[u32], revenue: &[i64]) -> (Vec<i64>, Vec<i64>) {
        let split = |(&key, &revenue): (&u32, &i64)| {
            let media = &self.media.media[key as usize];
            split(revenue, media.media_rate, media.agency_rate)
        };
        media_keys.iter().zip(revenue).map(split).unzip()
    }
}

/// The shares of one measure, which are computed together and asked for one by one.
struct Shares {
    of: Option<usize>,
    media: Vec<i64>,
    agency: Vec<i64>,
}

impl Shares {
    fn take(&mut self, of: usize, share: Share, split: impl FnOnce() -> (Vec<i64>, Vec<i64>)) -> ArrayRef {
        let wanted = |shares: &mut Self| match share {
            Share::Media => std::mem::take(&mut shares.media),
            Share::Agency => std::mem::take(&mut shares.agency),
        };
        let mut values = wanted(self);
        // Taken before, or of another measure.
        if self.of != Some(of) || values.is_empty() {
            (self.media, self.agency) = split();
            self.of = Some(of);
            values = wanted(self);
        }
        Arc::new(Int64Array::from(values))
    }
}

/// Sums that are told, not reported: one that exceeds 64 bits stays at the most.
fn add_micros(sum: &mut u64, values: impl Iterator<Item = i64>) {
    *sum = values.fold(*sum, |sum, micros| sum.saturating_add(u64::try_from(micros).unwrap_or(0)));
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).unwrap_or_else(|| panic!("a decoded batch has the column {name}"))
}

fn integers(column: &ArrayRef) -> &[i64] {
    column.as_primitive::<Int64Type>().values()
}
