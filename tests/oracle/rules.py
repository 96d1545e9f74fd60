"""One row as unpickled -> its values, or the first reason why it is not counted.

The checks stand in the order in which reasons are given when several apply.
"""

import datetime
import json
import math
import sys
import time

import money
import schema

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)  # the text of any integer, as the rules ask

#: What JSON and an empty field may be padded with.
ASCII_SPACE = " \t\n\r\x0c"


class Reject(Exception):
    """The row is not counted; the argument is the reason's name."""


def window(now=None):
    """First and last Unix second that a row may have."""
    now = time.time() if now is None else now
    return schema.WINDOW_START, math.floor(now) + schema.WINDOW_AHEAD


def row_values(row, seconds):
    """The row's values by our names; money in micros. Raises `Reject`."""
    if not isinstance(row, dict):
        raise Reject("not_a_row")
    values = {"second": timestamp(row.get(schema.TIMESTAMP), seconds)}
    values["media_key"] = media_key(row.get(schema.MEDIA_KEY))
    values.update(ad_ids(first_ad(row.get(schema.ADS))))
    for name, field, kind in schema.MEASURES:
        read = counter if kind == schema.COUNT else amount
        values[name] = read(row.get(field))
    return values


def timestamp(value, seconds):
    if value is None:
        raise Reject("timestamp_missing")
    if isinstance(value, datetime.datetime):
        value = _unix_second(value)
    if not isinstance(value, (int, float)) or not math.isfinite(_float_or_zero(value)):
        raise Reject("timestamp_not_a_number")
    second = math.floor(value)
    if not seconds[0] <= second <= seconds[1]:
        raise Reject("timestamp_out_of_window")
    return second


def _unix_second(moment):
    """The whole second of a point in time; one without a zone is UTC."""
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(seconds=1)


def _float_or_zero(value):
    """Any integer is finite, also one that no float can hold."""
    return value if isinstance(value, float) else 0.0


def media_key(value):
    text = _media_key_text(value)
    if not _is_unicode(text):
        raise Reject("media_key_not_text")
    if len(text) > schema.MEDIA_KEY_CHARS_MAX:
        raise Reject("media_key_too_long")
    return text


def _media_key_text(value):
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    raise Reject("media_key_not_text")


def _is_unicode(text):
    """False when it holds a lone surrogate, which Python text may and no database can."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def first_ad(value):
    """The dict that names inventory, ad and demand; an empty one when there is none."""
    if isinstance(value, (str, bytes)):
        value = _json(value)
    if value is None:
        return {}
    if not isinstance(value, (list, tuple)):
        raise Reject("ads_unreadable")
    if len(value) == 0:
        return {}
    if not isinstance(value[0], dict):
        raise Reject("ads_unreadable")
    return value[0]


def _json(text):
    try:
        text = text if isinstance(text, str) else text.decode("utf-8")
        if not text.strip(ASCII_SPACE):
            return None
        text.encode("utf-8")
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Reject("ads_unreadable") from None


def ad_ids(ad):
    return {name: _ad_id(ad.get(field)) for name, field in schema.AD_IDS}


def _ad_id(value):
    number = _integer(value)
    if number is None:
        raise Reject("id_not_an_integer")
    return number


def counter(value):
    number = _integer(value)
    if number is None:
        raise Reject("counter_not_an_integer")
    if number < 0:
        raise Reject("counter_negative")
    return number


def _integer(value):
    """An integer of 64 bits; 0 for None; None for everything else. Whole floats and bools are integers here."""
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and schema.I64_MIN <= value <= schema.I64_MAX:
        return int(value)
    return None


def amount(value):
    micros = money.micros_of(0 if value is None else value)
    if micros is None:
        raise Reject("money_not_a_number")
    if value is not None and value < 0:  # also what rounds to nothing, such as -1e-9; -0.0 is not below 0
        raise Reject("money_negative")
    return micros
