# SPDX-License-Identifier: GPL-2.0-only
"""What a user sees: numbered steps, a progress line, the verdict, JSON."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .options import Options

GREEN, RED, YELLOW, RESET = "\033[32m", "\033[31m", "\033[33m", "\033[0m"


def duration(seconds: float) -> str:
    """Seconds as people read them: `0.4 s`, `41 s`, `3 min 05 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s"


def short(path: Path) -> str:
    """@path relative to the current folder where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


class Output:
    """Text on stdout, or on stderr when --json takes stdout.

    `step()` numbers against `set_steps()`. The ensure() functions of the
    other modules open no steps; their caller does, and they may add to it:

        with output.step("build"):
            build.ensure(...)          # calls output.note("nothing changed")
    """

    def __init__(self, options: Options):
        self.options = options
        self.stream = sys.stderr if options.json else sys.stdout
        self.document: dict[str, Any] = {}
        self.verdict_given = False
        self._steps = 0
        self._step = 0
        self._title: str | None = None
        self._notes: list[str] = []
        self._line_open = False
        self._progress_shown = False
        self._progress_time = 0.0

    def set_steps(self, count: int) -> None:
        """Start numbering anew: the next step is 1 of @count."""
        self._steps, self._step = count, 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Print `[3/6] name … 41 s (notes)` around the body."""
        self._step += 1
        number = f"[{self._step}/{self._steps}] " if self._steps else ""
        self._title, self._notes = f"{number}{name} …", []
        begin = time.monotonic()
        self._start_line()
        failed = True
        try:
            yield
            failed = False
        finally:
            self._clear_progress()
            if not self._line_open:
                self._start_line()
            notes = f" ({', '.join(self._notes)})" if self._notes else ""
            mark = " FAILED after" if failed else ""
            self._write(f"{mark} {duration(time.monotonic() - begin)}"
                        f"{notes}\n")
            self._line_open, self._title = False, None

    def note(self, text: str) -> None:
        """Append @text in parentheses to the step that is running."""
        if self._title is not None:
            self._notes.append(text)

    def info(self, text: str) -> None:
        """Print a line of its own, also in the middle of a step."""
        self._break_line()
        self._write(text + "\n")

    def warn(self, text: str) -> None:
        """Like info(), marked as a warning."""
        self.info(self._paint(YELLOW, "warning: ") + text)

    def command(self, text: str) -> None:
        """Show an external command in a form that can be copied."""
        self.info("  $ " + text)

    def progress(self, text: str) -> None:
        """Overwrite the progress line; nothing unless on a terminal."""
        now = time.monotonic()
        if not self.options.terminal or now - self._progress_time < 0.1:
            return
        self._progress_time = now
        width = shutil.get_terminal_size().columns - 1
        line = f"{self._title or ''} {text}".strip()[:width]
        self._write(f"\r{line}\033[K")
        self._progress_shown = True

    def record(self, **values: Any) -> None:
        """Add @values to the JSON document of --json."""
        self.document.update(values)

    def verdict(self, ok: bool, text: str, log: Path | None = None) -> None:
        """Print the last line: PASS or FAIL, what, and the log's path."""
        self._break_line()
        word = self._paint(GREEN, "PASS") if ok else self._paint(RED, "FAIL")
        where = f" (log: {short(log)})" if log else ""
        self._write(f"{word} {text}{where}\n")
        self.verdict_given = True
        self.record(result="pass" if ok else "fail", message=text,
                    log=str(log) if log else None)

    def print_document(self) -> None:
        """Print the JSON document if the user asked for it."""
        if self.options.json:
            json.dump(self.document, sys.stdout, indent=2, default=str)
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _start_line(self) -> None:
        self._write(self._title or "")
        self._line_open = True

    def _break_line(self) -> None:
        self._clear_progress(restore=False)
        if self._line_open:
            self._write("\n")
            self._line_open = False

    def _clear_progress(self, restore: bool = True) -> None:
        if self._progress_shown:
            self._write("\r\033[K")
            self._progress_shown = False
            self._line_open = False
            if restore and self._title is not None:
                self._start_line()

    def _paint(self, color: str, text: str) -> str:
        return f"{color}{text}{RESET}" if self.options.color else text

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
