"""The platform's own tables, as the rows of one object are joined with them."""

from fractions import Fraction

_DEVICES = {"pc": "PC", "mobile": "MOBILE", "tablet": "MOBILE"}
_APP_TYPES = {"web": "WEB", "ios": "IOS", "aos": "AOS", "android": "AOS"}


def device(text):
    return _DEVICES.get((text or "").lower(), "ALL")


def app_type(text):
    return _APP_TYPES.get((text or "").lower(), "ALL")


class Metadata:
    """Look-ups by exact key: case and trailing spaces make another key. What is unknown is organization 0 and ALL."""

    def __init__(self, tables):
        self._media = {
            row["media_key"]: (
                row["organization_id"] or 0,
                Fraction(row["agency_rate"] or 0),
                Fraction(row["media_rate"] or 0),
            )
            for row in tables["media"]
        }
        self._inventory = {
            row["inventory_id"]: (row["ad_type"] or "ALL", device(row["device"]), app_type(row["app_type"]))
            for row in tables["inventory"]
        }

    def media(self, key):
        """(organization id, agency rate, media rate)"""
        return self._media.get(key, (0, Fraction(0), Fraction(0)))

    def inventory(self, inventory_id):
        """(ad type, device, app type)"""
        return self._inventory.get(inventory_id, ("ALL", "ALL", "ALL"))
