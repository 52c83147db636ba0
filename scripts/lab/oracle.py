# SPDX-License-Identifier: GPL-2.0-only
"""The cache oracle: build the plugin, and put it into a QEMU command."""

import argparse
import hashlib
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from . import machines, oracle_qemu, paths, process
from .errors import Exit, LabError
from .machines import Machine
from .options import Options
from .oracle_qemu import Emulator
from .output import Output

SOURCE = paths.REPO / "kunit" / "oracle"
REPORT = "oracle.json"
# By what the time until a guest is given up is multiplied; nothing is timed.
SLOWER = 10.0
_WRAPPER = """\
#!/bin/sh
# qemu-system-arm as kunit.py calls it, with the cache oracle
exec {command} "$@" {arguments}
"""


@dataclass(frozen=True)
class Oracle:
    """The plugin and the QEMU that loads it.

    @incoherent  QEMU shall behave as if there were caches
    """

    emulator: Emulator
    plugin: Path
    incoherent: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--oracle and --incoherent."""
    parser.add_argument("--oracle", action="store_true",
                        help="watch the cache maintenance, see "
                             "Documentation/cache-oracle.md")
    parser.add_argument("--incoherent", action="store_true",
                        help="the same, and let devices and the processor "
                             "see wrong data where maintenance is missing")


def ensure(options: Options, output: Output, incoherent: bool = False
           ) -> Oracle:
    """Find or fetch QEMU, build the plugin unless nothing has changed."""
    if options.dry_run:
        return Oracle(Emulator((oracle_qemu.PROGRAM,), "", Path("/"), ()),
                      paths.TOOLS / "oracle.so", incoherent)
    emulator = oracle_qemu.ensure(output)
    output.note(f"QEMU {emulator.version.split()[0]}")
    plugin = paths.TOOLS / f"oracle-{_digest(emulator)}" / "oracle.so"
    if not plugin.exists():
        with paths.lock("oracle"):
            _build(emulator, plugin)
    return Oracle(emulator, plugin, incoherent)


def _digest(emulator: Emulator) -> str:
    """Of the plugin's source and the header."""
    digest = hashlib.sha256(emulator.header.read_bytes())
    for path in sorted(SOURCE.glob("*")):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(emulator: Emulator, plugin: Path) -> None:
    log = paths.OUT / "log" / "oracle.log"
    work = plugin.parent.with_suffix(".new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    process.run(["make", "-C", str(SOURCE), f"O={work}",
                 f"QEMU_PLUGIN_HEADER={emulator.header}",
                 f"GLIB_CFLAGS={shlex.join(emulator.glib)}",
                 str(work / plugin.name)], log=log, check=Exit.BUILD)
    work.replace(plugin.parent)


def _option(value: object) -> str:
    """A value inside a QEMU option list: a comma is written twice."""
    return str(value).replace(",", ",,")


def arguments(oracle: Oracle, machine: Machine, memory: int, build: Path,
              report: Path, allowed: Iterable[str] = ()) -> list[str]:
    """What the oracle adds to the command of QEMU.

    @memory   MiB
    @build    of the kernel that is booted, for its System.map
    @allowed  RULE@DEVICE, findings that are counted and not reported
    """
    values = [_option(oracle.plugin),
              f"ram={machine.ram:#x}:{machines.ram_bytes(memory):#x}",
              f"symbols={_option(build / 'System.map')}",
              f"report={_option(report)}", f"line={machine.line}"]
    if machine.outer:
        values.append(f"pl310={machine.outer:#x}")
    if oracle.incoherent:
        values.append("incoherent=on")
    values += [f"allow={_option(one)}" for one in allowed]
    return ["-plugin", ",".join(values)]


def one_processor(machine: Machine) -> Machine:
    """@machine with a single processor: faster, and always the same."""
    words = list(machine.qemu)
    words[words.index("-smp") + 1] = "1"
    return replace(machine, qemu=tuple(words))


def environment(oracle: Oracle, words: list[str], folder: Path,
                path: str) -> dict[str, str]:
    """The environment in which kunit.py finds this QEMU, with @words added."""
    script = folder / "bin" / oracle_qemu.PROGRAM
    script.parent.mkdir(exist_ok=True)
    script.write_text(_WRAPPER.format(
        command=shlex.join(oracle.emulator.command),
        arguments=shlex.join(["-smp", "1", *words])), encoding="utf-8")
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{path}"}


def check_kernel(build: Path) -> None:
    """LabError(BUILD) if there are no symbols of the kernel."""
    if not (build / "System.map").is_file():
        raise LabError(Exit.BUILD, f"{build}: no System.map in it, which the "
                       "oracle needs; build the kernel here")
