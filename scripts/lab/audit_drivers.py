# SPDX-License-Identifier: GPL-2.0-only
"""Which driver is for a device, and whether it attaches a memory-region.

A driver is a C file of the pristine tree that has the compatible string in
quotes. It attaches if that same file calls of_reserved_mem_device_init() or
one of its variants; what another file does for it has to be said by hand.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import git, process
from .errors import Exit

CALL = re.compile(r"\b(?:devm_)?of_reserved_mem_device_init"
                  r"(?:_by_idx|_by_name)?\(")
COMMIT = "refs/tags/base"
SOURCES = ("drivers/*.c", "sound/*.c", "net/*.c", "arch/arm/*.c",
           "arch/arm64/*.c")
# Strings of many unrelated devices; their drivers look at no memory-region.
GENERIC = {"syscon", "simple-mfd", "simple-bus"}
QUOTED = re.compile(r'"([^"]+)"')


@dataclass(frozen=True)
class Drivers:
    """The result of one search: compatible to C files, and who calls."""

    files: dict[str, tuple[str, ...]]
    callers: frozenset[str]

    def of(self, compatible: Iterable[str]) -> tuple[str, ...]:
        """The files for a device; the most specific string decides."""
        for name in compatible:
            if name in self.files:
                return self.files[name]
        return ()

    def attaches(self, files: Iterable[str]) -> bool:
        """Whether one of @files calls of_reserved_mem_device_init*()."""
        return any(name in self.callers for name in files)


def search(tree: Path, compatibles: Iterable[str]) -> Drivers:
    """Look for drivers for @compatibles in the pristine source."""
    wanted = set(compatibles) - GENERIC
    names = _grep(tree, ["--name-only"], ["of_reserved_mem_device_init"],
                  SOURCES)
    callers = frozenset(name for name in names if CALL.search(
        git.ask(tree, "show", f"{COMMIT}:{name}")))
    lines = _grep(tree, [], [f'"{name}"' for name in sorted(wanted)], SOURCES)
    return Drivers(_files(lines, wanted), callers)


def other_sources(tree: Path, architectures: Iterable[str]) -> list[str]:
    """Device tree sources with memory-region of other architectures."""
    return _grep(tree, ["--name-only"], ["memory-region"],
                 ("arch/*/boot/dts/*",
                  *(f":!arch/{name}/boot/dts/*" for name in architectures)))


def _grep(tree: Path, options: list[str], texts: list[str],
          where: tuple[str, ...]) -> list[str]:
    """The lines, or names, that git grep finds, without the commit."""
    if not texts:
        return []
    words = ["grep", "-F", *options]
    for text in texts:
        words += ["-e", text]
    command = git.command(tree, *words, COMMIT, "--", *where)
    result = process.run(command, env=git.ENV, capture=True, query=True)
    if result.returncode > 1 or result.stderr:
        raise process.failure(Exit.BUILD, ["git", "grep"], result.returncode,
                              result.stderr or result.stdout)
    return [line.removeprefix(f"{COMMIT}:")
            for line in result.stdout.splitlines()]


def _files(lines: list[str], wanted: set[str]) -> dict[str, tuple[str, ...]]:
    """Compatible to files; a match table counts more than other mentions."""
    tables: dict[str, set[str]] = {}
    others: dict[str, set[str]] = {}
    for line in lines:
        path, _, text = line.partition(":")
        found = tables if "compatible" in text and "=" in text or \
            "_DECLARE" in text else others
        for name in QUOTED.findall(text):
            if name in wanted:
                found.setdefault(name, set()).add(path)
    return {name: tuple(sorted(tables.get(name) or others[name]))
            for name in {*tables, *others}}
