# SPDX-License-Identifier: GPL-2.0-only
"""MAINTAINERS-notes/4-areas-audit.md: numbers, devices, conclusions.

Nothing in it depends on when or where it was made, except for the version of
the kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .audit_conclusions import Conclusions
from .audit_nodes import Region, Use, Verdict
from .paths import MIB

if TYPE_CHECKING:
    from .audit import Audit, Found

EXAMPLES = 2
# Those that the device tree alone decides, in the order of the last tables.
LEFT_ALONE = (Verdict.SEVERAL, Verdict.NOT_REUSABLE, Verdict.DISABLED)

_HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0-only -->
<!-- Written by `scripts/cma audit`. Edit 4-areas-audit.toml instead. -->
# Which in-tree devices would newly get an area

Every node with `memory-region` in the device trees of Linux {version} ({trees}),
and what the automatic attach of the series makes of it. `scripts/cma audit` builds
all device trees (no kernel) and writes this page again; what people concluded from
reading drivers is kept in `4-areas-audit.toml`. The command fails if a device with a
sole reusable region has no conclusion there, or if a conclusion has no device.

{conclusion}
"""

_MEANING = """\
| verdict | means |
|---|---|
| would newly attach | a sole, available, reusable `shared-dma-pool`, no IOMMU, and the driver never calls `of_reserved_mem_device_init*()` |
| driver attaches it already | the same, but the driver calls it |
| no driver in the tree | the same, but no C file has the compatible string; nothing is probed, so nothing is attached |
| behind an IOMMU | the same, but the node has `iommus` of an available IOMMU. If that has no driver, the device counts as one without |
| several regions | two or more, whatever they are: the driver chooses |
| not reusable | one region, which is no CMA area |
| disabled | the device, a node above it, or the sole region is disabled |

A node counts once for each device tree that has it. Many boards include the same
file, so the numbers of different devices are much smaller. The driver is every C
file with the compatible string in a match table; where there is none, the driver of a
device above it may look at the node.
"""


def totals(audit: Audit, where: str) -> dict[Verdict, int]:
    """How many nodes got each verdict in one folder of device trees."""
    found = Counter(one.verdict for one in audit.found if one.where == where)
    return {verdict: found[verdict] for verdict in Verdict}


def render(audit: Audit, conclusions: Conclusions, version: str,
           others: list[str]) -> str:
    """The page; deterministic for the same arguments.

    @others are sources with memory-region of other architectures.
    """
    trees = ", ".join(f"{number} of {where}"
                      for where, number in audit.trees.items())
    parts = [_HEAD.format(version=version, trees=trees,
                          conclusion=conclusions.conclusion),
             "## Numbers\n\n" + _numbers(audit) + "\n" + _MEANING,
             _other_architectures(others),
             "## Devices with a sole reusable region\n\n"
             + _reusable(audit, conclusions)]
    parts += [f"## {title}\n\n{text}\n" for title, text in conclusions.notes]
    for verdict in LEFT_ALONE:
        found = [one for one in audit.found if one.verdict == verdict
                 and not one.use.sole_reusable]
        parts.append(f"## {str(verdict).capitalize()}\n\n" + _compact(found))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _numbers(audit: Audit) -> str:
    rows = []
    for verdict in Verdict:
        row = [str(verdict)]
        for where in audit.trees:
            found = [one for one in audit.found
                     if (one.where, one.verdict) == (where, verdict)]
            row += [str(len(found)), str(len({one.tree for one in found})),
                    str(len({one.use.name for one in found}))]
        rows.append(row)
    head = ["verdict"]
    for where in audit.trees:
        head += [f"{where}: nodes", "in device trees", "different devices"]
    return _table(head, rows)


def _other_architectures(others: list[str]) -> str:
    if not others:
        return "No device tree source of another architecture has a " \
               "`memory-region`.\n"
    return "Not looked at, but these sources of other architectures have a " \
           "`memory-region`, too: " + ", ".join(map(_code, others)) + ".\n"


def _grouped(found: Iterable[Found],
             key: Callable[[Found], tuple]) -> list[tuple[tuple, list[Found]]]:
    groups: dict[tuple, list[Found]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    return sorted(groups.items())


def _reusable(audit: Audit, conclusions: Conclusions) -> str:
    order = {verdict: number for number, verdict in enumerate(Verdict)}
    groups = _grouped(
        (one for one in audit.found if one.use.sole_reusable),
        lambda one: (order[one.verdict], one.where, one.use.name))
    if not groups:
        return "There is none.\n"
    rows = []
    for (_, where, name), members in groups:
        rows.append([
            str(members[0].verdict), where, _code(name), _trees(members),
            _few({_code(one.use.path) for one in members}),
            _few({_region(one.use.regions[0]) for one in members}),
            _few({_code(one.use.bus) for one in members}),
            "yes" if any(one.use.iommu for one in members) else "no",
            _few({_code(file) for one in members for file in one.drivers},
                 9) or "none"])
    text = [_table(["verdict", "arch", "device", "device trees", "node",
                    "region", "below", "IOMMU", "driver"], rows)]
    named = {one.use.name for one in audit.found if one.use.sole_reusable}
    for device in conclusions.devices:
        names = [name for name in device.compatible if name in named]
        if names:
            text.append(f"**{', '.join(map(_code, names))}**: {device.text}\n")
    missing = sorted(named - {name for device in conclusions.devices
                              for name in device.compatible})
    text += [f"**{_code(name)}**: nobody has looked at its driver yet.\n"
             for name in missing]
    return "\n".join(text)


def _compact(found: list[Found]) -> str:
    if not found:
        return "There is none.\n"
    rows = [[where, _code(name), _kinds(members), _trees(members),
             _few({_code(file) for one in members for file in one.drivers}, 3)
             or "none"]
            for (where, name), members in _grouped(
                found, lambda one: (one.where, one.use.name))]
    return _table(["arch", "device", "regions", "device trees", "driver"],
                  rows)


def _trees(members: list[Found]) -> str:
    names = sorted({one.tree for one in members})
    return f"{len(names)}: " + _few({_code(name) for name in names})


def _few(texts: Iterable[str], limit: int = EXAMPLES) -> str:
    ordered = sorted(texts)
    more = ", …" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more


def _kinds(members: list[Found]) -> str:
    return _few({_kinds_of(one.use) for one in members}, 3)


def _kinds_of(use: Use) -> str:
    numbers = Counter(str(region.kind) for region in use.regions)
    if not numbers:
        return "empty"
    return " + ".join(kind if count == 1 else f"{count} {kind}"
                      for kind, count in sorted(numbers.items()))


def _region(region: Region) -> str:
    size = "of unknown size" if region.size is None else _size(region.size)
    where = "anywhere" if region.start is None else f"at 0x{region.start:x}"
    default = ", the default area" if region.default else ""
    return f"{_code(region.name)} {size} {where}{default}"


def _size(size: int) -> str:
    return f"{size // MIB} MiB" if size % MIB == 0 else f"0x{size:x} bytes"


def _code(text: str) -> str:
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"
