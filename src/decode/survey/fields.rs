//! The fields of rows as they were found: types, nulls, absences, and what each is read as.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::render::{quoted, render, type_name};
use super::thing::{Content, Kind, Thing};
use crate::model::{LogSchema, MeasureKind};

/// Distinct fields that are told apart; values of more are counted together.
const FIELDS_MAX: usize = 256;
/// Distinct types of one field.
const TYPES_MAX: usize = 16;
const NAME_CHARS_MAX: usize = 64;
pub(in crate::decode) const EXAMPLE_CHARS_MAX: usize = 60;

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Row,
    /// The first element of a row's `ads`.
    FirstAd,
}

/// What was found under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSurvey {
    pub name: String,
    pub place: Place,
    /// Of a numpy array or a column of pandas.
    pub dtype: Option<String>,
    /// Types and how many values are of each, the most frequent first.
    pub types: Vec<(Cow<'static, str>, u64)>,
    /// Values, nulls among them.
    pub values: u64,
    /// `None`, NaN, `NaT`, `NA`.
    pub nulls: u64,
    /// Rows (or first ads) that do not have the field.
    pub missing: u64,
    /// The first value that is no null.
    pub example: Option<String>,
    /// Roles that the configuration gives it; none means that it is not read.
    pub read_as: Vec<String>,
}

pub(in crate::decode) struct FieldTally {
    fields: Vec<FieldSurvey>,
    /// Of rows, and of first ads.
    by_name: [HashMap<Box<[u8]>, usize>; 2],
    /// Values of fields beyond `FIELDS_MAX`.
    pub left_out: u64,
    /// Rows, and first ads that are dicts.
    pub rows: u64,
    pub ads: u64,
    ads_field: String,
}

/// A value in as many words as a tally needs.
pub(in crate::decode) struct Seen<'a> {
    pub type_name: Cow<'static, str>,
    pub is_null: bool,
    pub example: &'a dyn Fn() -> String,
}

impl FieldTally {
    pub fn new(schema: &LogSchema) -> Self {
        let ads_field = schema.ads.clone();
        Self { fields: Vec::new(), by_name: Default::default(), left_out: 0, rows: 0, ads: 0, ads_field }
    }

    /// The field of that name, unless there are too many.
    pub fn field(&mut self, place: Place, name: &[u8], shown: impl FnOnce() -> String) -> Option<usize> {
        if let Some(&at) = self.by_name[place as usize].get(name) {
            return Some(at);
        }
        if self.fields.len() >= FIELDS_MAX {
            return None;
        }
        let at = self.fields.len();
        self.by_name[place as usize].insert(name.into(), at);
        self.fields.push(FieldSurvey {
            name: shown(),
            place,
            dtype: None,
            types: Vec::new(),
            values: 0,
            nulls: 0,
            missing: 0,
            example: None,
            read_as: Vec::new(),
        });
        Some(at)
    }

    pub fn see(&mut self, field: Option<usize>, seen: Seen<'_>) {
        let Some(field) = field.and_then(|at| self.fields.get_mut(at)) else {
            self.left_out += 1;
            return;
        };
        field.values += 1;
        field.nulls += u64::from(seen.is_null);
        if field.example.is_none() && !seen.is_null {
            field.example = Some((seen.example)());
        }
        let types = &mut field.types;
        let place = |types: &[(Cow<str>, u64)], name: &str| types.iter().position(|known| known.0 == name);
        let name = match place(types, &seen.type_name) {
            None if types.len() + 1 >= TYPES_MAX => "other".into(),
            _ => seen.type_name,
        };
        match place(types, &name) {
            Some(at) => types[at].1 += 1,
            None => types.push((name, 1)),
        }
    }

    /// A field whose values come from a column of this type.
    pub fn set_dtype(&mut self, field: Option<usize>, dtype: &str) {
        let Some(field) = field.and_then(|at| self.fields.get_mut(at)) else { return };
        match &mut field.dtype {
            None => field.dtype = Some(dtype.to_owned()),
            Some(known) if known.split(", ").any(|one| one == dtype) => {}
            Some(known) if known.len() < NAME_CHARS_MAX => *known = format!("{known}, {dtype}"),
            Some(_) => {}
        }
    }

    /// A row of its own.
    pub(super) fn see_row(&mut self, row: &Thing) {
        self.rows += 1;
        if self.see_dict(Place::Row, row)
            && let Some(ads) = row.get(&self.ads_field)
        {
            self.see_ads(&ads);
        }
    }

    fn see_ads(&mut self, ads: &Thing) {
        let first = match ads.kind() {
            Some(Kind::List | Kind::Tuple) => ads.item(0),
            _ => return self.see_json(ads),
        };
        if let Some(first) = first {
            self.see_first_ad(&first);
        }
    }

    fn see_first_ad(&mut self, ad: &Thing) {
        self.ads += u64::from(self.see_dict(Place::FirstAd, ad));
    }

    fn see_dict(&mut self, place: Place, dict: &Thing) -> bool {
        let Some(node) = dict.node() else { return false };
        let content = node.content.borrow();
        let Content::Container(kind, items) = &*content else { return false };
        if !kind.is_dict() {
            return false;
        }
        for (key, value) in items.pairs() {
            let field = self.field_of_key(place, key);
            let is_null = is_null(value);
            self.see(
                field,
                Seen { type_name: type_name(value), is_null, example: &|| render(value, EXAMPLE_CHARS_MAX) },
            );
        }
        true
    }

    fn field_of_key(&mut self, place: Place, key: &Thing) -> Option<usize> {
        if let Some(node) = key.node()
            && let Content::Text { kept, .. } = &*node.content.borrow()
            && type_name(key).starts_with("str")
        {
            return self.field(place, kept, || shown_name(kept));
        }
        let name = render(key, NAME_CHARS_MAX);
        self.field(place, [b"\0", name.as_bytes()].concat().as_slice(), || name.clone())
    }

    /// `ads` as JSON text, where it is short enough to have been kept.
    fn see_json(&mut self, ads: &Thing) {
        let Some(node) = ads.node() else { return };
        if let Content::Text { kept, length, .. } = &*node.content.borrow()
            && *length == kept.len() as u64
        {
            self.see_json_text(kept);
        }
    }

    pub fn see_json_text(&mut self, text: &[u8]) {
        let Ok(serde_json::Value::Array(ads)) = serde_json::from_slice(text) else { return };
        let Some(serde_json::Value::Object(first)) = ads.first() else { return };
        self.ads += 1;
        for (name, value) in first {
            let field = self.field(Place::FirstAd, name.as_bytes(), || shown_name(name.as_bytes()));
            let example = || quoted(value.to_string().as_bytes(), EXAMPLE_CHARS_MAX);
            self.see(field, Seen { type_name: json_type(value).into(), is_null: value.is_null(), example: &example });
        }
    }

    /// The fields in the order in which they were found, and those of the configuration that were not found.
    pub fn finish(self, schema: &LogSchema) -> (Vec<FieldSurvey>, Vec<FieldSurvey>) {
        let (rows, ads) = (self.rows, self.ads);
        let mut found = self.fields;
        for field in &mut found {
            let all = if field.place == Place::Row { rows } else { ads };
            field.missing = all.saturating_sub(field.values);
            field.types.sort_by_key(|known| std::cmp::Reverse(known.1));
            field.read_as = roles(schema, field.place, &field.name);
        }
        found.sort_by_key(|field| field.place == Place::FirstAd);
        let is_found = |place, name: &str| found.iter().any(|field| field.place == place && field.name == name);
        let mut absent: Vec<FieldSurvey> = Vec::new();
        for (place, name) in known_names(schema) {
            if is_found(place, name) || absent.iter().any(|field| field.place == place && field.name == name) {
                continue;
            }
            absent.push(FieldSurvey {
                name: name.to_owned(),
                place,
                dtype: None,
                types: Vec::new(),
                values: 0,
                nulls: 0,
                missing: if place == Place::Row { rows } else { ads },
                example: None,
                read_as: roles(schema, place, name),
            });
        }
        (found, absent)
    }
}

pub(in crate::decode) fn shown_name(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(NAME_CHARS_MAX).collect()
}

fn is_null(thing: &Thing) -> bool {
    match thing {
        Thing::None => true,
        Thing::Float(value) => value.is_nan(),
        Thing::Node(_) => matches!(&*type_name(thing), "NA" | "NaT"),
        _ => false,
    }
}

fn json_type(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => "JSON null",
        Value::Bool(_) => "JSON bool",
        Value::Number(number) if number.is_f64() => "JSON float",
        Value::Number(_) => "JSON integer",
        Value::String(_) => "JSON string",
        Value::Array(_) => "JSON array",
        Value::Object(_) => "JSON object",
    }
}

fn known_names(schema: &LogSchema) -> impl Iterator<Item = (Place, &str)> {
    let row = [&schema.timestamp, &schema.media_key, &schema.ads].map(|name| (Place::Row, name.as_str()));
    let ads = [&schema.inventory, &schema.ad, &schema.demand].map(|name| (Place::FirstAd, name.as_str()));
    let measures = schema.measures.iter().map(|measure| (Place::Row, measure.field.as_str()));
    row.into_iter().chain(measures).chain(ads)
}

fn roles(schema: &LogSchema, place: Place, name: &str) -> Vec<String> {
    let fixed = match place {
        Place::Row => [("timestamp", &schema.timestamp), ("media_key", &schema.media_key), ("ads", &schema.ads)],
        Place::FirstAd => [("inventory_id", &schema.inventory), ("ad_id", &schema.ad), ("demand_id", &schema.demand)],
    };
    let fixed = fixed.into_iter().filter(|(_, field)| *field == name).map(|(role, _)| role.to_owned());
    let measures = schema.measures.iter().filter(|measure| place == Place::Row && measure.field == name);
    let measures = measures.map(|measure| match measure.kind {
        MeasureKind::Count => format!("measure {}", measure.name),
        MeasureKind::Money => format!("measure {} (money)", measure.name),
    });
    fixed.chain(measures).collect()
}
