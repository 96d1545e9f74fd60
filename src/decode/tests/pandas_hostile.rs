//! Frames and arrays that contradict themselves, and those that someone has tampered with: typed errors, never a panic,
//! and never more work than their bytes are worth.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::super::{DecodeError, Limit};
use super::assemble::*;
use super::pandas::{fixtures, inflated};
use super::{outcome, read, read_within};
use crate::model::{FailureKind, Limits};

/// One file of each kind of layout: managers with a state and with arguments, `partial` blocks, pyarrow's arrays.
fn samples() -> impl Iterator<Item = Vec<u8>> {
    let wanted = [
        ("pandas-1.1.5", "frame", 2),
        ("pandas-1.3.5", "frame", 5),
        ("pandas-2.2.3", "frame", 0),
        ("pandas-3.1.1", "frame", 5),
        ("pandas-3.1.1-numpy", "frame", 5),
    ];
    fixtures()
        .filter(move |(name, _)| wanted.contains(&(name.0.as_str(), name.1.as_str(), name.2)))
        .map(|(_, body)| inflated(&body))
}

#[test]
fn frame_cut_anywhere_is_an_error() {
    assert_eq!(samples().count(), 5);
    for body in samples() {
        for cut in 1..body.len() {
            let error = read(&body[..cut]).unwrap_err();
            assert_eq!(error.kind(), FailureKind::Pickle, "cut at {cut}: {error}");
        }
    }
}

#[test]
fn flipped_bits_in_frames_are_survived() {
    for mut body in samples() {
        for at in 0..body.len() {
            // One bit of each byte: a whole frame is long.
            let bit = 1 << (at % 8);
            body[at] ^= bit;
            let _ = read(&body);
            body[at] ^= bit;
        }
    }
}

#[test]
fn bytes_exchanged_in_any_fixture_are_survived() {
    for ((_, case, protocol), body) in fixtures() {
        let mut body = inflated(&body);
        let step = body.len() / 12 + 1;
        for at in (usize::from(protocol) + case.len()..body.len()).step_by(step) {
            for byte in [0, 0xff] {
                let before = std::mem::replace(&mut body[at], byte);
                let _ = read(&body);
                body[at] = before;
            }
        }
    }
}

// --- put together by hand

pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn tuple(parts: &[&[u8]]) -> Vec<u8> {
    [b"(", parts.concat().as_slice(), b"t"].concat()
}

pub fn call(callable: &[u8], arguments: &[&[u8]]) -> Vec<u8> {
    [callable, &tuple(arguments), b"R"].concat()
}

pub fn new(class: &[u8], state: &[u8]) -> Vec<u8> {
    [class, b")\x81", state, b"b"].concat()
}

pub fn number(number: i64) -> Vec<u8> {
    int(&number.to_string())
}

pub fn dtype(code: &str) -> Vec<u8> {
    let state = tuple(&[&number(3), &text("<"), NONE, NONE, NONE, &number(-1), &number(-1), &number(0)]);
    [call(&global("numpy", "dtype"), &[&text(code), TRUE, TRUE]), state, b"b".to_vec()].concat()
}

pub fn array(code: &str, shape: &[i64], content: &[u8]) -> Vec<u8> {
    let shape: Vec<Vec<u8>> = shape.iter().map(|&extent| number(extent)).collect();
    let shape: Vec<&[u8]> = shape.iter().map(Vec::as_slice).collect();
    let content = bytes(content);
    call(&global("numpy.core.numeric", "_frombuffer"), &[&content, &dtype(code), &tuple(&shape), &text("C")])
}

pub fn seconds(count: usize) -> Vec<u8> {
    1_718_000_000i64.to_le_bytes().repeat(count)
}

pub fn block(values: &[u8], from: i64, to: i64) -> Vec<u8> {
    let slice = call(&global("builtins", "slice"), &[&number(from), &number(to), &number(1)]);
    call(&global("pandas._libs.internals", "_unpickle_block"), &[values, &slice, &number(2)])
}

pub fn index(data: &[u8]) -> Vec<u8> {
    let class = global("pandas.core.indexes.base", "Index");
    call(&global("pandas.core.indexes.base", "_new_Index"), &[&class, &dict(&[("data", data)])])
}

pub fn objects(values: &[&[u8]]) -> Vec<u8> {
    let made = call(
        &global("numpy.core.multiarray", "_reconstruct"),
        &[&global("numpy", "ndarray"), &tuple(&[&number(0)]), &bytes(b"b")],
    );
    let shape = tuple(&[&number(values.len() as i64)]);
    [made, tuple(&[&number(1), &shape, &dtype("O8"), b"\x89", &list(values)]), b"b".to_vec()].concat()
}

pub fn frame(names: &[&str], blocks: &[&[u8]]) -> Vec<u8> {
    let names: Vec<Vec<u8>> = names.iter().map(|name| text(name)).collect();
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    let manager = global("pandas.core.internals.managers", "BlockManager");
    let manager = call(&manager, &[&tuple(blocks), &list(&[&index(&objects(&names))])]);
    dump(&new(&global("pandas.core.frame", "DataFrame"), &dict(&[("_mgr", &manager)])))
}

pub fn columns(items: &[(&str, &[u8])]) -> Vec<u8> {
    dump(&dict(items))
}

const ROW: &str = "1718000000  [0, 0, 0] [0, 0, 0, 0]";

#[test]
fn frame_put_together_by_hand_is_read() {
    let body = frame(&["a", "ts"], &[&block(&array("i8", &[2, 1], &seconds(2)), 0, 2)]);
    assert_eq!(outcome(&body), ROW);
    assert_eq!(outcome(&columns(&[("ts", &array("i8", &[2], &seconds(2)))])), format!("{ROW}\n{ROW}"));
}

#[rstest]
#[case("i8", &[3], "an array whose values do not fit its shape")]
#[case("i8", &[-2], "an array whose shape is no shape")]
#[case("i8", &[1 << 62], "an array whose values do not fit its shape")]
#[case("i8", &[i64::MAX, i64::MAX], "an array that is larger than any")]
#[case("i4", &[2], "an array whose values do not fit its shape")]
#[case("U0", &[1 << 40], "an array of values without a size")]
#[case("V0", &[1 << 40], "an array of values without a size")]
#[case("U9223372036854775807", &[1], "a dtype of endless texts")]
#[case("i", &[2], "a dtype without a size")]
#[case("", &[2], "a dtype without a size")]
#[case("가8", &[2], "a dtype without a size")]
#[case("O8", &[2], "an array whose values do not fit its shape")]
fn array_that_contradicts_itself_is_an_error(#[case] code: &str, #[case] shape: &[i64], #[case] fault: &str) {
    let body = columns(&[("ts", &array(code, shape, &seconds(2)))]);
    assert!(outcome(&body).starts_with(&format!("the pickle holds {fault} at byte")), "{}", outcome(&body));
}

#[rstest]
#[case(&array("i8", &[2, 2], &seconds(4)), 2, 4, "a DataFrame of which no block holds a column")]
#[case(&array("i8", &[1, 2], &seconds(2)), 0, 1, "a DataFrame whose blocks do not fit its columns")]
#[case(&array("i8", &[2, 2], &seconds(3)), 0, 2, "an array whose values do not fit its shape")]
#[case(&array("i8", &[1, 1, 4], &seconds(4)), 0, 2, "a DataFrame whose blocks do not fit its columns")]
#[case(NONE, 0, 2, "a DataFrame whose blocks do not fit its columns")]
fn block_that_does_not_fit_is_an_error(#[case] values: &[u8], #[case] from: i64, #[case] to: i64, #[case] fault: &str) {
    let outcome = outcome(&frame(&["ts", "imp"], &[&block(values, from, to)]));
    assert!(outcome.starts_with(&format!("the pickle holds {fault} at byte")), "{outcome}");
}

#[test]
fn blocks_that_do_not_fit_each_other_are_errors() {
    let (one, two) = (array("i8", &[1, 1], &seconds(1)), array("i8", &[1, 2], &seconds(2)));
    let unequal = outcome(&frame(&["ts", "x"], &[&block(&one, 0, 1), &block(&two, 1, 2)]));
    assert!(unequal.contains("columns are not equally long"), "{unequal}");
    let twice = outcome(&frame(&["ts", "x"], &[&block(&one, 0, 1), &block(&one, 0, 1)]));
    assert!(twice.contains("two blocks hold one column"), "{twice}");
}

#[test]
fn frame_without_its_parts_is_an_error() {
    let class = global("pandas.core.frame", "DataFrame");
    for state in [NONE.to_vec(), b"}".to_vec(), dict(&[("_mgr", NONE)]), dict(&[("_mgr", &new(&class, b"}"))])] {
        let outcome = outcome(&dump(&new(&class, &state)));
        assert!(outcome.contains("a DataFrame without its blocks"), "{outcome}");
    }
    assert!(outcome(&dump(&[class.as_slice(), b")\x81"].concat())).contains("a DataFrame without its blocks"));
    // A frame that is its own manager's block.
    let body = [&class[..], b")\x81q\0}", &text("_mgr"), b"h\0sb."].concat();
    assert!(outcome(&body).contains("a DataFrame without its blocks"));
}

#[test]
fn array_within_itself_is_an_error() {
    // A DatetimeArray whose array is itself.
    let class = global("pandas.core.arrays.datetimes", "DatetimeArray");
    let body = columns(&[("ts", &[&class[..], b")\x81q\0}", &text("_ndarray"), b"h\0sb"].concat())]);
    assert!(outcome(&body).contains("an array within itself"), "{}", outcome(&body));
    // An Index whose values are an Index, and so on.
    let mut data = array("i8", &[1], &seconds(1));
    for _ in 0..20 {
        data = index(&data);
    }
    let body = columns(&[("ts", &data)]);
    assert!(outcome(&body).contains("an array within itself"), "{}", outcome(&body));
}

#[test]
fn mask_and_codes_must_fit() {
    let integers = global("pandas.core.arrays.integer", "IntegerArray");
    let masked = |mask: &[u8]| {
        let mask = array("b1", &[mask.len() as i64], mask);
        new(&integers, &dict(&[("_data", &array("i8", &[2], &seconds(2))), ("_mask", &mask)]))
    };
    assert_eq!(outcome(&columns(&[("ts", &masked(&[0, 0]))])), format!("{ROW}\n{ROW}"));
    assert!(outcome(&columns(&[("ts", &masked(&[0]))])).contains("whose mask does not fit"));
    let coded = |code: u8| {
        let categories = index(&array("i8", &[1], &seconds(1)));
        let dtype =
            new(&global("pandas.core.dtypes.dtypes", "CategoricalDtype"), &dict(&[("categories", &categories)]));
        let class = global("pandas.core.arrays.categorical", "Categorical");
        columns(&[("ts", &new(&class, &dict(&[("_codes", &array("i1", &[1], &[code])), ("_dtype", &dtype)])))])
    };
    assert_eq!(outcome(&coded(0)), ROW);
    assert_eq!(outcome(&coded(0xff)), "timestamp_missing: 1 row (first 0)");
    assert!(outcome(&coded(1)).contains("a code without a category"));
    assert!(outcome(&coded(0xfe)).contains("a code without a category"));
}

pub fn arrow_of(kind: &str, length: i64, offset: i64, buffers: &[&[u8]]) -> Vec<u8> {
    let buffers: Vec<Vec<u8>> =
        buffers.iter().map(|buffer| call(&global("pyarrow.lib", "py_buffer"), &[&bytes(buffer)])).collect();
    let buffers: Vec<&[u8]> = [NONE].into_iter().chain(buffers.iter().map(Vec::as_slice)).collect();
    let kind = call(&global("pyarrow.lib", "type_for_alias"), &[&text(kind)]);
    let parts = tuple(&[&kind, &number(length), &number(0), &number(offset), &list(&buffers), b"]", NONE]);
    call(&global("pyarrow.lib", "_restore_array"), &[&parts])
}

pub fn arrow_column(array: &[u8]) -> Vec<u8> {
    new(&global("pandas.core.arrays.arrow.array", "ArrowExtensionArray"), &dict(&[("_pa_array", array)]))
}

#[rstest]
#[case("int64", 2, 0, &[0; 16], Ok(2))]
#[case("int64", 2, 1, &[0; 16], Err("do not fit its length"))]
#[case("int64", i64::MAX, 0, &[0; 16], Err("rows_max"))]
#[case("int64", 1, i64::MAX, &[0; 16], Err("do not fit its length"))]
#[case("int64", -1, 0, &[0; 16], Err("without a length"))]
#[case("bool", 129, 0, &[0; 16], Err("do not fit its length"))]
#[case("string", 4, 0, &[0; 16], Err("do not fit its length"))]
#[case("string", 3, 0, &[0; 16], Ok(3))]
#[case("string", 1, 0, &[0, 0, 0, 0, 4, 0, 0, 0], Err("do not fit its length"))]
#[case("string", 2, 0, &[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0], Err("do not fit its length"))]
#[case("string", 1, 0, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], Err("do not fit its length"))]
#[case("large_string", 1, 0, &[0xff; 16], Err("do not fit its length"))]
#[case("null", 3, 0, &[], Ok(3))]
#[case("date32[day]", 3, 0, &[], Ok(3))]
fn buffers_must_hold_what_the_array_promises(
    #[case] kind: &str,
    #[case] length: i64,
    #[case] offset: i64,
    #[case] values: &[u8],
    #[case] expected: Result<u64, &str>,
) {
    let column = arrow_column(&arrow_of(kind, length, offset, &[values, b"abc"]));
    match (read(&columns(&[("mid", &column)])), expected) {
        (Ok((_, decoded)), Ok(rows)) => assert_eq!(decoded.rows, rows),
        (Err(error), Err(fault)) => assert!(error.to_string().contains(fault), "{error}"),
        (read, _) => panic!("{read:?}"),
    }
}

#[test]
fn shared_parts_cost_what_one_costs() {
    let started = Instant::now();
    // A long placement in many blocks.
    let places = array("i8", &[20_000], &[0; 160_000]);
    let values = array("i8", &[20_000, 0], &[]);
    let unpickle = global("pandas._libs.internals", "_unpickle_block");
    let shared = [call(&unpickle, &[&values, &places, &number(2)]), b"q\0".to_vec()].concat();
    let blocks = [shared.as_slice()].into_iter().chain(vec![b"h\0".as_slice(); 20_000]).collect::<Vec<_>>();
    assert!(outcome(&frame(&["ts", "imp"], &blocks)).contains("blocks do not fit its columns"));
    // One array of long texts, in many chunks.
    let long = "k".repeat(1_000_000);
    let offsets = [0u32.to_le_bytes(), 1_000_000u32.to_le_bytes()].concat();
    let chunk = [arrow_of("string", 1, 0, &[&offsets, long.as_bytes()]), b"q\0".to_vec()].concat();
    let chunks = [chunk.as_slice()].into_iter().chain(vec![b"h\0".as_slice(); 100_000]).collect::<Vec<_>>();
    let chunked = call(&global("pyarrow.lib", "chunked_array"), &[&list(&chunks), NONE]);
    let body = columns(&[("mid", &arrow_column(&chunked))]);
    assert!(outcome(&body).contains("more work than its bytes are worth"), "{}", outcome(&body));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn long_text_is_refused_wherever_it_is_not_an_array() {
    let long = vec![b'x'; 100];
    let limits = Limits { text_bytes_max: 99, ..Limits::default() };
    let limit = |body: &[u8]| match read_within(body, &limits) {
        Err(DecodeError::LimitExceeded { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    let text = text(std::str::from_utf8(&long).unwrap());
    let line = [b"V", long.as_slice(), b"\n"].concat();
    for long in
        [&bytes(&long), &text, &line, &call(&global("_codecs", "encode"), &[&text, &super::assemble::text("latin1")])]
    {
        assert_eq!(limit(&dump(&list(&[long]))), Limit::TextBytes);
        assert_eq!(limit(&dump(&dict(&[("ua", long)]))), Limit::TextBytes);
        assert_eq!(limit(&dump(&dict(&[("ts", long)]))), Limit::TextBytes);
        assert_eq!(limit(&[b"}", long.as_slice(), b"Ns."].concat()), Limit::TextBytes);
        assert_eq!(limit(&[b"(", long.as_slice(), b"\x91."].concat()), Limit::TextBytes);
    }
    let array = array("i8", &[13], &seconds(13));
    assert_eq!(read_within(&columns(&[("ts", &array)]), &limits).unwrap().1.rows, 13);
    // What is too long to be kept at all.
    let limits = Limits { decoder_bytes_max: 1 << 20, inflated_bytes_max: u64::MAX, ..Limits::default() };
    let body = [b"B\0\0\x0f\0".as_slice(), &vec![0; 0xf_0000], b"B\0\0\x0f\0", &vec![0; 0xf_0000]].concat();
    assert!(matches!(read_within(&body, &limits), Err(DecodeError::LimitExceeded { limit: Limit::DecoderBytes, .. })));
}

#[rstest]
#[case(b"cfunctools\npartial\ncpandas.core.frame\nDataFrame\n\x85R", "functools.partial")]
#[case(b"cfunctools\npartial\ncos\nsystem\n", "os.system")]
#[case(b"cbuiltins\ngetattr\ncnumpy\nndarray\nX\x04\0\0\0dump\x86R", "builtins.getattr")]
#[case(b"cbuiltins\ngetattr\nczoneinfo\nZoneInfo\nX\x08\0\0\0no_cache\x86R", "builtins.getattr")]
#[case(b"ccopy_reg\n_reconstructor\n(cdecimal\nDecimal\nc__builtin__\nobject\nNtR", "copy_reg._reconstructor")]
#[case(b"cbuiltins\nobject\n)R", "builtins.object")]
#[case(b"cnumpy\nndarray\n)R", "numpy.ndarray")]
#[case(b"cnumpy\nndarray\n)\x81", "numpy.ndarray")]
#[case(b"cpandas.core.internals.blocks\nnew_block\n)R", "pandas.core.internals.blocks.new_block")]
#[case(b"cnumpy.core.multiarray\n_reconstruct\n)\x81", "numpy.core.multiarray._reconstruct")]
#[case(b"cpandas.io.pickle\nread_pickle\n", "pandas.io.pickle.read_pickle")]
#[case(b"cpandas\nread_pickle\n", "pandas.read_pickle")]
#[case(b"cpandas.core.frame\nSeries\n", "pandas.core.frame.Series")]
#[case(b"cnumpy\nfromfile\n", "numpy.fromfile")]
#[case(b"cpyarrow.lib\ncpu_count\n", "pyarrow.lib.cpu_count")]
fn what_looks_like_pandas_is_refused_by_name(#[case] body: &[u8], #[case] name: &str) {
    let error = read(body).unwrap_err();
    assert!(error.to_string().starts_with(&format!("the pickle asks for `{name}` at byte")), "{error}");
    assert_eq!(error.kind(), FailureKind::Forbidden);
}

#[test]
fn rows_of_numpy_scalars_are_forgotten_like_others() {
    // Each number is `scalar(dtype, bytes)`; the first one makes the dtype that all others refer to.
    let scalar = [global("numpy.core.multiarray", "scalar"), b"q\x01".to_vec()].concat();
    let dtype = [dtype("i8"), b"q\x02".to_vec()].concat();
    let first = dict(&[("ts", &call(&scalar, &[&dtype, &bytes(&seconds(1))]))]);
    let other = dict(&[("ts", &call(b"h\x01", &[b"h\x02", &bytes(&seconds(1))]))]);
    let body = [b"](".as_slice(), &first, &other.repeat(50_000), b"e."].concat();
    let limits = Limits { decoder_bytes_max: 1 << 20, ..Limits::default() };
    let mut rows = 0;
    let batches = &mut |batch: &arrow::array::RecordBatch| rows += batch.num_rows();
    super::super::decode(&body, &super::schema(), &limits, batches).unwrap();
    assert_eq!(rows, 50_001);
}
