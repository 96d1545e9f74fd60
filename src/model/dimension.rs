//! The columns that rows can be grouped by.

/// A column that rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    ReportDate,
    OrganizationId,
    MediaKey,
    InventoryId,
    AdId,
    DemandId,
    AdType,
    Device,
    AppType,
}

/// What a dimension's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DimensionKind {
    Date,
    /// A signed integer of 64 bits.
    Id,
    /// Text of at most so many characters.
    Text {
        chars_max: usize,
    },
}

impl Dimension {
    pub const ALL: [Dimension; 9] = [
        Dimension::ReportDate,
        Dimension::OrganizationId,
        Dimension::MediaKey,
        Dimension::InventoryId,
        Dimension::AdId,
        Dimension::DemandId,
        Dimension::AdType,
        Dimension::Device,
        Dimension::AppType,
    ];

    /// Its name in `config.toml`, in record batches and, unless the report maps it, in tables.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::ReportDate => "report_date",
            Dimension::OrganizationId => "organization_id",
            Dimension::MediaKey => "media_key",
            Dimension::InventoryId => "inventory_id",
            Dimension::AdId => "ad_id",
            Dimension::DemandId => "demand_id",
            Dimension::AdType => "ad_type",
            Dimension::Device => "device",
            Dimension::AppType => "app_type",
        }
    }

    pub fn kind(self) -> DimensionKind {
        match self {
            Dimension::ReportDate => DimensionKind::Date,
            Dimension::OrganizationId | Dimension::InventoryId | Dimension::AdId | Dimension::DemandId => {
                DimensionKind::Id
            }
            Dimension::MediaKey => DimensionKind::Text { chars_max: 64 },
            Dimension::AdType => DimensionKind::Text { chars_max: 32 },
            Dimension::Device | Dimension::AppType => DimensionKind::Text { chars_max: 8 },
        }
    }

    /// The dimension whose value this one's follows from, by the metadata of one moment.
    pub fn determined_by(self) -> Option<Dimension> {
        match self {
            Dimension::OrganizationId => Some(Dimension::MediaKey),
            Dimension::AdType | Dimension::Device | Dimension::AppType => Some(Dimension::InventoryId),
            Dimension::ReportDate
            | Dimension::MediaKey
            | Dimension::InventoryId
            | Dimension::AdId
            | Dimension::DemandId => None,
        }
    }

    pub fn named(name: &str) -> Option<Dimension> {
        Self::ALL.into_iter().find(|dimension| dimension.name() == name)
    }
}
