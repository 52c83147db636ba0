# SPDX-License-Identifier: GPL-2.0-only
"""Start QEMU, watch its console, and never leave it behind."""

import os
import re
import selectors
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import process
from .errors import Exit, LabError
from .machines import Machine

PROGRAM = "qemu-system-arm"
DISK_MIB = 16
# After the kernel gave up, QEMU gets this long to end by itself.
PANIC_SECONDS = 5.0
EARLY_SECONDS = 10.0
# With earlycon what there is to say comes at once.
EARLY_SPIN = 2.0
_PANIC = re.compile(rb"Kernel panic - not syncing")


@dataclass(frozen=True)
class Boot:
    """One boot: what is started and where its files go.

    @program  what starts QEMU
    @timeout  seconds for all of it
    @silence  seconds without a byte, 0: any number
    @spin     the same in processor time of QEMU, which a busy machine does
              not change; a guest that only waits uses none
    """

    machine: Machine
    folder: Path
    kernel: Path
    cmdline: str
    memory: int
    dtb: Path
    initrd: Path | None = None
    interactive: bool = False
    extra: tuple[str, ...] = ()
    timeout: float = 60.0
    silence: float = 0.0
    spin: float = 0.0
    program: tuple[str, ...] = (PROGRAM,)


@dataclass
class Console:
    """What came of a boot.

    @early  nothing came; the lines are those of another boot, with earlycon
    """

    log: Path
    lines: list[str] = field(default_factory=list)
    timed_out: bool = False
    status: int = 0
    seconds: float = 0.0
    early: bool = False


def program_version(program: str = PROGRAM) -> str:
    """The version that QEMU prints, with that of its package."""
    text = process.run([program, "--version"], capture=True,
                       query=True).stdout
    return text.splitlines()[0].removeprefix("QEMU emulator version ") \
        if text else "unknown"


def append(machine: Machine, *parts: str) -> str:
    """The kernel command line: what the machine needs, then @parts."""
    return " ".join(part for part in (machine.cmdline, *parts) if part)


def _hardware(machine: Machine, memory: int,
              program: tuple[str, ...]) -> list[str]:
    return [*program, *machine.qemu, "-m", f"{memory}M", "-nodefaults",
            "-no-reboot", "-display", "none"]


def _quote(path: Path) -> str:
    """A path inside a QEMU option list: a comma is written twice."""
    return str(path).replace(",", ",,")


def command(boot: Boot) -> list[str]:
    """The exact QEMU command of @boot."""
    machine = boot.machine
    words = _hardware(machine, boot.memory, boot.program)
    if boot.interactive:
        words += [*machine.serial_before,
                  "-chardev", "stdio,id=console,mux=on,signal=off,logfile="
                  + _quote(boot.folder / "console.log"),
                  "-serial", "chardev:console", "-mon", "chardev=console"]
    else:
        words += ["-monitor", "none", *machine.serial_before,
                  "-serial", "stdio"]
    words += [word.format(_quote(boot.folder / "disk.img"))
              for word in machine.disk]
    words += [*boot.extra, "-kernel", str(boot.kernel),
              "-dtb", str(boot.dtb)]
    if boot.initrd:
        words += ["-initrd", str(boot.initrd)]
    return words + ["-append", boot.cmdline]


def device_tree(machine: Machine, build: Path, folder: Path, memory: int,
                coherent: bool, overlay: Path | None,
                program: tuple[str, ...] = (PROGRAM,)) -> Path:
    """The DTB for a boot, with @overlay applied, below @folder.

    The tree that QEMU makes for virt calls every device dma-coherent, so
    that no cache maintenance and none of the non-coherent paths would run:
    the property is taken out unless @coherent.
    """
    log = folder / "dtb.log"
    if machine.dtb:
        if coherent:
            raise LabError(Exit.USAGE, f"--coherent: {machine.name} has no "
                                       "coherent devices; virt has")
        base = build / "arch" / "arm" / "boot" / "dts" / machine.dtb
    else:
        base = _generated_tree(machine, folder, memory, coherent, log, program)
    if not overlay:
        return base
    result, blob = folder / "machine.dtb", folder / "overlay.dtbo"
    made = process.run(["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o",
                        str(blob), str(overlay)], log=log)
    if made.returncode:
        raise LabError(Exit.USAGE, f"--dtso {overlay}: dtc refuses it: "
                       + _first_line(made.stdout), log)
    applied = process.run(["fdtoverlay", "-i", str(base), "-o", str(result),
                           str(blob)], log=log)
    if applied.returncode:
        reason = _first_line(applied.stdout)
        if "FDT_ERR_NOTFOUND" in reason:
            reason += ", so a label or a path that it names is not in " \
                      f"there; `dtc -I dtb {base}` shows what is"
        raise LabError(Exit.USAGE, f"--dtso {overlay}: it does not apply to "
                       f"the device tree of {machine.name}: {reason}", log)
    return result


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()),
                "no reason given")


def _generated_tree(machine: Machine, folder: Path, memory: int,
                    coherent: bool, log: Path,
                    program: tuple[str, ...]) -> Path:
    raw, source = folder / "qemu.dtb", folder / "qemu.dts"
    base = folder / "base.dtb"
    dump = [*_hardware(machine, memory, program), "-monitor", "none"]
    dump[dump.index("-machine") + 1] += ",dumpdtb=" + _quote(raw)
    if process.run(dump, log=log).returncode:
        raise LabError(Exit.ENVIRONMENT,
                       f"{PROGRAM} cannot dump its device tree", log)
    if process.run(["dtc", "-q", "-I", "dtb", "-O", "dts", "-o", str(source),
                    str(raw)], log=log).returncode:
        raise LabError(Exit.BUILD, "dtc cannot read the tree of QEMU", log)
    if not coherent and source.exists():
        source.write_text(re.sub(r"^\s*dma-coherent;\n", "",
                                 source.read_text(), flags=re.M))
    if process.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", str(base),
                    str(source)], log=log).returncode:
        raise LabError(Exit.BUILD, f"dtc cannot write {base}", log)
    return base


def run(boot: Boot, on_line: Callable[[str], None] | None = None) -> Console:
    """Boot, write console.log and cmdline into the folder, and wait.

    QEMU is killed after the timeout or the silence, and if it does not end by
    itself soon after a panic.
    """
    if len(boot.cmdline) >= 1024:
        # COMMAND_LINE_SIZE in arch/arm/include/uapi/asm/setup.h
        raise LabError(Exit.USAGE, f"the kernel command line is "
                       f"{len(boot.cmdline)} characters, 1023 are possible")
    words = command(boot)
    log = boot.folder / "console.log"
    (boot.folder / "cmdline").write_text(shlex.join(words) + "\n")
    if boot.machine.disk:
        with open(boot.folder / "disk.img", "wb") as disk:
            disk.truncate(DISK_MIB << 20)
    begin = time.monotonic()
    console = Console(log)
    if boot.interactive:
        console.status = process.run(words, foreground=True).returncode
    else:
        _watch(words, boot, console, on_line, boot.timeout)
    console.seconds = time.monotonic() - begin
    console.lines = _lines(log)
    if not boot.interactive and not any(map(str.strip, console.lines)):
        _ask_again(words, boot, console)
    return console


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() \
        if log.exists() else []


def _ask_again(words: list[str], boot: Boot, console: Console) -> None:
    """The guest died before its console was up: find out why.

    Not done at once, because earlycon disturbs: pl011 then divides by a
    clock rate of 0 on virt, and the UART of zynq falls silent.
    """
    again = words[:-1] + ["earlycon " + words[-1]]
    early = Console(boot.folder / "earlycon.log")
    spin = min(boot.spin, EARLY_SPIN)
    _watch(again, replace(boot, spin=spin), early, None, EARLY_SECONDS)
    console.lines = _lines(early.log)
    console.early = True
    console.log.write_text("nothing came; the same boot with earlycon:\n"
                           + "\n".join(console.lines) + "\n")


def _processor_time(child: subprocess.Popen) -> float:
    """Seconds that all threads of @child have used, 0 if it is gone."""
    try:
        with open(f"/proc/{child.pid}/stat", encoding="ascii",
                  errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _watch(words: list[str], boot: Boot, console: Console,
           on_line: Callable[[str], None] | None, timeout: float) -> None:
    silent_from = time.monotonic()
    deadline = silent_from + timeout
    child = process.start(words, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    pending = b""
    used = 0.0
    try:
        with open(console.log, "wb") as log, \
                selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            panicked = False
            while True:
                now = time.monotonic()
                left = deadline - now
                if boot.silence:
                    left = min(left, silent_from + boot.silence - now)
                if left <= 0:
                    console.timed_out = not panicked
                    break
                if not selector.select(min(left, 1.0)):
                    if boot.spin and \
                            _processor_time(child) - used > boot.spin:
                        console.timed_out = not panicked
                        break
                    continue
                data = child.stdout.read1(65536)
                if not data:
                    break
                silent_from = time.monotonic()
                used = _processor_time(child)
                log.write(data.replace(b"\r", b""))
                log.flush()
                pending += data
                *whole, pending = pending.split(b"\n")
                for line in whole:
                    if on_line:
                        on_line(line.decode(errors="replace").rstrip("\r"))
                    if not panicked and _PANIC.search(line):
                        panicked = True
                        deadline = min(deadline,
                                       time.monotonic() + PANIC_SECONDS)
    finally:
        process.kill(child, grace=1.0 if child.poll() is None else 0.0)
        child.stdout.close()
        console.status = child.returncode
