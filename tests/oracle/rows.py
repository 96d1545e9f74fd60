"""Log rows as honest producers write them, in all the forms that the rules allow, and dirty ones for every reason.

The random choices here are no expectation of anything: the oracle reads what was written.
"""

import json

import tables

#: Two days in Seoul: 2024-06-09 and 2024-06-10.
FIRST_SECOND = 1_717_858_800
MIDNIGHT = 1_717_945_200
LAST_SECOND = 1_718_031_599
EDGE_TIMESTAMPS = (
    FIRST_SECOND, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1, LAST_SECOND,
    MIDNIGHT - 0.001, float(MIDNIGHT), MIDNIGHT - 0.5, LAST_SECOND + 0.999,
)  # fmt: skip

#: Amounts at and beside half a micro, whole ones, large ones, and what a float makes of sums.
AMOUNTS = (
    0, 0.0, -0.0, 1, 7, 12.5, 0.1, 0.2, 0.1 + 0.2, 1.1, 2.675, 1e-6, 1.5e-6, 2.5e-6, 0.0000005, 0.0000015, 0.0000025,
    0.00000049999, 0.0000005000001, 12.3456785, 12.3456795, 0.1234565, 0.1234575, 1234.654321,
    1e-7, 5e-324, 0.333333, 99.9999995, 1e5, True,
)  # fmt: skip

#: Rare, so that the sums of a large corpus still fit.
LARGE_AMOUNTS = (10**9, 2.5e8, 98765432.1, 1234567.654321, 999_999_999.999_999)


def row(random, ads=None):
    """One row that must be counted. `ads` is a list to share with other rows."""
    fields = {"ts": _timestamp(random)}
    _put(fields, "mid", _media_key(random))
    _put(fields, "ads", ads if ads is not None else _ads(random))
    requests = random.randrange(1, 9)
    impressions = random.randrange(0, 5)
    for field, value in (
        ("xreq", requests),
        ("xres", random.randrange(0, requests + 1)),
        ("xpsb", random.randrange(0, 2)),
        ("imp", impressions),
        ("clk", random.randrange(0, impressions + 2)),  # more clicks than impressions are legal
    ):
        _put(fields, field, _counter(random, value))
    _put(fields, "rev", _revenue(random))
    if random.random() < 0.1:
        _add_unknown_fields(random, fields)
    if random.random() < 0.2:
        fields = dict(random.sample(list(fields.items()), len(fields)))
    return fields


_ABSENT = object()


def _put(fields, name, value):
    if value is not _ABSENT:
        fields[name] = value


def _timestamp(random):
    if random.random() < 0.1:
        return random.choice(EDGE_TIMESTAMPS)
    second = random.randint(FIRST_SECOND, LAST_SECOND)
    return second if random.random() < 0.6 else second + random.random()


def _media_key(random):
    kind = random.random()
    if kind < 0.06:
        return random.choice(tables.UNMAPPED_KEYS)
    if kind < 0.08:
        return random.choice((None, _ABSENT))
    if kind < 0.16:
        return random.choice((1023, 7, 1023.0, 10**20, 0, -5))
    key = random.choice(tables.MEDIA_KEYS)
    return key.encode("utf-8") if kind < 0.2 else key


def ad(random):
    """One element of `ads`. A missing id is 0."""
    if random.random() < 0.05:
        inventory = random.choice(tables.UNMAPPED_INVENTORY_IDS)
    else:
        inventory = random.choice(tables.INVENTORY_IDS)
    ids = {"aid": inventory, "_god": random.choice(tables.AD_IDS), "did": random.choice(tables.DEMAND_IDS)}
    kind = random.random()
    if kind < 0.05:
        del ids[random.choice(list(ids))]
    elif kind < 0.1:
        ids[random.choice(list(ids))] = None
    elif kind < 0.15:
        ids["did"] = random.choice((True, False, 12.0, -0.0))
    if random.random() < 0.2:
        ids["note"] = random.choice(("배너", 1.5, None, ["a", {"b": 1}], float("inf")))
    return ids


def _ads(random):
    kind = random.random()
    if kind < 0.5:
        return [ad(random)]
    if kind < 0.58:
        return [ad(random) for _ in range(random.randrange(2, 5))]
    if kind < 0.62:
        return [ad(random), random.choice((None, "not looked at", 5, {"aid": "nor here"}))]
    if kind < 0.66:
        return (ad(random),)
    if kind < 0.78:
        return _json(random)
    if kind < 0.88:
        return _json(random).encode("utf-8")
    return random.choice(([], (), None, _ABSENT, "", "  \n", b"", " [ ] ", b"[]", "null", b" null ", [{}], "[{}]"))


def _json(random):
    elements = [ad(random) for _ in range(random.choice((1, 1, 1, 2)))]
    if random.random() < 0.1:
        return '[{"aid": 1, "aid": 4501, "did": 12, "extra": NaN, "deep": [{"aid": 2}]}, 3]'
    text = json.dumps(elements, ensure_ascii=random.random() < 0.5, indent=random.choice((None, None, 1)))
    return " %s\n" % text if random.random() < 0.1 else text


def _counter(random, value):
    kind = random.random()
    if kind < 0.03:
        return _ABSENT
    if kind < 0.06:
        return None
    if kind < 0.11:
        return float(value)
    if kind < 0.14:
        return random.random() < 0.5
    if kind < 0.142:
        return 2**40 + value
    return value


def _revenue(random):
    kind = random.random()
    if kind < 0.05:
        return _ABSENT
    if kind < 0.08:
        return None
    if kind < 0.45:
        return random.choice(AMOUNTS)
    if kind < 0.452:
        return random.choice(LARGE_AMOUNTS)
    if kind < 0.6:
        # The seventh decimal a 5: a tie in decimal, whatever the double's binary digits say.
        return float("%d.%06d5" % (random.randrange(100), random.randrange(10**6)))
    if kind < 0.9:
        return random.randrange(10**9) / 10**6
    return random.random() * 50


def _add_unknown_fields(random, fields):
    fields.update(
        random.choice((
            {"ua": "Mozilla/5.0 (한국어)", "geo": {"cc": "KR", "city": ["서울", None]}},
            {"ip": b"\x00\xff\x7f", "price": float("nan"), "big": 10**30},
            {7: "a key that is no text", None: 1, ("t", 1): 2, b"rev": 10**6, b"ts": None},
            {"revenue": "not the field", "TS": 5, "Mid": "nor this"},
            {"flags": (), "nested": [[], [[]]], "neg": -(2**70)},
        ))
    )  # fmt: skip


#: Reason -> what makes an honest row dirty in that way.
DIRTY = {
    "timestamp_missing": ({"ts": None},),
    "timestamp_not_a_number": (
        {"ts": "1717900000"}, {"ts": float("nan")}, {"ts": float("inf")}, {"ts": float("-inf")}, {"ts": [1717900000]},
        {"ts": b"1717900000"},
    ),
    "timestamp_out_of_window": (
        {"ts": 946_684_799}, {"ts": 946_684_799.999}, {"ts": 0}, {"ts": -1.5}, {"ts": 4_102_444_800}, {"ts": True},
        {"ts": 1_717_900_000_000}, {"ts": 2**63}, {"ts": -(2**80)}, {"ts": 1e300},
    ),
    "media_key_not_text": ({"mid": True}, {"mid": 10.5}, {"mid": ["m1"]}, {"mid": b"\xff\xfe"}, {"mid": float("nan")}, {"mid": {}}),
    "media_key_too_long": ({"mid": "x" * 65}, {"mid": "가" * 65}, {"mid": 10**64}, {"mid": b"y" * 65}, {"mid": 1e300}),
    "ads_unreadable": (
        {"ads": 5}, {"ads": {"aid": 1}}, {"ads": [5]}, {"ads": [None, {"aid": 1}]}, {"ads": '[{"aid": 1'}, {"ads": "{}"},
        {"ads": "5"}, {"ads": b"\xff"}, {"ads": "[[]]"}, {"ads": '"text"'}, {"ads": True}, {"ads": "[{}] x"}, {"ads": "[{}, ]"},
    ),
    "id_not_an_integer": (
        {"ads": [{"aid": "4501"}]}, {"ads": [{"aid": 4501, "_god": 1.5}]}, {"ads": [{"did": 2**63}]},
        {"ads": '[{"aid": 9223372036854775808}]'}, {"ads": '[{"did": NaN}]'}, {"ads": [{"aid": [1]}]},
        {"ads": b'[{"_god": "889"}]'}, {"ads": [{"did": 1e19}]},
    ),
    "counter_not_an_integer": (
        {"imp": "1"}, {"xreq": 1.5}, {"clk": float("nan")}, {"xres": 2**63}, {"xpsb": [1]}, {"imp": -(2**64)},
        {"xreq": float("inf")}, {"clk": b"1"},
    ),
    "counter_negative": ({"imp": -1}, {"xreq": -1.0}, {"clk": -(2**63)}),
    "money_not_a_number": (
        {"rev": "12.5"}, {"rev": float("nan")}, {"rev": float("inf")}, {"rev": 10**13}, {"rev": 1e300}, {"rev": [1]},
        {"rev": b"1"},
    ),
    "money_negative": ({"rev": -1}, {"rev": -1e-9}, {"rev": -0.01}),
}  # fmt: skip

NOT_ROWS = (None, 5, "a text", [1, 2], 1.5, True, b"bytes")


def dirty_row(random, reason):
    """A row that must be rejected for `reason`, and would be counted but for one field."""
    honest = row(random)
    if reason == "timestamp_missing" and random.random() < 0.5:
        del honest["ts"]
        return honest
    honest.update(random.choice(DIRTY[reason]))
    return honest


def several(random, count, dirty_count, reasons=tuple(DIRTY)):
    """`count` rows, `dirty_count` of them dirty, each for the next of the reasons."""
    made = [row(random) for _ in range(count - dirty_count)]
    for number in range(dirty_count):
        made.insert(random.randrange(len(made) + 1), dirty_row(random, reasons[number % len(reasons)]))
    return made
