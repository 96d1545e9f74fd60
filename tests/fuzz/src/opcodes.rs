//! Pickles made of anything: a grammar of what picklers write and of what the machine understands, in which bytes choose
//! the way. Nearly every choice is sound by itself, so that mutations reach deep; some are not.

/// The bytes that choose; when they have run out, the first choice is taken everywhere, which ends soon.
struct Choices<'d> {
    data: &'d [u8],
    at: usize,
}

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let byte = self.data.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    fn word(&mut self) -> [u8; 8] {
        std::array::from_fn(|_| self.byte())
    }

    fn has_ended(&self) -> bool {
        self.at >= self.data.len()
    }
}

/// The pickles that the bytes choose.
pub fn pickles(data: &[u8]) -> Vec<u8> {
    let mut assembler = Assembler { choices: Choices { data, at: 0 }, out: Vec::new(), entries: 0, depth: 0, style: 0 };
    loop {
        assembler.dump();
        if assembler.choices.has_ended() || assembler.out.len() > OUT_BYTES_MAX {
            return assembler.out;
        }
    }
}

const OUT_BYTES_MAX: usize = 64 << 10;
const DEPTH_MAX: usize = 12;

struct Assembler<'d> {
    choices: Choices<'d>,
    out: Vec<u8>,
    /// Memo entries so far.
    entries: usize,
    depth: usize,
    /// How texts, containers and memo entries are written: by protocol.
    style: usize,
}

const FIELDS: &[&str] =
    &["ts", "mid", "ads", "xreq", "imp", "clk", "rev", "aid", "_god", "did", "ua", "a key of 16 or more"];
const STATES: &[&str] = &[
    "_mgr",
    "_data",
    "_mask",
    "_ndarray",
    "_codes",
    "_dtype",
    "categories",
    "_pa_array",
    "data",
    "0.14.1",
    "axes",
    "blocks",
    "values",
    "mgr_locs",
];
const DTYPES: &[&str] = &[
    "i8", "f8", "O8", "b1", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "f4", "f2", "M8", "m8", "U2", "S3", "c16", "V4",
    "U0", "i",
];
const ARROW_TYPES: &[&str] = &[
    "int64",
    "string",
    "large_string",
    "bool",
    "double",
    "null",
    "int8",
    "uint64",
    "halffloat",
    "binary",
    "date32[day]",
    "float",
];
const JSONS: &[&str] = &[
    r#"[{"aid": 1, "_god": 2, "did": 3}]"#,
    "[]",
    "null",
    "",
    r#"[{"aid": 1.0, "x": [[[]]], "_god": NaN}]"#,
    r#"[{"a\u0069d": 7, "did": "\ud800"}, 5]"#,
    r#"{"aid": 1}"#,
    "[{\"aid\": 9223372036854775808}]",
    "[{\"_god\": 5, \"note\": \"a text that is so long that what it holds is remembered and not read again: more than 128 bytes of it.\"}]",
];
/// Modules and names: nearly all that is understood, and some that is not.
const GLOBALS: &[&str] = &[
    "decimal Decimal",
    "collections OrderedDict",
    "_codecs encode",
    "__builtin__ bytes",
    "builtins bytearray",
    "builtins set",
    "builtins frozenset",
    "builtins getattr",
    "builtins slice",
    "builtins object",
    "copy_reg _reconstructor",
    "datetime datetime",
    "datetime date",
    "datetime timedelta",
    "datetime timezone",
    "pytz _UTC",
    "pytz _p",
    "pytz FixedOffset",
    "zoneinfo ZoneInfo",
    "zoneinfo ZoneInfo._unpickle",
    "numpy ndarray",
    "numpy dtype",
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray scalar",
    "numpy.core.numeric _frombuffer",
    "pandas._libs.missing NA",
    "pandas._libs.tslibs.nattype _nat_unpickle",
    "pandas._libs.tslibs.timestamps _unpickle_timestamp",
    "pandas._libs.tslibs.timedeltas Timedelta",
    "pandas.core.frame DataFrame",
    "pandas.core.series Series",
    "pandas.core.internals.managers BlockManager",
    "pandas._libs.internals _unpickle_block",
    "functools partial",
    "pandas.core.internals.blocks new_block",
    "pandas.core.indexes.base _new_Index",
    "pandas.core.indexes.base Index",
    "pandas.core.indexes.range RangeIndex",
    "pandas.core.arrays.integer IntegerArray",
    "pandas.core.arrays.categorical Categorical",
    "pandas.core.arrays.string_ StringArray",
    "pandas.core.arrays.datetimes DatetimeArray",
    "pandas._libs.arrays __pyx_unpickle_NDArrayBacked",
    "pandas.core.arrays.string_arrow ArrowStringArray",
    "pandas.core.arrays.arrow.array ArrowExtensionArray",
    "pandas.core.dtypes.dtypes CategoricalDtype",
    "pandas.core.dtypes.dtypes DatetimeTZDtype",
    "pyarrow.lib _restore_array",
    "pyarrow.lib chunked_array",
    "pyarrow.lib py_buffer",
    "pyarrow.lib type_for_alias",
    "pyarrow.lib timestamp",
    "os system",
];
/// One each of the opcodes without an operand, and some with one.
const SOUP: &[&[u8]] = &[
    b"0",
    b"2",
    b"(",
    b"1",
    b"a",
    b"e",
    b"s",
    b"u",
    b"t",
    b"l",
    b"d",
    b")",
    b"]",
    b"}",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"R",
    b"b",
    b"\x81",
    b"\x93",
    b"\x94",
    b".",
    b"N",
    b"\x88",
    b"\x92",
    b"o",
    b"Q",
    b"\x97",
    b"\x82\x01",
    b"\x80\x04",
    b"\x95\x10\0\0\0\0\0\0\0",
    b"\x95\xf0\xff\xff\xff\xff\xff\xff\xff",
    b"q\0",
    b"q\x01",
    b"p9\n",
    b"r\xff\xff\xff\xff",
    b"h\0",
    b"h\x01",
    b"g7\n",
    b"j\x02\0\0\0",
    b"Pid\n",
    b"ios\nsystem\n",
];

impl Assembler<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn dump(&mut self) {
        self.entries = 0;
        self.style = self.choices.below(4);
        if self.style == 3 {
            self.write(b"\x80\x04");
        }
        match self.choices.below(8) {
            0 => self.rows(),
            1 => self.columns(),
            2 => self.frame(),
            3 => self.row(),
            4 => self.tuple(|assembler| assembler.some(Self::row)),
            5 => {
                // What comes before the rows stays named.
                self.value();
                self.write(b"0");
                self.rows();
            }
            6 => self.some(Self::soup),
            _ => self.value(),
        }
        self.write(b".");
    }

    /// A few of something.
    fn some(&mut self, mut element: impl FnMut(&mut Self)) {
        let count = [1, 2, 3, 0, 5, 9, 17, 40][self.choices.below(8)];
        for _ in 0..count {
            element(self);
            if self.choices.has_ended() || self.out.len() > OUT_BYTES_MAX {
                return;
            }
        }
    }

    fn soup(&mut self) {
        let part = self.choices.of(SOUP);
        self.write(part);
    }

    /// Now and then something that does not belong there.
    fn noise(&mut self) {
        if self.choices.byte() >= 250 {
            match self.choices.below(4) {
                0 => {
                    let byte = self.choices.byte();
                    self.write(&[byte]);
                }
                _ => self.soup(),
            }
        }
    }

    fn memoize(&mut self) {
        match (self.style, self.choices.below(4)) {
            (_, 3) => return,
            (0, _) => self.write(format!("p{}\n", self.entries).as_bytes()),
            (1 | 2, _) if self.entries < 256 => self.write(&[b'q', self.entries as u8]),
            (1 | 2, _) => self.write(&[b"r".as_slice(), &(self.entries as u32).to_le_bytes()].concat()),
            _ => self.write(b"\x94"),
        }
        self.entries += 1;
    }

    /// Something that was memoized before.
    fn get(&mut self) {
        let entry = self.choices.below(self.entries + 1);
        if self.style == 0 {
            self.write(format!("g{entry}\n").as_bytes());
        } else {
            self.write(&[b'h', entry as u8]);
        }
    }

    fn list(&mut self, mut element: impl FnMut(&mut Self)) {
        self.write(if self.style == 0 { b"(l" } else { b"]" });
        self.memoize();
        if self.style == 0 || self.choices.below(4) == 1 {
            return self.some(|assembler| {
                element(assembler);
                assembler.write(b"a");
            });
        }
        self.write(b"(");
        self.some(element);
        self.write(b"e");
    }

    fn tuple(&mut self, mut content: impl FnMut(&mut Self)) {
        self.write(b"(");
        content(self);
        self.write(b"t");
        if self.choices.below(4) == 1 {
            self.memoize();
        }
    }

    fn dict(&mut self, mut items: impl FnMut(&mut Self, bool)) {
        self.write(if self.style == 0 { b"(d" } else { b"}" });
        self.memoize();
        let one_by_one = self.style == 0 || self.choices.below(8) == 1;
        if !one_by_one {
            self.write(b"(");
        }
        items(self, one_by_one);
        if !one_by_one {
            self.write(b"u");
        }
    }

    fn item(&mut self, one_by_one: bool, key: &str, value: impl FnOnce(&mut Self)) {
        self.text(key);
        value(self);
        if one_by_one {
            self.write(b"s");
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes_of_text(text.as_bytes());
    }

    fn bytes_of_text(&mut self, text: &[u8]) {
        let length = text.len();
        match self.style {
            0 if !text.contains(&b'\n') => self.write(&[b"V", text, b"\n"].concat()),
            2 if length < 256 => self.write(&[b"U".as_slice(), &[length as u8], text].concat()),
            3 if length < 256 => self.write(&[b"\x8c".as_slice(), &[length as u8], text].concat()),
            _ => self.write(&[b"X".as_slice(), &(length as u32).to_le_bytes(), text].concat()),
        }
        self.memoize();
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u32;
        match [b'B', b'T', 0x8e, 0x96][self.choices.below(4)] {
            code @ (b'B' | b'T') => self.write(&[&[code], length.to_le_bytes().as_slice(), bytes].concat()),
            code => self.write(&[&[code], u64::from(length).to_le_bytes().as_slice(), bytes].concat()),
        }
    }

    fn int(&mut self) {
        let value = match self.choices.below(8) {
            0 => i64::from(self.choices.byte()),
            1 => 1_718_000_000 + i64::from(self.choices.byte()),
            2 => -i64::from(self.choices.byte()),
            3 => i64::from_le_bytes(self.choices.word()),
            4 => [i64::MIN, i64::MAX, 1 << 32, (1 << 53) + 1, 1 << 62][self.choices.below(5)],
            _ => self.choices.below(4) as i64,
        };
        self.number(value);
    }

    fn number(&mut self, value: i64) {
        match self.choices.below(4) {
            1 => self.write(format!("I{value}\n").as_bytes()),
            2 => self.write(format!("L{value}L\n").as_bytes()),
            _ if (0..256).contains(&value) => self.write(&[b'K', value as u8]),
            _ if i32::try_from(value).is_ok() => self.write(&[b"J".as_slice(), &(value as i32).to_le_bytes()].concat()),
            _ => self.write(&[b"\x8a\x08".as_slice(), &value.to_le_bytes()].concat()),
        }
    }

    fn float(&mut self) {
        let value = match self.choices.below(4) {
            0 => f64::from(self.choices.byte()) / 8.0,
            1 => f64::from_be_bytes(self.choices.word()),
            2 => [f64::NAN, f64::INFINITY, -0.0, 1e300, 9.2e18, 1e-9][self.choices.below(6)],
            _ => 1_718_000_000.5,
        };
        match self.choices.below(4) {
            1 => self.write(format!("F{value:?}\n").as_bytes()),
            _ => self.write(&[b"G".as_slice(), &value.to_be_bytes()].concat()),
        }
    }

    fn some_text(&mut self) {
        match self.choices.below(8) {
            0 => {
                let text = format!("m{}", self.choices.below(20));
                self.text(&text);
            }
            1 => {
                let text = self.choices.of(JSONS);
                self.text(text);
            }
            2 => {
                let text = self.choices.of(FIELDS);
                self.text(text);
            }
            3 => {
                let text = "x".repeat(usize::from(self.choices.byte()) * 20);
                self.text(&text);
            }
            4 => {
                let text =
                    [b"\xed\xa0\x80".as_slice(), b"\xff", "뉴스".as_bytes(), b"\xe9", b"\\u00e9\\U0001f600", b"\0"];
                let text = text[self.choices.below(6)];
                self.bytes_of_text(text);
            }
            5 => {
                let text = self.choices.word();
                self.bytes_of_text(&text);
            }
            6 => {
                let digits = "9".repeat(1 + usize::from(self.choices.byte()));
                self.write(format!("L{digits}L\n").as_bytes());
            }
            _ => self.write(b"S'a\\x41\\n'\n"),
        }
    }

    fn global(&mut self, global: &str) {
        let (module, name) = global.split_once(' ').unwrap_or((global, ""));
        if self.style == 3 {
            self.text(module);
            self.text(name);
            self.write(b"\x93");
        } else {
            self.write(format!("c{module}\n{name}\n").as_bytes());
        }
        if self.choices.below(4) == 1 {
            self.memoize();
        }
    }

    fn call(&mut self, global: &str, arguments: impl FnMut(&mut Self)) {
        self.global(global);
        self.tuple(arguments);
        self.write(b"R");
        if self.choices.below(4) == 1 {
            self.memoize();
        }
    }

    fn value(&mut self) {
        self.noise();
        self.depth += 1;
        let choices = if self.depth > DEPTH_MAX || self.choices.has_ended() { 6 } else { 20 };
        match self.choices.below(choices) {
            0 => self.int(),
            1 => self.float(),
            2 | 3 => self.some_text(),
            4 => self.get(),
            5 => {
                const CONSTANTS: [&[u8]; 6] = [b"N", b"\x88", b"\x89", b"I01\n", b")", b"2"];
                let constant = CONSTANTS[self.choices.below(CONSTANTS.len())];
                self.write(constant);
            }
            6 => self.list(Self::value),
            7 => self.tuple(|assembler| assembler.some(Self::value)),
            8 => self.row(),
            9 => self.dict(|assembler, one_by_one| {
                assembler.some(|assembler| {
                    assembler.value();
                    assembler.value();
                    if one_by_one {
                        assembler.write(b"s");
                    }
                });
            }),
            10 => self.array(),
            11 => self.pandas_array(),
            12 => self.scalar(),
            13 => self.moment(),
            14 => {
                let length = self.choices.below(40);
                let bytes = vec![self.choices.byte(); length];
                self.bytes(&bytes);
            }
            15 => self.call("decimal Decimal", |assembler| {
                let text = assembler.choices.of(&[
                    "12.5",
                    "-0",
                    "1e999999999",
                    "NaN",
                    "-1e-7",
                    "9223372036854.775807",
                    ".",
                    "1_0",
                ]);
                assembler.text(text);
            }),
            16 => self.call("_codecs encode", |assembler| {
                assembler.some_text();
                assembler.text("latin1");
            }),
            17 => {
                let global = self.choices.of(GLOBALS);
                self.call(global, |assembler| assembler.some(Self::value));
            }
            18 => {
                let global = self.choices.of(GLOBALS);
                self.new_with_state(global, Self::value);
            }
            _ => self.some(Self::soup),
        }
        self.depth -= 1;
    }

    fn rows(&mut self) {
        self.list(|assembler| match assembler.choices.below(8) {
            7 => assembler.value(),
            6 => assembler.get(),
            _ => assembler.row(),
        });
    }

    fn row(&mut self) {
        self.depth += 1;
        let odd = self.choices.below(4) == 3;
        let fields = [FIELDS.len(), 4, 7, 2][self.choices.below(4)];
        self.dict(|assembler, one_by_one| {
            for &field in &FIELDS[..fields] {
                assembler.item(one_by_one, field, |assembler| assembler.field(field, odd));
            }
        });
        self.depth -= 1;
    }

    fn field(&mut self, field: &str, odd: bool) {
        if odd && self.choices.below(4) == 1 {
            return self.value();
        }
        match field {
            "ts" => {
                let seconds = 1_718_000_000 + i64::from(self.choices.byte());
                self.number(seconds);
            }
            "mid" => {
                let media_key = format!("m{}", self.choices.below(20));
                self.text(&media_key);
            }
            "ads" => match self.choices.below(4) {
                0 => self.list(|assembler| {
                    assembler.dict(|assembler, one_by_one| {
                        for id in ["aid", "_god", "did"] {
                            assembler.item(one_by_one, id, |assembler| assembler.field("imp", odd));
                        }
                    });
                }),
                1 => {
                    let json = self.choices.of(JSONS);
                    self.text(json);
                }
                2 => self.get(),
                _ => self.write(b"N"),
            },
            "rev" => self.float(),
            "ua" => self.some_text(),
            _ => {
                let count = self.choices.below(3) as i64;
                self.number(count);
            }
        }
    }

    fn columns(&mut self) {
        let fields = 1 + self.choices.below(FIELDS.len());
        self.dict(|assembler, one_by_one| {
            for &field in &FIELDS[..fields] {
                assembler.item(one_by_one, field, Self::column);
            }
        });
    }

    fn column(&mut self) {
        match self.choices.below(4) {
            0 => self.array(),
            1 => self.list(Self::value),
            2 => self.pandas_array(),
            _ => self.value(),
        }
    }

    fn dtype(&mut self, code: &str) {
        self.call("numpy dtype", |assembler| {
            assembler.text(code);
            assembler.write(b"\x89\x88");
        });
        self.tuple(|assembler| {
            assembler.write(b"K\x03");
            let order = assembler.choices.of(&["<", ">", "|"]);
            assembler.text(order);
            assembler.write(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0");
            if code.starts_with('M') {
                let unit = assembler.choices.of(&["ns", "us", "s", "D", "M", "Y", "as", "generic", "zz"]);
                assembler.write(b"(}(");
                assembler.bytes(unit.as_bytes());
                assembler.write(b"K\x01K\x01K\x01tt");
            }
        });
        self.write(b"b");
    }

    fn extent(&mut self) -> i64 {
        [1, 2, 0, 3, 7, 1 << 20, 1 << 40, 1 << 62, -1][self.choices.below(9)]
    }

    fn array(&mut self) {
        self.depth += 1;
        let code = self.choices.of(DTYPES);
        let size = match code.as_bytes() {
            [b'U', size] => usize::from(size - b'0') * 4,
            [_, size @ ..] => std::str::from_utf8(size).ok().and_then(|size| size.parse().ok()).unwrap_or(1),
            [] => 1,
        };
        let dimensions = [1, 2, 1, 0, 3][self.choices.below(5)];
        let shape: Vec<i64> = (0..dimensions).map(|_| self.extent()).collect();
        let total = shape.iter().try_fold(1usize, |total, &extent| total.checked_mul(usize::try_from(extent).ok()?));
        let count = total.filter(|&total| total < 1000).unwrap_or(0);
        let write_shape = |assembler: &mut Self| {
            assembler.tuple(|assembler| shape.iter().for_each(|&extent| assembler.number(extent)))
        };
        if code.starts_with('O') || self.choices.below(2) == 1 {
            self.call("numpy.core.multiarray _reconstruct", |assembler| {
                assembler.global("numpy ndarray");
                assembler.write(b"(K\0tC\x01b");
            });
            self.tuple(|assembler| {
                assembler.write(b"K\x01");
                write_shape(assembler);
                assembler.dtype(code);
                let column_major = 0x88 + assembler.choices.below(2) as u8;
                assembler.write(&[column_major]);
                if code.starts_with('O') {
                    assembler.write(b"](");
                    (0..count).for_each(|_| assembler.value());
                    assembler.write(b"e");
                } else {
                    assembler.cells(code, size, count);
                }
            });
            self.write(b"b");
        } else {
            self.call("numpy.core.numeric _frombuffer", |assembler| {
                assembler.cells(code, size, count);
                assembler.dtype(code);
                write_shape(assembler);
                let order = assembler.choices.of(&["C", "F"]);
                assembler.text(order);
            });
        }
        self.depth -= 1;
    }

    fn cells(&mut self, code: &str, size: usize, count: usize) {
        let mut cells = vec![0; size * count];
        let seed = self.choices.word();
        for (at, cell) in cells.iter_mut().enumerate().filter(|_| seed[0] != 0) {
            *cell = match code {
                "i8" | "M8" => 1_718_000_000i64.to_le_bytes()[at % 8],
                "U2" => {
                    if at % 4 == 0 {
                        seed[at % 8]
                    } else {
                        0
                    }
                }
                _ => seed[at % 8],
            };
        }
        self.bytes(&cells);
    }

    fn scalar(&mut self) {
        let code = self.choices.of(DTYPES);
        self.call("numpy._core.multiarray scalar", |assembler| {
            assembler.dtype(code);
            assembler.cells(code, 8, 1);
        });
    }

    fn moment(&mut self) {
        match self.choices.below(4) {
            0 => self.call("datetime datetime", |assembler| {
                let mut state = *b"\x07\xe8\x06\x0a\x01\x02\x03\0\0\0";
                let at = assembler.choices.below(10);
                state[at] = assembler.choices.byte();
                assembler.bytes(&state);
                match assembler.choices.below(4) {
                    0 => {}
                    1 => assembler.call("datetime timezone", |assembler| {
                        assembler.call("datetime timedelta", |assembler| {
                            (0..3).for_each(|_| assembler.int());
                        });
                    }),
                    2 => assembler.call("pytz _p", |assembler| {
                        let zone = assembler.choices.of(&["Asia/Seoul", "Europe/London", "Nowhere"]);
                        assembler.text(zone);
                        if assembler.choices.below(2) == 1 {
                            assembler.int();
                        }
                    }),
                    _ => assembler.value(),
                }
            }),
            1 => self.call("pandas._libs.tslibs.timestamps _unpickle_timestamp", |assembler| {
                assembler.int();
                assembler.write(b"NN");
                assembler.int();
            }),
            2 => self.global("pandas._libs.missing NA"),
            _ => self.call("pandas._libs.tslibs.nattype _nat_unpickle", |assembler| assembler.write(b"N")),
        }
    }

    fn new_with_state(&mut self, global: &str, state: impl FnOnce(&mut Self)) {
        self.global(global);
        self.write(b")\x81");
        if self.choices.below(4) == 1 {
            self.memoize();
        }
        state(self);
        self.write(b"b");
    }

    fn state(&mut self, keys: &[&str], value: impl Fn(&mut Self, &str)) {
        self.dict(|assembler, one_by_one| {
            for key in keys {
                let key = if assembler.choices.below(64) == 63 { assembler.choices.of(STATES) } else { key };
                assembler.item(one_by_one, key, |assembler| value(assembler, key));
            }
        });
    }

    fn pandas_array(&mut self) {
        self.depth += 1;
        match self.choices.below(7) {
            _ if self.depth > DEPTH_MAX => self.array(),
            0 => self.new_with_state("pandas.core.arrays.integer IntegerArray", |assembler| {
                assembler.state(&["_data", "_mask"], |assembler, _| assembler.array());
            }),
            1 => self.new_with_state("pandas.core.arrays.categorical Categorical", |assembler| {
                assembler.state(&["_codes", "_dtype"], |assembler, key| match key {
                    "_codes" => assembler.array(),
                    _ => assembler.new_with_state("pandas.core.dtypes.dtypes CategoricalDtype", |assembler| {
                        assembler.state(&["categories"], |assembler, _| assembler.index());
                    }),
                });
            }),
            2 => self.new_with_state("pandas.core.arrays.datetimes DatetimeArray", |assembler| {
                assembler.state(&["_ndarray"], |assembler, _| assembler.array());
            }),
            3 => self.new_with_state("pandas.core.arrays.string_arrow ArrowStringArray", |assembler| {
                assembler.state(&["_pa_array"], |assembler, _| assembler.arrow());
            }),
            4 => self.index(),
            5 => self.new_with_state("pandas.core.series Series", |assembler| {
                assembler.state(&["_mgr"], |assembler, _| assembler.manager(1));
            }),
            _ => self.array(),
        }
        self.depth -= 1;
    }

    fn index(&mut self) {
        self.call("pandas.core.indexes.base _new_Index", |assembler| {
            assembler.global("pandas.core.indexes.base Index");
            assembler.state(&["data"], |assembler, _| assembler.column());
        });
    }

    fn arrow(&mut self) {
        if self.choices.below(3) == 1 {
            return self.call("pyarrow.lib chunked_array", |assembler| {
                assembler.write(b"](");
                assembler.some(
                    |assembler| if assembler.choices.below(2) == 1 { assembler.get() } else { assembler.arrow_array() },
                );
                assembler.write(b"eN");
            });
        }
        self.arrow_array();
    }

    fn arrow_array(&mut self) {
        let kind = self.choices.of(ARROW_TYPES);
        let length = self.extent();
        self.call("pyarrow.lib _restore_array", |assembler| {
            assembler.tuple(|assembler| {
                assembler.call("pyarrow.lib type_for_alias", |assembler| assembler.text(kind));
                assembler.number(length);
                assembler.write(b"K\0");
                let offset = [0, 0, 0, 1, i64::MAX, 1 << 61][assembler.choices.below(6)];
                assembler.number(offset);
                assembler.write(b"](N");
                let offsets: Vec<u8> = (0..8u32).flat_map(|index| (index * 3).to_le_bytes()).collect();
                for buffer in [offsets.as_slice(), b"abcdefghijklmnopqrstuvwxyz"] {
                    assembler.call("pyarrow.lib py_buffer", |assembler| assembler.bytes(buffer));
                }
                assembler.write(b"e]N");
            });
        });
    }

    fn frame(&mut self) {
        let width = 1 + self.choices.below(5);
        self.new_with_state("pandas.core.frame DataFrame", |assembler| {
            assembler.state(&["_mgr"], |assembler, _| assembler.manager(width));
        });
    }

    /// A manager with its blocks as arguments: one block a column, or one that holds them all.
    fn manager(&mut self, width: usize) {
        let together = self.choices.below(3) == 1;
        let length = [1, 2, 3, 0][self.choices.below(4)];
        self.call("pandas.core.internals.managers BlockManager", |assembler| {
            assembler.tuple(|assembler| {
                for column in 0..if together { 1 } else { width } {
                    let extents = if together { (width, length) } else { (1, length) };
                    assembler.block(column, extents);
                }
            });
            assembler.write(b"](");
            assembler.labels(width);
            assembler.write(b"e");
        });
    }

    fn block(&mut self, from: usize, (width, length): (usize, i64)) {
        self.call("pandas._libs.internals _unpickle_block", |assembler| {
            if assembler.choices.below(3) == 1 {
                assembler.column();
            } else {
                assembler.call("numpy.core.numeric _frombuffer", |assembler| {
                    assembler.cells("i8", 8, width * length as usize);
                    assembler.dtype("i8");
                    assembler.tuple(|assembler| {
                        assembler.number(width as i64);
                        assembler.number(length);
                    });
                    assembler.text("C");
                });
            }
            assembler.call("builtins slice", |assembler| {
                assembler.number(from as i64);
                assembler.number((from + width) as i64);
                assembler.number(1);
            });
            assembler.write(b"K\x02");
        });
    }

    fn labels(&mut self, width: usize) {
        if self.choices.below(8) == 7 {
            return self.index();
        }
        self.call("pandas.core.indexes.base _new_Index", |assembler| {
            assembler.global("pandas.core.indexes.base Index");
            assembler.state(&["data"], |assembler, _| {
                assembler.write(b"(");
                (0..width).for_each(|_| {
                    let field = assembler.choices.of(FIELDS);
                    assembler.text(field);
                });
                assembler.write(b"t");
            });
        });
    }
}
