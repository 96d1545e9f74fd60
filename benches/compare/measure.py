"""Times the ways to turn one file into the four reports, in turns, on one core. Started by `compare`."""

import argparse
import gc
import gzip
import json
import os
import pickle
import statistics
import subprocess
import time
import zlib

os.environ["POLARS_MAX_THREADS"] = "1"

import isal.isal_zlib
import pandas
import polars

MEASURES = ("requests", "responses", "passbacks", "impressions", "clicks", "revenue", "agency_revenue", "media_revenue")
NAMES = dict(zip(("xreq", "xres", "xpsb", "imp", "clk", "rev"), MEASURES), ts="second", mid="media_key")
IDS = {"inventory_id": "aid", "ad_id": "_god", "demand_id": "did"}
REPORTS = {
    "report_ad": (("report_date", "organization_id", "media_key", "inventory_id", "ad_id", "demand_id"), MEASURES[3:6]),
    "report_ad_request": (
        ("report_date", "organization_id", "media_key", "inventory_id", "device", "app_type"),
        MEASURES[:3],
    ),
    "report_demand": (("report_date", "demand_id"), MEASURES[3:6]),
    "report_media": (("report_date", "organization_id", "media_key", "device"), MEASURES[3:]),
}
DEVICES = {"pc": "PC", "mobile": "MOBILE", "tablet": "MOBILE"}
APP_TYPES = {"web": "WEB", "ios": "IOS", "android": "AOS", "aos": "AOS"}


def tables(path):
    with open(path, encoding="utf-8") as file:
        return tables_of(json.load(file))


def tables_of(metadata):
    """(media, inventory) as lists of dicts, in the reports' words and numbers."""
    media = [
        dict(row, agency_rate=float(row["agency_rate"]), media_rate=float(row["media_rate"])) for row in metadata["media"]
    ]
    inventory = [
        {
            "inventory_id": row["inventory_id"],
            "device": DEVICES.get(row["device"], "ALL"),
            "app_type": APP_TYPES.get(row["app_type"], "ALL"),
        }
        for row in metadata["inventory"]
    ]
    return media, inventory


def original(path, media, inventory):
    """As the job was first written: rows, one DataFrame, everything in it."""
    with gzip.open(path) as file:
        rows = pickle.load(file)
    frame = pandas.DataFrame(rows).rename(columns=NAMES)
    first = frame.pop("ads").map(lambda ads: ads[0] if ads else {})
    for name, field in IDS.items():
        frame[name] = first.map(lambda ad, field=field: ad.get(field, 0))
    frame["report_date"] = pandas.to_datetime(frame["second"], unit="s", utc=True).dt.tz_convert("Asia/Seoul").dt.date
    frame = frame.merge(pandas.DataFrame(media), on="media_key", how="left")
    frame = frame.merge(pandas.DataFrame(inventory), on="inventory_id", how="left")
    nothing = {"organization_id": 0, "agency_rate": 0, "media_rate": 0, "device": "ALL", "app_type": "ALL"}
    frame = frame.fillna(nothing)
    for whose in ("agency", "media"):
        frame[whose + "_revenue"] = (frame["revenue"] * frame[whose + "_rate"]).round(6)
    return {
        table: frame.groupby(list(dimensions), as_index=False)[list(measures)].sum()
        for table, (dimensions, measures) in REPORTS.items()
    }


def best(path, media, inventory):
    """The fastest libraries for each step, and no garbage collection while the rows are made."""
    with open(path, "rb") as file:
        body = file.read()
    gc.disable()
    rows = pickle.loads(isal.isal_zlib.decompress(body, 31))
    firsts = [row["ads"][0] for row in rows]
    columns = {name: [row[field] for row in rows] for field, name in NAMES.items()}
    columns.update((name, [ad[field] for ad in firsts]) for name, field in IDS.items())
    frame = polars.DataFrame(columns)
    del rows, firsts, columns
    gc.enable()
    date = polars.from_epoch("second").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Seoul").dt.date()
    frame = (
        frame.lazy()
        .with_columns(report_date=date)
        .join(polars.LazyFrame(media), on="media_key", how="left")
        .join(polars.LazyFrame(inventory), on="inventory_id", how="left")
        .with_columns(
            polars.col("organization_id", "agency_rate", "media_rate").fill_null(0),
            polars.col("device", "app_type").fill_null("ALL"),
        )
        .with_columns(
            agency_revenue=(polars.col("revenue") * polars.col("agency_rate")).round(6),
            media_revenue=(polars.col("revenue") * polars.col("media_rate")).round(6),
        )
        .collect()
    )
    return {
        table: frame.group_by(dimensions).agg(polars.col(measures).sum()).sort(dimensions)
        for table, (dimensions, measures) in REPORTS.items()
    }


def check_equal(one, other):
    """Fast and wrong is not fast."""
    for table, (_, measures) in REPORTS.items():
        assert len(one[table]) == len(other[table]), table
        for measure in measures:
            sums = float(one[table][measure].sum()), float(other[table][measure].sum())
            assert abs(sums[0] - sums[1]) <= 1e-6 * max(sums), (table, measure, sums)


def program(options, path):
    """The program's own medians."""
    command = [options.binary, "--runs", "3", "--metadata", options.metadata, path]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[path]


def timed(way):
    begun = time.perf_counter()
    way()
    return (time.perf_counter() - begun) * 1000


def measure(options, path):
    """(way -> milliseconds, what the program says of the file). Other shapes than lists are for the program alone."""
    with open(path, "rb") as file:
        body = file.read()
    media, inventory = tables(options.metadata)
    ways = {"inflate, zlib": lambda: zlib.decompress(body, 31), "inflate, isal": lambda: isal.isal_zlib.decompress(body, 31)}
    if os.path.basename(path).startswith("list"):
        ways["pandas, the original way"] = lambda: original(path, media, inventory)
        ways["polars and isal"] = lambda: best(path, media, inventory)
        check_equal(original(path, media, inventory), best(path, media, inventory))
    times = {}
    for _ in range(options.runs):
        for name, way in ways.items():
            times.setdefault(name, []).append(timed(way))
        if options.binary:
            said = program(options, path)
            for stage, milliseconds in said["milliseconds"].items():
                times.setdefault("program: " + stage, []).append(milliseconds)
    return {name: statistics.median(values) for name, values in times.items()}, said if options.binary else None


def main():
    parser = argparse.ArgumentParser(description="Times the ways to count one file, in turns.")
    parser.add_argument("--binary", metavar="PATH", help="the compiled benches/count.rs; without it Python alone")
    parser.add_argument("--metadata", required=True, metavar="JSON")
    parser.add_argument("--runs", type=int, default=7, metavar="N")
    parser.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args()
    for path in options.files:
        times, said = measure(options, path)
        print("\n%s" % os.path.basename(path))
        if said:
            print(
                "  %d rows, %d groups, %d bytes inflated, at most %.1f MiB held beyond the file"
                % (said["rows"], said["groups"], said["inflated_bytes"], said["peak_bytes"] / 2**20)
            )
        whole = times.get("program: reports")
        bare = times.get("program: inflate", times["inflate, zlib"])
        print("  %-28s %10s %14s %14s" % ("", "ms", "x inflation", "x program"))
        for name, milliseconds in times.items():
            ratio = "%14.2f" % (milliseconds / whole) if whole else ""
            print("  %-28s %10.1f %14.2f %s" % (name, milliseconds, milliseconds / bare, ratio))


if __name__ == "__main__":
    main()
