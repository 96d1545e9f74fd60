//! The opcodes that make texts and bytes.

use super::super::error::{Fault, Limit, PickleFault};
use super::machine::Machine;
use super::opcode as op;
use super::text;
use super::value::Value;

impl Machine<'_> {
    pub(super) fn unicode(&mut self, code: u8) -> Result<(), Fault> {
        let value = if code == op::UNICODE {
            self.unicode_line()?
        } else {
            let length = self.length(code)?;
            if self.is_long(length) {
                return self.payload(length, true);
            }
            self.store.add_str(self.reader.text(length)?, self.fields)?
        };
        self.push(value)
    }

    fn unicode_line(&mut self) -> Result<Value, Fault> {
        match self.reader.line() {
            Ok(line) => {
                let text = text::raw_unicode_escape(line)?;
                return self.store.add_str(&text, self.fields);
            }
            Err(Fault::Limit(Limit::TextBytes)) => {}
            Err(fault) => return Err(fault),
        }
        // Too long for a field: an array's bytes, as protocol 0 writes them. Its escapes are read as they come.
        let mut text = Vec::new();
        let budget = &mut self.store.budget;
        self.reader.long_line(|escaped, is_last| {
            budget.reserve_scattered(&mut text, text::UTF8_PER_ESCAPED * escaped.len())?;
            Ok(text::unescape_unicode(escaped, is_last, &mut text)?)
        })?;
        self.store.add_payload(text, true)
    }

    pub(super) fn old_string(&mut self, code: u8) -> Result<(), Fault> {
        let value = if code == op::STRING {
            let text = text::quoted_string(self.reader.line()?)?;
            self.store.add_old_str(&text, self.fields)?
        } else {
            let length = self.length(code)?;
            self.store.add_old_str(self.reader.text(length)?, self.fields)?
        };
        self.push(value)
    }

    pub(super) fn byte_string(&mut self, code: u8) -> Result<(), Fault> {
        let length = self.length(code)?;
        if self.is_long(length) {
            return self.payload(length, false);
        }
        let bytes = self.reader.text(length)?;
        let value = match code {
            op::BYTEARRAY8 => Value::ByteArray(self.store.add_text(bytes)?),
            _ => self.store.add_bytes(bytes)?,
        };
        self.push(value)
    }

    /// Whether this is too long for a field. It may still be an array's, where it is kept apart; what cannot be kept is
    /// refused before it is read.
    fn is_long(&self, length: u64) -> bool {
        length > self.limits.text_bytes_max as u64 && length <= self.limits.decoder_bytes_max as u64
    }

    fn payload(&mut self, length: u64, is_text: bool) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        // All at once where the body may hold as much: growing would need twice the room.
        if length <= self.reader.source.rest_bytes_max() {
            self.store.budget.grow_scattered(&mut bytes, usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        self.reader.long_bytes(length, &mut bytes, &mut self.store.budget)?;
        let value = self.store.add_payload(bytes, is_text)?;
        self.push(value)
    }

    /// The length that comes before a text or bytes.
    fn length(&mut self, code: u8) -> Result<u64, Fault> {
        match code {
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING | op::SHORT_BINBYTES => Ok(u64::from(self.reader.byte()?)),
            op::BINUNICODE | op::BINBYTES => Ok(u64::from(u32::from_le_bytes(self.reader.array()?))),
            op::BINSTRING => self.signed_length(),
            _ => Ok(u64::from_le_bytes(self.reader.array()?)),
        }
    }

    pub(super) fn signed_length(&mut self) -> Result<u64, Fault> {
        let length = i32::from_le_bytes(self.reader.array()?);
        u64::try_from(length).map_err(|_| PickleFault::NegativeLength.into())
    }
}
