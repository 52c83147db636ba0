# SPDX-License-Identifier: GPL-2.0-only
"""Who has a memory-region in a device tree, and what would become of it.

The rule that is applied is that of the automatic attach: a device whose own
node has a sole `memory-region`, an available `shared-dma-pool` that is
`reusable`, and that has no IOMMU. It knows nothing about drivers.
"""

from dataclasses import dataclass
from enum import StrEnum

from . import fdt
from .fdt import Node

POOL, RESTRICTED = "shared-dma-pool", "restricted-dma-pool"


class Kind(StrEnum):
    """What a memory-region points at."""

    REUSABLE = "reusable"
    NO_MAP = "no-map pool"
    OTHER_POOL = "pool without reusable"
    RESTRICTED = "restricted pool"
    PLAIN = "no pool"
    DISABLED = "disabled"
    MISSING = "missing"


class Verdict(StrEnum):
    """What the automatic attach does with a device."""

    ATTACHES = "would newly attach"
    DRIVER = "driver attaches it already: nothing changes"
    NO_DRIVER = "no driver in the tree"
    IOMMU = "behind an IOMMU: left alone"
    SEVERAL = "several regions: left alone"
    NOT_REUSABLE = "not reusable: left alone"
    DISABLED = "disabled"


@dataclass(frozen=True, order=True)
class Region:
    """A node of /reserved-memory; sizes and addresses in bytes."""

    name: str
    kind: Kind
    default: bool = False
    start: int | None = None
    size: int | None = None


@dataclass(frozen=True, order=True)
class Use:
    """A node with memory-region.

    @bus is what the parent is compatible with: devices below a simple-bus
    are platform devices, those of other parents may be none.
    """

    path: str
    compatible: tuple[str, ...]
    bus: str
    regions: tuple[Region, ...]
    enabled: bool
    iommu: bool

    @property
    def name(self) -> str:
        """What the node is compatible with first, or its own name."""
        return self.compatible[0] if self.compatible \
            else self.path.rpartition("/")[2]

    @property
    def sole_reusable(self) -> bool:
        """Whether the node has one region, and that a reusable one."""
        return [region.kind for region in self.regions] == [Kind.REUSABLE]

    @property
    def verdict(self) -> Verdict:
        """The verdict as far as the device tree decides it.

        ATTACHES means: unless the driver does it already.
        """
        if not self.enabled:
            return Verdict.DISABLED
        if len(self.regions) > 1:
            return Verdict.SEVERAL
        if self.regions and self.regions[0].kind == Kind.DISABLED:
            return Verdict.DISABLED
        if not self.sole_reusable:
            return Verdict.NOT_REUSABLE
        return Verdict.IOMMU if self.iommu else Verdict.ATTACHES


def uses(data: bytes) -> list[Use]:
    """All nodes with memory-region in a blob; raises FdtError."""
    fdt.header(data)
    if b"memory-region\0" not in data:
        return []                       # most of them; spares the time
    root = fdt.parse(data)
    known = fdt.phandles(root)
    return [_use(node, known) for node in root.walk()
            if "memory-region" in node.properties]


def _use(node: Node, known: dict[int, Node]) -> Use:
    regions = tuple(_region(known.get(number))
                    for number in node.cells("memory-region"))
    return Use(node.path, node.strings("compatible"), _bus(node), regions,
               node.enabled, _behind_iommu(node, known))


def _bus(node: Node) -> str:
    parent = node.parent
    if parent is None or parent.parent is None:
        return "/"
    return ", ".join(parent.strings("compatible")) or \
        parent.name.partition("@")[0]


def _behind_iommu(node: Node, known: dict[int, Node]) -> bool:
    # of_iommu_configure() looks at the device's own node only, and a
    # disabled IOMMU does not count.
    iommu = known.get(next(iter(node.cells("iommus")), 0))
    return iommu is not None and iommu.available


def _number(cells: tuple[int, ...], first: int, count: int) -> int | None:
    if not 0 < count <= len(cells) - first:
        return None
    value = 0
    for cell in cells[first:first + count]:
        value = value << 32 | cell
    return value


def _region(node: Node | None) -> Region:
    if node is None:
        return Region("?", Kind.MISSING)
    address, size = (
        (node.parent.cells(name) if node.parent else ()) or (default,)
        for name, default in (("#address-cells", 2), ("#size-cells", 1)))
    reg = node.cells("reg")
    start = _number(reg, 0, address[0])
    length = _number(reg, address[0], size[0]) if reg \
        else _number(node.cells("size"), 0, size[0])
    return Region(node.name, _kind(node), "linux,cma-default" in
                  node.properties, start, length)


def _kind(node: Node) -> Kind:
    if not node.available:
        return Kind.DISABLED
    compatible = node.strings("compatible")
    if RESTRICTED in compatible:
        return Kind.RESTRICTED
    if POOL not in compatible or node.parent is None or \
            node.parent.path != "/reserved-memory":
        return Kind.PLAIN
    if "no-map" in node.properties:
        return Kind.NO_MAP
    return Kind.REUSABLE if "reusable" in node.properties \
        else Kind.OTHER_POOL
