# SPDX-License-Identifier: GPL-2.0-only
"""`doctor`: which tools are needed, which are there, install the rest."""

import argparse
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import apt, paths, process
from .errors import Exit, LabError
from .options import Options
from .output import Output


@dataclass(frozen=True)
class Tool:
    """A Debian package and how one sees that it is there.

    {gcc} in the name of the package is the major version of gcc.
    @probe is a program to be found in PATH, or an absolute path with * in it.
    @version is the command that prints its version, @minimum the oldest
    version that works and @reason where that figure comes from.
    """

    package: str
    probe: str
    version: tuple[str, ...] = ()
    minimum: tuple[int, ...] = ()
    reason: str = ""

    def found(self) -> bool:
        """Whether the tool is there, whatever its version."""
        if self.probe.startswith("/"):
            return any(Path("/").glob(self.probe[1:]))
        return shutil.which(self.probe) is not None

    def version_text(self) -> str:
        """The version the tool prints, or an empty string."""
        if not self.version or not self.found():
            return ""
        result = process.run(list(self.version), capture=True, query=True,
                             timeout=20)
        match = re.search(r"\d+(\.\d+)+", result.stdout + result.stderr)
        return match.group() if match else ""

    def recent_enough(self) -> bool:
        """Whether the version is at least the minimum."""
        if not self.minimum:
            return True
        numbers = re.findall(r"\d+", self.version_text())
        return tuple(int(n) for n in numbers) >= self.minimum


CROSS = "arm-linux-gnueabihf-"
# The minima of gcc, make, flex, bison, bc are those of the kernel's
# Documentation/process/changes.rst; that of QEMU is Debian 12's, the oldest
# that was tested.
GROUPS: dict[str, tuple[Tool, ...]] = {
    "fetch": (
        Tool("git", "git", ("git", "--version"), (2, 34), "sparse work trees"),
        Tool("xz-utils", "xz", ("xz", "--version")),
        Tool("dpkg", "dpkg-deb", ("dpkg-deb", "--version")),
        Tool("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
    ),
    "build": (
        Tool("gcc", "gcc", ("gcc", "-dumpfullversion"), (8, 1), "Linux 7.3"),
        Tool("libc6-dev", "/usr/include/stdio.h"),
        Tool("gcc-arm-linux-gnueabihf", CROSS + "gcc",
             (CROSS + "gcc", "-dumpfullversion"), (8, 1), "Linux 7.3"),
        Tool("make", "make", ("make", "--version"), (4, 0), "Linux 7.3"),
        Tool("flex", "flex", ("flex", "--version"), (2, 5, 35), "Linux 7.3"),
        Tool("bison", "bison", ("bison", "--version"), (2, 0), "Linux 7.3"),
        Tool("bc", "bc", ("bc", "--version"), (1, 6), "Linux 7.3"),
        Tool("perl", "perl", ("perl", "--version")),
        Tool("ccache", "ccache", ("ccache", "--version")),
        Tool("cpio", "cpio", ("cpio", "--version")),
        Tool("kmod", "/sbin/depmod", ("/sbin/depmod", "--version")),
    ),
    "run": (
        Tool("qemu-system-arm", "qemu-system-arm",
             ("qemu-system-arm", "--version"), (7, 2), "oldest one tested"),
        Tool("device-tree-compiler", "dtc", ("dtc", "--version")),
        Tool("device-tree-compiler", "fdtoverlay",
             ("fdtoverlay", "--version")),
    ),
    "arm64": (
        Tool("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc",
             ("aarch64-linux-gnu-gcc", "-dumpfullversion"), (8, 1),
             "Linux 7.3"),
        Tool("qemu-system-arm", "qemu-system-aarch64",
             ("qemu-system-aarch64", "--version"), (7, 2),
             "oldest one tested"),
    ),
    "x86_64": (
        Tool("libelf-dev", "/usr/include/libelf.h"),
        Tool("qemu-system-x86", "qemu-system-x86_64",
             ("qemu-system-x86_64", "--version"), (7, 2),
             "oldest one tested"),
    ),
    "coverage": (
        Tool("gcc-arm-linux-gnueabihf", CROSS + "gcov",
             (CROSS + "gcov", "--version")),
        Tool("lcov", "genhtml", ("genhtml", "--version")),
    ),
    "check": (
        # checkpatch runs the system's python3 for these three
        Tool("codespell", "/usr/bin/codespell", ("codespell", "--version")),
        Tool("python3-git", "/usr/lib/python3/dist-packages/git"),
        Tool("python3-ply", "/usr/lib/python3/dist-packages/ply"),
        Tool("dpkg-dev", "dpkg-source", ("dpkg-source", "--version")),
        Tool("libelf-dev", "/usr/include/libelf.h"),
    ),
    "fuzz": (
        Tool("gcc", "gcc", ("gcc", "-dumpfullversion")),
        Tool("libc6-dev", "/usr/include/stdio.h"),
        Tool("clang", "clang", ("clang", "--version"), (14,),
             "oldest one tested"),
        Tool("llvm", "llvm-symbolizer", ("llvm-symbolizer", "--version")),
        Tool("libclang-rt-dev", "/usr/lib/llvm-*/lib/clang/*/lib/linux/"
             "libclang_rt.fuzzer-*.a"),
        # To link for a 32-bit x86; gcc-multilib would remove the cross gcc.
        *((Tool("libc6-dev-i386", "/usr/lib32/crt1.o"),
           Tool("lib32stdc++-{gcc}-dev",
                "/usr/lib/gcc/x86_64-linux-gnu/*/32/libstdc++.a"))
          if platform.machine() == "x86_64" else ()),
    ),
    "send": (
        Tool("b4", "b4", ("b4", "--version")),
    ),
}


def missing(groups: tuple[str, ...]) -> tuple[list[str], list[Tool]]:
    """(packages to install, tools that are there but too old)."""
    absent: list[str] = []
    old: list[Tool] = []
    for group in groups:
        for tool in GROUPS[group]:
            if not tool.found():
                if tool.package not in absent:
                    absent.append(tool.package)
            elif not tool.recent_enough():
                old.append(tool)
    return absent, old


def _package(name: str) -> str:
    if "{gcc}" not in name or not shutil.which("gcc"):
        return name
    version = process.run(["gcc", "-dumpversion"], capture=True, query=True,
                          timeout=20).stdout
    return name.replace("{gcc}", version.split(".")[0].strip())


def require(options: Options, output: Output, *groups: str) -> None:
    """Make sure the tools of @groups are there, or install them.

    Raises LabError(ENVIRONMENT) if something stays missing or too old.
    """
    absent, old = missing(groups)
    if absent:
        # gcc before what has its version in its name
        for of_gcc in (False, True):
            names = [_package(name) for name in absent
                     if ("{gcc}" in name) == of_gcc]
            if names:
                apt.install(names, options, output)
        if options.dry_run:
            output.note("would install " + " ".join(absent))
        else:
            still, old = missing(groups)
            if still:
                raise LabError(Exit.ENVIRONMENT, "apt-get succeeded, but "
                               f"{' '.join(still)} cannot be found; is PATH "
                               "complete?")
            output.note("installed " + " ".join(absent))
    if old:
        tool = old[0]
        need = ".".join(map(str, tool.minimum))
        raise LabError(Exit.ENVIRONMENT,
                       f"{tool.probe} is version {tool.version_text() or '?'}"
                       f", at least {need} is needed ({tool.reason})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `doctor`."""
    parser.add_argument("group", nargs="*", metavar="GROUP",
                        help="tool groups to look at: "
                             f"{', '.join(GROUPS)} (all)")


def main(args: argparse.Namespace, options: Options,
         output: Output) -> Exit:
    """`scripts/cma doctor`."""
    groups = tuple(args.group) or tuple(GROUPS)
    for group in groups:
        if group not in GROUPS:
            raise LabError(Exit.USAGE, f"no tool group {group!r}; there are "
                           + ", ".join(GROUPS))
    absent, _ = missing(groups)
    if absent:
        output.set_steps(1)
        with output.step("install"):
            require(options, output, *groups)
    versions = {}
    for group in groups:
        for tool in GROUPS[group]:
            state = "not there"
            if tool.found():
                state = tool.version_text() or "there"
                if not tool.recent_enough():
                    state += " (too old)"
            versions[tool.probe] = state
            output.info(f"{group:6} {Path(tool.probe).name:26} {state}")
    record = {"tools": versions, "free_mib": _free(paths.OUT)}
    output.record(**record)
    output.info(f"{'disk':6} {'free':26} {record['free_mib']} MiB in "
                f"{paths.OUT}")
    require(options, output, *groups)
    output.verdict(True, f"doctor: {len(versions)} tools are "
                         + ("there" if not options.dry_run else "checked"))
    return Exit.PASS


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free // paths.MIB
