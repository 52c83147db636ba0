# SPDX-License-Identifier: GPL-2.0-only
"""The boot table: how a boot is judged by its row."""

import unittest

from fake_console import (DEFAULT, GOOD, NODE, PLAIN, REFUSAL, ROW, TOTAL,
                          Guest, booted, load)
from lab import boot_table, evidence
from lab.errors import Exit


def check(row, guest, plain=TOTAL):
    return boot_table.check(booted(row, guest.lines()), plain)


def check_stock(row, guest, plain=TOTAL):
    return boot_table.check_stock(booted(row, guest.lines(), True), plain)


class Check(unittest.TestCase):
    def setUp(self):
        self.row, = load(ROW)

    def test_good(self):
        case = check(self.row, Guest())
        self.assertEqual(case.status, "passed", case.message)

    def fails(self, expected, **kwargs):
        case = check(self.row, Guest(**kwargs))
        self.assertEqual(case.status, "failed", expected)
        self.assertIn(expected, case.message)
        return case

    def test_refusal_is_missing(self):
        self.fails("no refusal matches", kernel=())

    def test_refusal_is_there_twice(self):
        self.fails("unexpected refusal", kernel=(REFUSAL, REFUSAL))

    def test_good_area_is_missing_or_elsewhere(self):
        self.fails("no area good", areas=(DEFAULT,))
        self.fails("area good is", areas=(("good", 0x44400000, 8), DEFAULT))

    def test_default_area_is_missing_or_small(self):
        self.fails("no default area", areas=(GOOD,))
        self.fails("area reserved has",
                   areas=(GOOD, ("reserved", 0x4f000000, 8)))

    def test_refused_area_exists(self):
        self.fails("unexpected area dev",
                   areas=(GOOD, ("dev", 0x42000000, 8), DEFAULT))

    def test_cma_total_does_not_add_up(self):
        self.fails("CmaTotal is", cma=16)

    def test_area_is_not_in_sysfs(self):
        self.fails("area good is not in sysfs", sysfs=("reserved",))

    def test_area_is_not_in_iomem(self):
        self.fails("area good is not in /proc/iomem", iomem=())

    def test_area_is_longer_in_iomem(self):
        self.fails("/proc/iomem has good", iomem=(("good", 0x44000000, 9),))

    def test_memory_was_lost(self):
        self.fails("MemTotal", total=TOTAL - (8 << 20))

    def test_splat_and_lost_guest(self):
        case = self.fails("splat", kernel=(REFUSAL, "BUG: x"))
        self.assertEqual(case.exit, Exit.GUEST)
        case = self.fails("lost", end=False)
        self.assertEqual(case.exit, Exit.GUEST)

    def test_log_and_never(self):
        row, = load(ROW + "log = ['hello']\nnever = ['world']\n")
        case = check(row, Guest(kernel=(REFUSAL, "[ 0.0] world")))
        self.assertIn("'hello'", case.message)
        self.assertIn("must not be there: world", case.message)
        case = check(row, Guest(kernel=(REFUSAL, "[ 0.0] hello")))
        self.assertEqual(case.status, "passed", case.message)

    def test_no_default_area(self):
        row, = load(ROW + 'default = "0"\n')
        self.assertEqual(check(row, Guest(areas=(GOOD,))).status, "passed")
        self.assertIn("unexpected area", check(row, Guest()).message)


class Use(Check):
    """What came of using the memory is part of every verdict."""

    def test_memory_did_not_keep_its_content(self):
        self.fails("did not keep", more=(
            "[ 1.0] guest: fill: FAILED: memory did not keep what was "
            "written to it (errno 0)",))

    def test_nothing_or_little_was_filled(self):
        self.fails("only 0 of", filled=0)
        self.fails("only 102400 of", filled=100 << 10)
        self.fails("only 0 of 0", available=0, filled=0)

    def test_little_is_enough_if_the_row_asks_for_little(self):
        row, = load(ROW + 'fill = "64M"\n')
        self.assertEqual(check(row, Guest(filled=60 << 10)).status, "passed")
        self.assertIn("only", check(row, Guest(filled=40 << 10)).message)

    def test_it_was_not_filled_at_all(self):
        lines = [line for line in Guest().lines() if ": fill: " not in line]
        case = boot_table.check(booted(self.row, lines), TOTAL)
        self.assertIn("was not filled", case.message)

    def test_areas_were_not_taken(self):
        self.fails("area good was not taken", untaken=("good",))
        lines = [line for line in Guest().lines() if ": take: " not in line]
        case = boot_table.check(booted(self.row, lines), TOTAL)
        self.assertIn("areas were not taken", case.message)

    def test_free_pages_did_not_come_back(self):
        self.fails("should be free", lost=4096)

    def test_a_few_pages_of_user_space_may_be_in_an_area(self):
        self.assertEqual(check(self.row, Guest(lost=256)).status, "passed")

    def test_more_is_free_than_there_is(self):
        self.fails("CmaTotal", free_before=(24 << 10) + 260)
        self.fails("CmaTotal", lost=-520, free_before=0)

    def test_an_area_that_is_taken_is_not_free(self):
        self.fails("with all areas taken", taken_free=260)
        self.assertEqual(check(self.row, Guest(taken_free=40)).status,
                         "passed", "statistics lag behind a little")


class Reach(unittest.TestCase):
    """No handle that the device cannot address, whatever the kernel."""

    ENTRY = ("[ 1.0] guest: dump: nvme 0000:00:02.0 coherent idx 1 "
             "P=0x{0:x} D={0:x} L=1000 DMA_BIDIRECTIONAL dma map error check "
             "not applicable")

    def judged(self, *places):
        row, = load(ROW + 'reach = "0x40000000-0xffffffff"\n')
        return check(row, Guest(more=(
            "[ 1.0] guest: dump: begin",
            *(self.ENTRY.format(place) for place in places),
            "[ 1.0] guest: dump: end")))

    def test_inside_or_nothing(self):
        self.assertEqual(self.judged().status, "passed")
        self.assertEqual(self.judged(0x44000000, 0xfffff000).status, "passed")

    def test_outside(self):
        for place in (0x100000000, 0x3ffff000):
            case = self.judged(0x44000000, place)
            self.assertIn("1 coherent entries outside", case.message)

    def test_no_dump(self):
        row, = load(ROW + 'reach = "0x40000000-0xffffffff"\n')
        self.assertIn("dump is missing", check(row, Guest()).message)


class Stock(unittest.TestCase):
    """A stock kernel has words of its own, and no new parameters."""

    SAID = "[ 0.0] OF: reserved mem: node bad@46000000 compatible matching fail"
    AREAS = (("good@44000000", 0x44000000, 8), DEFAULT)

    def test_other_words_are_a_refusal_too(self):
        row, = load(NODE)
        good = Guest(kernel=(self.SAID,), areas=self.AREAS)
        case = check_stock(row, good)
        self.assertEqual(case.status, "passed", case.message)
        self.assertEqual(check(row, good).status, "failed")

    def test_no_word_or_one_about_something_else_is_not(self):
        row, = load(NODE)
        for said in ((), ("[ 0.0] cma: Failed to reserve 8 MiB",),
                     ("[ 0.0] node bad@46000000 is here",),
                     ("[ 0.0] Kernel command line: bad@46000000 fail",)):
            case = check_stock(row, Guest(kernel=said, areas=self.AREAS))
            self.assertIn("nothing in the log", case.message, said)

    def test_area_elsewhere_and_memory_lost(self):
        row, = load(NODE)
        case = check_stock(row, Guest(kernel=(self.SAID,), areas=(DEFAULT,)))
        self.assertIn("no area good@44000000", case.message)
        case = check_stock(row, Guest(kernel=(self.SAID,), areas=self.AREAS,
                                      total=TOTAL - (8 << 20)))
        self.assertIn("MemTotal", case.message)

    def test_what_would_be_right_there_may_differ(self):
        row, = load(PLAIN.replace('cmdline = ""', 'cmdline = "cma=32Mfoo"')
                    + "refused = ['cma=32Mfoo refused']\n"
                    + 'stock = { said = [], default = "32M" }\n')
        guest = Guest(kernel=(), areas=(("reserved", 0x4e000000, 32),))
        self.assertEqual(check_stock(row, guest).status, "passed")
        self.assertIn("area reserved has", check(row, guest).message)

    def test_new_parameters_may_do_nothing_but_not_switch_cma_off(self):
        row, = load(ROW)
        self.assertTrue(row.feature)
        case = check_stock(row, Guest(kernel=(), areas=(DEFAULT,)))
        self.assertEqual(case.status, "passed", case.message)
        for areas in ((), (GOOD,)):
            case = check_stock(row, Guest(kernel=(), areas=areas))
            self.assertEqual(case.message,
                             "there is no default area any more")
        case = check_stock(row, Guest(kernel=(), areas=(DEFAULT,), filled=0))
        self.assertIn("only 0 of", case.message)


class Compare(unittest.TestCase):
    STOCK = ("[    0.000000] cma: Reserved 16 MiB at 0x4f000000",
             "[    0.07] Memory: 235312K/262144K available (2369K kernel "
             "code, 16384K cma-reserved, 0K highmem)",
             "[    0.0] Kernel command line: cma=x")

    def differs(self, kernel, **kwargs):
        row, = load(ROW)
        case = boot_table.Case("s", "n")
        boot_table.compare(
            row, evidence.parse(Guest(kernel=self.STOCK).lines()),
            evidence.parse(Guest(kernel=tuple(kernel), **kwargs).lines()),
            case)
        return case.status == "failed"

    def test_times_and_image_size_do_not_matter(self):
        self.assertFalse(self.differs(
            [line.replace("2369K", "2402K").replace("0.000000", "0.100000")
             for line in self.STOCK]))

    def test_line_address_and_total_matter(self):
        self.assertTrue(self.differs(self.STOCK[1:]))
        self.assertTrue(self.differs((*self.STOCK, "[ 0.0] cma: more")))
        self.assertTrue(self.differs(
            [line.replace("0x4f", "0x4e") for line in self.STOCK]))
        self.assertTrue(self.differs(
            [line.replace("16384K cma", "8192K cma") for line in self.STOCK]))
        self.assertTrue(self.differs(self.STOCK, cma=16))
        self.assertTrue(self.differs(
            self.STOCK, areas=(("good", 0x48000000, 24),)))


if __name__ == "__main__":
    unittest.main()
