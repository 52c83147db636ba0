# SPDX-License-Identifier: GPL-2.0-only
"""`matrix`: every row of kunit/matrix, on the stock and the patched kernel.

A run over all rows and both kernels writes Documentation/matrix.md and
Documentation/matrix.svg.
"""

import argparse
import fnmatch
from collections.abc import Callable
from pathlib import Path

from . import (boot_table, matrix_document, matrix_picture, outcome, paths,
               prepare, qemu, rows)
from .boot_table import Booted, Kernels
from .errors import Exit, LabError
from .options import Options
from .outcome import Outcome, Result
from .output import Output, short
from .report import Case, Results
from .rows import Row

# Seconds of processor time after which a silent boot hangs. The longest that a
# good one is silent for is one, while it fills memory; five were once not
# enough where the host had to find 256 MiB for the guest first.
SPIN = 20.0
DOCUMENT = paths.REPO / "Documentation" / "matrix.md"
PICTURE = paths.REPO / "Documentation" / "matrix.svg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `matrix`."""
    parser.add_argument("--only", action="append", default=[], metavar="GLOB",
                        help="only rows with such a name, for example "
                             "'dt-*'; may be given several times")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--stock", action="store_true",
                       help="only the stock kernel")
    alone.add_argument("--patched", action="store_true",
                       help="only the patched kernel")


def select(table: list[Row], globs: list[str]) -> list[Row]:
    """The rows that match one of @globs; LabError(USAGE) if one matches none."""
    for glob in globs:
        if not any(fnmatch.fnmatchcase(row.name, glob) for row in table):
            raise LabError(Exit.USAGE, f"--only {glob}: no row has such a "
                           "name; kunit/matrix/*.toml have them")
    return [row for row in table if not globs or
            any(fnmatch.fnmatchcase(row.name, glob) for glob in globs)]


class Judge:
    """Judges the boots as they end, and tells the results in table order."""

    def __init__(self, table: list[Row], both: tuple[bool, ...],
                 tell: Callable[[Result], None]):
        self._table, self._both, self._tell = table, both, tell
        self._done: dict[tuple[str, bool], Booted] = {}
        self.results: list[Result] = []
        self.cases: dict[bool, list[Case]] = {False: [], True: []}

    def add(self, booted: Booted) -> None:
        """Take one boot, and tell all results that are known with it."""
        self._done[booted.row.title, booted.stock] = booted
        while len(self.results) < len(self._table):
            row = self._table[len(self.results)]
            other = rows.reference(row, self._table)
            needed = [(one.title, stock) for one in (row, other) if one
                      for stock in self._both]
            if not all(key in self._done for key in needed):
                return
            found = {stock: self._judge(row, stock) for stock in self._both}
            self.results.append(Result(row, found.get(True),
                                       found.get(False)))
            self._tell(self.results[-1])

    def _judge(self, row: Row, stock: bool) -> Outcome:
        booted = self._done[row.title, stock]
        memory = boot_table.plain_memory(row, self._table, stock, self._done)
        check = boot_table.check_stock if stock else boot_table.check
        case = check(booted, memory)
        case.suite = "matrix-stock" if stock else "matrix"
        case.name = f"{row.title}, {row.config}"
        case.log = str(booted.console.log)
        self.cases[stock].append(case)
        return outcome.classify(booted, case)


def describe(result: Result) -> str:
    """`dt-not-ram, virt, default: stock=panic patched=ok`."""
    row = result.row
    found = [f"{name}={value}" for name, value in
             (("stock", result.stock), ("patched", result.patched)) if value]
    return f"{row.name}, {row.machine.name}, {row.config}: {' '.join(found)}"


def _kernels(options: Options, output: Output, chosen: list[Row],
             both: tuple[bool, ...]) -> Kernels:
    return {(config, stock): prepare.kernel(options, output, config, stock)
            for config in dict.fromkeys(row.config for row in chosen)
            for stock in both}


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Build what is needed, boot, judge, and write the documents."""
    table = rows.load()
    chosen = boot_table.with_references(select(table, args.only), table) \
        if args.only else table
    for row in chosen:
        rows.reference(row, chosen)         # a missing one ends it here
    both = (True,) if args.stock else (False,) if args.patched \
        else (False, True)
    configs = len({row.config for row in chosen})
    output.set_steps(prepare.STEPS * configs * len(both) + 1)
    kernels = _kernels(options, output, chosen, both)
    if options.dry_run:
        output.verdict(True, "matrix: nothing was run (--dry-run)")
        return Exit.PASS
    folder = paths.run_folder("matrix")
    version = next(iter(kernels.values())).version
    judge = Judge(chosen, both, lambda result: output.info(describe(result)))
    jobs = [(row, stock) for row in chosen for stock in both]

    with output.step(f"boot {len(jobs)} times"):
        def on_done(booted: Booted, number: int) -> None:
            judge.add(booted)
            output.progress(f"{number} of {len(jobs)}")
        boot_table.boot_all(chosen, kernels, folder / "boots", jobs, SPIN,
                            on_done)

    results = Results(judge.cases[args.stock])
    document = {"version": version, "qemu": qemu.program_version(),
                "outcomes": [_entry(result) for result in judge.results],
                "stock_cases": [{"name": case.name, "message": case.message}
                                for case in judge.cases[True]]}
    results.write(folder, verb="matrix", **document)
    output.record(**results.document(**document))
    if not args.only and len(both) == 2:
        _write(judge.results, document, output)
    for line in summary(judge.results, both):
        output.info(line)
    if args.stock:
        output.verdict(True, f"matrix: Linux {version} stock: "
                       + outcome.totals(r.stock for r in judge.results),
                       folder / "results.json")
        return Exit.PASS
    for line in results.shown_problems():
        output.info(line)
    output.verdict(results.exit == Exit.PASS,
                   f"matrix: Linux {version}: {results.totals}; patched: "
                   + outcome.totals(r.patched for r in judge.results),
                   folder / "results.json")
    return results.exit


def summary(results: list[Result], both: tuple[bool, ...]) -> list[str]:
    """The totals of each kernel; of stock, what it cannot know apart."""
    bugs = [r for r in results if not r.row.feature]
    new = [r for r in results if r.row.feature]
    lines = []
    for stock in sorted(both, reverse=True):
        for name, members in (("", bugs), (", new parameters", new)):
            if members:
                lines.append(
                    f"{'stock' if stock else 'patched'}{name}: "
                    + outcome.totals(r.stock if stock else r.patched
                                     for r in members))
    return lines


def _entry(result: Result) -> dict[str, str | list[str] | None]:
    row = result.row
    return {"name": row.name, "machine": row.machine.name,
            "config": row.config, "defects": list(row.defects),
            "group": outcome.group(row).key,
            "stock": result.stock, "patched": result.patched}


def _write(results: list[Result], facts: dict, output: Output) -> None:
    for path, text in (
            (DOCUMENT, matrix_document.render(results, facts["version"],
                                              facts["qemu"], PICTURE.name)),
            (PICTURE, matrix_picture.render(results, facts["version"]))):
        paths.replace(path, text)
        output.info(f"wrote {short(path)}")
