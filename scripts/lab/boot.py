# SPDX-License-Identifier: GPL-2.0-only
"""`boot`: boot the kernel in QEMU and prove where DMA memory lies."""

import argparse
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from . import (attachment, judge, machines, oracle, oracle_report, paths,
               prepare, qemu, ranges)
from .errors import Exit, LabError
from .evidence import Report
from .machines import Machine
from .options import Options
from .oracle import Oracle
from .output import Output
from .ranges import Range
from .report import Case, Results

TIMEOUT = 60.0
REBIND_SECONDS = 0.5
MAX_REBINDS = 100_000
# Without this the kernel drops records that user space writes too fast.
REPORTING = "printk.devkmsg=on guest.dump"
# Neither the clock of this machine nor its random numbers get into the guest.
ICOUNT = ("-icount", "shift=0,sleep=off", "-seed", "1",
          "-rtc", "base=2020-01-01,clock=vm")
# What the kernel says about what became of a wish.
TELLING = re.compile(r"\bcma: .*\brefused\b|\bmemory-region\b|"
                     r"\bReserved memory: .*(?:unsupported|failed|refused)|"
                     r"\bUnknown kernel command line parameters\b")


@dataclass
class Outcome:
    """The cases of one boot and what was seen."""

    cases: list[Case]
    seen: list[str]
    report: Report
    console: qemu.Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `boot`."""
    parser.add_argument("--machine", default="zynq", metavar="NAME",
                        help="zynq (default), zynq-sd, virt, virt-virtio, "
                             "virt-usb or virt-lpae")
    parser.add_argument("--cmdline", metavar="TEXT",
                        help="kernel parameters instead of the default wish "
                             "(cma=…, cma_map=…)")
    parser.add_argument("--dtso", type=Path, metavar="FILE",
                        help="device tree overlay, applied before the boot")
    parser.add_argument("--mem", metavar="SIZE",
                        help="RAM, for example 768M")
    parser.add_argument("--kernel", type=Path, metavar="IMAGE",
                        help="boot this zImage instead of the one built")
    parser.add_argument("--config", default="default", metavar="NAME",
                        help="a fragment of kernel-config/ on top of base")
    parser.add_argument("--interactive", action="store_true",
                        help="a small prompt in the guest; Ctrl-A X ends QEMU")
    parser.add_argument("--stock", action="store_true",
                        help="the kernel without the series")
    parser.add_argument("--coherent", action="store_true",
                        help="virt: leave the devices dma-coherent")
    parser.add_argument("--timeout", type=_seconds, metavar="S",
                        help=f"seconds until the guest is given up "
                             f"({TIMEOUT:g}, more for slow configurations "
                             "and for --rebinds)")
    oracle.add_arguments(parser)
    parser.add_argument("--icount", action="store_true",
                        help="count instructions instead of time, with one "
                             "processor, so that each boot is the same")
    parser.add_argument("--rebinds", type=rounds, default=0, metavar="N",
                        help="unbind and bind the machine's device N times "
                             "first and see that no page is lost")
    parser.add_argument("--expect-area", type=_range, metavar="RANGE",
                        help="the machine's device must be inside, for "
                             "example 8M@32M or 0x2000000-0x27fffff")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 86400:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds from 1 to 86400")
    return value


def rounds(text: str) -> int:
    """--rebinds: a number of rounds, for argparse."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 2 <= value <= MAX_REBINDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of rounds from 2 to {MAX_REBINDS}")
    return value


def limit(config: str, rebinds: int = 0) -> float:
    """Seconds until a boot is given up; generous, no test is timed."""
    return prepare.slowness(config) * (TIMEOUT + rebinds * REBIND_SECONDS)


def _range(text: str) -> Range:
    try:
        return ranges.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def check_cmdline(text: str) -> str:
    """--cmdline: one line, nothing that would end the kernel's parameters."""
    if any(ord(c) < 32 or ord(c) > 126 for c in text):
        raise LabError(Exit.USAGE, "--cmdline: only printable ASCII, "
                                   "on one line")
    if "--" in text.split():
        raise LabError(Exit.USAGE, "--cmdline: `--` ends the kernel's "
                       "parameters, write them without it")
    if "guest." in text:
        raise LabError(Exit.USAGE, "--cmdline: words with `guest.` are the "
                       "laboratory's own")
    return text.strip()


def check_files(args: argparse.Namespace) -> None:
    """Raise LabError(USAGE) for a file option that names no file."""
    for name in ("dtso", "kernel"):
        path = getattr(args, name)
        if path is None:
            continue
        if not path.is_file():
            raise LabError(Exit.USAGE, f"--{name} {path}: no such file")
        setattr(args, name, path.resolve())


def execute(machine: Machine, prepared: prepare.Prepared, folder: Path,
            options: Options, output: Output, *,
            wish: str | None = None, coherent: bool = False,
            memory: int | None = None, overlay: Path | None = None,
            kernel: Path | None = None, interactive: bool = False,
            timeout: float = TIMEOUT, expect: Range | None = None,
            suite: str | None = None, rebinds: int = 0,
            place: bool = True, watcher: Oracle | None = None,
            icount: bool = False) -> Outcome:
    """One boot check: start it, watch it, judge it.

    @wish     kernel parameters; None: the machine's own, unless the image
              has a cma_map= built in, or there is an @overlay, which has to
              give the machine's device an area then
    @rebinds  rounds of unbind and bind before the transfers
    @place    whether there is something to place; without, no such case
    @watcher  judges the cache maintenance
    @icount   instructions are counted instead of time
    """
    program, extra = (qemu.PROGRAM,), ICOUNT if icount else ()
    if watcher or icount:
        machine = oracle.one_processor(machine)
    if watcher:
        program = watcher.emulator.command
    megabytes = memory or machine.memory
    dtb = qemu.device_tree(machine, prepared.build, folder, megabytes,
                           coherent, overlay, program)
    if watcher:
        extra += tuple(oracle.arguments(watcher, machine, megabytes,
                                       prepared.build,
                                       folder / oracle.REPORT))
    asked, attached = wish, None
    built_in = "cma_map=" in prepared.built_in_cmdline
    by_tree = wish is None and overlay is not None and not built_in
    if by_tree and not options.dry_run:
        attached = attachment.area(dtb, machine.node)
    if asked is None:
        asked = "" if by_tree or built_in else machine.wish
    boot = qemu.Boot(
        machine, folder, kernel or prepared.kernel,
        qemu.append(machine, asked, REPORTING,
                    machine.rebind(rebinds) if rebinds else "",
                    machine.work, "guest.interactive" if interactive else ""),
        megabytes, dtb, prepared.initrd, interactive, extra,
        timeout=timeout, program=program)
    if options.dry_run:
        output.command(shlex.join(qemu.command(boot)))
        return Outcome([], [], Report(), qemu.Console(folder / "console.log"))
    console = qemu.run(boot, on_line=output.progress)
    report = judge.parse(console)
    suite = suite or f"boot-{machine.name}"
    healthy = judge.health(suite, console, report)
    cases, seen = [healthy], []
    if report.ended:
        case, found = judge.placed(suite, report, expect or attached,
                                   machine.device,
                                   need_rule=wish is None and not by_tree,
                                   atomic=machine.atomic)
        if by_tree and not attached:
            case.fail(f"the device tree gives {machine.device} no area of its "
                      "own; for an overlay about something else, say which "
                      "kernel parameters: --cmdline '…', or '' for none")
        seen += [str(placement) for placement in found if placement.entries]
        work, text = judge.moved(suite, report)
        seen.append(text)
        cases += [case, work] if place else [work]
        if rebinds:
            case, text = judge.rebound(suite, report, machine.device, rebinds)
            seen.append(text)
            cases.append(case)
        if wish is None and asked and asked not in report.cmdline:
            case.fail("the kernel did not get the parameters")
    for case in cases:
        case.log = str(console.log)
    if watcher:
        case, text = oracle_report.judge(suite, folder / oracle.REPORT,
                                         not coherent)
        seen.append(text)
        cases.append(case)
    return Outcome(cases, seen, report, console)


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Prepare, boot, judge; see the module's docstring."""
    machine = machines.find(args.machine)
    memory = machines.memory(machine, args.mem)
    prepare.check_config(args.config)
    if machine.config and args.config != machine.config:
        raise LabError(Exit.USAGE, f"--machine {machine.name} needs "
                                   f"--config {machine.config}")
    check_files(args)
    wish = None if args.cmdline is None else check_cmdline(args.cmdline)
    if args.coherent and machine.dtb:
        raise LabError(Exit.USAGE, f"--coherent: {machine.name} has no "
                                   "coherent devices; virt has")
    if args.interactive and options.json:
        raise LabError(Exit.USAGE, "--interactive and --json exclude "
                                   "each other")
    if args.interactive and not sys.stdin.isatty():
        raise LabError(Exit.USAGE, "--interactive needs a terminal to type "
                       "at, stdin is none")
    args.oracle = args.oracle or args.incoherent
    if args.oracle and args.kernel:
        raise LabError(Exit.USAGE, "--oracle and --kernel exclude each other: "
                       "the oracle needs the symbols of the kernel")
    timeout = args.timeout or limit(args.config, args.rebinds) \
        * (oracle.SLOWER if args.oracle else 1)

    output.set_steps(prepare.STEPS + 1 + args.oracle)
    prepared = prepare.kernel(options, output, args.config, args.stock)
    watcher = None
    if args.oracle:
        with output.step("oracle"):
            watcher = oracle.ensure(options, output, args.incoherent)
    folder = paths.run_folder("boot")
    with output.step(f"boot {machine.name}"):
        outcome = execute(
            machine, prepared, folder, options, output, wish=wish,
            coherent=args.coherent, memory=memory, overlay=args.dtso,
            kernel=args.kernel, interactive=args.interactive,
            timeout=timeout, expect=args.expect_area, rebinds=args.rebinds,
            watcher=watcher, icount=args.icount)
    if options.dry_run:
        output.verdict(True, "boot: nothing was run (--dry-run)")
        return Exit.PASS
    results = Results(outcome.cases)
    facts = {"machine": machine.name, "memory_mib": memory,
             "version": prepared.version, "cmdline": outcome.report.cmdline,
             "seen": outcome.seen, "seconds": round(outcome.console.seconds,
                                                    2)}
    results.write(folder, verb="boot", **facts)
    output.record(**results.document(**facts))
    for line in outcome.seen:
        output.info(line)
    if watcher:
        oracle_report.show(output, folder / oracle.REPORT)
    for line in results.shown_problems():
        output.info(line)
    code = results.exit
    for line in outcome.report.kernel:
        if TELLING.search(line):
            output.info(f"the kernel said: {line}")
    what = f"boot: {machine.name}, Linux {prepared.version}" \
        + (" stock" if args.stock else "")
    if code == Exit.PASS:
        text = f"{what}: " + "; ".join(outcome.seen)
    else:
        text = f"{what}: " + next(
            case.message for case in results.cases if case.exit == code)
    output.verdict(code == Exit.PASS, text, outcome.console.log)
    return code
