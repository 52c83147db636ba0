# SPDX-License-Identifier: GPL-2.0-only
"""Ranges and the wish computed from a command line."""

import unittest

from lab import ranges, wish
from lab.ranges import Range


class Numbers(unittest.TestCase):
    def test_like_memparse(self):
        for text, value in (("8M", 8 << 20), ("0x2000000", 0x2000000),
                            ("0X10k", 0x4000), ("010", 8), ("0", 0),
                            ("1g", 1 << 30), ("4096", 4096)):
            self.assertEqual(ranges.number(text), value, text)

    def test_refused(self):
        for text in ("", "M", "8MB", "-8M", "0x", "8 M", "08", "\u0668"):
            with self.assertRaises(ValueError, msg=text):
                ranges.number(text)

    def test_ranges(self):
        expected = Range(0x2000000, 0x800000)
        self.assertEqual(ranges.parse("8M@32M"), expected)
        self.assertEqual(ranges.parse("0x02000000-0x027fffff"), expected)
        self.assertEqual(str(expected), "0x02000000-0x027fffff")
        for text in ("8M", "32M-16M", "0@32M", "@", "x@y"):
            with self.assertRaises(ValueError, msg=text):
                ranges.parse(text)

    def test_contains_is_exact_at_both_ends(self):
        area = Range(0x1000, 0x1000)
        self.assertTrue(area.contains(0x1000, 0x1000))
        self.assertFalse(area.contains(0xfff, 1))
        self.assertFalse(area.contains(0x2000, 1))
        self.assertFalse(area.contains(0x1fff, 2))

    def test_size_text(self):
        self.assertEqual([ranges.size_text(size) for size in
                          (8 << 20, 4096, 24, 0)],
                         ["8 MiB", "4 KiB", "24 bytes", "0 bytes"])


class Parse(unittest.TestCase):
    def test_the_literal_wish(self):
        got = wish.parse("console=ttyPS0 cma=cmadevlabel=8M@32M "
                         "cma_map=f8003000.dma-controller=cmadevlabel")
        self.assertEqual(got.areas, {"cmadevlabel": Range(32 << 20, 8 << 20)})
        self.assertEqual(got.rules, (wish.Rule("f8003000.dma-controller",
                                               "cmadevlabel"),))

    def test_areas_add_up_and_the_first_of_a_name_stays(self):
        got = wish.parse("cma=16M,a=4M@64M cma=b=8M cma=a=4M@128M")
        self.assertEqual(got.areas, {"a": Range(64 << 20, 4 << 20),
                                     "b": None})

    def test_bad_regions_are_left_out(self):
        got = wish.parse("cma=a=lots@1M,b=,=8M,garbage cma= cma")
        self.assertEqual(got.areas, {})

    def test_commas_and_equals_in_device_names(self):
        got = wish.parse("cma_map=some,name@1=a,/path/x=1=b,stray")
        self.assertEqual(got.rules, (wish.Rule("some,name@1", "a"),
                                     wish.Rule("/path/x=1", "b")))

    def test_first_match_wins(self):
        got = wish.parse("cma_map=pci/0000:00:02.0=a,0000:*=b")
        def label(bus, name):
            rule = got.rule_for(wish.Device(bus, name))
            return rule and rule.label
        self.assertEqual(label("pci", "0000:00:02.0"), "a")
        self.assertEqual(label("platform", "0000:00:02.0"), "b")
        self.assertEqual(label("pci", "0000:00:03.0"), "b")
        self.assertIsNone(label("amba", "f8003000.dma-controller"))

    def test_star_is_only_special_at_the_end(self):
        def matches(rule, name, node="-"):
            return wish.Rule(rule, "x").matches(wish.Device("b", name, node))
        self.assertTrue(matches("a[b*", "a[bc"))
        self.assertFalse(matches("a", "ab"))
        self.assertTrue(matches("/soc/a", "a", "/soc/a"))
        self.assertFalse(matches("/soc/a", "a"))

    def test_quotes(self):
        self.assertEqual(wish.words('a="b c" d'), ["a=b c", "d"])
        self.assertEqual(wish.words('a="b c'), ['a="b', "c"])


if __name__ == "__main__":
    unittest.main()
