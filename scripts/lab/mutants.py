# SPDX-License-Identifier: GPL-2.0-only
"""The deliberate mistakes in kunit/mutants/*.patch.

A file has a head of `Key: text` lines, in which a line that begins with a
space goes on, and then a diff as `git diff` prints it, against the tree with
the series. Its name says what the mistake is:

    SPDX-License-Identifier: GPL-2.0-only
    Bug: what is wrong, and what a user would see of it
    Rows: names of rows of the boot matrix, for what KUnit cannot see
    Needs: oracle
    Rule: the rule of the oracle that it breaks, for `mutate --oracle`
    Survives: why no test can tell, if that is known

`Bug` has to be there. `Needs: oracle` is for what only a model of the caches
can see; with a Rule, only `mutate --oracle` tries it. Rows have to be of the configuration `default`.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import git, paths, rows
from .errors import Exit, LabError
from .rows import Row

FOLDER = paths.REPO / "kunit" / "mutants"
KEYS = ("SPDX-License-Identifier", "Bug", "Rows", "Needs", "Rule", "Survives")
_KEY = re.compile(r"([A-Za-z-]+):\s*(.*)")
_FILE = re.compile(r"^diff --git a/(\S+) b/(\S+)$", re.M)


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    @files     what it changes
    @rows      names of rows that are booted before KUnit is tried
    @oracle    only a model of the caches can see it
    @rule      which rule of that it breaks, else empty
    @survives  why no test can see it, else empty
    """

    name: str
    path: Path
    bug: str
    files: tuple[str, ...]
    rows: tuple[str, ...] = ()
    oracle: bool = False
    survives: str = ""
    rule: str = ""

    @property
    def digest(self) -> str:
        """sha256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def load(table: list[Row], folder: Path = FOLDER) -> list[Mutant]:
    """All mutants by name; LabError(USAGE) names file and mistake."""
    found = []
    for path in sorted(folder.glob("*.patch")):
        try:
            found.append(parse(path, table))
        except (ValueError, UnicodeDecodeError) as error:
            raise LabError(Exit.USAGE, f"{path.name}: {error}") from None
    if not found:
        raise LabError(Exit.USAGE, f"{folder}: no *.patch with a mutant")
    return found


def parse(path: Path, table: list[Row]) -> Mutant:
    """Read one file; raises ValueError."""
    if not re.fullmatch(r"[a-z0-9-]+\.patch", path.name):
        raise ValueError("the name must be of a-z, 0-9 and -")
    text = path.read_text(encoding="utf-8")
    files = tuple(new for old, new in _FILE.findall(text) if old == new)
    if not files or re.search(r"^(new|deleted) file mode", text, re.M):
        raise ValueError("a diff of files that exist is expected, as "
                         "`git diff` prints it")
    values = _head(text[:_FILE.search(text).start()])
    if not values.get("Bug"):
        raise ValueError("Bug is missing: say what is wrong")
    if values.get("Needs", "oracle") != "oracle":
        raise ValueError(f"Needs: {values['Needs']!r}, only oracle is known")
    names = tuple(re.split(r"[,\s]+", values.get("Rows", ""))) \
        if values.get("Rows") else ()
    known = {row.name for row in table if row.config == rows.DEFAULT_CONFIG}
    for name in names:
        if name not in known:
            raise ValueError(f"Rows: kunit/matrix has no row {name!r} of the "
                             f"configuration {rows.DEFAULT_CONFIG}")
    return Mutant(path.stem, path, values["Bug"], files, names,
                  "Needs" in values, values.get("Survives", ""),
                  values.get("Rule", ""))


def _head(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        match = _KEY.fullmatch(line)
        if line[:1] in (" ", "\t") and key:
            values[key] = f"{values[key]} {line.strip()}".strip()
        elif match:
            key = match[1]
            if key not in KEYS:
                raise ValueError(f"unknown key {key!r}, known are "
                                 + ", ".join(KEYS))
            if key in values:
                raise ValueError(f"{key} is there twice")
            values[key] = match[2].strip()
        elif line.strip():
            raise ValueError(f"`Key: text` is expected, not {line!r}")
    return values


def digest(parts: Iterable[str]) -> str:
    """sha256 over texts, none of which can pass for another's end."""
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()


def refusal(mutant: Mutant, tree: Path) -> str:
    """Why @mutant does not apply to @tree, or an empty string."""
    result = git.run(tree, "apply", "--check", str(mutant.path), check=None)
    return _reason(result.stdout) if result.returncode else ""


def apply(mutant: Mutant, tree: Path, log: Path) -> None:
    """Put the mistake into @tree; raises LabError(BUILD)."""
    result = git.run(tree, "apply", str(mutant.path), check=None, log=log)
    if result.returncode:
        raise LabError(Exit.BUILD, _reason(result.stdout), log)


def _reason(text: str) -> str:
    line = next((line for line in text.splitlines()
                 if line.startswith("error: ")), "git apply says no reason")
    return "does not apply: " + line.removeprefix("error: ") \
        .removeprefix("patch failed: ")


def revert(mutant: Mutant, tree: Path) -> None:
    """Take it out again."""
    git.run(tree, "checkout", "-q", "HEAD", "--", *mutant.files)
