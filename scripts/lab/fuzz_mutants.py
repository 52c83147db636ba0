# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate mistakes in the parsers, to see that the fuzzer finds them."""

import re
import shutil
from dataclasses import dataclass, fields
from pathlib import Path

from . import fuzz_target, toml
from .errors import Exit, LabError

TABLE = fuzz_target.SOURCE / "mutants.toml"
# A mutant has to be found within this many seconds.
LIMIT = 60.0


@dataclass(frozen=True)
class Mutant:
    """A row of scripts/fuzz/mutants.toml, whose head explains the keys."""

    name: str
    why: str
    file: str
    old: str
    new: str
    finds: str


def load(path: Path = TABLE) -> list[Mutant]:
    """The mutants; raises LabError(USAGE) that names a wrong row."""
    keys = [field.name for field in fields(Mutant)]
    rows = toml.read(path).get("mutant")
    if not isinstance(rows, list) or not rows:
        raise LabError(Exit.USAGE, f"{path}: a list of [[mutant]] tables is "
                       "expected")
    mutants = []
    for number, row in enumerate(rows, 1):
        where = f"{path.name}: mutant {row.get('name', number)!r}"
        if sorted(row) != sorted(keys) or \
                not all(isinstance(value, str) for value in row.values()):
            raise LabError(Exit.USAGE, f"{where}: strings {', '.join(keys)} "
                           "are expected")
        try:
            re.compile(row["finds"])
        except re.error as error:
            raise LabError(Exit.USAGE, f"{where}: finds: {error}") from None
        if row["file"] not in fuzz_target.SOURCES:
            raise LabError(Exit.USAGE, f"{where}: {row['file']} is no source "
                           "of the fuzzer")
        mutants.append(Mutant(**row))
    return mutants


def make(mutant: Mutant, tree: Path, folder: Path) -> str:
    """Copy the parsers' sources to @folder, with the mistake.

    Returns what is wrong, or an empty string.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name in fuzz_target.SOURCES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / name, folder / name)
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    count = text.count(mutant.old)
    if count != 1:
        return f"{mutant.file} has its text {count} times, 1 is expected: " \
               f"update {TABLE.name}"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return ""


def missed(mutant: Mutant, problem: str) -> str:
    """Why @problem, what a run found, does not do; or an empty string."""
    if not problem:
        return f"not found within {LIMIT:g} s: {mutant.why}"
    if not re.search(mutant.finds, problem):
        return f"found something else: {problem}"
    return ""
