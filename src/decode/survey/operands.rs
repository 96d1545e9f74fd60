//! Numbers and texts, as they stand behind their opcodes.

use super::super::error::{Fault, PickleFault};
use super::super::pickle::{opcode as op, text};
use super::thing::{Content, TextKind, Thing};
use super::walk::Walk;

impl Walk<'_> {
    pub(super) fn integer(&mut self, code: u8) -> Result<(), Fault> {
        let thing = match code {
            op::BININT => Thing::Int(i32::from_le_bytes(self.reader.array()?).into()),
            op::BININT1 => Thing::Int(self.reader.byte()?.into()),
            op::BININT2 => Thing::Int(u16::from_le_bytes(self.reader.array()?).into()),
            op::INT | op::LONG => match self.reader.line()? {
                b"00" if code == op::INT => Thing::Bool(false),
                b"01" if code == op::INT => Thing::Bool(true),
                line => match text::decimal_integer(line.strip_suffix(b"L").unwrap_or(line))? {
                    text::Integer::Small(small) => Thing::Int(small),
                    text::Integer::Large(digits) => {
                        let text = String::from_utf8_lossy(&digits).into_owned();
                        self.long(text)
                    }
                },
            },
            _ => {
                let length = if code == op::LONG1 { self.reader.byte()?.into() } else { self.length(code)? };
                match text::binary_integer(self.reader.text(length)?) {
                    text::Integer::Small(small) => Thing::Int(small),
                    text::Integer::Large(bytes) => {
                        let text = shown_long(bytes);
                        self.long(text)
                    }
                }
            }
        };
        self.push(thing)
    }

    fn long(&self, mut text: String) -> Thing {
        const DIGITS_KEPT: usize = 80;
        if text.len() > DIGITS_KEPT && text.is_ascii() {
            text = format!("<an int of {} digits>", text.len());
        }
        self.maker.node(self.reader.opcode_offset, Content::Long(text.into()))
    }

    fn length(&mut self, code: u8) -> Result<u64, Fault> {
        Ok(match code {
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING | op::SHORT_BINBYTES => self.reader.byte()?.into(),
            op::BINUNICODE | op::BINBYTES => u32::from_le_bytes(self.reader.array()?).into(),
            op::BINSTRING | op::LONG4 => {
                let length = i32::from_le_bytes(self.reader.array()?);
                u64::try_from(length).map_err(|_| PickleFault::NegativeLength)?
            }
            _ => u64::from_le_bytes(self.reader.array()?),
        })
    }

    /// Keeps the beginning of a text, however long, and skips the rest.
    pub(super) fn text(&mut self, code: u8, kind: TextKind) -> Result<(), Fault> {
        const PIECE_BYTES: u64 = 4 << 10;
        let length = self.length(code)?;
        let kept = self.reader.bytes(length.min(PIECE_BYTES) as usize)?.to_vec();
        let mut rest = length - kept.len() as u64;
        while rest > 0 {
            let piece = rest.min(PIECE_BYTES);
            self.reader.bytes(piece as usize)?;
            rest -= piece;
        }
        self.producer.old_strings += u64::from(kind == TextKind::OldStr);
        let text = self.maker.text(self.reader.opcode_offset, kind, &kept, length);
        self.push(text)
    }

    pub(super) fn push_text(&mut self, kind: TextKind, text: &[u8]) -> Result<(), Fault> {
        self.producer.old_strings += u64::from(kind == TextKind::OldStr);
        let text = self.maker.text(self.reader.opcode_offset, kind, text, text.len() as u64);
        self.push(text)
    }
}

fn shown_long(bytes: &[u8]) -> String {
    const BYTES_SHOWN: usize = 32;
    if bytes.len() > BYTES_SHOWN {
        return format!("<an int of {} bytes>", bytes.len());
    }
    text::decimal_text(bytes)
}
