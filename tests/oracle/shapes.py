"""The forms in which real CPython leaves the same rows in an object: layout, pickler, compression."""

import gzip
import io
import pickle
import pickletools
import zlib

from schema import SCALAR_FIELDS

# --- rows -> the values that are dumped, one after the other


def as_list(rows):
    return [list(rows)]


def as_tuple(rows):
    return [tuple(rows)]


def as_dumps_of_rows(rows):
    """One dump a row; but what would not pass for a row on its own is dumped as a list of one."""
    return [row if _stands_alone(row) else [row] for row in rows]


def _stands_alone(row):
    """A dict with a list in a scalar field would be taken for a dict of columns."""
    return isinstance(row, dict) and not any(isinstance(row.get(field), (list, tuple)) for field in SCALAR_FIELDS)


def as_dumps_of_lists(rows):
    """Chunks of uneven length, an empty one among them."""
    chunks, at, length = [], 0, 1
    while at < len(rows):
        chunks.append(list(rows[at : at + length]))
        at, length = at + length, length * 3
    return chunks[:2] + [[]] + chunks[2:]


def as_columns(rows):
    """One dict of lists; a field that a row lacks is None there."""
    fields = ("ts", "mid", "ads", "xreq", "xres", "xpsb", "imp", "clk", "rev")
    columns = {field: [row.get(field) for row in rows] for field in fields}
    columns["ua"] = ["unknown column"] * len(rows)
    columns["producer"] = "not a column at all"
    return [columns]


def as_columns_of_tuples(rows):
    """Tuples, and two columns that do not exist: 0 in every row."""
    columns = as_columns(rows)[0]
    return [{field: tuple(columns[field]) for field in ("rev", "ts", "imp", "ads", "mid", "xreq", "clk")}]


def as_mixed(rows):
    """All layouts in one stream."""
    fifth = max(1, len(rows) // 5)
    parts = [rows[at : at + fifth] for at in range(0, 4 * fifth, fifth)] + [rows[4 * fifth :]]
    makers = (as_list, as_dumps_of_rows, as_columns, as_tuple, as_dumps_of_lists)
    return [value for maker, part in zip(makers, parts) for value in maker(part)]


# --- values -> one stream of pickles


def c_pickler(value, protocol):
    return pickle.dumps(value, protocol)


def python_pickler(value, protocol):
    """The pure-Python pickler writes other opcodes than the C one: no BINGET sharing of short text, other batches."""
    file = io.BytesIO()
    pickle._Pickler(file, protocol).dump(value)
    return file.getvalue()


def fast_pickler(value, protocol):
    """Without a memo: what is shared is written again."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()


def optimized_pickler(value, protocol):
    """Without the memo entries that nothing refers to."""
    return pickletools.optimize(pickle.dumps(value, protocol))


class _Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its `str`, which was both: bytes without an encoding."""

    def save_str(self, text):
        self._save(text, text.encode("utf-8"))

    def save_bytes(self, data):
        self._save(data, data)

    def _save(self, value, encoded):
        if self.proto == 0:
            self.write(b"S" + repr(encoded)[1:].encode("ascii") + b"\n")
        elif len(encoded) < 256:
            self.write(b"U" + bytes([len(encoded)]) + encoded)
        else:
            self.write(b"T" + len(encoded).to_bytes(4, "little") + encoded)
        self.memoize(value)

    dispatch = dict(pickle._Pickler.dispatch)
    dispatch[str] = save_str
    dispatch[bytes] = save_bytes


def python2_pickler(value, protocol):
    file = io.BytesIO()
    _Python2Pickler(file, min(protocol, 2)).dump(value)
    return file.getvalue()


def stream(values, protocol, pickler=c_pickler):
    return b"".join(pickler(value, protocol) for value in values)


# --- stream -> the body of an object


def plain(data):
    return data


def gzipped(data):
    return gzip.compress(data, 6, mtime=0)


def gzipped_in_members(data):
    """Members that end anywhere, even within an opcode, with an empty one between them."""
    third = len(data) // 3
    return gzipped(data[:third]) + gzipped(b"") + gzipped(data[third : 2 * third]) + gzipped(data[2 * third :])


def gzipped_and_padded(data):
    """Zeros up to a block's end, as tapes and some uploaders leave them."""
    body = gzipped(data)
    return body + b"\0" * (-len(body) % 512 + 512)


def gzipped_with_header_fields(data):
    """A header with file name, comment, extra field and its own checksum, stored without compression."""
    compressor = zlib.compressobj(0, zlib.DEFLATED, -15)
    deflated = compressor.compress(data) + compressor.flush()
    header = b"\x1f\x8b\x08\x1e" + bytes(4) + b"\x00\x03" + b"\x04\x00XC\x00\x00" + b"log.pkl\x00" + b"comment\x00"
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    trailer = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return header + deflated + trailer
