//! The texts inside a pickle: numbers, escapes, encodings. Each is read as CPython's `_pickle.c` reads what a pickler
//! may write there; what only a hand could have written is refused.

use std::borrow::Cow;

use super::super::error::PickleFault;

/// An integer of decimal or binary text.
#[derive(Debug, PartialEq)]
pub enum Integer<T> {
    Small(i64),
    /// Beyond 64 bits, in its shortest form.
    Large(T),
}

/// `-12`, `12` and, for LONG, `12L`.
pub fn decimal_integer(line: &[u8]) -> Result<Integer<Cow<'_, [u8]>>, PickleFault> {
    if let Some(small) = short_integer(line) {
        return Ok(Integer::Small(small));
    }
    let line = trim(line);
    let (negative, digits) = match line.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, line),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(PickleFault::BadNumber);
    }
    if let Some(small) = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok()) {
        return Ok(Integer::Small(small));
    }
    let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
    let digits = &digits[leading..];
    Ok(Integer::Large(if negative { Cow::Owned([b"-", digits].concat()) } else { Cow::Borrowed(digits) }))
}

/// What nearly all integers are: a few digits, after a minus or nothing.
#[inline]
fn short_integer(line: &[u8]) -> Option<i64> {
    /// So many digits fit.
    const DIGITS_MAX: usize = 18;
    let (negative, digits) = match line {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut number = 0;
    for digit in digits {
        number = number * 10 + i64::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?);
    }
    Some(if negative { -number } else { number })
}

/// Little-endian two's complement; no bytes are 0.
pub fn binary_integer(bytes: &[u8]) -> Integer<&[u8]> {
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let filler = if negative { 0xff } else { 0 };
    let filled = bytes.iter().rev().take_while(|&&byte| byte == filler).count();
    let significant = bytes.len() - filled;
    let mut small = [filler; 8];
    if significant <= 8 {
        small[..significant].copy_from_slice(&bytes[..significant]);
        let small = i64::from_le_bytes(small);
        if (small < 0) == negative {
            return Integer::Small(small);
        }
    }
    // One byte of filler may carry the sign.
    Integer::Large(&bytes[..bytes.len().min(significant + 1)])
}

/// Decimal text of an integer in little-endian two's complement. Its cost grows with the square of its length.
pub fn decimal_text(bytes: &[u8]) -> String {
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut magnitude = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in &mut magnitude {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
        if carry {
            magnitude.push(1);
        }
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|&byte| byte != 0) {
        let mut remainder = 0u32;
        for byte in magnitude.iter_mut().rev() {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 10) as u8;
            remainder = value % 10;
        }
        digits.push(char::from(b'0' + remainder as u8));
    }
    if digits.is_empty() {
        digits.push('0');
    }
    let sign = negative.then_some('-');
    sign.into_iter().chain(digits.into_iter().rev()).collect()
}

/// What Python's `repr` writes of a float, `inf` and `nan` included.
pub fn float(line: &[u8]) -> Result<f64, PickleFault> {
    std::str::from_utf8(trim(line)).ok().and_then(|text| text.parse().ok()).ok_or(PickleFault::BadNumber)
}

/// The index of PUT and GET.
pub fn index(line: &[u8]) -> Result<u64, PickleFault> {
    match decimal_integer(line)? {
        Integer::Small(index) => u64::try_from(index).map_err(|_| PickleFault::BadNumber),
        Integer::Large(_) => Err(PickleFault::BadNumber),
    }
}

/// Files written on Windows in text mode end their lines with CR LF.
fn trim(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// The operand of STRING: a literal of Python 2 in its quotes.
pub fn quoted_string(line: &[u8]) -> Result<Vec<u8>, PickleFault> {
    let line = trim(line);
    match line {
        [first @ (b'\'' | b'"'), inner @ .., last] if first == last => unescape(inner),
        _ => Err(PickleFault::BadText),
    }
}

/// As `codecs.escape_decode`.
fn unescape(escaped: &[u8]) -> Result<Vec<u8>, PickleFault> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().ok_or(PickleFault::BadText)? {
            b'\n' => {}
            byte @ (b'\\' | b'\'' | b'"') => bytes.push(byte),
            b'a' => bytes.push(0x07),
            b'b' => bytes.push(0x08),
            b'f' => bytes.push(0x0c),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'v' => bytes.push(0x0b),
            b'x' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(hex_digit));
                let [Some(high), Some(low)] = digits else { return Err(PickleFault::BadText) };
                bytes.push((high << 4 | low) as u8);
            }
            byte @ b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = rest.clone().next() else { break };
                    rest.next();
                    code = code << 3 | u32::from(digit - b'0');
                }
                bytes.push(code as u8);
            }
            byte => bytes.extend([b'\\', byte]),
        }
    }
    Ok(bytes)
}

/// The operand of UNICODE: Latin-1 with `\uXXXX` and `\UXXXXXXXX`. The result is UTF-8, surrogates included.
pub fn raw_unicode_escape(escaped: &[u8]) -> Result<Vec<u8>, PickleFault> {
    let mut text = Vec::with_capacity(escaped.len());
    unescape_unicode(escaped, true, &mut text)?;
    Ok(text)
}

/// Bytes of UTF-8 that a byte of the operand becomes at most.
pub const UTF8_PER_ESCAPED: usize = 2;

/// Appends a piece of such an operand and says how much of it was read. An escape that the end of the piece may have cut
/// off is left, unless the piece is the last.
pub fn unescape_unicode(escaped: &[u8], is_last: bool, text: &mut Vec<u8>) -> Result<usize, PickleFault> {
    let mut rest = escaped.iter().copied();
    loop {
        let read = escaped.len() - rest.len();
        let Some(byte) = rest.next() else { return Ok(read) };
        let digits = match (byte, rest.clone().next()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', None) if !is_last => return Ok(read),
            (b'\\', Some(next)) => {
                rest.next();
                push_code_point(text, u32::from(byte))?;
                push_code_point(text, u32::from(next))?;
                continue;
            }
            _ => {
                push_code_point(text, u32::from(byte))?;
                continue;
            }
        };
        if rest.len() <= digits && !is_last {
            return Ok(read);
        }
        rest.next();
        let mut code = 0u32;
        for _ in 0..digits {
            let digit = rest.next().and_then(hex_digit).ok_or(PickleFault::BadText)?;
            code = code << 4 | digit;
        }
        push_code_point(text, code)?;
    }
}

fn hex_digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

fn push_code_point(text: &mut Vec<u8>, code: u32) -> Result<(), PickleFault> {
    match char::from_u32(code) {
        Some(character) => text.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None if (0xd800..0xe000).contains(&code) => {
            text.extend([0xe0 | (code >> 12) as u8, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8]);
        }
        None => return Err(PickleFault::BadText),
    }
    Ok(())
}

/// How bytes read as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Encoding {
    Utf8,
    /// UTF-8 but for lone surrogates, which Python's `surrogatepass` lets through.
    Surrogates,
    Neither,
}

impl Encoding {
    pub fn of(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut encoding = Encoding::Utf8;
        while let Err(error) = std::str::from_utf8(rest) {
            let Some(invalid) = rest.get(error.valid_up_to()..) else { return Encoding::Neither };
            if !starts_with_surrogate(invalid) {
                return Encoding::Neither;
            }
            encoding = Encoding::Surrogates;
            rest = &invalid[3..];
        }
        encoding
    }
}

fn starts_with_surrogate(bytes: &[u8]) -> bool {
    matches!(bytes, [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"", Integer::Small(0))]
    #[case(b"\xff", Integer::Small(-1))]
    #[case(b"\xff\x00", Integer::Small(255))]
    #[case(b"\x00\x00\x00\x00\x00\x00\x00\x80", Integer::Small(i64::MIN))]
    #[case(b"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", Integer::Small(1))]
    #[case(b"\x00\x00\x00\x00\x00\x00\x00\x80\x00", Integer::Large(b"\x00\x00\x00\x00\x00\x00\x00\x80\x00".as_slice()))]
    #[case(b"\xff\xff\xff\xff\xff\xff\xff\x7f\xff", Integer::Large(b"\xff\xff\xff\xff\xff\xff\xff\x7f\xff".as_slice()))]
    fn binary_integers_are_read(#[case] bytes: &[u8], #[case] expected: Integer<&[u8]>) {
        assert_eq!(binary_integer(bytes), expected);
    }

    #[rstest]
    #[case(b"\x00\x00\x00\x00\x00\x00\x00\x80\x00", "9223372036854775808")]
    #[case(b"\xff\xff\xff\xff\xff\xff\xff\x7f\xff", "-9223372036854775809")]
    #[case(b"\x00\x00\x10c-^\xc7k\x05", "100000000000000000000")]
    #[case(b"\x00\x80", "-32768")]
    #[case(b"", "0")]
    fn binary_integers_have_decimal_text(#[case] bytes: &[u8], #[case] expected: &str) {
        let trimmed = if bytes.len() == 8 { [bytes, b"\0"].concat() } else { bytes.to_vec() };
        assert_eq!(decimal_text(&trimmed), expected);
    }

    #[rstest]
    #[case(b"I", Err(PickleFault::BadNumber))]
    #[case(b"-", Err(PickleFault::BadNumber))]
    #[case(b"", Err(PickleFault::BadNumber))]
    #[case(b"1_0", Err(PickleFault::BadNumber))]
    #[case(b"-12", Ok(Integer::Small(-12)))]
    #[case(b"12\r", Ok(Integer::Small(12)))]
    #[case(b"009223372036854775808", Ok(Integer::Large(Cow::Borrowed(b"9223372036854775808".as_slice()))))]
    #[case(b"-9223372036854775809", Ok(Integer::Large(Cow::Borrowed(b"-9223372036854775809".as_slice()))))]
    fn decimal_integers_are_read(
        #[case] line: &[u8],
        #[case] expected: Result<Integer<Cow<'static, [u8]>>, PickleFault>,
    ) {
        assert_eq!(decimal_integer(line), expected);
    }

    #[rstest]
    #[case(br"'a\xff\n\\\'\101\8'", Ok(b"a\xff\n\\'A\\8".to_vec()))]
    #[case(br#""it's""#, Ok(b"it's".to_vec()))]
    #[case(br"'\x1'", Err(PickleFault::BadText))]
    #[case(br"'\'", Err(PickleFault::BadText))]
    #[case(br"'", Err(PickleFault::BadText))]
    #[case(br"abc", Err(PickleFault::BadText))]
    fn literals_of_python_2_are_read(#[case] line: &[u8], #[case] expected: Result<Vec<u8>, PickleFault>) {
        assert_eq!(quoted_string(line), expected);
    }

    #[rstest]
    #[case(b"\xe9\\u20ac\\U0001f600", Ok("é€😀".as_bytes().to_vec()))]
    #[case(br"\ud800", Ok(b"\xed\xa0\x80".to_vec()))]
    #[case(br"a\\u0041\", Ok(br"a\\u0041\".to_vec()))]
    #[case(br"\u00", Err(PickleFault::BadText))]
    #[case(br"\Uffffffff", Err(PickleFault::BadText))]
    fn raw_unicode_escapes_are_read(#[case] line: &[u8], #[case] expected: Result<Vec<u8>, PickleFault>) {
        assert_eq!(raw_unicode_escape(line), expected);
    }

    #[rstest]
    #[case(b"plain \xe9\\u20ac \\U0001f600\\\\u0041")]
    #[case(br"a\\u0041\")]
    #[case(br"\q\u005c\u005cu0041")]
    fn escapes_that_come_in_pieces_are_read_as_in_one(#[case] line: &[u8]) {
        for first in 0..=line.len() {
            for second in first..=line.len() {
                let (mut text, mut read) = (Vec::new(), 0);
                for end in [first, second, line.len()] {
                    read += unescape_unicode(&line[read..end], end == line.len(), &mut text).unwrap();
                }
                assert_eq!((read, Ok(text)), (line.len(), raw_unicode_escape(line)), "cut at {first} and {second}");
            }
        }
    }

    #[rstest]
    #[case("가😀".as_bytes(), Encoding::Utf8)]
    #[case(b"a\xed\xa0\x80b\xed\xb0\x80", Encoding::Surrogates)]
    #[case(b"\xed\xa0", Encoding::Neither)]
    #[case(b"\xff", Encoding::Neither)]
    #[case(b"\xed\xa0\x80\xff", Encoding::Neither)]
    fn encodings_are_told_apart(#[case] bytes: &[u8], #[case] expected: Encoding) {
        assert_eq!(Encoding::of(bytes), expected);
    }
}
