//! `ads` as JSON text: the ids of the first object of a list of objects.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::Fields;
use crate::model::RejectReason;

/// Inventory, ad and demand id of a row.
pub(crate) type Ids = [i64; 3];

/// Reads JSON text. Blank text, `null` and `[]` are no ads: three zeros. The text as a whole must be valid, as Python's
/// `json` has it (`NaN` and `Infinity` are numbers there); elements after the first may be anything.
pub(crate) fn parse(text: &[u8], fields: &Fields) -> Result<Ids, RejectReason> {
    if let Some(ids) = flat(text, fields) {
        return Ok(ids);
    }
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok([0; 3]);
    }
    let ids = read(text, fields).or_else(|error| match strict_json(text) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(text) => read(&text, fields),
    });
    match ids {
        Ok([Some(inventory), Some(ad), Some(demand)]) => Ok([inventory, ad, demand]),
        Ok(_) => Err(RejectReason::IdNotAnInteger),
        Err(_) => Err(RejectReason::AdsUnreadable),
    }
}

/// Reads what nearly all `ads` look like, `[{"aid": 1, "_god": 2, "did": 3}]`: one object, keys without escapes, integers.
/// `None` for anything else, which `parse` reads.
pub(crate) fn flat(text: &[u8], fields: &Fields) -> Option<Ids> {
    let mut scan = Scan { text, at: 0 };
    let mut ids = [0; 3];
    scan.take(b'[')?;
    scan.take(b'{')?;
    loop {
        let key = scan.key()?;
        scan.take(b':')?;
        let value = scan.integer()?;
        for (id, field) in ids.iter_mut().zip(fields.ids) {
            if fields.name(field).as_bytes() == key {
                *id = value;
            }
        }
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scan.take(b']')?;
    scan.skip_blanks();
    (scan.at == text.len()).then_some(ids)
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Scan<'t> {
    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not blank.
    fn next(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.at += 1;
        self.text.get(self.at - 1).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A string of printable ASCII.
    fn key(&mut self) -> Option<&'t [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match *self.text.get(self.at)? {
                b'"' => break,
                b'\\' | 0..0x20 | 0x7f.. => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at - 1)
    }

    fn integer(&mut self) -> Option<i64> {
        /// So many digits fit.
        const DIGITS_MAX: usize = 18;
        self.skip_blanks();
        let negative = self.text.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let start = self.at;
        let mut value = 0;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            if self.at - start == DIGITS_MAX {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
        }
        let digits = self.text.get(start..self.at)?;
        let well_formed = !digits.is_empty() && (digits.len() == 1 || digits[0] != b'0');
        well_formed.then_some(if negative { -value } else { value })
    }
}

/// `None` for an id that is no integer.
type FoundIds = [Option<i64>; 3];

fn read(text: &[u8], fields: &Fields) -> Result<FoundIds, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let ids = json.deserialize_any(Ads { fields })?;
    json.end()?;
    Ok(ids)
}

/// Replaces what Python's `json` reads beyond the standard, or beyond a double. Outside of strings `NaN`, `Infinity`,
/// `-Infinity` and numbers of any size, which are infinite or integers of more than 64 bits there, become a number that is
/// no integer either; the blanks around it keep what was no JSON from becoming some. Inside of them an escaped surrogate,
/// which may be a lone one, becomes U+FFFD.
fn strict_json(text: &[u8]) -> Cow<'_, [u8]> {
    const NON_NUMBERS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let mut replaced = Vec::new();
    let (mut at, mut copied, mut in_string) = (0, 0, false);
    while let Some(&byte) = text.get(at) {
        let non_number = NON_NUMBERS.into_iter().find(|word| !in_string && text[at..].starts_with(word));
        let number_bytes = if in_string { 0 } else { number_bytes(&text[at..]) };
        if number_bytes > 0 && non_number.is_none() && !is_beyond_doubles(&text[at..at + number_bytes]) {
            at += number_bytes;
            continue;
        }
        let replacement: Option<(usize, &[u8])> = match non_number.map(<[u8]>::len) {
            Some(length) => Some((length, b" 0.5 ")),
            None if number_bytes > 0 => Some((number_bytes, b" 0.5 ")),
            None if in_string && is_escaped_surrogate(&text[at..]) => Some((6, br"\ufffd")),
            None => None,
        };
        if let Some((length, by)) = replacement {
            replaced.extend_from_slice(&text[copied..at]);
            replaced.extend_from_slice(by);
            at += length;
            copied = at;
            continue;
        }
        in_string ^= byte == b'"';
        at += if in_string && byte == b'\\' { 2 } else { 1 };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    replaced.extend_from_slice(&text[copied..]);
    Cow::Owned(replaced)
}

/// The length of the number that a text begins with (RFC 8259, section 6); 0 where it begins with none.
fn number_bytes(text: &[u8]) -> usize {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let start = usize::from(text.first() == Some(&b'-'));
    let mut end = match text.get(start) {
        Some(b'0') => start + 1,
        Some(b'1'..=b'9') => start + digits(start),
        _ => return 0,
    };
    if text.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = text.get(end + 1 + sign).map_or(0, |_| digits(end + 1 + sign));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

fn is_beyond_doubles(number: &[u8]) -> bool {
    std::str::from_utf8(number).is_ok_and(|number| number.parse::<f64>().is_ok_and(f64::is_infinite))
}

fn is_escaped_surrogate(text: &[u8]) -> bool {
    matches!(text, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', low, last, ..]
        if low.is_ascii_hexdigit() && last.is_ascii_hexdigit())
}

/// `null` or a list whose first element is an object.
struct Ads<'f> {
    fields: &'f Fields,
}

impl<'de> Visitor<'de> for Ads<'_> {
    type Value = FoundIds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_unit<E: de::Error>(self) -> Result<FoundIds, E> {
        Ok([Some(0); 3])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<FoundIds, A::Error> {
        let ids = elements.next_element_seed(First { fields: self.fields })?;
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(ids.unwrap_or([Some(0); 3]))
    }
}

/// The first element: an object.
struct First<'f> {
    fields: &'f Fields,
}

impl<'de> DeserializeSeed<'de> for First<'_> {
    type Value = FoundIds;

    fn deserialize<D: de::Deserializer<'de>>(self, element: D) -> Result<FoundIds, D::Error> {
        element.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for First<'_> {
    type Value = FoundIds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<FoundIds, A::Error> {
        let mut ids = [Some(0); 3];
        while let Some(roles) = items.next_key_seed(Roles { fields: self.fields })? {
            if roles == [false; 3] {
                items.next_value::<IgnoredAny>()?;
                continue;
            }
            let id = items.next_value_seed(Id)?;
            for (slot, _) in ids.iter_mut().zip(roles).filter(|(_, is_role)| *is_role) {
                *slot = id;
            }
        }
        Ok(ids)
    }
}

/// Which of the three ids a key names.
struct Roles<'f> {
    fields: &'f Fields,
}

impl<'de> DeserializeSeed<'de> for Roles<'_> {
    type Value = [bool; 3];

    fn deserialize<D: de::Deserializer<'de>>(self, key: D) -> Result<[bool; 3], D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Roles<'_> {
    type Value = [bool; 3];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<[bool; 3], E> {
        let field = self.fields.find(key.as_bytes());
        Ok(self.fields.ids.map(|id| Some(id) == field))
    }
}

/// An id's value: `None` when it is no integer.
struct Id;

impl<'de> DeserializeSeed<'de> for Id {
    type Value = Option<i64>;

    fn deserialize<D: de::Deserializer<'de>>(self, value: D) -> Result<Option<i64>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Id {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<i64>, E> {
        Ok(Some(0))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Option<i64>, E> {
        Ok(Some(i64::from(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Option<i64>, E> {
        Ok(Some(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Option<i64>, E> {
        Ok(i64::try_from(value).ok())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Option<i64>, E> {
        Ok(super::rules::integral(value))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Option<i64>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Option<i64>, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Option<i64>, A::Error> {
        while items.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn flat_text_is_read_as_any_json_is(parts in proptest::collection::vec(0usize..26, 0..14), plain: bool) {
            const PARTS: [&str; 26] = [
                "[", "]", "{", "}", ",", ":", " ", "\"aid\"", "\"_god\":", "\"did\": 3", "\"x\"", "1", "-2", "0", "00", "1.5",
                "1e2", "null", "true", "\"a\\u0069d\"", "999999999999999999", "9223372036854775808", "\"é\"", "\n", "NaN", "[]",
            ];
            let fields = Fields::of(&crate::decode::tests::schema());
            let inner: String = parts.iter().map(|&part| PARTS[part]).collect();
            let text = if plain { format!("[{{\"aid\":{inner}, \"_god\": 7}}]") } else { inner };
            if let Some(ids) = flat(text.as_bytes(), &fields) {
                prop_assert_eq!(read(text.as_bytes(), &fields).ok(), Some(ids.map(Some)), "{}", text);
            }
        }
    }
}
