# SPDX-License-Identifier: GPL-2.0-only
"""The boot table: command lines and device trees, and what must follow.

kunit/matrix/*.toml hold the rows. Each is booted once per machine
and judged from the console: user space reached, no splat, exactly the
expected refusals, exactly the expected areas, CmaTotal their sum, and no
memory lost against a boot without parameters.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import evidence, judge, machines, paths, process, qemu, ranges, toml
from .errors import Exit, LabError
from .evidence import Report, Unreadable
from .machines import Machine
from .prepare import Prepared
from .ranges import Range
from .report import Case

TABLES = paths.REPO / "kunit" / "matrix"
PARALLEL = 2
TIMEOUT = 60.0
DEFAULT_AREA = judge.DEFAULT_AREA
# Page tables and debug objects differ a little between boots.
MEMORY_SLACK = 512 << 10
_REFUSAL = re.compile(r"\b(cma|Reserved memory): .*\brefused\b")
_CMA_LINE = re.compile(r"\bcma\b", re.I)
_STAMP = re.compile(r"^\[ *\d+\.\d+\]\s*")
_MEMORY = re.compile(r"Memory: .*?(\d+K cma-reserved)")
_PLACE = re.compile(r"\{(ram|end)([+-]\w+)?\}")

# key: (type, default); a table per machine is allowed where machines matters
KEYS: dict[str, tuple[type, Any]] = {
    "name": (str, None), "why": (str, None),
    "machines": (list, sorted(machines.MACHINES)),
    "cmdline": (str, None), "refused": (list, []), "log": (list, []),
    "never": (list, []), "areas": (dict, {}), "floating": (dict, {}),
    "default": (str, "16M"), "memory": (str, ""), "lost": (str, "0"),
    "dtso": (str, ""), "same_as_stock": (bool, False),
}


@dataclass(frozen=True)
class Row:
    """One row of the table for one machine; ranges and regexes are final.

    @refused   one regex per refusal line that must be there; no other may be
    @log       regexes that must match a line, @never that must not
    @areas     label: exact range, @floating label: size, anywhere in RAM
    @default   size of the default area, 0 for none, or its exact range
    @lost      bytes that MemTotal has to be short of
    @overlay   device tree overlay, None for the machine's own tree
    """

    name: str
    why: str
    machine: Machine
    memory: int
    cmdline: str
    refused: tuple[str, ...]
    log: tuple[str, ...]
    never: tuple[str, ...]
    areas: dict[str, Range]
    floating: dict[str, int]
    default: int | Range
    lost: int
    overlay: Path | None
    same_as_stock: bool

    @property
    def title(self) -> str:
        """Name of the case."""
        return f"{self.name} on {self.machine.name}"


def load(where: Path = TABLES) -> list[Row]:
    """Read and check a table, or all in a folder; LabError(USAGE) names a row."""
    rows: list[Row] = []
    names: set[str] = set()
    for path in sorted(where.glob("*.toml")) if where.is_dir() else [where]:
        rows += _load(path, names)
    if not rows:
        raise LabError(Exit.USAGE, f"{where}: no *.toml with rows")
    return rows


def _load(path: Path, names: set[str]) -> list[Row]:
    document = toml.read(path)
    unknown = set(document) - {"row"}
    entries = document.get("row")
    if unknown or not isinstance(entries, list) or not entries:
        raise LabError(Exit.USAGE, f"{path}: a list of [[row]] tables is "
                       "expected" + (f", not {', '.join(sorted(unknown))}"
                                     if unknown else ""))
    rows: list[Row] = []
    for number, entry in enumerate(entries, 1):
        where = f"{path.name}: row {entry.get('name', number)!r}"
        try:
            made = _rows(entry)
        except (ValueError, re.error) as error:
            raise LabError(Exit.USAGE, f"{where}: {error}") from None
        if entry["name"] in names:
            raise LabError(Exit.USAGE, f"{where}: the name is already taken")
        names.add(entry["name"])
        rows += made
    return rows


def _rows(entry: dict[str, Any]) -> list[Row]:
    unknown = sorted(set(entry) - set(KEYS))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}, known are "
                         + ", ".join(KEYS))
    values = {}
    for key, (kind, default) in KEYS.items():
        value = entry.get(key, default)
        if value is None:
            raise ValueError(f"{key} is missing")
        if not isinstance(value, kind):
            raise ValueError(f"{key} must be a {kind.__name__}")
        values[key] = value
    if not re.fullmatch(r"[a-z0-9-]+", values["name"]):
        raise ValueError("name must be of a-z, 0-9 and -")
    for key in ("refused", "log", "never", "machines"):
        if not all(isinstance(item, str) for item in values[key]):
            raise ValueError(f"{key} must be a list of strings")
    unknown = sorted(set(values["machines"]) - set(machines.MACHINES))
    if unknown or not values["machines"]:
        raise ValueError(f"no machine {unknown[0]!r}" if unknown
                         else "machines is empty")
    return [_row(values, machines.MACHINES[name])
            for name in values["machines"]]


def _row(values: dict[str, Any], machine: Machine) -> Row:
    try:
        memory = machines.memory(machine, values["memory"] or None)
    except LabError as error:
        raise ValueError(error.message.replace("--mem", "memory")) from None

    def place(text: str) -> str:
        return _place(text, machine, memory)

    regexes = {key: tuple(_regex(place(text)) for text in values[key])
               for key in ("refused", "log", "never")}
    default = place(values["default"])
    overlay = paths.REPO / values["dtso"] if values["dtso"] else None
    if overlay and not overlay.is_file():
        raise ValueError(f"dtso: there is no file {values['dtso']}")
    return Row(
        values["name"], values["why"], machine, memory,
        place(values["cmdline"]), **regexes,
        areas={label: ranges.parse(place(text))
               for label, text in values["areas"].items()},
        floating={label: ranges.number(text)
                  for label, text in values["floating"].items()},
        default=ranges.parse(default) if "@" in default
        else ranges.number(default),
        lost=ranges.number(values["lost"]), overlay=overlay,
        same_as_stock=values["same_as_stock"])


def _regex(text: str) -> str:
    re.compile(text)
    return text


def _place(text: str, machine: Machine, memory: int) -> str:
    """Replace {ram+32M} and {end-16M} in @text by addresses on @machine."""
    def address(match: re.Match) -> str:
        base = machine.ram
        if match[1] == "end":
            base += machines.ram_bytes(memory)
        offset = match[2] or "+0"
        value = ranges.number(offset[1:])
        return f"0x{base - value if offset[0] == '-' else base + value:08x}"
    return _PLACE.sub(address, text)


def boot(row: Row, prepared: Prepared, folder: Path, dtb: Path
         ) -> tuple[qemu.Console, Report]:
    """Boot one row; its files go into a folder of their own."""
    own = folder / f"{row.name}-{row.machine.name}" \
        f"{'-stock' if prepared.stock else ''}"
    own.mkdir()
    console = qemu.run(qemu.Boot(
        row.machine, own, prepared.kernel,
        qemu.append(row.machine, "printk.devkmsg=on", row.cmdline),
        row.memory, dtb, prepared.initrd, timeout=TIMEOUT))
    return console, evidence.parse(console.lines)


def check(row: Row, console: qemu.Console, report: Report,
          plain_memory: int | None) -> Case:
    """Judge one boot; @plain_memory is MemTotal without parameters."""
    case = judge.health("boot-table", console, report)
    case.name = row.title
    if not report.ended:
        return case
    for failure in report.failures:
        case.fail(failure)
    _check_log(row, report, case)
    try:
        _check_areas(row, report, case)
    except Unreadable as error:
        case.fail(str(error))
    memory = report.meminfo("MemTotal")
    if memory is None:
        case.fail("MemTotal is missing")
    elif plain_memory and \
            abs(memory + row.lost - plain_memory) > MEMORY_SLACK:
        case.fail(f"MemTotal is {memory >> 10} KiB, without parameters "
                  f"{plain_memory >> 10} KiB"
                  + (f", {row.lost >> 10} KiB less was expected"
                     if row.lost else ""))
    return case


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


def _check_areas(row: Row, report: Report, case: Case) -> None:
    found = report.areas
    wanted = set(row.areas) | set(row.floating)
    if row.default:
        wanted.add(DEFAULT_AREA)
    for label in sorted(wanted - set(found)):
        case.fail("no default area" if label == DEFAULT_AREA
                  else f"no area {label}")
    for label in sorted(set(found) - wanted):
        case.fail(f"unexpected area {label} {found[label]}")
    for label, area in row.areas.items():
        if label in found and found[label] != area:
            case.fail(f"area {label} is {found[label]}, not {area}")
    for label, size in row.floating.items():
        _check_size(label, size, found, case)
    if isinstance(row.default, Range):
        if found.get(DEFAULT_AREA, row.default) != row.default:
            case.fail(f"the default area is {found[DEFAULT_AREA]}, "
                      f"not {row.default}")
    elif row.default:
        _check_size(DEFAULT_AREA, row.default, found, case)
    total = report.meminfo("CmaTotal")
    listed = sum(area.size for area in found.values())
    if total != listed:
        case.fail(f"CmaTotal is {total}, the areas add up to {listed}")


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


def run(rows: list[Row], prepared: Prepared, folder: Path,
        stock: Prepared | None = None,
        progress: Callable[[str], None] = lambda text: None) -> list[Case]:
    """Boot and judge @rows, PARALLEL at a time; cases in table order.

    With @stock, rows marked same_as_stock boot that kernel too and are
    compared; without it that comparison is a skip with a name.
    """
    trees: dict[tuple[str, int, Path | None], Path] = {}
    for row in rows:
        key = row.machine.name, row.memory, row.overlay
        if key not in trees:
            own = folder / "-".join(["dtb", row.machine.name, str(row.memory)]
                                    + ([row.overlay.stem] if row.overlay
                                       else []))
            own.mkdir(parents=True)
            trees[key] = qemu.device_tree(row.machine, prepared.build, own,
                                          row.memory, False, row.overlay)
    jobs: list[tuple[Row, Prepared]] = []
    for row in rows:
        jobs.append((row, prepared))
        if stock and row.same_as_stock:
            jobs.append((row, stock))
    done: dict[tuple[str, bool], tuple[qemu.Console, Report]] = {}
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        futures: dict[Future, tuple[Row, Prepared]] = {
            pool.submit(boot, row, kernel, folder,
                        trees[row.machine.name, row.memory, row.overlay]):
            (row, kernel)
            for row, kernel in jobs}
        for future in as_completed(futures):
            row, kernel = futures[future]
            done[row.title, kernel.stock] = future.result()
            progress(f"{len(done)} of {len(jobs)}")
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        process.kill_all()
        raise
    pool.shutdown()
    plain = {(row.machine.name, row.memory):
             done[row.title, prepared.stock][1].meminfo("MemTotal")
             for row in rows if not row.cmdline and not row.overlay}
    cases = []
    for row in rows:
        console, report = done[row.title, prepared.stock]
        cases.append(check(row, console, report,
                           plain.get((row.machine.name, row.memory))))
        if row.same_as_stock:
            case = Case("boot-table-stock", row.title, log=str(console.log))
            if stock:
                other = done[row.title, True]
                case.seconds = other[0].seconds
                compare(row, other[1], report, case)
            else:
                case.status = "skipped"
                case.message = "needs the stock kernel: --stock"
            cases.append(case)
    return cases
