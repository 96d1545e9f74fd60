//! What the header of a gzip member says of who wrote it (RFC 1952, 2.3).

/// Of the first member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GzipHeader {
    /// Unix seconds; 0 is none.
    pub modified: u32,
    /// XFL: 2 is the slowest compression, 4 the fastest.
    pub extra_flags: u8,
    pub os: u8,
    pub name: Option<String>,
    pub comment: Option<String>,
}

const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;

impl GzipHeader {
    /// `None` where there is no whole header.
    pub fn of(body: &[u8]) -> Option<GzipHeader> {
        let &[0x1f, 0x8b, _, flags, t0, t1, t2, t3, extra_flags, os, ref rest @ ..] = body else { return None };
        let mut rest = rest;
        if flags & FLAG_EXTRA != 0 {
            let &[low, high, ref after @ ..] = rest else { return None };
            rest = after.get(usize::from(u16::from_le_bytes([low, high]))..)?;
        }
        let name = if flags & FLAG_NAME != 0 { Some(text(&mut rest)?) } else { None };
        let comment = if flags & FLAG_COMMENT != 0 { Some(text(&mut rest)?) } else { None };
        Some(GzipHeader { modified: u32::from_le_bytes([t0, t1, t2, t3]), extra_flags, os, name, comment })
    }

    pub fn os_name(&self) -> &'static str {
        match self.os {
            0 => "FAT",
            1 => "Amiga",
            2 => "VMS",
            3 => "Unix",
            4 => "VM/CMS",
            5 => "Atari",
            6 => "HPFS",
            7 => "Macintosh",
            8 => "Z-System",
            9 => "CP/M",
            10 => "TOPS-20",
            11 => "NTFS",
            12 => "QDOS",
            13 => "Acorn RISCOS",
            255 => "unknown",
            _ => "undefined",
        }
    }

    pub fn compression(&self) -> &'static str {
        match self.extra_flags {
            2 => "slowest",
            4 => "fastest",
            0 => "not said",
            _ => "undefined",
        }
    }
}

/// Latin-1 up to a zero byte.
fn text(rest: &mut &[u8]) -> Option<String> {
    const CHARS_MAX: usize = 200;
    let end = rest.iter().position(|&byte| byte == 0)?;
    let text = rest[..end].iter().take(CHARS_MAX).map(|&byte| char::from(byte)).collect();
    *rest = &rest[end + 1..];
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff", Some((0, "slowest", "unknown", None)))]
    #[case(b"\x1f\x8b\x08\x08\x01\x00\x00\x00\x04\x03ads.pkl\0", Some((1, "fastest", "Unix", Some("ads.pkl"))))]
    #[case(b"\x1f\x8b\x08\x0c\x00\x00\x00\x00\x00\x0b\x02\x00xxna\xefve\0", Some((0, "not said", "NTFS", Some("na\u{ef}ve"))))]
    #[case(b"\x1f\x8b\x08\x08\x01\x00\x00\x00\x04\x03ads.pkl", None)]
    #[case(b"\x1f\x8b\x08", None)]
    #[case(b"\x80\x04].", None)]
    fn header_is_read_as_rfc_1952_has_it(
        #[case] body: &[u8],
        #[case] expected: Option<(u32, &str, &str, Option<&str>)>,
    ) {
        let header = GzipHeader::of(body);
        let found = header.as_ref().map(|it| (it.modified, it.compression(), it.os_name(), it.name.as_deref()));
        assert_eq!(found, expected);
    }
}
