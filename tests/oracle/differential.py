#!/usr/bin/env python3
"""Random rows through CPython's picklers, read by the program and by the oracle: both must agree on every value.

    python3 tests/oracle/differential.py --binary PATH --seed N --files N [--keep DIR]

Exits with 1 when they differ, and says where: seed, file, row, both values, and the smallest pickle that still shows it.
"""

import argparse
import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import money
import reading
import rules
import schema
import shapes
from metadata import Metadata
from odd_values import Values
from sums import Sums, enrich

AT_ONCE = 2
LAYOUTS = (
    shapes.as_list, shapes.as_tuple, shapes.as_dumps_of_rows, shapes.as_dumps_of_lists, shapes.as_columns,
    shapes.as_columns_of_tuples, shapes.as_mixed,
)  # fmt: skip
LAYOUTS_OF_DICTS = LAYOUTS[4:]


def fast_pickler(value, protocol):
    """Beyond 50 levels CPython's own search for cycles trips over values that are merely shared."""
    try:
        return shapes.fast_pickler(value, protocol)
    except (KeyError, ValueError):
        return shapes.c_pickler(value, protocol)


PICKLERS = (
    shapes.c_pickler, shapes.python_pickler, shapes.c_pickler, shapes.python_pickler, fast_pickler, shapes.optimized_pickler,
)  # fmt: skip
COMPRESSIONS = (
    shapes.gzipped, shapes.plain, shapes.gzipped_in_members, shapes.gzipped_and_padded, shapes.gzipped_with_header_fields,
)  # fmt: skip
NO_METADATA = Metadata({"media": [], "inventory": []})
MEASURES = tuple(name for name, _, _ in schema.MEASURES)
SHOWN = 600


def make(seed, number):
    """(how it was made, body) of one file: protocols, picklers and layouts in turn, the rest at random."""
    chance = random.Random("%d/%d" % (seed, number))
    protocol, layout = number % 6, LAYOUTS[number % 7]
    pickler = PICKLERS[number // 6 % 6]
    compression = chance.choice(COMPRESSIONS)
    rows = Values(chance).rows(chance.choice((1, 2, 5, 20, 20, 40, 60)))
    if layout in LAYOUTS_OF_DICTS:
        rows = [row for row in rows if isinstance(row, dict)]
    if chance.random() < 0.02:
        rows = [chance.choice(rows) for _ in range(9000 if rows else 0)]  # more than a batch, each row many times
    how = "%s, %s, protocol %d, %s" % (layout.__name__, pickler.__name__, protocol, compression.__name__)
    return how, compression(shapes.stream(layout(rows), protocol, pickler))


class Refused(Exception):
    """What the program says when it does not count the object at all."""


def expected(body, seconds):
    """[(values or None, reason or None)] for each row. Raises `Refused`, with the kinds that are right."""
    try:
        rows, _ = reading.rows_of_object(body)
    except reading.Broken as broken:
        raise Refused(broken.kinds) from None
    verdicts, sums = [], Sums()
    for row in rows:
        try:
            values = rules.row_values(row, seconds)
        except rules.Reject as reject:
            verdicts.append((None, str(reject)))
        else:
            sums.add_row(enrich(values, NO_METADATA))
            values["timestamp"] = values.pop("second")
            values["revenue"] = money.text(values["revenue"])
            verdicts.append((values, None))
    if sums.overflow():
        raise Refused(["overflow", "a sum exceeds 64 bits"])
    return rows, verdicts


def inspected(binary, path):
    """What the program reads. Raises `Refused`."""
    command = [binary, "inspect", path, "--format", "json", "--rows", "1000000"]
    with tempfile.TemporaryDirectory() as folder:  # no configuration but the defaults
        done = subprocess.run(command, cwd=folder, env={"PATH": os.defpath}, capture_output=True, timeout=600)
    if done.returncode == 1:
        message = done.stderr.decode("utf-8", "replace").split("\n")[0]
        raise Refused(message.removeprefix("xc2-analyzer: %s: " % path).removeprefix("xc2-analyzer: "))
    if done.returncode != 0:
        raise RuntimeError("%s: exit %d: %s" % (path, done.returncode, done.stderr.decode("utf-8", "replace")))
    return json.loads(done.stdout)


def rejects(verdicts):
    """As `inspect` lists them: reason -> (rows, the first ordinals)."""
    ordinals = {}
    for ordinal, (_, reason) in enumerate(verdicts):
        if reason:
            ordinals.setdefault(reason, []).append(ordinal)
    return {reason: (len(rows), rows[:5]) for reason, rows in ordinals.items()}


def difference(binary, path, seconds):
    """None, or (ordinal or None, the row, what the oracle says, what the program says)."""
    with open(path, "rb") as file:
        body = file.read()
    try:
        rows, verdicts = expected(body, seconds)
    except Refused as wanted:
        verdicts, kinds = None, wanted.args[0]
    try:
        found = inspected(binary, path)
    except Refused as refused:
        said = refused.args[0]
        if verdicts is None and any(said == kind or said.startswith(kind + ":") for kind in kinds):
            return None
        return None, None, "is refused: %s" % kinds if verdicts is None else "%d rows" % len(rows), said
    if verdicts is None:
        return None, None, "is refused: %s" % kinds, "%d rows" % found["rows"]
    if found["rows"] != len(rows):
        return None, None, "%d rows" % len(rows), "%d rows" % found["rows"]
    wanted = rejects(verdicts)
    listed = {reject["reason"]: (reject["rows"], reject["first_rows"]) for reject in found["rejects"]}
    if listed != wanted:
        ordinal = _first_other(wanted, listed)
        return ordinal, rows[ordinal], "rejects %s" % wanted, "rejects %s" % listed
    accepted = [(ordinal, values) for ordinal, (values, _) in enumerate(verdicts) if values is not None]
    if len(found["first_rows"]) != len(accepted):
        return None, None, "%d rows accepted" % len(accepted), "%d rows" % len(found["first_rows"])
    for (ordinal, values), row in zip(accepted, found["first_rows"]):
        if row != values:
            names = [name for name in values if row.get(name) != values[name]]
            return (
                ordinal, rows[ordinal], {name: values[name] for name in names}, {name: row.get(name) for name in names or row},
            )  # fmt: skip
    return None


def _first_other(wanted, listed):
    """The first row that only one of them rejects for a reason."""
    both = [{(reason, row) for reason, (_, rows) in of.items() for row in rows} for of in (wanted, listed)]
    return min((row for _, row in both[0] ^ both[1]), default=0)


def smallest(row, protocol, differs):
    """A pickle of the row alone with all fields left out that the difference does not need, or None if it needs others."""

    def still(row):
        return differs(pickle.dumps([row], protocol))

    if not still(row):
        return None
    for field in list(row) if isinstance(row, dict) else ():
        less = {other: value for other, value in row.items() if other is not field}
        row = less if still(less) else row
    return pickle.dumps([row], protocol)


def report(options, number, how, path, found, seconds):
    ordinal, row, wanted, said = found
    print("seed %d, file %d (%s)" % (options.seed, number, how))
    if ordinal is not None:
        print("  row %d: %s" % (ordinal, repr(row)[:SHOWN]))
    print("  Python: %s\n  program: %s" % (str(wanted)[:SHOWN], str(said)[:SHOWN]))
    if ordinal is not None:

        def differs(body):
            with open(path + ".smaller", "wb") as file:
                file.write(body)
            return difference(options.binary, path + ".smaller", seconds)

        print("  smallest pickle: %s" % repr(smallest(row, number % 6, differs))[:SHOWN])


def run(options, folder):
    """The number of files that differ."""
    seconds = rules.window()

    def one(number):
        how, body = make(options.seed, number)
        path = os.path.join(folder, "%d.pkl" % number)
        with open(path, "wb") as file:
            file.write(body)
        found = difference(options.binary, path, seconds)
        if not found and not options.keep:
            os.remove(path)
        return number, how, path, found

    with ThreadPoolExecutor(AT_ONCE) as pool:
        different = [result for result in pool.map(one, range(options.first, options.first + options.files)) if result[-1]]
    for number, how, path, found in different[: options.show]:
        report(options, number, how, path, found, seconds)
    return len(different)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Compares the program with CPython on random pickles.")
    parser.add_argument("--binary", required=True, metavar="PATH", type=os.path.abspath, help="the program")
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument("--files", type=int, default=200, metavar="N", help="default 200")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first file (default 0)")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="differences to print (default 5)")
    parser.add_argument("--keep", metavar="DIR", help="write the files here and leave them")
    options = parser.parse_args(arguments)
    print("seed %d, %d files" % (options.seed, options.files), flush=True)
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
        different = run(options, options.keep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            different = run(options, folder)
    print("%d of %d files differ" % (different, options.files))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
