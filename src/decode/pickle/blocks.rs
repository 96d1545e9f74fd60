//! Rows from columns, a block of them at a time and column by column: each column's values are of one kind, so what is to
//! be done with them is decided once a block. By the rules of single rows, and where a row is not plain, as one.

use super::super::columns::{BLOCK_ROWS, Block, ID, MEASURE, NUMBERS_MAX, TIMESTAMP};
use super::super::error::Fault;
use super::super::fields::FieldId;
use super::super::rows::Rows;
use super::super::rules;
use super::column::Column;
use super::intern::TextName;
use super::keep::Keep;
use super::machine::Machine;
use super::memo::Word;
use super::storage::Store;
use super::value::Value;

impl Machine<'_> {
    /// Reads rows from columns of that length.
    pub(super) fn read_rows(
        &mut self,
        columns: &[(FieldId, Column)],
        length: usize,
        rows: &mut Rows,
    ) -> Result<(), Fault> {
        let fits = MEASURE + self.fields.measures.len() <= NUMBERS_MAX;
        let mut block = (fits && self.keep < Keep::Everything).then(Block::new);
        let mut index = 0;
        while index < length {
            let block_rows = rows.room().min(BLOCK_ROWS).min(length - index);
            let Some(block) = block.as_mut().filter(|_| block_rows > 0) else {
                self.read_row_of(columns, index, rows)?;
                index += 1;
                continue;
            };
            self.fill(columns, index, block_rows, block, rows);
            let mut at = 0;
            while at < block_rows {
                let plain = ((block.odd >> at).trailing_zeros() as usize).min(block_rows - at);
                rows.accept_block(block, at..at + plain)?;
                at += plain;
                if at < block_rows {
                    self.read_row_of(columns, index + at, rows)?;
                    at += 1;
                }
            }
            index += block_rows;
        }
        Ok(())
    }

    /// Reads one row as it is.
    fn read_row_of(&mut self, columns: &[(FieldId, Column)], index: usize, rows: &mut Rows) -> Result<(), Fault> {
        rows.begin();
        self.store.begin_scratch();
        for (field, column) in columns {
            rows.set(*field, column.field(index, &mut self.store, self.limits.text_bytes_max)?);
        }
        rows.end(&mut self.store)?;
        self.store.end_scratch();
        Ok(())
    }

    /// Reads a block as far as its rows are plain.
    fn fill(&mut self, columns: &[(FieldId, Column)], start: usize, length: usize, block: &mut Block, rows: &mut Rows) {
        let Self { fields, store, limits, .. } = self;
        let text_bytes_max = limits.text_bytes_max;
        let column = |field| columns.iter().find(|column| column.0 == field).map(|column| &column.1);
        block.odd = 0;
        let Block { numbers, codes, odd } = block;

        let window = &rows.schema.window;
        let Some(timestamps) = column(fields.timestamp) else {
            block.odd = u64::MAX;
            return;
        };
        let to = &mut numbers[TIMESTAMP][..length];
        *odd |= timestamps.convert(start, to, store, text_bytes_max, |value| rules::timestamp(value, window).ok());
        for (nth, &(field, kind)) in fields.measures.iter().enumerate() {
            let to = &mut numbers[MEASURE + nth][..length];
            match column(field) {
                Some(column) => {
                    let measure = |value| rules::measure(value, kind).ok();
                    *odd |= column.convert(start, to, store, text_bytes_max, measure);
                }
                None => to.fill(0),
            }
        }

        let (ads, media_key) = (column(fields.ads), column(fields.media_key));
        let (mut ads_words, mut media_words) = ([Word::FORGOTTEN; BLOCK_ROWS], [Word::FORGOTTEN; BLOCK_ROWS]);
        let ads_words = ads.and_then(|ads| ads.words(start, &mut ads_words[..length], store));
        let media_words = media_key.and_then(|media_key| media_key.words(start, &mut media_words[..length], store));
        let epoch = store.epoch();
        for at in 0..length {
            if *odd >> at & 1 == 1 {
                continue;
            }
            let kept = ads_words.and_then(|words| words[at].ads_place()).map(|place| store.ads(place));
            let number = media_words.and_then(|words| words[at].text_number());
            let known = number.and_then(|number| rows.known_code(TextName { epoch, number }));
            let value = |column: Option<&Column>, store: &mut Store| match column {
                Some(column) => column.field(start + at, store, text_bytes_max).ok(),
                None => Some(Value::Absent),
            };
            let (ids, code) = match (kept, known) {
                (Some(ids), Some(code)) => (Some(ids), Some(code)),
                _ => {
                    store.begin_scratch();
                    let ids = kept.or_else(|| rules::ids(value(ads, store)?, store, fields).ok()?.ok());
                    let code = ids.and_then(|_| known.or_else(|| rows.media_code(value(media_key, store)?, store)));
                    store.end_scratch();
                    (ids, code)
                }
            };
            let (Some(ids), Some(code)) = (ids, code) else {
                *odd |= 1 << at;
                continue;
            };
            for (nth, id) in ids.into_iter().enumerate() {
                numbers[ID + nth][at] = id;
            }
            codes[at] = code;
        }
    }
}
