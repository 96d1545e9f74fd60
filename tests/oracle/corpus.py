#!/usr/bin/env python3
"""Writes a corpus of objects, the metadata they are joined with, and what the program must make of them.

    python3 tests/oracle/corpus.py --out DIR --seed N [--files 40] [--rows 300] [--fingerprint [FIRST]]

DIR/objects/KEY      bodies, honest and broken
DIR/metadata.json    the media and inventory tables
DIR/expected.json    reports, ledger, failures and control totals (see `expect.py`), and, with `--fingerprint`, where each
                     object's fingerprint stands (see `fingerprint.py`)

The expectation is read back from the files that were written, not taken from what was meant to be in them.
"""

import argparse
import json
import os
import random
import sys

import broken
import expect
import fingerprint
import honest
import tables


def _path(folder, key):
    return os.path.join(folder, *key.split("/"))


def write_objects(folder, objects):
    """Returns the keys, in order."""
    keys = []
    for key, body in objects:
        path = _path(folder, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(body)
        keys.append(key)
    return keys


def read_objects(folder, keys):
    for key in keys:
        with open(_path(folder, key), "rb") as file:
            yield key, file.read()


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Writes objects, metadata and the expected result into a new folder.")
    parser.add_argument("--out", required=True, metavar="DIR", help="new or empty folder")
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument("--files", type=int, default=40, metavar="N", help="honest objects (default 40)")
    parser.add_argument("--rows", type=int, default=300, metavar="N", help="rows of most objects (default 300)")
    parser.add_argument("--no-broken", action="store_true", help="honest objects only")
    parser.add_argument(
        "--broken", action="append", default=[], metavar="NAME", help="of the broken objects only this one (may be repeated)"
    )
    parser.add_argument(
        "--fingerprint", type=int, nargs="?", const=0, metavar="FIRST",
        help="one row more in each honest object, that tells how often it was counted; numbered from FIRST (default 0)",
    )  # fmt: skip
    parser.add_argument(
        "--report", action="append", default=[], metavar="TABLE=DIMENSION,..:MEASURE,..", help=expect.REPORT_HELP
    )
    options = parser.parse_args(arguments)
    if options.files < 1 or options.rows < 1:
        parser.error("--files and --rows are at least 1")
    folder = os.path.join(options.out, "objects")
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        parser.error("%s is not empty" % folder)

    chance = random.Random(options.seed)
    honest_objects = honest.objects(chance, options.files, options.rows, options.fingerprint)
    keys = write_objects(folder, honest_objects)
    if not options.no_broken:
        objects = broken.objects(chance, options.rows)
        wanted = [(key, body) for key, body in objects if not options.broken or broken.name(key) in options.broken]
        if len(wanted) < len(set(options.broken)):
            parser.error("there are no such broken objects: %s" % ", ".join(options.broken))
        keys += write_objects(folder, wanted)
    metadata = tables.tables()
    if options.fingerprint is not None:
        numbers = range(options.fingerprint, options.fingerprint + len(honest_objects))
        metadata["media"] += fingerprint.media(numbers)
    reports = expect.declared_reports(options.report)
    expected = expect.expectation(read_objects(folder, keys), metadata, reports=reports)
    if options.fingerprint is not None:
        expected["fingerprints"] = {key: fingerprint.place(number) for number, (key, _) in zip(numbers, honest_objects)}
    expected["must_not_exist"] = broken.CANARY
    write_json(os.path.join(options.out, "metadata.json"), metadata)
    write_json(os.path.join(options.out, "expected.json"), expected)
    print(
        "%d objects counted, %d failed, %d report rows"
        % (len(expected["objects"]), len(expected["failed"]), sum(map(len, expected["reports"].values()))),
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
