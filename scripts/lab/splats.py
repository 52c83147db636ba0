# SPDX-License-Identifier: GPL-2.0-only
"""Find what the kernel says when something is badly wrong."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# What a healthy log never has, with a name for the report. From the kernel's
# own texts: lib/bug.c, kernel/panic.c, kernel/locking/lockdep.c,
# kernel/hung_task.c, kernel/dma/debug.c, mm/page_alloc.c, mm/kasan/report.c,
# lib/ubsan.c, lib/refcount.c, kernel/rcu/tree_stall.h, arch/arm/mm/fault.c.
PATTERNS: tuple[tuple[str, str], ...] = (
    ("warning", r"\bWARNING: "),
    ("cut here", r"-+\[ cut here \]-+"),
    ("bug", r"\bBUG: |\bkernel BUG at |\bBUG at "),
    ("oops", r"\bInternal error: |\bOops\b|Division by zero in kernel"),
    ("fault", r"Unable to handle kernel|Unhandled fault:|"
              r"Unhandled prefetch abort:"),
    ("panic", r"Kernel panic - not syncing"),
    ("lockdep", r"possible (recursive locking|circular locking|irq lock "
                r"inversion|deadlock)|inconsistent lock state|"
                r"INFO: trying to register non-static key|"
                r"suspicious RCU usage|held lock freed"),
    ("sleep in atomic", r"sleeping function called from invalid context|"
                        r"scheduling while atomic"),
    ("hung task", r"INFO: task .* blocked for more than"),
    ("stall", r"detected stalls? on|self-detected stall|soft lockup|"
              r"hard LOCKUP"),
    ("memory", r"\bBad page (state|map)\b|page allocation failure|"
               r"Bad rss-counter|list_(add|del) corruption|"
               r"Out of memory: "),
    ("sanitizer", r"\b(KASAN|KFENCE|KCSAN|UBSAN)\b: "),
    ("refcount", r"refcount_t: (?!.*initialized)"),
    ("dma-debug", r"DMA-API: (?!preallocated \d|debugging enabled by|"
                  r"debugging disabled on|dma_debug_entry pool grown)"),
    ("call trace", r"\bCall trace: ?$|\bBacktrace: ?$"),
)

_SPLAT = re.compile("|".join(f"(?P<p{number}>{pattern})" for number,
                             (_, pattern) in enumerate(PATTERNS)))
# What our own guest program reports is data, not the kernel speaking.
_REPORTED = re.compile(r"guest: [\w-]+: ")


@dataclass(frozen=True)
class Splat:
    """One line of a console log that should not be there."""

    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


def scan(lines: Iterable[str], declared: Iterable[str] = ()) -> list[Splat]:
    """The splats in @lines, without those that match a @declared regex."""
    allowed = [re.compile(pattern) for pattern in declared]
    found = []
    for number, line in enumerate(lines, 1):
        match = _SPLAT.search(line)
        if not match or _REPORTED.search(line):
            continue
        if any(pattern.search(line) for pattern in allowed):
            continue
        kind = PATTERNS[int(match.lastgroup[1:])][0]
        found.append(Splat(number, kind, line.strip()))
    return found
