"""What a log row holds and what an object may cost: the oracle's own copy of the contract.

Written from the design's text, not from the program under test: a slip there must not repeat itself here.
"""

from fractions import Fraction

TIMESTAMP = "ts"
MEDIA_KEY = "mid"
ADS = "ads"
AD_IDS = (("inventory_id", "aid"), ("ad_id", "_god"), ("demand_id", "did"))

COUNT = "count"
MONEY = "money"

#: Measures read from the row, in the order in which they are checked.
MEASURES = (
    ("requests", "xreq", COUNT),
    ("responses", "xres", COUNT),
    ("passbacks", "xpsb", COUNT),
    ("impressions", "imp", COUNT),
    ("clicks", "clk", COUNT),
    ("revenue", "rev", MONEY),
)

#: Every measure that is summed, derived ones included.
SUMMED = tuple(name for name, _, _ in MEASURES) + ("agency_revenue", "media_revenue")
MONEY_MEASURES = frozenset(("revenue", "agency_revenue", "media_revenue"))

#: Fields whose value is a list only when the whole dump is a dict of columns (`ads` is a list in a row as well).
SCALAR_FIELDS = (TIMESTAMP, MEDIA_KEY) + tuple(field for _, field, _ in MEASURES)
KNOWN_FIELDS = SCALAR_FIELDS + (ADS,)

MEDIA_KEY_CHARS_MAX = 64
TIMEZONE = "Asia/Seoul"
WINDOW_START = 946_684_800  # 2000-01-01T00:00:00Z
WINDOW_AHEAD = 86_400
REJECT_RATIO_MAX = Fraction(5, 100)

I64_MIN = -(2**63)
I64_MAX = 2**63 - 1
MICROS_PER_UNIT = 1_000_000

MIB = 1 << 20
OBJECT_BYTES_MAX = 256 * MIB
INFLATED_BYTES_MAX = 2048 * MIB
INFLATE_RATIO_MAX = 200  # beyond the first MiB
TEXT_BYTES_MAX = MIB
NESTING_MAX = 64
ROWS_MAX = 20_000_000

#: Report table -> (dimensions in primary-key order, measures).
REPORTS = {
    "report_ad": (
        ("report_date", "organization_id", "media_key", "inventory_id", "ad_id", "demand_id"),
        ("impressions", "clicks", "revenue"),
    ),
    "report_ad_request": (
        ("report_date", "organization_id", "media_key", "inventory_id", "device", "app_type"),
        ("requests", "responses", "passbacks"),
    ),
    "report_demand": (
        ("report_date", "demand_id"),
        ("impressions", "clicks", "revenue"),
    ),
    "report_media": (
        ("report_date", "organization_id", "media_key", "device"),
        ("impressions", "clicks", "revenue", "agency_revenue", "media_revenue"),
    ),
}
