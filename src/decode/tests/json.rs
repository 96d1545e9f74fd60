use rstest::rstest;

use super::super::ads_json::parse;
use super::super::fields::Fields;
use super::schema;
use crate::model::RejectReason::{self, AdsUnreadable, IdNotAnInteger};

#[rstest]
#[case(" \t\r\n", Ok([0; 3]))]
#[case("null", Ok([0; 3]))]
#[case("[]", Ok([0; 3]))]
#[case("[{}]", Ok([0; 3]))]
#[case(r#"[{"aid": 1, "_god": null, "did": true, "x": {"aid": 5}}, 3, "x"]"#, Ok([1, 0, 1]))]
#[case(r#"[{"aid": 1, "aid": 2}]"#, Ok([2, 0, 0]))]
#[case(r#"[{"aid": "x", "aid": 2}]"#, Ok([2, 0, 0]))]
#[case(r#"[{"\u0061id": 3, "\ud800": 4}]"#, Ok([3, 0, 0]))]
#[case(r#"[{"x": "\ud800", "aid": 3}]"#, Ok([3, 0, 0]))]
#[case(r#"[{"aid": -2.0e3, "did": -0}]"#, Ok([-2000, 0, 0]))]
#[case(r#"[{"x": NaN, "y": [-Infinity, Infinity], "z": "NaN", "aid": 7}]"#, Ok([7, 0, 0]))]
#[case(r#"[{"aid": NaN}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": 9223372036854775808}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": 99999999999999999999999}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": 1.5}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": 1E400}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": -1.5e+400, "did": 7}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": 0e400, "did": 1e-400}]"#, Ok([0; 3]))]
#[case(r#"[{"aid": 0e400, "did": 7}]"#, Ok([0, 0, 7]))]
#[case(r#"[{"x": 1E400, "aid": 7, "y": "1E400"}, 1E999]"#, Ok([7, 0, 0]))]
#[case(r#"[{"x": "\\", "y": "\"1E400", "aid": 1E400}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": 01E400}]"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": 1E400.5}]"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": +1E400}]"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": 1E400 1}]"#, Err(AdsUnreadable))]
#[case(r#"[{1E400: 1}]"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": "1"}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": [{}]}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": {"a": 1}}]"#, Err(IdNotAnInteger))]
#[case(r#"[{"aid": "\udC00"}]"#, Err(IdNotAnInteger))]
#[case("[{\"a\u{1}\": 1}]", Err(AdsUnreadable))]
#[case("[{\"a\n\": NaN}]", Err(AdsUnreadable))]
#[case("[{\"a\": \"\t\"}]", Err(AdsUnreadable))]
#[case("NaN", Err(AdsUnreadable))]
#[case("{}", Err(AdsUnreadable))]
#[case("1", Err(AdsUnreadable))]
#[case("[1]", Err(AdsUnreadable))]
#[case("[null]", Err(AdsUnreadable))]
#[case(r#"[{"aid": 1}"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": 1},]"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": 1}] x"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": 1}, {"x": -NaN}]"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": 1NaN}]"#, Err(AdsUnreadable))]
#[case(r#"[{NaN: 1}]"#, Err(AdsUnreadable))]
#[case(r#"[{"aid": "\"#, Err(AdsUnreadable))]
fn ids_of_the_first_object(#[case] text: &str, #[case] expected: Result<[i64; 3], RejectReason>) {
    assert_eq!(parse(text.as_bytes(), &Fields::of(&schema())), expected);
}

#[rstest]
#[case("9".repeat(400))]
#[case("-".to_owned() + &"9".repeat(400))]
#[case("9".repeat(400) + ".0")]
fn number_of_any_size_is_a_number(#[case] number: String) {
    let parsed = |text: String| parse(text.as_bytes(), &Fields::of(&schema()));
    assert_eq!(parsed(format!(r#"[{{"aid": {number}}}]"#)), Err(IdNotAnInteger));
    assert_eq!(parsed(format!(r#"[{{"aid": {number}x}}]"#)), Err(AdsUnreadable));
    assert_eq!(parsed(format!(r#"[{{"x": {number}, "aid": 5}}]"#)), Ok([5, 0, 0]));
}

#[test]
fn deep_json_that_is_skipped_costs_no_stack() {
    let deep = format!(r#"[{{"x": {}1{}, "aid": 5}}]"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(parse(deep.as_bytes(), &Fields::of(&schema())), Ok([5, 0, 0]));
    let deep = format!(r#"[{{"aid": {}}}]"#, "[".repeat(200_000));
    assert_eq!(parse(deep.as_bytes(), &Fields::of(&schema())), Err(AdsUnreadable));
}
