# SPDX-License-Identifier: GPL-2.0-only
"""`mutate --oracle`: does the cache oracle see each mistake with a `Rule`?

The kernel has the outer cache of zynq. Guests are run until one breaks the
rule that the mutant names: real transfers on both machines, then the KUnit
suites of ARM. Whether KUnit notices, too, does not matter here; a guest that
crashes is not what was asked for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import (boot, kconfig, kunit, machines, oracle, oracle_report,
               paths)
from .errors import Exit, LabError
from .mutants import Mutant
from .options import Options
from .oracle import Oracle
from .output import Output
from .prepare import Prepared

CONFIG = "l2x0"
DOCUMENT = paths.REPO / "Documentation" / "cache-oracle-mutants.md"
MACHINES = ("zynq", "virt")


@dataclass(frozen=True)
class Trial:
    """One guest: @run makes it, and gives the rules that were broken."""

    name: str
    run: Callable[[Path], dict[str, int]]


def fragments() -> list[Path]:
    """The configuration in which these mutants are tried."""
    return kconfig.fragments(CONFIG, kconfig.series_fragments(False))


def rules(report: Path) -> dict[str, int]:
    """How often each rule was broken; LabError(GUEST) without a report."""
    document = oracle_report.load(report)
    if document is None:
        raise LabError(Exit.GUEST, f"{report}: the oracle wrote no report")
    return document["rules"]


def trials(prepared: Prepared, watcher: Oracle, options: Options,
           output: Output) -> Iterator[Trial]:
    """All guests, the fastest first.

    What is in the suites' files but not of ARM maintains no caches.
    """
    def boot_one(name: str) -> Callable[[Path], dict[str, int]]:
        def run(folder: Path) -> dict[str, int]:
            folder.mkdir(parents=True)
            boot.execute(machines.MACHINES[name], prepared, folder, options,
                         output, timeout=boot.limit(CONFIG) * oracle.SLOWER,
                         watcher=watcher)
            return rules(folder / oracle.REPORT)
        return run

    def suites(run: kunit.Run) -> Callable[[Path], dict[str, int]]:
        def start(folder: Path) -> dict[str, int]:
            kunit.execute(run, prepared, folder, options, watcher=watcher)
            return rules(folder / f"{run.name}-{run.machine.name}"
                         / oracle.REPORT)
        return start

    for name in MACHINES:
        yield Trial(f"boot-{name}", boot_one(name))
    for run in kunit.load():
        if run.filter.startswith("arm_"):
            yield Trial(f"kunit-{run.machine.name}/{run.name}", suites(run))


def unmutated(found: Iterator[Trial], folder: Path) -> None:
    """LabError if the kernel without a mistake breaks a rule."""
    for trial in found:
        broken = trial.run(folder / trial.name.replace("/", "-"))
        if broken:
            raise LabError(Exit.GUEST, f"without a mistake {trial.name} breaks "
                           f"the rules {', '.join(broken)}", folder)


def flagged(mutant: Mutant, found: Iterator[Trial], folder: Path
            ) -> tuple[str, str]:
    """(who saw it, what was broken); who is empty if nobody did."""
    others: dict[str, int] = {}
    for trial in found:
        try:
            broken = trial.run(folder / trial.name.replace("/", "-"))
        except LabError as error:
            if error.exit not in (Exit.GUEST, Exit.TIMEOUT):
                raise
            broken = {}
        if mutant.rule in broken:
            return trial.name, ", ".join(sorted(broken))
        others.update(broken)
    return "", ", ".join(sorted(others))


def render(found: list[tuple[Mutant, str, str]], version: str) -> str:
    """The page: each mutant, its rule, and which guest broke that."""
    seen = sum(bool(by) for _, by, _ in found)
    lines = ["<!-- SPDX-License-Identifier: GPL-2.0-only -->",
             "<!-- Written by `scripts/cma mutate --oracle`. Do not edit. -->",
             "# Does the cache oracle see mistakes?", "",
             f"{len(found)} deliberate mistakes in Linux {version}, one at a "
             "time, each with the rule that it",
             "has to break. Guests are run until that happens: transfers on "
             "both machines, then the",
             "KUnit suites of ARM. What else was broken in the same guest is "
             "often the same mistake.", "",
             f"**{seen} of {len(found)} were flagged with the right rule.**",
             "", "| mutant | what is wrong | rule | flagged by | broken there |",
             "|---|---|---|---|---|"]
    for mutant, by, broken in found:
        bug = mutant.bug.replace("|", "\\|").replace("_", "\\_")
        lines.append(f"| {mutant.name} | {bug} | {mutant.rule} | "
                     f"{by.replace('_', chr(92) + '_') or '**nothing**'} | "
                     f"{broken or '–'} |")
    return "\n".join(lines) + "\n"


def chosen(found: list[Mutant]) -> list[Mutant]:
    """Those that name a rule; LabError(USAGE) if there are none."""
    with_rule = [one for one in found if one.rule]
    if not with_rule:
        raise LabError(Exit.USAGE, "--oracle: none of these mutants has a "
                       "`Rule`")
    return with_rule


def check_rules(found: list[Mutant], known: Path = oracle.SOURCE / "model.c"
                ) -> None:
    """LabError(USAGE) for a rule that the model does not have."""
    text = known.read_text(encoding="utf-8")
    for one in found:
        if one.rule and f'{{ "{one.rule}",' not in text:
            raise LabError(Exit.USAGE, f"{one.path.name}: Rule: the oracle "
                           f"has no rule {one.rule!r}")


