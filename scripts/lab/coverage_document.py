# SPDX-License-Identifier: GPL-2.0-only
"""Documentation/coverage.md: figures, and the lines that never ran.

Nothing in it depends on when or where it was made, except for the versions
of the kernel and of QEMU.
"""

from dataclasses import dataclass
from typing import Any

from . import gcov
from .gcov import Source

_HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0-only -->
<!-- Written by `scripts/cma coverage`. Do not edit. -->
# Which lines do the tests run?

The C files that the patches touch, with the counters of the compiler (gcov), in the
configuration `gcov`: Linux {version}, QEMU {qemu}. {runs} boots run the KUnit suites,
{rows} are those of the boot matrix. `scripts/cma coverage` does it again, rewrites this
page, and writes `out/coverage/html` with every line.

Code that this configuration does not build (LPAE, IOMMU, NUMA, stubs) has no lines
here. A line that ran was not thereby tested: for that see [mutants.md](mutants.md).

| file | lines | KUnit | with the matrix | lines of the patches |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class File:
    """Counts of one file; None: it is not in this kernel.

    @changed  the lines that the patches wrote
    """

    name: str
    kunit: Source | None
    total: Source | None
    changed: set[int]

    @property
    def patches(self) -> Source:
        """Of the lines with code only those that the patches wrote."""
        lines = self.total.lines if self.total else {}
        return Source({line: count for line, count in lines.items()
                       if line in self.changed})

    def line(self) -> str:
        """`mm/cma.c: KUnit 61 %, all 93 % of 400 lines, of ours 96 %`."""
        if not self.total:
            return f"{self.name}: not in this kernel"
        return f"{self.name}: KUnit {_kunit(self):.1f} %, all " \
               f"{self.total.percent:.1f} % of {len(self.total.lines)} " \
               f"lines, {self.patches.percent:.1f} % of " \
               f"{len(self.patches.lines)} of the patches"

    def record(self) -> dict[str, Any]:
        """For --json."""
        if not self.total:
            return {"name": self.name, "lines": 0}
        return {"name": self.name, "lines": len(self.total.lines),
                "kunit": round(_kunit(self), 1),
                "all": round(self.total.percent, 1),
                "patches": round(self.patches.percent, 1),
                "uncovered": [list(one) for one in
                              gcov.uncovered(self.total)]}


def _kunit(file: File) -> float:
    return file.kunit.percent if file.kunit else 0.0


def render(files: list[File], version: str, qemu: str, runs: int, rows: int
           ) -> str:
    """The page; deterministic for the same arguments."""
    text = _HEAD.format(version=version, qemu=qemu, runs=runs, rows=rows)
    built = [one for one in files if one.total]
    for one in built:
        text += f"| {one.name} | {len(one.total.lines)} | " \
                f"{_kunit(one):.1f} % | {one.total.percent:.1f} % | " \
                f"{one.patches.percent:.1f} % of {len(one.patches.lines)} |\n"
    absent = [one.name for one in files if not one.total]
    if absent:
        text += f"\nNot in this kernel: {', '.join(absent)}.\n"
    text += "\n## Lines that never ran\n\n" \
            "Those that the patches wrote are **bold**: a function with at " \
            "least one of them.\n"
    for one in built:
        missing = gcov.uncovered(one.total)
        if not missing:
            continue
        text += f"\n### {one.name}\n\n| function | lines |\n|---|---|\n"
        ours = {gcov.function_at(one.total, line) for line, count
                in one.patches.lines.items() if not count}
        for name, lines in missing:
            mark = "**" if name in ours else ""
            text += f"| {mark}`{name}`{mark} | {lines} |\n"
    return text
