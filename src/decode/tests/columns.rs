//! Columns are read the same by the fast path, block by block, and by the machine, row by row, whatever the bytes are.

use std::collections::HashMap;

use proptest::prelude::*;

use super::assemble::*;
use super::fast::{Maker, Put, agree};
use super::pandas::{fixtures, inflated};
use super::{outcome, read};

/// Fields, and two that do not count.
const KEYS: [&str; 9] = ["ts", "mid", "ads", "xreq", "imp", "clk", "rev", "country", "xpsb"];

impl Maker {
    /// A dict of columns, in the maker's style.
    fn columns(&mut self) {
        (self.memo, self.entries) = (HashMap::new(), 0);
        if self.put == Put::Memoize {
            self.write(b"\x80\x04");
        }
        let rows = [0, 1, 2, 64, 65, 150][self.below(6) as usize];
        let one_by_one = self.put == Put::Decimal || self.chance(10);
        self.write(if self.put == Put::Decimal { b"(d" } else { b"}" });
        self.memoize(None);
        if !one_by_one {
            self.write(b"(");
        }
        let kept = if self.chance(70) { 9 } else { 1 + self.below(9) as usize };
        for key in &KEYS[..kept] {
            self.text(key, true);
            let rows = if self.chance(1) { rows + 1 } else { rows };
            self.column(key, rows);
            if one_by_one {
                self.write(b"s");
            }
        }
        if !one_by_one {
            self.write(b"u");
        }
        self.write(b".");
    }

    fn column(&mut self, key: &str, rows: u64) {
        let name = format!("column {}", self.below(8));
        if self.chance(4) && self.get(&name) {
            return;
        }
        if self.put != Put::Decimal && self.chance(8) {
            self.write(b"(");
            (0..rows).for_each(|_| self.element(key));
            self.write(b"t");
            return self.memoize(Some(&name));
        }
        self.write(if self.put == Put::Decimal { b"(l" } else { b"]" });
        self.memoize(Some(&name));
        // Sometimes the last elements come by the list's other name.
        let late = if self.chance(4) { 2.min(rows) } else { 0 };
        let batch = if self.put == Put::Decimal || self.chance(10) { 0 } else { 1 + self.below(70) };
        self.elements(key, rows - late, batch);
        if late > 0 && self.get(&name) {
            self.elements(key, late, 0);
            self.write(b"0");
        }
        if self.chance(4) && self.entries > 0 {
            self.look_back();
        }
    }

    fn elements(&mut self, key: &str, rows: u64, batch: u64) {
        for row in 0..rows {
            if batch > 0 && row % batch == 0 {
                self.write(b"(");
            }
            self.element(key);
            if batch == 0 {
                self.write(b"a");
            } else if row % batch == batch - 1 || row == rows - 1 {
                self.write(b"e");
            }
        }
    }

    fn element(&mut self, key: &str) {
        match key {
            "xreq" if self.chance(self.plain) => self.write(b"K\x01"),
            "xpsb" if self.chance(3) => self.write(b"]]a"),
            _ => self.value(key, 2),
        }
    }

    /// Names something again, and perhaps changes it.
    fn look_back(&mut self) {
        let entry = self.below(self.entries);
        self.write(format!("g{entry}\n").as_bytes());
        match self.below(12) {
            0 => self.write(b"Na"),
            1 => self.write(b"}a"),
            2 => self.write(&[text("aid"), b"K\x05s".to_vec()].concat()),
            3 => self.write(b"K\x01\x86"),
            _ => {}
        }
        self.write(b"0");
    }
}

/// Dumps of columns, and of rows between them.
fn pickles(seed: u64) -> Vec<u8> {
    let mut maker = Maker::new(seed);
    for _ in 0..1 + maker.below(3) {
        if maker.chance(15) {
            maker.dump();
        } else {
            maker.columns();
        }
    }
    maker.out
}

fn agree_in_all_batches(body: &[u8]) {
    agree(body, 7);
    agree(body, 1000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_paths_read_the_same_columns(seed: u64) {
        agree_in_all_batches(&pickles(seed));
    }

    #[test]
    fn both_paths_read_the_same_columns_of_damaged_pickles(seed: u64, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut body = pickles(seed);
        let at = at.index(body.len());
        body[at] = byte;
        agree_in_all_batches(&body);
        body.truncate(cut.index(body.len() + 1));
        agree_in_all_batches(&body);
    }

    #[test]
    fn both_paths_read_the_same_columns_of_spliced_pickles(seed: u64, from: prop::sample::Index, to: prop::sample::Index, length in 1usize..40) {
        let mut body = pickles(seed);
        let (from, to) = (from.index(body.len()), to.index(body.len()));
        let part = body[from..body.len().min(from + length)].to_vec();
        body.splice(to..to, part);
        agree_in_all_batches(&body);
    }
}

#[test]
fn both_paths_read_the_same_of_what_pandas_wrote_and_of_that_damaged() {
    let mut chance = Maker::new(5);
    for (_, body) in fixtures() {
        let whole = inflated(&body);
        agree_in_all_batches(&whole);
        for _ in 0..4 {
            let mut body = whole.clone();
            let at = chance.below(body.len() as u64) as usize;
            body[at] = chance.below(256) as u8;
            agree(&body, 7);
        }
    }
}

#[test]
fn made_columns_are_mostly_read() {
    let bodies = (1..300u64).map(|seed| pickles(seed * 7919));
    let read = bodies.filter(|body| read(body).is_ok_and(|read| !read.0.is_empty())).count();
    assert!(read > 150, "{read}");
}

fn columns(items: &[(&str, &[u8])]) -> Vec<u8> {
    dump(&dict(items))
}

/// `[{"aid": aid}]`.
fn ads(aid: u8) -> Vec<u8> {
    list(&[&dict(&[("aid", &[b'K', aid])])])
}

#[test]
fn one_list_of_ads_may_be_many_rows() {
    let shared = [b"](".as_slice(), &ads(7), b"q\x05h\x05h\x05e"].concat();
    let body = columns(&[("ts", &list(&[TIMESTAMP, TIMESTAMP, TIMESTAMP])), ("ads", &shared)]);
    assert_eq!(outcome(&body), ["1718000000  [7, 0, 0] [0, 0, 0, 0]"; 3].join("\n"));
}

#[test]
fn ads_that_change_after_they_were_listed_count_as_they_are_in_the_end() {
    // The dict in the list is memo 5, the list itself 6.
    let first = [b"]q\x06}q\x05(".as_slice(), &text("aid"), b"K\x07ua"].concat();
    let listed = list(&[&first, &ads(8)]);
    let times = list(&[TIMESTAMP, TIMESTAMP]);
    let changed = |by: &[u8]| outcome(&columns(&[("ts", &times), ("ads", &[listed.as_slice(), by].concat())]));
    let line = |aid| format!("1718000000  [{aid}, 0, 0] [0, 0, 0, 0]");
    assert_eq!(changed(b""), [line(7), line(8)].join("\n"));
    assert_eq!(changed(&[b"h\x05".as_slice(), &text("aid"), b"K\x09s0"].concat()), [line(9), line(8)].join("\n"));
    assert_eq!(changed(b"h\x06}a0"), [line(7), line(8)].join("\n"));
    assert_eq!(changed(b"h\x06Na0"), [line(7), line(8)].join("\n"));
}

#[test]
fn json_text_that_is_ads_may_be_a_media_key_as_well() {
    let json = text(r#"[{"aid": 7}]"#);
    let shared = [json.as_slice(), b"q\x05"].concat();
    let body = columns(&[("ts", &list(&[TIMESTAMP])), ("ads", &list(&[&shared])), ("mid", &list(&[b"h\x05"]))]);
    assert_eq!(outcome(&body), r#"1718000000 [{"aid": 7}] [7, 0, 0] [0, 0, 0, 0]"#);
}

#[test]
fn rejected_rows_are_numbered_among_all_rows_of_their_block() {
    let times: Vec<&[u8]> = (0..200).map(|row| if row % 50 == 49 { NONE } else { TIMESTAMP }).collect();
    let counts: Vec<&[u8]> =
        (0..200).map(|row| if row % 100 == 98 { b"J\xff\xff\xff\xff" } else { b"K\x01".as_slice() }).collect();
    let (rows, decoded) = read(&columns(&[("ts", &list(&times)), ("imp", &list(&counts))])).unwrap();
    assert_eq!((rows.len(), decoded.rows), (194, 200));
    assert_eq!(
        decoded.rejects.to_string(),
        "timestamp_missing: 4 rows (first 49, 99, 149, 199); counter_negative: 2 rows (first 98, 198)"
    );
}

#[test]
fn columns_of_mixed_kinds_keep_every_value() {
    // Longer than a chunk, and of another kind from some place on.
    let units: Vec<Vec<u8>> = (0..10_000u32)
        .map(|row| match row {
            0..5000 => [b"J".as_slice(), &row.to_le_bytes()].concat(),
            5000..9000 => float(f64::from(row) + 0.5),
            _ if row.is_multiple_of(2) => NONE.to_vec(),
            _ => decimal(&row.to_string()),
        })
        .collect();
    let units: Vec<&[u8]> = units.iter().map(Vec::as_slice).collect();
    let times = vec![TIMESTAMP; 10_000];
    let (rows, _) = read(&columns(&[("ts", &list(&times)), ("rev", &list(&units))])).unwrap();
    let micros = |row: u64| match row {
        0..5000 => row * 1_000_000,
        5000..9000 => row * 1_000_000 + 500_000,
        _ if row.is_multiple_of(2) => 0,
        _ => row * 1_000_000,
    };
    for (row, line) in (0..).zip(&rows) {
        assert_eq!(*line, format!("1718000000  [0, 0, 0] [0, 0, 0, {}]", micros(row)), "row {row}");
    }
    assert_eq!(rows.len(), 10_000);
}
