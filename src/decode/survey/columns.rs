//! Rows that are laid out in columns: the machine that counts takes them apart, and all of them are looked at here.

use super::super::error::Fault;
use super::super::fields::Fields;
use super::super::gzip::Inflate;
use super::super::pickle::{Keep, Machine, Reader};
use super::super::rows::Rows;
use super::RowsOfDumps;
use super::asked::FoundReject;
use super::fields::FieldTally;
use crate::model::{Limits, LogSchema, RejectReason};

#[derive(Default)]
pub(super) struct InColumns {
    pub rows_of: RowsOfDumps,
    pub found: Vec<FoundReject>,
    pub incomplete: Option<String>,
}

/// Tallies the dumps of an object that hold columns; others are left to the walk. Ends at the first fault, as decoding
/// has.
pub(super) fn survey(
    body: &[u8],
    schema: &LogSchema,
    limits: &Limits,
    wanted: &[(u64, RejectReason)],
    tally: &mut FieldTally,
) -> InColumns {
    let fields = Fields::of(schema);
    let mut unseen = |_: &_| {};
    let mut rows = Rows::new(schema, &fields, limits, 0, None, &mut unseen);
    let reader = Reader::new(Inflate::new(body, limits), limits.text_bytes_max);
    let mut machine = Machine::new(reader, schema, &fields, limits);
    let mut columns = InColumns::default();
    for dump in 0.. {
        if !matches!(machine.reader.at_end(), Ok(false)) {
            break;
        }
        let rows_before = rows.rows;
        let seen = machine.read_dump(false, Keep::Everything, &mut rows).and_then(|_| {
            let in_dump = wanted.iter().filter(|wanted| (rows_before..rows.rows).contains(&wanted.0));
            let in_dump: Vec<_> = in_dump.map(|&(row, reason)| (row - rows_before, reason)).collect();
            machine.survey_columns(schema, &in_dump, tally)
        });
        match seen {
            Ok(None) => {}
            Ok(Some(found)) => {
                columns.rows_of.insert(dump, rows.rows - rows_before);
                columns
                    .found
                    .extend(found.into_iter().map(|reject| FoundReject { row: reject.row + rows_before, ..reject }));
            }
            Err(Fault::Limit(limit)) => {
                columns.incomplete = Some(format!("the survey of columns would exceed {limit}"));
                break;
            }
            Err(_) => break,
        }
    }
    columns
}
