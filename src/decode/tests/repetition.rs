//! What a few bytes ask for again and again: work stays in proportion to the bytes that were read, which is counted here
//! and not timed.

use rstest::rstest;

use super::super::{DecodeError, Decoded, PickleFault};
use super::assemble::*;
use super::pandas_hostile::*;
use super::{outcome, read, read_within};
use crate::decode::pickle::LOOKED_AT;
use crate::model::Limits;

/// Bytes of the text that is named over and over, and how often.
const LONG: usize = 200_000;
const TIMES: usize = 1_000;

/// Names a value before the rows begin, as memo 0, and takes it off again.
fn named(value: &[u8]) -> Vec<u8> {
    [value, b"q\x000"].concat()
}

fn long_text() -> Vec<u8> {
    named(&text(&"7".repeat(LONG)))
}

/// Rows whose field is the same value, which refers to memo 0.
fn rows(field: &str, value: &[u8]) -> Vec<u8> {
    let row = dict(&[("ts", TIMESTAMP), (field, value)]);
    [b"](".as_slice(), &row.repeat(TIMES), b"e."].concat()
}

/// A frame of one row whose column labels are this.
fn frame_with_labels(data: &[u8], block: &[u8]) -> Vec<u8> {
    let manager = global("pandas.core.internals.managers", "BlockManager");
    let manager = call(&manager, &[&tuple(&[block]), &list(&[&index(data)])]);
    dump(&new(&global("pandas.core.frame", "DataFrame"), &dict(&[("_mgr", &manager)])))
}

fn endless_array(shape: &[i64]) -> Vec<u8> {
    array("i8", shape, &[])
}

fn is_repetition(read: &Result<(Vec<String>, Decoded), DecodeError>) -> bool {
    matches!(read, Err(DecodeError::Pickle { fault: PickleFault::Repetition, .. }))
}

#[rstest]
#[case::bytes_of_a_text(&call(&global("_codecs", "encode"), &[b"h\x00", &text("latin1")]))]
#[case::bytearray_of_a_text(&call(&global("builtins", "bytearray"), &[b"h\x00", &text("latin1")]))]
#[case::decimal(&call(&global("decimal", "Decimal"), &[b"h\x00"]))]
fn long_text_may_not_be_an_argument_over_and_over(#[case] value: &[u8]) {
    let body = [long_text(), rows("ua", value)].concat();
    let (looked_at, read) = looked_at(&body);
    assert!(is_repetition(&read), "{read:?}");
    assert!(looked_at <= allowed(&body), "{looked_at} bytes");
}

/// Eight times what is read and a MiB, in each of at most five readings.
fn allowed(body: &[u8]) -> usize {
    5 * (8 * body.len() + (1 << 20))
}

fn looked_at(body: &[u8]) -> (usize, Result<(Vec<String>, Decoded), DecodeError>) {
    LOOKED_AT.set(0);
    let read = read(body);
    (LOOKED_AT.get(), read)
}

fn long_digits() -> Vec<u8> {
    named(&int(&"7".repeat(LONG)))
}

#[rstest]
#[case::media_key(&long_text(), &rows("mid", b"h\x00"))]
#[case::digits_as_media_key(&long_digits(), &rows("mid", b"h\x00"))]
#[case::json(&named(&text(&format!("[{}]", "7,".repeat(LONG)))), &rows("ads", b"h\x00"))]
#[case::money(&long_digits(), &rows("rev", b"h\x00"))]
#[case::code_of_a_dtype(
    &named(&text(&format!("i{}8", "0".repeat(LONG)))),
    &rows("ua", &call(&global("numpy.core.multiarray", "scalar"), &[
        &call(&global("numpy", "dtype"), &[b"h\x00"]), &bytes(&[0; 8]),
    ]))
)]
#[case::name_of_a_zone(
    &long_text(),
    &rows("ua", &call(&global("datetime", "datetime"), &[
        &bytes(b"\x07\xe8\x06\x0a\x01\x02\x03\0\0\0"), &call(&global("pytz", "_p"), &[b"h\x00"]),
    ]))
)]
#[case::labels(
    &long_text(),
    &frame_with_labels(&list(&[b"h\x00".as_slice(); TIMES]), &block(&endless_array(&[TIMES as i64, 0]), 0, TIMES as i64))
)]
#[case::keys(&long_text(), &[b"}(".as_slice(), &text("ts"), &list(&[TIMESTAMP]), &b"h\x00N".repeat(TIMES), b"u."].concat())]
fn long_text_that_is_named_over_and_over_is_not_looked_at_each_time(#[case] before: &[u8], #[case] after: &[u8]) {
    let body = [before, after].concat();
    let (looked_at, read) = looked_at(&body);
    assert!(looked_at <= allowed(&body), "{looked_at} bytes, {:?}", read.map(|read| read.1));
}

#[test]
fn list_of_items_may_not_be_an_argument_over_and_over() {
    let item = list(&[&text("x"), b"N"]);
    // Not on an empty stack, where it would be the rows.
    let items = [b"(", list(&vec![item.as_slice(); 2_000]).as_slice(), b"q\x001"].concat();
    let made = call(&global("collections", "OrderedDict"), &[b"h\x00"]);
    assert!(is_repetition(&read(&[items, rows("ua", &made)].concat())));
}

#[test]
fn array_of_no_bytes_may_not_have_endless_many_values() {
    const ENDLESS: i64 = 1 << 62;
    let labels = |labels: &[u8]| read(&frame_with_labels(labels, &block(&endless_array(&[ENDLESS, 0]), 0, ENDLESS)));
    assert!(is_repetition(&labels(&endless_array(&[ENDLESS, 0, 0]))));
    let empty = arrow_column(&arrow_of("null", 19_000_000, 0, &[]));
    let body = frame_with_labels(&empty, &block(&endless_array(&[19_000_000, 0]), 0, 19_000_000));
    assert!(is_repetition(&read(&body)));
    let dtype = new(&global("pandas.core.dtypes.dtypes", "CategoricalDtype"), &dict(&[("categories", &index(&empty))]));
    let codes = array("i1", &[1], &[0]);
    let class = global("pandas.core.arrays.categorical", "Categorical");
    let categorical = new(&class, &dict(&[("_codes", &codes), ("_dtype", &dtype)]));
    assert!(is_repetition(&read(&columns(&[("ts", &categorical)]))));
    // Such a column has so many rows, none of which can be read.
    let limits = Limits { rows_max: 1000, ..Limits::default() };
    let error = read_within(&columns(&[("ts", &endless_array(&[ENDLESS, 0, 0]))]), &limits).unwrap_err();
    assert!(error.to_string().contains("rows_max"), "{error}");
}

#[test]
fn endless_numbers_are_no_arithmetic() {
    // A frame that ends beyond all offsets, around what the fast path takes.
    assert!(
        outcome(&[b"\x95\xff\xff\xff\xff\xff\xff\xff\xff".as_slice(), &dict(&[("ts", TIMESTAMP)]), b"."].concat())
            .contains("a frame that does not fit")
    );
    // A zone that is all of the time away.
    let zone = call(&global("pytz", "_p"), &[&text("x"), &number(i64::MIN)]);
    assert!(outcome(&columns(&[("ts", &list(&[&zone]))])).starts_with("timestamp_not_a_number"));
    // Chunks of no texts that begin where no array ends.
    let chunk = arrow_of("string", 0, i64::MAX, &[&[0; 8], b"abc"]);
    let chunked = call(&global("pyarrow.lib", "chunked_array"), &[&list(&[&chunk]), NONE]);
    assert_eq!(outcome(&columns(&[("mid", &arrow_column(&chunked))])), "");
}
