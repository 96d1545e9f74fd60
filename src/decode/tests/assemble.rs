//! Pickles put together by hand, for what no pickler would write and for one field at a time.

pub const NONE: &[u8] = b"N";
pub const TRUE: &[u8] = b"\x88";
/// 2024-06-10 15:13:20 in Seoul.
pub const TIMESTAMP: &[u8] = b"J\x80\x99ff";

pub fn text(text: &str) -> Vec<u8> {
    [b"X", (text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

pub fn bytes(bytes: &[u8]) -> Vec<u8> {
    [b"B", (bytes.len() as u32).to_le_bytes().as_slice(), bytes].concat()
}

/// Python 2's `str`.
pub fn old_text(bytes: &[u8]) -> Vec<u8> {
    [b"T", (bytes.len() as u32).to_le_bytes().as_slice(), bytes].concat()
}

pub fn float(value: f64) -> Vec<u8> {
    [b"G".as_slice(), &value.to_be_bytes()].concat()
}

/// Of any size.
pub fn int(decimal: &str) -> Vec<u8> {
    format!("L{decimal}L\n").into_bytes()
}

pub fn decimal(text: &str) -> Vec<u8> {
    format!("cdecimal\nDecimal\n(V{text}\ntR").into_bytes()
}

pub fn list(items: &[&[u8]]) -> Vec<u8> {
    [b"](", items.concat().as_slice(), b"e"].concat()
}

pub fn dict(items: &[(&str, &[u8])]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|(key, value)| [text(key), value.to_vec()].concat()).collect();
    [b"}(", items.as_slice(), b"u"].concat()
}

/// The dump of a value.
pub fn dump(value: &[u8]) -> Vec<u8> {
    [value, b"."].concat()
}
