#!/usr/bin/env python3
"""Writes the pickles of real pandas and numpy beside this file, and what must be read from them.

    python3 tests/data/decode/make.py

Run it once in each environment; it writes the folder `pandas-VERSION[-numpy]` and enters its answers into
`expected.json`. The folders here were written by

    Python 3.8.18   pandas 1.0.5  numpy 1.18.5
    Python 3.8.18   pandas 1.1.5  numpy 1.19.5
    Python 3.9.18   pandas 1.3.5  numpy 1.21.6
    Python 3.9.18   pandas 1.5.3  numpy 1.23.5
    Python 3.12.1   pandas 2.2.3  numpy 1.26.4
    Python 3.13.0   pandas 2.3.3  numpy 2.5.5   with pyarrow 25
    Python 3.13.0   pandas 3.1.1  numpy 2.5.5   with pyarrow 25
    Python 3.13.0   pandas 3.1.1  numpy 2.5.5   (folder ...-numpy)

Each case is one object: all of its values, one dump after the other, at several protocols. What must be read is
worked out from the values that Python itself unpickles, by the rules in `tests/oracle`.
"""

import datetime
import decimal
import gzip
import io
import json
import math
import pathlib
import pickle
import sys

import numpy as np
import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "oracle"))

import rules  # noqa: E402  (needs the path above)

try:
    import pyarrow
except ImportError:
    pyarrow = None

VERSION = tuple(int(part) for part in pd.__version__.split(".")[:2])
SECONDS = (946_684_800, 2_000_000_000)
SCALARS = ("ts", "mid", "xreq", "imp", "clk", "rev")
TS = 1_718_000_000
NAN = float("nan")
FIRST_ROWS_MAX = 5


# --- what is written


def frame():
    """Every way in which a value may be missing, in one frame of blocks of all kinds."""
    made = pd.DataFrame({
        "ts": np.array([TS, TS + 1, TS + 2, TS + 3, TS + 4, TS + 5, 5], dtype="int64"),
        "mid": ["m1", None, NAN, 1023, "가", b"b\xc3\xa9", "m1"],
        "ads": [[{"aid": 4567, "_god": 889, "did": 12}], None, NAN, '[{"aid": 7, "did": -3}]', [], ({"aid": True},), []],
        "xreq": np.array([1, 2, 3, 4, 5, 6, 7], dtype="int32"),
        "imp": [1.0, NAN, 3.0, 0.0, 5.0, 1.5, 7.0],
        "rev": [12.5, 0.1, NAN, 0.0, 1e-7, 2.5, 1.0],
        "ok": [True, False, True, False, True, False, True],
        "at": pd.to_datetime([TS, None, 2, 3, 4, 5, 6], unit="s"),
        "zoned": pd.to_datetime([TS, None, 2, 3, 4, 5, 6], unit="s", utc=True).tz_convert("Asia/Seoul"),
        "lasted": pd.to_timedelta([1, None, 3, 4, 5, 6, 7], unit="s"),
        "group": pd.Categorical(["a", "b", None, "a", "b", "a", "a"]),
        "data": ["a name that", "states", "of", "pandas", "use", "too", "_mgr"],
    })  # fmt: skip
    made["clk"] = pd.array([1, None, 3, 4, 5, 6, 7], dtype="Int64")
    return [made]


def numbers():
    """All numeric types, in both byte orders."""
    types = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
    orders = ["<", ">"]
    for order in orders:
        for name in types:
            dtype = np.dtype(name).newbyteorder(order)
            yield pd.DataFrame({
                "ts": np.array([TS, TS + 1, TS + 2], dtype=">i8" if order == ">" else "<i8"),
                "mid": np.array([3, 2, 1], dtype=dtype),
                "imp": np.array([1, 0, 120], dtype=dtype),
                "rev": np.array([0, 2, 7.5], dtype=dtype),
            })  # fmt: skip
    yield pd.DataFrame({"ts": [TS] * 3, "imp": np.array([1, 2**63, 2**64 - 1], dtype="uint64"), "mid": np.array([2**63, 7, 2**64 - 1], dtype="uint64")})
    yield pd.DataFrame({"ts": [TS] * 3, "imp": np.array([1, -1, -(2**63)], dtype="int64")})
    yield pd.DataFrame({"ts": [TS] * 3, "imp": [True, False, True], "mid": [1.0, 2.5, NAN], "rev": [True, False, True]})
    yield pd.DataFrame({"ts": [TS, TS + 0.75, NAN], "imp": [np.inf, 1e300, 1.0]})
    yield pd.DataFrame({"ts": [np.inf, TS, TS], "rev": [1.0, np.inf, -1e-9]})
    yield pd.DataFrame({"ts": [TS] * 4, "rev": np.array([0.0, -0.0, 6e-8, 2.5], dtype="float16"), "imp": np.array([NAN, 2, 65504, 0.5], dtype="float16")})
    yield pd.DataFrame({"ts": [TS], "rev": np.array([2.5 + 0j]), "imp": np.array([1], dtype="longdouble")})


def orders():
    """Blocks in the order of rows and of columns, split, joined and rearranged."""
    array = np.array([[TS, 1, 2], [TS + 1, 3, 4], [TS + 2, 5, 6], [TS + 3, 7, 8]])
    for order in "CF":
        yield pd.DataFrame(np.array(array, order=order), columns=["ts", "imp", "clk"])
        yield pd.DataFrame(np.array(array.astype(float), order=order), columns=["ts", "imp", "rev"])
    base = pd.DataFrame({"ts": [TS, TS + 1], "a": [1.5, 2.5], "imp": [3, 4], "b": ["x", "y"], "rev": [0.5, 1.5], "clk": [5, 6]})
    yield base[["rev", "clk", "b", "imp", "ts"]]
    yield base[base["imp"] > 3]
    yield base.iloc[::-1]
    yield base.iloc[::2]
    yield pd.concat([base, base], ignore_index=True)
    yield base.assign(mid=["p", "q"], xreq=[9, 9]).drop(columns=["a"])
    yield base.astype(object)
    yield base.T.T
    yield pd.concat([base[["ts", "imp"]], base[["imp"]] + 10], axis=1)


def times():
    """Timestamps that are times."""
    naive = pd.to_datetime(["2024-06-10 06:13:20.999", None, "1999-12-31 23:59:59.999999999"])
    yield pd.DataFrame({"ts": naive, "imp": [1, 2, 3]})
    yield pd.DataFrame({"ts": naive.tz_localize("UTC").tz_convert("Asia/Seoul"), "imp": [1, 2, 3]})
    yield pd.DataFrame({"ts": naive.tz_localize("America/New_York"), "imp": [1, 2, 3]})
    yield pd.DataFrame({"ts": pd.Series([pd.Timestamp(TS, unit="s"), datetime.datetime(2024, 6, 10), pd.NaT], dtype=object)})
    yield pd.DataFrame({"ts": [TS] * 2, "imp": pd.to_datetime([TS, None], unit="s"), "mid": pd.to_datetime([None, TS], unit="s")})
    if VERSION >= (2, 0):
        for unit in ("s", "ms", "us", "ns"):
            yield pd.DataFrame({"ts": naive.as_unit(unit)})
            yield pd.DataFrame({"ts": naive.as_unit(unit).tz_localize("Asia/Seoul")})


def texts():
    """Keys in all the columns that hold text."""
    keys = ["m1", "가나", None, "m1", "x" * 65, ""]
    dtypes = [object, "string", "category"]
    if VERSION >= (3, 0):
        dtypes.append("str")
    if pyarrow:
        dtypes += ["string[pyarrow]"] + (["string[pyarrow_numpy]"] if VERSION < (3, 0) else [])
    for dtype in dtypes:
        yield pd.DataFrame({"ts": [TS] * 6, "mid": pd.Series(keys, dtype=dtype)})
    yield pd.DataFrame({"ts": [TS] * 6, "mid": keys, "ads": ['[{"aid": %d}]' % at for at in range(5)] + [None]})
    long = json.dumps([{"note": "n" * 200, "aid": 5}])
    yield pd.DataFrame({"ts": [TS] * 3, "ads": pd.Categorical([long, "[]", long])})
    yield pd.DataFrame({"ts": [TS] * 3, "ads": pd.Series([long, long.replace("5", "6"), "nothing"])})
    yield pd.DataFrame({"ts": [TS] * 3, "mid": pd.Categorical([5, 7, 5], categories=[7, 5], ordered=True)})
    yield pd.DataFrame({"ts": [TS] * 3, "mid": pd.Categorical([None, None, None])})
    yield pd.DataFrame({"ts": [TS] * 2, "mid": ["lone \ud800", "whole"], "rev": [decimal.Decimal("1.25"), None]}, dtype=object)


def nullable():
    """pandas' own types, which know missing values."""
    types = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"]
    if VERSION >= (1, 2):
        types += ["Float32", "Float64"]
    for dtype in types:
        yield pd.DataFrame({"ts": [TS] * 3, "imp": pd.array([1, None, 100], dtype=dtype), "mid": pd.array([None, 7, 8], dtype=dtype)})
        yield pd.DataFrame({"ts": pd.array([TS, None], dtype="Int64"), "rev": pd.array([5, 5], dtype=dtype)})
        yield pd.DataFrame({"ts": [TS] * 2, "rev": pd.array([5, None], dtype=dtype)})
    yield pd.DataFrame({"ts": [TS] * 3, "imp": pd.array([True, None, False], dtype="boolean"), "mid": pd.array([None, None, True], dtype="boolean")})


def arrow():
    """Columns that pyarrow holds."""
    if not pyarrow or VERSION < (2, 0):
        return
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double"):
        dtype = pd.ArrowDtype(pyarrow.type_for_alias(name))
        yield pd.DataFrame({"ts": [TS] * 3, "imp": pd.array([1, None, 100], dtype=dtype), "rev": pd.array([2, 3, 5], dtype=dtype)})
    yield pd.DataFrame({"ts": [TS] * 2, "rev": pd.array([5.5, None], dtype="double[pyarrow]")})
    yield pd.DataFrame({"ts": [TS] * 9, "imp": pd.array([True, None, False] * 3, dtype="bool[pyarrow]")})
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "Asia/Seoul"):
            column = pyarrow.array([TS, None], pyarrow.int64()).cast(pyarrow.timestamp("s", zone)).cast(pyarrow.timestamp(unit, zone))
            yield pd.DataFrame({"ts": pd.array(column, dtype=pd.ArrowDtype(column.type))})
    for kind in (pyarrow.string(), pyarrow.large_string(), pyarrow.binary(), pyarrow.null()):
        values = [None] * 3 if kind == pyarrow.null() else ["a", None, "bc"]
        chunks = pyarrow.chunked_array([pyarrow.array(values, kind), pyarrow.array(values, kind).slice(1), pyarrow.array([], kind)])
        yield pd.DataFrame({"ts": [TS] * 5, "mid": pd.Series(pd.arrays.ArrowExtensionArray(chunks))})
    whole = pd.DataFrame({"ts": [TS + at for at in range(12)], "mid": pd.Series(["k%d" % at for at in range(12)], dtype="string[pyarrow]")})
    yield whole.iloc[3:9]
    yield pd.concat([whole.iloc[:2], whole.iloc[5:]])


def indexes():
    """What the index is does not matter."""
    row = {"ts": [TS, TS + 1], "imp": [1, 2]}
    for index in (
        [5, 6], [5.5, 6.5], ["a", "b"], pd.date_range("2024-01-01", periods=2), pd.date_range("2024-01-01", periods=2, freq="D", tz="UTC"),
        pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["one", None]), pd.CategoricalIndex(["a", "b"]),
        pd.to_timedelta([1, 2], unit="s"), pd.RangeIndex(7, 3, -2), pd.Index([1, 2], dtype="uint64"), [None, "x"],
    ):  # fmt: skip
        yield pd.DataFrame(row, index=index)
    yield pd.DataFrame(row).rename_axis("row").rename_axis("field", axis=1)
    yield pd.DataFrame(row).set_index("ts")
    yield pd.DataFrame(row, columns=pd.CategoricalIndex(["ts", "imp"]))
    yield pd.DataFrame([[TS, 1], [TS, 2]])
    yield pd.DataFrame([[TS, 1], [TS, 2]], columns=pd.MultiIndex.from_tuples([("ts", "x"), ("imp", "y")]))
    yield pd.DataFrame([[TS, 1, 5]], columns=["ts", "imp", 3])
    yield pd.DataFrame([])
    yield pd.DataFrame({"ts": [], "imp": []})
    yield pd.DataFrame({"x": [1, 2]})


def columns():
    """Dicts of arrays, series and lists."""
    yield {"ts": np.array([TS, TS + 1]), "mid": np.array(["a", "가"]), "imp": np.array([1, 2], dtype="uint8"), "rev": np.array([0.5, 1.5])}
    yield {"ts": [TS, TS + 1], "imp": np.array([1.0, NAN]), "mid": np.array([b"a", b""]), "x": np.array([[1], [2]]), "y": np.array(5)}
    yield {"ts": pd.Series([TS, TS + 1]), "imp": pd.Series([1.0, NAN]), "mid": pd.Series(["a", None]), "rev": pd.Series([NAN, 1.0])}
    yield {"ts": np.array(["2024-06-10T06:13:20", "NaT"], dtype="datetime64[ms]"), "imp": np.array([1, 2])}
    for unit in ("Y", "M", "D", "h", "m", "s", "us", "10s"):
        yield {"ts": np.array(["2024-06-10", "NaT", "2030-02-28"], dtype="datetime64[D]").astype("datetime64[%s]" % unit)}
    yield {"ts": np.array([TS, TS]), "ads": np.array([[{"aid": 5}], None], dtype=object), "mid": pd.Categorical(["x", None])}
    yield {"ts": (TS, TS), "imp": pd.array([1, None], dtype="Int64"), "mid": pd.array(["s", None], dtype="string")}
    yield {"ts": np.array([]), "imp": []}
    yield {"ts": np.array([TS], dtype=">i8"), "mid": np.array(["U\U0001f600"], dtype=">U5"), "imp": np.ones(1, dtype=">f2")}


def rows():
    """Scalars of numpy and pandas, of `decimal` and `datetime`."""
    zone = datetime.timezone(datetime.timedelta(hours=9))
    yield [
        {"ts": np.int64(TS), "mid": np.str_("가"), "imp": np.uint8(3), "rev": np.float64(0.1), "ads": [{"aid": np.int32(5), "did": np.bool_(True)}]},
        {"ts": np.float64(TS + 0.9), "mid": np.int16(7), "imp": np.bool_(True), "rev": np.float32(0.5), "clk": np.float16(2)},
        {"ts": np.datetime64("2024-06-10T06:13:20.5"), "mid": np.bytes_(b"b"), "imp": np.datetime64("NaT")},
        {"ts": np.datetime64("NaT")},
        {"ts": pd.Timestamp(TS, unit="s"), "rev": decimal.Decimal("1.2345675")},
        {"ts": pd.Timestamp("2024-06-10 15:13:20.7", tz="Asia/Seoul"), "rev": decimal.Decimal("NaN")},
        {"ts": pd.NaT},
        {"ts": pd.NA},
        {"ts": datetime.datetime(2024, 6, 10, 6, 13, 20, 999999)},
        {"ts": datetime.datetime(2024, 6, 10, 15, 13, 20, tzinfo=zone)},
        {"ts": datetime.datetime(1999, 12, 31, 23, 59, 59, 1, tzinfo=datetime.timezone.utc)},
        {"ts": datetime.date(2024, 6, 10)},
        {"ts": TS, "imp": pd.NA},
        {"ts": TS, "rev": pd.NA},
        {"ts": TS, "mid": pd.NA},
        {"ts": TS, "mid": datetime.datetime(2024, 6, 10)},
        {"ts": TS, "rev": NAN},
        {"ts": TS, "imp": np.float64(NAN)},
        {"ts": TS, "imp": np.uint64(2**64 - 1), "mid": np.uint64(2**64 - 1)},
        {"ts": TS, "mid": np.uint64(2**64 - 1), "other": [pd.Timedelta(1), datetime.timedelta(1), np.timedelta64(1, "s"), datetime.time(1)]},
        {"ts": TS, "mid": bytearray(b"x")},
        {"ts": TS, "ads": np.array([1, 2])},
        {"ts": TS, "imp": np.complex64(1), "other": np.arange(3)},
    ]
    if sys.version_info >= (3, 9):
        import zoneinfo

        seoul, york = zoneinfo.ZoneInfo("Asia/Seoul"), zoneinfo.ZoneInfo("America/New_York")
        yield [
            {"ts": datetime.datetime(2024, 6, 10, 15, 13, 20, tzinfo=seoul)},
            {"ts": datetime.datetime(2024, 6, 10, 15, 13, 20, tzinfo=york)},
            {"ts": datetime.datetime(2024, 11, 3, 1, 30, tzinfo=york)},
            {"ts": datetime.datetime(2024, 3, 10, 2, 30, tzinfo=york)},
        ]
    try:
        import pytz
    except ImportError:
        return
    yield [
        {"ts": pytz.timezone("Asia/Seoul").localize(datetime.datetime(2024, 6, 10, 15, 13, 20))},
        {"ts": pytz.utc.localize(datetime.datetime(2024, 6, 10, 15, 13, 20))},
        {"ts": datetime.datetime(2024, 6, 10, 15, 13, 20, tzinfo=pytz.FixedOffset(540))},
    ]


def fold():
    """An hour that comes twice; only protocols from 4 on keep which one it is."""
    if sys.version_info >= (3, 9):
        import zoneinfo

        york = zoneinfo.ZoneInfo("America/New_York")
        yield [{"ts": datetime.datetime(2024, 11, 3, 1, 30, fold=fold, tzinfo=york)} for fold in (0, 1)]


CASES = (
    (frame, (0, 1, 2, 3, 4, 5)), (numbers, (2, 5)), (orders, (4, 5)), (times, (2, 5)), (texts, (2, 4, 5)), (nullable, (5,)),
    (arrow, (2, 5)), (indexes, (2, 5)), (columns, (0, 2, 5)), (rows, (0, 2, 4)), (fold, (4,)),
)  # fmt: skip


#: Versions that differ little from another one leave out what that one has.
THIN = ("1.0.5", "1.3.5", "2.3.3", "3.1.1-numpy")
THIN_PROTOCOLS = (2, 5)


# --- what must be read


def rows_of(value):
    """(row, is of pandas) for every row of one dump."""
    if isinstance(value, pd.DataFrame):
        names = list(value.columns)
        last = {name: at for at, name in enumerate(names) if isinstance(name, str)}
        series = {name: list(value.iloc[:, at]) for name, at in last.items()}
        count = 0 if not names else len(value)
        return [({name: column[at] for name, column in series.items()}, set(series)) for at in range(count)]
    if isinstance(value, list):
        return [(row, set()) for row in value]
    known = {name: value[name] for name in SCALARS + ("ads",) if name in value}
    of_pandas = {name for name, column in known.items() if not isinstance(column, (list, tuple, np.ndarray))}
    columns = {name: [column[at] for at in range(len(column))] if isinstance(column, np.ndarray) else list(column) for name, column in known.items()}
    return [({name: column[at] for name, column in columns.items()}, of_pandas) for at in range(len(columns["ts"]))]


class _Other:
    """A value of a type that no field may have."""

    def __lt__(self, other):
        return False


def is_missing(value):
    return value is pd.NA or value is pd.NaT or (isinstance(value, (float, np.floating)) and math.isnan(value)) or (isinstance(value, np.datetime64) and np.isnat(value))


def plain(name, value, of_pandas):
    """The value in the types that the rules know."""
    if is_missing(value):
        if of_pandas:
            return NAN if name == "rev" else None
        return NAN if isinstance(value, (float, np.floating)) else _Other()
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[s]").astype(int) if name == "ts" else _Other()
        return int(value) if name == "ts" else value
    if isinstance(value, pd.Timestamp):
        return value.value // 10**9 if name == "ts" else _Other()
    if isinstance(value, datetime.datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        since = zoned.astimezone(datetime.timezone.utc) - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return since // datetime.timedelta(seconds=1) if name == "ts" else _Other()
    if isinstance(value, decimal.Decimal):
        return value
    if isinstance(value, (np.complexfloating, np.longdouble, np.timedelta64)) and not isinstance(value, np.float64):
        return _Other()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, bytearray)):
        return _Other()
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return [{key: plain(key, one, False) for key, one in value[0].items()}]
    return value


def amount(value):
    """The oracle knows no `Decimal`."""
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise rules.Reject("money_not_a_number")
        micros = int((value * 1_000_000).quantize(decimal.Decimal(1), rounding=decimal.ROUND_HALF_EVEN))
        if micros < 0:
            raise rules.Reject("money_negative")
        return micros
    return rules.amount(value)


def line(row, of_pandas):
    get = {name: plain(name, row.get(name), name in of_pandas) for name in SCALARS + ("ads",)}
    second = rules.timestamp(get["ts"], SECONDS)
    key = rules.media_key(get["mid"])
    ids = list(rules.ad_ids(rules.first_ad(get["ads"])).values())
    measures = [rules.counter(get["xreq"]), rules.counter(get["imp"]), rules.counter(get["clk"]), amount(get["rev"])]
    return "%d %s %s %s" % (second, key, ids, measures)


def expected(values):
    lines, rejected, ordinal = [], {}, 0
    for value in values:
        for row, of_pandas in rows_of(value):
            try:
                lines.append(line(row, of_pandas))
            except rules.Reject as reject:
                first = rejected.setdefault(str(reject), [0, []])
                first[0] += 1
                first[1] = (first[1] + [ordinal])[:FIRST_ROWS_MAX]
            ordinal += 1
    return {"dumps": len(values), "rows": lines, "rejected": rejected}


def unpickled(data):
    stream, values = io.BytesIO(data), []
    while stream.tell() < len(data):
        values.append(pickle.load(stream))
    return values


def enter(answers, name):
    """Puts this version's answers into the file of all, where versions that agree share one."""
    path = HERE / "expected.json"
    entered = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for shared in entered.values():
        for answer in shared:
            answer["of"] = [other for other in answer["of"] if other != name]
    for case, answer in answers.items():
        shared = entered.setdefault(case, [])
        for other in shared:
            if all(other[key] == json.loads(json.dumps(answer[key])) for key in answer):
                other["of"] = sorted(other["of"] + [name])
                break
        else:
            shared.append(dict(answer, of=[name]))
    entered = {case: [answer for answer in shared if answer["of"]] for case, shared in entered.items()}
    text = json.dumps(entered, ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def main():
    version = pd.__version__ + ("-numpy" if VERSION >= (3, 0) and not pyarrow else "")
    folder = HERE / ("pandas-" + version)
    folder.mkdir(exist_ok=True)
    answers = {}
    for case, protocols in CASES:
        values = list(case())
        if not values:
            continue
        answers[case.__name__] = expected(values)
        if version in THIN:
            protocols = protocols[-1:] if case is not frame else THIN_PROTOCOLS
        for protocol in protocols:
            data = b"".join(pickle.dumps(value, protocol) for value in values)
            again = expected(unpickled(data))
            assert again == answers[case.__name__], (case.__name__, protocol)
            path = folder / ("%s.p%d.pkl.gz" % (case.__name__, protocol))
            path.write_bytes(gzip.compress(data, 9, mtime=0))
    enter(answers, folder.name)


if __name__ == "__main__":
    main()
