# SPDX-License-Identifier: GPL-2.0-only
"""`test`: unit tests, KUnit, boot checks and the boot table in one run."""

import argparse
from dataclasses import dataclass, replace

from . import boot, boot_table, kunit, machines, paths, prepare, rows, unit
from .errors import Exit, LabError
from .options import Options
from .output import Output
from .report import Case, Results


# How much of the memory each boot of the table uses; `matrix` uses all.
FILL = 64 * paths.MIB


@dataclass(frozen=True)
class BootCheck:
    """One boot check of the table below."""

    machine: str
    coherent: bool

    @property
    def name(self) -> str:
        """Name of the suite."""
        return f"boot-{self.machine}" + ("-coherent" if self.coherent else "")


BOOTS = (BootCheck("zynq", False), BootCheck("virt", False),
         BootCheck("virt", True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `test`."""
    parser.add_argument("--stock", action="store_true",
                        help="build the kernel without the series, too, and "
                             "compare what it does without new parameters")
    parser.add_argument("--config", default="default", metavar="NAME",
                        help="a fragment of kernel-config/ on top of base")


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Run everything; each part goes on after failures of the others."""
    prepare.check_config(args.config)
    if "cma_map=" in _built_in(args.config):
        raise LabError(Exit.USAGE, f"--config {args.config}: its built-in "
                       "parameters would be part of every row; it is for boot")
    table = _rows(rows.load(), args.config)
    runs = kunit.load()
    steps = prepare.STEPS + 2 + len(runs) + len(BOOTS)
    output.set_steps(steps + (prepare.STEPS if args.stock else 0))
    prepared = prepare.kernel(options, output, args.config)
    stock = prepare.kernel(options, output, args.config, stock=True) \
        if args.stock else None
    if options.dry_run:
        output.verdict(True, "test: nothing was run (--dry-run)")
        return Exit.PASS
    folder = paths.run_folder("test")
    results = Results()

    with output.step("unit tests"):
        _note(output, results, unit.run(folder / "unit.log"))
    for run in runs:
        with output.step(f"kunit {run.name} on {run.machine.name}"):
            _note(output, results,
                  kunit.execute(run, prepared, folder, options,
                                kunit.limit(args.config)))
    for check in BOOTS:
        with output.step(check.name):
            own = folder / check.name
            own.mkdir()
            outcome = boot.execute(
                machines.MACHINES[check.machine], prepared, own, options,
                output, coherent=check.coherent, suite=check.name,
                timeout=boot.limit(args.config))
            _note(output, results, outcome.cases)
        for line in outcome.seen:
            output.info("  " + line)
    with output.step(f"boot table, {len(table)} boots"):
        _note(output, results, boot_table.run(
            table, prepared, folder / "table", stock, output.progress))

    return results.conclude(
        output, folder, "test", f"Linux {prepared.version}: {results.totals}",
        version=prepared.version, config=args.config)


def _note(output: Output, results: Results, cases: list[Case]) -> None:
    results.extend(cases)
    output.note(Results(cases).totals)


def _rows(table: list[rows.Row], config: str) -> list[rows.Row]:
    """The rows for @config; most configurations have none of their own."""
    own = [row for row in table if row.config == config] or \
        [row for row in table if row.config == rows.DEFAULT_CONFIG]
    return [replace(row, fill=FILL) for row in own]


def _built_in(config: str) -> str:
    if config == "default":
        return ""
    return (paths.KERNEL_CONFIG / f"{config}.config").read_text()
