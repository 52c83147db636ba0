# SPDX-License-Identifier: GPL-2.0-only
"""What is added to kunit.py: splats, nothing matched, a lost guest."""

import argparse
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lab import build, generic, kunit, machines, packages
from lab.errors import Exit, LabError
from lab.prepare import Prepared

RUN = kunit.Run("r", "suite*", machines.MACHINES["virt"], ("suite",))
END = ["[    1.0] reboot: Restarting system"]


def document(status="PASS", name="suite"):
    return {"name": "KUnit Test Group", "test_cases": [], "sub_groups": [
        {"name": name, "sub_groups": [
            {"name": "params", "sub_groups": [], "test_cases": [
                {"name": "row 1", "status": "PASS"}]}],
         "test_cases": [{"name": "case", "status": status}]}]}


def judge(console=END, status=0, printed="", json=document(), run=RUN):
    return kunit.judge(run, status, list(console), printed, json,
                       Path("log"), 1.0)


class Judge(unittest.TestCase):
    def test_good(self):
        cases = judge()
        self.assertEqual([(c.suite, c.name, c.status) for c in cases], [
            ("kunit-virt/suite", "case", "passed"),
            ("kunit-virt/suite", "params / row 1", "passed"),
            ("kunit-virt", "r run", "passed")])

    def test_failed_case_with_its_reason(self):
        cases = judge(["    # case: EXPECTATION FAILED at mm/x.c:12",
                       "[  0.1]     Expected 1 == 2, but", *END],
                      1, json=document("FAIL"))
        self.assertEqual(cases[0].status, "failed")
        self.assertIn("mm/x.c:12", cases[0].message)
        self.assertIn("1 == 2", cases[0].message)
        self.assertEqual(cases[-1].status, "passed")

    def test_crashed_case(self):
        self.assertIn("crashed", judge(json=document("ERROR"))[0].message)

    def test_skip_is_named(self):
        case = judge(["    ok 1 case # SKIP no area", *END],
                     json=document("SKIP"))[0]
        self.assertEqual((case.status, case.message), ("skipped", "no area"))

    def test_skip_of_a_row_that_other_cases_have_too(self):
        console = ["        # Subtest: other",
                   "        ok 1 row 1 # SKIP other reason",
                   "        # Subtest: params",
                   "        ok 1 row 1 # SKIP no area"]
        json = document()
        json["sub_groups"][0]["sub_groups"][0]["test_cases"][0]["status"] = \
            "SKIP"
        case = judge([*console, *END], json=json)[1]
        self.assertEqual((case.status, case.message), ("skipped", "no area"))

    def around(self, **kwargs):
        case = judge(**kwargs)[-1]
        self.assertEqual(case.status, "failed")
        return case

    def test_splat(self):
        case = self.around(console=["WARNING: at x", *END])
        self.assertEqual(case.exit, Exit.GUEST)

    def test_declared_splat(self):
        run = kunit.Run("r", "suite*", machines.MACHINES["virt"], ("suite",),
                        allowed=("at x",))
        self.assertEqual(judge(["WARNING: at x", *END], run=run)[-1].status,
                         "passed")

    def test_nothing_matched(self):
        for json in (None, {}, {"sub_groups": [], "test_cases": []}):
            case = self.around(json=json, run=kunit.Run(
                "r", "none", machines.MACHINES["virt"]))
            self.assertIn("no case matches 'none'", case.message)

    def test_missing_suite(self):
        case = self.around(json=document(name="other"))
        self.assertIn("suite suite is missing", case.message)

    def test_suite_with_nothing_but_skips(self):
        json = document("SKIP")
        del json["sub_groups"][0]["sub_groups"][0]
        self.assertIn("all cases were skipped",
                      self.around(json=json).message)

    def test_lost_guest_and_timeout(self):
        self.assertEqual(self.around(console=[]).exit, Exit.GUEST)
        case = self.around(console=[], printed="… timed out after 8 seconds")
        self.assertEqual(case.exit, Exit.TIMEOUT)

    def test_kunit_py_itself_failed(self):
        self.assertIn("status 1", self.around(status=1).message)


class Load(unittest.TestCase):
    def load(self, text, **words):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "suites.toml"
            path.write_text(text)
            return kunit.load(path, **words)

    def test_the_real_one(self):
        self.assertTrue(kunit.load())

    def test_cmdline_per_machine(self):
        runs = self.load('[[run]]\nname = "r"\nfilter = "s"\nsuites = ["s"]\n'
                         'cmdline = { zynq = "a" }\n')
        self.assertEqual({run.machine.name: run.cmdline for run in runs},
                         {"zynq": "a", "virt": ""})

    def test_nodes_per_machine(self):
        runs = self.load('[[run]]\nname = "r"\nfilter = "s"\nsuites = ["s"]\n'
                         'nodes = { virt = ["p 64K@0x4a000000 no-map"] }\n')
        self.assertEqual(
            {run.machine.name: [node.full_name for node in run.nodes]
             for run in runs}, {"zynq": [], "virt": ["p@4a000000"]})
        run, = kunit.selected(runs, ["virt"], "s", [])
        self.assertEqual(run.nodes[0].words, ("no-map",))

    def test_other_architectures_are_apart(self):
        text = '[[run]]\nname = "r"\nfilter = "s"\nsuites = ["s"]\n' \
               'arches = ["arm64"]\ncmdline = { arm64 = "a", virt = "b" }\n'
        self.assertEqual({run.machine.name for run in self.load(text)},
                         {"zynq", "virt"})
        run, = self.load(text, arches=True)
        self.assertEqual((run.machine.name, run.cmdline), ("arm64", "a"))
        words = kunit.command(run, Prepared("7.3.4", Path("t"), Path("b"),
                                            Path("i"), False),
                              Path("f"), None, 9)
        self.assertTrue(any(word.endswith("qemu_configs/arm64.py")
                            for word in words))
        self.assertFalse(any("-dtb" in word for word in words))

    def test_arch_excludes_what_is_for_the_machines(self):
        def names(**given):
            return kunit._names(argparse.Namespace(
                **{"arch": "arm64", "machine": None, "config": "default",
                   "stock": False, "oracle": False, **given}))
        self.assertEqual(names(), ["arm64"])
        self.assertEqual(names(arch=None), ["virt", "zynq"])
        for given in ({"machine": ["virt"]}, {"config": "debug"},
                      {"stock": True}, {"oracle": True}, {"arch": "mips"}):
            with self.assertRaises(LabError) as caught:
                names(**given)
            self.assertEqual(caught.exception.exit, Exit.USAGE)

    def test_emulated_on_any_host(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            real = folder / "qemu-system-x86_64"
            real.write_text('#!/bin/sh\necho "$@"\n')
            real.chmod(0o755)
            with mock.patch("lab.generic.shutil.which",
                            return_value=str(real)):
                env = generic.emulator(generic.PLATFORMS["x86_64"], folder)
            found = subprocess.run(
                ["qemu-system-x86_64", "-accel", "kvm", "-accel", "tcg",
                 "-append", "a b"], env=env, capture_output=True, text=True)
        self.assertEqual(found.stdout, "-accel tcg -accel tcg -append a b\n")

    def test_each_architecture_has_its_files(self):
        for platform in generic.PLATFORMS.values():
            for path in [*generic.fragments(platform),
                         kunit.QEMU_CONFIGS / f"{platform.name}.py"]:
                self.assertTrue(path.is_file(), path)
            self.assertIn(platform.packages, packages.GROUPS)
            self.assertIn(platform.name, build.CROSS_COMPILE)

    def test_bad(self):
        for text in ("x = 1", "[[run]]\nname = 'r'\n",
                     "[[run]]\nname = 'r'\nfilter = 's'\n",
                     "[[run]]\nname='r'\nfilter='s'\nsuites=['s']\nx=1\n",
                     "[[run]]\nname='r'\nfilter='s'\nsuites=['s']\n"
                     "machines=['pc']\n",
                     "[[run]]\nname='r'\nfilter='s'\nsuites=['s']\n"
                     "arches=['mips']\n",
                     "[[run]]\nname='r'\nfilter='s'\nsuites=['s']\n"
                     "allowed=['(']\n",
                     "[[run]]\nname='r'\nfilter='s'\nsuites=['s']\n"
                     "nodes=['p 64K no-map']\n",
                     "[[run]]\nname='r'\nfilter='s'\nsuites=['s']\n"
                     "nodes={ pc=['p 64K no-map'] }\n",
                     "[[run]]\nname='r'\nfilter='s'\nsuites=['s']\n"
                     "nodes={ virt=['p'] }\n"):
            with self.assertRaises(LabError, msg=text) as caught:
                self.load(text)
            self.assertEqual(caught.exception.exit, Exit.USAGE)

    def test_a_filter_takes_along_what_its_suites_need(self):
        runs = [kunit.Run("r", "s*", machines.MACHINES["virt"], ("s_one",),
                          "cma=a=8M")]
        run, = kunit.selected(runs, ["virt"], "s_*", ["x=1"])
        self.assertEqual((run.suites, run.cmdline),
                         (("s_one",), "cma=a=8M x=1"))
        run, = kunit.selected(runs, ["virt"], "other", [])
        self.assertEqual((run.suites, run.cmdline), ((), ""))


if __name__ == "__main__":
    unittest.main()
