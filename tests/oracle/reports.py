#!/usr/bin/env python3
"""Runs `report` in every format and compares what it wrote with an independent computation, to the last digit.

    python3 tests/oracle/reports.py --binary xc2-analyzer --expected expected.json --out DIR

The binary's database, given by its environment, holds what `expected.json` (see `corpus.py`) describes. Grouping,
filtering, sorting and ratios are computed here from the finest rows, by integers and fractions; the files are read by
Python's own csv and json and by openpyxl.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import openpyxl
from openpyxl.utils.escape import unescape

import schema

MILLION = schema.MICROS_PER_UNIT

#: Ratio -> numerator, denominator, factor.
RATIOS = {
    "ctr": ("clicks", "impressions", 1),
    "cpc": ("revenue", "clicks", 1),
    "ecpm": ("revenue", "impressions", 1000),
    "response_rate": ("responses", "requests", 1),
    "passback_rate": ("passbacks", "requests", 1),
}
REPORT_RATIOS = {
    "ad": ("ctr", "cpc", "ecpm"),
    "ad_request": ("response_rate", "passback_rate"),
    "demand": ("ctr", "cpc", "ecpm"),
    "media": ("ctr", "ecpm"),
}
KOREAN = {
    "report_date": "날짜", "organization_id": "조직 ID", "media_key": "매체 키", "inventory_id": "지면 ID",
    "ad_id": "광고 ID", "demand_id": "수요처 ID", "device": "디바이스", "app_type": "앱 유형",
    "requests": "요청수", "responses": "응답수", "passbacks": "패스백수", "impressions": "노출수", "clicks": "클릭수",
    "revenue": "수익", "agency_revenue": "대행사 수익", "media_revenue": "매체 수익",
    "response_rate": "응답률", "passback_rate": "패스백률", "ctr": "CTR", "cpc": "CPC", "ecpm": "eCPM",
}  # fmt: skip
TITLES = {"ad": "광고 성과", "ad_request": "광고 요청", "demand": "수요처(DSP)", "media": "매체"}
IDS = ("organization_id", "inventory_id", "ad_id", "demand_id")
TEXTS = ("media_key", "device", "app_type", "ad_type")
FORMULA_STARTS = "=+-@\t\r＝＋－＠"


class Wrong(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise Wrong(" ".join(str(part) for part in what))


def equal(found, wanted, what):
    check(found == wanted, what, "found", repr(found), "wanted", repr(wanted))


class Case:
    def __init__(self, report, by=None, where=(), sort=(), limit=None, dates=None, lang="en"):
        self.report, self.lang, self.where, self.sort, self.limit, self.dates = report, lang, where, sort, limit, dates
        dimensions, self.measures = schema.REPORTS["report_" + report]
        self.by = tuple(by or dimensions)
        self.ratios = REPORT_RATIOS[report]
        self.columns = self.by + tuple(self.measures) + self.ratios

    def arguments(self):
        arguments = ["report", self.report, "--by", ",".join(self.by), "--lang", self.lang]
        for dimension, operator, values in self.where:
            for value in values:
                escaped = str(value).replace("\\", "\\\\").replace(",", "\\,")
                arguments += ["--where", "%s%s%s" % (dimension, operator, escaped)]
        if self.sort:
            arguments += ["--sort", ",".join(self.sort)]
        if self.limit is not None:
            arguments += ["--limit", str(self.limit)]
        if self.dates:
            arguments += ["--from", self.dates[0], "--to", self.dates[1]]
        return arguments

    def label(self, column):
        return KOREAN[column] if self.lang == "ko" else column

    def __str__(self):
        return " ".join(self.arguments())


def micros(name, value):
    return int(Decimal(value) * MILLION) if name in schema.MONEY_MEASURES else value


def ratio_of(name, sums):
    """Millionths, half to even; None without a denominator."""
    above, below, factor = RATIOS[name]
    if sums[below] == 0:
        return None
    unit = MILLION if above in schema.MONEY_MEASURES else 1
    return round(Fraction(sums[above] * factor * MILLION, sums[below] * unit))


def with_ratios(case, sums):
    return dict(sums, **{name: ratio_of(name, sums) for name in case.ratios})


def computed(case, expected):
    """(rows shown, rows that match, totals): a row is a dict of keys, integers, and None."""
    groups, totals = {}, {name: 0 for name in case.measures}
    for row in expected["reports"]["report_" + case.report]:
        if case.dates and not case.dates[0] <= row["report_date"] <= case.dates[1]:
            continue
        if any((row[d] in values) != (operator == "=") for d, operator, values in case.where):
            continue
        sums = groups.setdefault(tuple(row[d] for d in case.by), {name: 0 for name in case.measures})
        for name in case.measures:
            sums[name] += micros(name, row[name])
            totals[name] += micros(name, row[name])
    rows = [dict(zip(case.by, key), **with_ratios(case, sums)) for key, sums in groups.items()]
    rows.sort(key=lambda row: [binary(row[d]) for d in case.by])
    for term in reversed(case.sort):
        name, descending = (term[1:], True) if term.startswith("-") else (term, False)
        some = [row for row in rows if row[name] is not None]
        some.sort(key=lambda row: binary(row[name]), reverse=descending)
        rows = some + [row for row in rows if row[name] is None]
    return rows[: case.limit], len(rows), with_ratios(case, totals)


def binary(value):
    return value.encode("utf-8") if isinstance(value, str) else value


def is_decimal(column):
    return column in schema.MONEY_MEASURES or column in RATIOS


def text(column, value):
    if value is None:
        return None
    if is_decimal(column):
        return "%d.%06d" % divmod(value, MILLION)
    return str(value)


def run(binary_path, arguments):
    done = subprocess.run([binary_path, *arguments], capture_output=True, check=False)
    check(done.returncode == 0, arguments, done.stderr.decode())
    return done.stdout, done.stderr.decode()


# --- CSV


def guarded(value):
    return "'" + value if value.lstrip("'").startswith(tuple(FORMULA_STARTS)) else value


def check_csv(case, body, rows, totals):
    check(body.startswith(b"\xef\xbb\xbf"), "no byte order mark")
    check(body.endswith(b"\r\n"), "RFC 4180 ends lines with CRLF")
    found = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    equal(found[0], [case.label(column) for column in case.columns], "header")
    wanted = [[csv_text(column, row[column]) for column in case.columns] for row in rows]
    if totals is not None:
        keys = ["합계" if case.lang == "ko" else "total"] + [""] * (len(case.by) - 1)
        wanted.append(keys + [csv_text(column, totals[column]) for column in case.columns[len(case.by) :]])
    equal(len(found) - 1, len(wanted), "rows")
    for at, row in enumerate(wanted):
        equal(found[at + 1], row, "row %d" % at)
    for line in found[1:]:
        for column, cell in zip(case.columns, line):
            check(column not in TEXTS or not cell.startswith(tuple(FORMULA_STARTS)), "a formula:", repr(cell))


def csv_text(column, value):
    written = text(column, value)
    if written is None:
        return ""
    return guarded(written) if column in TEXTS else written


# --- JSON


def refuse_floats(digits):
    raise Wrong("a floating-point number: %s" % digits)


def json_value(column, value):
    return text(column, value) if is_decimal(column) else value


def check_json(case, body, rows, matched, totals):
    found = json.loads(body, parse_float=refuse_floats)
    equal(found["report"], case.report, "report")
    equal(found["title"], TITLES[case.report] if case.lang == "ko" else found["title"], "title")
    equal(found["time_zone"], schema.TIMEZONE, "time zone")
    equal((found["from"], found["to"]), case.dates or (None, None), "range")
    equal(found["rows_matched"], matched, "rows that match")
    equal(found["dimensions"], list(case.by), "dimensions")
    equal(found["sort"], list(case.sort), "order")
    wanted = {column: json_value(column, totals[column]) for column in case.columns[len(case.by) :]}
    equal(found["totals"], wanted, "totals")
    wanted = [{column: json_value(column, row[column]) for column in case.columns} for row in rows]
    equal(len(found["rows"]), len(wanted), "rows")
    for at, row in enumerate(wanted):
        equal(found["rows"][at], row, "row %d" % at)


# --- Excel


def check_xlsx(case, path, rows, matched, totals):
    book = openpyxl.load_workbook(path)
    title, about = book.sheetnames
    sheet = book[title]
    equal(title, TITLES[case.report] if case.lang == "ko" else title, "sheet")
    equal(about, "정보" if case.lang == "ko" else "about", "second sheet")
    equal(sheet.freeze_panes, "A2", "frozen panes")
    last = openpyxl.utils.get_column_letter(len(case.columns))
    equal(sheet.auto_filter.ref, "A1:%s%d" % (last, len(rows) + 1), "filter")
    found = list(sheet.iter_rows())
    equal([cell.value for cell in found[0]], [case.label(column) for column in case.columns], "header")
    equal(len(found), len(rows) + 2, "rows with header and totals")
    for at, row in enumerate(rows):
        for column, cell in zip(case.columns, found[at + 1]):
            check_cell(column, cell, row[column])
    equal(found[-1][0].value, "합계" if case.lang == "ko" else "total", "label of the totals")
    for column, cell in zip(case.columns[len(case.by) :], found[-1][len(case.by) :]):
        check_cell(column, cell, totals[column])
    for at, column in enumerate(case.columns):
        width = sheet.column_dimensions[openpyxl.utils.get_column_letter(at + 1)].width
        check(width >= 2 * len(case.label(column)) * (case.lang == "ko" and column not in ("ctr", "cpc", "ecpm")), column, width)
    said = " ".join(str(cell.value) for row in book[about].iter_rows() for cell in row)
    check(len(rows) == matched or str(matched) in said.replace(",", ""), "the second sheet says", said)


def check_cell(column, cell, value):
    where = "%s in %s" % (column, cell.coordinate)
    check(cell.data_type != "f", where, "is a formula:", cell.value)
    if value is None:
        equal(cell.value, None, where)
    elif column == "report_date":
        equal((cell.value, cell.number_format), (datetime.fromisoformat(value), "yyyy-mm-dd"), where)
    elif column in TEXTS:
        equal(unescape(cell.value or ""), value, where)
    else:
        exact = Fraction(value, MILLION) if is_decimal(column) else Fraction(value)
        digits = text(column, value).replace(".", "").strip("-")
        digits = (digits.rstrip("0") if is_decimal(column) else digits).lstrip("0")
        if len(digits) > 15:
            equal((cell.data_type, cell.value), ("s", text(column, value)), where)
        else:
            check(isinstance(cell.value, (int, float)), where, "is no number:", repr(cell.value))
            # What a spreadsheet shows is the shortest text of the double.
            equal(Fraction(Decimal(repr(cell.value))), exact, where)
            equal("%" in cell.number_format, column in ("ctr", "response_rate", "passback_rate"), where + " as a percentage")


# --- the table of people


def check_table(case, body, rows, totals):
    """Of keys without spaces: numbers with grouped digits, every digit there."""
    lines = body.decode("utf-8").splitlines()
    frames = [at for at, line in enumerate(lines) if line.startswith(("─", "═"))]
    equal(len(frames), 4, "lines of the frame")
    equal(len({len(lines[at]) for at in frames}), 1, "widths of the frame")
    shown = lines[frames[1] + 1 : frames[2]]
    equal(len(shown), len(rows), "rows")
    for line, row in zip(shown, rows):
        cells = line.split()
        equal(cells[: len(case.by)], [str(row[d]) for d in case.by], "keys")
        check_numbers(case, cells[len(case.by) :], row)
    total = lines[frames[2] + 1].split()
    equal(total[0], "합계" if case.lang == "ko" else "total", "label of the totals")
    check_numbers(case, total[1:], totals)


def check_numbers(case, cells, row):
    for column, cell in zip(case.columns[len(case.by) :], cells):
        value = row[column]
        if value is None:
            equal(cell, "-", column)
            continue
        digits = cell.rstrip("%")
        equal(digits, "{:,}".format(Decimal(digits.replace(",", ""))), column + " grouped")
        number = Fraction(Decimal(digits.replace(",", ""))) / (100 if cell.endswith("%") else 1)
        equal(number, Fraction(value, MILLION) if is_decimal(column) else value, column)
        equal(cell.endswith("%"), column in ("ctr", "response_rate", "passback_rate"), column + " as a percentage")


def cases(expected):
    media = expected["reports"]["report_media"]
    dates = sorted({row["report_date"] for row in media})
    # An argument holds no NUL.
    keys = sorted({row["media_key"] for row in media if "\0" not in row["media_key"]})
    yield from (Case(report, lang=lang) for report in REPORT_RATIOS for lang in ("en", "ko"))
    yield Case("media", by=("media_key",), sort=("-revenue",), limit=7, lang="ko")
    yield Case("media", by=("media_key", "device"), sort=("-ctr", "revenue"))
    yield Case("media", by=("media_key",), sort=("ecpm",), limit=5)
    yield Case("media", by=("device", "report_date"), sort=("device", "-report_date"), dates=(dates[0], dates[len(dates) // 2]))
    yield Case("media", where=(("media_key", "=", keys),), by=("media_key",), lang="ko")
    yield Case("media", where=(("media_key", "!=", keys[::2]), ("device", "=", ["PC", "MOBILE"])), by=("media_key",))
    yield Case("ad", by=("demand_id",), sort=("-cpc",), lang="ko")
    yield Case("ad", by=("inventory_id",), sort=("-clicks", "impressions"), limit=11)
    yield Case("ad_request", by=("app_type", "device"), sort=("-response_rate",), where=(("app_type", "!=", ["ALL"]),))
    yield Case("demand", by=("report_date",), sort=("-report_date",), lang="ko")
    yield Case("demand", where=(("demand_id", "=", [-(2**63)]),))


def main():
    parser = argparse.ArgumentParser(description="Compares every format of `report` with an independent computation.")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--expected", required=True)
    parser.add_argument("--out", required=True, help="folder for the files")
    options = parser.parse_args()
    with open(options.expected, encoding="utf-8") as file:
        expected = json.load(file)
    checked = 0
    for number, case in enumerate(cases(expected)):
        rows, matched, totals = computed(case, expected)
        try:
            arguments = case.arguments()
            path = os.path.join(options.out, "%d.xlsx" % number)
            run(options.binary, [*arguments, "--output", path])
            check_xlsx(case, path, rows, matched, totals)
            check_csv(case, run(options.binary, [*arguments, "--format", "csv"])[0], rows, None)
            written = run(options.binary, [*arguments, "--format", "csv", "--totals", "yes"])[0]
            check_csv(case, written, rows, totals)
            check_json(case, run(options.binary, [*arguments, "--format", "json"])[0], rows, matched, totals)
            if "media_key" not in case.by and rows:
                check_table(case, run(options.binary, arguments)[0], rows, totals)
        except Wrong as wrong:
            print("%s: %s" % (case, wrong), file=sys.stderr)
            return 1
        checked += len(rows)
    print("%d rows checked in each format" % checked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
