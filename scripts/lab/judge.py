# SPDX-License-Identifier: GPL-2.0-only
"""Turn a console into cases: healthy, placed, moved data."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from . import evidence, machines, ranges, splats, wish
from .errors import Exit
from .evidence import Mapping, Report, Unreadable
from .qemu import Console
from .ranges import Range
from .report import Case

SHOWN = 3
DEFAULT_AREA = "reserved"
# In pages, at most: CmaFree may differ a little from time to time, see
# cma_free() and cma_free_slack() in the guest program.
CMA_FREE_SLACK = 64


@dataclass
class Placement:
    """Where one covered device's coherent memory was found.

    @atomic  entries elsewhere, of which the kernel has said why
    """

    device: str
    label: str
    area: Range
    entries: list[Mapping] = field(default_factory=list)
    atomic: int = 0

    def __str__(self) -> str:
        count = len(self.entries)
        text = f"{self.device}: {count} coherent " \
               f"entr{'y' if count == 1 else 'ies'} in {self.label} {self.area}"
        return text + (f", {self.atomic} atomic outside" if self.atomic
                       else "")


def health(suite: str, console: Console, report: Report,
           declared: Iterable[str] = ()) -> Case:
    """The guest reached its end marker and the log has no splat."""
    case = Case(suite, "healthy", seconds=console.seconds,
                log=str(console.log))
    found = splats.scan(console.lines, declared)
    if found:
        case.fail(f"{len(found)} splat line"
                  f"{'' if len(found) == 1 else 's'}, the first in {found[0]}",
                  Exit.GUEST)
    last = next((line for line in reversed(console.lines) if line.strip()),
                "an empty console")
    if console.timed_out:
        where = "after user space was reached" if report.started else \
            "before user space was reached"
        case.fail(f"no end within {console.seconds:.0f} s, {where}, its last "
                  f"line: {last.strip()}", Exit.TIMEOUT)
    elif not report.ended:
        case.fail(f"the guest was lost, its last line: {last.strip()}",
                  Exit.GUEST)
    return case


def _says_atomic(report: Report, placement: Placement) -> bool:
    """Whether the kernel said that atomic memory is not from the area."""
    said = f" {placement.device}: atomic DMA memory comes from outside CMA " \
           f"area {placement.label}"
    return any(line.endswith(said) for line in report.kernel)


def placements(report: Report, expected: Range | None, device: str,
               atomic: bool = False) -> tuple[list[Placement], list[str]]:
    """The covered devices and the reasons why something is not proven.

    The wish is read from the command line that the kernel had. @expected
    and @device add a device that no rule covers (attached by device tree).
    With @atomic, some memory of @device may be elsewhere if the kernel says so.
    Raises Unreadable if the evidence cannot be read.
    """
    asked = wish.parse(report.cmdline)
    coherent = [m for m in report.dump if m.type == "coherent"]
    devices = report.devices(dict.fromkeys(m.device for m in coherent))
    found: list[Placement] = []
    problems: list[str] = []
    if expected:
        found.append(Placement(device, "the expected range", expected))
    for rule in asked.rules:
        covered = [found_device.name for found_device in devices
                   if asked.rule_for(found_device) == rule]
        if not covered:
            problems.append(f"{rule.device}: no coherent entry in the DMA API "
                            "debug dump, nothing is proven")
            continue
        area = asked.areas.get(rule.label) or report.areas.get(rule.label)
        if not area:
            problems.append(f"{rule.device}: the area {rule.label} does not "
                            "exist")
            continue
        found += [Placement(name, rule.label, area) for name in covered
                  if not (expected and name == device)]
    for placement in found:
        mine = [m for m in coherent if m.device == placement.device]
        outside = [m for m in mine if not m.inside(placement.area)]
        placement.entries = [m for m in mine if m not in outside]
        if atomic and placement.device == device and placement.entries and \
                _says_atomic(report, placement):
            placement.atomic, outside = len(outside), []
        if not mine:
            problems.append(f"{placement.device}: no coherent entry in the "
                            "DMA API debug dump, nothing is proven")
        if outside:
            more = len(outside) - SHOWN
            problems.append(
                f"{placement.device}: {len(outside)} of {len(mine)} coherent "
                f"entries outside {placement.label} {placement.area}: "
                + ", ".join(f"P=0x{m.paddr:08x} size {ranges.size_text(m.size)}"
                            for m in outside[:SHOWN])
                + (f" and {more} more" if more > 0 else ""))
    return found, problems


def placed(suite: str, report: Report, expected: Range | None, device: str,
           need_rule: bool, atomic: bool = False
           ) -> tuple[Case, list[Placement]]:
    """Every covered device has all its coherent memory in its area."""
    case = Case(suite, "placement")
    try:
        found, problems = placements(report, expected, device, atomic)
    except Unreadable as error:
        case.fail(str(error))
        return case, []
    if not found and not problems:
        if need_rule:
            problems.append("the kernel's command line has no cma_map= rule")
        else:
            case.status = "skipped"
            case.message = "no cma_map= rule on the command line"
    for problem in problems:
        case.fail(problem)
    return case, found


def moved(suite: str, report: Report) -> tuple[Case, str]:
    """Real transfers: at least MIN_TRANSFERS and no failure.

    What the guest says on rebinding is for rebound().
    """
    case = Case(suite, "transfers")
    asked = report.cmdline
    copies, failed, what = 0, 0, "transfers"
    if "guest.dmatest=" in asked:
        copies, failed = report.dmatest
        what = "dmatest copies"
    elif "guest.disk=" in asked:
        copies, failed = report.disk
        what = "disk transfers, verified"
    if copies < machines.MIN_TRANSFERS:
        case.fail(f"{copies} {what}, at least {machines.MIN_TRANSFERS} "
                  "are needed")
    if failed:
        case.fail(f"{failed} of {copies} {what} failed")
    for failure in report.failures:
        if not failure.startswith("rebind: "):
            case.fail(failure)
    return case, f"{copies} {what}, {failed} failed"


def rebound(suite: str, report: Report, device: str, rounds: int
            ) -> tuple[Case, str]:
    """@device went through @rounds of unbind and bind, nothing was lost.

    Its area, that of its rule or else the default one, has to have given it
    pages each time, or nothing is proven.
    """
    case = Case(suite, f"{rounds} rebinds")
    try:
        rebind = report.rebind
    except Unreadable as error:
        case.fail(str(error))
        return case, str(error)
    if rebind is None:
        case.fail("the guest reported nothing on rebinding")
    elif rebind.device != device:
        case.fail(f"{rebind.device} was rebound instead of {device}")
    else:
        if rebind.rounds < rounds:
            case.fail(f"only {rebind.rounds} of {rounds} rounds")
        if rebind.bad:
            case.fail(f"{rebind.bad} bad rounds, {rebind.leaked} pages or "
                      "mappings leaked")
        lost = rebind.before - rebind.after
        # less than what a leak of one page in each round adds up to
        slack = min(CMA_FREE_SLACK, (rebind.rounds - 1) // 2)
        if rebind.before <= 0 or lost > slack:
            case.fail(f"CmaFree was {rebind.before} pages after the first "
                      f"round and is {rebind.after} now")
        label = _label_of(report, device)
        if rebind.held.get(label, 0) <= 0:
            case.fail(f"{device} took no page of {label}, nothing is proven")
    for failure in report.failures:
        if failure.startswith("rebind: "):
            case.fail(failure)
    return case, str(rebind) if rebind else case.message


def _label_of(report: Report, device: str) -> str:
    """The label that the rules give @device, else the default area."""
    known, = report.devices([device])
    rule = wish.parse(report.cmdline).rule_for(known)
    return rule.label if rule else DEFAULT_AREA


def parse(console: Console) -> Report:
    """The report in @console."""
    return evidence.parse(console.lines)
