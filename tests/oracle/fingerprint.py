"""The fingerprint of an object: one row more, from which one SUM tells how often the object was counted.

The row of object `i` is worth 8^i micros on a sentinel that no other row uses. So digit `i` in base 8 of the sentinel's
revenue is how often object `i` is in it: 0 lost, 1 right, 2 to 7 doubled. A sentinel is a media key, an ad id and a demand
id, and holds 20 objects: counted seven times each, they still fit 64 bits.
"""

from decimal import Decimal

import money
import rows
import schema
import tables

BASE = 8
OBJECTS_PER_SENTINEL = 20
FIRST_ID = 8_000_000_000


def place(number):
    """Where object `number` stands: media key, demand id, and its digit."""
    sentinel, digit = divmod(number, OBJECTS_PER_SENTINEL)
    return {"media_key": "fingerprint %d" % sentinel, "demand_id": FIRST_ID + sentinel, "digit": digit}


def row(number):
    at = place(number)
    ads = [{"aid": tables.INVENTORY_IDS[0], "_god": at["demand_id"], "did": at["demand_id"]}]
    return {"ts": rows.MIDNIGHT, "mid": at["media_key"], "ads": ads, "xreq": 1, "imp": 1, "rev": amount(at["digit"])}


def amount(digit):
    """8^digit micros, exactly: a float where its shortest text says just that, a Decimal where none does."""
    exact = Decimal(BASE**digit) / schema.MICROS_PER_UNIT
    value = float(exact) if Decimal(repr(float(exact))) == exact else exact
    if money.micros_of(value) != BASE**digit:
        raise AssertionError("%r is not %d micros" % (value, BASE**digit))
    return value


def media(numbers):
    """The sentinels' rows of the media table: known, so that a fingerprint is no unmapped row."""
    keys = sorted({place(number)["media_key"] for number in numbers})
    return [{"media_key": key, "organization_id": 8, "agency_rate": "0", "media_rate": "1"} for key in keys]
