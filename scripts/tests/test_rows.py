# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the boot matrix: what a row may say."""

import subprocess
import unittest

from fake_console import NODE, PLAIN, ROW, load
from lab import machines, nodes, rows
from lab import test as test_verb
from lab.errors import Exit, LabError
from lab.ranges import Range


class RealTable(unittest.TestCase):
    def setUp(self):
        self.table = rows.load()

    def test_size_machines_and_configurations(self):
        self.assertGreaterEqual(len({row.name for row in self.table}), 70)
        self.assertEqual({row.machine.name for row in self.table},
                         set(machines.MACHINES) - {"virt-usb", "virt-virtio"})
        self.assertEqual({row.config for row in self.table},
                         {"default", "pageblock-1m", "lpae"})

    def test_each_row_has_one_to_compare_with(self):
        for row in self.table:
            other = rows.reference(row, self.table)
            if other:
                self.assertEqual(other.where, row.where)
        for where in {row.where for row in self.table}:
            self.assertEqual(len([row for row in self.table
                                  if row.plain and row.where == where]), 1)

    def test_each_defect_that_a_boot_can_show_has_a_row(self):
        named = {name for row in self.table for name in row.defects}
        missing = {f"D{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 16, 17,
                                     25, 26)} - named
        self.assertFalse(missing)


class Load(unittest.TestCase):
    def wrong(self, text, expected):
        with self.assertRaises(LabError, msg=expected) as caught:
            load(text)
        self.assertEqual(caught.exception.exit, Exit.USAGE)
        self.assertIn(expected, caught.exception.message)
        self.assertIn("row", caught.exception.message)

    def test_missing_overlay_is_named(self):
        self.wrong(ROW + 'dtso = "dts/bad/none.dtso"\n',
                   "there is no file dts/bad/none.dtso")

    def test_places_are_replaced(self):
        row, = load(ROW)
        self.assertEqual(row.cmdline, "cma=dev=8M@0x42100000,"
                                      "good=8M@0x44000000")
        self.assertEqual(row.expected.areas,
                         {"good": Range(0x44000000, 8 << 20)})
        self.assertEqual(row.expected.default, 16 << 20)

    def test_places_without_0x(self):
        row, = load(NODE)
        self.assertEqual(row.refused[0][:13], "bad@46000000:")
        self.assertIn("good@44000000", row.expected.areas)

    def test_end_and_low_depend_on_the_memory(self):
        for memory, end, low in (("512M", 0x60000000, 0x60000000),
                                 ("1G", 0x80000000, 0x70000000)):
            row, = load(ROW.replace("{ram+33M}", "{end}").replace(
                "8M@{ram+64M},", "").replace("}\"\nref", "},x=1@{low}\"\nref")
                + f'memory = "{memory}"\n')
            self.assertIn(f"8M@0x{end:x}", row.cmdline)
            self.assertIn(f"x=1@0x{low:x}", row.cmdline)

    def test_errors_name_the_row_and_what_is_wrong(self):
        for old, new, expected in (
                ('why = "because"', "", "why is missing"),
                ('why = "because"', 'why = 1', "why must be a str"),
                ('name = "one"', 'name = "One!"', "name must be"),
                ('machines = ["virt"]', 'machines = ["pc"]', "no machine"),
                ('machines = ["virt"]', 'machines = []', "empty"),
                ('machines = ["virt"]', 'machines = ["virt-lpae"]',
                 "needs config 'lpae'"),
                ('cmdline =', 'cmdlin = "x"\ncmdline =', "unknown key"),
                ("['dev: .*", "['dev: (.*", "unterminated"),
                ("8M@{ram+64M}\" }", "8M\" }", "not a range"),
                ('why = "because"', 'why = ""\nmemory = "1M"', "takes"),
                ('why = "because"', 'why = ""\ndefects = ["7"]', "such as D7"),
                ('why = "because"', 'why = ""\nconfig = "x"', "no config"),
                ('why = "because"', 'why = ""\nnodes = ["a"]', "NAME SIZE"),
                ('why = "because"', 'why = ""\nnodes = ["a 1M B"]',
                 "not a name"),
                ('why = "because"', 'why = ""\nnodes = ["a 1M"]\n'
                 'dtso = "dts/virt-default.dtso"', "exclude each other"),
                ('why = "because"', 'why = ""\nstock = { x = 1 }',
                 "unknown key"),
                ('why = "because"', 'why = ""\nstock = { said = "x" }',
                 "must be a list"),
                ('why = "because"', 'why = ""\ndefault = "x"', "number")):
            self.assertIn(old, ROW)
            self.wrong(ROW.replace(old, new), expected)

    def test_two_cells_do_not_fit_into_one(self):
        self.wrong(NODE.replace("virt", "zynq").replace(
            "{ram+96M}", "0x100000000"), "needs two cells")

    def test_same_name_twice(self):
        self.wrong(ROW + ROW, "already taken")

    def test_not_a_table(self):
        for text in ("", "x = 1", "row = 1", "[[row", "[[row]]\n"):
            with self.assertRaises(LabError, msg=text):
                load(text)

    def test_new_parameters_are_recognized(self):
        for cmdline, feature in (("cma=32M", False), ("cma=dev=8M", True),
                                 ("cma=32M,", True), ("cma_map=a=b", True),
                                 ("x=1 cma==", True), ("cma=8M@1-2", False),
                                 ("mem=1,2 cma=8M", False), ("cma", False)):
            row, = load(PLAIN.replace('cmdline = ""',
                                      f'cmdline = "{cmdline}"'))
            self.assertEqual(row.feature, feature, cmdline)

    def test_a_refused_cma_has_to_say_what_stock_owes(self):
        text = PLAIN.replace('cmdline = ""', 'cmdline = "cma=x"') \
            + "refused = ['cma=x refused']\n"
        self.wrong(text, "said")
        row, = load(text + "stock = { said = ['x'] }\n")
        self.assertEqual(row.said, ("x",))


class Reference(unittest.TestCase):
    def test_by_place_and_by_name(self):
        plain, node = load(PLAIN + NODE)
        self.assertIs(rows.reference(node, [plain, node]), plain)
        self.assertIsNone(rows.reference(plain, [plain, node]))
        one, like, itself = load(
            PLAIN + NODE + 'memory_like = "less"\n'
            + PLAIN.replace('"plain"', '"less"').replace(
                'cmdline = ""', 'cmdline = "mem=9"\nmemory_like = "less"'))
        table = [one, like, itself]
        self.assertIs(rows.reference(like, table), itself)
        self.assertIsNone(rows.reference(itself, table))

    def test_none_there(self):
        for text in (NODE, PLAIN + NODE + 'memory = "512M"\n',
                     PLAIN + NODE + 'memory_like = "x"\n'):
            table = load(text)
            with self.assertRaises(LabError) as caught:
                rows.reference(table[-1], table)
            self.assertIn("compare MemTotal with", caught.exception.message)


class OfTest(unittest.TestCase):
    """`test` boots one configuration, and uses a part of the memory."""

    def test_rows_of_the_configuration_or_of_the_default(self):
        table = rows.load()
        for config, expected in (("default", "default"), ("lpae", "lpae"),
                                 ("debug", "default")):
            chosen = test_verb._rows(table, config)
            self.assertEqual({row.config for row in chosen}, {expected})
            self.assertEqual({row.fill for row in chosen}, {test_verb.FILL})
            self.assertEqual([row.title for row in chosen],
                             [row.title for row in table
                              if row.config == expected])


class Nodes(unittest.TestCase):
    def test_overlay(self):
        text = nodes.overlay((nodes.parse("a 1M@0x100000 reusable disabled"),
                              nodes.parse("b 8M bare no-map")), 1)
        self.assertLess(text.index("b {"), text.index("a@100000 {"),
                        "fdtoverlay turns the order round")
        for part in ("reg = <0x00100000 0x00100000>;", "reusable;",
                     'status = "disabled";', "size = <0x00800000>;",
                     "no-map;", "#address-cells = <1>;"):
            self.assertIn(part, text)
        self.assertEqual(text.count("shared-dma-pool"), 1)
        self.assertNotIn("bare", text)

    def test_two_cells(self):
        text = nodes.overlay((nodes.parse("a 8M@0x140000000 reusable"),), 2)
        self.assertIn("reg = <0x1 0x40000000 0x0 0x00800000>;", text)
        self.assertIn("a@140000000 {", text)

    def test_dtc_takes_it(self):
        text = nodes.overlay((nodes.parse("a 8M@0x140000000 reusable"),), 2)
        try:
            done = subprocess.run(["dtc", "-@", "-I", "dts", "-O", "dtb"],
                                  input=text.encode(), capture_output=True)
        except FileNotFoundError:
            self.skipTest("dtc is not installed")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
