# SPDX-License-Identifier: GPL-2.0-only
"""Rows and consoles for the tests of the boot table and the matrix."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from lab import boot_table, evidence, qemu, rows

ROW = '''
[[row]]
name = "one"
why = "because"
machines = ["virt"]
cmdline = "cma=dev=8M@{ram+33M},good=8M@{ram+64M}"
refused = ['dev: .* refused: .*4 MiB']
areas = { good = "8M@{ram+64M}" }
'''
PLAIN = '''
[[row]]
name = "plain"
why = "nothing asked for"
machines = ["virt"]
cmdline = ""
'''
NODE = '''
[[row]]
name = "node"
why = "a node"
machines = ["virt"]
cmdline = ""
nodes = ["bad 64K@{ram+96M} reusable", "good 8M@{ram+64M} reusable"]
refused = ['bad@{ram+96M:x}: .* refused: size']
areas = { "good@{ram+64M:x}" = "8M@{ram+64M}" }
'''
REFUSAL = ("[    0.000000] cma: dev: 0x42100000-0x428fffff refused: start "
           "must be a multiple of 4 MiB (0x42000000 or 0x42400000)")
TOTAL = 256 << 20
GOOD = ("good", 0x44000000, 8)
DEFAULT = ("reserved", 0x4f000000, 16)


def load(text: str) -> list[rows.Row]:
    """The rows of a table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.toml"
        path.write_text(text)
        return rows.load(path)


@dataclass
class Guest:
    """What a guest says; areas are name, start and MiB, the rest is KiB."""

    kernel: tuple[str, ...] = (REFUSAL,)
    areas: tuple = (GOOD, DEFAULT)
    cma: int | None = None
    total: int = TOTAL
    end: bool = True
    available: int = 200 << 10
    filled: int = 190 << 10
    wrong: int = 0
    used: int = 256
    taken_free: int = 0
    lost: int = 0
    free_before: int | None = None
    sysfs: tuple[str, ...] | None = None
    iomem: tuple | None = None
    untaken: tuple[str, ...] = ()
    more: tuple[str, ...] = field(default=())

    def lines(self) -> list[str]:
        """The console."""
        total = sum(size for _, _, size in self.areas) << 10 \
            if self.cma is None else self.cma << 10
        used = self.used if self.areas else 0
        free = total - used - self.lost
        before = free if self.free_before is None else self.free_before
        lines = [*self.kernel, "[ 1.0] guest: start: user space reached",
                 "[ 1.0] guest: before: begin",
                 f"[ 1.0] guest: before: CmaFree: {before} kB",
                 "[ 1.0] guest: before: end",
                 f"[ 1.0] guest: fill: available {self.available} KiB, "
                 f"filled {self.filled} KiB, left 9 KiB, of CMA 9 KiB",
                 f"[ 1.0] guest: fill: wrong pages {self.wrong}"]
        for number, (name, _, size) in enumerate(self.areas):
            pages, busy = size << 8, 0 if number else used >> 2
            if name not in self.untaken:
                lines.append(f"[ 1.0] guest: take: {name} pages {pages} "
                             f"used {busy} taken {pages - busy}")
        lines += ["[ 1.0] guest: take: all taken, CmaFree "
                  f"{self.taken_free} KiB",
                  "[ 1.0] guest: meminfo: begin",
                  f"[ 1.0] guest: meminfo: MemTotal: {self.total >> 10} kB",
                  f"[ 1.0] guest: meminfo: CmaTotal: {total} kB",
                  f"[ 1.0] guest: meminfo: CmaFree: {free} kB",
                  "[ 1.0] guest: meminfo: end", *self.more]
        lines += [f"[ 1.0] guest: areas: {name} base_pfn {base >> 12} pages "
                  f"{size << 8}" for name, base, size in self.areas]
        shown = [name for name, _, _ in self.areas] \
            if self.sysfs is None else self.sysfs
        lines += [f"[ 1.0] guest: sysfs: area {name}" for name in shown]
        listed = [area for area in self.areas if area[0] != "reserved"] \
            if self.iomem is None else self.iomem
        lines += [f"[ 1.0] guest: iomem:   {base:08x}-"
                  f"{base + (size << 20) - 1:08x} : CMA {name}"
                  for name, base, size in listed]
        if self.end:
            lines.append("[ 1.0] guest: end: pass, 0 failures")
        return lines


def booted(row: rows.Row, lines: list[str], stock: bool = False,
           **console) -> boot_table.Booted:
    """A boot of @row that said @lines."""
    return boot_table.Booted(row, stock,
                             qemu.Console(Path("log"), lines, **console),
                             evidence.parse(lines))
