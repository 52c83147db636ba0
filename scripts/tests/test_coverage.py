# SPDX-License-Identifier: GPL-2.0-only
"""Tests of `coverage`: what the guest prints, what gcov says, the pages."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lab import coverage, coverage_document, evidence, gcov, kunit, machines
from lab.coverage_document import File
from lab.errors import Exit, LabError
from lab.gcov import Source
from lab.qemu import Console

DATA = b"adcg" + bytes(range(256))


def guest(*files: tuple[str, bytes], end: bool = True) -> list[str]:
    """The console of a guest that prints @files."""
    lines = ["guest: gcov: begin"]
    for path, data in files:
        lines.append(f"guest: gcov: file {path}")
        lines += [f"guest: gcov: data {data[i:i + 100].hex()}"
                  for i in range(0, len(data), 100)]
    return lines + (["guest: gcov: end"] if end else [])


class FromTheGuest(unittest.TestCase):
    """data_files()."""

    def test_files_are_put_together(self):
        report = evidence.parse(guest(("/x/mm/cma.gcda", DATA),
                                      ("/x/y.gcda", b"adcg")))
        self.assertEqual(gcov.data_files(report), {
            "/x/mm/cma.gcda": DATA, "/x/y.gcda": b"adcg"})

    def test_what_is_not_whole(self):
        for lines in (guest(("/x.gcda", DATA), end=False),
                      guest(("/x.gcda", b"nonsense")),
                      ["guest: gcov: begin", "guest: gcov: FAILED: x",
                       "guest: gcov: end"], []):
            with self.assertRaises(LabError, msg=lines) as caught:
                gcov.data_files(evidence.parse(lines))
            self.assertEqual(caught.exception.exit, Exit.GUEST)

    def test_notes_of_the_build(self):
        with tempfile.TemporaryDirectory() as folder:
            built = Path(folder)
            (built / "mm").mkdir()
            notes = built / "mm" / "cma.gcno"
            notes.touch()
            self.assertEqual(gcov._notes("/sys/g/a/b/mm/cma.gcda", built),
                             notes)
            with self.assertRaisesRegex(LabError, "no such .gcno"):
                gcov._notes("/sys/g/a/b/mm/other.gcda", built)


class Counting(unittest.TestCase):
    """parse(), add(), uncovered(), ranges()."""

    DOCUMENT = {"files": [{
        "file": "/o/tree/mm/cma.c",
        "lines": [{"line_number": n, "count": c} for n, c in
                  ((3, 1), (4, 0), (6, 0), (9, 2), (9, 1), (12, 0))],
        "functions": [
            {"demangled_name": "one", "start_line": 3, "end_line": 9},
            {"demangled_name": "two", "start_line": 11, "end_line": 13}]}]}

    def test_parse_and_add(self):
        found = gcov.parse(self.DOCUMENT)
        source = found["mm/cma.c"]
        self.assertEqual(source.lines, {3: 1, 4: 0, 6: 0, 9: 3, 12: 0})
        self.assertEqual(source.percent, 40)
        self.assertEqual(gcov.uncovered(source),
                         [("one", "4-6"), ("two", "12")])
        total = {}
        gcov.add(total, found)
        gcov.add(total, {"mm/cma.c": Source({4: 1, 3: 1})})
        self.assertEqual(total["mm/cma.c"].lines[4], 1)
        self.assertEqual(total["mm/cma.c"].lines[3], 2)
        self.assertEqual(source.lines[4], 0)

    def test_innermost_function(self):
        source = Source({}, {"outer": (1, 9), "inner": (3, 4)})
        self.assertEqual([gcov.function_at(source, line) for line in
                          (2, 3, 10)], ["outer", "inner", "-"])

    def test_ranges(self):
        self.assertEqual(gcov.ranges([1, 3, 5, 9], [1, 3, 4, 5, 7, 9]),
                         "1-3, 5, 9")

    def test_tracefile(self):
        text = gcov.tracefile(gcov.parse(self.DOCUMENT), Path("/t"), "x")
        self.assertIn("SF:/t/mm/cma.c\nFN:3,one\n", text)
        self.assertIn("FNDA:1,one\n", text)
        self.assertIn("DA:4,0\n", text)
        self.assertTrue(text.endswith("end_of_record\n"))


class Boots(unittest.TestCase):
    """A boot that failed is not counted."""

    RUN = kunit.Run("r", "suite*", machines.MACHINES["zynq"], ("suite",))
    GOOD = ["    # Subtest: suite", "    ok 1 case", "ok 1 suite",
            *guest(("/x.gcda", DATA)), "guest: end: pass, 0 failures"]

    def boot(self, lines):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch("lab.coverage.qemu.device_tree"), \
                mock.patch("lab.coverage.qemu.run", return_value=Console(
                    Path("log"), lines)):
            return coverage.boot_kunit(self.RUN, mock.Mock(), Path(folder))

    def test_good(self):
        self.assertTrue(gcov.data_files(self.boot(self.GOOD)))

    def test_bad(self):
        for lines, exit in (
                (["    not ok 2 - other", *self.GOOD], Exit.TEST_FAILED),
                (["[    1.000000]     not ok 2 x", *self.GOOD],
                 Exit.TEST_FAILED),
                (self.GOOD[3:], Exit.TEST_FAILED),
                (["BUG: x", *self.GOOD], Exit.GUEST),
                (self.GOOD[:-1], Exit.GUEST)):
            with self.assertRaises(LabError, msg=lines) as caught:
                self.boot(lines)
            self.assertEqual(caught.exception.exit, exit, lines)


class Pages(unittest.TestCase):
    """Documentation/coverage.md and the verdict."""

    def file(self, name, lines):
        source = Source(lines, {"f": (1, 9)})
        return File(name, Source({1: 1, 2: 0}), source, {2})

    def test_page(self):
        text = coverage_document.render(
            [self.file("a.c", {1: 1, 2: 0}), File("b.c", None, None, set())],
            "7.3.4", "7.2", 2, 3)
        self.assertIn("| a.c | 2 | 50.0 % | 50.0 % | 0.0 % of 1 |", text)
        self.assertIn("| **`f`** | 2 |", text)
        self.assertIn("Not in this kernel: b.c.", text)

    def test_verdict(self):
        output = mock.Mock()
        full = [self.file(name, {1: 1}) for name in coverage.REQUIRED]
        self.assertEqual(coverage._conclude(full, Path("p"), output),
                         Exit.PASS)
        half = [self.file(coverage.REQUIRED[0], {1: 1}),
                self.file(coverage.REQUIRED[1], {1: 1, 2: 0})]
        self.assertEqual(coverage._conclude(half, Path("p"), output),
                         Exit.TEST_FAILED)

    def test_changed_lines(self):
        diff = "@@ -1,2 +3,2 @@ x\n+a\n@@ -9 +7 @@\n+b\n@@ -20,3 +9,0 @@\n"
        with mock.patch("lab.coverage.git.ask", return_value=diff):
            self.assertEqual(coverage.changed_lines(Path("t"), "f"),
                             {3, 4, 7})


if __name__ == "__main__":
    unittest.main()
