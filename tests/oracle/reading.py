"""The body of an object -> its rows as Python sees them, or why it holds none.

CPython itself inflates (`gzip`) and unpickles (`pickle.Unpickler`); this file only bounds both, refuses every
global that would run code, and knows the shapes that hold rows.
"""

import collections
import datetime
import decimal
import gzip
import io
import pickle
import zlib

import schema


class Broken(Exception):
    """The object as a whole is set aside. `also` names kinds that are as right, where limits may be met in another order."""

    def __init__(self, kind, reason, also=()):
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.kinds = [kind] + [other for other in also if other != kind]


class _Forbidden(Exception):
    """Raised from inside the unpickler, which lets it pass."""


def inflate(body):
    """The body without its compression, if any; bounded as the program's limits bound it."""
    if len(body) > schema.OBJECT_BYTES_MAX:
        raise Broken("too_large", "%d bytes as stored" % len(body))
    if body[:2] != b"\x1f\x8b":
        return body
    allowed = min(schema.INFLATED_BYTES_MAX, schema.MIB + schema.INFLATE_RATIO_MAX * len(body))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            inflated = stream.read(allowed + 1)
            if len(inflated) <= allowed:
                inflated += stream.read()  # the end is where checksum and length are verified
    except (OSError, EOFError, zlib.error) as error:
        raise Broken("gzip", str(error)) from error
    if len(inflated) > allowed:
        raise Broken("too_large", "inflates to more than %d bytes" % allowed)
    return inflated


def _empty_bytes(*args):
    if args:
        raise pickle.UnpicklingError("bytes() of something")
    return b""


def _encode(text, encoding):
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("text encoded as %r" % (encoding,))
    return text.encode("latin-1")


def _allowed():
    """(module, name) -> what it makes: the values without code of their own that honest rows hold."""
    allowed = {("_codecs", "encode"): _encode}
    for module in ("builtins", "__builtin__"):  # as protocols 0 to 2 call it
        allowed[module, "bytes"] = _empty_bytes
        for kind in (bytearray, set, frozenset):
            allowed[module, kind.__name__] = kind
    for kind in (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone):
        allowed["datetime", kind.__name__] = kind
    allowed["decimal", "Decimal"] = decimal.Decimal
    allowed["collections", "OrderedDict"] = collections.OrderedDict
    return allowed


class _Unpickler(pickle.Unpickler):
    """Lets through only what CPython writes for plain values that have no opcode of their own."""

    ALLOWED = _allowed()

    def find_class(self, module, name):
        try:
            return self.ALLOWED[(module, name)]
        except KeyError:
            raise _Forbidden("%s.%s" % (module, name)) from None


def dumps(stream):
    """The values of all pickles in the inflated stream. Each dump has its own memo, hence its own unpickler."""
    if not stream:
        raise Broken("pickle", "empty")
    file = io.BytesIO(stream)
    values = []
    while file.tell() < len(stream):
        # Python 2 text (opcodes STRING, BINSTRING) is bytes that should be UTF-8; what is not must not pass for text,
        # and a lone surrogate is exactly that.
        unpickler = _Unpickler(file, encoding="utf-8", errors="surrogateescape")
        try:
            values.append(unpickler.load())
        except _Forbidden as error:
            raise Broken("forbidden", "global %s" % error) from None
        except Exception as error:  # garbage raises nearly everything: KeyError, IndexError, ValueError, ...
            raise Broken("pickle", "%s: %s" % (type(error).__name__, error)) from error
    return values


def check_limits(values):
    """Refuses what is nested too deep or holds too long a text. Walks shared values once, and without recursion."""
    depths, sizes, open_ids, stack = {}, {}, set(), [(values, False)]
    while stack:
        value, children_done = stack.pop()
        children = _children(value)
        if children is None:
            _check_text(value)
        elif children_done:
            open_ids.discard(id(value))
            depths[id(value)] = 1 + max((depths.get(id(child), 0) for child in children), default=0)
            sizes[id(value)] = 1 + sum(sizes.get(id(child), 1) for child in children)
        elif id(value) in open_ids:
            raise Broken("too_large", "a value that holds itself", also=("pickle",))
        elif id(value) not in depths:
            open_ids.add(id(value))
            stack.append((value, True))
            stack.extend((child, False) for child in children)
    if depths[id(values)] - 1 > schema.NESTING_MAX:
        raise Broken("too_large", "nested %d deep" % (depths[id(values)] - 1))
    return sizes[id(values)]


def _children(value):
    if isinstance(value, dict):
        return [part for item in value.items() for part in item]
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    return None


def _check_text(value):
    if isinstance(value, (str, bytes, bytearray)) and len(value) > schema.TEXT_BYTES_MAX:
        raise Broken("too_large", "a text of %d bytes" % len(value))


def _rows_of_columns(columns):
    present = {field: columns[field] for field in schema.KNOWN_FIELDS if field in columns}
    for field, column in present.items():
        if not isinstance(column, (list, tuple)):
            raise Broken("pickle", "column %s is no list" % field)
    lengths = {len(column) for column in columns.values() if isinstance(column, (list, tuple))}
    if len(lengths) != 1:
        raise Broken("pickle", "columns of unequal lengths %s" % sorted(lengths))
    return [dict(zip(present, values)) for values in zip(*present.values())]


def rows_of_dump(value):
    """The rows of one dump: a list or tuple of them, a dict of columns, or one row."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, dict):
        raise Broken("pickle", "a %s holds no rows" % type(value).__name__)
    if any(isinstance(value.get(field), (list, tuple)) for field in schema.SCALAR_FIELDS):
        return _rows_of_columns(value)
    return [value]


def rows_of_object(body):
    """All rows of an object, in order, through all its dumps. Raises `Broken`."""
    values = dumps(inflate(body))
    size = check_limits(values)
    rows = [row for value in values for row in rows_of_dump(value)]
    if len(rows) > schema.ROWS_MAX:
        raise Broken("too_large", "%d rows" % len(rows))
    return rows, size
