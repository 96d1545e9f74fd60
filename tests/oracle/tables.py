"""The platform's metadata that the corpus is joined with: small, and full of look-alikes."""

#: Keys that a careless collation, trim, or Unicode normalisation would take for one another.
LOOK_ALIKES = ("M1", "m1", "m1 ", " m1", "매체", "매체\u200b", "\u1106\u1162\u110e\u1166", "café", "cafe", "cafe\u0301")
PLAIN = tuple("m%d" % number for number in range(1000, 1024)) + ("1023", "007", "7", "매체/한글 앱", "광고😀", "a%20b", "x'\"\\y") + (
    # What a spreadsheet would take for a formula.
    '=HYPERLINK("http://127.0.0.1")', "+82-2", "-7", "@매체", "'=1",
)
LONGEST = "가" * 63 + "😀"  # 64 characters, 193 bytes
MEDIA_KEYS = LOOK_ALIKES + PLAIN + (LONGEST,)

#: Not in the table: counted under organization 0.
UNMAPPED_KEYS = ("", "m9999", "M1000", "m1000 ", "없는 매체", "0", "a\0b", "줄\n바꿈\\n\t")

#: (agency, media): whole and not, with ties at half a micro (0.5, 0.125), with nothing for one side or both.
RATES = (
    ("0.15", "0.85"),
    ("0.333333", "0.666667"),
    ("0.333333", "0.333333"),
    ("0.5", "0.5"),
    ("0.125", "0.5"),
    ("0", "1"),
    ("1", "0"),
    ("0", "0"),
    ("0.1", "0.7"),
    ("0.000001", "0.999999"),
    ("0.05", "0.725"),
)

INVENTORY_IDS = tuple(range(4501, 4561)) + (1, 2**40, 2**63 - 1, -7)
UNMAPPED_INVENTORY_IDS = (0, 999_999, -1, -(2**63))
DEVICES = ("pc", "PC", "Pc", "mobile", "Mobile", "MOBILE", "tablet", "Tablet", "ctv", "desktop", "", None)
APP_TYPES = ("web", "WEB", "ios", "iOS", "aos", "AOS", "android", "Android", "ANDROID", "hbbtv", "", None)
AD_TYPES = ("banner", "video", "native", None)

AD_IDS = tuple(range(880, 900)) + (0, -3, 2**53 + 1)
DEMAND_IDS = tuple(range(10, 18)) + (0,)


def tables():
    """The two metadata tables; every device meets every app type somewhere."""
    media = [
        {
            "media_key": key,
            "organization_id": 0 if index == 5 else 100 + index % 9,
            "agency_rate": RATES[index % len(RATES)][0],
            "media_rate": RATES[index % len(RATES)][1],
        }
        for index, key in enumerate(MEDIA_KEYS)
    ]
    inventory = [
        {
            "inventory_id": inventory_id,
            "ad_type": AD_TYPES[index % len(AD_TYPES)],
            "device": DEVICES[index % len(DEVICES)],
            "app_type": APP_TYPES[(index * 5 + index // len(DEVICES)) % len(APP_TYPES)],
        }
        for index, inventory_id in enumerate(INVENTORY_IDS)
    ]
    return {"media": media, "inventory": inventory}
