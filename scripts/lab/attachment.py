# SPDX-License-Identifier: GPL-2.0-only
"""Which area a device tree gives a device without its driver's help.

Read from the blob on the host, so that what the kernel says about itself can
be compared with it. The rule is that of the kernel's documentation,
admin-guide/dma-contiguous.rst, "From the device tree".
"""

from pathlib import Path

from . import fdt
from .errors import Exit, LabError
from .ranges import Range


def area(blob: Path, path: str) -> Range | None:
    """The fixed area that is the only memory-region of the node at @path.

    None if there is no such node, or if it has no such area. Raises
    LabError(USAGE) if @blob is no device tree.
    """
    try:
        root = fdt.parse(blob.read_bytes())
        node = next((n for n in root.walk() if n.path == path), None)
        if not node or not node.enabled:
            return None
        return _area(root, node)
    except fdt.FdtError as error:
        raise LabError(Exit.USAGE, f"{blob}: {error}") from None


def _area(root: fdt.Node, node: fdt.Node) -> Range | None:
    regions = node.cells("memory-region")
    if len(regions) != 1:
        return None
    region = fdt.phandles(root).get(regions[0])
    if not region or not region.available or "reusable" not in \
            region.properties or "no-map" in region.properties or \
            "shared-dma-pool" not in region.strings("compatible"):
        return None
    cells = region.cells("reg")
    addresses, sizes = (root.cells(f"#{name}-cells")[0]
                        for name in ("address", "size"))
    if len(cells) != addresses + sizes:
        return None
    return Range(_number(cells[:addresses]), _number(cells[addresses:]))


def _number(cells: tuple[int, ...]) -> int:
    value = 0
    for cell in cells:
        value = value << 32 | cell
    return value
