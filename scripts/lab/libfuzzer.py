# SPDX-License-Identifier: GPL-2.0-only
"""Run a libFuzzer program and read what it prints."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import process

# Longest input: the kernel's COMMAND_LINE_SIZE on ARM.
MAX_LENGTH = 1024
# An input that takes longer than this many seconds is a finding.
INPUT_TIMEOUT = 10
RSS_LIMIT_MIB = 1024
# What ending takes: writing the corpus, or printing a backtrace.
GRACE = 60.0
SEEDS = range(1, 1 << 32)
# The defaults keep 256 MiB of freed memory, and look for leaks after each run.
ASAN_OPTIONS = "quarantine_size_mb=16:detect_leaks=0:abort_on_error=0"
# libFuzzer remembers what was compared, pointers too: they must not be random.
FIXED_ADDRESSES = ["setarch", "-R"]
_PULSE = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/")
_SEEDS = re.compile(r"^INFO: seed corpus: files: (\d+)")
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)$")
_WRITTEN = re.compile(r"Test unit written to (.+)$")
_FRAME = re.compile(r"^\s+#\d+ 0x\w+ in (\w+) (\S+?):(\d+)")
# Most telling first
_REASONS = (re.compile(r"violated: (.*)"),
            re.compile(r"(\S+:\d+):\d+: runtime error: (.*)"),
            re.compile(r"ERROR: AddressSanitizer: (\S+)"),
            re.compile(r"ERROR: (libFuzzer: .*)"))


@dataclass
class Outcome:
    """What a run printed.

    @status      of the program
    @executions  inputs that were tried, of which @seeds were files
    @coverage    edges that were reached, @features with how often
    @corpus      inputs that were worth keeping
    @rate        executions per second
    @reason      why an input is a finding, empty if there is none
    @artifact    the file that holds that input
    """

    status: int = 0
    executions: int = 0
    seeds: int = 0
    coverage: int = 0
    features: int = 0
    corpus: int = 0
    rate: int = 0
    reason: str = ""
    artifact: Path | None = None

    @property
    def problem(self) -> str:
        """Why this run is no pass, or an empty string."""
        if self.reason or self.artifact:
            return self.reason or "the program died"
        if self.status:
            return f"libFuzzer ended with status {self.status}"
        if self.executions <= self.seeds:
            return f"only {self.executions} inputs were tried"
        return ""


class Reader:
    """Turns lines of output into an Outcome, one by one."""

    def __init__(self, tree: Path | None = None):
        self.outcome = Outcome()
        self._tree = str(tree) if tree else None
        self._rank = len(_REASONS)
        self._need_frame = False

    def line(self, line: str) -> None:
        """Take one line into account."""
        out = self.outcome
        if match := _PULSE.match(line):
            out.executions, out.coverage, out.features, out.corpus = \
                map(int, match.groups())
        elif match := _SEEDS.match(line):
            out.seeds = int(match[1])
        elif match := _STAT.match(line):
            if match[1] == "number_of_executed_units":
                out.executions = int(match[2])
            elif match[1] == "average_exec_per_sec":
                out.rate = int(match[2])
        elif match := _WRITTEN.search(line):
            out.artifact = Path(match[1].strip())
        elif self._need_frame and (match := _FRAME.match(line)):
            self._frame(*match.groups())
        else:
            self._reason(line)

    def _reason(self, line: str) -> None:
        for rank, pattern in enumerate(_REASONS[:self._rank]):
            if match := pattern.search(line):
                words = [self._inside(word) for word in match.groups()]
                self.outcome.reason = printable(": ".join(words))
                self._rank = rank
                self._need_frame = "AddressSanitizer" in line
                return

    def _frame(self, function: str, path: str, line: str) -> None:
        if self._tree and path.startswith(self._tree + "/"):
            self.outcome.reason += f" in {function}() at " \
                                   f"{self._inside(path)}:{line}"
            self._need_frame = False

    def _inside(self, path: str) -> str:
        return path.removeprefix(f"{self._tree}/") if self._tree else path


def can_fix_addresses() -> bool:
    """Whether this machine lets us start a program at fixed addresses."""
    return process.run([*FIXED_ADDRESSES, "true"], capture=True,
                       query=True).returncode == 0


def printable(text: str) -> str:
    """@text with what would upset a terminal as \\x15 and the like."""
    return "".join(char if char.isprintable() else repr(char)[1:-1]
                   for char in text)


def run(program: Path, *, seconds: float, seed: int, corpus: list[Path],
        dictionary: Path, artifacts: Path, log: Path, tree: Path | None = None,
        repeatable: bool = False,
        progress: Callable[[str], None] = lambda text: None) -> Outcome:
    """Run @program until there is a finding, for @seconds at most.

    New inputs go into the first folder of @corpus, a finding into @artifacts.
    @repeatable: the same inputs for the same seed and the same corpus.
    """
    reader = Reader(tree)

    def on_line(line: str) -> None:
        reader.line(line)
        out = reader.outcome
        progress(f"{out.executions} inputs, {out.coverage} edges")

    before, after = [], []
    if repeatable:
        # Every second libFuzzer would look for new files in the corpus, and
        # have freed memory given back, which changes addresses.
        after = ["-reload=0", "-purge_allocator_interval=-1"]
        if can_fix_addresses():
            before = FIXED_ADDRESSES
    result = process.run(
        [*before, str(program), *after, f"-max_total_time={max(1, round(seconds))}",
         f"-seed={seed}", f"-max_len={MAX_LENGTH}", f"-dict={dictionary}",
         f"-timeout={INPUT_TIMEOUT}", f"-rss_limit_mb={RSS_LIMIT_MIB}",
         "-print_final_stats=1", f"-artifact_prefix={artifacts}/",
         *map(str, corpus)],
        env={"ASAN_OPTIONS": ASAN_OPTIONS}, log=log, on_line=on_line,
        timeout=seconds + GRACE)
    reader.outcome.status = result.returncode
    return reader.outcome
