# SPDX-License-Identifier: GPL-2.0-only
"""The boot table: what a row may say, and how a boot is judged by it."""

import tempfile
import unittest
from pathlib import Path

from lab import boot_table, evidence, machines, qemu
from lab.errors import Exit, LabError
from lab.ranges import Range

ROW = '''
[[row]]
name = "one"
why = "because"
machines = ["virt"]
cmdline = "cma=dev=8M@{ram+33M},good=8M@{ram+64M}"
refused = ['dev: .* refused: .*4 MiB']
areas = { good = "8M@{ram+64M}" }
'''
REFUSAL = ("[    0.000000] cma: dev: 0x42100000-0x428fffff refused: start "
           "must be a multiple of 4 MiB (0x42000000 or 0x42400000)")
TOTAL = 256 << 20


def load(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.toml"
        path.write_text(text)
        return boot_table.load(path)


def console(kernel=(REFUSAL,), areas=(("good", 0x44000000, 8),
                                      ("reserved", 0x4f000000, 16)),
            cma=24, total=TOTAL, end=True):
    lines = [*kernel, "[ 1.0] guest: start: user space reached",
             "[ 1.0] guest: meminfo: begin",
             f"[ 1.0] guest: meminfo: MemTotal: {total >> 10} kB",
             f"[ 1.0] guest: meminfo: CmaTotal: {cma << 10} kB",
             "[ 1.0] guest: meminfo: end"]
    lines += [f"[ 1.0] guest: areas: {name} base_pfn {base >> 12} pages "
              f"{size << 8}" for name, base, size in areas]
    if end:
        lines.append("[ 1.0] guest: end: pass, 0 failures")
    return lines


def check(row, lines, plain=TOTAL):
    result = qemu.Console(Path("log"), lines)
    return boot_table.check(row, result, evidence.parse(lines), plain)


class Load(unittest.TestCase):
    def test_the_real_table(self):
        rows = boot_table.load()
        self.assertGreaterEqual(len({row.name for row in rows}), 20)
        self.assertEqual({row.machine.name for row in rows},
                         set(machines.MACHINES))
        for machine in machines.MACHINES.values():
            plain = [row for row in rows if row.machine == machine
                     and not row.cmdline and not row.overlay]
            self.assertEqual(len(plain), 1, "one row to compare with")

    def test_missing_overlay_is_named(self):
        with self.assertRaises(LabError) as caught:
            load(ROW + 'dtso = "dts/bad/none.dtso"\n')
        self.assertIn("there is no file dts/bad/none.dtso",
                      str(caught.exception))

    def test_places_are_replaced(self):
        row, = load(ROW)
        self.assertEqual(row.cmdline, "cma=dev=8M@0x42100000,"
                                      "good=8M@0x44000000")
        self.assertEqual(row.areas, {"good": Range(0x44000000, 8 << 20)})
        self.assertEqual(row.default, 16 << 20)

    def test_end_depends_on_the_memory(self):
        row, = load(ROW.replace("{ram+33M}", "{end-8M}")
                    + 'memory = "512M"\n')
        self.assertIn("8M@0x5f800000", row.cmdline)

    def test_errors_name_the_row_and_what_is_wrong(self):
        for old, new, expected in (
                ('why = "because"', "", "why is missing"),
                ('why = "because"', 'why = 1', "why must be a str"),
                ('name = "one"', 'name = "One!"', "name must be"),
                ('machines = ["virt"]', 'machines = ["pc"]', "no machine"),
                ('machines = ["virt"]', 'machines = []', "empty"),
                ('cmdline =', 'cmdlin = "x"\ncmdline =', "unknown key"),
                ("['dev: .*", "['dev: (.*", "unterminated"),
                ("8M@{ram+64M}\" }", "8M\" }", "not a range"),
                ('why = "because"', 'why = ""\nmemory = "1M"', "takes"),
                ('why = "because"', 'why = ""\ndefault = "x"', "number")):
            self.assertIn(old, ROW)
            with self.assertRaises(LabError, msg=expected) as caught:
                load(ROW.replace(old, new))
            self.assertEqual(caught.exception.exit, Exit.USAGE)
            self.assertIn(expected, caught.exception.message)
            self.assertIn("row", caught.exception.message)

    def test_same_name_twice(self):
        with self.assertRaises(LabError):
            load(ROW + ROW)

    def test_not_a_table(self):
        for text in ("", "x = 1", "row = 1", "[[row", "[[row]]\n"):
            with self.assertRaises(LabError, msg=text):
                load(text)


class Check(unittest.TestCase):
    def setUp(self):
        self.row, = load(ROW)

    def test_good(self):
        case = check(self.row, console())
        self.assertEqual(case.status, "passed", case.message)

    def fails(self, expected, **kwargs):
        case = check(self.row, console(**kwargs))
        self.assertEqual(case.status, "failed", expected)
        self.assertIn(expected, case.message)
        return case

    def test_refusal_is_missing(self):
        self.fails("no refusal matches", kernel=())

    def test_refusal_is_there_twice(self):
        self.fails("unexpected refusal", kernel=(REFUSAL, REFUSAL))

    def test_good_area_is_missing_or_elsewhere(self):
        self.fails("no area good", areas=(("reserved", 0x4f000000, 16),),
                   cma=16)
        self.fails("area good is", areas=(("good", 0x44400000, 8),
                                          ("reserved", 0x4f000000, 16)))

    def test_default_area_is_missing_or_small(self):
        self.fails("no default area", areas=(("good", 0x44000000, 8),), cma=8)
        self.fails("area reserved has", areas=(("good", 0x44000000, 8),
                                               ("reserved", 0x4f000000, 8)),
                   cma=16)

    def test_refused_area_exists(self):
        self.fails("unexpected area dev",
                   areas=(("good", 0x44000000, 8), ("dev", 0x42000000, 8),
                          ("reserved", 0x4f000000, 16)), cma=32)

    def test_cma_total_does_not_add_up(self):
        self.fails("CmaTotal", cma=16)

    def test_memory_was_lost(self):
        self.fails("MemTotal", total=TOTAL - (8 << 20))

    def test_splat_and_lost_guest(self):
        case = self.fails("splat", kernel=(REFUSAL, "BUG: x"))
        self.assertEqual(case.exit, Exit.GUEST)
        case = self.fails("lost", end=False)
        self.assertEqual(case.exit, Exit.GUEST)

    def test_log_and_never(self):
        row, = load(ROW + "log = ['hello']\nnever = ['world']\n")
        case = check(row, console(kernel=(REFUSAL, "[ 0.0] world")))
        self.assertIn("'hello'", case.message)
        self.assertIn("must not be there: world", case.message)
        case = check(row, console(kernel=(REFUSAL, "[ 0.0] hello")))
        self.assertEqual(case.status, "passed", case.message)

    def test_no_default_area(self):
        row, = load(ROW + 'default = "0"\n')
        good = (("good", 0x44000000, 8),)
        self.assertEqual(check(row, console(areas=good, cma=8)).status,
                         "passed")
        self.assertIn("unexpected area", check(row, console()).message)


class Compare(unittest.TestCase):
    STOCK = ("[    0.000000] cma: Reserved 16 MiB at 0x4f000000",
             "[    0.07] Memory: 235312K/262144K available (2369K kernel "
             "code, 16384K cma-reserved, 0K highmem)",
             "[    0.0] Kernel command line: cma=x")

    def differs(self, kernel, **kwargs):
        row, = load(ROW)
        case = boot_table.Case("s", "n")
        boot_table.compare(row, evidence.parse(console(self.STOCK)),
                           evidence.parse(console(kernel, **kwargs)), case)
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
        self.assertTrue(self.differs(self.STOCK,
                                     areas=(("good", 0x48000000, 24),)))


if __name__ == "__main__":
    unittest.main()
