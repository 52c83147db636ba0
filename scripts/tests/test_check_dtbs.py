# SPDX-License-Identifier: GPL-2.0-only
"""dt-schema on the overlays: versions, complaints, what is compared."""

import contextlib
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lab import apt, check, check_dtbs, dtschema, machines, paths, process
from lab.check_dtbs import Checker
from lab.dtschema import DtSchema
from lab.errors import Exit, LabError


class Version(unittest.TestCase):
    def test_new_enough(self):
        for version, wanted, expected in (
                ("2024.4", "2024.4", True), ("2024.11", "2024.4", True),
                ("2026.06", "2024.4", True), ("2024.3", "2024.4", False),
                ("2022.08.2", "2024.4", False), ("", "2024.4", False)):
            self.assertEqual(dtschema.new_enough(version, wanted), expected,
                             version)

    def test_minimum_of_the_kernel(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "Documentation/devicetree/bindings/Makefile"
            path.parent.mkdir(parents=True)
            path.write_text("A = 1\nDT_SCHEMA_MIN_VERSION = 2024.4\n")
            self.assertEqual(dtschema.minimum(Path(folder)), "2024.4")
            path.write_text("A = 1\n")
            with self.assertRaises(LabError) as caught:
                dtschema.minimum(Path(folder))
        self.assertEqual(caught.exception.exit, Exit.BUILD)


class Ensure(unittest.TestCase):
    """Which one is taken; nothing is fetched here."""

    def setUp(self):
        self.tools = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(paths, "TOOLS", self.tools))
        self.enterContext(mock.patch.object(dtschema, "minimum",
                                            return_value="2024.4"))

    def ensure(self, versions, unpacked=None, installed=True):
        def version(tool):
            return versions.get(tool.root and tool.root.name, "")

        def unpack(_output):
            if isinstance(unpacked, LabError):
                raise unpacked
            return self.tools / unpacked

        for name in versions:
            if name and name != unpacked:
                (self.tools / name).mkdir()
        with mock.patch.object(dtschema, "_version", version), \
                mock.patch.object(dtschema, "_unpack", unpack), \
                mock.patch.object(dtschema.shutil, "which",
                                  return_value="x" if installed else None):
            return dtschema.ensure(Path(), mock.Mock())

    def test_the_installed_one(self):
        self.assertEqual(self.ensure({None: "2025.2"}),
                         DtSchema(None, "2025.2"))

    def test_too_old(self):
        found = self.ensure({None: "2022.08", "dt-schema-2": "2026.06"})
        self.assertEqual(found, DtSchema(self.tools / "dt-schema-2",
                                         "2026.06"))

    def test_half_installed_is_fetched_anew(self):
        found = self.ensure({"dt-schema-1": "", "dt-schema-3": "2026.06"},
                            unpacked="dt-schema-3", installed=False)
        self.assertEqual(found.version, "2026.06")

    def test_what_was_fetched_is_too_old(self):
        with self.assertRaisesRegex(LabError, "the kernel needs 2024.4"):
            self.ensure({"dt-schema-3": "2023.1"}, unpacked="dt-schema-3",
                        installed=False)


class Command(unittest.TestCase):
    def test_installed(self):
        self.assertEqual(DtSchema(None).command("dt-validate", "-V"),
                         ["dt-validate", "-V"])

    def test_private(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            with self.assertRaisesRegex(LabError, "delete the folder"):
                DtSchema(root).command("dt-validate")
            for name in ("usr/lib64/ld-linux-x86-64.so.2",
                         "usr/lib/x86_64-linux-gnu/libc.so.6"):
                (root / name).parent.mkdir(parents=True)
                (root / name).touch()
            words = DtSchema(root).command("dt-validate", "x.dtb")
        self.assertEqual(words[:2], ["env", f"PYTHONHOME={root}/usr"])
        self.assertIn(f"{root}/usr/lib64/ld-linux-x86-64.so.2", words)
        self.assertEqual(words[-2:], [f"{root}/usr/bin/dt-validate", "x.dtb"])


SAID = """\
/tmp/x/machine.dtb: a@1 (acme,a): reg: [[1]] is too short
\tfrom schema $id: http://devicetree.org/schemas/reg.yaml
/tmp/x/machine.dtb: b (acme,b): 'oneOf' conditional failed:
\t'reg' is a required property
\t/tmp/x/machine.dtb: b (acme,b): 'size' is a required property
machine.dtb: /c: failed to match any schema with compatible: ['c']
"""
DTC = "/dev/null: Warning (reg_format): /d:reg: wrong\n" \
      "/dev/null: Warning (x): Failed prerequisite 'reg_format'\n"


class Complaints(unittest.TestCase):
    def test_one_line_each_and_no_name(self):
        self.assertEqual(
            check_dtbs.complaints(SAID, Path("/tmp/x/machine.dtb")),
            {"a@1 (acme,a): reg: [[1]] is too short; from schema $id: "
             "http://devicetree.org/schemas/reg.yaml",
             "b (acme,b): 'oneOf' conditional failed:; 'reg' is a required "
             "property; b (acme,b): 'size' is a required property",
             "/c: failed to match any schema with compatible: ['c']"})

    def test_what_is_not_asked_for(self):
        for text, expected in (
                ("x: Unevaluated properties are not allowed "
                 "('memory-region' was unexpected)", True),
                ("x: 'memory-region' does not match any of the regexes: "
                 "'^pinctrl-[0-9]+$'", True),
                ("x: Unevaluated properties are not allowed "
                 "('memory-region', 'reg' were unexpected)", False),
                ("x: memory-region: [[1, 2]] is too long", False),
                ("x: ('memory-regions' was unexpected)", False)):
            self.assertEqual(check_dtbs.ignored(text) is not None, expected,
                             text)

    def checker(self, *results):
        ran = iter([subprocess.CompletedProcess([], *result)
                    for result in results])
        self.enterContext(mock.patch.object(
            process, "run", lambda *args, **kwargs: next(ran)))
        return Checker(DtSchema(None), Path("schema"), Path("log"))

    def test_only_what_is_new(self):
        checker = self.checker(
            (0, "", SAID + "machine.dtb: old\n"),
            (0, "", DTC + "/dev/null: Warning (y): /d: old\n"),
            (0, "", "a.dtb: old\n"),
            (0, "", "/dev/null: Warning (y): /d: old\n"))
        lines = checker.new(Path("/tmp/x/a.dtb"), Path("/tmp/x/machine.dtb"))
        self.assertEqual(len(lines), 4)
        self.assertIn("Warning (reg_format): /d:reg: wrong", lines)
        self.assertFalse(any("old" in line for line in lines))
        self.assertFalse(any("prerequisite" in line for line in lines))

    def test_a_tool_that_fails_is_not_a_clean_tree(self):
        for result in ((1, "", ""), (0, "", "Traceback (most\nKeyError: 0\n")):
            checker = self.checker(result)
            with self.assertRaisesRegex(LabError, "dt-validate failed") as one:
                checker.complaints(Path("x.dtb"))
            self.assertEqual(one.exception.exit, Exit.ENVIRONMENT)


class Overlays(unittest.TestCase):
    def test_each_overlay_of_the_project_has_a_machine(self):
        for overlay in check_dtbs.overlays():
            self.assertIn(check_dtbs.machine_of(overlay).name,
                          machines.DEFAULT)

    def test_another_name(self):
        with self.assertRaisesRegex(LabError, "MACHINE-….dtso"):
            check_dtbs.machine_of(Path("dts/board-x.dtso"))

    def test_no_overlay(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(check_dtbs, "OVERLAYS", Path(folder)), \
                self.assertRaisesRegex(LabError, "no overlay in it"):
            check_dtbs.overlays()

    def judge(self, new, error=None):
        """What is judged about an overlay that brings the complaints @new."""
        told = []
        checker = mock.Mock()
        checker.new.return_value = new
        with mock.patch.object(check_dtbs, "_apply",
                               side_effect=error or (lambda *_: Path())):
            check_dtbs._check_overlay(
                Path("dts/zynq-x.dtso"), machines.DEFAULT["zynq"], Path(),
                checker, lambda *args: told.append(args))
        one, = told
        return one

    def test_judged(self):
        left = "a: ('memory-region' was unexpected); from schema x"
        self.assertEqual(self.judge([]), ("zynq-x.dtso", [], ""))
        self.assertEqual(self.judge(["b: wrong", left]), (
            "zynq-x.dtso", ["b: wrong"],
            "not asked for: a: ('memory-region' was unexpected)"))

    def test_an_overlay_that_does_not_apply(self):
        name, lines, _ = self.judge([], LabError(Exit.USAGE, "no such label"))
        self.assertEqual((name, lines), ("zynq-x.dtso", ["no such label"]))
        with self.assertRaises(LabError):
            self.judge([], LabError(Exit.ENVIRONMENT, "no qemu"))

    def control(self, lines):
        told = []
        checker = mock.Mock()
        checker.new.return_value = lines
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(check_dtbs, "FOLDER", Path(folder)), \
                mock.patch.object(check_dtbs, "_apply", return_value=Path()):
            check_dtbs._check_control(
                machines.DEFAULT["virt"], Path(), checker,
                lambda *args: told.append(args))
        return told[0][1]

    def test_the_control_needs_every_mistake(self):
        found = [f"x {mistake} y" for mistake in check_dtbs.MISTAKES]
        self.assertEqual(self.control(found), [])
        for mistake in check_dtbs.MISTAKES:
            left = [line for line in found if mistake not in line]
            self.assertEqual(self.control(left),
                             [f"dt-schema did not say {mistake!r}"])


class Part(unittest.TestCase):
    def run_part(self, error):
        tally = check.Tally(mock.Mock())
        with mock.patch.object(dtschema, "ensure", side_effect=error), \
                contextlib.suppress(LabError):
            check.check_device_trees(Path(), "base", mock.Mock(), Path(),
                                     tally)
        return tally.results

    def test_no_dt_schema_is_a_skip_with_a_reason(self):
        one, = self.run_part(LabError(Exit.ENVIRONMENT, "no network"))
        self.assertEqual((one["result"], one["detail"]),
                         ("skipped", "no network"))

    def test_but_a_broken_tree_is_none(self):
        self.assertEqual(self.run_part(LabError(Exit.BUILD, "x")), [])


class Fetch(unittest.TestCase):
    def test_unpacked_beside_the_machine(self):
        """Nothing of the machine's own package lists or status is used."""
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(paths, "TOOLS", Path(folder)), \
                mock.patch.object(apt.PrivateSuite, "update"), \
                mock.patch.object(apt.PrivateSuite, "get") as get, \
                mock.patch.object(process, "run") as run:
            def fetch(words, cwd, _log):
                for name in ("dt-schema_2026.06-1_all.deb", "libc6_2_x.deb"):
                    (cwd / "archives" / name).touch()
            get.side_effect = fetch
            run.side_effect = lambda words, **_: Path(words[3]).mkdir(
                exist_ok=True)
            root = dtschema._unpack(mock.Mock())
            self.assertEqual(root, Path(folder) / "dt-schema-2026.06-1")
            self.assertEqual([path.name for path in Path(folder).iterdir()],
                             ["dt-schema-2026.06-1"])
        words = get.call_args.args[0]
        self.assertIn("--download-only", words)
        self.assertTrue(any(word.startswith(f"Dir::State::status={folder}")
                            for word in words))


if __name__ == "__main__":
    unittest.main()
