//! The fast path, which forgets rows, and the machine, keeping everything, read the same rows from the same bytes, whatever
//! the bytes are.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use proptest::prelude::*;

use super::super::{DecodeError, Decoded, decode};
use super::{lines, schema};
use crate::decode::pickle::KEEPS_EVERYTHING;
use crate::model::Limits;

/// Makes pickles of rows that a pickler could have made, from a seed: each in a style of its own.
pub struct Maker {
    state: u64,
    pub out: Vec<u8>,
    pub put: Put,
    old: bool,
    pub memo: HashMap<String, u64>,
    pub entries: u64,
    /// Of 100 values, how many are plain.
    pub plain: u64,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Put {
    None,
    Memoize,
    Binary,
    Decimal,
}

const KEYS: [&str; 9] = ["ts", "mid", "ads", "xreq", "imp", "clk", "rev", "country", "a key of more than 16 bytes"];

impl Maker {
    pub fn new(seed: u64) -> Self {
        let mut maker = Self {
            state: seed | 1,
            out: Vec::new(),
            put: Put::None,
            old: false,
            memo: HashMap::new(),
            entries: 0,
            plain: 100,
        };
        maker.put = [Put::None, Put::Memoize, Put::Memoize, Put::Binary, Put::Decimal][maker.below(5) as usize];
        maker.old = maker.below(4) == 0;
        maker.plain = [100, 99, 90, 50][maker.below(4) as usize];
        maker
    }

    /// A number below another (xorshift).
    pub fn below(&mut self, end: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % end
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Memoizes what is on top, under a name if it has one.
    pub fn memoize(&mut self, name: Option<&str>) {
        match self.put {
            Put::None => return,
            Put::Memoize => self.write(b"\x94"),
            Put::Binary if self.entries < 256 => self.write(&[b'q', self.entries as u8]),
            Put::Binary => {
                let index = (self.entries as u32).to_le_bytes();
                self.write(&[b"r".as_slice(), &index].concat());
            }
            Put::Decimal => self.write(format!("p{}\n", self.entries).as_bytes()),
        }
        if let Some(name) = name {
            self.memo.insert(name.to_owned(), self.entries);
        }
        self.entries += 1;
    }

    pub fn get(&mut self, name: &str) -> bool {
        let Some(&index) = self.memo.get(name) else { return false };
        match u8::try_from(index) {
            Ok(short) if self.put != Put::Decimal => self.write(&[b'h', short]),
            _ if self.put != Put::Decimal => self.write(&[b"j".as_slice(), &(index as u32).to_le_bytes()].concat()),
            _ => self.write(format!("g{index}\n").as_bytes()),
        }
        true
    }

    pub fn text(&mut self, text: &str, shared: bool) {
        if shared && self.get(text) {
            return;
        }
        let length = text.len();
        match (self.put, self.old) {
            (Put::Decimal, _) => self.write(format!("V{text}\n").as_bytes()),
            (Put::Binary, true) => self.write(&[b"U".as_slice(), &[length as u8], text.as_bytes()].concat()),
            (Put::Binary, false) => {
                self.write(&[b"X".as_slice(), &(length as u32).to_le_bytes(), text.as_bytes()].concat());
            }
            _ => self.write(&[b"\x8c".as_slice(), &[length as u8], text.as_bytes()].concat()),
        }
        self.memoize(Some(text));
    }

    pub fn int(&mut self, value: i64) {
        match value {
            _ if self.put == Put::Decimal => self.write(format!("I{value}\n").as_bytes()),
            0..256 => self.write(&[b'K', value as u8]),
            256..65536 => self.write(&[b"M".as_slice(), &(value as u16).to_le_bytes()].concat()),
            _ if i32::try_from(value).is_ok() => self.write(&[b"J".as_slice(), &(value as i32).to_le_bytes()].concat()),
            _ => self.write(&[b"\x8a\x08".as_slice(), &value.to_le_bytes()].concat()),
        }
    }

    fn float(&mut self, value: f64) {
        match self.put {
            Put::Decimal => self.write(format!("F{value:?}\n").as_bytes()),
            _ => self.write(&[b"G".as_slice(), &value.to_be_bytes()].concat()),
        }
    }

    pub fn odd_value(&mut self, depth: u64) {
        match self.below(if depth > 3 { 10 } else { 14 }) {
            0 => self.write(b"N"),
            1 => self.write(b"\x88"),
            2 => self.write(b"I01\n"),
            3 => self.int(-7),
            4 => self.int(1 << 40),
            5 => self.float(2.0),
            6 => self.float(-0.5),
            7 => self.text("ts", true),
            8 => self.write(b"C\x03abc"),
            9 => {
                let long = "x".repeat(70);
                self.text(&long, true);
            }
            10 => self.list(depth, Self::odd_value),
            11 => self.write(b"cdecimal\nDecimal\n(V1.5\ntR"),
            12 => {
                self.write(b")");
            }
            _ => self.dict(&["aid", "x"], depth, |maker, _, depth| maker.odd_value(depth)),
        }
    }

    fn list(&mut self, depth: u64, element: impl Fn(&mut Self, u64)) {
        let length = [0, 1, 1, 1, 2, 3][self.below(6) as usize];
        if self.put == Put::Decimal {
            self.write(b"(l");
            self.memoize(None);
            for _ in 0..length {
                element(self, depth + 1);
                self.write(b"a");
            }
            return;
        }
        self.write(b"]");
        self.memoize(None);
        if length == 1 {
            element(self, depth + 1);
            return self.write(b"a");
        }
        if length > 0 {
            self.write(b"(");
            (0..length).for_each(|_| element(self, depth + 1));
            self.write(b"e");
        }
    }

    fn dict(&mut self, keys: &[&str], depth: u64, value: impl Fn(&mut Self, &str, u64)) {
        let one_by_one = self.put == Put::Decimal;
        self.write(if one_by_one { b"(d" } else { b"}" });
        self.memoize(None);
        let together = !one_by_one && (keys.len() > 1 || self.chance(10));
        if together {
            self.write(b"(");
        }
        for key in keys {
            let shared = self.chance(98);
            self.text(key, shared);
            value(self, key, depth + 1);
            if !together {
                self.write(b"s");
            }
        }
        if together {
            self.write(b"u");
        }
    }

    pub fn value(&mut self, key: &str, depth: u64) {
        if !self.chance(self.plain) {
            return self.odd_value(depth);
        }
        match key {
            "ts" => {
                let seconds = 1_718_000_000 + self.below(1000) as i64;
                self.int(seconds);
            }
            "mid" => {
                let media_key = format!("m{}", self.below(20));
                let shared = self.chance(50);
                self.text(&media_key, shared);
            }
            "ads" => match self.below(10) {
                0 => self.write(b"N"),
                1 => {
                    let json = format!(r#"[{{"aid": {}, "_god": 2, "did": 3}}]"#, self.below(5));
                    let shared = self.chance(50);
                    self.text(&json, shared);
                }
                2 if self.get("ads!") => {}
                2 => {
                    // One list that other rows name as well.
                    self.write(b"]");
                    self.memoize(Some("ads!"));
                    self.dict(&["aid", "did"], depth, |maker, _, _| maker.int(9));
                    self.write(b"a");
                }
                _ => self.list(depth, |maker, depth| {
                    maker.dict(&["aid", "_god", "did"], depth, |maker, _, depth| {
                        if maker.chance(maker.plain) {
                            let id = maker.below(70_000) as i64;
                            maker.int(id);
                        } else {
                            maker.odd_value(depth);
                        }
                    });
                }),
            },
            "rev" => {
                let units = self.below(1_000_000) as f64 / 4096.0;
                self.float(units);
            }
            "country" => self.text("KR", true),
            _ => {
                let count = self.below(3) as i64;
                self.int(count);
            }
        }
    }

    fn row(&mut self) {
        let start = self.below(2) as usize;
        let mut keys = KEYS;
        if self.chance(10) {
            keys.rotate_left(start * 3);
        }
        let kept = if self.chance(80) { 7 } else { 1 + self.below(9) as usize };
        self.dict(&keys[..kept], 1, Self::value);
    }

    /// A list of rows in batches as picklers write them, or one row.
    pub fn dump(&mut self) {
        (self.memo, self.entries) = (HashMap::new(), 0);
        if self.put == Put::Memoize {
            self.write(b"\x80\x04");
        }
        if self.chance(20) {
            self.row();
            return self.write(b".");
        }
        let (rows, batch) = (self.below(40), 1 + self.below(12));
        if self.put == Put::Decimal {
            self.write(b"(l");
            self.memoize(None);
            for _ in 0..rows {
                self.row();
                self.write(b"a");
            }
            return self.write(b".");
        }
        let as_tuple = self.chance(10);
        self.write(if as_tuple { b"(" } else { b"]" });
        if !as_tuple {
            self.memoize(None);
        }
        for row in 0..rows {
            if !as_tuple && row % batch == 0 {
                self.write(b"(");
            }
            self.row();
            if !as_tuple && (row % batch == batch - 1 || row == rows - 1) {
                self.write(b"e");
            }
        }
        self.write(if as_tuple { b"t." } else { b"." });
    }
}

fn pickles(seed: u64) -> Vec<u8> {
    let mut maker = Maker::new(seed);
    (0..1 + maker.below(3)).for_each(|_| maker.dump());
    maker.out
}

type Outcome = Result<(Vec<Vec<String>>, Decoded), DecodeError>;

fn read(body: &[u8], keeping_everything: bool, batch_rows: usize) -> Outcome {
    let limits = Limits { batch_rows, ..Limits::default() };
    let mut batches = Vec::new();
    KEEPS_EVERYTHING.set(keeping_everything);
    let decoded = decode(body, &schema(), &limits, &mut |batch: &RecordBatch| batches.push(lines(batch)));
    KEEPS_EVERYTHING.set(false);
    Ok((batches, decoded?))
}

pub fn agree(body: &[u8], batch_rows: usize) {
    let (fast, slow) = (read(body, false, batch_rows), read(body, true, batch_rows));
    // Rows leave earlier here: what changes them, which no pickler does, may come too late.
    if !matches!(fast, Err(DecodeError::RowsChangedLater { .. })) {
        assert_eq!(fast, slow, "{:?}", body.escape_ascii().to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_paths_read_the_same_rows(seed: u64) {
        let body = pickles(seed);
        assert!(!matches!(read(&body, false, 7), Err(DecodeError::RowsChangedLater { .. })));
        agree(&body, 7);
    }

    #[test]
    fn both_paths_read_the_same_rows_of_damaged_pickles(seed: u64, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut body = pickles(seed);
        let at = at.index(body.len());
        body[at] = byte;
        agree(&body, 7);
        body.truncate(cut.index(body.len() + 1));
        agree(&body, 7);
    }

    #[test]
    fn both_paths_read_the_same_rows_of_spliced_pickles(seed: u64, from: prop::sample::Index, to: prop::sample::Index, length in 1usize..12) {
        let mut body = pickles(seed);
        let (from, to) = (from.index(body.len()), to.index(body.len()));
        let part = body[from..body.len().min(from + length)].to_vec();
        body.splice(to..to, part);
        agree(&body, 7);
    }
}

#[test]
fn made_pickles_are_mostly_read() {
    let read = (1..300u64).filter(|seed| read(&pickles(seed * 7919), false, 7).is_ok()).count();
    assert!(read > 250, "{read}");
}
