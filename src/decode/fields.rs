//! The names of the fields that count, resolved once: everything else in a row is skipped.

use hashbrown::HashMap;

use crate::model::{LogSchema, MeasureKind};

/// One distinct field name. Two roles that read the same field share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldId(pub u32);

/// The fields of a [`LogSchema`], by name and by role.
pub(crate) struct Fields {
    names: Vec<Box<str>>,
    by_name: HashMap<Box<[u8]>, FieldId>,
    /// Bit n is set when a name has n bytes: most texts are told from all names by that. Bit 63 is for longer ones.
    lengths: u64,
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
            by_name: HashMap::new(),
            lengths: 0,
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
        fields
    }

    fn intern(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.find(name.as_bytes()) {
            return id;
        }
        let id = FieldId(self.names.len() as u32);
        self.names.push(name.into());
        self.by_name.insert(name.as_bytes().into(), id);
        self.lengths |= 1 << name.len().min(63);
        id
    }

    pub fn find(&self, name: &[u8]) -> Option<FieldId> {
        if self.lengths >> name.len().min(63) & 1 == 0 {
            return None;
        }
        self.by_name.get(name).copied()
    }

    pub fn name(&self, id: FieldId) -> &str {
        self.names.get(id.0 as usize).map_or("", |name| name)
    }

    /// Distinct names.
    pub fn len(&self) -> usize {
        self.names.len()
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
