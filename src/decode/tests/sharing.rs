//! Objects that are named more than once mean what CPython means by them.

use super::super::DecodeError;
use super::assemble::*;
use super::{outcome, read, read_within};
use crate::model::Limits;

fn row(media_key: &str) -> Vec<u8> {
    dict(&[("ts", TIMESTAMP), ("mid", &text(media_key))])
}

fn line(media_key: &str) -> String {
    format!("1718000000 {media_key} [0, 0, 0] [0, 0, 0, 0]")
}

fn lines(media_keys: &str) -> String {
    media_keys.chars().map(|key| line(&key.to_string())).collect::<Vec<_>>().join("\n")
}

#[test]
fn row_listed_twice_is_two_rows() {
    let body = [b"](".as_slice(), &row("a"), b"q\x05h\x05e2h\x05ah\x050.".as_slice()].concat();
    // The list is named twice on the stack, and gets the row once more by its second name.
    assert_eq!(outcome(&body), lines("aaa"));
    let body = [b"](".as_slice(), &row("a"), b"q\x05h\x05eh\x05a."].concat();
    assert_eq!(outcome(&body), lines("aaa"));
    let body = [b"](".as_slice(), &row("a"), b"2e."].concat();
    assert_eq!(outcome(&body), lines("aa"));
}

#[test]
fn row_may_be_filled_in_several_steps_before_it_is_listed() {
    let steps = [b"]}".as_slice(), &text("ts"), TIMESTAMP, b"s(", &text("mid"), &text("x"), b"u(u"].concat();
    assert_eq!(outcome(&[steps.as_slice(), b"a."].concat()), line("x"));
    assert_eq!(outcome(&[steps.as_slice(), &text("mid"), &text("y"), b"sa."].concat()), line("y"));
}

#[test]
fn list_may_grow_in_several_steps() {
    let body =
        [b"]q\0(".as_slice(), &row("a"), &row("b"), b"e", &row("c"), b"a(e(h\0", &row("d"), b"a0", &row("e"), b"t0."];
    assert_eq!(outcome(&body.concat()), lines("abcd"));
}

#[test]
fn row_that_changes_after_it_was_listed_counts_as_it_is_in_the_end() {
    let changed = [b"h\x01".as_slice(), &text("mid"), &text("z"), b"s0."].concat();
    let body = [b"](".as_slice(), &row("a"), b"q\x01", &row("b"), b"e", &changed].concat();
    assert_eq!(outcome(&body), lines("zb"));
    // The same after other dumps, of which some rows have left in batches.
    let before = dump(&list(&[&row("1"), &row("2"), &row("3")]));
    let body = [before.as_slice(), &before, &body].concat();
    for (batch_rows, has_left) in [(1, true), (2, true), (3, false), (4, true), (5, false), (100, false)] {
        let limits = Limits { batch_rows, ..Limits::default() };
        match read_within(&body, &limits) {
            Ok((rows, decoded)) => {
                assert_eq!((rows.join("\n"), decoded.rows, decoded.dumps), (lines("123123zb"), 8, 3));
                assert!(!has_left, "batches of {batch_rows}");
            }
            Err(error) => {
                assert!(matches!(error, DecodeError::RowsChangedLater { .. }), "{error}");
                assert!(has_left, "batches of {batch_rows}");
            }
        }
    }
}

#[test]
fn row_that_is_taken_off_again_before_it_is_listed_does_not_count() {
    let body = [b"](".as_slice(), &row("a"), &row("b"), b"00", &row("c"), &row("d"), b"e."].concat();
    let tuple = [b"](".as_slice(), &row("a"), &row("b"), b"\x86", &row("c"), &row("d"), b"e."].concat();
    assert_eq!(outcome(&body), lines("cd"));
    // Not even where some have left in batches, of which the first row is one.
    for body in [body, tuple] {
        for batch_rows in 1..6 {
            let limits = Limits { batch_rows, ..Limits::default() };
            match read_within(&body, &limits) {
                Ok((rows, _)) => assert_eq!(rows.join("\n"), lines("cd"), "batches of {batch_rows}"),
                Err(error) => {
                    assert!(matches!(error, DecodeError::RowsChangedLater { .. }), "{error}");
                    assert!(batch_rows < 3, "batches of {batch_rows}");
                }
            }
        }
    }
}

#[test]
fn ads_that_change_after_their_row_was_listed_count_as_they_are_in_the_end() {
    let ads = |ads: &[u8]| dict(&[("ts", TIMESTAMP), ("ads", ads)]);
    let grown = [b"]".as_slice(), &ads(b"]q\x01"), b"ah\x01", &dict(&[("aid", b"K\x07")]), b"a0."].concat();
    assert_eq!(outcome(&grown), "1718000000  [7, 0, 0] [0, 0, 0, 0]");
    let changed = [b"]".as_slice(), &ads(b"]}q\x01a"), b"ah\x01", &text("aid"), b"K\x07s0."].concat();
    assert_eq!(outcome(&changed), "1718000000  [7, 0, 0] [0, 0, 0, 0]");
    // What comes after the first element does not matter.
    let longer = [b"]".as_slice(), &ads(b"]q\x01}a"), b"ah\x01}a0."].concat();
    assert_eq!(outcome(&longer), "1718000000  [0, 0, 0] [0, 0, 0, 0]");
}

#[test]
fn list_on_an_empty_stack_may_turn_out_not_to_be_the_rows() {
    let rows = list(&[&row("a"), &row("b")]);
    let listed = |tail: &[u8]| outcome(&[rows.as_slice(), tail].concat());
    assert_eq!(listed(b"."), lines("ab"));
    assert_eq!(listed(b"\x85."), "not_a_row: 1 row (first 0)", "a tuple of one list");
    assert_eq!(listed(&[b"0".as_slice(), &rows, b"."].concat()), lines("ab"));
    assert_eq!(listed(b"]."), "", "the top of the stack counts");
    assert!(listed(b"0N.").ends_with("holds None where rows should be"));
}

#[test]
fn list_may_hold_itself() {
    assert_eq!(outcome(b"]q\0h\0a."), "not_a_row: 1 row (first 0)");
    assert_eq!(
        outcome(&[b"]q\0(".as_slice(), &b"h\0".repeat(100), b"e."].concat()),
        "not_a_row: 100 rows (first 0, 1, 2, 3, 4)"
    );
    // Rows whose `ads` are the list of rows, of which the first has no ids.
    let row = dict(&[("ts", TIMESTAMP), ("ads", b"h\0")]);
    let (rows, _) = read(&[b"]q\0(".as_slice(), &row.repeat(100), b"e."].concat()).unwrap();
    assert_eq!(rows, vec!["1718000000  [0, 0, 0] [0, 0, 0, 0]"; 100]);
}

#[test]
fn columns_may_be_one_list() {
    let body = [b"}(".as_slice(), &text("ts"), &list(&[TIMESTAMP]), b"q\x01", &text("rev"), b"h\x01u."].concat();
    assert_eq!(outcome(&body), "1718000000  [0, 0, 0] [0, 0, 0, 1718000000000000]");
}

#[test]
fn memo_may_be_numbered_in_any_way() {
    let row = dict(&[("ts", TIMESTAMP)]);
    for (put, get) in [
        (b"p4000000000\n".as_slice(), b"g4000000000\n".as_slice()),
        (b"r\xff\xff\xff\xff", b"j\xff\xff\xff\xff"),
        (b"q\x01", b"g1\n"),
        (b"q\x09q\x02q\x01q\0", b"h\x02"),
        (b"p18446744073709551\n\x94", b"h\x01"),
    ] {
        let body = [b"](".as_slice(), &row, put, get, b"e."].concat();
        assert_eq!(read(&body).unwrap().0.len(), 2, "{put:?}");
    }
    assert_eq!(outcome(b"(h\x07."), "the pickle refers to memo 7, which is not set at byte 1 (BINGET)");
    // A dump does not see the memo of the one before.
    assert_eq!(outcome(b"]q\0.h\0."), "the pickle refers to memo 0, which is not set at byte 4 (BINGET)");
}
