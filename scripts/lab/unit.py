# SPDX-License-Identifier: GPL-2.0-only
"""The unit tests of these scripts, run in a process of their own.

`python3 -m lab.unit RESULT.json` runs scripts/tests and writes what came of
each test; run() starts that and reads it.
"""

import json
import os
import sys
import time
import unittest
from pathlib import Path

from . import paths, process
from .report import FAILED, PASSED, SKIPPED, Case

TESTS = paths.REPO / "scripts" / "tests"
TIMEOUT = 120.0


class Collector(unittest.TextTestResult):
    """Remembers status, message and time of each test."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.found: dict[str, dict] = {}
        self._begin = 0.0

    def startTest(self, test):  # noqa: N802  (unittest's name)
        super().startTest(test)
        self._begin = time.monotonic()
        self.found[test.id()] = {"status": PASSED, "message": "",
                                 "seconds": 0.0}

    def stopTest(self, test):  # noqa: N802
        super().stopTest(test)
        self.found[test.id()]["seconds"] = time.monotonic() - self._begin

    def _note(self, test, status: str, message: str) -> None:
        entry = self.found.setdefault(test.id(), {"seconds": 0.0})
        entry.update(status=status, message=message.strip())

    def addFailure(self, test, err):  # noqa: N802
        super().addFailure(test, err)
        self._note(test, FAILED, f"{err[0].__name__}: {err[1]}")

    addError = addFailure  # noqa: N815

    def addSubTest(self, test, subtest, err):  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err:
            self._note(test, FAILED, f"{subtest.id()}: {err[1]}")

    def addSkip(self, test, reason):  # noqa: N802
        super().addSkip(test, reason)
        self._note(test, SKIPPED, reason)

    def addUnexpectedSuccess(self, test):  # noqa: N802
        super().addUnexpectedSuccess(test)
        self._note(test, FAILED, "was expected to fail")


def run(log: Path) -> list[Case]:
    """Run all unit tests; one case each, at least one failure if none ran."""
    result = log.with_suffix(".json")
    done = process.run([sys.executable, "-B", "-m", "lab.unit", str(result)],
                       cwd=TESTS.parent, log=log, timeout=TIMEOUT,
                       env={"PYTHONPATH": str(TESTS.parent)})
    try:
        found = json.loads(result.read_text())
    except (OSError, ValueError):
        found = {}
    cases = [Case("unit", name, entry["status"], entry["message"],
                  entry["seconds"], str(log))
             for name, entry in found.items()]
    for case in cases:
        if case.status == FAILED:
            message, case.status = case.message, PASSED
            case.fail(message)
    if not cases or (done.returncode and
                     not any(case.status == FAILED for case in cases)):
        broken = Case("unit", "runner", log=str(log))
        broken.fail(f"the unit tests ended with status {done.returncode} "
                    f"after {len(cases)} tests")
        cases.append(broken)
    return cases


def main(result: Path) -> int:
    """Run scripts/tests and write @result."""
    os.environ.pop("CI", None)
    suite = unittest.TestLoader().discover(str(TESTS), top_level_dir=str(TESTS))
    outcome = unittest.TextTestRunner(
        stream=sys.stdout, verbosity=2, resultclass=Collector).run(suite)
    result.write_text(json.dumps(outcome.found, indent=2))
    return 0 if outcome.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
