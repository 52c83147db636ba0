# SPDX-License-Identifier: GPL-2.0-only
"""Tests of `mutate`: the mutants' files, what counts as caught, the page."""

import argparse
import io
import json
import tempfile
import unittest
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from pathlib import Path
from unittest import mock

from lab import (git, kunit, machines, mutants, mutants_document, mutate,
                 rows)
from lab.errors import Exit, LabError
from lab.mutate import Known, Slot, State, Verdict
from lab.options import Options
from lab.output import Output
from lab.prepare import Prepared
from lab.report import Case

from fake_console import NODE, PLAIN, load

DIFF = """\
diff --git a/mm/cma.c b/mm/cma.c
--- a/mm/cma.c
+++ b/mm/cma.c
@@ -1,3 +1,3 @@
 one
-two
+2
 three
"""
TABLE = load(PLAIN + NODE)


class TheFiles(unittest.TestCase):
    """kunit/mutants/*.patch."""

    def parse(self, head: str, diff: str = DIFF, name: str = "a-bug"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.patch"
            path.write_text(head + "\n" + diff)
            return mutants.parse(path, TABLE)

    def refused(self, why: str, *arguments, **words):
        with self.assertRaisesRegex(ValueError, why):
            self.parse(*arguments, **words)

    def test_all_keys(self):
        found = self.parse("SPDX-License-Identifier: GPL-2.0-only\n"
                           "Bug: not good,\n at all\nRows: node, plain\n"
                           "Needs: oracle\nSurvives: hard\n")
        self.assertEqual((found.name, found.bug, found.files, found.rows,
                          found.oracle, found.survives),
                         ("a-bug", "not good, at all", ("mm/cma.c",),
                          ("node", "plain"), True, "hard"))

    def test_mistakes(self):
        self.refused("Bug is missing", "")
        self.refused("unknown key 'Fix'", "Bug: x\nFix: y\n")
        self.refused("twice", "Bug: x\nBug: y\n")
        self.refused("only oracle", "Bug: x\nNeeds: luck\n")
        self.refused("no row 'nosuch'", "Bug: x\nRows: node nosuch\n")
        self.refused("Key: text", "Bug: x\nnonsense\n")
        self.refused("a diff", "Bug: x\n", diff="")
        self.refused("a diff", "Bug: x\n", diff=DIFF.replace(
            "--- a", "new file mode 100644\n--- a"))
        self.refused("a diff", "Bug: x\n", diff=DIFF.replace(
            "diff --git a/mm/cma.c b/mm/cma.c",
            "diff --git a/mm/cma.c b/mm/other.c"))
        self.refused("a-z", "Bug: x\n", name="A_Bug")

    def test_error_names_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.patch").write_text(DIFF)
            with self.assertRaisesRegex(LabError, "a.patch: Bug") as caught:
                mutants.load(TABLE, Path(folder))
        self.assertEqual(caught.exception.exit, Exit.USAGE)

    def test_those_of_the_repository(self):
        found = mutants.load(rows.load())
        self.assertGreaterEqual(len(found), 40)

    def test_apply_and_revert(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "tree"
            (tree / "mm").mkdir(parents=True)
            file = tree / "mm" / "cma.c"
            lines = [f"{number}\n" for number in range(9)]
            file.write_text("moved\n" * 5 + "".join(lines))
            for words in (("init", "-q"), ("add", "."),
                          ("commit", "-q", "-m", "x")):
                git.run(tree, *words, env=git.FIXED_DATE)
            path = Path(folder) / "a.patch"
            path.write_text("Bug: x\n\n" + DIFF.splitlines()[0] + """
--- a/mm/cma.c
+++ b/mm/cma.c
@@ -2,7 +2,7 @@
 1
 2
 3
-4
+four
 5
 6
 7
""")
            one = mutants.parse(path, TABLE)
            self.assertEqual(mutants.refusal(one, tree), "")
            mutants.apply(one, tree, Path(folder) / "log")
            self.assertIn("four\n", file.read_text())
            mutants.revert(one, tree)
            self.assertEqual(git.changes(tree), [])
            file.write_text("other\ntext\n")
            self.assertRegex(mutants.refusal(one, tree),
                             "does not apply: mm/cma.c")


class WhatKills(unittest.TestCase):
    """killer(), score(), and how a mutant counts."""

    def case(self, suite: str, message: str = "", exit: Exit | None = None):
        case = Case(suite, "name")
        if message:
            case.fail(message, exit or Exit.TEST_FAILED)
        return case

    def test_nothing_failed(self):
        self.assertIsNone(mutate.killer([self.case("kunit-virt/x")]))

    def test_a_case_tells_most(self):
        verdict = mutate.killer([
            self.case("kunit-virt", "2 splat lines", Exit.GUEST),
            self.case("kunit-virt/x", "crashed"),
            self.case("kunit-virt/x", "expected 1")])
        self.assertEqual(verdict, Verdict(State.KILLED, "kunit-virt/x: name",
                                          "expected 1"))

    def test_crash_and_hang(self):
        for exit, word in ((Exit.GUEST, "crash or splat"),
                           (Exit.TIMEOUT, "hang")):
            verdict = mutate.killer([self.case("kunit-virt/x", "crashed"),
                                     self.case("kunit-virt", "it", exit)])
            self.assertEqual(verdict.by, f"kunit-virt: {word}")

    def test_late_guest_is_tried_again(self):
        answers = [[self.case("kunit-virt", "late", Exit.TIMEOUT)],
                   [self.case("kunit-virt")]]
        with mock.patch("lab.mutate.kunit.execute",
                        side_effect=answers) as execute:
            cases = mutate.run_kunit(None, None, Path("x"), Options())
        self.assertEqual(execute.call_count, 2)
        self.assertIsNone(mutate.killer(cases))

    def test_failed_case_is_not_tried_again(self):
        answers = [[self.case("kunit-virt/x", "expected 1"),
                    self.case("kunit-virt", "late", Exit.TIMEOUT)]]
        with mock.patch("lab.mutate.kunit.execute", side_effect=answers):
            cases = mutate.run_kunit(None, None, Path("x"), Options())
        self.assertEqual(mutate.killer(cases).by, "kunit-virt/x: name")

    def test_what_is_about_the_file_comes_first(self):
        machine = machines.MACHINES["virt"]
        runs = [kunit.Run("a", "a", machine, covers=("mm/*.c",)),
                kunit.Run("b", "b", machine),
                kunit.Run("c", "c", machine, covers=("x", "kernel/dma/*"))]
        one = mutants.Mutant("m", Path("m"), "bug", ("kernel/dma/pool.c",))
        self.assertEqual([run.name for run in mutate.in_order(runs, one)],
                         ["c", "a", "b"])

    def test_how_a_mutant_counts(self):
        plain = mutants.Mutant("one", Path("x"), "bug", ("f",))
        oracle = replace(plain, oracle=True)
        known = replace(plain, survives="hard")
        alive, dead = Verdict(State.SURVIVED), Verdict(State.KILLED, "case")
        error = Verdict(State.ERROR, "", "does not apply")
        for mutant, verdict, status in (
                (plain, dead, "passed"), (plain, alive, "failed"),
                (oracle, alive, "skipped"), (known, alive, "skipped"),
                (known, dead, "passed"), (plain, error, "failed")):
            case = mutate.as_case(mutant, verdict, Path("x"))
            self.assertEqual(case.status, status, (mutant, verdict))
        self.assertEqual(case.exit, Exit.BUILD)
        self.assertEqual(mutate.score([
            (plain, dead), (plain, alive), (oracle, alive), (oracle, dead),
            (known, alive), (plain, error)]), (2, 4))
        self.assertIn("take `Survives`", mutate.describe(known, dead))


class TheVerb(unittest.TestCase):
    """main() with a tree, builds and guests that are not real."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.mutants = []
        for name in ("a", "b", "c"):
            path = self.folder / f"{name}.patch"
            path.write_text(f"Bug: {name}\nRows: node\n\n" + DIFF)
            self.mutants.append(mutants.parse(path, TABLE))
        self.images = {}            # what the image is with a mutant
        self.kunit = {}             # what KUnit says about it
        self.rows = {}              # what the rows say about it
        self.refusals = {}
        self.builds = []
        self.current = ""
        self.changed = []
        self.tree = "tree"

    def make(self, *_arguments, **_words):
        self.builds.append(self.current)
        if self.images.get(self.current) == "broken":
            raise LabError(Exit.BUILD, "make: error")

    def apply(self, mutant, _tree, _log):
        self.current = mutant.name

    def revert(self, _mutant, _tree):
        self.current = ""

    def run_verb(self, only=(), resume=False, jobs=1):
        prepared = Prepared("7.3.4", Path("t"), Path("b"), Path("i"), False)
        runs = self.folder / f"run{len(list(self.folder.iterdir()))}"
        runs.mkdir()

        def answer(*_arguments, **_words):
            return self.kunit.get(self.current, [Case("kunit-virt", "run")])

        with ExitStack() as stack:
            for name, value in (
                    ("rows.load", lambda: TABLE),
                    ("mutants.load", lambda table: self.mutants),
                    ("mutants.apply", self.apply),
                    ("mutants.revert", self.revert),
                    ("mutants.refusal",
                     lambda one, tree: self.refusals.get(one.name, "")),
                    ("kunit.load", lambda: [kunit.Run(
                        "run", "*", machines.MACHINES["virt"])]),
                    ("run_kunit", answer),
                    ("run_rows", lambda *a: self.rows.get(self.current)),
                    ("try_unmutated", lambda slot, r, table, *a: (
                        {row.title: 1 for row in table}
                        if "" not in self.kunit else self.unmutated_fails())),
                    ("make_slot",
                     lambda *a: Slot(prepared, "image of nothing")),
                    ("image_digest",
                     lambda prepared: self.images.get(self.current, "other")),
                    ("build.make", self.make),
                    ("packages.require", lambda *a: None),
                    ("source.ensure", lambda *a: mock.Mock(version="7.3.4")),
                    ("tree.ensure", lambda *a: None),
                    ("git.changes", lambda tree: self.changed),
                    ("git.ask", lambda *a: self.tree),
                    ("common_digest", lambda head, runs: self.tree),
                    ("qemu.program_version", lambda: "7.2"),
                    ("paths.run_folder", lambda verb: runs),
                    ("paths.OUT", self.folder),
                    ("STATE", self.folder / "state.json"),
                    ("DOCUMENT", self.folder / "mutants.md")):
                stack.enter_context(mock.patch(f"lab.mutate.{name}", value))
            stack.enter_context(mock.patch.object(
                Known, "load", lambda: Known(**json.loads(
                    (self.folder / "state.json").read_text()))
                if (self.folder / "state.json").exists() else Known()))
            stack.enter_context(mock.patch.object(
                Known, "save", lambda known: (
                    self.folder / "state.json").write_text(json.dumps(
                        {"verdicts": known.verdicts,
                         "passed": known.passed}))))
            text = stack.enter_context(redirect_stdout(io.StringIO()))
            try:
                return mutate.main(argparse.Namespace(
                    only=list(only), resume=resume, jobs=jobs,
                    oracle=False),
                    Options(), Output(Options()))
            finally:
                self.text = text.getvalue()

    def unmutated_fails(self):
        raise LabError(Exit.TEST_FAILED, "without a mistake the kernel fails")

    def kill(self, *names):
        for name in names:
            case = Case("kunit-virt/suite", f"catches {name}")
            case.fail("expected 1")
            self.kunit[name] = [case]

    def test_all_are_killed(self):
        self.kill("a", "b")
        self.rows["c"] = Verdict(State.KILLED, "row node on virt: panic")
        self.assertEqual(self.run_verb(), Exit.PASS)
        page = (self.folder / "mutants.md").read_text()
        self.assertIn("**3 of 3 were caught, 100.0 %**", page)
        self.assertIn("| boot matrix | 1 |", page)
        self.assertIn("catches a", page)

    def test_survivor_fails_and_is_listed(self):
        self.kill("a", "b")
        self.assertEqual(self.run_verb(), Exit.TEST_FAILED)
        self.assertIn("## Survivors\n\n- `c`: c",
                      (self.folder / "mutants.md").read_text())

    def test_score_counts_known_survivors(self):
        self.kill("a", "b")
        self.mutants[2] = replace(self.mutants[2], survives="hard")
        self.assertEqual(self.run_verb(), Exit.TEST_FAILED)
        self.assertIn("2 of 3 killed, at least 95 %", self.text)
        self.assertEqual(self.run_verb(only=["[bc]"]), Exit.PASS)

    def test_oracle_does_not_count(self):
        self.kill("a", "b")
        self.mutants[2] = replace(self.mutants[2], oracle=True)
        self.assertEqual(self.run_verb(), Exit.PASS)
        self.assertIn("left to the oracle: c", self.text)
        self.assertIn("## Only a model of the caches",
                      (self.folder / "mutants.md").read_text())

    def test_not_applied_not_built_not_changed_is_an_error(self):
        self.kill("a", "b", "c")
        for broken in ({"refusals": {"c": "does not apply: f:1"}},
                       {"images": {"c": "broken"}},
                       {"images": {"c": "image of nothing"}}):
            self.refusals, self.images = {}, {}
            for name, value in broken.items():
                setattr(self, name, value)
            self.assertEqual(self.run_verb(), Exit.BUILD, broken)
            self.assertIn("c: ERROR, ", self.text)
            self.assertFalse((self.folder / "mutants.md").exists())

    def test_unmutated_kernel_has_to_pass(self):
        self.kill("")
        with self.assertRaisesRegex(LabError, "without a mistake"):
            self.run_verb()
        self.assertEqual(self.builds, [])

    def test_uncommitted_changes(self):
        self.changed = [" M mm/cma.c"]
        with self.assertRaisesRegex(LabError, "uncommitted"):
            self.run_verb()

    def test_only_writes_no_page(self):
        self.kill("a")
        self.assertEqual(self.run_verb(only=["a"]), Exit.PASS)
        self.assertFalse((self.folder / "mutants.md").exists())
        with self.assertRaisesRegex(LabError, "no mutant"):
            self.run_verb(only=["x*"])

    def test_resume_keeps_what_is_known(self):
        self.kill("a", "b", "c")
        self.run_verb(only=["a"])
        self.builds.clear()
        self.assertEqual(self.run_verb(resume=True), Exit.PASS)
        self.assertEqual(self.builds, ["b", "c"])
        self.builds.clear()
        self.run_verb()
        self.assertEqual(self.builds, ["a", "b", "c"])
        self.tree = "another"
        self.builds.clear()
        self.run_verb(resume=True)
        self.assertEqual(self.builds, ["a", "b", "c"])

    def test_resume_does_not_keep_errors(self):
        self.kill("a", "b", "c")
        self.images["c"] = "broken"
        self.run_verb()
        self.images.clear()
        self.builds.clear()
        self.assertEqual(self.run_verb(resume=True), Exit.PASS)
        self.assertEqual(self.builds, ["c"])


class TheState(unittest.TestCase):
    """state.json."""

    def test_saved_and_loaded(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state.json"
            self.assertEqual(Known.load(path), Known())
            path.write_text("half a fi")
            self.assertEqual(Known.load(path), Known())
            known = Known({"k": {"state": "killed", "by": "x",
                                 "message": ""}}, {"p": {"row": 1}})
            known.save(path)
            self.assertEqual(Known.load(path), known)
            self.assertEqual(known.verdict("k"),
                             Verdict(State.KILLED, "x", ""))
            self.assertIsNone(known.verdict("other"))


class ThePage(unittest.TestCase):
    """mutants.md."""

    def test_kinds(self):
        for test, kind in (
                ("kunit-virt/dma_contiguous: x / y", "KUnit, dma_contiguous"),
                ("kunit-zynq: crash or splat", "KUnit, crash or splat"),
                ("row a on virt: panic", "boot matrix")):
            self.assertEqual(mutants_document._kind(test), kind)


if __name__ == "__main__":
    unittest.main()
