"""The oracle against cases that were computed by hand: run `python3 -m unittest` in this folder."""

import gzip
import os
import pickle
import random
import tempfile
import unittest
from fractions import Fraction

import broken
import corpus
import expect
import fingerprint
import money
import reading
import rules
import shapes
import sums
from metadata import Metadata, app_type, device

WINDOW = (946_684_800, 1_800_000_000)


class Money(unittest.TestCase):
    def test_shortest_text_is_rounded_half_to_even(self):
        for value, micros in (
            (0.1, 100_000), (12.5, 12_500_000), (5e-7, 0), (1.5e-6, 2), (2.5e-6, 2), (12.3456785, 12_345_678),
            (12.3456795, 12_345_680), (0.1234565, 123_456), (0.1234575, 123_458), (0.1 + 0.2, 300_000), (-0.0, 0),
            (5e-324, 0), (True, 1_000_000), (7, 7_000_000), (9_223_372_036_854, 9_223_372_036_854_000_000),
        ):  # fmt: skip
            self.assertEqual(money.micros_of(value), micros, value)

    def test_what_is_no_amount_of_64_bits_is_refused(self):
        for value in (float("nan"), float("inf"), 1e13, 9_223_372_036_855, -1e300, "1", None, [1]):
            self.assertIsNone(money.micros_of(value), value)

    def test_shares_are_rounded_so_that_they_add_up(self):
        # 0.5 micros to the media go to the even side; the agency gets the rest of the whole.
        self.assertEqual(money.split(1, Fraction("0.5"), Fraction("0.5")), (1, 0))
        self.assertEqual(money.split(3, Fraction("0.5"), Fraction("0.5")), (1, 2))
        # 12_500_000 x 0.666667 = 8_333_337.5 -> 8_333_338 (even)
        self.assertEqual(money.split(12_500_000, Fraction("0.333333"), Fraction("0.666667")), (4_166_662, 8_333_338))
        # 4 x 0.125 = 0.5 -> 0; 4 x 0.625 = 2.5 -> 2
        self.assertEqual(money.split(4, Fraction("0.5"), Fraction("0.125")), (2, 0))

    def test_text_has_six_places(self):
        self.assertEqual(money.text(1), "0.000001")
        self.assertEqual(money.text(12_500_000), "12.500000")
        self.assertEqual(money.text(-1_500_000), "-1.500000")


class Dates(unittest.TestCase):
    def test_day_begins_at_midnight_in_seoul(self):
        for second, date in (
            (1_717_945_199, "2024-06-09"), (1_717_945_200, "2024-06-10"), (1_717_999_200, "2024-06-10"),
            (946_684_800, "2000-01-01"), (549_122_399, "1987-05-27"), (549_122_400, "1987-05-28"),
        ):  # fmt: skip
            self.assertEqual(sums.report_date(second), date)


class Classification(unittest.TestCase):
    def test_devices(self):
        for text, name in (("pc", "PC"), ("Mobile", "MOBILE"), ("TABLET", "MOBILE"), ("ctv", "ALL"), ("", "ALL"), (None, "ALL")):
            self.assertEqual(device(text), name)

    def test_app_types(self):
        for text, name in (("Web", "WEB"), ("iOS", "IOS"), ("aos", "AOS"), ("ANDROID", "AOS"), ("tv", "ALL"), (None, "ALL")):
            self.assertEqual(app_type(text), name)


class Rows(unittest.TestCase):
    def check(self, row, **expected):
        values = rules.row_values({"ts": 1_717_945_200, **row}, WINDOW)
        self.assertEqual({name: values[name] for name in expected}, expected)

    def check_reason(self, row, reason):
        with self.assertRaises(rules.Reject) as caught:
            rules.row_values(row, WINDOW)
        self.assertEqual(str(caught.exception), reason, row)

    def test_missing_is_zero_or_the_empty_key(self):
        self.check({}, media_key="", inventory_id=0, ad_id=0, demand_id=0, requests=0, clicks=0, revenue=0)
        self.check({"mid": None, "ads": None, "imp": None, "rev": None}, media_key="", inventory_id=0, impressions=0, revenue=0)

    def test_timestamp_is_floored(self):
        self.check({"ts": 1_717_945_199.999}, second=1_717_945_199)

    def test_media_key_is_kept_as_it_is(self):
        for value, key in (
            ("m1 ", "m1 "), ("M1", "M1"), (1023, "1023"), (1023.0, "1023"), ("매체".encode(), "매체"), (10**20, "1" + "0" * 20),
            ("가" * 64, "가" * 64), (-0.0, "0"), ("", ""),
        ):  # fmt: skip
            self.check({"mid": value}, media_key=key)

    def test_ads_in_all_forms(self):
        for ads in (
            [{"aid": 4567, "_god": 889, "did": 12}], ({"aid": 4567, "_god": 889.0, "did": 12}, "not looked at"),
            '[{"aid": 4567, "_god": 889, "did": 12}]', b' [{"aid": 4567, "_god": 889, "did": 12, "x": NaN}, 5]\n',
            '[{"aid": 1, "aid": 4567, "_god": 889, "did": 12}]',
        ):  # fmt: skip
            self.check({"ads": ads}, inventory_id=4567, ad_id=889, demand_id=12)
        for ads in ([], (), "", "  ", b"", "null", b"[]", "[{}]", [{}], [{"aid": None}]):
            self.check({"ads": ads}, inventory_id=0, ad_id=0, demand_id=0)

    def test_counters_that_are_integers(self):
        self.check({"imp": True, "clk": 3.0, "xreq": 2**63 - 1}, impressions=1, clicks=3, requests=2**63 - 1)

    def test_keys_that_are_no_text_are_ignored(self):
        self.check({b"imp": 5, 7: 7}, impressions=0)

    def test_first_failing_check_names_the_reason(self):
        ts = {"ts": 1_717_945_200}
        for row, reason in (
            (None, "not_a_row"), ([], "not_a_row"), ({}, "timestamp_missing"), ({"ts": None, "imp": -1}, "timestamp_missing"),
            ({"ts": "1"}, "timestamp_not_a_number"), ({"ts": float("nan")}, "timestamp_not_a_number"),
            ({"ts": 946_684_799.9}, "timestamp_out_of_window"), ({"ts": 2**80}, "timestamp_out_of_window"),
            ({"ts": True}, "timestamp_out_of_window"), ({"ts": 10**400}, "timestamp_out_of_window"),
            (dict(ts, mid=True), "media_key_not_text"), (dict(ts, mid=1.5), "media_key_not_text"),
            (dict(ts, mid="\ud800"), "media_key_not_text"), (dict(ts, mid=b"\xff"), "media_key_not_text"),
            (dict(ts, mid="가" * 65), "media_key_too_long"), (dict(ts, mid=10**64), "media_key_too_long"),
            (dict(ts, ads=5), "ads_unreadable"), (dict(ts, ads="[{]"), "ads_unreadable"), (dict(ts, ads="{}"), "ads_unreadable"),
            (dict(ts, ads=[5]), "ads_unreadable"), (dict(ts, ads={"aid": 1}), "ads_unreadable"),
            (dict(ts, ads=[{"aid": "1"}], imp=-1), "id_not_an_integer"), (dict(ts, ads='[{"did": NaN}]'), "id_not_an_integer"),
            (dict(ts, imp=1.5), "counter_not_an_integer"), (dict(ts, imp=-(2**64)), "counter_not_an_integer"),
            (dict(ts, xreq=-1, imp="x"), "counter_negative"), (dict(ts, rev="1"), "money_not_a_number"),
            (dict(ts, rev=float("inf")), "money_not_a_number"), (dict(ts, rev=-1e-9), "money_negative"),
        ):  # fmt: skip
            self.check_reason(row, reason)


class Objects(unittest.TestCase):
    ROW = {"ts": 1_717_945_200, "mid": "m1", "imp": 2, "rev": 0.5}

    def rows(self, body):
        return reading.rows_of_object(body)[0]

    def check_broken(self, body, kind):
        with self.assertRaises(reading.Broken) as caught:
            self.rows(body)
        self.assertEqual(caught.exception.kind, kind)

    def test_all_layouts_hold_the_same_rows(self):
        made = [dict(self.ROW, imp=number, ads=None) for number in range(7)]
        for layout in (shapes.as_list, shapes.as_tuple, shapes.as_dumps_of_rows, shapes.as_dumps_of_lists, shapes.as_mixed, shapes.as_columns):
            for protocol in range(6):
                read = self.rows(shapes.gzipped_in_members(shapes.stream(layout(made), protocol)))
                self.assertEqual([(row["imp"], row["mid"]) for row in read], [(number, "m1") for number in range(7)])

    def test_all_compressions_and_picklers(self):
        for compression in (shapes.plain, shapes.gzipped, shapes.gzipped_and_padded, shapes.gzipped_with_header_fields):
            for pickler in (shapes.c_pickler, shapes.python_pickler, shapes.fast_pickler, shapes.optimized_pickler):
                self.assertEqual(self.rows(compression(pickler([self.ROW], 4))), [self.ROW])

    def test_python_2_text_is_text_when_it_is_utf_8(self):
        for protocol in (0, 2):
            body = shapes.python2_pickler([{"mid": "매체'\"\n"}, {b"mid": b"\xff"}], protocol)
            first, second = self.rows(body)
            self.assertEqual(first, {"mid": "매체'\"\n"})
            self.assertEqual(rules.media_key(first["mid"]), "매체'\"\n")
            self.assertRaises(rules.Reject, rules.media_key, second["mid"])

    def test_a_dict_with_a_list_in_a_scalar_field_is_columns(self):
        self.assertEqual(self.rows(pickle.dumps({"ts": [1, 2], "x": 5})), [{"ts": 1}, {"ts": 2}])
        self.assertEqual(self.rows(pickle.dumps({"ts": 1, "ads": [{}]})), [{"ts": 1, "ads": [{}]}])
        self.check_broken(pickle.dumps({"ts": [1, 2], "x": [5]}), "pickle")
        self.check_broken(pickle.dumps({"ts": [1, 2], "ads": None}), "pickle")

    def test_broken_bodies(self):
        whole = gzip.compress(pickle.dumps([self.ROW]))
        for body, kind in (
            (b"", "pickle"), (gzip.compress(b""), "pickle"), (whole[:-1], "gzip"), (whole[:20], "gzip"),
            (whole + b"x", "gzip"), (pickle.dumps(5), "pickle"), (b"\xff", "pickle"), (pickle.dumps(os.system), "forbidden"),
            (pickle.dumps([self.ROW])[:-2], "pickle"), (b"\x80\x02" + b"]" * 66 + b"a" * 65 + b".", "too_large"),
        ):  # fmt: skip
            self.check_broken(body, kind)

    def test_nothing_is_run(self):
        for _, body in broken.objects(random.Random(1), 20):
            self.assertRaises(reading.Broken, expect.count, body, Metadata({"media": [], "inventory": []}), WINDOW)
        self.assertFalse(os.path.exists(broken.CANARY))


class Expectation(unittest.TestCase):
    TABLES = {
        "media": [{"media_key": "m1", "organization_id": 7, "agency_rate": "0.333333", "media_rate": "0.666667"}],
        "inventory": [{"inventory_id": 4567, "ad_type": "banner", "device": "Tablet", "app_type": "android"}],
    }

    def test_two_rows_by_hand(self):
        ads = [{"aid": 4567, "_god": 889, "did": 12}]
        first = {"ts": 1_717_945_199, "mid": "m1", "ads": ads, "xreq": 3, "xres": 2, "xpsb": 1, "imp": 2, "clk": 1, "rev": 12.5}
        second = dict(first, ts=1_717_945_200, mid="m1 ", rev=0.0000015)
        answer = expect.expectation([("a", pickle.dumps([first, second, first])), ("b", b"")], self.TABLES)
        self.assertEqual(list(answer["failed"]), ["b"])
        self.assertEqual(answer["objects"]["a"]["rows"], 3)
        self.assertEqual(
            answer["reports"]["report_media"],
            [
                {
                    "report_date": "2024-06-09", "organization_id": 7, "media_key": "m1", "device": "MOBILE", "impressions": 4,
                    "clicks": 2, "revenue": "25.000000", "agency_revenue": "8.333324", "media_revenue": "16.666676",
                },
                {
                    "report_date": "2024-06-10", "organization_id": 0, "media_key": "m1 ", "device": "MOBILE", "impressions": 2,
                    "clicks": 1, "revenue": "0.000002", "agency_revenue": "0.000000", "media_revenue": "0.000000",
                },
            ],
        )  # fmt: skip
        self.assertEqual(
            answer["reports"]["report_ad_request"][0],
            {
                "report_date": "2024-06-09", "organization_id": 7, "media_key": "m1", "inventory_id": 4567, "device": "MOBILE",
                "app_type": "AOS", "requests": 6, "responses": 4, "passbacks": 2,
            },
        )  # fmt: skip
        self.assertEqual(answer["control_totals"]["2024-06-09"]["revenue"], "25.000000")
        self.assertEqual(answer["control_totals"]["2024-06-10"]["rows"], 1)

    def test_five_percent_of_rejects_is_the_most(self):
        row = {"ts": 1_717_945_200}
        five = pickle.dumps([row] * 95 + [{}] * 5)
        six = pickle.dumps([row] * 94 + [{}] * 6)
        answer = expect.expectation([("five", five), ("six", six)], self.TABLES)
        self.assertEqual(answer["objects"]["five"]["rejected"], {"timestamp_missing": 5})
        self.assertEqual(answer["objects"]["five"]["first_rejected"], {"timestamp_missing": [95, 96, 97, 98, 99]})
        self.assertEqual(answer["failed"]["six"]["kind"], "rejects")

    def test_keys_sort_by_their_bytes(self):
        made = [{"ts": 1_717_945_200, "mid": key} for key in ("m1 ", "매체", "m1", "M1", "")]
        answer = expect.expectation([("a", pickle.dumps(made))], {"media": [], "inventory": []})
        self.assertEqual([row["media_key"] for row in answer["reports"]["report_media"]], ["", "M1", "m1", "m1 ", "매체"])


class Corpus(unittest.TestCase):
    def test_honest_objects_are_counted_and_broken_ones_are_not(self):
        with tempfile.TemporaryDirectory() as folder:
            corpus.main(["--out", folder, "--seed", "3", "--rows", "60"])
            keys = [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names]
            with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
                expected = corpus.json.load(file)
        self.assertEqual(len(expected["objects"]), 40)
        self.assertTrue(all(key.startswith("logs/broken/") for key in expected["failed"]))
        self.assertEqual(len(keys), 2 + len(expected["objects"]) + len(expected["failed"]))
        self.assertEqual(list(expected["control_totals"]), ["2024-06-09", "2024-06-10"])
        reasons = {reason for ledger in expected["objects"].values() for reason in ledger["rejected"]}
        self.assertEqual(reasons, set(corpus.honest.rows.DIRTY) | {"not_a_row"})
        kinds = {failure["kind"] for failure in expected["failed"].values()}
        self.assertEqual(kinds, {"gzip", "pickle", "forbidden", "too_large", "rejects"})

    def test_fingerprints_tell_how_often_each_object_was_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            arguments = ["--out", folder, "--seed", "4", "--files", "45", "--rows", "20", "--no-broken", "--fingerprint"]
            corpus.main(arguments)
            with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
                expected = corpus.json.load(file)
        places = expected["fingerprints"]
        self.assertEqual(set(places), set(expected["objects"]))
        self.assertEqual(len({(place["demand_id"], place["digit"]) for place in places.values()}), 45)
        for table, column, sentinels in (
            ("report_media", "media_key", {"fingerprint 0": 20, "fingerprint 1": 20, "fingerprint 2": 5}),
            ("report_demand", "demand_id", {8_000_000_000: 20, 8_000_000_001: 20, 8_000_000_002: 5}),
        ):
            revenue = {row[column]: row["revenue"] for row in expected["reports"][table] if row[column] in sentinels}
            every_digit_is_1 = {key: money.text((8**objects - 1) // 7) for key, objects in sentinels.items()}
            self.assertEqual(revenue, every_digit_is_1)


class Fingerprints(unittest.TestCase):
    def test_amounts_are_exact_powers_of_8(self):
        for digit in range(fingerprint.OBJECTS_PER_SENTINEL):
            self.assertEqual(money.micros_of(fingerprint.amount(digit)), 8**digit)
            self.assertEqual(money.micros_of(pickle.loads(pickle.dumps(fingerprint.amount(digit), 2))), 8**digit)

    def test_objects_counted_seven_times_fit_64_bits(self):
        self.assertLess(7 * sum(8**digit for digit in range(fingerprint.OBJECTS_PER_SENTINEL)), 2**63)


if __name__ == "__main__":
    unittest.main()
