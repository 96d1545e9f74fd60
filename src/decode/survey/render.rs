//! Things in words: what Python calls their types, and something like their `repr`, short and safe to print.

use std::borrow::Cow;

use super::thing::{Call, Content, How, Items, Kind, TextKind, Thing};

const DEPTH_MAX: usize = 16;

/// Something like `repr(thing)`: at most about `chars_max` characters, none of which a terminal acts upon.
pub(super) fn render(thing: &Thing, chars_max: usize) -> String {
    let mut writer = Writer { text: String::new(), room: chars_max };
    writer.thing(thing, DEPTH_MAX);
    writer.text
}

/// As `render`, of text that is at hand.
pub(in crate::decode) fn quoted(text: &[u8], chars_max: usize) -> String {
    let mut writer = Writer { text: String::new(), room: chars_max };
    writer.quoted(text, text.len() as u64);
    writer.text
}

struct Writer {
    text: String,
    /// Characters that may still be written.
    room: usize,
}

impl Writer {
    /// False when there is no room left; what does not fit ends in an ellipsis.
    fn write(&mut self, text: &str) -> bool {
        for character in text.chars() {
            if self.room == 0 {
                if !self.text.ends_with('…') {
                    self.text.push('…');
                }
                return false;
            }
            self.room -= 1;
            self.text.push(character);
        }
        true
    }

    fn thing(&mut self, thing: &Thing, depth: usize) {
        match thing {
            Thing::None => self.write("None"),
            Thing::Bool(true) => self.write("True"),
            Thing::Bool(false) => self.write("False"),
            Thing::Int(value) => self.write(&value.to_string()),
            Thing::Float(value) if value.is_nan() => self.write("nan"),
            Thing::Float(value) => self.write(&format!("{value:?}")),
            Thing::Forgotten => self.write("<not kept>"),
            Thing::Node(_) if depth == 0 || self.room == 0 => self.write("…"),
            Thing::Node(node) => {
                match &*node.content.borrow() {
                    Content::Text { kind, kept, length } => self.text(*kind, kept, *length),
                    Content::Long(text) => drop(self.write(text)),
                    Content::Global { module, name } => self.global(module, name),
                    Content::Container(kind, items) => self.container(*kind, items, depth - 1),
                    Content::Call(call) => self.call(call, depth - 1),
                }
                true
            }
        };
    }

    fn text(&mut self, kind: TextKind, kept: &[u8], length: u64) {
        match kind {
            TextKind::Str | TextKind::OldStr => self.quoted(kept, length),
            TextKind::Bytes | TextKind::ByteArray => {
                let (before, after) = if kind == TextKind::Bytes { ("b", "") } else { ("bytearray(b", ")") };
                self.write(before);
                let escaped: String = kept.iter().take(self.room).map(|byte| byte.escape_ascii().to_string()).collect();
                self.write(&format!("'{escaped}'"));
                self.rest(kept, length);
                self.write(after);
            }
        }
    }

    fn quoted(&mut self, kept: &[u8], length: u64) {
        let text = String::from_utf8_lossy(kept);
        let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
        self.write(&quote.to_string());
        let whole = text.chars().all(|character| match character {
            '\\' => self.write("\\\\"),
            character if character == quote => self.write(&format!("\\{quote}")),
            character if character.is_control() => self.write(&character.escape_default().to_string()),
            character => self.write(character.encode_utf8(&mut [0; 4])),
        });
        if whole {
            self.write(&quote.to_string());
            self.rest(kept, length);
        }
    }

    fn rest(&mut self, kept: &[u8], length: u64) {
        if length > kept.len() as u64 {
            self.write(&format!("… ({length} bytes)"));
        }
    }

    fn global(&mut self, module: &str, name: &str) {
        if !matches!(module, "builtins" | "__builtin__") {
            self.write(&format!("{}.", module.escape_debug()));
        }
        self.write(&name.escape_debug().to_string());
    }

    fn container(&mut self, kind: Kind, items: &Items, depth: usize) {
        let (before, after) = match kind {
            Kind::List => ("[", "]"),
            Kind::Tuple if items.length == 1 => ("(", ",)"),
            Kind::Tuple => ("(", ")"),
            Kind::Set if items.length == 0 => ("set(", ")"),
            Kind::Set => ("{", "}"),
            Kind::FrozenSet => ("frozenset({", "})"),
            Kind::Dict => ("{", "}"),
            Kind::OrderedDict => ("OrderedDict({", "})"),
        };
        self.write(before);
        self.items(items, kind.is_dict(), depth);
        self.write(after);
    }

    fn items(&mut self, items: &Items, is_dict: bool, depth: usize) {
        for (at, thing) in items.first.iter().enumerate() {
            let is_value = is_dict && at % 2 == 1;
            let separator = if is_value { ": " } else { ", " };
            if at > 0 && !self.write(separator) {
                return;
            }
            self.thing(thing, depth);
        }
        let shown = items.first.len() as u64 / if is_dict { 2 } else { 1 };
        if shown < items.length {
            self.write(&format!(", … ({} in all)", items.length));
        }
    }

    fn call(&mut self, call: &Call, depth: usize) {
        if depth == 0 {
            self.write("…");
            return;
        }
        if let How::Outside(what) = call.how {
            self.write(what);
            self.write("(");
            self.thing(&call.arguments, depth);
            self.write(")");
            return;
        }
        self.thing(&call.callable, depth);
        self.write(if call.how == How::New { ".__new__(" } else { "(" });
        if call.how == How::New {
            self.thing(&call.callable, depth);
        }
        let mut first = call.how == How::Call;
        let mut separate = |writer: &mut Self| {
            let wanted = !std::mem::take(&mut first);
            !wanted || writer.write(", ")
        };
        match call.arguments.node().map(|node| node.content.borrow()).as_deref() {
            Some(Content::Container(_, items)) => {
                for thing in &items.first {
                    if !separate(self) {
                        return;
                    }
                    self.thing(thing, depth - 1);
                }
            }
            _ => {
                separate(self);
                self.write("*");
                self.thing(&call.arguments, depth - 1);
            }
        }
        if let Some(keywords) = &call.keywords {
            separate(self);
            self.write("**");
            self.thing(keywords, depth - 1);
        }
        self.write(")");
        if let Some(state) = &call.state {
            self.write(".__setstate__(");
            self.thing(state, depth - 1);
            self.write(")");
        }
    }
}

/// What Python calls the thing's type; of a call, what it would give, as far as the name of what is called tells.
pub(super) fn type_name(thing: &Thing) -> Cow<'static, str> {
    match thing {
        Thing::None => "None".into(),
        Thing::Bool(_) => "bool".into(),
        Thing::Int(_) => "int".into(),
        Thing::Float(value) if value.is_nan() => "float NaN".into(),
        Thing::Float(_) => "float".into(),
        Thing::Forgotten => "not kept".into(),
        Thing::Node(node) => match &*node.content.borrow() {
            Content::Text { kind: TextKind::Str, .. } => "str".into(),
            Content::Text { kind: TextKind::OldStr, .. } => "str of Python 2".into(),
            Content::Text { kind: TextKind::Bytes, .. } => "bytes".into(),
            Content::Text { kind: TextKind::ByteArray, .. } => "bytearray".into(),
            Content::Long(_) => "int".into(),
            Content::Global { module, name } if &**name == "NA" && module.starts_with("pandas") => "NA".into(),
            Content::Global { module, name } => format!("the name {module}.{name}").into(),
            Content::Container(kind, _) => container_name(*kind).into(),
            Content::Call(call) => call_name(call),
        },
    }
}

fn container_name(kind: Kind) -> &'static str {
    match kind {
        Kind::List => "list",
        Kind::Tuple => "tuple",
        Kind::Set => "set",
        Kind::FrozenSet => "frozenset",
        Kind::Dict => "dict",
        Kind::OrderedDict => "OrderedDict",
    }
}

fn call_name(call: &Call) -> Cow<'static, str> {
    let Some((module, name)) = call.callable.global() else { return "what a call gives".into() };
    match (module.as_str(), name.as_str()) {
        ("decimal", "Decimal") | ("datetime", _) => name.into(),
        (_, "scalar") if module.starts_with("numpy") => match scalar_code(call) {
            Some(code) => format!("numpy.{}", dtype_name(&code)).into(),
            None => "numpy scalar".into(),
        },
        (_, "_reconstruct" | "_frombuffer") if module.starts_with("numpy") => "numpy array".into(),
        ("copy_reg" | "copyreg", "_reconstructor") => match call.arguments.item(0).and_then(|class| class.global()) {
            Some((module, name)) => format!("{module}.{name}").into(),
            None => "object".into(),
        },
        (_, "_unpickle_timestamp" | "Timestamp") if module.starts_with("pandas") => "Timestamp".into(),
        (_, "_timedelta_unpickle" | "Timedelta") if module.starts_with("pandas") => "Timedelta".into(),
        (_, "_nat_unpickle" | "__nat_unpickle") => "NaT".into(),
        _ => format!("{module}.{name}").into(),
    }
}

/// `f8` of `scalar(dtype('f8'), bytes)`.
pub(super) fn scalar_code(call: &Call) -> Option<String> {
    let dtype = call.arguments.item(0)?;
    match &*dtype.node()?.content.borrow() {
        Content::Call(dtype) => dtype.arguments.item(0)?.text(),
        _ => None,
    }
}

/// numpy's name of what its type code says.
pub(in crate::decode) fn dtype_name(code: &str) -> String {
    let bits = code.get(1..).and_then(|bytes| bytes.parse::<u32>().ok()).map(|bytes| bytes.saturating_mul(8));
    match (code.chars().next(), bits) {
        (Some('b'), Some(8)) => "bool".to_owned(),
        (Some('i'), Some(bits)) => format!("int{bits}"),
        (Some('u'), Some(bits)) => format!("uint{bits}"),
        (Some('f'), Some(bits)) => format!("float{bits}"),
        (Some('M'), _) => "datetime64".to_owned(),
        (Some('m'), _) => "timedelta64".to_owned(),
        (Some('O'), _) => "object".to_owned(),
        _ => code.to_owned(),
    }
}
