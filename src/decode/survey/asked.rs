//! Where the rows stand that were rejected, and which of their fields is to blame.

use std::rc::Rc;

use hashbrown::HashMap;

use super::super::pickle::{Kind as DtypeKind, Span, Value, number_of};
use super::super::rules;
use super::render::{render, scalar_code, type_name};
use super::thing::{Content, Kind, Node, Thing};
use crate::model::{LogSchema, Micros, RejectReason};

const VALUE_CHARS_MAX: usize = 120;
/// Elements of lists that may turn out to be columns.
const ELEMENTS_MAX: usize = 100_000;

/// A rejected row, found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundReject {
    pub row: u64,
    pub reason: RejectReason,
    /// Of the row's dict; of the value, where the rows are in columns. In the inflated stream.
    pub offset: Option<u64>,
    /// Of the dump that the row is in.
    pub dump_offset: u64,
    /// The field to blame: `imp`, `ads[0].aid`.
    pub field: Option<String>,
    /// Type and beginning of its value.
    pub value: Option<String>,
}

pub(super) struct Asked<'a> {
    schema: &'a LogSchema,
    /// By row.
    wanted: &'a [(u64, RejectReason)],
    pub found: Vec<FoundReject>,
    /// By list and index: where what was appended there stands. Of dumps in columns only.
    elements: HashMap<(usize, u64), u64>,
    in_columns: bool,
    /// Rows before this dump.
    rows_before: u64,
}

impl<'a> Asked<'a> {
    pub fn new(schema: &'a LogSchema, wanted: &'a [(u64, RejectReason)], found: Vec<FoundReject>) -> Self {
        Self { schema, wanted, found, elements: HashMap::new(), in_columns: false, rows_before: 0 }
    }

    pub fn begin_dump(&mut self, rows_before: u64, in_columns: bool) {
        (self.rows_before, self.in_columns) = (rows_before, in_columns);
    }

    /// Whether a dict holds columns, as far as lists are columns: what cannot be counted may still be some.
    pub fn are_columns(&self, dict: &Thing) -> bool {
        let measures = self.schema.measures.iter().map(|measure| &measure.field);
        let mut scalars = [&self.schema.timestamp, &self.schema.media_key].into_iter().chain(measures);
        scalars.any(|name| matches!(dict.get(name).and_then(|value| value.kind()), Some(Kind::List | Kind::Tuple)))
    }

    pub fn see_row(&mut self, ordinal: u64, row: &Thing, dump_offset: u64, opcode_offset: u64) {
        let Ok(at) = self.wanted.binary_search_by_key(&ordinal, |wanted| wanted.0) else { return };
        let reason = self.wanted[at].1;
        let looked = |name: &str| row.get(name).map(|value| (plain(&value), shown(&value)));
        let first_ad = row.get(&self.schema.ads).and_then(|ads| ads.item(0));
        let looked_ad = |name: &str| first_ad.as_ref()?.get(name).map(|value| (plain(&value), shown(&value)));
        let (field, value) = match reason {
            RejectReason::NotARow => (None, Some(shown(row))),
            _ => blame(self.schema, reason, &looked, &looked_ad),
        };
        let offset = Some(row.node().map_or(opcode_offset, |node| node.offset));
        self.found.push(FoundReject { row: ordinal, reason, offset, dump_offset, field, value });
    }

    /// Remembers where an element of a list stands that may be the value of a wanted row.
    pub fn see_element(&mut self, list: &Rc<Node>, index: u64, offset: u64) {
        if !self.in_columns || self.elements.len() >= ELEMENTS_MAX {
            return;
        }
        if self.wanted.binary_search_by_key(&(self.rows_before + index), |wanted| wanted.0).is_ok() {
            self.elements.insert((Rc::as_ptr(list) as usize, index), offset);
        }
    }

    /// A dump of columns has ended: rejects in it learn where their values stand.
    pub fn see_columns(&mut self, rows: u64, columns: Option<&Thing>, dump_offset: u64) {
        let before = self.rows_before;
        for reject in self.found.iter_mut().filter(|reject| (before..before + rows).contains(&reject.row)) {
            reject.dump_offset = dump_offset;
            let name = reject.field.as_deref().unwrap_or_default();
            let name = if name.contains("[0].") { self.schema.ads.as_str() } else { name };
            let column = columns.and_then(|columns| columns.get(name));
            if let Some(list) = column.as_ref().and_then(|column| column.node()) {
                reject.offset = self.elements.get(&(Rc::as_ptr(list) as usize, reject.row - before)).copied();
            }
        }
        self.elements.clear();
    }
}

/// A field's value: as the rules see it, and in words.
type Look<'a> = dyn Fn(&str) -> Option<(Value, String)> + 'a;

/// The field that a row was rejected for, and its value in words. The rules themselves are asked.
pub(in crate::decode) fn blame(
    schema: &LogSchema,
    reason: RejectReason,
    row: &Look<'_>,
    first_ad: &Look<'_>,
) -> (Option<String>, Option<String>) {
    let tell = |name: &str| {
        let value = row(name).map_or_else(|| "missing".to_owned(), |looked| looked.1);
        (Some(name.to_owned()), Some(value))
    };
    match reason {
        RejectReason::NotARow => (None, None),
        RejectReason::TimestampMissing | RejectReason::TimestampNotANumber | RejectReason::TimestampOutOfWindow => {
            tell(&schema.timestamp)
        }
        RejectReason::MediaKeyNotText | RejectReason::MediaKeyTooLong => tell(&schema.media_key),
        RejectReason::AdsUnreadable => tell(&schema.ads),
        RejectReason::IdNotAnInteger => {
            for name in [&schema.inventory, &schema.ad, &schema.demand] {
                if let Some((value, shown)) = first_ad(name)
                    && rules::id(value).is_err()
                {
                    return (Some(format!("{}[0].{name}", schema.ads)), Some(shown));
                }
            }
            // In JSON text.
            tell(&schema.ads)
        }
        RejectReason::CounterNotAnInteger
        | RejectReason::CounterNegative
        | RejectReason::MoneyNotANumber
        | RejectReason::MoneyNegative => {
            let to_blame = schema.measures.iter().find(|measure| {
                let value = row(&measure.field).map_or(Value::Absent, |looked| looked.0);
                rules::measure(value, measure.kind) == Err(reason)
            });
            to_blame.map_or((None, None), |measure| tell(&measure.field))
        }
    }
}

/// A value with its type, where that says more than the value.
pub(in crate::decode) fn typed(type_name: &str, shown: &str) -> String {
    if shown.is_empty() || type_name.to_lowercase().ends_with(&shown.to_lowercase()) {
        return type_name.to_owned();
    }
    format!("{type_name} {shown}")
}

fn shown(value: &Thing) -> String {
    typed(&type_name(value), &render(value, VALUE_CHARS_MAX))
}

/// As much of a value as the rules for numbers look at.
fn plain(thing: &Thing) -> Value {
    /// Of what contents do not matter here.
    const NOWHERE: Span = Span { at: 0, length: 0 };
    let node = match thing {
        Thing::None => return Value::None,
        Thing::Bool(value) => return Value::Bool(*value),
        Thing::Int(value) => return Value::Int(*value),
        Thing::Float(value) => return Value::Float(*value),
        Thing::Forgotten => return Value::Opaque { hashable: true },
        Thing::Node(node) => node,
    };
    match &*node.content.borrow() {
        Content::Text { .. } => Value::Text(NOWHERE),
        Content::Long(_) => Value::Long(NOWHERE),
        Content::Call(call) => match &*type_name(thing) {
            "Decimal" => call.arguments.item(0).and_then(|text| text.text()).map_or(UNKNOWN, |text| decimal(&text)),
            name if name.starts_with("numpy.") => {
                let bytes = call.arguments.item(1);
                let bytes = bytes.as_ref().and_then(|bytes| bytes.node()).map(|node| node.content.borrow());
                match (bytes.as_deref(), scalar_code(call)) {
                    (Some(Content::Text { kept, .. }), Some(code)) => scalar(&code, kept),
                    _ => UNKNOWN,
                }
            }
            _ => UNKNOWN,
        },
        Content::Container(Kind::List, _) | Content::Container(..) | Content::Global { .. } => UNKNOWN,
    }
}

const UNKNOWN: Value = Value::Opaque { hashable: true };

fn decimal(text: &str) -> Value {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let negative = text.starts_with('-') && mantissa.contains(|digit: char| ('1'..='9').contains(&digit));
    Micros::parse(text).map_or(UNKNOWN, |Micros(micros)| Value::Decimal { micros, negative })
}

fn scalar(code: &str, bytes: &[u8]) -> Value {
    let kind = match code.as_bytes().first() {
        Some(b'b') => DtypeKind::Bool,
        Some(b'i') => DtypeKind::Int,
        Some(b'u') => DtypeKind::Unsigned,
        Some(b'f') => DtypeKind::Float,
        _ => return UNKNOWN,
    };
    number_of(kind, bytes).unwrap_or(UNKNOWN)
}
