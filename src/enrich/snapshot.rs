//! The immutable in-memory copy of the metadata that objects are enriched with.

use std::fmt;

use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;

use crate::model::{Dimension, DimensionKind, Metadata, Rate};

/// What is known of one media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    pub organization_id: i64,
    pub agency_rate: Rate,
    pub media_rate: Rate,
}

/// What is known of one inventory: classes, as codes of [`Snapshot::classes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub ad_type: u32,
    pub device: u32,
    pub app_type: u32,
}

/// All metadata at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// When it was read from the database.
    pub read_at: Timestamp,
    media: HashMap<String, Media>,
    inventory: HashMap<i64, Inventory>,
    /// Distinct ad types, devices and app types; the first is [`ALL`].
    classes: Vec<String>,
    /// Keys that were looked up anew and are not in the database.
    absent: Absent,
}

/// Keys that rows name and the metadata does not know. The empty media key and id 0 stand for "none" and are not among
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absent {
    pub media: HashSet<String>,
    pub inventory: HashSet<i64>,
}

impl Absent {
    /// Keys of each kind that are kept: a hostile log must not fill the memory. Beyond it keys are counted, not kept.
    pub const KEYS_MAX: usize = 10_000;

    pub fn is_empty(&self) -> bool {
        self.media.is_empty() && self.inventory.is_empty()
    }

    pub fn add_media(&mut self, media_key: &str) {
        if self.media.len() < Self::KEYS_MAX && !self.media.contains(media_key) {
            self.media.insert(media_key.to_owned());
        }
    }

    pub fn add_inventory(&mut self, inventory_id: i64) {
        if self.inventory.len() < Self::KEYS_MAX {
            self.inventory.insert(inventory_id);
        }
    }

    pub fn add_all(&mut self, other: &Absent) {
        other.media.iter().for_each(|key| self.add_media(key));
        other.inventory.iter().for_each(|&id| self.add_inventory(id));
    }

    /// Whether every key of `other` is among these.
    pub fn holds(&self, other: &Absent) -> bool {
        other.media.is_subset(&self.media) && other.inventory.is_subset(&self.inventory)
    }
}

/// The class of everything that is unknown, missing, or none of the classes a report tells apart.
pub const ALL: &str = "ALL";

/// Metadata that can't be right: an outage of the metadata, not a reason to count rows as unmapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMetadata(pub String);

impl fmt::Display for InvalidMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidMetadata {}

impl Snapshot {
    pub fn new(metadata: &Metadata, read_at: Timestamp) -> Result<Snapshot, InvalidMetadata> {
        let mut classes = Classes::new();
        let mut inventory = HashMap::with_capacity(metadata.inventory.len());
        for row in &metadata.inventory {
            let classified = Inventory {
                ad_type: classes.code(ad_type(&row.ad_type, row.inventory_id)?),
                device: classes.code(device(&row.device)),
                app_type: classes.code(app_type(&row.app_type)),
            };
            if inventory.insert(row.inventory_id, classified).is_some_and(|before| before != classified) {
                return Err(InvalidMetadata(format!("inventory {} stands twice, differently", row.inventory_id)));
            }
        }
        let mut media = HashMap::with_capacity(metadata.media.len());
        for row in &metadata.media {
            if row.media_rate.units() + row.agency_rate.units() > Rate::SCALE {
                let problem = format!("media {:?}: media rate and agency rate add up to more than 1", row.media_key);
                return Err(InvalidMetadata(problem));
            }
            let known = Media {
                organization_id: row.organization_id,
                agency_rate: row.agency_rate,
                media_rate: row.media_rate,
            };
            if media.insert(row.media_key.clone(), known).is_some_and(|before| before != known) {
                return Err(InvalidMetadata(format!("media {:?} stands twice, differently", row.media_key)));
            }
        }
        Ok(Snapshot { read_at, media, inventory, classes: classes.texts, absent: Absent::default() })
    }

    /// Remembers keys that are not in this snapshot as looked up. Those that are in it are left out.
    pub fn with_absent(mut self, looked_up: &Absent) -> Snapshot {
        for key in looked_up.media.iter().filter(|key| !self.media.contains_key(*key)) {
            self.absent.add_media(key);
        }
        for &id in looked_up.inventory.iter().filter(|id| !self.inventory.contains_key(*id)) {
            self.absent.add_inventory(id);
        }
        self
    }

    pub fn absent(&self) -> &Absent {
        &self.absent
    }

    pub fn media(&self, media_key: &str) -> Option<Media> {
        self.media.get(media_key).copied()
    }

    pub fn inventory(&self, inventory_id: i64) -> Option<Inventory> {
        self.inventory.get(&inventory_id).copied()
    }

    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Number of media and of inventories.
    pub fn sizes(&self) -> (usize, usize) {
        (self.media.len(), self.inventory.len())
    }
}

/// Distinct class names and their codes.
struct Classes {
    texts: Vec<String>,
    codes: HashMap<String, u32>,
}

impl Classes {
    fn new() -> Self {
        let mut classes = Self { texts: Vec::new(), codes: HashMap::new() };
        classes.code(ALL);
        classes
    }

    fn code(&mut self, text: &str) -> u32 {
        if let Some(&code) = self.codes.get(text) {
            return code;
        }
        let code = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.codes.insert(text.to_owned(), code);
        code
    }
}

/// `pc` -> `PC`; `mobile`, `tablet` -> `MOBILE`; anything else -> `ALL`. Case does not matter.
pub fn device(text: &str) -> &'static str {
    match text.to_ascii_lowercase().as_str() {
        "pc" => "PC",
        "mobile" | "tablet" => "MOBILE",
        _ => ALL,
    }
}

/// `web` -> `WEB`; `ios` -> `IOS`; `aos`, `android` -> `AOS`; anything else -> `ALL`. Case does not matter.
pub fn app_type(text: &str) -> &'static str {
    match text.to_ascii_lowercase().as_str() {
        "web" => "WEB",
        "ios" => "IOS",
        "aos" | "android" => "AOS",
        _ => ALL,
    }
}

/// As the platform writes it; `ALL` when it is empty.
fn ad_type(text: &str, inventory_id: i64) -> Result<&str, InvalidMetadata> {
    let DimensionKind::Text { chars_max } = Dimension::AdType.kind() else { return Ok(text) };
    if text.chars().count() > chars_max {
        return Err(InvalidMetadata(format!("inventory {inventory_id}: its ad type exceeds {chars_max} characters")));
    }
    Ok(if text.is_empty() { ALL } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InventoryRow, MediaRow};
    use rstest::rstest;

    #[rstest]
    #[case("pc", "PC")]
    #[case("Pc", "PC")]
    #[case("mobile", "MOBILE")]
    #[case("TABLET", "MOBILE")]
    #[case(" mobile ", "ALL")]
    #[case("tv", "ALL")]
    #[case("", "ALL")]
    #[case("all", "ALL")]
    fn device_is_classified(#[case] text: &str, #[case] class: &str) {
        assert_eq!(device(text), class);
    }

    #[rstest]
    #[case("web", "WEB")]
    #[case("iOS", "IOS")]
    #[case("aos", "AOS")]
    #[case("Android", "AOS")]
    #[case("windows", "ALL")]
    #[case("", "ALL")]
    fn app_type_is_classified(#[case] text: &str, #[case] class: &str) {
        assert_eq!(app_type(text), class);
    }

    fn media(key: &str, agency: &str, media: &str) -> MediaRow {
        let rate = |text| Rate::parse(text).unwrap();
        MediaRow { media_key: key.into(), organization_id: 7, agency_rate: rate(agency), media_rate: rate(media) }
    }

    fn inventory(id: i64, ad_type: &str) -> InventoryRow {
        InventoryRow { inventory_id: id, ad_type: ad_type.into(), device: "pc".into(), app_type: "web".into() }
    }

    #[rstest]
    #[case(vec![media("m", "0.6", "0.5")], vec![], "add up to more than 1")]
    #[case(vec![media("m", "0.5", "0.5"), media("m", "0.4", "0.5")], vec![], "media \"m\" stands twice")]
    #[case(vec![], vec![inventory(1, "a"), inventory(1, "b")], "inventory 1 stands twice")]
    #[case(vec![], vec![inventory(1, &"x".repeat(33))], "ad type exceeds 32 characters")]
    fn metadata_that_contradicts_itself_is_refused(
        #[case] media: Vec<MediaRow>,
        #[case] inventory: Vec<InventoryRow>,
        #[case] message: &str,
    ) {
        let error = Snapshot::new(&Metadata { media, inventory }, Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }

    #[test]
    fn absent_keys_are_those_that_were_looked_up_and_not_found() {
        let metadata = Metadata { media: vec![media("known", "0", "0")], inventory: vec![] };
        let mut looked_up = Absent::default();
        looked_up.add_media("known");
        looked_up.add_media("unknown");
        looked_up.add_inventory(5);
        let snapshot = Snapshot::new(&metadata, Timestamp::UNIX_EPOCH).unwrap().with_absent(&looked_up);
        assert!(!snapshot.absent().media.contains("known"));
        assert!(snapshot.absent().media.contains("unknown") && snapshot.absent().inventory.contains(&5));
    }
}
