# SPDX-License-Identifier: GPL-2.0-only
"""The fuzzer's seeds, what is read from libFuzzer, and the mutants."""

import argparse
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lab import (fuzz, fuzz_corpus, fuzz_mutants, fuzz_target, libfuzzer,
                 options, output)
from lab.errors import Exit, LabError

TREE = Path("/out/linux")
BEGIN = """\
INFO: Seed: 1
INFO: seed corpus: files: 58 min: 4b max: 280b total: 3123b rss: 37Mb
#59	INITED cov: 300 ft: 1200 corp: 50/3Kb exec/s: 0 rss: 40Mb
#4096	pulse  cov: 346 ft: 1584 corp: 412/19Kb lim: 280 exec/s: 2048 rss: 60Mb
"""
DONE = BEGIN + """\
#43907	DONE   cov: 347 ft: 1590 corp: 415/20Kb lim: 280 exec/s: 7317 rss: 77Mb
Done 43907 runs in 6 second(s)
stat::number_of_executed_units: 43907
stat::average_exec_per_sec:     7317
"""
VIOLATED = BEGIN + """\
cma fuzz: violated: label is not unique: a=4M,a=8M
==1== ERROR: libFuzzer: deadly signal
    #9 0x5 in violated /repo/scripts/fuzz/target.c:33:2
SUMMARY: libFuzzer: deadly signal
artifact_prefix='/run/'; Test unit written to /run/crash-1
stat::number_of_executed_units: 5000
"""
ADDRESS = BEGIN + """\
==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0xf5 at pc 0x5
READ of size 1 at 0xf5 thread T0
    #0 0x5 in strlen (/out/fuzz/arm/fuzz+0x1)
    #1 0x5 in cma_parse_entry /out/linux/kernel/dma/contiguous.c:251:7
    #2 0x5 in cma_parse_cmdline /out/linux/kernel/dma/contiguous.c:307:11
SUMMARY: AddressSanitizer: heap-buffer-overflow
artifact_prefix='/run/'; Test unit written to /run/crash-2
"""
UNDEFINED = BEGIN + """\
/out/linux/kernel/dma/contiguous.c:281:2: runtime error: index 8 out of bounds for type 'struct cma_region[8]'
SUMMARY: UndefinedBehaviorSanitizer: undefined-behavior
"""
TIMEOUT = BEGIN + """\
ALARM: working on the last Unit for 10 seconds
==1== ERROR: libFuzzer: timeout after 10 seconds
artifact_prefix='/run/'; Test unit written to /run/timeout-3
"""
MUTANT = '''
[[mutant]]
name = "one"
why = "because"
file = "lib/ctype.c"
old = "x"
new = "y"
finds = "label"
'''


def read(text, status=0):
    reader = libfuzzer.Reader(TREE)
    for line in text.splitlines():
        reader.line(line)
    reader.outcome.status = status
    return reader.outcome


class Corpus(unittest.TestCase):
    def test_places_become_addresses(self):
        self.assertEqual(
            fuzz_corpus.place("cma=a=8M@{ram+32M},b=4M@{end-16M},c@{ram}"),
            "cma=a=8M@0x42000000,b=4M@0x4f000000,c@0x40000000")

    def test_rows_without_our_parameters_are_left_out(self):
        found = fuzz_corpus.from_document({
            "title": "x", "row": [
                {"name": "a", "cmdline": "cma=8M"},
                {"name": "b/c", "cmdline": "quiet cma_map=a=b"},
                {"name": "bare", "cmdline": "cma"},
                {"name": "none", "cmdline": "quiet xcma=8M cmax=1"},
                {"name": "empty", "cmdline": ""}, {"name": "no"}]})
        self.assertEqual(found, {"a": "cma=8M", "b_c": "quiet cma_map=a=b",
                                 "bare": "cma"})

    def test_the_real_tables(self):
        found = fuzz_corpus.load()
        texts = " ".join(found.values())
        self.assertGreaterEqual(len(found), 40)
        self.assertNotIn("{", texts)
        self.assertIn("cma_map=", texts)
        self.assertGreater(libfuzzer.MAX_LENGTH,
                           max(len(text) for text in found.values()))

    def test_no_row_at_all_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.toml").write_text("[[row]]\nname = 'a'\n")
            with self.assertRaises(LabError) as caught:
                fuzz_corpus.load(Path(folder))
        self.assertEqual(caught.exception.exit, Exit.USAGE)
        self.assertIn("no table with a row", str(caught.exception))

    def test_writing_removes_old_seeds(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "seeds"
            fuzz_corpus.write({"old": "cma=1"}, folder)
            fuzz_corpus.write({"new": "cma=2"}, folder)
            self.assertEqual([(file.name, file.read_text())
                              for file in folder.iterdir()],
                             [("new", "cma=2")])


class Read(unittest.TestCase):
    def test_a_run_without_a_finding(self):
        outcome = read(DONE)
        self.assertEqual(
            (outcome.executions, outcome.seeds, outcome.coverage,
             outcome.features, outcome.corpus, outcome.rate),
            (43907, 58, 347, 1590, 415, 7317))
        self.assertEqual(outcome.problem, "")
        self.assertIsNone(outcome.artifact)

    def test_a_violated_property_says_more_than_the_signal(self):
        outcome = read(VIOLATED, 77)
        self.assertEqual(outcome.problem,
                         "label is not unique: a=4M,a=8M")
        self.assertEqual(outcome.artifact, Path("/run/crash-1"))
        self.assertEqual(outcome.executions, 5000)

    def test_a_reason_can_be_shown_on_a_terminal(self):
        outcome = read(BEGIN + "cma fuzz: violated: odd: \x1b[31m\ta=\u00e9")
        self.assertEqual(outcome.problem, "odd: \\x1b[31m\\ta=\u00e9")

    def test_an_address_error_names_the_line_of_the_kernel(self):
        self.assertEqual(read(ADDRESS, 77).problem, "heap-buffer-overflow in "
                         "cma_parse_entry() at kernel/dma/contiguous.c:251")

    def test_undefined_behaviour_names_the_line_of_the_kernel(self):
        self.assertEqual(read(UNDEFINED, 77).problem,
                         "kernel/dma/contiguous.c:281: index 8 out of bounds "
                         "for type 'struct cma_region[8]'")

    def test_an_input_that_hangs_is_a_finding(self):
        self.assertEqual(read(TIMEOUT, 70).problem,
                         "libFuzzer: timeout after 10 seconds")

    def test_a_run_that_did_nothing_is_no_pass(self):
        seeds_only = "\n".join(BEGIN.splitlines()[:2]) \
            + "\nstat::number_of_executed_units: 58"
        self.assertEqual(read("").problem, "only 0 inputs were tried")
        self.assertEqual(read(seeds_only).problem,
                         "only 58 inputs were tried")

    def test_a_bad_status_without_a_finding_is_no_pass(self):
        self.assertEqual(read(DONE, 1).problem,
                         "libFuzzer ended with status 1")

    def test_the_description_shows_the_input(self):
        with tempfile.TemporaryDirectory() as folder:
            artifact = Path(folder) / "crash-1"
            artifact.write_bytes(b"cma=\xff\n,")
            outcome = read(VIOLATED, 77)
            outcome.artifact = artifact
            text = fuzz.describe(outcome, Path("/out/fuzz/arm/fuzz"))
            self.assertTrue(text.startswith("label is not unique: a=4M,a=8M; "
                                            "input 'cma=\\xff\\n,'; again "
                                            "with `"))
            self.assertIn(f"/out/fuzz/arm/fuzz {artifact}`", text)
            artifact.write_bytes(b"c" * 1000)
            self.assertIn("… (1000 bytes)",
                          fuzz.describe(outcome, Path("p")))


class BuildError(unittest.TestCase):
    def test_a_missing_name_says_where_to_add_it(self):
        text = fuzz_target.build_error([
            f"{TREE}/kernel/dma/contiguous.c:251:10: error: implicit "
            "declaration of function 'foo' is invalid in C99 [-Werror]",
            "another error:"], TREE)
        self.assertTrue(text.startswith(
            "kernel/dma/contiguous.c:251: implicit declaration"))
        self.assertIn("SOURCES in scripts/lab/fuzz_target.py", text)

    def test_other_errors_are_passed_on(self):
        self.assertEqual(
            fuzz_target.build_error(["/r/target.c:3:1: error: unused x"],
                                    TREE), "/r/target.c:3: unused x")
        self.assertIn("without an error", fuzz_target.build_error([], TREE))

    def test_a_missing_file_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(LabError) as caught:
                fuzz_target.parsers(Path(folder))
        self.assertEqual(caught.exception.exit, Exit.BUILD)
        self.assertIn(fuzz_target.SOURCES[0], str(caught.exception))


    def test_a_missing_parser_is_named(self):
        with tempfile.TemporaryDirectory() as name:
            for source in fuzz_target.SOURCES:
                (Path(name) / source).parent.mkdir(parents=True, exist_ok=True)
                (Path(name) / source).write_text("int other(void)\n{\n}\n")
            with self.assertRaises(LabError) as caught:
                fuzz_target.parsers(Path(name))
        self.assertEqual(caught.exception.exit, Exit.BUILD)
        self.assertIn("cma_parse_cmdline() is not defined",
                      str(caught.exception))


class Mutants(unittest.TestCase):
    def load(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mutants.toml"
            path.write_text(text)
            return fuzz_mutants.load(path)

    def make(self, text):
        mutant, = self.load(MUTANT)
        with tempfile.TemporaryDirectory() as name:
            tree, copy = Path(name) / "tree", Path(name) / "copy"
            for source in fuzz_target.SOURCES:
                (tree / source).parent.mkdir(parents=True, exist_ok=True)
                (tree / source).write_text("source\n")
            (tree / mutant.file).write_text(text)
            wrong = fuzz_mutants.make(mutant, tree, copy)
            self.assertEqual((tree / mutant.file).read_text(), text)
            return wrong, (copy / mutant.file).read_text()

    def test_the_real_table(self):
        mutants = fuzz_mutants.load()
        self.assertGreaterEqual(len(mutants), 3)
        self.assertEqual(len({mutant.name for mutant in mutants}),
                         len(mutants))

    def test_wrong_rows_are_named(self):
        for text in (MUTANT.replace('new = "y"\n', ""),
                     MUTANT.replace('"y"', "1"),
                     MUTANT.replace('"label"', '"("'),
                     MUTANT.replace("lib/ctype.c", "lib/other.c")):
            with self.assertRaises(LabError) as caught:
                self.load(text)
            self.assertEqual(caught.exception.exit, Exit.USAGE)
            self.assertIn("mutant 'one'", str(caught.exception))
        with self.assertRaises(LabError):
            self.load("")

    def test_is_made_in_a_copy(self):
        self.assertEqual(self.make("axb\n"), ("", "ayb\n"))

    def test_text_that_is_not_there_once_is_an_error(self):
        for text in ("ab\n", "xx\n"):
            self.assertIn("1 is expected", self.make(text)[0])

    def test_only_the_right_finding_counts(self):
        mutant, = self.load(MUTANT)
        self.assertEqual(fuzz_mutants.missed(mutant, "label is bad"), "")
        self.assertIn("not found", fuzz_mutants.missed(mutant, ""))
        self.assertIn("something else: hang",
                      fuzz_mutants.missed(mutant, "hang"))


class Arguments(unittest.TestCase):
    def test_bad_numbers_are_one_clear_error(self):
        chosen = options.Options()
        for seconds, seed, word in ((0, None, "--seconds 0"),
                                    (-5, None, "--seconds -5"),
                                    (1 << 40, None, "--seconds 1"),
                                    (10, 0, "--seed 0"),
                                    (10, 1 << 32, "--seed 4294967296")):
            args = argparse.Namespace(seconds=seconds, seed=seed,
                                      self_test=False)
            with self.assertRaises(LabError) as caught, \
                    mock.patch.object(fuzz.packages, "require",
                                      side_effect=AssertionError("too late")):
                fuzz.main(args, chosen, output.Output(chosen))
            self.assertEqual(caught.exception.exit, Exit.USAGE)
            self.assertIn(word, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
