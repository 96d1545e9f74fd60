"""Money as whole micros, by exact fractions: no float takes part after its shortest text is read."""

import math
from decimal import Decimal
from fractions import Fraction

from schema import I64_MAX, I64_MIN, MICROS_PER_UNIT


def micros_of(value):
    """Micros of an int, bool, float or Decimal, half to even; None when it is no amount that fits 64 bits.

    `round` of a Fraction is half to even by definition, and `repr` of a float is its shortest text.
    """
    if isinstance(value, int):
        exact = Fraction(int(value))
    elif isinstance(value, float) and math.isfinite(value):
        exact = Fraction(Decimal(repr(value)))
    elif isinstance(value, Decimal) and value.is_finite():
        exact = Fraction(value)
    else:
        return None
    micros = round(exact * MICROS_PER_UNIT)
    return micros if I64_MIN <= micros <= I64_MAX else None


def split(revenue_micros, agency_rate, media_rate):
    """(agency, media) share of one row's revenue. Rounded so that both add up to the whole when the rates do."""
    media = round(revenue_micros * media_rate)
    agency = round(revenue_micros * (media_rate + agency_rate)) - media
    return agency, media


def text(micros):
    """Micros as decimal text with six places: what DECIMAL(20,6) prints."""
    sign = "-" if micros < 0 else ""
    return "%s%d.%06d" % ((sign,) + divmod(abs(micros), MICROS_PER_UNIT))
