# SPDX-License-Identifier: GPL-2.0-only
"""Counts of executed lines: out of the guest, through gcov, and added up.

The guest prints the files of /sys/kernel/debug/gcov as hexadecimal digits on
its console. Here they become files again, beside the .gcno files of the build,
and gcov of the cross compiler turns them into counts per line.
"""

import gzip
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import build, process
from .errors import Exit, LabError
from .evidence import Report

PROGRAM = build.CROSS_COMPILE["arm"] + "gcov"
_FILE = re.compile(r"file (\S+)")
_DATA = re.compile(r"data ([0-9a-f]+)")
# gcda files begin with this: GCOV_DATA_MAGIC, little endian
_MAGIC = b"adcg"


@dataclass
class Source:
    """Counts of one source file: per line, and of each function's entry.

    @functions  name: (first line, last line)
    """

    lines: dict[int, int] = field(default_factory=dict)
    functions: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, other: "Source") -> None:
        """Add the counts of another run of the same build."""
        for line, count in other.lines.items():
            self.lines[line] = self.lines.get(line, 0) + count
        self.functions.update(other.functions)

    @property
    def covered(self) -> int:
        """How many lines ran."""
        return sum(count > 0 for count in self.lines.values())

    @property
    def percent(self) -> float:
        """Lines that ran, in percent; 100 if there is no code."""
        return 100 * self.covered / len(self.lines) if self.lines else 100.0


Coverage = dict[str, Source]


def data_files(report: Report) -> dict[str, bytes]:
    """The .gcda files that a guest printed, by their path in the guest.

    Raises LabError(GUEST) if they are not whole.
    """
    if "gcov" not in report.complete:
        raise LabError(Exit.GUEST, "the guest's gcov data is missing or cut "
                                   "off")
    found: dict[str, bytearray] = {}
    current = bytearray()
    for line in report.sections["gcov"]:
        if match := _FILE.fullmatch(line):
            current = found.setdefault(match[1], bytearray())
        elif match := _DATA.fullmatch(line):
            current += bytes.fromhex(match[1])
        else:
            raise LabError(Exit.GUEST, f"not a line of gcov data: {line!r}")
    for path, data in found.items():
        if not data.startswith(_MAGIC):
            raise LabError(Exit.GUEST, f"{path}: not gcov data")
    return {path: bytes(data) for path, data in found.items()}


def read(files: dict[str, bytes], built: Path, folder: Path) -> Coverage:
    """The counts in @files of a kernel in @built; works in @folder.

    Raises LabError(BUILD) if gcov cannot make sense of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for path, data in files.items():
        # the folders of the build, below /sys/kernel/debug/gcov/tmp/…
        notes = _notes(path, built)
        name = str(notes.relative_to(built)).replace("/", "#")
        shutil.copyfile(notes, folder / name)
        (folder / name).with_suffix(".gcda").write_bytes(data)
        names.append(Path(name).with_suffix(".gcda").name)
    for old in folder.glob("*.gcov.json.gz"):
        old.unlink()
    process.run([PROGRAM, "--json-format", "--preserve-paths", *names],
                cwd=folder, log=folder / "gcov.log", check=Exit.BUILD)
    coverage: Coverage = {}
    for path in folder.glob("*.gcov.json.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            add(coverage, parse(json.load(file)))
    return coverage


def _notes(path: str, built: Path) -> Path:
    """The .gcno file of the build for a .gcda file of the guest."""
    parts = Path(path).with_suffix(".gcno").parts
    for start in range(1, len(parts)):
        candidate = built.joinpath(*parts[start:])
        if candidate.is_file():
            return candidate
    raise LabError(Exit.BUILD, f"{path}: {built} has no such .gcno")


def parse(document: dict) -> Coverage:
    """Counts from gcov's JSON; paths are relative to the kernel tree."""
    coverage: Coverage = {}
    for entry in document["files"]:
        name = re.sub(r"^(?:.*/)?" + re.escape(build.LINK) + "/", "",
                      entry["file"])
        source = Source()
        for line in entry["lines"]:
            number = line["line_number"]
            source.lines[number] = source.lines.get(number, 0) + line["count"]
        for function in entry["functions"]:
            source.functions[function["demangled_name"]] = (
                function["start_line"], function["end_line"])
        add(coverage, {name: source})
    return coverage


def add(total: Coverage, other: Coverage) -> None:
    """Add the counts of @other to @total."""
    for name, source in other.items():
        total.setdefault(name, Source()).add(source)


def uncovered(source: Source) -> list[tuple[str, str]]:
    """(function, "12-15, 20") for each function with lines that never ran."""
    found: dict[str, list[int]] = {}
    for line in sorted(source.lines):
        if not source.lines[line]:
            found.setdefault(function_at(source, line), []).append(line)
    return [(name, ranges(lines, sorted(source.lines)))
            for name, lines in found.items()]


def function_at(source: Source, line: int) -> str:
    """The innermost function that @line is in."""
    inside = [(first, name) for name, (first, last)
              in source.functions.items() if first <= line <= last]
    return max(inside)[1] if inside else "-"


def ranges(lines: Iterable[int], code: list[int]) -> str:
    """`12-15, 20`; lines without code between two others do not part them."""
    place = {line: index for index, line in enumerate(code)}
    parts: list[list[int]] = []
    for line in lines:
        if parts and place[line] == place[parts[-1][1]] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}"
                     for first, last in parts)


def tracefile(coverage: Coverage, tree: Path, test: str) -> str:
    """@coverage as geninfo(1) writes it, for genhtml."""
    lines = []
    for name, source in sorted(coverage.items()):
        lines += [f"TN:{test}", f"SF:{tree / name}"]
        lines += [f"FN:{first},{function}" for function, (first, _)
                  in sorted(source.functions.items())]
        lines += [f"FNDA:{source.lines.get(first, 0)},{function}"
                  for function, (first, _) in sorted(source.functions.items())]
        lines += [f"DA:{line},{count}"
                  for line, count in sorted(source.lines.items())]
        lines.append("end_of_record")
    return "\n".join(lines) + "\n"
