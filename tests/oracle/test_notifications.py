"""The message bodies: that those checked in are those the script writes, and that their expectations hold together."""

import json
import os
import unittest
from urllib.parse import unquote_plus

import notifications


class Notifications(unittest.TestCase):
    def test_files_that_are_checked_in_are_those_that_are_written(self):
        folder = notifications.folder()
        found = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found[name] = file.read()
        self.assertEqual(found, notifications.files(), "run tests/oracle/notifications.py")

    def test_keys_are_form_encoded(self):
        for name, sent, decoded in notifications.KEYS:
            self.assertEqual(unquote_plus(sent), decoded, name)

    def test_what_is_announced_is_in_the_body(self):
        for name, body, expect in notifications.bodies():
            self.assertIn(set(expect), ({"objects"}, {"unreadable"}), name)
            for announced in expect.get("objects", ()):
                self.assertIn(announced["bucket"], body, name)
                self.assertIn(announced["etag"], body, name)
            if "objects" in expect:
                json.loads(body)
