"""The objects that must be set aside, each broken in one way, and none of them able to do harm."""

import gzip
import os
import pickle

import rows
import shapes

#: What the hostile pickle would create if anyone ran it. Tests look for it.
CANARY = "/tmp/xc2-oracle-canary"


class _RunsACommand:
    def __reduce__(self):
        return os.system, ("touch %s" % CANARY,)


class _ImportsQuietly:
    """No command, but still a global that no log row needs."""

    def __reduce__(self):
        return os.getcwd, ()


def objects(random, row_count):
    """(key, body)"""
    honest = shapes.stream([rows.several(random, row_count, 0)], 4)
    whole = shapes.gzipped(honest)
    cases = (
        ("0 bytes", b""),
        ("gzip of nothing", shapes.gzipped(b"")),
        ("gzip cut in the middle", whole[: len(whole) // 2]),
        ("gzip cut in the trailer", whole[:-3]),
        ("gzip cut before the trailer", whole[:-8]),
        ("gzip cut in the header", whole[:6]),
        ("gzip checksum wrong", whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]),
        ("gzip length wrong", whole[:-1] + bytes([whole[-1] ^ 1])),
        ("gzip second member cut", whole + whole[: len(whole) // 2]),
        ("gzip then garbage", whole + b"garbage"),
        ("gzip data damaged", whole[:10] + bytes([whole[10] | 6]) + whole[11:]),  # a block of no known type
        ("gzip bomb", _bomb(random)),
        ("runs a command", shapes.gzipped(pickle.dumps([_RunsACommand()], 4))),
        ("runs a command p0", pickle.dumps([rows.row(random), {"ts": _RunsACommand()}], 0)),
        ("runs a command after the rows", shapes.gzipped(honest + pickle.dumps(_RunsACommand(), 2))),
        ("imports", shapes.gzipped(pickle.dumps([{"ts": _ImportsQuietly()}], 5))),
        ("an int", shapes.gzipped(pickle.dumps(5, 4))),
        ("a text", pickle.dumps("rows", 4)),
        ("none", pickle.dumps(None, 2)),
        ("rows then an int", shapes.gzipped(honest + pickle.dumps(5, 4))),
        ("garbage", bytes([0xFF]) + bytes(random.randrange(256) for _ in range(999))),
        ("gzip of garbage", shapes.gzipped(b"\xff\xfe not a pickle at all")),
        ("pickle cut short", shapes.gzipped(honest[: len(honest) // 2])),
        ("pickle without its stop", shapes.gzipped(honest[:-1])),
        ("second pickle cut short", shapes.gzipped(honest + honest[:-10])),
        ("pickle then zeros", shapes.gzipped(honest + bytes(16))),
        ("unequal columns", shapes.gzipped(pickle.dumps({"ts": [rows.MIDNIGHT] * 3, "imp": [1, 1]}, 4))),
        ("a column is no list", shapes.gzipped(pickle.dumps({"ts": [rows.MIDNIGHT], "imp": 1}, 4))),
        ("too many rejects", shapes.gzipped(pickle.dumps(rows.several(random, 100, 6), 4))),
        ("all rejects", shapes.gzipped(pickle.dumps([None] * 20, 4))),
        ("an empty dict", pickle.dumps({}, 4)),
        ("2000 nested lists", b"\x80\x02" + b"]" * 2000 + b"a" * 1999 + b"."),
        ("2000 nested lists in a row", shapes.gzipped(_nested_in_a_row())),
        ("memo bomb of 60 bytes", b"\x80\x02)" + b"2\x86" * 28 + b"."),
        ("memo bomb of lists", _list_bomb(26)),
        ("memo bomb nested 100 deep", _list_bomb(100)),
        ("a text of 2 MiB", shapes.gzipped(pickle.dumps([dict(rows.row(random), ua=_text(random, 2 << 20))], 4))),
    )
    for name, body in cases:
        suffix = ".pkl.gz" if body[:2] == b"\x1f\x8b" or name == "0 bytes" else ".pkl"
        yield "logs/broken/%s%s" % (name, suffix), body


def name(key):
    """What a key of `objects` was called."""
    return key[len("logs/broken/") :].removesuffix(".gz").removesuffix(".pkl")


def _bomb(random):
    """Four million references to one honest row: only its ratio, about 1000 to 1, gives it away."""
    return gzip.compress(pickle.dumps([rows.row(random)] * 4_000_000, 4), 9, mtime=0)


def _nested_in_a_row():
    """Deep where no rule looks: an unknown field of an otherwise honest row."""
    deep = b"]" * 2000 + b"a" * 1999
    return b"\x80\x02]}(U\x02tsJ" + rows.MIDNIGHT.to_bytes(4, "little") + b"U\x04deep" + deep + b"ua."


def _list_bomb(levels):
    """Each level a list that holds the one before twice, by reference: 2 to the power of `levels` when copied."""
    body = b"\x80\x02]q\x00"
    for level in range(1, levels + 1):
        body += b"]q" + bytes([level]) + b"(h" + bytes([level - 1]) + b"h" + bytes([level - 1]) + b"e"
    return body + b"."


def _text(random, length):
    """Text that does not compress well, so that its length and not its ratio is what is wrong with it."""
    return "".join(random.choices("0123456789abcdef가나다라마바사아자차카타파하", k=length))
