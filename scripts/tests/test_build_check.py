# SPDX-License-Identifier: GPL-2.0-only
"""Config assertion, warnings, checkpatch's verdict, processes, output."""

import io
import os
import signal
import tempfile
import time
import unittest
from pathlib import Path

from lab import check, checkpatch, kconfig, output, paths, process, tree
from lab.errors import Exit, LabError
from lab.options import Options


class Config(unittest.TestCase):
    def broken(self, fragment, config):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "some.config"
            path.write_text(fragment)
            return kconfig.broken(kconfig.wishes([path]), config)

    def test_fulfilled(self):
        self.assertEqual(self.broken(
            'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C="x y"\n'
            "# a comment\nCONFIG_D=n\n# CONFIG_GONE is not set\n",
            '# CONFIG_B is not set\nCONFIG_A=y\nCONFIG_C="x y"\n'), [])

    def test_each_way_to_break(self):
        for fragment, config in (
                ("CONFIG_A=y", "# CONFIG_A is not set"),
                ("CONFIG_A=y", ""), ("CONFIG_A=y", "CONFIG_A=m"),
                ("# CONFIG_A is not set", "CONFIG_A=y"),
                ("CONFIG_A=16", "CONFIG_A=17"),
                ("CONFIG_A=y", "CONFIG_AB=y")):
            with self.subTest(fragment=fragment, config=config):
                lines = self.broken(fragment + "\n", config + "\n")
                self.assertEqual(len(lines), 1)
                self.assertTrue(lines[0].startswith(
                    "some.config: CONFIG_A should be "), lines[0])

    def test_later_fragment_wins(self):
        with tempfile.TemporaryDirectory() as folder:
            first, second = Path(folder) / "1", Path(folder) / "2"
            first.write_text("CONFIG_A=y\n")
            second.write_text("# CONFIG_A is not set\n")
            wanted = kconfig.wishes([first, second])
        self.assertEqual(kconfig.broken(wanted, ""), [])
        self.assertEqual(len(kconfig.broken(wanted, "CONFIG_A=y\n")), 1)

    def test_unknown_name_is_a_usage_error(self):
        with self.assertRaises(LabError) as caught:
            kconfig.fragments("no-such-configuration")
        self.assertEqual(caught.exception.exit, Exit.USAGE)


class Warnings(unittest.TestCase):
    def test_line_numbers_do_not_matter(self):
        one = check.warnings("tree/mm/cma.c:10:3: warning: unused x [-Wx]\n")
        two = check.warnings("mm/cma.c:99: warning: unused x [-Wx]\n")
        self.assertEqual(one, two)
        self.assertEqual(len(one), 1)

    def test_kinds(self):
        text = "Warning: mm/cma.c:5 missing description of x\n" \
               "mm/cma.c:7:9: error: incompatible types\n" \
               "WARNING: modpost: missing MODULE_DESCRIPTION() in x\n" \
               "arm-linux-gnueabihf-ld: warning: orphan section\n"
        self.assertEqual(len(check.warnings(text)), 4)
        self.assertEqual(check.warnings("  CC      mm/warning.o\n"), set())


class Checkpatch(unittest.TestCase):
    def test_clean(self):
        self.assertEqual(checkpatch.judge(
            "total: 0 errors, 0 warnings, 0 checks, 12 lines checked\n",
            "", 0), [])

    def test_nothing_else_is_clean(self):
        clean = "total: 0 errors, 0 warnings, 0 checks, 12 lines checked\n"
        for out, err, status in (
                (clean.replace("0 checks", "1 checks"), "", 0),
                (clean, "", 1), ("", "Can't locate x.pm\n", 2), ("", "", 0),
                (clean.replace("12 lines", "0 lines"), "", 0),
                (clean, "No codespell typos will be found - file", 0),
                (clean, "Traceback (most recent call last):\nImportError", 0),
                ("WARNING:TYPO_SPELLING: 'teh'\n"
                 + clean.replace("0 warnings", "1 warnings"), "", 1)):
            with self.subTest(out=out, err=err, status=status):
                self.assertTrue(checkpatch.judge(out, err, status))


class AmErrors(unittest.TestCase):
    def test_names_patch_and_file(self):
        patch = Path("patches/v7.3/1-fixes/0003-foo.patch")
        for text, where in (
                ("error: patch failed: mm/cma.c:12\n"
                 "error: mm/cma.c: patch does not apply\n",
                 "mm/cma.c at line 12"),
                ("error: mm/new.c: already exists in index\n",
                 "mm/new.c: already exists in index")):
            error = tree._am_error(patch, text, Path("x"))
            self.assertEqual(error.exit, Exit.BUILD)
            self.assertIn("1-fixes/0003-foo.patch", error.message)
            self.assertIn(where, error.message)


class Processes(unittest.TestCase):
    def test_timeout_kills_the_group(self):
        begin = time.monotonic()
        with self.assertRaises(LabError) as caught:
            process.run(["sh", "-c", "sleep 60 & sleep 60"], timeout=0.3)
        self.assertEqual(caught.exception.exit, Exit.TIMEOUT)
        self.assertLess(time.monotonic() - begin, 10)

    def test_background_children_do_not_survive(self):
        self.check_gone("sleep 61 >/dev/null 2>&1 & echo $!")

    def test_children_that_ignore_sigterm_do_not_survive(self):
        self.check_gone("trap '' TERM; sleep 61 >/dev/null 2>&1 & echo $!")

    def check_gone(self, script):
        child = int(process.run(["sh", "-c", script], capture=True).stdout)
        for _ in range(100):
            try:
                os.kill(child, 0)
                state = Path(f"/proc/{child}/stat").read_text().split()[2]
            except (ProcessLookupError, FileNotFoundError):
                return
            if state == "Z":
                return
            time.sleep(0.02)
        os.kill(child, signal.SIGKILL)
        self.fail("a child survived its command")

    def test_missing_program(self):
        with self.assertRaises(LabError) as caught:
            process.run(["no-such-program-anywhere"])
        self.assertEqual(caught.exception.exit, Exit.ENVIRONMENT)

    def test_failure_has_last_line_and_full_disk_is_environment(self):
        with self.assertRaises(LabError) as caught:
            process.run(["sh", "-c", "echo first; echo last; exit 3"],
                        check=Exit.BUILD)
        self.assertEqual(caught.exception.exit, Exit.BUILD)
        self.assertIn("status 3: last", caught.exception.message)
        with self.assertRaises(LabError) as caught:
            process.run(["sh", "-c", "echo 'x: No space left on device' >&2;"
                         "exit 1"], check=Exit.BUILD)
        self.assertEqual(caught.exception.exit, Exit.ENVIRONMENT)

    def test_log_holds_command_and_output(self):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "x" / "log"
            process.run(["echo", "a b"], log=log)
            self.assertEqual(log.read_text(), "$ echo 'a b'\na b\n")

    def test_shown_can_be_copied(self):
        self.assertEqual(process.shown(["a", "b c"], Path("/x y"),
                                       {"V": "1 2"}),
                         "(cd '/x y' && V='1 2' a 'b c')")


class Text(unittest.TestCase):
    def test_steps_and_verdict(self):
        stream = io.StringIO()
        out = output.Output(Options())
        out.stream = stream
        out.set_steps(2)
        with out.step("one"):
            out.note("noted")
        with self.assertRaises(ValueError), out.step("two"):
            out.info("in between")
            raise ValueError
        out.verdict(False, "all of it")
        lines = stream.getvalue().splitlines()
        self.assertRegex(lines[0], r"^\[1/2\] one … 0\.0 s \(noted\)$")
        self.assertEqual(lines[2], "in between")
        self.assertRegex(lines[3], r"^\[2/2\] two … FAILED after 0\.0 s$")
        self.assertEqual(lines[-1], "FAIL all of it")

    def test_durations(self):
        for seconds, text in ((0.04, "0.0 s"), (41.2, "41 s"),
                              (185, "3 min 05 s")):
            self.assertEqual(output.duration(seconds), text)

    def test_space_is_named(self):
        with self.assertRaises(LabError) as caught:
            paths.need_space(Path(tempfile.gettempdir()) / "a" / "b",
                             1 << 40, "a test")
        self.assertEqual(caught.exception.exit, Exit.ENVIRONMENT)
        self.assertRegex(caught.exception.message,
                         r"a test needs \d+ MiB in .*, \d+ MiB are free")


if __name__ == "__main__":
    unittest.main()
