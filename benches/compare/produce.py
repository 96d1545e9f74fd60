"""The files that are measured, and the metadata they are joined with: made from a seed, like the logs of one busy hour.

    python3 benches/compare/produce.py --out DIR [--rows 200000] [--seed 1] [--shape list,columns,dumps,dataframe]

A shape is a layout (list, tuple, columns, dumps, lists, dataframe), then, if it is not 4, the protocol, then, if `ads` are
JSON text, that: `columns`, `list-p0`, `dataframe-p5-json`.
"""

import argparse
import gzip
import json
import os
import pickle
import random

MEDIA, INVENTORIES, ADS, DEMANDS = 500, 2_500, 300, 12
#: Rows of a list that is one dump of many.
LISTED = 500
#: Seconds around midnight in Seoul: two dates.
FIRST_SECOND, SECONDS = 1_717_943_400, 3_600
DEVICES = ("pc", "mobile", "tablet", None)
APP_TYPES = ("web", "ios", "android", None)
FIELDS = ("ts", "mid", "ads", "xreq", "xres", "xpsb", "imp", "clk", "rev")


def metadata():
    """All that rows name but every fiftieth, which is unknown."""
    media = [
        {"media_key": media_key(number), "organization_id": 100 + number % 40, "agency_rate": "0.15", "media_rate": "0.7"}
        for number in range(MEDIA)
        if number % 50
    ]
    inventory = [
        {
            "inventory_id": inventory_id(number),
            "ad_type": "banner",
            "device": DEVICES[number % 4],
            "app_type": APP_TYPES[number // 4 % 4],
        }
        for number in range(INVENTORIES)
        if number % 50
    ]
    return {"media": media, "inventory": inventory}


def media_key(number):
    return "m%04d" % number if number % 5 else "매체%d" % number


def inventory_id(number):
    return 400_000 + number


def rows(chance, count):
    """An inventory belongs to one media; a few are much busier than the others, and each shows a few ads at a time."""
    made = []
    for _ in range(count):
        inventory = int(INVENTORIES * chance.random() ** 1.6)
        ad = (inventory * 7 + int(28 * chance.random() ** 2.1)) % ADS
        shown = chance.random() < 0.8
        made.append({
            "ts": FIRST_SECOND + chance.randrange(SECONDS),
            "mid": media_key(inventory % MEDIA),
            "ads": [{"aid": inventory_id(inventory), "_god": 88_000 + ad, "did": 10 + (ad + chance.randrange(2)) % DEMANDS}],
            "xreq": chance.randrange(1, 4),
            "xres": 1,
            "xpsb": 0 if shown else 1,
            "imp": 1 if shown else 0,
            "clk": 1 if shown and chance.random() < 0.02 else 0,
            "rev": chance.randrange(1, 20_000) / 1_000 if shown else 0.0,
        })  # fmt: skip
    return made


def columns(made):
    return {field: [row[field] for row in made] for field in FIELDS}


def data_frame(made):
    import pandas  # only this layout needs it

    return pandas.DataFrame(columns(made))


#: The values of which each is pickled, one after the other.
LAYOUTS = {
    "list": lambda made: [made],
    "tuple": lambda made: [tuple(made)],
    "columns": lambda made: [columns(made)],
    "dumps": lambda made: made,
    "lists": lambda made: [made[start : start + LISTED] for start in range(0, len(made), LISTED)],
    "dataframe": lambda made: [data_frame(made)],
}


def with_json(made):
    return [{**row, "ads": json.dumps(row["ads"])} for row in made]


def body(made, shape):
    """The pickles of one shape, inflated."""
    layout, *options = shape.split("-")
    protocol = 4
    for option in options:
        if option == "json":
            made = with_json(made)
        else:
            protocol = int(option.removeprefix("p"))
    return b"".join(pickle.dumps(value, protocol) for value in LAYOUTS[layout](made))


def groups(made):
    """Distinct (date, media, inventory, ad, demand)."""
    midnight = FIRST_SECOND + SECONDS // 2
    return len({(row["ts"] >= midnight, row["mid"], *row["ads"][0].values()) for row in made})


def main():
    parser = argparse.ArgumentParser(description="Writes the files that are measured.")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--rows", type=int, default=200_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--shape", default="list", metavar="SHAPE,..", help="what to write (default list)")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "metadata.json"), "w", encoding="utf-8") as file:
        json.dump(metadata(), file, ensure_ascii=False)
    made = rows(random.Random(options.seed), options.rows)
    print("%d rows, %d groups" % (len(made), groups(made)))
    for shape in options.shape.split(","):
        inflated = body(made, shape)
        deflated = gzip.compress(inflated, 6, mtime=0)
        with open(os.path.join(options.out, shape + ".pkl.gz"), "wb") as file:
            file.write(deflated)
        print("%s.pkl.gz: %d bytes, %d inflated" % (shape, len(deflated), len(inflated)))


if __name__ == "__main__":
    main()
