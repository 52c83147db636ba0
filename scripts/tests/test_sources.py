# SPDX-License-Identifier: GPL-2.0-only
"""Kernel versions, apt's configuration, tool versions, global options."""

import argparse
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lab import apt, options, packages, source
from lab.errors import Exit, LabError

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb
URIs: http://mirror.example/debian-security
Suites: trixie-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""
ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb http://security.example/debian-security bookworm-security main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/key.gpg] http://mirror.example/debian bookworm main contrib # c
"""


class Apt(unittest.TestCase):
    def test_deb822(self):
        entries = apt.parse_deb822(DEB822)
        self.assertEqual([one.uris[0] for one in entries],
                         ["http://mirror.example/debian",
                          "http://mirror.example/debian-security"])
        self.assertEqual(entries[0].suites, ("trixie", "trixie-updates"))
        self.assertIn("\n abc", entries[1].signed_by)

    def test_one_line(self):
        entries = apt.parse_one_line(ONE_LINE)
        self.assertEqual(len(entries), 3)
        self.assertEqual(entries[2].signed_by, "/key.gpg")
        self.assertEqual(entries[2].components, ("main", "contrib"))

    def test_main_archive_is_not_security_and_not_source(self):
        found = apt.main_archive(apt.parse_one_line(ONE_LINE))
        self.assertEqual((found.uris[0], found.signed_by),
                         ("http://mirror.example/debian", "/key.gpg"))
        self.assertIsNone(apt.main_archive(apt.parse_one_line(
            "deb http://x.example/debian-security s-security main\n"
            "deb http://x.example/vendor stable vendor\n")))

    def test_disabled_files_are_not_read(self):
        with tempfile.TemporaryDirectory() as folder:
            parts = Path(folder) / "sources.list.d"
            parts.mkdir()
            (parts / "a.sources.disabled").write_text(DEB822)
            (parts / "b.list").write_text(ONE_LINE)
            (parts / "c.list.save").write_text(ONE_LINE)
            self.assertEqual(len(apt.configured(Path(folder))), 3)

    def test_private_sources_keep_mirror_and_key(self):
        text = apt.private_sources(apt.parse_deb822(DEB822)[0],
                                   "trixie-backports", "deb")
        again = apt.parse_deb822(text)
        self.assertEqual(again[0].suites, ("trixie-backports",))
        self.assertEqual(again[0].uris, ("http://mirror.example/debian",))
        self.assertTrue(again[0].signed_by.endswith("keyring.pgp"))

    def test_error_line_prefers_the_network(self):
        text = "W: something\nErr:1 http://x Could not resolve 'x'\n" \
               "E: Some index files failed to download.\n"
        self.assertIn("Could not resolve", apt.error_line(text))


class Versions(unittest.TestCase):
    def test_makefile(self):
        text = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n"
        self.assertEqual(source.parse_version(text), "7.3.4")
        self.assertEqual(source.parse_version(text.replace("= 4", "= 0")),
                         "7.3")
        self.assertEqual(source.parse_version(
            text.replace("EXTRAVERSION =", "EXTRAVERSION = -rc1")),
            "7.3.4-rc1")
        self.assertIsNone(source.parse_version("all:\n\techo\n"))

    def test_only_7_3_y(self):
        for good in ("7.3", "7.3.4", "7.3.15"):
            self.assertEqual(source.check_version(good, "x"), good)
        for bad in ("7.2.9", "7.30", "7.3-rc1", "7.4.1", "17.3.1", None):
            with self.subTest(bad), self.assertRaises(LabError) as caught:
                source.check_version(bad, "here")
            self.assertEqual(caught.exception.exit, Exit.ENVIRONMENT)
            self.assertIn("7.3.y", caught.exception.message)

    def test_drift_is_said(self):
        with mock.patch.object(source, "made_on", lambda: "7.3.4"):
            self.assertIsNone(source.drift("7.3.4"))
            self.assertIn("this is 7.3.5", source.drift("7.3.5"))

    def test_tool_minimum_compares_numbers(self):
        tool = packages.Tool("p", "sh", ("true",), (7, 2))
        for version, good in (("7.2.22", True), ("10.0.2", True),
                              ("7.1.9", False), ("", False)):
            with self.subTest(version), mock.patch.object(
                    packages.Tool, "version_text", lambda self: version):
                self.assertEqual(tool.recent_enough(), good)


class GlobalOptions(unittest.TestCase):
    def parse(self, *words):
        parser = argparse.ArgumentParser()
        options.add_arguments(parser, defaults=True)
        return options.from_arguments(parser.parse_args(words))

    def test_contradictions_are_usage_errors(self):
        for words in (("--git", "url"), ("--git-ref", "v7.3.4"),
                      ("--tarball", "/nonexistent.tar"),
                      ("--tree", "/nonexistent"),
                      ("--tree", "/", "--git", "u", "--git-ref", "v"),
                      ("--git", "u", "--git-ref=--upload-pack=x")):
            with self.subTest(words), self.assertRaises(LabError) as caught:
                self.parse(*words)
            self.assertEqual(caught.exception.exit, Exit.USAGE)

    def test_ci_means_yes(self):
        with mock.patch.dict("os.environ", {"CI": "true"}):
            self.assertTrue(self.parse().yes)
        with mock.patch.dict("os.environ", {"CI": ""}):
            self.assertFalse(self.parse().yes)


if __name__ == "__main__":
    unittest.main()
