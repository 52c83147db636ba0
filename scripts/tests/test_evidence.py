# SPDX-License-Identifier: GPL-2.0-only
"""What a console proves: the dump, the summaries, the end marker."""

import unittest

from lab import evidence, judge, qemu
from lab.errors import Exit
from lab.ranges import Range
from pathlib import Path

INSIDE = ("dma-pl330 f8003000.dma-controller coherent idx 14368 P=0x02040000 "
          "D=2040000 L=1000 cln=0x00081000 DMA_BIDIRECTIONAL dma map error "
          "check not applicable attrs=0x200")
OUTSIDE = INSIDE.replace("P=0x02040000 D=2040000", "P=0x1f040000 D=1f040000")
OTHER = ("sdhci-arasan e0100000.mmc coherent idx 14368 P=0x1f041000 "
         "D=1f041000 L=a08 cln=0x007c1040 DMA_BIDIRECTIONAL dma map error "
         "check not applicable attrs=0x0")
STREAM = INSIDE.replace(" coherent ", " scatter-gather ").replace(
    "P=0x02040000 D=2040000", "P=0x10000000 D=10000000")
CMDLINE = ("console=ttyPS0 cma=cmadevlabel=8M@32M "
           "cma_map=f8003000.dma-controller=cmadevlabel "
           "guest.dmatest=f8003000.dma-controller:240:2")
DEVICES = ("amba f8003000.dma-controller /axi/dma-controller@f8003000",
           "platform e0100000.mmc /axi/mmc@e0100000")
AREA = Range(0x2000000, 0x800000)


def console(dump=(INSIDE,), cmdline=CMDLINE, copies=(120, 120), failed=0,
            end="pass, 0 failures", extra=()):
    """A console as the guest program makes it."""
    lines = ["[    0.000000] Booting Linux on physical CPU 0x0",
             "[    0.423482] guest: start: user space reached",
             "[    0.428595] guest: cmdline: begin",
             f"[    0.430487] guest: cmdline: {cmdline}",
             "[    0.430897] guest: cmdline: end"]
    lines += [f"[    1.1] dmatest: dma0chan{n}-copy0: summary {count} tests, "
              f"{failed} failures 179.96 iops 1409 KB/s (0)"
              for n, count in enumerate(copies)]
    lines += [f"[    1.147000] guest: device: {line}" for line in DEVICES]
    lines += ["[    1.147563] guest: dump: begin"]
    lines += [f"[    1.151889] guest: dump: {line}" for line in dump]
    lines += ["[    1.154307] guest: dump: end", *extra]
    if end:
        lines.append(f"[    1.173231] guest: end: {end}")
    return lines


def placed(**kwargs):
    report = evidence.parse(console(**kwargs))
    return judge.placed("s", report, None, "", True)


class Dump(unittest.TestCase):
    def test_reads_every_field(self):
        mapping, = evidence.parse_dump([INSIDE])
        self.assertEqual(mapping, evidence.Mapping(
            "dma-pl330", "f8003000.dma-controller", "coherent", 0x2040000,
            0x2040000, 0x1000))

    def test_pci_device_and_empty_driver(self):
        first, second = evidence.parse_dump([
            INSIDE.replace("dma-pl330 f8003000.dma-controller",
                           "nvme 0000:00:02.0"),
            INSIDE.replace("dma-pl330 f8003000.dma-controller", " dev")])
        self.assertEqual((first.driver, first.device), ("nvme",
                                                        "0000:00:02.0"))
        self.assertEqual(second.device, "dev")

    def test_unknown_line_is_an_error(self):
        with self.assertRaises(evidence.Unreadable):
            evidence.parse_dump(["something else"])

    def test_inside_needs_memory_and_handle(self):
        for paddr, dma, size, expected in (
                (0x2000000, 0x2000000, 0x800000, True),
                (0x2000000, 0x2000000, 0x800001, False),
                (0x1fff000, 0x2000000, 0x1000, False),
                (0x2000000, 0x1fff000, 0x1000, False),
                (0x2800000, 0x2800000, 0x1000, False)):
            mapping = evidence.Mapping("d", "d", "coherent", paddr, dma, size)
            self.assertEqual(mapping.inside(AREA), expected, mapping)

    def test_dump_that_was_cut_off_is_an_error(self):
        lines = [line for line in console() if "dump: end" not in line]
        case, _ = judge.placed("s", evidence.parse(lines), None, "", True)
        self.assertEqual(case.status, "failed")
        self.assertIn("cut off", case.message)


class Placement(unittest.TestCase):
    def test_inside_passes_and_others_do_not_matter(self):
        case, found = placed(dump=(INSIDE, OTHER, STREAM))
        self.assertEqual(case.status, "passed", case.message)
        self.assertEqual(len(found[0].entries), 1)
        self.assertEqual(found[0].area, AREA)

    def test_one_entry_outside_fails_and_is_named(self):
        case, _ = placed(dump=(INSIDE, OUTSIDE))
        self.assertEqual(case.exit, Exit.TEST_FAILED)
        self.assertIn("1 of 2", case.message)
        self.assertIn("0x1f040000", case.message)

    def test_atomic_memory_is_outside_if_the_kernel_says_so(self):
        name = "f8003000.dma-controller"
        said = f"[    1.0] dma-pl330 {name}: atomic DMA memory comes from " \
               "outside CMA area cmadevlabel"
        for dump, line, atomic, status in (
                ((INSIDE, OUTSIDE), said, True, "passed"),
                ((INSIDE, OUTSIDE), said, False, "failed"),
                ((INSIDE, OUTSIDE), said + "2", True, "failed"),
                ((INSIDE, OUTSIDE), said.replace("f8", "e8"), True, "failed"),
                ((OUTSIDE,), said, True, "failed")):
            with self.subTest(line, dump=dump, atomic=atomic):
                report = evidence.parse([line, *console(dump=dump)])
                case, found = judge.placed("s", report, None, name, True,
                                           atomic)
                self.assertEqual(case.status, status, case.message)
                if status == "passed":
                    self.assertIn("1 atomic outside", str(found[0]))

    def test_no_entry_proves_nothing(self):
        for dump in ((), (OTHER,), (STREAM,)):
            case, _ = placed(dump=dump)
            self.assertEqual(case.status, "failed", dump)

    def test_every_rule_has_to_be_proven(self):
        case, _ = placed(cmdline=CMDLINE + " cma_map=other=cmadevlabel")
        self.assertIn("other: no coherent entry", case.message)

    def test_rules_by_bus_and_by_path(self):
        for rule, status in (
                ("amba/f8003000.dma-controller", "passed"), ("amba/*", "passed"),
                ("/axi/dma-controller@f8003000", "passed"),
                ("platform/f8003000*", "failed"), ("platform/*", "failed"),
                ("/axi/mmc@e0100000", "failed"), ("/axi/none", "failed")):
            case, _ = placed(dump=(INSIDE, OTHER), cmdline=CMDLINE.replace(
                "cma_map=f8003000.dma-controller", f"cma_map={rule}"))
            self.assertEqual(case.status, status, rule)

    def test_device_on_no_bus_is_no_evidence(self):
        case, _ = placed(dump=(INSIDE.replace("f8003000.", "f8004000."),))
        self.assertIn("on no bus", case.message)

    def test_expected_range_without_an_entry(self):
        report = evidence.parse(console(dump=(OTHER,), cmdline=""))
        case, _ = judge.placed("s", report, AREA, "f8003000.dma-controller",
                               False)
        self.assertIn("nothing is proven", case.message)

    def test_no_rule_fails_or_is_a_named_skip(self):
        report = evidence.parse(console(cmdline="console=ttyPS0"))
        case, _ = judge.placed("s", report, None, "", True)
        self.assertEqual(case.status, "failed")
        case, _ = judge.placed("s", report, None, "", False)
        self.assertEqual(case.status, "skipped")
        self.assertTrue(case.message)

    def test_floating_area_comes_from_debugfs(self):
        cmdline = CMDLINE.replace("8M@32M", "8M")
        area = "[    1.2] guest: areas: cmadevlabel base_pfn 8192 pages 2048"
        case, found = placed(cmdline=cmdline, extra=(area,))
        self.assertEqual(case.status, "passed", case.message)
        case, _ = placed(cmdline=cmdline)
        self.assertIn("does not exist", case.message)

    def test_expected_range_for_a_device_without_rule(self):
        report = evidence.parse(console(cmdline=""))
        for area, status in ((AREA, "passed"), (Range(0, 4096), "failed")):
            case, _ = judge.placed("s", report, area,
                                   "f8003000.dma-controller", False)
            self.assertEqual(case.status, status)


class Transfers(unittest.TestCase):
    def moved(self, **kwargs):
        return judge.moved("s", evidence.parse(console(**kwargs)))[0]

    def test_enough(self):
        self.assertEqual(self.moved().status, "passed")

    def test_zero_or_too_few(self):
        for copies in ((), (0, 0), (99, 100)):
            self.assertEqual(self.moved(copies=copies).status, "failed")

    def test_a_failure(self):
        self.assertEqual(self.moved(failed=1).status, "failed")

    def test_errors_are_not_counted_twice(self):
        error = ("[    1.0] dmatest: dma0chan0-copy0: result #7: 'data error' "
                 "with src_off=0x917 dst_off=0x787 len=0x3602 (12)")
        case = self.moved(failed=1, extra=(error, error))
        self.assertIn("2 of 240 dmatest copies failed", case.message)
        case = self.moved(extra=(error,))
        self.assertIn("1 of 240 dmatest copies failed", case.message)

    def test_disk(self):
        for text, status in (
                ("120 written, 120 read, 0 wrong", "passed"),
                ("120 written, 120 read, 1 wrong", "failed"),
                ("120 written, 10 read, 0 wrong", "failed")):
            line = f"[    1.0] guest: disk: summary {text}"
            case = self.moved(cmdline="guest.disk=/dev/nvme0n1:240",
                              copies=(), extra=(line,))
            self.assertEqual(case.status, status, text)

    def test_failure_that_the_guest_names(self):
        line = "[    1.0] guest: dmatest: FAILED: no channel (errno 2)"
        case = self.moved(extra=(line,))
        self.assertIn("no channel", case.message)


class Rebinding(unittest.TestCase):
    SUMMARY = "20 of 20 rounds, 0 bad, 0 leaked, CmaFree 6078 then 6078 pages"

    def rebound(self, summary=SUMMARY, held=1, rounds=20, cmdline=CMDLINE,
                device="f8003000.dma-controller", extra=()):
        lines = [f"[    1.0] guest: rebind: area cmadevlabel held {held}",
                 "[    1.0] guest: rebind: area reserved held 0",
                 f"[    1.0] guest: rebind: summary {device} {summary}"]
        report = evidence.parse(console(cmdline=cmdline,
                                        extra=(*lines, *extra)))
        return judge.rebound("s", report, "f8003000.dma-controller", rounds)

    def test_all_rounds_and_nothing_lost(self):
        case, text = self.rebound()
        self.assertEqual((case.status, case.name), ("passed", "20 rebinds"),
                         case.message)
        self.assertIn("1 pages of cmadevlabel", text)

    def test_missing_or_unknown_report(self):
        report = evidence.parse(console())
        case, _ = judge.rebound("s", report, "f8003000.dma-controller", 20)
        self.assertIn("reported nothing", case.message)
        case, _ = self.rebound("20 rounds")
        self.assertIn("not a summary", case.message)

    def test_fewer_rounds_than_asked(self):
        case, _ = self.rebound(self.SUMMARY.replace("20 of", "19 of"))
        self.assertIn("only 19 of 20", case.message)
        case, _ = self.rebound(rounds=21)
        self.assertIn("only 20 of 21", case.message)

    def test_leak_or_bad_round(self):
        case, _ = self.rebound(self.SUMMARY.replace("0 bad, 0", "5 bad, 6"))
        self.assertIn("6 pages", case.message)
        case, _ = self.rebound(self.SUMMARY.replace(", 0 bad", ", 1 bad"))
        self.assertIn("1 bad rounds", case.message)

    def test_cma_free_that_does_not_come_back(self):
        for rounds, pages, status in (
                (1000, 6078, "passed"), (1000, 6014, "passed"),
                (1000, 6013, "failed"), (1000, -1, "failed"),
                (20, 6069, "passed"), (20, 6068, "failed"),
                (3, 6076, "failed"), (2, 6077, "failed")):
            summary = self.SUMMARY.replace("20 of 20", f"{rounds} of {rounds}")
            case, _ = self.rebound(summary.replace("then 6078",
                                                   f"then {pages}"),
                                   rounds=rounds)
            self.assertEqual(case.status, status, (rounds, pages))
        case, _ = self.rebound(self.SUMMARY.replace("6078", "0"))
        self.assertEqual(case.status, "failed")

    def test_device_that_takes_no_page_of_its_area(self):
        case, _ = self.rebound(held=0)
        self.assertIn("took no page of cmadevlabel", case.message)
        case, _ = self.rebound(cmdline="console=ttyPS0")
        self.assertIn("took no page of reserved", case.message)

    def test_another_device(self):
        case, _ = self.rebound(device="other")
        self.assertIn("other was rebound", case.message)

    def test_failure_that_the_guest_names(self):
        case, _ = self.rebound(
            extra=("[ 1.0] guest: rebind: FAILED: cannot bind (errno 19)",))
        self.assertIn("cannot bind", case.message)


class Health(unittest.TestCase):
    def health(self, lines, timed_out=False):
        result = qemu.Console(Path("log"), lines, timed_out)
        return judge.health("s", result, evidence.parse(lines))

    def test_good(self):
        self.assertEqual(self.health(console()).status, "passed")

    def test_no_end_marker(self):
        self.assertEqual(self.health(console(end="")).exit, Exit.GUEST)
        self.assertEqual(self.health([]).exit, Exit.GUEST)

    def test_timeout(self):
        case = self.health(console(end=""), timed_out=True)
        self.assertEqual(case.exit, Exit.TIMEOUT)

    def test_splat(self):
        case = self.health(console(extra=("[ 1.0] WARNING: at x",)))
        self.assertEqual(case.exit, Exit.GUEST)


class Meminfo(unittest.TestCase):
    def test_bytes_or_none(self):
        report = evidence.parse(
            ["[ 1.0] guest: meminfo: begin",
             "[ 1.0] guest: meminfo: CmaTotal:          16384 kB"])
        self.assertEqual(report.meminfo("CmaTotal"), 16 << 20)
        self.assertIsNone(report.meminfo("MemTotal"))


if __name__ == "__main__":
    unittest.main()
