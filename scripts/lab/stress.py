# SPDX-License-Identifier: GPL-2.0-only
"""`stress`: KUnit and a thousand rebinds on a kernel that checks itself.

The configurations `debug` and `kasan` make the kernel look at its locks, its
lists and its memory while the feature and the release paths run. Devices get
their memory from an area of their own in one boot, from the default area in
the other. Any splat and any page that does not come back is a failure.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from . import boot, build, kunit, machines, paths, prepare, process
from .errors import Exit
from .options import Options
from .output import Output
from .report import Case, Results


@dataclass(frozen=True)
class Rebind:
    """One boot with rebinds: @mapped by a rule, or in the default area."""

    machine: str
    mapped: bool
    coherent: bool = False

    @property
    def name(self) -> str:
        """Name of the suite."""
        return f"rebind-{self.machine}" \
            + ("-coherent" if self.coherent else "") \
            + ("" if self.mapped else "-default-area")


REBINDS = (Rebind("zynq", True), Rebind("zynq", False),
           Rebind("virt", True), Rebind("virt", False),
           Rebind("virt", True, coherent=True))
# NVMe sleeps and waits for grace periods in each round: a third of a second
# on a fast kernel, where the PL330 takes a hundredth.
DIVISOR = {"virt": 10}


def rounds(machine: str, asked: int) -> int:
    """How many of @asked rebinds @machine gets, two at least."""
    return max(2, asked // DIVISOR.get(machine, 1))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `stress`."""
    parser.add_argument("--config", default="debug", metavar="NAME",
                        help="debug (default), kasan, or another fragment of "
                             "kernel-config/")
    parser.add_argument("--rebinds", type=boot.rounds, default=1000,
                        metavar="N",
                        help="rounds of unbind and bind on zynq (1000); a "
                             "tenth of them on virt, whose disk is slower")


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Run everything; each part goes on after failures of the others."""
    prepare.check_config(args.config)
    runs = kunit.load()
    output.set_steps(prepare.STEPS + len(runs) + 1)
    prepared = prepare.kernel(options, output, args.config)
    if options.dry_run:
        output.verdict(True, "stress: nothing was run (--dry-run)")
        return Exit.PASS
    folder = paths.run_folder("stress")
    results = Results()

    for run in runs:
        with output.step(f"kunit {run.name} on {run.machine.name}"):
            _note(output, results, kunit.execute(
                run, prepared, folder, options, kunit.limit(args.config)))
    seen: list[str] = []
    with output.step(f"{len(REBINDS)} boots with rebinds, {args.rebinds} "
                     f"rounds on zynq, {rounds('virt', args.rebinds)} on "
                     "virt"):
        cases: list[Case] = []
        for check, outcome in _boots(args, prepared, folder, options, output):
            cases += outcome.cases
            seen += [f"{check.name}: {line}" for line in outcome.seen]
        _note(output, results, cases)
    return results.conclude(
        output, folder, "stress",
        f"Linux {prepared.version}, {args.config}: {results.totals}", seen,
        version=prepared.version, config=args.config)


def _boots(args: argparse.Namespace, prepared: prepare.Prepared,
           folder: Path, options: Options, output: Output
           ) -> list[tuple[Rebind, boot.Outcome]]:
    """All of REBINDS, a few at a time: these guests sleep a lot."""
    def one(check: Rebind) -> tuple[Rebind, boot.Outcome]:
        own = folder / check.name
        own.mkdir()
        count = rounds(check.machine, args.rebinds)
        return check, boot.execute(
            machines.MACHINES[check.machine], prepared, own, options, output,
            wish=None if check.mapped else "", coherent=check.coherent,
            suite=check.name, rebinds=count, place=check.mapped,
            timeout=boot.limit(args.config, count))

    with process.parallel(build.jobs() + 1) as pool:
        return list(pool.map(one, REBINDS))


def _note(output: Output, results: Results, cases: list[Case]) -> None:
    results.extend(cases)
    output.note(Results(cases).totals)
