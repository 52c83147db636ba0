# SPDX-License-Identifier: GPL-2.0-only
"""The cache oracle: its own tests in C, its command line, its report."""

import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from lab import (kunit, machines, mutants, mutate_oracle, oracle,
                 oracle_qemu, oracle_report, rows)
from lab.errors import Exit, LabError
from lab.mutants import Mutant
from lab.options import Options
from lab.oracle_qemu import Emulator
from lab.output import Output

GROUP = {
    "rule": "dirty-inner", "text": "data is there", "times": 2, "lines": 65,
    "at": "arch_sync_dma_for_device+0x0", "caller": "my_driver+0x12",
    "examples": [{"first": "0x1000", "lines": 64, "buffer": {
        "start": "0x1000", "size": 2048, "kind": "streaming",
        "direction": "to device", "device": "0000:00:02.0",
        "caller": "my_driver+0x12"}}]}


def document(**changes):
    counters = {"given": 3, "taken": 2, "coherent": 1, "lost_track": 0,
                "allowed_findings": 0, **changes.pop("counters", {})}
    return {"version": 1, "complete": True, "total": 0, "rules": {},
            "findings": [], "counters": counters, **changes}


BROKEN = document(total=2, rules={"dirty-inner": 2}, findings=[GROUP])


class InC(unittest.TestCase):
    @unittest.skipUnless(shutil.which("cc") and shutil.which("make"),
                         "no C compiler for the host")
    def test_model_decoder_walker_and_observer(self):
        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run(
                ["make", "-s", "-C", str(oracle.SOURCE), f"O={folder}",
                 "CC=cc", f"{folder}/oracle-tests"], capture_output=True,
                text=True)
            self.assertEqual(made.returncode, 0, made.stderr)
            ran = subprocess.run([f"{folder}/oracle-tests"],
                                 capture_output=True, text=True)
            lines = ran.stdout.splitlines()
            for line in lines:
                with self.subTest(line):
                    self.assertFalse(line.startswith("not ok"), ran.stdout)
            self.assertGreaterEqual(
                sum(line.startswith("ok ") for line in lines), 50)
            self.assertEqual(ran.returncode, 0, ran.stderr)


class Judge(unittest.TestCase):
    def judge(self, content, **words):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "oracle.json"
            if content is not None:
                path.write_text(content if isinstance(content, str)
                                else json.dumps(content))
            case, seen = oracle_report.judge("boot", path, **words)
            text = path.with_suffix(".txt")
            return case, seen, text.read_text() if text.exists() else ""

    def test_no_rule_broken(self):
        case, seen, _ = self.judge(document())
        self.assertEqual(case.status, "passed")
        self.assertIn("3 given, 2 taken, 1 coherent; no rule broken", seen)

    def test_broken_rule_is_exit_5(self):
        case, seen, text = self.judge(BROKEN)
        self.assertEqual(case.exit, Exit.GUEST)
        self.assertIn("dirty-inner in arch_sync_dma_for_device+0x0, called "
                      "from my_driver+0x12", case.message)
        self.assertIn("dirty-inner 2 times", seen)
        self.assertIn("64 lines from 0x1000, buffer 0x1000-0x17ff (to device) "
                      "of 0000:00:02.0, from my_driver+0x12", text)

    def test_a_report_that_proves_nothing_fails(self):
        for content in (None, "{", "[]", '{"version": 2}',
                        document(complete=False),
                        document(counters={"lost_track": 1}),
                        document(counters={"given": 0, "taken": 0}),
                        document(counters={"given": 0}),
                        document(counters={"taken": 0})):
            with self.subTest(content):
                self.assertEqual(self.judge(content)[0].status, "failed")

    def test_suites_need_not_move_anything(self):
        idle = document(counters={"given": 0, "taken": 0, "coherent": 0})
        self.assertEqual(self.judge(idle, moved=False)[0].status, "passed")

    def test_accesses_and_places_that_are_not_known(self):
        group = {**GROUP, "examples": [
            {"first": "0x1004", "lines": 1, "bytes": 4}]}
        del group["at"], group["caller"]
        lines = oracle_report.text(document(findings=[group]))
        self.assertIn("in an unknown place", lines[0])
        self.assertEqual(lines[1].strip(), "4 bytes at 0x1004, in no buffer")


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.watcher = oracle.Oracle(
            Emulator(("/a b/loader", "qemu"), "10.0.2", Path("h"), ()),
            Path("/x,y/oracle.so"))

    def test_values_for_each_machine(self):
        words = oracle.arguments(self.watcher, machines.MACHINES["zynq"], 512,
                                 Path("/b"), Path("/r,s"), ["store-owned@x*"])
        self.assertEqual(words, [
            "-plugin", "/x,,y/oracle.so,ram=0x0:0x20000000,"
            "symbols=/b/System.map,report=/r,,s,line=32,pl310=0xf8f02000,"
            "allow=store-owned@x*"])
        words = oracle.arguments(self.watcher, machines.MACHINES["virt"], 256,
                                 Path("/b"), Path("/r"))
        self.assertIn("ram=0x40000000:0x10000000,", words[1])
        self.assertIn("line=64", words[1])
        self.assertNotIn("pl310", words[1])
        self.assertNotIn("incoherent", words[1])
        words = oracle.arguments(replace(self.watcher, incoherent=True),
                                 machines.MACHINES["virt"], 256, Path("/b"),
                                 Path("/r"))
        self.assertIn(",incoherent=on", words[1])

    def test_one_processor(self):
        machine = oracle.one_processor(machines.MACHINES["virt"])
        self.assertEqual(machine.qemu[machine.qemu.index("-smp") + 1], "1")

    def test_kunit_finds_it_in_the_path(self):
        with tempfile.TemporaryDirectory() as folder:
            env = oracle.environment(self.watcher, ["-plugin", "a b"],
                                     Path(folder), "/usr/bin")
            script = Path(folder) / "bin" / "qemu-system-arm"
            self.assertEqual(env["PATH"], f"{script.parent}:/usr/bin")
            self.assertIn("exec '/a b/loader' qemu \"$@\" -smp 1 -plugin "
                          "'a b'\n", script.read_text())
            self.assertTrue(script.stat().st_mode & stat.S_IXUSR)

    def test_what_suites_may_do_is_only_about_accesses(self):
        for run in kunit.load():
            for one in run.oracle_allowed:
                self.assertRegex(one, r"^(load-owned|store-owned|"
                                      r"cached-coherent)@(arm-)?dma-")

    def test_a_filter_takes_along_what_is_allowed(self):
        runs = kunit.selected(kunit.load(), ["virt"], "arm_dma_mapping", [])
        self.assertIn("store-owned@arm-dma-*", runs[0].oracle_allowed)
        runs = kunit.selected(kunit.load(), ["virt"], None, ["x"])
        self.assertTrue(any(run.oracle_allowed for run in runs))

    def test_suites_that_are_observed(self):
        def observed(pattern):
            return [run.oracle_observed for run in kunit.selected(
                kunit.load(), ["zynq"], pattern, [])]
        streaming = ("arm_dma_streaming",)
        self.assertIn(streaming, observed(None))
        self.assertEqual(observed("arm_dma_*"), [streaming])
        self.assertEqual(observed("arm_dma_mapping"), [()])
        self.assertEqual(observed("arm_dma_streaming.*"), [()])

    def test_suite_that_is_observed_has_to_be_in_the_run(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "suites.toml"
            path.write_text('[[run]]\nname = "n"\nfilter = "a"\n'
                            'suites = ["a"]\noracle_observed = ["b"]\n')
            with self.assertRaises(LabError) as caught:
                kunit.load(path)
        self.assertIn("no suite 'b'", caught.exception.message)

    def test_dry_run_fetches_nothing(self):
        with mock.patch("lab.oracle_qemu.ensure") as ensure:
            oracle.ensure(Options(dry_run=True), Output(Options()))
        ensure.assert_not_called()


class FindQemu(unittest.TestCase):
    def test_versions(self):
        for text, good in (("10.0.2 (Debian 1)", True), ("11.0.0", True),
                           ("9.2.4", False), ("7.2.22", False), ("", False)):
            self.assertEqual(oracle_qemu.new_enough(text), good, text)

    def fake(self, folder, version):
        path = Path(folder) / "bin" / "qemu"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho QEMU emulator version {version}\n")
        path.chmod(0o755)
        return path

    def test_the_users_own_is_taken(self):
        with tempfile.TemporaryDirectory() as folder:
            path = self.fake(folder, "10.1.0")
            include = Path(folder) / "include"
            include.mkdir()
            (include / "qemu-plugin.h").write_text("")
            with mock.patch.dict(os.environ, CMA_ORACLE_QEMU=str(path)), \
                    mock.patch("lab.oracle_qemu._pkg_config",
                               lambda: ("-I/glib",)):
                os.environ.pop("QEMU_PLUGIN_HEADER", None)
                found = oracle_qemu.ensure(Output(Options()))
            self.assertEqual(found, Emulator(
                (str(path),), "10.1.0",
                (include / "qemu-plugin.h").resolve(), ("-I/glib",)))

    def test_one_that_is_too_old_or_none_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for version, word in (("7.2.0", "too old"), ("x", "is no QEMU")):
                path = self.fake(folder, version)
                with mock.patch.dict(os.environ, CMA_ORACLE_QEMU=str(path)), \
                        self.assertRaises(LabError) as caught:
                    oracle_qemu.ensure(Output(Options()))
                self.assertEqual(caught.exception.exit, Exit.ENVIRONMENT)
                self.assertIn(word, caught.exception.message)

    def test_a_header_that_is_not_there_is_refused(self):
        with mock.patch.dict(os.environ, QEMU_PLUGIN_HEADER="/none.h"), \
                self.assertRaises(LabError) as caught:
            oracle_qemu.own_header(None)
        self.assertIn("/none.h", caught.exception.message)


class Mutants(unittest.TestCase):
    def trial(self, name, broken):
        def run(folder):
            if isinstance(broken, Exception):
                raise broken
            return broken
        return mutate_oracle.Trial(name, run)

    def flagged(self, *broken):
        mutant = Mutant("m", Path("m.patch"), "bug", ("f",), rule="order")
        return mutate_oracle.flagged(
            mutant, iter([self.trial(f"t{number}", one)
                          for number, one in enumerate(broken)]), Path("x"))

    def test_right_rule(self):
        self.assertEqual(self.flagged({}, {"order": 1, "barrier": 2}),
                         ("t1", "barrier, order"))

    def test_wrong_rule_is_not_enough(self):
        self.assertEqual(self.flagged({"barrier": 1}, {}), ("", "barrier"))

    def test_guest_that_is_lost_does_not_count(self):
        self.assertEqual(self.flagged(LabError(Exit.GUEST, "lost"), {}),
                         ("", ""))
        with self.assertRaises(LabError):
            self.flagged(LabError(Exit.ENVIRONMENT, "no QEMU"))

    def test_kernel_without_a_mistake_has_to_break_none(self):
        with self.assertRaises(LabError) as caught:
            mutate_oracle.unmutated(iter([self.trial("t", {"order": 1})]),
                                    Path("x"))
        self.assertEqual(caught.exception.exit, Exit.GUEST)
        mutate_oracle.unmutated(iter([self.trial("t", {})]), Path("x"))

    def test_page(self):
        mutant = Mutant("m", Path("m.patch"), "a_b | c", ("f",), rule="order")
        page = mutate_oracle.render([(mutant, "boot-zynq", "order"),
                                     (mutant, "", "")], "7.3.4")
        self.assertIn("**1 of 2 were flagged", page)
        self.assertIn("| m | a\\_b \\| c | order | boot-zynq | order |", page)
        self.assertIn("**nothing**", page)

    def test_those_of_the_repository(self):
        found = mutate_oracle.chosen(mutants.load(rows.load()))
        mutate_oracle.check_rules(found)
        self.assertGreaterEqual(len(found), 15)
        with self.assertRaises(LabError):
            mutate_oracle.check_rules([Mutant("m", Path("m"), "b", ("f",),
                                              rule="dirty")])

    def test_needs_a_rule(self):
        with self.assertRaises(LabError):
            mutate_oracle.chosen([Mutant("m", Path("m"), "b", ("f",))])


class Documented(unittest.TestCase):
    def test_every_rule_is_in_the_documentation(self):
        model = (oracle.SOURCE / "model.c").read_text(encoding="utf-8")
        names = re.findall(r"\] = \{ \"([a-z-]+)\",", model)
        self.assertGreaterEqual(len(names), 12)
        page = (oracle.SOURCE.parents[1] / "Documentation"
                / "cache-oracle.md").read_text(encoding="utf-8")
        for name in names:
            self.assertIn(f"`{name}`", page)


if __name__ == "__main__":
    unittest.main()
