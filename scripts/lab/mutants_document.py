# SPDX-License-Identifier: GPL-2.0-only
"""Documentation/mutants.md: the score, and a line for each mutant.

Nothing in it depends on when or where it was made, except for the versions
of the kernel and of QEMU.
"""

from .mutants import Mutant

_HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0-only -->
<!-- Written by `scripts/cma mutate`. Do not edit. -->
# Do the tests see mistakes?

{total} deliberate mistakes, one at a time, in the code of the patches and in what it
works with: Linux {version},
QEMU {qemu}. For each the kernel is built, those rows of the boot matrix that the
mutant names are booted (for what KUnit cannot see), and the KUnit suites are run on virt
and zynq, until something fails. `scripts/cma mutate` does it again and rewrites this
page; `kunit/mutants/*.patch` are the mistakes.

**{killed} of {counted} were caught, {percent:.1f} %**, {oracle} more are left to a
model of the caches.

| caught by | mutants |
|---|---|
{summary}
"""


def render(found: list[tuple[Mutant, str, str]], killed: int, counted: int,
           version: str, qemu: str) -> str:
    """The page, from mutants, what came of them, and which test caught them."""
    by: dict[str, int] = {}
    for _, state, test in found:
        if state == "killed":
            by[_kind(test)] = by.get(_kind(test), 0) + 1
    oracle = [mutant for mutant, state, _ in found
              if state == "survived" and mutant.oracle]
    summary = "\n".join(f"| {kind} | {number} |" for kind, number
                        in sorted(by.items(), key=lambda one: -one[1]))
    text = _HEAD.format(total=len(found), version=version, qemu=qemu,
                        killed=killed, counted=counted,
                        percent=100 * killed / counted if counted else 0,
                        oracle=len(oracle), summary=summary)
    alive = [mutant for mutant, state, _ in found
             if state == "survived" and not mutant.oracle]
    text += _list("Survivors", alive)
    text += _list("Only a model of the caches can see them", oracle)
    lines = ["| mutant | file | what is wrong | caught by |", "|---|---|---|---|"]
    lines += [f"| {mutant.name} | {', '.join(mutant.files)} | "
              f"{_escape(mutant.bug)} | "
              f"{_escape(test) if state == 'killed' else '**nothing**'} |"
              for mutant, state, test in found]
    return text + "\n## All of them\n\n" + "\n".join(lines) + "\n"


def _kind(test: str) -> str:
    """`KUnit, dma_contiguous`, `KUnit, crash or splat`, `boot matrix`."""
    if test.startswith("row "):
        return "boot matrix"
    first, _, rest = test.partition(": ")
    return "KUnit, " + (first.split("/", 1)[1] if "/" in first else rest)


def _list(title: str, members: list[Mutant]) -> str:
    if not members:
        return ""
    return f"\n## {title}\n\n" + "\n".join(
        f"- `{mutant.name}`: {_escape(mutant.bug)}"
        + (f" *Why:* {_escape(mutant.survives)}" if mutant.survives else "")
        for mutant in members) + "\n"


def _escape(text: str) -> str:
    """Text as Markdown shows it in a table cell."""
    for character in "\\|*_<>`[]":
        text = text.replace(character, "\\" + character)
    return text
