# SPDX-License-Identifier: GPL-2.0-only
"""The boot table: boot its rows, and judge what came of each.

User space reached, no splat, exactly the expected refusals, exactly the
expected areas, CmaTotal their sum, no memory lost against a boot without
parameters; and the memory was used: filled and read back, every area taken
as a whole and given back.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path

from . import (build, evidence, judge, machines, nodes, process, qemu, ranges,
               rows, wish)
from .errors import Exit, LabError
from .evidence import Report, Unreadable
from .prepare import Prepared
from .ranges import Range
from .report import Case
from .rows import Expected, Row

# A boot says something every second or two, a hung one never again.
TIMEOUT, SILENCE = 300.0, 60.0
DEFAULT_AREA = judge.DEFAULT_AREA
# Page tables and debug objects differ a little between boots.
MEMORY_SLACK = 512 << 10
# Pages of an area that hold user space, or wait in a list of one CPU.
CMA_SLACK = 512 << 10
# /proc/meminfo lags behind by some pages per CPU.
STAT_SLACK = 256 << 10
# Less than this part of the free memory is not "filled".
FILLED = 0.75
_REFUSAL = re.compile(r"\b(cma|Reserved memory): .*\brefused\b")
_CMA_LINE = re.compile(r"\bcma\b", re.I)
_STAMP = re.compile(r"^\[ *\d+\.\d+\]\s*")
_MEMORY = re.compile(r"Memory: .*?(\d+K cma-reserved)")


@dataclass(frozen=True)
class Booted:
    """What came of one boot."""

    row: Row
    stock: bool
    console: qemu.Console
    report: Report

    @property
    def memory(self) -> int | None:
        """MemTotal in bytes."""
        return self.report.meminfo("MemTotal")


Kernels = dict[tuple[str, bool], Prepared]


def boot(row: Row, prepared: Prepared, folder: Path, dtb: Path,
         spin: float = 0.0) -> Booted:
    """Boot one row; its files go into a folder of their own.

    @spin is that of qemu.Boot.
    """
    own = folder / f"{row.name}-{row.machine.name}" \
        f"{'-stock' if prepared.stock else ''}"
    own.mkdir()
    console = qemu.run(qemu.Boot(
        row.machine, own, prepared.kernel,
        qemu.append(row.machine, "printk.devkmsg=on", row.cmdline,
                    f"guest.fill={_fill(row)}", "guest.areas",
                    "guest.dump" if row.reach or row.inside or row.outside
                    else ""),
        row.memory, dtb, prepared.initrd, timeout=TIMEOUT, silence=SILENCE,
        spin=spin))
    if console.status > 0:
        last = next((line for line in reversed(console.lines) if line.strip()),
                    "no output")
        raise LabError(Exit.ENVIRONMENT, f"{row.title}: {qemu.PROGRAM} ended "
                       f"with status {console.status}: {last.strip()}",
                       console.log)
    return Booted(row, prepared.stock, console, evidence.parse(console.lines))


def _fill(row: Row) -> str:
    share = machines.fill_share(row.memory)
    return f"{share}:{row.fill >> 20}" if row.fill else str(share)


def check(booted: Booted, plain_memory: int | None) -> Case:
    """Judge a boot of the patched kernel.

    @plain_memory  MemTotal without parameters, None: nothing to compare with
    """
    row, report = booted.row, booted.report
    case = judge.health("boot-table", booted.console, report)
    case.name = row.title
    if report.ended:
        _check_log(row, report, case)
        check_memory(row, row.expected, report, plain_memory, case)
    return case


def check_stock(booted: Booted, plain_memory: int | None) -> Case:
    """Judge a boot of the stock kernel by what its user would call wrong.

    Its refusals may have any words, as long as they name what is refused. What
    it does not know (labels, cma_map=) it cannot do; but who asked for more must
    not lose what was there.
    """
    row, report = booted.row, booted.report
    case = judge.health("stock", booted.console, report)
    case.name = row.title
    if not report.ended:
        return case
    for pattern in row.said:
        if not any(re.search(pattern, line) and "ommand line:" not in line
                   for line in report.kernel):
            case.fail(f"nothing in the log matches {pattern!r}")
    if not row.feature:
        check_memory(row, row.stock, report, plain_memory, case)
        return case
    try:
        if row.stock.default and DEFAULT_AREA not in report.areas:
            case.fail("there is no default area any more")
    except Unreadable as error:
        case.fail(str(error))
    _check_use(row, report, case)
    return case


def check_memory(row: Row, expected: Expected, report: Report,
                 plain_memory: int | None, case: Case) -> None:
    """The areas, the totals, and that the memory can be used."""
    try:
        _check_areas(expected, report, case)
        _check_resources(row, expected, report, case)
    except Unreadable as error:
        case.fail(str(error))
    memory = report.meminfo("MemTotal")
    if memory is None:
        case.fail("MemTotal is missing")
    elif plain_memory and \
            abs(memory + expected.lost - plain_memory) > MEMORY_SLACK:
        case.fail(f"MemTotal is {memory >> 10} KiB, without parameters "
                  f"{plain_memory >> 10} KiB"
                  + (f", {expected.lost >> 10} KiB less was expected"
                     if expected.lost else ""))
    _check_use(row, report, case)


def _check_use(row: Row, report: Report, case: Case) -> None:
    """Memory kept what was written to it, and all of it came back."""
    for failure in report.failures:
        case.fail(failure)
    try:
        fill, taken = report.fill, report.taken
        areas = report.areas
    except Unreadable as error:
        case.fail(str(error))
        return
    wanted = FILLED * min(fill.available, row.fill or fill.available)
    if fill.filled < wanted or not fill.filled:
        case.fail(f"only {fill.filled >> 10} of {fill.available >> 10} KiB "
                  "were filled")
    for label in sorted(set(areas) - set(taken.areas)):
        case.fail(f"area {label} was not taken")
    total = report.meminfo("CmaTotal") or 0
    after = report.meminfo("CmaFree")
    if after is None:
        case.fail("CmaFree is missing")
        return
    before = report.before("CmaFree")
    if after > total + STAT_SLACK or before > total + STAT_SLACK:
        case.fail(f"CmaFree is {max(before, after) >> 10} KiB, CmaTotal "
                  f"{total >> 10} KiB")
    if row.reach:
        _check_reach(row.reach, report, case)
    if row.inside or row.outside:
        _check_device(row, report, case)
    if row.heaps is not None and row.heaps != report.heaps:
        case.fail(f"the heaps are {_text(sorted(report.heaps))}, not "
                  f"{_text(sorted(row.heaps))}")
    idle = total - sum(area.used for area in taken.areas.values())
    if idle - after > CMA_SLACK:
        case.fail(f"CmaFree is {after >> 10} KiB in the end, "
                  f"{idle >> 10} KiB should be free")
    busy = idle - sum(area.taken for area in taken.areas.values())
    if taken.free > max(busy, 0) + STAT_SLACK:
        case.fail(f"CmaFree is {taken.free >> 10} KiB with all areas taken, "
                  f"at most {max(busy, 0) >> 10} KiB are left")


def _check_reach(reach: Range, report: Report, case: Case) -> None:
    """No handle of coherent memory that its device cannot address."""
    try:
        outside = [mapping for mapping in report.dump
                   if mapping.type == "coherent" and not mapping.inside(reach)]
    except Unreadable as error:
        case.fail(str(error))
        return
    if outside:
        case.fail(f"{len(outside)} coherent entries outside {reach}, the "
                  f"first is {outside[0]}")


def _check_device(row: Row, report: Report, case: Case) -> None:
    """The coherent memory of the machine's device is where it has to be."""
    device = row.machine.device
    try:
        mine = [mapping for mapping in report.dump
                if mapping.type == "coherent" and mapping.device == device]
    except Unreadable as error:
        case.fail(str(error))
        return
    if not mine:
        case.fail(f"{device}: no coherent entry in the DMA API debug dump")
    for mapping in mine:
        if row.inside and not mapping.inside(row.inside):
            case.fail(f"{device}: {mapping} is not in {row.inside}")
            return
        if row.outside and mapping.inside(row.outside):
            case.fail(f"{device}: {mapping} is in {row.outside}")
            return


def _check_log(row: Row, report: Report, case: Case) -> None:
    refusals = [line for line in report.kernel if _REFUSAL.search(line)]
    for pattern in row.refused:
        matching = [line for line in refusals if re.search(pattern, line)]
        if not matching:
            case.fail(f"no refusal matches {pattern!r}")
        else:
            refusals.remove(matching[0])
    for line in refusals:
        case.fail(f"unexpected refusal: {_STAMP.sub('', line)}")
    for pattern in row.log:
        if not any(re.search(pattern, line) for line in report.kernel):
            case.fail(f"nothing in the log matches {pattern!r}")
    for pattern in row.never:
        for line in report.kernel:
            if re.search(pattern, line) and "command line:" not in line:
                case.fail(f"must not be there: {_STAMP.sub('', line)}")
                break


def _check_areas(expected: Expected, report: Report, case: Case) -> None:
    found = report.areas
    wanted = set(expected.areas) | set(expected.floating)
    if expected.default:
        wanted.add(DEFAULT_AREA)
    for label in sorted(wanted - set(found)):
        case.fail("no default area" if label == DEFAULT_AREA
                  else f"no area {label}")
    for label in sorted(set(found) - wanted):
        case.fail(f"unexpected area {label} {found[label]}")
    for label in sorted(set(found) - report.sysfs_areas):
        case.fail(f"area {label} is not in sysfs")
    for label, area in expected.areas.items():
        if label in found and found[label] != area:
            case.fail(f"area {label} is {found[label]}, not {area}")
    for label, size in expected.floating.items():
        _check_size(label, size, found, case)
    if isinstance(expected.default, Range):
        if found.get(DEFAULT_AREA, expected.default) != expected.default:
            case.fail(f"the default area is {found[DEFAULT_AREA]}, "
                      f"not {expected.default}")
    elif expected.default:
        _check_size(DEFAULT_AREA, expected.default, found, case)
    total = report.meminfo("CmaTotal")
    listed = sum(area.size for area in found.values())
    if total != listed:
        case.fail(f"CmaTotal is {total}, the areas add up to {listed}")


def _check_resources(row: Row, expected: Expected, report: Report,
                     case: Case) -> None:
    """/proc/iomem has what was asked for by name, as it is."""
    areas = report.areas
    wanted = set(expected.areas) | set(expected.floating)
    for label in sorted(set(wish.parse(row.cmdline).areas) & wanted
                        & set(areas) - set(report.resources)):
        # A label that is refused because a node has that name
        if not any(node.name == label for node in row.nodes):
            case.fail(f"area {label} is not in /proc/iomem")
    for label, resource in report.resources.items():
        if areas.get(label) != resource:
            case.fail(f"/proc/iomem has {label} at {resource}, it is "
                      f"{areas.get(label, 'not there')}")


def _check_size(label: str, size: int, found: dict[str, Range],
                case: Case) -> None:
    if label in found and found[label].size != size:
        case.fail(f"area {label} has {ranges.size_text(found[label].size)}, "
                  f"not {ranges.size_text(size)}")


def cma_lines(report: Report) -> list[str]:
    """What the kernel logged about CMA, without times and command line.

    Of the line about all memory only the CMA figure: the sizes of the two
    images differ.
    """
    lines = []
    for line in report.kernel:
        line = _STAMP.sub("", line)
        if not _CMA_LINE.search(line) or "ommand line:" in line:
            continue
        figure = _MEMORY.match(line)
        lines.append(figure[1] if figure else line)
    return lines


def compare(row: Row, stock: Report, patched: Report, case: Case) -> None:
    """Without the new parameters nothing may differ from @stock."""
    if not stock.ended:
        case.fail("the stock kernel did not get to user space")
        return
    for what, theirs, ours in (
            ("CMA lines of the log", cma_lines(stock), cma_lines(patched)),
            ("areas", stock.areas, patched.areas),
            ("CmaTotal", stock.meminfo("CmaTotal"),
             patched.meminfo("CmaTotal"))):
        if theirs != ours:
            case.fail(f"{what}: stock {_text(theirs)}, "
                      f"patched {_text(ours)}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return " | ".join(value) or "none"
    return str(value)


def with_references(chosen: list[Row], table: list[Row]) -> list[Row]:
    """@chosen, and before them the rows that their memory is compared with."""
    needed = [rows.reference(row, table) for row in chosen]
    return list({row.title: row for row in
                 [*(row for row in needed if row), *chosen]}.values())


def boot_all(chosen: list[Row], kernels: Kernels, folder: Path,
             jobs: list[tuple[Row, bool]], spin: float = 0.0,
             on_done: Callable[[Booted, int], None] = lambda booted, n: None
             ) -> dict[tuple[str, bool], Booted]:
    """Boot @jobs (a row and whether it is for the stock kernel) in parallel.

    Returns what came of them by title and stock. @on_done is called with each
    as it ends, and how many have.
    """
    trees = _device_trees(chosen, kernels, folder)
    done: dict[tuple[str, bool], Booted] = {}
    with process.parallel(build.jobs()) as pool:
        futures: list[Future] = [
            pool.submit(boot, row, kernels[row.config, stock], folder,
                        trees[_tree_key(row)], spin)
            for row, stock in jobs]
        for future in as_completed(futures):
            booted: Booted = future.result()
            done[booted.row.title, booted.stock] = booted
            on_done(booted, len(done))
    return done


def _tree_key(row: Row) -> tuple:
    return (row.machine.name, row.memory, row.overlay, row.nodes,
            row.regions)


def _device_trees(chosen: list[Row], kernels: Kernels, folder: Path
                  ) -> dict[tuple, Path]:
    """One tree per machine, memory and overlay, as `.dts` source as well."""
    trees: dict[tuple, Path] = {}
    for row in chosen:
        key = _tree_key(row)
        if key in trees:
            continue
        # zynq: every kernel has its tree, and they are the same
        prepared = kernels.get((row.config, False)) or \
            kernels[row.config, True]
        own = folder / "-".join(["dtb", row.machine.name, str(row.memory)]
                                + ([row.name] if row.overlay or row.nodes
                                   else []))
        own.mkdir(parents=True)
        overlay = row.overlay
        if row.nodes:
            overlay = own / "nodes.dtso"
            overlay.write_text(nodes.overlay(row.nodes, row.machine.cells,
                                             row.regions))
        trees[key] = qemu.device_tree(row.machine, prepared.build, own,
                                      row.memory, False, overlay)
    return trees


def plain_memory(row: Row, table: list[Row], stock: bool,
                 done: dict[tuple[str, bool], Booted]) -> int | None:
    """MemTotal of the row that @row is compared with, if that boot ended."""
    other = rows.reference(row, table)
    booted = done.get((other.title, stock)) if other else None
    return booted.memory if booted else None


def run(chosen: list[Row], prepared: Prepared, folder: Path,
        stock: Prepared | None = None,
        progress: Callable[[str], None] = lambda text: None) -> list[Case]:
    """Boot and judge @chosen on one configuration; cases in table order.

    With @stock, rows marked same_as_stock boot that kernel too and are
    compared; without it that comparison is a skip with a name.
    """
    config = chosen[0].config
    kernels: Kernels = {(config, False): prepared}
    jobs = [(row, False) for row in chosen]
    if stock:
        kernels[config, True] = stock
        jobs += [(row, True) for row in chosen if row.same_as_stock]
    done = boot_all(chosen, kernels, folder, jobs, on_done=lambda _, count:
                    progress(f"{count} of {len(jobs)}"))
    cases = []
    for row in chosen:
        booted = done[row.title, False]
        cases.append(check(booted, plain_memory(row, chosen, False, done)))
        if row.same_as_stock:
            case = Case("boot-table-stock", row.title,
                        log=str(booted.console.log))
            if stock:
                other = done[row.title, True]
                case.seconds = other.console.seconds
                compare(row, other.report, booted.report, case)
            else:
                case.status = "skipped"
                case.message = "needs the stock kernel: --stock"
            cases.append(case)
    return cases
