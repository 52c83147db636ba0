# SPDX-License-Identifier: GPL-2.0-only
"""Does the kernel of one patch boot? For `check`, without the table."""

import shutil
from pathlib import Path

from . import evidence, guest, judge, machines, qemu
from .output import Output

# An area of the default kind, so that its memory is reserved and remapped; and
# without the other word the kernel drops records that the guest writes too fast.
CMDLINE = "cma=16M printk.devkmsg=on"
MACHINES = ("virt", "zynq")


def complaints(output: Output, tree: Path, built: Path, folder: Path
               ) -> list[str]:
    """Boot the kernel in @built on each machine; what is wrong with it.

    @folder is emptied and holds the consoles afterwards.
    """
    shutil.rmtree(folder, ignore_errors=True)
    initrd = guest.initramfs(output, tree, built)
    found = []
    for name in MACHINES:
        machine = machines.find(name)
        own = folder / name
        own.mkdir(parents=True)
        memory = machines.memory(machine, None)
        dtb = qemu.device_tree(machine, built, own, memory, False, None)
        console = qemu.run(qemu.Boot(
            machine, own, built / "arch" / "arm" / "boot" / "zImage",
            qemu.append(machine, CMDLINE), memory, dtb, initrd))
        report = evidence.parse(console.lines)
        case = judge.health("each", console, report)
        found += [f"boot on {name}: {failure}" for failure in
                  ([case.message] if case.message else []) + report.failures]
    return found
