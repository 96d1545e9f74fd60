"""Random values of every kind that a field of a row may hold, or should not: hypothesis with the library left out."""

import datetime
import json
import math
import struct
from collections import OrderedDict
from decimal import Decimal

import rows
import schema

INT_EDGES = (0, 1, 255, 256, 2**15, 2**16, 2**31, 2**32, 2**53, 2**63, 2**64, 10**12, 10**63, 10**64, 2**2039, 2**2048)
FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, -5e-324, 2.0**53, 2.0**63, -(2.0**63), 1e22, 1e23, 1.7976931348623157e308, math.nan,
    math.inf, -math.inf, 9223372036854.775, 9223372036854.775807, 9223372036855.0, 999999999.9999995, 1e9, 1e15, 1e16,
)  # fmt: skip
DECIMALS = (
    "0", "-0", "0E-20", "-0E+5", "12.5", "0.0000005", "0.0000015", "0.00000050000000000000000000001", "-1E-30", "1E-300",
    "1E+12", "1E+13", "1E+300", "NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "9223372036854.775807", "9223372036854.7758075",
)  # fmt: skip
TIMESTAMPS = (
    schema.WINDOW_START, schema.WINDOW_START - 1, schema.WINDOW_START - 0.001, float(schema.WINDOW_START), 4_102_444_800,
    1_717_945_199.999_999_8,
)  # fmt: skip
NAMES = schema.KNOWN_FIELDS + tuple(field for _, field in schema.AD_IDS)
ALPHABETS = (
    "abcXYZ019_", "가나다라매체광고한국어힣", "😀🇰🇷\U0010ffff", " \t\n\r\x0b\x0c\x1a\0\x7f\x80\xa0\u2028", "\\'\"%u0041N.",
    "e\u0301\u1106\u1162\ufeff\ufffd\uffff", "a\ud800\udc80\udfff",
)  # fmt: skip
LENGTHS = (0, 0, 1, 2, 7, 20, 63, 64, 65, 85, 86, 128, 255, 256, 257)
JSON_PIECES = (
    "", " ", "\x0c", "\x00", "\ufeff", "[", "]", "{", "}", ",", ":", '"', "\\", "\\u0061id", "\\ud800", "\\ud83d\\ude00", "\n", "-",
    "0", "1.0", "1e2", "-0.0", "01", "1.", ".5", "+1", "NaN", "-Infinity", "Infinity", "-NaN", "true", "null", "nul",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "0.99999999999999999999",
    "1e-400", '"aid":7,', '"did":null,', "1E400", "9" * 400, "-" + "9" * 400 + ".0", "[" * 120 + "]" * 120, '{"a":' * 200 + "1" + "}" * 200, "/**/", "9007199254740993.0",
)  # fmt: skip


class Values:
    """The values of one file. `pool` holds some that were made before, to be shared."""

    def __init__(self, random):
        self.random = random
        self.pool = []
        self.oddness = random.choice((0.02, 0.1, 0.3))

    def rows(self, count):
        made = []
        for _ in range(count):
            if made and self.random.random() < 0.05:
                made.append(self.random.choice(made))
            elif self.random.random() < self.oddness / 4:
                made.append(self.value())
            else:
                made.append(self.row())
        return made

    def row(self):
        row = rows.row(self.random)
        makers = {"ts": self.timestamp, "mid": self.media_key, "ads": self.ads, "rev": self.amount}
        for field in schema.KNOWN_FIELDS:
            if self.random.random() < 0.2:
                row[field] = makers.get(field, self.counter)()
            if self.random.random() < self.oddness / 4:
                row[field] = self.value()
            if self.random.random() < self.oddness / 10:
                row.pop(field, None)
        while self.random.random() < 0.3:
            row[self.key()] = self.value()
        items = list(row.items())
        if self.random.random() < 0.3:
            self.random.shuffle(items)
        row = OrderedDict(items) if self.random.random() < 0.03 else dict(items)
        if self.random.random() < 0.1:
            self.pool.append(row)
        return row

    # --- what fields hold, honest more often than not

    def timestamp(self):
        kind = self.random.random()
        if kind < 0.1:
            return self.random.choice(TIMESTAMPS)
        second = self.random.randint(schema.WINDOW_START, rows.LAST_SECOND)
        return second if kind < 0.5 else second + self.random.random()

    def media_key(self):
        kind = self.random.random()
        if kind < 0.2:
            return self.random.choice(NAMES)
        if kind < 0.4:
            return self.integer()
        return self.float() if kind < 0.5 else self.text() if kind < 0.9 else self.text().encode("utf-8", "surrogatepass")

    def ads(self):
        kind = self.random.random()
        if kind < 0.4:
            return self._json()
        if kind < 0.5 and self.pool:
            return [self.random.choice(self.pool)]
        ads = [self.ad()] + [self.value() for _ in range(self.random.choice((0, 0, 1, 3)))]
        self.pool.append(ads)
        return ads if self.random.random() < 0.8 else tuple(ads)

    def ad(self):
        ad = rows.ad(self.random)
        if self.random.random() < self.oddness:
            ad[self.random.choice(("aid", "_god", "did"))] = self.value()
        while self.random.random() < 0.2:
            ad[self.key()] = self.value()
        return ad

    def _json(self):
        ads = [rows.ad(self.random) for _ in range(self.random.choice((1, 1, 2)))]
        text = json.dumps(ads, ensure_ascii=self.random.random() < 0.5)
        while self.random.random() < 0.4:
            at = self.random.randrange(len(text) + 1)
            text = text[:at] + self.random.choice(JSON_PIECES) + text[at + self.random.choice((0, 0, 1, 4)) :]
        if self.random.random() < 0.3:  # a piece where a number stood, which is often valid
            text = '[{"aid": %s, "did": 12}]' % self.random.choice(JSON_PIECES)
        return text if self.random.random() < 0.7 else text.encode("utf-8", "surrogatepass")

    def counter(self):
        value = self.random.choice((0, 1, 5, 127, 128, 255, 256, 65535, 65536, 2**31, 2**40, self.random.getrandbits(31)))
        kind = self.random.random()
        return float(value) if kind < 0.2 else bool(value) if kind < 0.25 else value

    def amount(self):
        kind = self.random.random()
        if kind < 0.15:
            return self.decimal().copy_abs()
        if kind < 0.3:
            return self.random.randrange(10**6)
        if kind < 0.6:  # a tie at half a micro, or beside one
            tie = float("%d.%06d5" % (self.random.randrange(10 ** self.random.randrange(1, 7)), self.random.randrange(10**6)))
            return self.random.choice((tie, tie, math.nextafter(tie, 0), math.nextafter(tie, math.inf)))
        digits = self.random.randrange(1, 18)
        return float("%de%d" % (self.random.randrange(10**digits), self.random.randint(-digits - 3, 6 - digits)))

    # --- anything at all

    def value(self, depth=0):
        if self.pool and self.random.random() < 0.05:
            return self.random.choice(self.pool)
        scalars = (
            self.integer, self.float, self.text, self.bytes, self.decimal, self.moment, lambda: None,
            lambda: self.random.random() < 0.5, lambda: bytearray(self.bytes()), lambda: self.random.choice(NAMES),
        )  # fmt: skip
        if depth > 2 or self.random.random() < 0.6:
            return self.random.choice(scalars)()
        return self.container(depth)

    def container(self, depth):
        kind = self.random.randrange(9)
        if kind == 0:
            return self.deep()
        if kind == 1:
            return [self.random.choice((0, 1.5, "x", None))] * self.random.choice((999, 1000, 1001, 2001))
        items = [self.value(depth + 1) for _ in range(self.random.choice((0, 0, 1, 2, 3, 4, 6)))]
        if kind in (2, 3):
            made = items
        elif kind == 4:
            made = tuple(items)
        elif kind == 5:
            made = self.random.choice((set, frozenset))(self.hashable() for _ in items)
        else:
            made = {self.key(): item for item in items}
        if self.random.random() < 0.3:
            self.pool.append(made)
        return made

    def deep(self):
        """Up to the deepest that may be: row and list around it are two more."""
        value = self.text()
        if self.random.random() < 0.3:
            return self.deep_through_keys()
        for _ in range(self.random.choice((5, 30, 55))):
            value = self.random.choice(([value], (value,), {self.random.choice(NAMES): value}, [1, value], {"k": value, 2: None}))
        return value

    def deep_through_keys(self):
        """What can be hashed, within each other, as a key or in a set; now and then deeper than may be."""
        value = self.text()
        for _ in range(self.random.choice((3, 10, 20)) if self.random.random() < 0.98 else 70):
            value = self.random.choice(((value,), (1, value), frozenset((value,))))
        return self.random.choice(({value: 1}, {value}, [value], {"k": {value: None}}))

    def key(self):
        return self.random.choice(NAMES) + "_" if self.random.random() < 0.3 else self.hashable()

    def hashable(self):
        kind = self.random.randrange(8)
        if kind == 0:
            return self.integer()
        if kind == 1:
            return self.random.choice((None, True, 1.5, math.nan, Decimal("1.5"), datetime.date(2024, 6, 9)))
        if kind == 2:
            return self.bytes()
        if kind == 3:
            return self.random.choice(NAMES).encode()
        if kind == 4:
            return (self.text(), (), self.integer())
        return frozenset((self.text(),)) if kind == 5 else self.text()

    def integer(self):
        if self.random.random() < 0.5:
            value = self.random.choice(INT_EDGES) + self.random.randint(-1, 1)
        else:
            value = self.random.getrandbits(self.random.choice((1, 7, 8, 15, 16, 31, 32, 40, 63, 64, 65, 210, 3000)))
        return value if self.random.random() < 0.7 else -value

    def float(self):
        kind = self.random.random()
        if kind < 0.3:
            return self.random.choice(FLOATS)
        if kind < 0.5:
            return float(self.integer() % 2**70)
        if kind < 0.7:
            return struct.unpack("<d", self.random.getrandbits(64).to_bytes(8, "little"))[0]
        digits = self.random.randrange(1, 18)
        exponent = self.random.randint(-330, 290) if kind < 0.8 else self.random.randint(-25, 5)
        return self.random.choice((1, -1)) * float("%de%d" % (self.random.randrange(10**digits), exponent))

    def decimal(self):
        if self.random.random() < 0.5:
            return Decimal(self.random.choice(DECIMALS))
        digits = self.random.randrange(1, 40)
        return Decimal(self.random.randrange(10**digits)).scaleb(self.random.randint(-digits - 8, 8))

    def moment(self):
        moment = datetime.datetime(2024, 6, 9, 14, 59, 59, self.random.randrange(10**6))
        zone = datetime.timezone(datetime.timedelta(hours=9))
        return self.random.choice((moment, moment.replace(tzinfo=zone), moment.date(), moment.time(), moment - datetime.datetime(1970, 1, 1)))

    def text(self):
        if self.random.random() < 0.002:
            return "길" * 40_000  # larger than a frame
        alphabet = self.random.choice(ALPHABETS) + self.random.choice(ALPHABETS[:2])
        return "".join(self.random.choices(alphabet, k=self.random.choice(LENGTHS)))

    def bytes(self):
        if self.random.random() < 0.5:
            return self.text().encode("utf-8", "surrogatepass")
        return bytes(self.random.getrandbits(8) for _ in range(self.random.choice(LENGTHS)))
