# SPDX-License-Identifier: GPL-2.0-only
"""Cover letters, the refusals of refresh, drift, swapping folders."""

import tempfile
import unittest
from pathlib import Path

from lab import covers, series
from lab.covers import Cover, CoverError
from lab.errors import LabError

AUTHOR = ("Jörg Ä", "j@example.org", "Fri, 6 Nov 2026 21:20:05 +0000")
COVER = Cover("1-fixes", "20261120-fixes-0123456789ab",
              "ARM: two things — über and a title that is rather long, so "
              "that a mail program would fold it", "First.\n\nSecond: ü.")
NUMBERS = iter(range(1, 10000))


def commit(message, empty=False, parents=1):
    return series.Commit(f"{next(NUMBERS):040x}", empty, parents, AUTHOR,
                         message + "\n")


def cover(name="1-fixes", digits="0123456789ab"):
    return commit(Cover(name, f"20261120-t-{digits}", "title",
                        "text").message().rstrip("\n"), empty=True)


class Covers(unittest.TestCase):
    def test_commit_round_trip(self):
        self.assertEqual(covers.from_message(COVER.message()), COVER)

    def test_mail_round_trip(self):
        for body in (COVER.body, "plain"):
            one = Cover(COVER.series, COVER.change_id, COVER.title, body)
            text = covers.to_mail(one, author=AUTHOR, count=12,
                                  summary="a (1):\n  b\n\n x | 1 +\n",
                                  base="v7.3.4")
            self.assertIn("---\na (1):", text)
            self.assertTrue(text.partition("\n\n")[0].isascii())
            again, author = covers.from_mail(text, "1-fixes")
            self.assertEqual(again, one)
            self.assertEqual(author[:2], AUTHOR[:2])
            self.assertIn("6 Nov 2026 21:20:05 +0000", author[2])

    def test_number_is_as_wide_as_the_count(self):
        plain = Cover("1-fixes", COVER.change_id, "title", "text")
        for count, want in ((3, "[PATCH 0/3] title"),
                            (12, "[PATCH 00/12] title")):
            self.assertIn("Subject: " + want, covers.to_mail(
                plain, author=AUTHOR, count=count, summary="", base="v"))

    def test_what_would_be_lost_is_refused(self):
        good = COVER.message()
        for bad in (good.replace("First.", "---"),
                    good.replace("First.", "First. "),
                    good.replace("change-id: 2026", "change-id: x2026"),
                    good.replace("series: 1-fixes", "series: fixes"),
                    good.replace("\nchange-id", "\n\nchange-id"),
                    good.replace("fold it\n", "fold it\nat once\n", 1),
                    "t\n\nseries: 1-x\nchange-id: 20261120-x-0123456789ab\n"):
            with self.subTest(bad), self.assertRaises(CoverError):
                covers.from_message(bad)

    def test_mail_without_its_parts(self):
        text = covers.to_mail(COVER, author=AUTHOR, count=1, summary="s",
                              base="v7.3.4")
        for line in text.splitlines(keepends=True)[1:3]:
            with self.subTest(line), self.assertRaises(CoverError):
                covers.from_mail(text.replace(line, "", 1), "1-fixes")
        for old in ("Subject: ", "From: ", "Date: ", "\n---\n",
                    "change-id: "):
            with self.subTest(old), self.assertRaises(CoverError):
                covers.from_mail(text.replace(old, "\nX"), "1-fixes")


class Split(unittest.TestCase):
    def refused(self, *commits):
        with self.assertRaises(LabError) as caught:
            series.split(list(commits))
        self.assertNotIn("\n", caught.exception.message)
        return caught.exception.message

    def test_two_series(self):
        found = series.split([cover(), commit("a: b"), commit("a: c"),
                              cover("4-areas", "ffffffffffff"),
                              commit("a: d")])
        self.assertEqual([(one.cover.series, len(one.patches))
                          for one in found], [("1-fixes", 2), ("4-areas", 1)])

    def test_refusals(self):
        self.assertIn("not folded in", self.refused(cover(),
                                                    commit("fixup! a")))
        self.assertIn("not folded in", self.refused(cover(),
                                                    commit("squash! a")))
        self.assertIn("Signed-off-by", self.refused(
            cover(), commit("a: b\n\nSigned-off-by: A <a@example.org>")))
        self.assertIn("belongs to no series", self.refused(commit("a: b")))
        self.assertIn("is a merge", self.refused(
            cover(), commit("a: b", parents=2)))
        self.assertIn("is empty", self.refused(
            cover(), commit("a: b", empty=True)))
        self.assertIn("git am", self.refused(cover(), commit("[x] a: b")))
        self.assertIn("no patches", self.refused(cover()))
        self.assertIn("two covers", self.refused(
            cover(), commit("a: b"), cover(digits="ffffffffffff"),
            commit("a: c")))
        self.assertIn("same change-id", self.refused(
            cover(), commit("a: b"), cover("2-x"), commit("a: c")))
        self.assertIn("comes after", self.refused(
            cover("4-x"), commit("a: b"), cover("1-x", "ffffffffffff"),
            commit("a: c")))
        self.assertIn("changes files", self.refused(
            commit(cover().message.rstrip("\n"), empty=False),
            commit("a: b")))

    def test_fifteen_patches_at_most(self):
        patches = [commit(f"a: {number}") for number in range(15)]
        self.assertEqual(len(series.split([cover(), *patches])[0].patches),
                         15)
        self.assertIn("more than 15", self.refused(
            cover(), *patches, commit("a: one more")))


class Drift(unittest.TestCase):
    PATCH = "index 0123456789..abcdef0123 100644\n--- a/x\n+++ b/x\n" \
            "@@ -10,6 +10,7 @@ int f(void)\n a\n+b\n"

    def test_positions_and_blobs_do_not_count(self):
        moved = self.PATCH.replace("-10,6 +10,7 @@ int f", "-99,6 +99,7 @@ g")
        moved = moved.replace("0123456789..", "9999999999..")
        self.assertNotEqual(moved, self.PATCH)
        self.assertEqual(series.normalized(moved),
                         series.normalized(self.PATCH))

    def test_content_does(self):
        for old, new in (("+b", "+c"), ("\n a\n", "\n z\n"),
                         ("a/x", "a/y"), ("100644", "100755")):
            with self.subTest(new):
                self.assertNotEqual(
                    series.normalized(self.PATCH.replace(old, new)),
                    series.normalized(self.PATCH))


class Folders(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.base = Path(holder.name)
        self.ours, self.new = self.base / "v7.3", self.base / ".new"
        for folder, text in ((self.ours, "old\n"), (self.new, "new\n")):
            (folder / "1-x").mkdir(parents=True)
            (folder / "1-x" / "0001-a.patch").write_text(text)

    def test_first_difference(self):
        self.assertIn("0001-a.patch line 1", series.first_difference(
            self.ours, self.new, False))
        (self.new / "1-x" / "0001-a.patch").write_text("old\n")
        self.assertIsNone(series.first_difference(self.ours, self.new, False))
        (self.ours / "1-x" / "0002-b.patch").write_text("stale\n")
        self.assertIn("does not export", series.first_difference(
            self.ours, self.new, False))

    def test_missing_newline_at_the_end_is_a_difference(self):
        (self.new / "1-x" / "0001-a.patch").write_text("old")
        self.assertIsNotNone(series.first_difference(
            self.ours, self.new, False))

    def test_swap_drops_stale_patches_and_keeps_other_files(self):
        (self.ours / "1-x" / "0002-b.patch").write_text("stale\n")
        (self.ours / "notes.md").write_text("kept\n")
        series.swap(self.new, self.ours)
        self.assertEqual(sorted(
            str(path.relative_to(self.base))
            for path in self.base.rglob("*") if path.is_file()),
            ["v7.3/1-x/0001-a.patch", "v7.3/notes.md"])
        self.assertEqual((self.ours / "1-x" / "0001-a.patch").read_text(),
                         "new\n")

    def test_swap_that_was_cut_short_is_mended(self):
        self.ours.rename(self.base / ".v7.3.old")
        (self.base / ".v7.3.old" / "notes.md").write_text("kept\n")
        series.swap(self.new, self.ours)
        self.assertEqual((self.ours / "notes.md").read_text(), "kept\n")


if __name__ == "__main__":
    unittest.main()
