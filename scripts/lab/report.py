# SPDX-License-Identifier: GPL-2.0-only
"""Results of cases: totals, results.json, junit.xml."""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import Exit
from .output import Output

SHOWN_PROBLEMS = 20
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


@dataclass
class Case:
    """One thing that was tried. @exit says how bad a failure is."""

    suite: str
    name: str
    status: str = PASSED
    message: str = ""
    seconds: float = 0.0
    log: str = ""
    exit: Exit = Exit.PASS

    def fail(self, message: str, exit: Exit = Exit.TEST_FAILED) -> None:
        """Mark as failed; several messages add up, the first exit stays."""
        self.message = f"{self.message}; {message}" \
            if self.status == FAILED else message
        if self.status != FAILED:
            self.exit = exit
        self.status = FAILED


@dataclass
class Results:
    """All cases of a run, in order."""

    cases: list[Case] = field(default_factory=list)

    def add(self, case: Case) -> Case:
        """Append @case and return it."""
        self.cases.append(case)
        return case

    def extend(self, cases: Iterable[Case]) -> None:
        """Append all of @cases."""
        self.cases.extend(cases)

    def count(self, status: str) -> int:
        """How many cases ended with @status."""
        return sum(case.status == status for case in self.cases)

    @property
    def exit(self) -> Exit:
        """The exit code of the run. No case at all is a failure, too.

        A guest that crashed says more than a test that failed.
        """
        codes = {case.exit for case in self.cases if case.status == FAILED}
        for code in (Exit.BUILD, Exit.ENVIRONMENT, Exit.GUEST, Exit.TIMEOUT):
            if code in codes:
                return code
        if codes or not self.count(PASSED):
            return Exit.TEST_FAILED
        return Exit.PASS

    @property
    def totals(self) -> str:
        """`N passed, N failed, N skipped`."""
        return ", ".join(f"{self.count(status)} {status}"
                         for status in (PASSED, FAILED, SKIPPED))

    def problems(self) -> list[str]:
        """A line for each case that failed or was skipped."""
        return [f"{case.suite}: {case.name} {case.status}"
                + (f": {case.message}" if case.message else "")
                for case in self.cases if case.status != PASSED]

    def shown_problems(self) -> list[str]:
        """problems(), failures first, cut to what fits on a screen."""
        lines = sorted(self.problems(), key=lambda line: " skipped" in line)
        if len(lines) <= SHOWN_PROBLEMS:
            return lines
        return [*lines[:SHOWN_PROBLEMS],
                f"and {len(lines) - SHOWN_PROBLEMS} more, see results.json"]

    def document(self, **extra: Any) -> dict[str, Any]:
        """What results.json holds and --json prints."""
        return {**extra, "exit": int(self.exit),
                "totals": {status: self.count(status) for status in
                           (PASSED, FAILED, SKIPPED)},
                "cases": [{**asdict(case), "exit": int(case.exit),
                           "seconds": round(case.seconds, 3)}
                          for case in self.cases]}

    def write(self, folder: Path, **extra: Any) -> None:
        """Write results.json and junit.xml into @folder."""
        text = json.dumps(self.document(**extra), indent=2, default=str)
        (folder / "results.json").write_text(text + "\n")
        ElementTree.ElementTree(self._junit()).write(
            folder / "junit.xml", encoding="utf-8", xml_declaration=True)

    def conclude(self, output: Output, folder: Path, verb: str,
                 verdict: str, shown: Iterable[str] = (),
                 **extra: Any) -> Exit:
        """End @verb: write everything, print @shown, problems, and verdict."""
        self.write(folder, verb=verb, **extra)
        output.record(**self.document(**extra))
        for line in [*shown, *self.shown_problems()]:
            output.info(line)
        output.verdict(self.exit == Exit.PASS, f"{verb}: {verdict}",
                       folder / "results.json")
        return self.exit

    def _junit(self) -> ElementTree.Element:
        root = ElementTree.Element("testsuites")
        suites: dict[str, list[Case]] = {}
        for case in self.cases:
            suites.setdefault(case.suite, []).append(case)
        for name, cases in suites.items():
            suite = ElementTree.SubElement(
                root, "testsuite", name=name, tests=str(len(cases)),
                failures=str(sum(c.status == FAILED for c in cases)),
                skipped=str(sum(c.status == SKIPPED for c in cases)),
                time=f"{sum(c.seconds for c in cases):.3f}")
            for case in cases:
                node = ElementTree.SubElement(
                    suite, "testcase", classname=name, name=case.name,
                    time=f"{case.seconds:.3f}")
                message = _NOT_XML.sub("?", case.message)
                if case.status == FAILED:
                    ElementTree.SubElement(node, "failure", message=message)
                elif case.status == SKIPPED:
                    ElementTree.SubElement(node, "skipped", message=message)
        return root
