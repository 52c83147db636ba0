# SPDX-License-Identifier: GPL-2.0-only
"""The five ways in which a boot of the matrix can end.

    panic    the kernel gave up: a panic, an oops after which nothing came, or
             the machine reset itself before the guest's end marker
    hang     the end marker never came, and neither did a reason
    splat    the end was reached, but the log has a warning, an oops, a bad page
             or another complaint (splats.py has them all)
    silent   the end was reached without a splat, but something is wrong: an area
             is missing or elsewhere, CMA is off, a total is wrong, memory did
             not keep what was written to it or did not come back, something was
             turned down without a line that says so
    ok       none of these

Of a patched kernel everything that the row says is asked for, word by word. Of a
stock kernel only what its user would call wrong (boot_table.check_stock):
a refusal may have any words if it names what is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from . import splats
from .boot_table import Booted
from .report import PASSED, Case
from .rows import DEFAULT_CONFIG, Row


class Outcome(StrEnum):
    """How a boot ended, the worst first."""

    PANIC = "panic"
    HANG = "hang"
    SPLAT = "splat"
    SILENT = "silent"
    OK = "ok"


# A kernel that said one of these and nothing after it has not just stopped.
_FATAL = {"panic", "oops", "fault", "bug"}
# earlycon itself, on virt: see qemu.py
_OF_EARLYCON = (r"Division by zero in kernel",)


def classify(booted: Booted, case: Case) -> Outcome:
    """The outcome of a boot that was judged as @case."""
    console = booted.console
    found = splats.scan(console.lines, _OF_EARLYCON if console.early else ())
    if console.early or not booted.report.ended:
        fatal = any(splat.kind in _FATAL for splat in found)
        return Outcome.PANIC if fatal or not console.timed_out \
            else Outcome.HANG
    if found:
        return Outcome.SPLAT
    return Outcome.OK if case.status == PASSED else Outcome.SILENT


@dataclass(frozen=True)
class Result:
    """What came of one row on one machine; None: that kernel was not booted."""

    row: Row
    stock: Outcome | None
    patched: Outcome | None


@dataclass(frozen=True)
class Group:
    """Rows that belong together; @key is short, for programs."""

    key: str
    title: str


CMDLINE = Group("cmdline", "Command lines")
NODES = Group("nodes", "Device trees")
SMALL = Group("pageblock-1m", "Page blocks of 1 MiB")
LPAE = Group("lpae", "LPAE, 5 GiB")
FEATURE = Group("feature", "Labels and cma_map=, new with the series")
GROUPS = (CMDLINE, NODES, SMALL, LPAE, FEATURE)
_BY_CONFIG = {"pageblock-1m": SMALL, "lpae": LPAE}


def group(row: Row) -> Group:
    """The group of @row. What stock does not have is never counted with bugs."""
    if row.feature:
        return FEATURE
    if row.config != DEFAULT_CONFIG:
        return _BY_CONFIG.get(row.config,
                              Group(row.config, f"Configuration {row.config}"))
    return NODES if row.overlay or row.nodes else CMDLINE


def grouped(results: Iterable[Result]) -> list[tuple[Group, list[Result]]]:
    """@results by group, the groups in the order of GROUPS, others last."""
    found: dict[Group, list[Result]] = {known: [] for known in GROUPS}
    for result in results:
        found.setdefault(group(result.row), []).append(result)
    return [(name, members) for name, members in found.items() if members]


def count(outcomes: Iterable[Outcome | None]) -> dict[Outcome, int]:
    """How often each outcome came, all five of them."""
    seen = list(outcomes)
    return {one: seen.count(one) for one in Outcome}


def totals(outcomes: Iterable[Outcome | None]) -> str:
    """`3 panic, 0 hang, 1 splat, 4 silent, 9 ok`."""
    return ", ".join(f"{number} {one}"
                     for one, number in count(outcomes).items())
