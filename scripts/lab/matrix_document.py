# SPDX-License-Identifier: GPL-2.0-only
"""Documentation/matrix.md: totals, and a line for each case.

Nothing in it depends on when or where it was made, except for the versions
of the kernel and of QEMU.
"""

from . import machines, outcome
from .outcome import Outcome, Result

_HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0-only -->
<!-- Written by `scripts/cma matrix`. Do not edit. -->
# The boot matrix

{cases} cases, each booted on the stock kernel and on the patched one: Linux
{version}, QEMU {qemu}. `scripts/cma matrix` boots them again and rewrites this page;
the cases are the rows of `kunit/matrix/*.toml`.

![Outcome of each case, stock beside patched]({picture})

"""

_MEANING = """\
## What the words mean

| outcome | means |
|---|---|
| panic | a panic, an oops after which nothing came, or the machine reset itself before user space had reported |
| hang | user space never reported, and nothing said why |
| splat | it did, but the log has a warning, an oops, a bad page or the like |
| silent | no splat, and yet an area is missing or elsewhere, CMA is off, a total is wrong, memory did not keep what was written to it or did not come back, or something was turned down without a line that says so |
| ok | none of these |

Each boot uses the memory: it is filled through tmpfs and read back, then every area
is allocated as a whole and given back, and CmaTotal, CmaFree and MemTotal must be
what they have to be. The patched kernel must do and say exactly what the row asks
for. The stock kernel is judged by what its user would call wrong: a refusal may have
any words if it names what is refused. Labels and `cma_map=` are new; a stock kernel
cannot know them, so these cases are counted apart, and there only what it had to keep
doing counts: most of these command lines switch its CMA off without a word (D16).

The ids (D1 to D26) are those of the defects of Linux 7.3.4 that a case is about.

"""


def render(results: list[Result], version: str, qemu: str,
           picture: str) -> str:
    """The page; deterministic for the same arguments."""
    text = [_HEAD.format(cases=len(results), version=version, qemu=qemu,
                         picture=picture), _totals(results), _MEANING,
            _machines(results)]
    for group, members in outcome.grouped(results):
        text.append(f"## {group.title}\n\n" + _table(members))
    return "\n".join(part.rstrip("\n") + "\n" for part in text)


def _totals(results: list[Result]) -> str:
    lines = ["| | " + " | ".join(Outcome) + " |",
             "|---|" + "---|" * len(Outcome)]
    bugs = [result for result in results if not result.row.feature]
    new = [result for result in results if result.row.feature]
    for name, members in (("", bugs), (", new parameters", new)):
        for kernel in ("stock", "patched"):
            numbers = outcome.count(getattr(r, kernel) for r in members)
            lines.append(f"| {kernel}{name} | " + " | ".join(
                str(number) for number in numbers.values()) + " |")
    return "\n".join(lines) + "\n"


def _machines(results: list[Result]) -> str:
    lines = ["| machine | QEMU | RAM |", "|---|---|---|"]
    found = {(r.row.machine.name, r.row.memory) for r in results}
    for name, memory in sorted(found):
        machine = machines.MACHINES[name]
        last = machine.ram + machines.ram_bytes(memory) - 1
        lines.append(f"| {name} | `{' '.join(machine.qemu)}` | {memory} MiB, "
                     f"0x{machine.ram:x}-0x{last:x} |")
    return "\n".join(lines) + "\n"


def _table(results: list[Result]) -> str:
    lines = ["| case | machine | what | ids | stock | patched |",
             "|---|---|---|---|---|---|"]
    for result in results:
        row = result.row
        memory = "" if row.memory == row.machine.memory else \
            f", {row.memory} MiB"
        lines.append(f"| {row.name} | {row.machine.name}{memory} | "
                     f"{_escape(row.why)} | {' '.join(row.defects)} | "
                     f"{_word(result.stock)} | {_word(result.patched)} |")
    return "\n".join(lines) + "\n"


def _word(value: Outcome | None) -> str:
    if value is None:
        return "not booted"
    return str(value) if value == Outcome.OK else f"**{value}**"


def _escape(text: str) -> str:
    """Text as Markdown shows it in a table cell."""
    for character in "\\|*_<>`[]":
        text = text.replace(character, "\\" + character)
    return text
