# SPDX-License-Identifier: GPL-2.0-only
"""Tests of `boot`: what is put on the command line, and what has to be seen."""

import argparse
import subprocess
import tempfile
import unittest
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from lab import boot, machines, qemu
from lab.errors import Exit, LabError
from lab.options import Options
from lab.output import Output
from lab.prepare import Prepared
from lab.ranges import Range
from lab.report import Case

AREA = Range(0x2000000, 0x800000)


class Overlay(unittest.TestCase):
    """An overlay stands for itself: nothing else gives the device an area."""

    def execute(self, area, **given):
        seen = {}

        def run(started, on_line=None):
            seen["append"] = started.cmdline
            self.started = started
            return mock.Mock(log=Path("console.log"))

        wish = machines.MACHINES["zynq"].wish
        report = mock.Mock(ended=True, cmdline=wish)
        with ExitStack() as stack:
            for name, value in (
                    ("qemu.device_tree", lambda *a: Path("dtb")),
                    ("qemu.run", run),
                    ("attachment.area", lambda blob, node: area),
                    ("judge.parse", lambda console: report),
                    ("judge.health", lambda *a: Case("s", "healthy")),
                    ("judge.moved", lambda *a: (Case("s", "transfers"), "")),
                    ("judge.placed", lambda suite, report, expected, device,
                     need_rule, atomic: (Case("s", "placement"), []))):
                stack.enter_context(mock.patch(f"lab.boot.{name}", value))
            prepared = Prepared("7.3.4", Path("t"), Path("b"), Path("i"),
                                False)
            outcome = boot.execute(
                machines.MACHINES["zynq"], prepared, Path("f"), Options(),
                Output(Options()), **given)
        placement = next(case for case in outcome.cases
                         if case.name == "placement")
        return seen["append"], placement.status

    def test_without_overlay_the_wish_is_asked_for(self):
        append, status = self.execute(None)
        self.assertIn(machines.MACHINES["zynq"].wish, append)
        self.assertEqual(status, "passed")

    def test_area_of_overlay(self):
        append, status = self.execute(AREA, overlay=Path("x.dtso"))
        self.assertNotIn("cma", append)
        self.assertEqual(status, "passed")

    def test_overlay_that_gives_no_area_fails(self):
        append, status = self.execute(None, overlay=Path("x.dtso"))
        self.assertNotIn("cma", append)
        self.assertEqual(status, "failed")

    def test_overlay_with_parameters_is_about_something_else(self):
        append, status = self.execute(None, overlay=Path("x.dtso"), wish="")
        self.assertEqual(status, "passed")


    def test_counted_instructions(self):
        self.execute(None)
        self.assertNotIn("-icount", self.started.extra)
        self.execute(None, icount=True)
        self.assertIn("-icount", self.started.extra)
        words = self.started.machine.qemu
        self.assertEqual(words[words.index("-smp") + 1], "1")


class Lines(unittest.TestCase):
    """What the kernel said about what became of a wish."""

    def test_shown(self):
        for line in (
                "cma: vpu: 8M@1M refused: overlaps the kernel image",
                "dma-pl330 f8003000.dma-controller: memory-region /r/a@2000000 "
                "was not set up at boot",
                "OF: reserved mem: Reserved memory: unsupported node format, "
                "ignoring",
                'Unknown kernel command line parameters "cma_mpa=x"'):
            self.assertRegex(line, boot.TELLING)
        self.assertNotRegex("cma: Reserved 16 MiB at 0x1f000000", boot.TELLING)


class BadInput(unittest.TestCase):
    """One line says what is wrong, and what would be right."""

    def test_overlay_for_another_machine(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            overlay = folder / "x.dtso"
            overlay.write_text("/dts-v1/;\n/plugin/;\n"
                               '&{/nowhere} { status = "okay"; };\n')
            source = folder / "tree.dts"
            source.write_text("/dts-v1/;\n/ { soc { }; };\n")
            with mock.patch("lab.qemu._generated_tree",
                            lambda *a: self.blob(folder)), \
                    self.assertRaises(LabError) as caught:
                qemu.device_tree(machines.MACHINES["virt"], folder, folder,
                                 256, False, overlay)
        self.assertEqual(caught.exception.exit, Exit.USAGE)
        self.assertIn("is not in there; `dtc -I dtb", str(caught.exception))

    @staticmethod
    def blob(folder):
        """A device tree that has next to nothing."""
        subprocess.run(["dtc", "-q", "-@", "-o", folder / "base.dtb",
                        folder / "tree.dts"], check=True)
        return folder / "base.dtb"

    def test_interactive_needs_a_terminal(self):
        args = argparse.Namespace(
            machine="zynq", mem=None, config="default", dtso=None,
            kernel=None, cmdline=None, coherent=False, interactive=True)
        options = Options()
        with mock.patch("sys.stdin.isatty", lambda: False), \
                self.assertRaises(LabError) as caught:
            boot.main(args, options, Output(options))
        self.assertIn("needs a terminal", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
