use super::super::{DecodeError, Shape};
use super::assemble::*;
use super::fixtures::*;
use super::{outcome, read, read_within};
use crate::decode::pickle::KEEPS_EVERYTHING;
use crate::model::Limits;

const ROWS: [&str; 4] = [
    "1718000000 m1 [4567, 889, 12] [1, 0, 0, 12500000]",
    "1718000000 1023 [4567, 889, 12] [0, 1, 0, 0]",
    "1718000001 가 [1, 0, -3] [0, 0, 2, 0]",
    "1718000000 m1 [4567, 889, 12] [1, 0, 0, 12500000]",
];

#[track_caller]
fn check(pickles: &[&[u8]], shape: Shape, rows: &[&str]) {
    for (protocol, body) in pickles.iter().enumerate() {
        let (read, decoded) = read(body).unwrap_or_else(|error| panic!("protocol {protocol}: {error}"));
        assert_eq!(read, rows, "protocol {protocol}");
        assert_eq!(usize::from(decoded.protocol), protocol);
        assert_eq!((decoded.shape, decoded.dumps, decoded.gzip_members), (shape, 1, 0));
        assert_eq!(decoded.inflated_bytes, body.len() as u64);
    }
}

#[test]
fn list_of_dicts() {
    check(LIST, Shape::Rows, &ROWS);
    check(LIST_PURE, Shape::Rows, &ROWS);
}

#[test]
fn list_of_dicts_from_python_2() {
    check(PYTHON_2, Shape::Rows, &ROWS);
    check(PYTHON_2_PURE, Shape::Rows, &ROWS);
    check(PYTHON_2_ORDERED, Shape::Rows, &["1718000000 o [0, 0, 0] [0, 0, 0, 0]"]);
}

#[test]
fn tuple_of_dicts() {
    check(TUPLE, Shape::Rows, &ROWS);
    check(PAIR, Shape::Rows, &ROWS[..2]);
}

#[test]
fn dict_of_columns() {
    check(
        COLUMNS,
        Shape::Columns,
        &["1718000000 a [0, 0, 0] [0, 1, 0, 0]", "1718000001 b [4567, 889, 12] [0, 2, 0, 0]"],
    );
}

#[test]
fn objects_that_no_field_holds_are_skipped() {
    check(
        OTHER_TYPES,
        Shape::Rows,
        &["1718000000 b1 [0, 0, 0] [0, 0, 0, 250000]", "1718000000 o [0, 0, 0] [0, 0, 0, 0]"],
    );
}

#[test]
fn row_that_holds_itself_and_its_list() {
    check(CYCLIC, Shape::Rows, &["1718000000 c [0, 0, 0] [0, 0, 0, 0]"]);
}

#[test]
fn dumps_of_all_shapes_are_read_one_after_the_other() {
    let single = b"}X\x02\0\0\0tsJ\x80\x99ffs.".as_slice();
    let body = [LIST[4], COLUMNS[1], single, PAIR[5], b"].", b")."].concat();
    let (rows, decoded) = read(&body).unwrap();
    assert_eq!(rows.len(), 4 + 2 + 1 + 2);
    assert_eq!((decoded.shape, decoded.dumps, decoded.protocol), (Shape::Mixed, 6, 5));
    assert_eq!(rows[7..], ROWS[..2]);
}

#[test]
fn empty_containers_are_objects_of_no_rows() {
    for body in [b"].".as_slice(), b").", b"(l.", b"(t."] {
        let (rows, decoded) = read(body).unwrap();
        assert_eq!((rows.len(), decoded.rows, decoded.shape), (0, 0, Shape::Empty));
    }
}

#[test]
fn list_leaves_in_batches_while_it_is_read() {
    for batch_rows in [1, 2, 3, 4, 5] {
        let limits = Limits { batch_rows, ..Limits::default() };
        for pickles in [LIST, TUPLE, PYTHON_2] {
            for body in pickles {
                assert_eq!(read_within(body, &limits).unwrap().0, ROWS);
            }
        }
    }
}

#[test]
fn pickle_may_be_longer_than_the_window() {
    // MARK, then `{'mid': <text of the row>}` with a time, 5,000 times, in one APPENDS.
    let mut body = b"](".to_vec();
    for row in 0..5000u32 {
        let media_key = format!("{row:060}");
        body.extend(b"}(X\x02\0\0\0tsJ\x80\x99ffX\x03\0\0\0midX\x3c\0\0\0");
        body.extend(media_key.as_bytes());
        body.extend(b"u");
    }
    body.extend(b"e.");
    let (rows, _) = read(&body).unwrap();
    assert_eq!(rows.len(), 5000);
    assert_eq!(rows[4999], format!("1718000000 {:060} [0, 0, 0] [0, 0, 0, 0]", 4999));
}

#[test]
fn top_level_without_rows_is_an_error() {
    let found = [
        (b"K\x01.".as_slice(), "an int"),
        (b"N.", "None"),
        (b"U\x02ab.", "bytes"),
        (b"X\x02\0\0\0ab.", "a str"),
        (b"\x8f.", "a set"),
        (b"\x88.", "a bool"),
    ];
    for (body, found) in found {
        let end = body.len();
        assert_eq!(outcome(body), format!("the pickle that ends at byte {end} holds {found} where rows should be"));
    }
    assert_eq!(outcome(b""), "the object is empty");
}

#[test]
fn columns_must_be_lists_of_one_length() {
    let unequal = "does not hold equally long lists";
    // {'ts': [1, 1], 'imp': [1]}; {'ts': [1], 'imp': 1}; {'ts': [1], 'x': []}; {'ts': [1], 0: []}
    for body in [
        b"}(X\x02\0\0\0ts](K\x01K\x01eX\x03\0\0\0imp](K\x01eu.".as_slice(),
        b"}(X\x02\0\0\0ts](K\x01eX\x03\0\0\0impK\x01u.",
        b"}(X\x02\0\0\0ts](K\x01eX\x01\0\0\0x]u.",
        b"}(X\x02\0\0\0ts](K\x01eK\x00]u.",
    ] {
        assert!(outcome(body).ends_with(unequal), "{}", outcome(body));
    }
    // The last value of a key counts: {'ts': [1], 'x': [], 'x': [2]}.
    let body = b"}(X\x02\0\0\0ts](J\x80\x99ffeX\x01\0\0\0x]X\x01\0\0\0x](K\x02eu.";
    assert_eq!(outcome(body), "1718000000  [0, 0, 0] [0, 0, 0, 0]");
}

#[test]
fn tuple_leaves_in_batches_while_it_is_read_and_is_not_held() {
    let row = |media_key: &str| dict(&[("ts", TIMESTAMP), ("mid", &text(media_key))]);
    let rows: Vec<Vec<u8>> = (0..3000).map(|number| row(&format!("m{number}"))).collect();
    let body = [b"(".as_slice(), &rows.concat(), b"t."].concat();
    let limits = Limits { decoder_bytes_max: 400 << 10, ..Limits::default() };
    KEEPS_EVERYTHING.set(true);
    let held = read_within(&body, &limits);
    KEEPS_EVERYTHING.set(false);
    assert!(matches!(held, Err(DecodeError::LimitExceeded { .. })), "{held:?}");
    let (read, decoded) = read_within(&body, &limits).unwrap();
    assert_eq!((read.len(), decoded.shape), (3000, Shape::Rows));
    assert_eq!(read[2999], "1718000000 m2999 [0, 0, 0] [0, 0, 0, 0]");
}

#[test]
fn mark_before_a_dict_may_begin_something_else_than_a_tuple_of_rows() {
    let row = dict(&[("ts", TIMESTAMP)]);
    let line = "1718000000  [0, 0, 0] [0, 0, 0, 0]";
    let read_as = |tail: &[u8]| outcome(&[b"(".as_slice(), &row, &row, tail].concat());
    assert_eq!(read_as(b"t."), [line; 2].join("\n"));
    assert_eq!(read_as(b"l."), [line; 2].join("\n"));
    assert_eq!(read_as(b"t0]."), "", "the top of the stack counts");
    let other = [b"t0(".as_slice(), &row, b"t."].concat();
    assert_eq!(read_as(&other), line);
    let nested = [b"t(".as_slice(), &row, b"tt."].concat();
    assert!(read_as(&nested).ends_with("(TUPLE)"), "{}", read_as(&nested));
}
