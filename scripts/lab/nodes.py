# SPDX-License-Identifier: GPL-2.0-only
"""Nodes of /reserved-memory, written in a table as one line each.

    good 8M@0x46000000 reusable
    pool 4M@0x46400000 no-map
    anywhere 8M reusable

That is a name, a size, for a static node a start (which also becomes the unit
address), and its properties. Two words are more than a property without a
value: `disabled` is status = "disabled", `bare` leaves out
compatible = "shared-dma-pool".
"""

import re
from dataclasses import dataclass

from . import ranges

_NAME = re.compile(r"[a-z][a-z0-9,._+-]*")
_PCI = re.compile(r"pcie@[0-9a-f]+/[^/]*@([0-9a-f]+),([0-7])$")
DISABLED, BARE = "disabled", "bare"


@dataclass(frozen=True)
class Node:
    """One node; @start is None if the kernel is to choose."""

    name: str
    size: int
    start: int | None
    words: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """The name as the kernel has it, with the unit address."""
        return self.name if self.start is None else \
            f"{self.name}@{self.start:x}"


def parse(text: str) -> Node:
    """The node in @text; raises ValueError that says what is wrong."""
    name, *rest = text.split()
    if not rest:
        raise ValueError(f"node {text!r}: NAME SIZE[@START] PROPERTY… is "
                         "expected")
    for word in (name, *rest[1:]):
        if not _NAME.fullmatch(word):
            raise ValueError(f"node {text!r}: {word!r} is not a name")
    if "@" in rest[0]:
        place = ranges.parse(rest[0])
        return Node(name, place.size, place.start, tuple(rest[1:]))
    return Node(name, ranges.number(rest[0]), None, tuple(rest[1:]))


def _cells(value: int, cells: int) -> str:
    if cells == 1:
        if value >> 32:
            raise ValueError(f"0x{value:x} needs two cells, this machine's "
                             "tree has one")
        return f"0x{value:08x}"
    return f"0x{value >> 32:x} 0x{value & 0xffffffff:08x}"


def _properties(node: Node, cells: int) -> list[str]:
    lines = [] if BARE in node.words else ['compatible = "shared-dma-pool";']
    size = _cells(node.size, cells)
    if node.start is None:
        lines.append(f"size = <{size}>;")
    else:
        lines.append(f"reg = <{_cells(node.start, cells)} {size}>;")
    if DISABLED in node.words:
        lines.append('status = "disabled";')
    return lines + [f"{word};" for word in node.words
                    if word not in (DISABLED, BARE)]


def overlay(nodes: tuple[Node, ...], cells: int,
            regions: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> str:
    """The source of an overlay; @cells is #address-cells of the tree's root.

    The kernel will see the nodes in the order of @nodes: fdtoverlay puts
    each new one before those that are there. @regions are paths of other
    nodes and which of @nodes their memory-region names; a node below a PCI
    host bridge, DEVICE@NUMBER,FUNCTION, is made. Raises ValueError for a name
    that no node has.
    """
    labels = {node.full_name: f"node_{number}"
              for number, node in enumerate(nodes)}
    text = ["/dts-v1/;", "/plugin/;", "", "&{/} {", "\treserved-memory {",
            f"\t\t#address-cells = <{cells}>;",
            f"\t\t#size-cells = <{cells}>;", "\t\tranges;"]
    for node in reversed(nodes):
        text += ["", f"\t\t{labels[node.full_name]}: {node.full_name} {{",
                 *(f"\t\t\t{line}" for line in _properties(node, cells)),
                 "\t\t};"]
    text += ["\t};", "};"]
    for path, names in regions:
        unknown = [name for name in names if name not in labels]
        if unknown:
            raise ValueError(f"regions: there is no node {unknown[0]!r}")
        parent, _, name = path.rpartition("/")
        text += ["", f"&{{{parent or '/'}}} {{", f"\t{name} {{"]
        number = _PCI.search(path)
        if number:
            # bus << 16 | device << 11 | function << 8
            cell = int(number[1], 16) << 11 | int(number[2], 16) << 8
            text.append(f"\t\treg = <0x{cell:x} 0 0 0 0>;")
        listed = ", ".join(f"<&{labels[name]}>" for name in names)
        text += [f"\t\tmemory-region = {listed};" if names
                 else "\t\tmemory-region;", "\t};", "};"]
    return "\n".join([*text, ""])
