# SPDX-License-Identifier: GPL-2.0-only
"""The rows of kunit/matrix/*.toml: what is booted, and what must follow.

kunit/matrix/cmdline.toml explains the keys.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import kconfig, machines, nodes, paths, ranges, toml
from .errors import Exit, LabError
from .machines import Machine
from .nodes import Node
from .ranges import Range

TABLES = paths.REPO / "kunit" / "matrix"
DEFAULT_CONFIG = "default"
_PLACE = re.compile(r"\{(ram|end|low)([+-]\w+)?(:x)?\}")
# What the stock kernel takes for garbage or does not know.
_FEATURE = re.compile(r"\bcma_map\b|\bcma=[^ ]*[=,]")
_DEFECT = re.compile(r"D\d+[a-z]?")
# A stock kernel that says no: the words of its own messages.
_FAILED = r"(?i:refus|fail|incorrect|unable|exceed|must be|overlap|" \
          r"not enough|unsupported|not yet supported|could not|skip)"

# key: (type, default); None: the key has to be there
KEYS: dict[str, tuple[type, Any]] = {
    "name": (str, None), "why": (str, None), "defects": (list, []),
    "machines": (list, sorted(machines.DEFAULT)),
    "config": (str, DEFAULT_CONFIG),
    "cmdline": (str, None), "refused": (list, []), "log": (list, []),
    "never": (list, []), "areas": (dict, {}), "floating": (dict, {}),
    "default": (str, "16M"), "memory": (str, ""), "lost": (str, "0"),
    "memory_like": (str, ""), "fill": (str, "0"), "reach": (str, ""),
    "inside": (str, ""), "outside": (str, ""), "dtso": (str, ""),
    "nodes": (list, []), "regions": (dict, {}), "heaps": (list, ["any"]),
    "same_as_stock": (bool, False), "stock": (dict, {}),
}
STOCK_KEYS = ("said", "areas", "floating", "default", "lost")


@dataclass(frozen=True)
class Expected:
    """The areas and the memory that must be there.

    @areas     label: exact range, @floating label: size, anywhere in RAM
    @default   size of the default area, 0 for none, or its exact range
    @lost      bytes that MemTotal has to be short of
    """

    areas: dict[str, Range]
    floating: dict[str, int]
    default: int | Range
    lost: int


@dataclass(frozen=True)
class Row:
    """One row of the table for one machine; ranges and regexes are final.

    @defects   ids of what is wrong in the stock kernel
    @config    kernel configuration
    @refused   one regex per refusal line that must be there; no other may be
    @log       regexes that must match a line, @never that must not
    @expected  areas and memory
    @said      one regex per line that a stock kernel owes its user
    @stock     areas and memory that would be right on a stock kernel
    @overlay   device tree overlay, @nodes /reserved-memory, else the
               machine's own tree
    @memory_like  the row whose MemTotal this one must have
    @fill      fill at most so many bytes, 0: all there is
    @regions   nodes of the device tree and which of @nodes are their
               memory-region
    @reach     where all coherent memory has to lie, None: anywhere
    @heaps     all DMA heaps that there are, None: not looked at
    @inside    where that of the machine's device has to lie, None: anywhere
    @outside   and where none of it may lie
    @feature   it uses what stock kernels do not have
    """

    name: str
    why: str
    defects: tuple[str, ...]
    machine: Machine
    config: str
    memory: int
    cmdline: str
    refused: tuple[str, ...]
    log: tuple[str, ...]
    never: tuple[str, ...]
    expected: Expected
    said: tuple[str, ...]
    stock: Expected
    overlay: Path | None
    nodes: tuple[Node, ...]
    memory_like: str
    same_as_stock: bool
    fill: int
    reach: Range | None
    regions: tuple[tuple[str, tuple[str, ...]], ...]
    heaps: frozenset[str] | None
    inside: Range | None
    outside: Range | None
    feature: bool

    @property
    def title(self) -> str:
        """Name of the case."""
        return f"{self.name} on {self.machine.name}"

    @property
    def where(self) -> tuple[str, int, str]:
        """Machine, memory and configuration: what MemTotal depends on."""
        return self.machine.name, self.memory, self.config

    @property
    def plain(self) -> bool:
        """Nothing asked for: the others' memory is compared with this."""
        return not (self.cmdline or self.overlay or self.nodes)


def load(where: Path = TABLES) -> list[Row]:
    """Read and check a table, or all in a folder; LabError(USAGE) names a row."""
    rows: list[Row] = []
    names: set[str] = set()
    for path in sorted(where.glob("*.toml")) if where.is_dir() else [where]:
        rows += _load(path, names)
    if not rows:
        raise LabError(Exit.USAGE, f"{where}: no *.toml with rows")
    return rows


def reference(row: Row, rows: list[Row]) -> Row | None:
    """The row among @rows whose MemTotal that of @row is compared with.

    None if it is such a row itself. LabError(USAGE) if there is none.
    """
    if row.plain:
        return None
    for other in rows:
        if other.where == row.where and other is not row and \
                (other.name == row.memory_like if row.memory_like
                 else other.plain):
            return other
    if row.memory_like:
        return None if row.memory_like == row.name else _no_reference(
            row, f"row {row.memory_like!r}")
    return _no_reference(row, "row without parameters and nodes")


def _no_reference(row: Row, what: str) -> None:
    name, memory, config = row.where
    raise LabError(Exit.USAGE, f"row {row.name!r}: there is no {what} on "
                   f"{name} with {memory} MiB and configuration {config} to "
                   "compare MemTotal with")


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
    _check(values)
    return [_row(values, machines.MACHINES[name])
            for name in values["machines"]]


def _check(values: dict[str, Any]) -> None:
    if not re.fullmatch(r"[a-z0-9-]+", values["name"]):
        raise ValueError("name must be of a-z, 0-9 and -")
    for key in ("refused", "log", "never", "machines", "nodes", "defects",
                "heaps"):
        if not all(isinstance(item, str) for item in values[key]):
            raise ValueError(f"{key} must be a list of strings")
    for text in values["defects"]:
        if not _DEFECT.fullmatch(text):
            raise ValueError(f"defects: {text!r} is not an id such as D7")
    unknown = sorted(set(values["machines"]) - set(machines.MACHINES))
    if unknown or not values["machines"]:
        raise ValueError(f"no machine {unknown[0]!r}" if unknown
                         else "machines is empty")
    for path, names in values["regions"].items():
        if not isinstance(names, list) or \
                not all(isinstance(name, str) for name in names):
            raise ValueError(f"regions: {path} must be a list of strings")
    if values["regions"] and not values["nodes"]:
        raise ValueError("regions needs nodes")
    if values["dtso"] and values["nodes"]:
        raise ValueError("dtso and nodes exclude each other")
    unknown = sorted(set(values["stock"]) - set(STOCK_KEYS))
    if unknown:
        raise ValueError(f"stock: unknown key {unknown[0]!r}, known are "
                         + ", ".join(STOCK_KEYS))
    for key, value in values["stock"].items():
        kind = list if key == "said" else KEYS[key][0]
        if not isinstance(value, kind):
            raise ValueError(f"stock: {key} must be a {kind.__name__}")
    try:
        kconfig.fragments(values["config"])
    except LabError as error:
        raise ValueError(error.message) from None


def _row(values: dict[str, Any], machine: Machine) -> Row:
    config = values["config"]
    if machine.config and config != machine.config:
        raise ValueError(f"{machine.name} needs config {machine.config!r}")
    try:
        memory = machines.memory(machine, values["memory"] or None)
    except LabError as error:
        raise ValueError(error.message.replace("--mem", "memory")) from None

    def place(text: str) -> str:
        return _place(text, machine, memory)

    regexes = {key: tuple(_regex(place(text)) for text in values[key])
               for key in ("refused", "log", "never")}
    overlay = paths.REPO / values["dtso"] if values["dtso"] else None
    if overlay and not overlay.is_file():
        raise ValueError(f"dtso: there is no file {values['dtso']}")
    made = tuple(nodes.parse(place(text)) for text in values["nodes"])
    regions = tuple((machine.node if path == "device" else path,
                     tuple(place(name) for name in names))
                    for path, names in values["regions"].items())
    nodes.overlay(made, machine.cells, regions)
    feature = bool(_FEATURE.search(values["cmdline"]))
    return Row(
        values["name"], values["why"], tuple(values["defects"]), machine,
        config, memory, place(values["cmdline"]), **regexes,
        expected=_expected(values, place),
        said=_said(values, regexes["refused"], feature, place),
        stock=_expected({**values, **values["stock"]}, place),
        overlay=overlay, nodes=made, memory_like=values["memory_like"],
        same_as_stock=values["same_as_stock"],
        fill=ranges.number(values["fill"]),
        **{key: ranges.parse(place(values[key])) if values[key] else None
           for key in ("reach", "inside", "outside")},
        regions=regions,
        heaps=None if values["heaps"] == ["any"]
        else frozenset(place(name) for name in values["heaps"]),
        feature=feature)


def _expected(values: dict[str, Any], place) -> Expected:
    default = place(values["default"])
    return Expected(
        areas={place(label): ranges.parse(place(text))
               for label, text in values["areas"].items()},
        floating={label: ranges.number(text)
                  for label, text in values["floating"].items()},
        default=ranges.parse(default) if "@" in default
        else ranges.number(default),
        lost=ranges.number(values["lost"]))


def _said(values: dict[str, Any], refused: tuple[str, ...], feature: bool,
          place) -> tuple[str, ...]:
    """What a stock kernel owes for each refusal, in words of its own.

    A line that has the name of the refused node, with which each regex of
    @refused begins, and a word for failure. For a command line the row has
    to say it, as `cma` is in every line.
    """
    if "said" in values["stock"]:
        return tuple(_regex(place(text)) for text in values["stock"]["said"])
    if feature or not refused:
        return ()
    found = []
    for pattern in refused:
        name = re.match(r"[\w@,-]+", pattern)
        if not name or name[0] in ("cma", "reserved"):
            raise ValueError("stock = { said = […] } is missing: what a stock "
                             f"kernel has to say instead of {pattern!r}")
        found.append(f"{re.escape(name[0])}\\b.*{_FAILED}|"
                     f"{_FAILED}.*{re.escape(name[0])}\\b")
    return tuple(found)


def _regex(text: str) -> str:
    re.compile(text)
    return text


def _place(text: str, machine: Machine, memory: int) -> str:
    """Replace {ram+32M}, {low-8M} and {end-16M} in @text by addresses.

    With :x before the brace, as unit addresses of nodes: without 0x.
    """
    def address(match: re.Match) -> str:
        base = machine.ram
        if match[1] == "end":
            base += machines.ram_bytes(memory)
        elif match[1] == "low":
            base += min(machines.LOW_MEMORY, machines.ram_bytes(memory))
        offset = match[2] or "+0"
        value = ranges.number(offset[1:])
        value = base - value if offset[0] == "-" else base + value
        return f"{value:x}" if match[3] else f"0x{value:08x}"
    return _PLACE.sub(address, text)
