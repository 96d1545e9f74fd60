#!/usr/bin/env python3
"""What the program must have made of the given objects: reports, ledger, control totals and failures, as JSON.

    python3 tests/oracle/expect.py --metadata metadata.json OBJECT...

Independent of the program and of the generator: it reads the bodies as they are, with CPython's own gzip and pickle.
"""

import argparse
import json
import os
import sys
from fractions import Fraction

import reading
import rules
import schema
from metadata import Metadata
from sums import Sums, enrich

#: Values of an object counted as a tree. Beyond this a decoder that copies shared values runs into its memory limit
#: first, one that shares them does not: both are right.
TREE_SIZE_MAX = 64 * 1024 * 1024
FIRST_ROWS_MAX = 5
REPORT_HELP = "one more report than the four (may be repeated)"


class Counted:
    """One object that was read: its sums, and what was not counted."""

    def __init__(self, rows, metadata, seconds, reports=schema.REPORTS):
        self.rows_read = len(rows)
        self.rejected = {}
        self.first_rejected = {}
        self.values = []
        self.sums = Sums(reports)
        for ordinal, row in enumerate(rows):
            try:
                values = enrich(rules.row_values(row, seconds), metadata)
            except rules.Reject as reject:
                self._reject(str(reject), ordinal)
            else:
                self.values.append(values)
                self.sums.add_row(values)

    def _reject(self, reason, ordinal):
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        first = self.first_rejected.setdefault(reason, [])
        if len(first) < FIRST_ROWS_MAX:
            first.append(ordinal)

    @property
    def rows_rejected(self):
        return sum(self.rejected.values())

    def ledger(self):
        """What is to be found about the object after it was counted. `rows` is all that were read."""
        return {
            "rows": self.rows_read,
            "counted": self.rows_read - self.rows_rejected,
            "rejected": dict(sorted(self.rejected.items())),
            "first_rejected": dict(sorted(self.first_rejected.items())),
            "days": self.sums.control_totals(),
        }


def count(body, metadata, seconds, reject_ratio_max=schema.REJECT_RATIO_MAX, reports=schema.REPORTS):
    """The object's `Counted`. Raises `reading.Broken` when the object as a whole must be set aside."""
    rows, tree_size = reading.rows_of_object(body)
    counted = Counted(rows, metadata, seconds, reports)
    if counted.rows_rejected > reject_ratio_max * counted.rows_read:
        reasons = ", ".join("%s: %d" % item for item in sorted(counted.rejected.items()))
        reason = "%d of %d rows rejected (%s)" % (counted.rows_rejected, counted.rows_read, reasons)
        if tree_size > TREE_SIZE_MAX:
            raise reading.Broken("too_large", reason, also=("rejects",))
        raise reading.Broken("rejects", reason)
    return counted


def expectation(objects, metadata_tables, reject_ratio_max=schema.REJECT_RATIO_MAX, reports=schema.REPORTS):
    """`objects` is an iterable of (key, body). Failed objects contribute nothing to any sum."""
    metadata = Metadata(metadata_tables)
    seconds = rules.window()
    total, counted, failed = Sums(reports), {}, {}
    for key, body in objects:
        try:
            one = count(body, metadata, seconds, reject_ratio_max, reports)
        except reading.Broken as broken:
            failed[key] = {"kind": broken.kind, "kinds": broken.kinds, "reason": broken.reason}
        else:
            total.add(one.sums)
            counted[key] = one.ledger()
    return {
        "reports": total.reports(),
        "objects": counted,
        "failed": failed,
        "control_totals": total.control_totals(),
    }


def declared_reports(extra):
    """The four reports and `extra` ones, each written `TABLE=DIMENSION,...:MEASURE,...`."""
    reports = dict(schema.REPORTS)
    for text in extra:
        table, _, columns = text.partition("=")
        dimensions, _, measures = columns.partition(":")
        reports[table] = (tuple(dimensions.split(",")), tuple(measures.split(",")))
    return reports


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _rows(objects, metadata_tables):
    """Key -> the values of every counted row, in order; for tests of a decoder alone."""
    metadata, seconds = Metadata(metadata_tables), rules.window()
    return {key: count(body, metadata, seconds).values for key, body in objects}


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Prints what the program must make of the given objects, as JSON.")
    parser.add_argument("objects", nargs="+", metavar="OBJECT", help="file of an object's body, as stored")
    parser.add_argument("--metadata", help="JSON of the media and inventory tables (default: both empty)")
    parser.add_argument("--root", help="folder that the objects' keys are relative to (default: keys as given)")
    parser.add_argument("--max-reject-ratio", type=Fraction, default=schema.REJECT_RATIO_MAX, metavar="RATIO")
    parser.add_argument("--report", action="append", default=[], metavar="TABLE=DIMENSION,..:MEASURE,..", help=REPORT_HELP)
    parser.add_argument("--rows", action="store_true", help="print every counted row instead of the sums")
    options = parser.parse_args(arguments)
    tables = {"media": [], "inventory": []}
    if options.metadata:
        with open(options.metadata, encoding="utf-8") as file:
            tables = json.load(file)
    keys = (os.path.relpath(path, options.root) if options.root else path for path in options.objects)
    objects = ((key, _read(path)) for key, path in zip(keys, options.objects))
    if options.rows:
        answer = _rows(objects, tables)
    else:
        answer = expectation(objects, tables, options.max_reject_ratio, declared_reports(options.report))
    json.dump(answer, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
