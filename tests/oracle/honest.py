"""The objects that must be counted: every layout, protocol, pickler and compression, and the oddities among them."""

import fingerprint
import rows
import shapes

LAYOUTS = (
    ("list", shapes.as_list), ("tuple", shapes.as_tuple), ("dumps of rows", shapes.as_dumps_of_rows),
    ("dumps of lists", shapes.as_dumps_of_lists), ("columns", shapes.as_columns),
    ("columns of tuples", shapes.as_columns_of_tuples), ("mixed", shapes.as_mixed),
)  # fmt: skip
PICKLERS = (shapes.c_pickler, shapes.python_pickler)
COMPRESSIONS = (
    shapes.gzipped, shapes.gzipped_in_members, shapes.plain, shapes.gzipped_and_padded,
    shapes.gzipped_with_header_fields,
)  # fmt: skip

#: What S3 allows in keys and some encoding on the way from the event to the GET gets wrong.
FOLDERS = (
    "logs/2024/06/09/part-{}", "logs/dt=2024-06-10/hour=23/part {}", "logs/로그/매체 {}+a%20b", "logs/100%/{}%2Fdone",
    "logs/a+b=c/{}&x=1;y,z", "logs/(1) copy/~{}'!*@$:", "logs/\u1112\u1161\u11ab/{}",
)  # fmt: skip


def key(number, name, compression):
    suffix = ".pkl" if compression is shapes.plain else ".pkl.gz"
    return FOLDERS[number % len(FOLDERS)].format("%02d %s" % (number, name)) + suffix


def objects(random, files, row_count, first_fingerprint=None):
    """(key, body) of `files` objects: first the oddities, then the combinations of all forms in turn.

    Fingerprints are numbered from `first_fingerprint` on, without it there are none. One takes part in an object's form; to an oddity, whose rows are as they must be, it is added as one more pickle.
    """
    made = []
    for name, compression, data in _oddities(random, row_count):
        if first_fingerprint is not None:
            data += shapes.stream([[fingerprint.row(first_fingerprint + len(made))]], 4)
        made.append((key(len(made), name, compression), compression(data)))
    while len(made) < files:
        extra = [fingerprint.row(first_fingerprint + len(made))] if first_fingerprint is not None else []
        made.append(_combination(random, len(made), row_count, extra))
    return made[: max(files, 1)]


def _combination(random, number, row_count, extra):
    # Steps without a common divisor, so that the forms meet in all pairs before any whole combination repeats.
    name, layout = LAYOUTS[number % 7]
    protocol = number % 6
    pickler = PICKLERS[number // 6 % 2]
    compression = COMPRESSIONS[number % 5]
    made = rows.several(random, row_count, _dirty_count(row_count))
    if row_count >= 50 and layout in (shapes.as_list, shapes.as_tuple, shapes.as_dumps_of_lists):
        made[random.randrange(row_count)] = random.choice(rows.NOT_ROWS)
    made[row_count // 2 : row_count // 2] = extra
    body = compression(shapes.stream(layout(made), protocol, pickler))
    return key(number, "%s p%d" % (name, protocol), compression), body


def _dirty_count(row_count):
    """All reasons once when there is room for them below 5 %."""
    return min(len(rows.DIRTY), max(0, row_count // 25 - 1))


def _oddities(random, row_count):
    """(name, compression, stream)"""
    dump = shapes.stream
    ad = [rows.ad(random)]
    shared = [rows.row(random, ads=ad) for _ in range(row_count)]
    yield "shared ads", shapes.gzipped, dump([shared], 4)
    yield "shared ads p0", shapes.gzipped, dump([shared[: row_count // 2]], 0, shapes.python_pickler)
    one = rows.row(random)
    yield "same row twice", shapes.gzipped, dump([[one, one, rows.row(random), one]], 4)
    yield "twin", shapes.gzipped, dump([[one, one]], 2)
    yield "its twin", shapes.gzipped, dump([[one, one]], 2)
    yield "one row", shapes.plain, dump([one], 5)
    yield "list of one", shapes.gzipped, dump([[one]], 3)
    yield "no rows", shapes.gzipped, dump([[]], 4)
    yield "no rows at all", shapes.plain, dump([(), [], {"ts": [], "imp": []}], 1)
    yield "exactly 5 percent dirty", shapes.gzipped, dump([rows.several(random, 100, 5)], 4)
    yield "wide", shapes.gzipped, dump([[_wide(random) for _ in range(3)]], 4)
    yield "batches", shapes.gzipped, dump([rows.several(random, 2500, 40)], 4)
    yield "batches p1", shapes.gzipped_in_members, dump([rows.several(random, 1001, 11)], 1, shapes.python_pickler)
    yield "no memo", shapes.gzipped, dump([rows.several(random, row_count, _dirty_count(row_count))], 2, shapes.fast_pickler)
    yield "optimized", shapes.gzipped, dump([rows.several(random, row_count, _dirty_count(row_count))], 4, shapes.optimized_pickler)
    yield "python 2", shapes.gzipped, dump([_python2_rows(random, row_count)], 2, shapes.python2_pickler)
    yield "python 2 p0", shapes.gzipped, dump([_python2_rows(random, 40)], 0, shapes.python2_pickler)
    yield "only midnight", shapes.gzipped, dump([_midnight(random)], 4)


def _wide(random):
    """More keys than fit one SETITEMS, the ones that count at both ends."""
    row = rows.row(random)
    first = dict(list(row.items())[:4])
    return {**first, **{"field %d" % number: number for number in range(1100)}, **row}


def _python2_rows(random, row_count):
    """Bytes as a key were the same as text there: such a field occurs twice in a row's stream, and the last counts."""
    made = rows.several(random, row_count, 0)
    for row in made:
        row.pop(b"ts", None)
    made[0][b"rev"] = 1.25
    return made


def _midnight(random):
    return [dict(rows.row(random), ts=ts) for ts in rows.EDGE_TIMESTAMPS]
