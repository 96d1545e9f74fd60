//! The names of the fields that count, resolved once: everything else in a row is skipped.

use hashbrown::HashMap;

use crate::model::{LogSchema, MeasureKind};

/// One distinct field name. Two roles that read the same field share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldId(pub u32);

/// A key in the state of a pandas object that says where its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateKey {
    Manager,
    Data,
    Mask,
    NdArray,
    Codes,
    Dtype,
    Categories,
    ArrowArray,
    /// An index's values.
    IndexData,
    /// The version of a block manager's state, which has not changed since.
    Version,
    Axes,
    Blocks,
    Values,
    Placement,
}

/// The keys' names, in the order of `StateKey`.
const STATE_NAMES: [&str; 14] = [
    "_mgr",
    "_data",
    "_mask",
    "_ndarray",
    "_codes",
    "_dtype",
    "categories",
    "_pa_array",
    "data",
    "0.14.1",
    "axes",
    "blocks",
    "values",
    "mgr_locs",
];

/// The fields of a [`LogSchema`], by name and by role.
pub(crate) struct Fields {
    /// The fields of rows, then the keys of states.
    names: Vec<Box<str>>,
    of_rows: usize,
    states: [FieldId; STATE_NAMES.len()],
    by_name: HashMap<Box<[u8]>, FieldId>,
    /// Bit n is set when a name is of shape n: see `shape`.
    shapes: u64,
    /// The longest name of a row's field.
    pub name_bytes_max: usize,
    pub timestamp: FieldId,
    pub media_key: FieldId,
    pub ads: FieldId,
    /// Inventory, ad, demand: fields of the first element of `ads`.
    pub ids: [FieldId; 3],
    pub measures: Vec<(FieldId, MeasureKind)>,
}

impl Fields {
    pub fn of(schema: &LogSchema) -> Self {
        let mut fields = Self {
            names: Vec::new(),
            of_rows: 0,
            states: [FieldId(0); STATE_NAMES.len()],
            by_name: HashMap::new(),
            shapes: 0,
            name_bytes_max: 0,
            timestamp: FieldId(0),
            media_key: FieldId(0),
            ads: FieldId(0),
            ids: [FieldId(0); 3],
            measures: Vec::new(),
        };
        fields.timestamp = fields.intern(&schema.timestamp);
        fields.media_key = fields.intern(&schema.media_key);
        fields.ads = fields.intern(&schema.ads);
        fields.ids = [&schema.inventory, &schema.ad, &schema.demand].map(|name| fields.intern(name));
        fields.measures = schema.measures.iter().map(|measure| (fields.intern(&measure.field), measure.kind)).collect();
        fields.of_rows = fields.names.len();
        fields.states = STATE_NAMES.map(|name| {
            fields.find(name.as_bytes()).unwrap_or_else(|| {
                fields.names.push(name.into());
                FieldId(fields.names.len() as u32 - 1)
            })
        });
        fields
    }

    /// As `find`, for the keys of states.
    pub fn find_state(&self, name: &[u8]) -> Option<FieldId> {
        let at = STATE_NAMES.iter().position(|known| known.as_bytes() == name)?;
        Some(self.states[at])
    }

    pub fn state(&self, key: StateKey) -> FieldId {
        self.states[key as usize]
    }

    fn intern(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.find(name.as_bytes()) {
            return id;
        }
        let id = FieldId(self.names.len() as u32);
        self.names.push(name.into());
        self.by_name.insert(name.as_bytes().into(), id);
        self.shapes |= 1 << shape(name.as_bytes());
        self.name_bytes_max = self.name_bytes_max.max(name.len());
        id
    }

    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<FieldId> {
        if self.may_be_name(name) { self.by_name.get(name).copied() } else { None }
    }

    /// Tells most texts from all names.
    #[inline]
    fn may_be_name(&self, text: &[u8]) -> bool {
        self.shapes >> shape(text) & 1 == 1
    }

    pub fn name(&self, id: FieldId) -> &str {
        self.names.get(id.0 as usize).map_or("", |name| name)
    }

    /// Distinct names of rows' fields: their ids are below it.
    pub fn len(&self) -> usize {
        self.of_rows
    }

    /// The fields whose values tell a dict of columns from a row.
    pub fn scalars(&self) -> impl Iterator<Item = FieldId> {
        [self.timestamp, self.media_key].into_iter().chain(self.measures.iter().map(|&(field, _)| field))
    }

    /// The fields that a row itself may have.
    pub fn of_row(&self) -> impl Iterator<Item = FieldId> {
        self.scalars().chain([self.ads])
    }
}

/// A hash of next to nothing, below 64.
#[inline]
fn shape(text: &[u8]) -> u32 {
    let (first, last) = (text.first().copied().unwrap_or(0), text.last().copied().unwrap_or(0));
    (text.len() as u32 ^ u32::from(first) << 1 ^ u32::from(last).wrapping_mul(5)) % 64
}
