# SPDX-License-Identifier: GPL-2.0-only
"""The matrix: outcomes, which rows, and the page and the picture."""

import argparse
import io
import json
import re
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from pathlib import Path
from unittest import mock

from fake_console import (DEFAULT, NODE, PLAIN, REFUSAL, ROW, Guest, booted,
                          load)
from lab import (boot_table, matrix, matrix_document, matrix_picture, outcome,
                 qemu, rows)
from lab.errors import Exit, LabError
from lab.options import Options
from lab.outcome import Outcome, Result
from lab.output import Output
from lab.prepare import Prepared

# A stock kernel may say it like this, the patched one has to say more.
NODE_GUEST = Guest(
    kernel=("[ 0.0] OF: reserved mem: node bad@46000000 compatible matching "
            "fail",), areas=(("good@44000000", 0x44000000, 8), DEFAULT))
PLAIN_GUEST = Guest(kernel=(), areas=(DEFAULT,))


def classify(row, guest, **console):
    boot = booted(row, guest.lines(), **console)
    return outcome.classify(boot, boot_table.check(boot, None))


class Classify(unittest.TestCase):
    def setUp(self):
        self.row, = load(ROW)

    def test_ok_and_silent(self):
        self.assertEqual(classify(self.row, Guest()), Outcome.OK)
        self.assertEqual(classify(self.row, Guest(kernel=())), Outcome.SILENT)
        self.assertEqual(classify(self.row, Guest(lost=4096)), Outcome.SILENT)

    def test_splat_counts_more_than_silent(self):
        self.assertEqual(classify(self.row, Guest(
            kernel=("[ 0.1] WARNING: mm/x.c:1",), lost=4096)), Outcome.SPLAT)

    def test_the_end_is_missing(self):
        for kernel, timed_out, expected in (
                ((), True, Outcome.HANG),
                (("WARNING: x",), True, Outcome.HANG),
                (("Kernel panic - not syncing: x",), True, Outcome.PANIC),
                (("Internal error: Oops: 5",), True, Outcome.PANIC),
                ((), False, Outcome.PANIC)):
            self.assertEqual(
                classify(self.row, Guest(kernel=kernel, end=False),
                         timed_out=timed_out), expected, kernel)

    def test_a_second_boot_with_earlycon_is_not_the_first(self):
        divided = ("[ 0.1] Division by zero in kernel.",)
        self.assertEqual(classify(self.row, Guest(kernel=divided),
                                  timed_out=True, early=True), Outcome.HANG)
        self.assertEqual(classify(self.row, Guest(
            kernel=("Kernel panic - not syncing: x",), end=False),
            timed_out=True, early=True), Outcome.PANIC)


class Groups(unittest.TestCase):
    def test_new_parameters_are_not_among_bugs(self):
        for text, expected in (
                (PLAIN, outcome.CMDLINE), (NODE, outcome.NODES),
                (ROW, outcome.FEATURE),
                (ROW + 'config = "lpae"\n', outcome.FEATURE),
                (PLAIN + 'config = "lpae"\n', outcome.LPAE),
                (NODE + 'config = "pageblock-1m"\n', outcome.SMALL)):
            row, = load(text)
            self.assertEqual(outcome.group(row), expected)

    def test_order_and_totals(self):
        results = some_results()
        self.assertEqual([name for name, _ in outcome.grouped(results)],
                         [outcome.CMDLINE, outcome.NODES, outcome.FEATURE])
        self.assertEqual(outcome.totals(r.stock for r in results),
                         "1 panic, 0 hang, 0 splat, 1 silent, 1 ok")


class Select(unittest.TestCase):
    def test_globs(self):
        table = load(PLAIN + NODE + ROW)
        self.assertEqual(matrix.select(table, []), table)
        self.assertEqual([row.name for row in
                          matrix.select(table, ["no*", "o?e"])],
                         ["node", "one"])

    def test_a_glob_that_matches_nothing(self):
        with self.assertRaises(LabError) as caught:
            matrix.select(load(PLAIN), ["plain", "x*"])
        self.assertEqual(caught.exception.exit, Exit.USAGE)
        self.assertIn("--only x*", caught.exception.message)

    def test_rows_to_compare_with_come_along(self):
        table = load(NODE + ROW + PLAIN)
        chosen = boot_table.with_references(table[:1], table)
        self.assertEqual([row.name for row in chosen], ["plain", "node"])


class InOrder(unittest.TestCase):
    def test_told_in_table_order_and_compared(self):
        table = load(NODE + ROW + PLAIN)
        node, one, plain = table
        told = []
        judge = matrix.Judge(table, (False, True), told.append)
        for row, stock, guest in (
                (one, False, Guest()), (one, True, Guest(areas=())),
                (node, True, NODE_GUEST), (node, False, NODE_GUEST),
                (plain, True, PLAIN_GUEST)):
            judge.add(booted(row, guest.lines(), stock))
            self.assertEqual(told, [])
        judge.add(booted(plain, replace(
            PLAIN_GUEST, total=200 << 20).lines()))
        self.assertEqual([r.row.name for r in told], ["node", "one", "plain"])
        # less memory than that of `plain` on the same kernel
        self.assertIn("MemTotal", judge.cases[False][1].message)
        self.assertNotIn("MemTotal", judge.cases[True][0].message)
        self.assertEqual(matrix.describe(told[0]),
                         "node, virt, default: stock=ok patched=silent")
        self.assertEqual(matrix.describe(told[2]),
                         "plain, virt, default: stock=ok patched=ok")
        self.assertEqual(matrix.describe(told[1]),
                         "one, virt, default: stock=silent patched=silent")


class Verb(unittest.TestCase):
    """The verb itself, with boots that are made up."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.table = load(PLAIN + NODE)
        self.bad = ""

    def boot_all(self, chosen, kernels, folder, jobs, spin, on_done):
        if self.bad == "environment":
            raise LabError(Exit.ENVIRONMENT, "no QEMU")
        for number, (row, stock) in enumerate(jobs, 1):
            guest = PLAIN_GUEST if row.plain else NODE_GUEST
            if not row.plain and not stock and not self.bad:
                guest = replace(guest, kernel=(
                    "[ 0.0] cma: bad@46000000: 0x46000000-0x4600ffff "
                    "refused: size must be a multiple of 4 MiB",))
            on_done(booted(row, guest.lines(), stock), number)

    def run_verb(self, only=(), stock=False, patched=False):
        """The exit code; the documents go into the temporary folder."""
        kernels = {("default", stock): Prepared(
            "7.3.4", Path("t"), Path("b"), Path("i"), stock)
            for stock in (False, True)}
        options = Options()
        with ExitStack() as stack:
            for name, value in (
                    ("rows.load", lambda: self.table),
                    ("boot_table.boot_all", self.boot_all),
                    ("paths.run_folder", lambda verb: self.folder),
                    ("_kernels", lambda *args: kernels),
                    ("qemu.program_version", lambda: "7.2.22"),
                    ("DOCUMENT", self.folder / "matrix.md"),
                    ("PICTURE", self.folder / "matrix.svg")):
                stack.enter_context(mock.patch(f"lab.matrix.{name}", value))
            self.text = stack.enter_context(redirect_stdout(io.StringIO()))
            return matrix.main(argparse.Namespace(
                only=list(only), stock=stock, patched=patched),
                options, Output(options))

    def written(self):
        return {path.name for path in self.folder.glob("matrix.*")}

    def test_all_is_well(self):
        self.assertEqual(self.run_verb(), Exit.PASS)
        self.assertEqual(self.written(), {"matrix.md", "matrix.svg"})
        found = json.loads((self.folder / "results.json").read_text())
        self.assertEqual(found["totals"]["passed"], 2)
        self.assertEqual([entry["stock"] for entry in found["outcomes"]],
                         ["ok", "ok"])
        self.assertIn("node, virt, default: stock=ok patched=ok\n",
                      self.text.getvalue())

    def test_a_patched_case_that_is_not_ok(self):
        self.bad = "patched"
        self.assertEqual(self.run_verb(), Exit.TEST_FAILED)
        self.assertIn("| **silent** |\n",
                      (self.folder / "matrix.md").read_text())

    def test_a_part_writes_no_document(self):
        self.assertEqual(self.run_verb(only=["node"]), Exit.PASS)
        self.assertEqual(self.run_verb(stock=True), Exit.PASS)
        self.assertEqual(self.run_verb(patched=True), Exit.PASS)
        self.assertEqual(self.written(), set())

    def test_only_patched_boots_no_stock(self):
        self.assertEqual(self.run_verb(patched=True), Exit.PASS)
        self.assertIn("node, virt, default: patched=ok\n",
                      self.text.getvalue())

    def test_only_stock_is_judged_as_stock(self):
        self.bad = "patched"
        self.assertEqual(self.run_verb(stock=True), Exit.PASS)
        self.assertIn("node, virt, default: stock=ok\n",
                      self.text.getvalue())

    def test_the_environment_writes_no_document(self):
        self.bad = "environment"
        with self.assertRaises(LabError):
            self.run_verb()
        self.assertEqual(self.written(), set())


class Environment(unittest.TestCase):
    def test_a_qemu_that_failed_is_no_outcome(self):
        row, = load(PLAIN)
        console = qemu.Console(Path("log"), ["qemu: no memory"], status=1)
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch("lab.qemu.run", return_value=console), \
                self.assertRaises(LabError) as caught:
            boot_table.boot(row, Prepared("7.3.4", Path("t"), Path("b"),
                                          Path("i"), False),
                            Path(folder), Path("d"))
        self.assertEqual(caught.exception.exit, Exit.ENVIRONMENT)
        self.assertIn("qemu: no memory", caught.exception.message)


def some_results():
    plain, node, one = load(PLAIN + NODE + ROW.replace(
        "because", "a | b < c *d*"))
    return [Result(plain, Outcome.OK, Outcome.OK),
            Result(replace(node, defects=("D1",)), Outcome.PANIC, Outcome.OK),
            Result(one, Outcome.SILENT, Outcome.SPLAT)]


class Document(unittest.TestCase):
    def setUp(self):
        self.text = matrix_document.render(some_results(), "7.3.4", "7.2.22",
                                           "matrix.svg")

    def test_totals_keep_new_parameters_apart(self):
        for line in ("| stock | 1 | 0 | 0 | 0 | 1 |",
                     "| patched | 0 | 0 | 0 | 0 | 2 |",
                     "| stock, new parameters | 0 | 0 | 0 | 1 | 0 |",
                     "| patched, new parameters | 0 | 0 | 1 | 0 | 0 |"):
            self.assertIn(line + "\n", self.text)

    def test_a_line_for_each_case(self):
        self.assertIn("| node | virt | a node | D1 | **panic** | ok |\n",
                      self.text)
        self.assertIn(r"a \| b \< c \*d\*", self.text)
        for part in ("7.3.4", "7.2.22", "(matrix.svg)", "Do not edit"):
            self.assertIn(part, self.text)

    def test_the_same_again(self):
        self.assertEqual(self.text, matrix_document.render(
            some_results(), "7.3.4", "7.2.22", "matrix.svg"))
        self.assertFalse(re.search(r"\d\d:\d\d|20\d\d-", self.text))


class Picture(unittest.TestCase):
    def setUp(self):
        self.text = matrix_picture.render(some_results(), "7.3.4")
        self.root = ElementTree.fromstring(self.text)

    def elements(self, name):
        return self.root.iter("{http://www.w3.org/2000/svg}" + name)

    def test_a_square_for_each_boot(self):
        titles = [element.text for element in self.elements("title")]
        for title in ("node on virt, stock: panic",
                      "node on virt, patched: ok",
                      "one on virt, patched: splat"):
            self.assertIn(title, titles)
        styles = {element.find("{*}title").text: element.get("class")
                  for element in self.elements("rect")
                  if element.find("{*}title") is not None}
        self.assertEqual(styles["node on virt, stock: panic"], "panic")
        self.assertEqual(styles["one on virt, stock: silent"], "silent")

    def test_names_and_legend_are_text(self):
        texts = [element.text for element in self.elements("text")]
        for text in ("node", "one", "panic or reset", "stock", "patched"):
            self.assertIn(text, texts)

    def test_bars_leave_out_new_parameters(self):
        titles = [element.text for element in self.elements("title")]
        self.assertIn("stock: 1 panic", titles)
        self.assertNotIn("stock: 1 silent", titles)

    def test_every_class_has_a_colour_on_light_and_dark_pages(self):
        style = next(self.elements("style")).text
        light, dark = style.split("@media")
        for one in Outcome:
            self.assertIn(f".{one} {{ fill: ", light)
            self.assertIn(f".{one} {{ fill: ", dark)
        self.assertIn("prefers-color-scheme: dark", dark)

    def test_nothing_is_outside(self):
        width, height = (float(self.root.get(name))
                         for name in ("width", "height"))
        for element in self.elements("rect"):
            self.assertLessEqual(float(element.get("x", 0))
                                 + float(element.get("width")), width)
            self.assertLessEqual(float(element.get("y", 0))
                                 + float(element.get("height")), height)

    def test_rows_of_the_real_table_fit(self):
        results = [Result(row, Outcome.OK, Outcome.OK) for row in rows.load()]
        ElementTree.fromstring(matrix_picture.render(results, "7.3.4"))


if __name__ == "__main__":
    unittest.main()
