use rstest::rstest;

use super::assemble::*;
use super::{outcome, read};

/// What becomes of a row that has a good timestamp and, over it, this one field.
fn row_with(field: &str, value: &[u8]) -> String {
    outcome(&dump(&dict(&[("ts", TIMESTAMP), (field, value)])))
}

#[track_caller]
fn check(field: &str, value: &[u8], expected: &str) {
    let rejected = format!("{expected}: 1 row (first 0)");
    let accepted = match field {
        "ts" => format!("{expected}  [0, 0, 0] [0, 0, 0, 0]"),
        "mid" => format!("1718000000 {expected} [0, 0, 0] [0, 0, 0, 0]"),
        "ads" => format!("1718000000  {expected} [0, 0, 0, 0]"),
        "imp" => format!("1718000000  [0, 0, 0] [0, {expected}, 0, 0]"),
        _ => format!("1718000000  [0, 0, 0] [0, 0, 0, {expected}]"),
    };
    let outcome = row_with(field, value);
    assert!(outcome == rejected || outcome == accepted, "{field} became {outcome:?}, not {expected:?}");
}

#[rstest]
#[case(NONE, "timestamp_missing")]
#[case(&text("1718000000"), "timestamp_not_a_number")]
#[case(&float(f64::NAN), "timestamp_not_a_number")]
#[case(&float(f64::NEG_INFINITY), "timestamp_not_a_number")]
#[case(&decimal("1718000000"), "timestamp_not_a_number")]
#[case(TRUE, "timestamp_out_of_window")]
#[case(&float(1e300), "timestamp_out_of_window")]
#[case(&int("100000000000000000000"), "timestamp_out_of_window")]
#[case(&int("946684799"), "timestamp_out_of_window")]
#[case(&float(946_684_799.9), "timestamp_out_of_window")]
#[case(&int("946684800"), "946684800")]
#[case(&float(946_684_800.9), "946684800")]
#[case(&float(2_000_000_000.9), "2000000000")]
#[case(&int("2000000001"), "timestamp_out_of_window")]
fn timestamps(#[case] value: &[u8], #[case] expected: &str) {
    check("ts", value, expected);
}

const HANGUL_64: &str = "가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가가";
const NINES_64: &str = "9999999999999999999999999999999999999999999999999999999999999999";

#[rstest]
#[case(NONE, "")]
#[case(&text(" M1 "), " M1 ")]
#[case(&text("a\0b"), "a\0b")]
#[case(&text("ts"), "ts")]
#[case(&text(HANGUL_64), HANGUL_64)]
#[case(&text("가".repeat(65).as_str()), "media_key_too_long")]
#[case(&text("a".repeat(257).as_str()), "media_key_too_long")]
#[case(&bytes("가".as_bytes()), "가")]
#[case(&bytes(b"\xff"), "media_key_not_text")]
#[case(&bytes(b"\xff".repeat(300).as_slice()), "media_key_not_text")]
#[case(&old_text("가".as_bytes()), "가")]
#[case(&old_text(b"\xff"), "media_key_not_text")]
#[case(b"X\x03\0\0\0\xed\xa0\x80", "media_key_not_text")]
#[case(&int("-7"), "-7")]
#[case(&int("100000000000000000000"), "100000000000000000000")]
#[case(b"\x8a\x09\0\0\x10c-^\xc7k\x05", "100000000000000000000")]
#[case(b"\x8a\x09\0\0\0\0\0\0\0\0\xff", "-18446744073709551616")]
#[case(&int(NINES_64), NINES_64)]
#[case(&int("9".repeat(65).as_str()), "media_key_too_long")]
#[case(&[b"\x8a\xff".as_slice(), [1; 255].as_slice()].concat(), "media_key_too_long")]
#[case(&float(1023.0), "1023")]
#[case(&float(-0.0), "0")]
#[case(&float(1e22), "10000000000000000000000")]
#[case(&float(1e300), "media_key_too_long")]
#[case(&float(1.5), "media_key_not_text")]
#[case(&float(f64::INFINITY), "media_key_not_text")]
#[case(TRUE, "media_key_not_text")]
fn media_keys(#[case] value: &[u8], #[case] expected: &str) {
    check("mid", value, expected);
}

#[rstest]
#[case(NONE, "[0, 0, 0]")]
#[case(b"]", "[0, 0, 0]")]
#[case(b")", "[0, 0, 0]")]
#[case(b"}", "ads_unreadable")]
#[case(b"K\x01", "ads_unreadable")]
#[case(&float(f64::NAN), "ads_unreadable")]
#[case(b"]K\x01a", "ads_unreadable")]
#[case(b"](}K\x01e", "[0, 0, 0]")]
#[case(&list(&[&dict(&[("aid", b"K\x07"), ("_god", TRUE), ("did", &float(-3.0))]), NONE]), "[7, 1, -3]")]
#[case(&list(&[&dict(&[("aid", NONE), ("_god", &int("-9223372036854775808"))])]), "[0, -9223372036854775808, 0]")]
#[case(&list(&[&dict(&[("aid", &int("9223372036854775808"))])]), "id_not_an_integer")]
#[case(&list(&[&dict(&[("aid", &float(1.5))])]), "id_not_an_integer")]
#[case(&list(&[&dict(&[("did", &float(9_223_372_036_854_775_808.0))])]), "id_not_an_integer")]
#[case(&list(&[&dict(&[("did", &text("12"))])]), "id_not_an_integer")]
#[case(&list(&[&dict(&[("aid", b"K\x07"), ("aid", b"K\x08")])]), "[8, 0, 0]")]
#[case(&text(""), "[0, 0, 0]")]
#[case(&text(r#"[{"aid": 7}]"#), "[7, 0, 0]")]
#[case(&bytes(br#"[{"aid": 7}]"#), "[7, 0, 0]")]
#[case(&old_text(br#"[{"aid": 7}]"#), "[7, 0, 0]")]
#[case(&bytes(b"\xff"), "ads_unreadable")]
#[case(&text("ads"), "ads_unreadable")]
#[case(b"X\x09\0\0\0[\"\xed\xa0\x80\",1]", "ads_unreadable")]
fn ads(#[case] value: &[u8], #[case] expected: &str) {
    check("ads", value, expected);
}

#[rstest]
#[case(NONE, "0")]
#[case(TRUE, "1")]
#[case(&float(2.0), "2")]
#[case(&float(-0.0), "0")]
#[case(&int("9223372036854775807"), "9223372036854775807")]
#[case(&int("9223372036854775808"), "counter_not_an_integer")]
#[case(&int("-9223372036854775809"), "counter_not_an_integer")]
#[case(&int("-1"), "counter_negative")]
#[case(&float(-1.0), "counter_negative")]
#[case(&float(0.5), "counter_not_an_integer")]
#[case(&float(f64::NAN), "counter_not_an_integer")]
#[case(&decimal("1"), "counter_not_an_integer")]
#[case(&text("1"), "counter_not_an_integer")]
#[case(b"}", "counter_not_an_integer")]
fn counts(#[case] value: &[u8], #[case] expected: &str) {
    check("imp", value, expected);
}

#[rstest]
#[case(NONE, "0")]
#[case(TRUE, "1000000")]
#[case(&int("12"), "12000000")]
#[case(&float(0.1), "100000")]
#[case(&float(0.000_000_5), "0")]
#[case(&float(0.000_001_5), "2")]
#[case(&float(12.345_678_5), "12345678")]
#[case(&float(-0.0), "0")]
#[case(&float(-1e-9), "money_negative")]
#[case(&int("-1"), "money_negative")]
#[case(&int("9223372036855"), "money_not_a_number")]
#[case(&int("100000000000000000000"), "money_not_a_number")]
#[case(&float(-1e300), "money_not_a_number")]
#[case(&float(f64::NAN), "money_not_a_number")]
#[case(&float(f64::INFINITY), "money_not_a_number")]
#[case(&text("1"), "money_not_a_number")]
#[case(&decimal("12.3456785"), "12345678")]
#[case(&decimal("1E+3"), "1000000000")]
#[case(&decimal("-0"), "0")]
#[case(&decimal("-1E-9"), "money_negative")]
#[case(&decimal("NaN"), "money_not_a_number")]
#[case(&decimal("Infinity"), "money_not_a_number")]
#[case(&decimal("1E+100"), "money_not_a_number")]
fn money(#[case] value: &[u8], #[case] expected: &str) {
    check("rev", value, expected);
}

#[test]
fn first_reason_in_the_order_of_the_fields_is_given() {
    let bad: [(&str, &[u8]); 5] =
        [("rev", &text("x")), ("imp", &text("x")), ("ads", b"K\x01"), ("mid", TRUE), ("ts", &text("x"))];
    let reasons = [
        "money_not_a_number",
        "counter_not_an_integer",
        "ads_unreadable",
        "media_key_not_text",
        "timestamp_not_a_number",
    ];
    for (count, reason) in reasons.iter().enumerate() {
        let items: Vec<(&str, &[u8])> = [("ts", TIMESTAMP)].into_iter().chain(bad[..=count].iter().copied()).collect();
        assert_eq!(outcome(&dump(&dict(&items))), format!("{reason}: 1 row (first 0)"));
    }
}

#[test]
fn rejects_are_numbered_through_all_dumps() {
    let row = dict(&[("ts", TIMESTAMP)]);
    let body = [dump(&list(&[&row, NONE, b"}"])), dump(b"}"), dump(&list(&[NONE]))].concat();
    let (rows, decoded) = read(&body).unwrap();
    assert_eq!((rows.len(), decoded.rows), (1, 5));
    assert_eq!(decoded.rejects.to_string(), "not_a_row: 2 rows (first 1, 4); timestamp_missing: 2 rows (first 2, 3)");
}

#[test]
fn keys_are_text_and_the_last_one_of_a_kind_counts() {
    let keys =
        [old_text(b"imp"), bytes(b"imp"), text("imp"), int("1"), NONE.to_vec(), b"X\x03\0\0\0\xed\xa0\x80".to_vec()];
    let items: Vec<u8> =
        keys.iter().enumerate().flat_map(|(at, key)| [key.as_slice(), b"K", &[at as u8 + 1]].concat()).collect();
    let body = [b"}(".as_slice(), &text("ts"), TIMESTAMP, &items, b"u."].concat();
    assert_eq!(outcome(&body), "1718000000  [0, 0, 0] [0, 3, 0, 0]", "bytes are no text");
}
