//! Whatever the bytes are: a typed error or rows, never a panic, and never more memory than the limits say.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rstest::rstest;

use super::super::{DecodeError, Limit, PickleFault};
use super::assemble::*;
use super::fixtures::*;
use super::{outcome, read, read_within};
use crate::model::{Disposition, FailureKind, Limits};

fn all_fixtures() -> impl Iterator<Item = &'static [u8]> {
    let fixtures = [LIST, LIST_PURE, TUPLE, PAIR, COLUMNS, OTHER_TYPES, CYCLIC, PYTHON_2, PYTHON_2_PURE];
    fixtures.into_iter().flatten().copied()
}

#[track_caller]
fn limit_of(body: &[u8]) -> Limit {
    match read(body) {
        Err(error @ DecodeError::LimitExceeded { limit, .. }) => {
            assert_eq!((error.kind(), error.disposition()), (FailureKind::TooLarge, Disposition::Quarantine));
            limit
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn fault_of(body: &[u8]) -> PickleFault {
    match read(body) {
        Err(error @ DecodeError::Pickle { fault, .. }) => {
            assert_eq!(error.kind(), FailureKind::Pickle);
            fault
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn pickle_cut_anywhere_is_an_error() {
    for body in all_fixtures() {
        for cut in 1..body.len() {
            assert_eq!(fault_of(&body[..cut]), PickleFault::Truncated, "cut at {cut}");
        }
    }
}

#[test]
fn flipped_bits_are_survived() {
    for body in all_fixtures() {
        let mut body = body.to_vec();
        for at in 0..body.len() {
            for bit in 0..8 {
                body[at] ^= 1 << bit;
                let _ = read(&body);
                body[at] ^= 1 << bit;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    /// Opcodes with operands that often fit, so that the machine gets further than with noise.
    #[test]
    fn any_opcodes_are_survived(parts in proptest::collection::vec(0usize..46, 0..60)) {
        const PARTS: [&[u8]; 46] = [
            b"(", b".", b"0", b"1", b"2", b"N", b"K\x01", b"J\x80\x99ff", b"L99999999999999999999\n", b"G?\xf0\0\0\0\0\0\0",
            b"U\x02ts", b"X\x02\0\0\0ts", b"X\x03\0\0\0mid", b"X\x03\0\0\0ads", b"X\x03\0\0\0aid", b"X\x03\0\0\0imp",
            b"X\x02\0\0\0[]", b"C\x01\xff", b"a", b"e", b"}", b"]", b")", b"d", b"l", b"t", b"s", b"u", b"q\0", b"q\x01",
            b"h\0", b"h\x01", b"\x94", b"\x85", b"\x86", b"\x87", b"\x8f", b"\x90", b"\x91", b"R", b"I01\n",
            b"cdecimal\nDecimal\n", b"ccollections\nOrderedDict\n", b"c_codecs\nencode\n", b"c__builtin__\nset\n", b"b",
        ];
        let body: Vec<u8> = parts.iter().flat_map(|&part| PARTS[part].to_vec()).chain(*b".").collect();
        let _ = read(&body);
    }
}

#[rstest]
#[case(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", Limit::TextBytes)]
#[case(b"\x8e\0\0\0\0\0\0\0\x80", Limit::TextBytes)]
#[case(b"\x96\xff\xff\xff\xff\xff\xff\xff\xff", Limit::TextBytes)]
#[case(b"X\xff\xff\xff\xff", Limit::TextBytes)]
#[case(b"B\xff\xff\xff\xff", Limit::TextBytes)]
#[case(b"\x8b\xff\xff\xff\x7f", Limit::TextBytes)]
fn lengths_are_not_believed(#[case] body: &[u8], #[case] limit: Limit) {
    assert_eq!(limit_of(body), limit);
}

#[rstest]
#[case(b"X\xff\xff\x0f\0abc", PickleFault::Truncated)]
#[case(b"T\xff\xff\xff\xff", PickleFault::NegativeLength)]
#[case(b"\x8b\0\0\0\x80", PickleFault::NegativeLength)]
#[case(b"\x80\x06.", PickleFault::UnknownProtocol(6))]
#[case(b"\xff", PickleFault::UnknownOpcode(0xff))]
#[case(b".", PickleFault::StackUnderflow)]
#[case(b"a", PickleFault::StackUnderflow)]
#[case(b"](\x85", PickleFault::StackUnderflow)]
#[case(b"](.", PickleFault::StackUnderflow)]
#[case(b"q\0", PickleFault::StackUnderflow)]
#[case(b"e", PickleFault::MarkMissing)]
#[case(b"t", PickleFault::MarkMissing)]
#[case(b"}K\x01a", PickleFault::WrongOperand("a list"))]
#[case(b"]K\x01K\x01s", PickleFault::WrongOperand("a dict"))]
#[case(b"](K\x01\x90", PickleFault::WrongOperand("a set"))]
#[case(b"K\x01)R", PickleFault::WrongOperand("a callable"))]
#[case(b"cdecimal\nDecimal\n]R", PickleFault::WrongOperand("a tuple"))]
#[case(b"}(K\x01u", PickleFault::OddItems)]
#[case(b"}]K\x01s", PickleFault::UnhashableKey)]
#[case(b"}]\x85\x85K\x01s", PickleFault::UnhashableKey)]
#[case(b"(]\x91", PickleFault::UnhashableKey)]
#[case(b"Iabc\n", PickleFault::BadNumber)]
#[case(b"F\n", PickleFault::BadNumber)]
#[case(b"p-1\n", PickleFault::BadNumber)]
#[case(b"X\x01\0\0\0\xff", PickleFault::BadText)]
#[case(b"Sabc\n", PickleFault::BadText)]
#[case(b"Ip1", PickleFault::Truncated)]
#[case(b"\x97", PickleFault::OutOfBand)]
#[case(b"\x95\xff\xff\xff\xff\xff\xff\xff\xff].", PickleFault::Frame)]
#[case(b"\x95\x03\0\0\0\0\0\0\0].", PickleFault::Frame)]
#[case(b"\x95\x01\0\0\0\0\0\0\0K\x01.", PickleFault::Frame)]
#[case(b"\x95\x0b\0\0\0\0\0\0\0\x95\x01\0\0\0\0\0\0\0].", PickleFault::Frame)]
fn what_makes_no_sense_is_named(#[case] body: &[u8], #[case] fault: PickleFault) {
    assert_eq!(fault_of(body), fault);
}

#[rstest]
#[case::short_binunicode(b"\x8c\x03a\xffb")]
#[case::binunicode(b"X\x03\0\0\0a\xffb")]
#[case::binunicode8(b"\x8d\x03\0\0\0\0\0\0\0a\xffb")]
#[case::overlong(b"\x8c\x02\xc0\x80")]
#[case::half_a_surrogate(b"\x8c\x02\xed\xa0")]
#[case::beyond_unicode(b"\x8c\x04\xf4\x90\x80\x80")]
fn text_that_is_no_utf_8_is_an_error_wherever_it_stands(#[case] text: &[u8]) {
    assert_eq!(fault_of(text), PickleFault::BadText);
    for field in ["ts", "mid", "ads", "imp", "ua"] {
        assert_eq!(fault_of(&dump(&list(&[&dict(&[(field, text)])]))), PickleFault::BadText);
    }
    // As a key, and longer than what is kept once.
    assert_eq!(fault_of(&[b"}", text, b"Ns."].concat()), PickleFault::BadText);
    let long = [b"X\x80\0\0\0".as_slice(), &[b'x'; 127], b"\xff"].concat();
    assert_eq!(fault_of(&long), PickleFault::BadText);
    assert_eq!(fault_of(b"c\xff\nx\n"), PickleFault::BadText);
}

#[test]
fn lone_surrogate_is_text_that_no_field_may_be() {
    let lone = b"\x8c\x03\xed\xa0\x80".as_slice();
    let outcome_of = |field: &str| outcome(&dump(&list(&[&dict(&[("ts", TIMESTAMP), (field, lone)])])));
    assert_eq!(outcome_of("mid"), "media_key_not_text: 1 row (first 0)");
    assert_eq!(outcome_of("ads"), "ads_unreadable: 1 row (first 0)");
    assert_eq!(outcome_of("imp"), "counter_not_an_integer: 1 row (first 0)");
    assert_eq!(outcome_of("rev"), "money_not_a_number: 1 row (first 0)");
    assert_eq!(outcome_of("ua"), "1718000000  [0, 0, 0] [0, 0, 0, 0]");
    // As protocol 0 writes it, and as a key.
    assert_eq!(outcome(&[b"](}(", &text("ts")[..], TIMESTAMP, b"V\\udc80\nNue."].concat()), outcome_of("ua"));
}

#[test]
fn object_that_is_part_of_itself_is_read() {
    // A row that is its own `ads`, a list of rows in a row, a tuple that holds the list that holds it.
    let row = [b"]}q\x01(".as_slice(), &text("ts"), TIMESTAMP, &text("ads"), b"h\x01ua."].concat();
    assert_eq!(outcome(&row), "ads_unreadable: 1 row (first 0)");
    let list = [b"]q\0}(".as_slice(), &text("ts"), TIMESTAMP, &text("ads"), b"h\0ua."].concat();
    assert_eq!(outcome(&list), "1718000000  [0, 0, 0] [0, 0, 0, 0]");
    assert_eq!(outcome(b"]q\0h\0\x85ah\0."), "not_a_row: 1 row (first 0)");
    assert_eq!(
        outcome(&[b"}q\0(".as_slice(), &text("ts"), b"h\0u."].concat()),
        "timestamp_not_a_number: 1 row (first 0)"
    );
    let columns = [b"}(".as_slice(), &text("ts"), b"]q\0h\0au."].concat();
    assert_eq!(outcome(&columns), "timestamp_not_a_number: 1 row (first 0)");
}

#[test]
fn frame_may_end_before_the_stop() {
    assert_eq!(outcome(b"\x95\x01\0\0\0\0\0\0\0]."), "");
}

#[rstest]
#[case(b"cos\nsystem\n", "the pickle asks for `os.system` at byte 0 (GLOBAL)")]
#[case(b"\x8c\x05posix\x8c\x06system\x93", "the pickle asks for `posix.system` at byte 15 (STACK_GLOBAL)")]
#[case(b"(ios\nsystem\n", "the pickle asks for `os.system` at byte 1 (INST)")]
#[case(b"c__builtin__\neval\n", "the pickle asks for `__builtin__.eval` at byte 0 (GLOBAL)")]
#[case(b"ccopyreg\n_reconstructor\n", "the pickle asks for `copyreg._reconstructor` at byte 0 (GLOBAL)")]
#[case(b"ca\x1b[31m\nb\n", r"the pickle asks for `a\u{1b}[31m.b` at byte 0 (GLOBAL)")]
#[case(b"c__builtin__\nbytes\nK\x05\x85R", "the pickle asks for `builtins.bytes` at byte 22 (REDUCE)")]
#[case(b"c_codecs\nencode\n(VAA==\nVbase64\ntR", "the pickle asks for `_codecs.encode` at byte 32 (REDUCE)")]
#[case(b"cdecimal\nDecimal\n)\x81", "the pickle asks for `decimal.Decimal` at byte 18 (NEWOBJ)")]
#[case(b"cdecimal\nDecimal\n}b", "the pickle asks for `decimal.Decimal` at byte 18 (BUILD)")]
#[case(b"(cdecimal\nDecimal\no", "the pickle asks for `decimal.Decimal` at byte 18 (OBJ)")]
#[case(b"]}b", "the pickle asks for an object through BUILD at byte 2, which no log row needs")]
#[case(b"Pid\n", "the pickle asks for an object through PERSID at byte 0, which no log row needs")]
#[case(b"NQ", "the pickle asks for an object through BINPERSID at byte 1, which no log row needs")]
#[case(b"\x82\x01", "the pickle asks for an object through EXT1 at byte 0, which no log row needs")]
fn what_would_be_executed_is_refused_by_name(#[case] body: &[u8], #[case] message: &str) {
    let error = read(body).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.kind()), (message, FailureKind::Forbidden));
}

#[test]
fn deep_nesting_is_limited_and_costs_no_stack() {
    let nest =
        |open: &[u8], close: &[u8], times: usize| [open.repeat(times), close.repeat(times - 1), b".".to_vec()].concat();
    for times in [65, 2_000, 1_000_000] {
        assert_eq!(limit_of(&nest(b"]", b"a", times)), Limit::Nesting);
        assert_eq!(limit_of(&nest(b"(", b"t", times)), Limit::Nesting);
        assert_eq!(limit_of(&[b")".as_slice(), &b"\x85".repeat(times), b"."].concat()), Limit::Nesting);
        assert_eq!(
            limit_of(&[b"](".as_slice(), &b"}K\x01".repeat(times), b"N", &b"s".repeat(times)].concat()),
            Limit::Nesting
        );
    }
    assert_eq!(outcome(&nest(b"]", b"a", 64)), "not_a_row: 1 row (first 0)");
}

/// A row with an unknown field that holds, or whose key is, what the opcodes make of a mark, a text and a depth.
#[rstest]
#[case(b"}", b"(", b"\x91", b"Ns")] // a frozenset that is a key
#[case(b"}U\x01k", b"(", b"\x91", b"s")]
#[case(b"}", b"", b"\x85", b"Ns")] // a tuple that is a key
#[case(b"}U\x01k\x8f(", b"", b"\x85", b"\x90s")] // tuples in a set
#[case(b"}U\x01k", b"c__builtin__\nfrozenset\n]", b"a\x85R", b"s")] // as protocols 0 to 3 write it
#[case(b"}U\x01kc__builtin__\nset\n]", b"", b"\x85", b"a\x85Rs")]
fn nesting_is_counted_through_keys_and_sets(
    #[case] before: &[u8],
    #[case] open: &[u8],
    #[case] close: &[u8],
    #[case] after: &[u8],
) {
    let nested = |times: usize| {
        let parts = [b"]".as_slice(), before, &open.repeat(times), b"U\x01x", &close.repeat(times), after, b"a."];
        parts.concat()
    };
    // Within the row, which is in the list; a set around them is one more.
    let room = if before.ends_with(b"(") || before.ends_with(b"]") { 61 } else { 62 };
    assert_eq!(outcome(&nested(room)), "timestamp_missing: 1 row (first 0)");
    assert_eq!(limit_of(&nested(room + 1)), Limit::Nesting);
    assert_eq!(limit_of(&nested(5_000)), Limit::Nesting);
}

#[test]
fn billion_laughs_cost_nothing() {
    let started = Instant::now();
    for body in [
        [b")".as_slice(), &b"2\x86".repeat(28), b"."].concat(),
        [b"]q\0".as_slice(), &b"]q\0(h\0h\0h\0h\0h\0e".repeat(20), b"."].concat(),
    ] {
        let _ = read(&body);
    }
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn memory_is_limited() {
    let limits = Limits { decoder_bytes_max: 1 << 20, inflated_bytes_max: u64::MAX, ..Limits::default() };
    for body in [
        b"N".repeat(1 << 20),
        b"]".repeat(1 << 20),
        b"}".repeat(1 << 20),
        [b"N".as_slice(), &b"\x94".repeat(1 << 20)].concat(),
        [
            b"N".as_slice(),
            &(0..1 << 16).flat_map(|index: u32| format!("p{}\n", index * 7 + 5).into_bytes()).collect::<Vec<_>>(),
        ]
        .concat(),
        [b"U\x41".as_slice(), &[b'a'; 65], b"0"].concat().repeat(1 << 16),
        (0..1 << 16).flat_map(|text: u32| [b"U\x04".as_slice(), &text.to_le_bytes(), b"0"].concat()).collect(),
        [b"}(".as_slice(), &b"K\x01N".repeat(1 << 20), b"u"].concat(),
        [b"}".as_slice(), &b"(K\x01Nu".repeat(1 << 17)].concat(),
        [b"N]q\x01(".as_slice(), &b"N".repeat(1 << 12), b"e"].concat().repeat(1 << 6),
    ] {
        match read_within(&body, &limits) {
            Err(DecodeError::LimitExceeded { limit: Limit::DecoderBytes, max: 1_048_576, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn long_text_that_many_rows_share_is_read_once() {
    let json = format!(r#"[{{"x": "{}", "aid": 3}}]"#, "x".repeat(1_000_000));
    let ads = [text(&json), b"q\x01".to_vec()].concat();
    let row = dict(&[("ts", TIMESTAMP), ("ads", &ads)]);
    let body = [b"](".as_slice(), &row, b"q\x02", &b"h\x02".repeat(100_000), b"e."].concat();
    let started = Instant::now();
    assert_eq!(read(&body).unwrap().0.len(), 100_001);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn rows_are_limited() {
    let limits = Limits { rows_max: 3, ..Limits::default() };
    assert!(read_within(LIST[4], &limits).is_err());
    assert!(read_within(&dump(&list(&[NONE, NONE, NONE])), &limits).is_ok());
    let error = read_within(&dump(&list(&[NONE; 4])), &limits).unwrap_err();
    assert_eq!(error.to_string(), "the object exceeds rows_max (3) at byte 6");
}
