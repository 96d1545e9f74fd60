//! All columns of a dump, those too that no row reads, for a survey of what is in an object.

use std::borrow::Cow;

use super::super::error::Fault;
use super::super::survey::{EXAMPLE_CHARS_MAX, FieldTally, FoundReject, Place, Seen, blame, quoted, shown_name, typed};
use super::column::{Column, Resolver, Source};
use super::globals::Global;
use super::machine::Machine;
use super::numpy::{Cells, Dtype, Kind};
use super::storage::Store;
use super::text::decimal_text;
use super::value::Value;
use crate::model::micros;
use crate::model::{LogSchema, RejectReason};

/// A column and what it is called.
type Named = (Vec<u8>, Column);

impl Machine<'_> {
    /// Tallies the columns of the dump that was read last, and finds rejected rows by their place in it. `None` when it
    /// held no columns.
    pub(in super::super) fn survey_columns(
        &mut self,
        schema: &LogSchema,
        wanted: &[(u64, RejectReason)],
        tally: &mut FieldTally,
    ) -> Result<Option<Vec<FoundReject>>, Fault> {
        let Some(columns) = self.named_columns()? else { return Ok(None) };
        for (name, column) in &columns {
            self.survey_column(schema, name, column, tally)?;
        }
        let mut found = Vec::new();
        for &(row, reason) in wanted {
            found.push(self.find_reject(schema, row, reason, &columns)?);
        }
        Ok(Some(found))
    }

    fn named_columns(&mut self) -> Result<Option<Vec<Named>>, Fault> {
        let value = self.value;
        let frame = self.store.object(value).filter(|object| object.class == Global::Frame);
        if let Some(frame) = frame {
            return self.resolver().all_of_frame(frame).map(Some);
        }
        let Value::Dict(id) = value else { return Ok(None) };
        if !self.holds_columns(id) {
            return Ok(None);
        }
        let mut values: Vec<(Vec<u8>, Value)> = Vec::new();
        for &(field, value) in self.store.items(id) {
            values.push((self.fields.name(field).as_bytes().to_vec(), value));
        }
        for (key, value) in self.top_level.unknown() {
            let name = match self.store.key_text(key, self.fields) {
                Some(name) => name.as_bytes().to_vec(),
                None => shown(key, &self.store, self).into_bytes(),
            };
            match values.iter_mut().find(|known| known.0 == name) {
                Some(known) => known.1 = value,
                None => values.push((name, value)),
            }
        }
        let mut columns = Vec::new();
        for (name, value) in values {
            if let Some(column) = self.resolver().column(value, 0)? {
                columns.push((name, column));
            }
        }
        Ok(Some(columns))
    }

    fn survey_column(
        &mut self,
        schema: &LogSchema,
        name: &[u8],
        column: &Column,
        tally: &mut FieldTally,
    ) -> Result<(), Fault> {
        let field = tally.field(Place::Row, name, || shown_name(name));
        if let Some(dtype) = column.dtype_name() {
            tally.set_dtype(field, &dtype);
        }
        let are_ads = name == schema.ads.as_bytes();
        for index in 0..column.length {
            self.store.begin_scratch();
            let value = column.field(index, &mut self.store, self.limits.text_bytes_max)?;
            let is_null = match value {
                Value::None | Value::Missing | Value::NotAvailable => true,
                Value::Float(value) => value.is_nan(),
                _ => false,
            };
            let example = || shown(value, &self.store, self);
            tally.see(field, Seen { type_name: type_name(value), is_null, example: &example });
            if are_ads {
                self.survey_ads(schema, value, tally);
            }
            self.store.end_scratch();
        }
        Ok(())
    }

    /// Of a first ad that is a dict only the fields that count are held.
    fn survey_ads(&self, schema: &LogSchema, ads: Value, tally: &mut FieldTally) {
        let first = match ads {
            Value::Text(span) | Value::OldText(span) | Value::Utf8(span) => {
                return tally.see_json_text(self.store.bytes(span));
            }
            _ => self.store.element(ads, 0),
        };
        let Some(Value::Dict(first)) = first else { return };
        tally.ads += 1;
        for name in [&schema.inventory, &schema.ad, &schema.demand] {
            let Some(value) = self.fields.find(name.as_bytes()).and_then(|field| self.store.get(first, field)) else {
                continue;
            };
            let field = tally.field(Place::FirstAd, name.as_bytes(), || name.clone());
            let example = || shown(value, &self.store, self);
            tally.see(field, Seen { type_name: type_name(value), is_null: value == Value::None, example: &example });
        }
    }

    fn find_reject(
        &mut self,
        schema: &LogSchema,
        row: u64,
        reason: RejectReason,
        columns: &[Named],
    ) -> Result<FoundReject, Fault> {
        self.store.begin_scratch();
        let mut values: Vec<(&[u8], Value)> = Vec::new();
        for (name, column) in columns {
            let is_read = self.fields.find(name).is_some();
            if is_read && (row as usize) < column.length {
                let value = column.field(row as usize, &mut self.store, self.limits.text_bytes_max)?;
                values.push((name, value));
            }
        }
        let tell = |value: Value| (value, typed(&type_name(value), &shown(value, &self.store, self)));
        let look = |name: &str| values.iter().rfind(|known| known.0 == name.as_bytes()).map(|known| tell(known.1));
        let ads = values.iter().rfind(|known| known.0 == schema.ads.as_bytes()).map(|known| known.1);
        let first_ad = ads.and_then(|ads| self.store.element(ads, 0));
        let look_ad = |name: &str| {
            let Some(Value::Dict(first)) = first_ad else { return None };
            self.store.get(first, self.fields.find(name.as_bytes())?).map(tell)
        };
        let (field, value) = blame(schema, reason, &look, &look_ad);
        self.store.end_scratch();
        Ok(FoundReject { row, reason, offset: None, dump_offset: 0, field, value })
    }
}

impl Resolver<'_> {
    fn text_of(&self, label: Value) -> Vec<u8> {
        match self.store.key_text(label, self.fields) {
            Some(text) => text.as_bytes().to_vec(),
            None => match label {
                Value::Int(number) => number.to_string().into_bytes(),
                _ => b"(not a text)".to_vec(),
            },
        }
    }

    fn all_of_frame(&mut self, frame: super::objects::Object) -> Result<Vec<Named>, Fault> {
        let manager = self.manager(frame)?;
        let (blocks, axes) = self.blocks(manager)?;
        let Some(labels) = self.labels(axes)? else { return Ok(Vec::new()) };
        let mut columns = Vec::new();
        for position in 0..labels.length.min(COLUMNS_MAX) {
            let label = labels.value(position, self.store, self.limits.text_bytes_max)?;
            let name = self.text_of(label);
            for &(values, placement) in &blocks {
                let width = self.width(values)?;
                if let Some(row) = self.place(placement, width, position)?
                    && let Some(column) = self.column(values, row)?
                {
                    columns.push((name, column.of_pandas()));
                    break;
                }
            }
        }
        Ok(columns)
    }
}

/// So many columns of a frame are looked at.
const COLUMNS_MAX: usize = 256;

impl Column {
    /// What numpy or pandas calls the type of its values. `None` for a list or tuple.
    fn dtype_name(&self) -> Option<Cow<'static, str>> {
        let of = |cells: Cells| match cells {
            Cells::Objects(_) => Cow::Borrowed("object"),
            Cells::Packed { dtype, .. } => dtype.name(),
        };
        Some(match &self.source {
            Source::Items(_) => return None,
            Source::Lane(lane) => of(lane.cells),
            // pandas writes its nullable types in capitals.
            Source::Masked { data, .. } => match &*of(data.cells) {
                "bool" => "boolean".into(),
                name => format!("{}{}", name[..1].to_uppercase(), &name[1..]).replace("Uint", "UInt").into(),
            },
            Source::Coded { categories, .. } => {
                let first = categories.first().map_or("nothing".into(), |&first| type_name(first));
                format!("category of {} {first}", categories.len()).into()
            }
            Source::Chunks { chunks, .. } => match chunks.first() {
                Some(chunk) => format!("pyarrow {}", chunk.kind_name()).into(),
                None => "pyarrow".into(),
            },
            Source::Unreadable => "arrays".into(),
        })
    }
}

impl Dtype {
    pub fn name(self) -> Cow<'static, str> {
        let bits = self.size * 8;
        match self.kind {
            Kind::Bool => "bool".into(),
            Kind::Int => format!("int{bits}").into(),
            Kind::Unsigned => format!("uint{bits}").into(),
            Kind::Float => format!("float{bits}").into(),
            Kind::Time(_) => "datetime64".into(),
            Kind::Text => format!("U{}", self.size / 4).into(),
            Kind::Bytes => format!("S{}", self.size).into(),
            Kind::Object => "object".into(),
            Kind::Other => "another dtype".into(),
        }
    }
}

/// A number of that kind, little-endian.
pub fn number_of(kind: Kind, bytes: &[u8]) -> Option<Value> {
    Dtype::little(kind, bytes.len()).small(bytes)
}

/// Whether a global has a meaning here.
pub fn knows_global(module: &str, name: &str) -> bool {
    Global::find(module, name).is_ok()
}

fn type_name(value: Value) -> Cow<'static, str> {
    Cow::Borrowed(match value {
        Value::Absent => "nothing",
        Value::None => "None",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Long(_) | Value::Digits(_) => "int",
        Value::Float(value) if value.is_nan() => "float NaN",
        Value::Float(_) => "float",
        Value::Field(_) | Value::Text(_) | Value::Surrogates(_) | Value::JsonAds(_) => "str",
        Value::OldText(_) => "str of Python 2",
        Value::Utf8(_) | Value::Bytes(_) => "bytes",
        Value::ByteArray(_) => "bytearray",
        Value::Decimal { .. } => "Decimal",
        Value::Dict(_) => "dict",
        Value::List(_) | Value::Ads(_) => "list",
        Value::Tuple(_) => "tuple",
        Value::Set(_) => "set",
        Value::FrozenSet(_) => "frozenset",
        Value::Time(_) => "datetime",
        Value::Duration(_) => "timedelta",
        Value::Offset(_) => "tzinfo",
        Value::NotAvailable => "NA",
        Value::Missing => "NaN, NaT or NA",
        Value::Payload(_) => "a long text",
        Value::Object(_) | Value::Opaque { .. } | Value::Global(_) => "object",
    })
}

fn shown(value: Value, store: &Store, machine: &Machine<'_>) -> String {
    let quoted = |bytes: &[u8]| quoted(bytes, EXAMPLE_CHARS_MAX);
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Field(field) => quoted(machine.fields.name(field).as_bytes()),
        Value::Text(span) | Value::Surrogates(span) | Value::OldText(span) | Value::Utf8(span) => {
            quoted(store.bytes(span))
        }
        Value::Bytes(span) | Value::ByteArray(span) => {
            let bytes = store.bytes(span);
            format!("b'{}'", bytes[..bytes.len().min(EXAMPLE_CHARS_MAX)].escape_ascii())
        }
        Value::Long(span) if span.length <= 32 => decimal_text(store.bytes(span)),
        Value::Digits(span) if span.length <= 80 => store.text(span).to_owned(),
        Value::Decimal { micros, .. } => micros::decimal_text(micros.into(), 6),
        Value::Time(seconds) => format!("{seconds} s since 1970"),
        Value::List(id) => format!("[… {} in all]", store.length(id)),
        Value::Tuple(id) => format!("(… {} in all)", store.length(id)),
        Value::Dict(_) => "{…}".to_owned(),
        _ => String::new(),
    }
}
