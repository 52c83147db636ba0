# SPDX-License-Identifier: GPL-2.0-only
"""Read a flattened device tree, as specified by devicetree.org, chapter 5."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MAGIC = 0xd00dfeed
HEADER = struct.Struct(">10I")
OLDEST_VERSION = 16
BEGIN_NODE, END_NODE, PROPERTY, NOTHING, END = 1, 2, 3, 4, 9


class FdtError(ValueError):
    """Not a device tree blob, or one that is broken; the text says how."""


@dataclass(eq=False)
class Node:
    """A node with its properties as they are in the blob."""

    name: str
    parent: "Node | None"
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The full path; "/" for the root."""
        if self.parent is None:
            return "/"
        return f"{self.parent.path.rstrip('/')}/{self.name}"

    def strings(self, name: str) -> tuple[str, ...]:
        """The strings of a property, none if it does not exist."""
        value = self.properties.get(name)
        if not value:
            return ()
        return tuple(value.removesuffix(b"\0").decode("ascii", "replace")
                     .split("\0"))

    def cells(self, name: str) -> tuple[int, ...]:
        """The 32-bit numbers of a property; raises FdtError if it has none."""
        value = self.properties.get(name, b"")
        if len(value) % 4:
            raise FdtError(f"{self.path}: {name} has {len(value)} bytes, "
                           "whole cells of 4 bytes are expected")
        return struct.unpack(f">{len(value) // 4}I", value)

    @property
    def available(self) -> bool:
        """What of_device_is_available() says: the status of this node."""
        return self.strings("status") in ((), ("okay",), ("ok",))

    @property
    def enabled(self) -> bool:
        """Whether this node and all above it are available."""
        return self.available and (self.parent is None or
                                   self.parent.enabled)

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, in the order of the blob."""
        yield self
        for child in self.children:
            yield from child.walk()


def header(data: bytes) -> tuple[int, int, int]:
    """(size, start of the nodes, start of the names); raises FdtError."""
    if len(data) < HEADER.size:
        raise FdtError(f"{len(data)} bytes are no device tree blob")
    magic, total, structure, names, _, version, oldest = \
        HEADER.unpack_from(data)[:7]
    if magic != MAGIC:
        raise FdtError(f"it begins with 0x{magic:08x}, a device tree blob "
                       f"with 0x{MAGIC:08x}")
    if total > len(data):
        raise FdtError(f"its header says {total} bytes, it has {len(data)}")
    if version < OLDEST_VERSION or oldest > 17:
        raise FdtError(f"version {version}, 16 or 17 can be read")
    return total, structure, names


def parse(data: bytes) -> Node:
    """The root of the tree in @data; raises FdtError."""
    total, structure, names = header(data)
    try:
        return _nodes(data[:total], structure, names)
    except (struct.error, ValueError, IndexError) as error:
        if isinstance(error, FdtError):
            raise
        raise FdtError("it ends in the middle of a node") from None


def _text(data: bytes, start: int) -> tuple[str, int]:
    end = data.index(b"\0", start)
    return data[start:end].decode("ascii", "replace"), end + 1


def _nodes(data: bytes, position: int, names: int) -> Node:
    root: Node | None = None
    node: Node | None = None
    while True:
        token, = struct.unpack_from(">I", data, position)
        position += 4
        if token == BEGIN_NODE:
            name, end = _text(data, position)
            position = end + -end % 4
            child = Node(name, node)
            if node is not None:
                node.children.append(child)
            elif root is None:
                root = child
            else:
                raise FdtError("it has a second root node")
            node = child
        elif token == END_NODE and node is not None:
            node = node.parent
        elif token == PROPERTY and node is not None:
            length, name_at = struct.unpack_from(">2I", data, position)
            position += 8
            name, _ = _text(data, names + name_at)
            node.properties[name] = data[position:position + length]
            position += length + -length % 4
        elif token == END and root is not None and node is None:
            return root
        elif token != NOTHING:
            raise FdtError(f"unexpected token {token} at byte {position - 4}")


def phandles(root: Node) -> dict[int, Node]:
    """Every node that others can point at."""
    found = {}
    for node in root.walk():
        for name in ("phandle", "linux,phandle"):
            for number in node.cells(name)[:1]:
                found[number] = node
    return found
