# SPDX-License-Identifier: GPL-2.0-only
"""From a checkout to a kernel and an initramfs that can be booted."""

import re
from dataclasses import dataclass
from pathlib import Path

from . import build, guest, kconfig, packages, source, tree
from .options import Options
from .output import Output

STEPS = 5
TARGETS = ("zImage", "dtbs", *guest.TARGETS)


# Configurations that slow the guest down, by how much at most.
SLOW = {"debug": 5.0, "kasan": 5.0}


@dataclass(frozen=True)
class Prepared:
    """What a boot needs."""

    version: str
    tree: Path
    build: Path
    initrd: Path
    stock: bool

    @property
    def kernel(self) -> Path:
        """The image that was built."""
        return self.build / "arch" / "arm" / "boot" / "zImage"

    @property
    def built_in_cmdline(self) -> str:
        """CONFIG_CMDLINE of this kernel."""
        try:
            text = (self.build / ".config").read_text()
        except OSError:
            return ""
        match = re.search(r'^CONFIG_CMDLINE="(.*)"$', text, re.M)
        return match[1] if match else ""


def check_config(name: str) -> None:
    """--config NAME; raises LabError(USAGE) if there is no such fragment."""
    kconfig.fragments(name)


def slowness(config: str) -> float:
    """By what the time until a guest is given up is multiplied."""
    return SLOW.get(config, 1.0)


def kernel(options: Options, output: Output, config: str = "default",
           stock: bool = False) -> Prepared:
    """Packages, source, tree, kernel and guest program: STEPS steps."""
    with output.step("packages"):
        packages.require(options, output, "fetch", "build", "run")
    with output.step("fetch"):
        version = source.ensure(options, output).version
    with output.step("apply" if not stock else "apply (stock, no patches)"):
        folder = tree.ensure(options, output, stock=stock)
    with output.step(f"build {config}"):
        made = build.ensure(options, output, folder, config,
                            kconfig.series_fragments(stock), TARGETS)
    with output.step("guest"):
        initrd = guest.initramfs(output, folder, made)
    output.record(kernel=version, config=config, stock=stock)
    return Prepared(version, folder, made, initrd, stock)
