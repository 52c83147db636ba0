# SPDX-License-Identifier: GPL-2.0-only
"""Command lines to start fuzzing with: mostly those of kunit/matrix."""

import re
from pathlib import Path
from typing import Any

from . import paths, ranges, toml
from .errors import Exit, LabError

TABLES = paths.REPO / "kunit" / "matrix"
# {ram+32M}, {end-16M} and {ram+32M:x} of the tables become addresses of a small machine.
PLACES = {"ram": 0x40000000, "end": 0x50000000}
# What the tables need not have: the table of rules full, the longest names.
MORE = {
    "more-rules": "cma_map=" + ",".join(f"d{n}=a" for n in range(33)),
    "longest-rule": f"cma_map={'d' * 127}={'a' * 63}",
}
_PLACE = re.compile(r"\{(\w+)(?:([+-])(\w+))?(:x)?\}")
_PARAMETER = re.compile(r"(?:^|\s)cma(?:_map)?(?:=|\s|$)")


def place(text: str) -> str:
    """@text with addresses in the place of {ram+32M} and the like."""
    def address(match: re.Match) -> str:
        value = PLACES.get(match[1], PLACES["ram"])
        if match[3]:
            offset = ranges.number(match[3])
            value += -offset if match[2] == "-" else offset
        return f"{value:x}" if match[4] else f"0x{value:x}"
    return _PLACE.sub(address, text)


def from_document(document: dict[str, Any]) -> dict[str, str]:
    """name: command line, of all rows of a table that have our parameters."""
    found: dict[str, str] = {}
    for entries in document.values():
        if not isinstance(entries, list):
            continue
        for entry in entries:
            text = entry.get("cmdline") if isinstance(entry, dict) else None
            if isinstance(text, str) and _PARAMETER.search(text):
                name = str(entry.get("name", len(found)))
                found[re.sub(r"[^\w.-]", "_", name)] = place(text)
    return found


def load(folder: Path = TABLES) -> dict[str, str]:
    """The same of all tables in @folder, and MORE; raises LabError(USAGE) if none."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            found |= from_document(toml.read(path))
        except ValueError as error:
            raise LabError(Exit.USAGE, f"{path}: {error}") from None
    if not found:
        raise LabError(Exit.USAGE, f"{folder}: no table with a row whose "
                       "cmdline has cma= or cma_map=")
    return found | MORE


def write(seeds: dict[str, str], folder: Path) -> None:
    """One file for each of @seeds; other files of @folder are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, text in seeds.items():
        (folder / name).write_text(text, encoding="utf-8")
