# SPDX-License-Identifier: GPL-2.0-only
"""Totals, exit codes, JSON and JUnit."""

import json
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from lab.errors import Exit
from lab.report import Case, Results


def failed(exit=Exit.TEST_FAILED):
    case = Case("s", "bad")
    case.fail("because \x01 <&>", exit)
    return case


class Report(unittest.TestCase):
    def test_exit_codes(self):
        good, skip = Case("s", "good"), Case("s", "skip", "skipped", "why")
        for cases, expected in (
                ([], Exit.TEST_FAILED), ([skip], Exit.TEST_FAILED),
                ([good, skip], Exit.PASS), ([good, failed()],
                                            Exit.TEST_FAILED),
                ([failed(), failed(Exit.TIMEOUT)], Exit.TIMEOUT),
                ([failed(Exit.TIMEOUT), failed(Exit.GUEST)], Exit.GUEST)):
            self.assertEqual(Results(cases).exit, expected)

    def test_several_reasons_add_up(self):
        case = failed()
        case.fail("and more", Exit.GUEST)
        self.assertIn("; and more", case.message)
        self.assertEqual(case.exit, Exit.TEST_FAILED)

    def test_totals_name_failures_and_skips(self):
        results = Results([Case("s", "good"), failed(),
                           Case("s", "skip", "skipped", "why")])
        self.assertEqual(results.totals, "1 passed, 1 failed, 1 skipped")
        self.assertEqual(len(results.problems()), 2)
        self.assertIn("skip skipped: why", results.problems()[1])

    def test_many_problems_are_cut_and_counted(self):
        results = Results([Case("s", "skip", "skipped")] * 30 + [failed()])
        lines = results.shown_problems()
        self.assertIn("bad failed", lines[0])
        self.assertIn("and 11 more", lines[-1])

    def test_files(self):
        results = Results([Case("s", "good"), failed(),
                           Case("t", "skip", "skipped", "why")])
        with tempfile.TemporaryDirectory() as name:
            results.write(Path(name), verb="test")
            document = json.loads((Path(name) / "results.json").read_text())
            root = ElementTree.parse(Path(name) / "junit.xml").getroot()
        self.assertEqual(document["totals"], {"passed": 1, "failed": 1,
                                              "skipped": 1})
        self.assertEqual((document["exit"], document["verb"]), (1, "test"))
        self.assertEqual([suite.get("tests") for suite in root], ["2", "1"])
        self.assertEqual(len(root.findall(".//failure")), 1)
        self.assertEqual(root.find(".//skipped").get("message"), "why")


if __name__ == "__main__":
    unittest.main()
