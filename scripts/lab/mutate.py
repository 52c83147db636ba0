# SPDX-License-Identifier: GPL-2.0-only
"""`mutate`: is each deliberate mistake in kunit/mutants caught by a test?

The kernel is built with one mistake at a time, in a work tree of its own, and
the KUnit suites are run; a mutant of what KUnit cannot see names rows of the
boot matrix, which are booted first. The first test that fails ends it. A mutant
that no test notices has survived.

A mutant that does not apply, does not build, or does not change the image is
an error, never a kill. Before all of them, the kernel without a mistake has to
pass the same tests.
"""

import argparse
import fnmatch
import hashlib
import json
import queue
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from . import (boot_table, build, git, guest, kconfig, kunit, matrix, mutants,
               mutants_document, mutate_oracle, oracle, outcome, packages,
               paths, prepare, process, qemu, rows, source, tree)
from .errors import Exit, LabError
from .mutants import Mutant
from .options import Options
from .output import Output, short
from .prepare import Prepared
from .report import FAILED, PASSED, SKIPPED, Case, Results
from .rows import Row

FOLDER = paths.OUT / "mutate"
STATE = FOLDER / "state.json"
DOCUMENT = paths.REPO / "Documentation" / "mutants.md"
TREE_MIB = 2600
# Of those that a test could see, at least so many percent have to be caught.
LEAST = 95


class State(StrEnum):
    """What came of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    ERROR = "error"


@dataclass(frozen=True)
class Verdict:
    """@by is the test that caught it, @message what that said."""

    state: State
    by: str = ""
    message: str = ""


@dataclass
class Known:
    """What earlier runs found out, by digest. Kept in STATE."""

    verdicts: dict[str, dict[str, str]] = field(default_factory=dict)
    passed: dict[str, dict[str, int]] = field(default_factory=dict)

    @staticmethod
    def load(path: Path = STATE) -> "Known":
        """What @path has; nothing if it is not there or cannot be read."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return Known(document["verdicts"], document["passed"])
        except (OSError, ValueError, KeyError, TypeError):
            return Known()

    def save(self, path: Path = STATE) -> None:
        """Write it; never leaves half a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        paths.replace(path, json.dumps(asdict(self), indent=1) + "\n")

    def verdict(self, key: str) -> Verdict | None:
        """The verdict under @key, if it was given before."""
        entry = self.verdicts.get(key)
        return Verdict(State(entry["state"]), entry["by"], entry["message"]) \
            if entry else None


@dataclass(frozen=True)
class Slot:
    """A work tree and its build, for one mutant at a time."""

    prepared: Prepared
    image: str


@dataclass(frozen=True)
class Tests:
    """The runs of KUnit, the rows that any mutant names, and MemTotal."""

    runs: list[kunit.Run]
    table: list[Row]
    memory: dict[str, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mutate`."""
    parser.add_argument("--only", action="append", default=[], metavar="GLOB",
                        help="only mutants with such a name, for example "
                             "'map-*'; may be given several times")
    parser.add_argument("--jobs", type=_jobs, default=1, metavar="N",
                        help="work on N mutants at a time, each in a tree of "
                             "its own (1)")
    parser.add_argument("--oracle", action="store_true",
                        help="only mutants that break a rule of the cache "
                             "oracle: does that flag it?")
    parser.add_argument("--resume", action="store_true",
                        help="keep the verdicts of earlier runs on the same "
                             "tree, mutants and tests")


def _jobs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number from 1 to 64")
    return int(text)


def select(found: list[Mutant], globs: list[str]) -> list[Mutant]:
    """The mutants that match one of @globs; LabError(USAGE) if one has none."""
    for glob in globs:
        if not any(fnmatch.fnmatchcase(one.name, glob) for one in found):
            raise LabError(Exit.USAGE, f"--only {glob}: no mutant has such a "
                           "name; kunit/mutants/ has them")
    return [one for one in found if not globs or
            any(fnmatch.fnmatchcase(one.name, glob) for glob in globs)]


def killer(cases: list[Case]) -> Verdict | None:
    """The verdict if one of @cases of KUnit failed, best told by a case."""
    failed = [case for case in cases if case.status == FAILED]
    if not failed:
        return None
    told = [case for case in failed
            if "/" in case.suite and case.message != "crashed"]
    if told:
        return Verdict(State.KILLED, f"{told[0].suite}: {told[0].name}",
                       told[0].message)
    last = failed[-1]
    how = {Exit.GUEST: "crash or splat", Exit.TIMEOUT: "hang"}
    return Verdict(State.KILLED,
                   f"{last.suite.split('/')[0]}: {how.get(last.exit, 'run')}",
                   last.message)


def _doubtful(cases: list[Case]) -> bool:
    """Nothing but a guest that was late: that may be the host's fault."""
    failed = [case for case in cases if case.status == FAILED]
    return bool(failed) and all(case.exit == Exit.TIMEOUT for case in failed)


def run_kunit(run: kunit.Run, prepared: Prepared, folder: Path,
              options: Options) -> list[Case]:
    """One run of KUnit; a second one if the first only took too long."""
    cases = kunit.execute(run, prepared, folder, options)
    if _doubtful(cases):
        cases = kunit.execute(run, prepared, folder / "again", options)
    return cases


def run_rows(chosen: list[Row], prepared: Prepared, folder: Path,
             memory: dict[str, int], table: list[Row]) -> Verdict | None:
    """Boot @chosen one after the other, until one fails.

    @memory is MemTotal of the kernel without a mistake, by title.
    """
    for row in chosen:
        done = boot_table.boot_all(
            [row], {(rows.DEFAULT_CONFIG, False): prepared},
            folder / f"{row.name}-{row.machine.name}", [(row, False)],
            matrix.SPIN)
        booted = done[row.title, False]
        other = rows.reference(row, table)
        case = boot_table.check(booted, memory[other.title] if other else None)
        if case.status == FAILED:
            return Verdict(State.KILLED, f"row {row.title}: "
                           f"{outcome.classify(booted, case)}", case.message)
    return None


def in_order(runs: list[kunit.Run], mutant: Mutant) -> list[kunit.Run]:
    """@runs, those first that are about the file in which @mutant is."""
    def about(run: kunit.Run) -> bool:
        return any(fnmatch.fnmatchcase(file, glob)
                   for file in mutant.files for glob in run.covers)
    return sorted(runs, key=lambda run: not about(run))


def examine(mutant: Mutant, slot: Slot, tests: Tests, folder: Path,
            options: Options, output: Output, jobs: int) -> Verdict:
    """Build with @mutant and look for a test that notices."""
    folder.mkdir(parents=True)
    prepared = slot.prepared
    try:
        try:
            mutants.apply(mutant, prepared.tree, folder / "build.log")
            build.make(prepared.tree, prepared.build, ["zImage"],
                       folder / "build.log", output, extra=[f"-j{jobs}"])
        except LabError as error:
            if error.exit != Exit.BUILD:
                raise
            return Verdict(State.ERROR, "", error.message)
        if image_digest(prepared) == slot.image:
            return Verdict(State.ERROR, "", "the image is the same: this code "
                           "is not built, or the change is none")
        verdict = run_rows(
            [row for row in tests.table if row.name in mutant.rows], prepared,
            folder / "rows", tests.memory, tests.table)
        for run in in_order(tests.runs, mutant):
            verdict = verdict or killer(run_kunit(run, prepared, folder,
                                                  options))
        return verdict or Verdict(State.SURVIVED)
    finally:
        mutants.revert(mutant, prepared.tree)


def image_digest(prepared: Prepared) -> str:
    """sha256 of the kernel image."""
    return hashlib.sha256(prepared.kernel.read_bytes()).hexdigest()


def make_slot(name: str, head: str, version: str, output: Output,
              jobs: int, config: list[Path]) -> Slot:
    """Work tree @name at @head, built from the fragments @config."""
    own = FOLDER / name
    work, folder, log = own / "tree", own / "build", own / "build.log"
    log.unlink(missing_ok=True)
    if not (work / ".git").exists() or git.resolve(work, "HEAD") is None:
        paths.need_space(FOLDER, TREE_MIB, "a work tree for mutants")
        git.run(paths.TREE, "worktree", "prune", log=log)
        git.run(paths.TREE, "worktree", "add", "-q", "--force", "--detach",
                str(work), head, log=log)
    else:
        git.run(work, "checkout", "-q", "--force", "--detach", head, log=log)
    build.prepare_folder(folder, work)
    build.configure(work, folder, config, log, output)
    build.make(work, folder, list(prepare.TARGETS), log, output,
               extra=[f"-j{jobs}"])
    initrd = guest.initramfs(output, work, folder)
    prepared = Prepared(version, work, folder, initrd, False)
    return Slot(prepared, image_digest(prepared))


def fragments() -> list[Path]:
    """The configuration in which mutants are tried."""
    return kconfig.fragments(rows.DEFAULT_CONFIG,
                             kconfig.series_fragments(False))


def try_unmutated(slot: Slot, runs: list[kunit.Run], table: list[Row],
                  folder: Path, options: Options) -> dict[str, int]:
    """MemTotal of each row; LabError if the kernel itself fails a test."""
    for run in runs:
        bad = Results(run_kunit(run, slot.prepared, folder, options))
        if bad.exit != Exit.PASS:
            raise LabError(bad.exit, "without a mistake the kernel fails: "
                           + bad.shown_problems()[0], folder)
    done = boot_table.boot_all(
        table, {(rows.DEFAULT_CONFIG, False): slot.prepared}, folder / "rows",
        [(row, False) for row in table], matrix.SPIN)
    memory = {}
    for row in table:
        booted = done[row.title, False]
        case = boot_table.check(booted, boot_table.plain_memory(
            row, table, False, done))
        if case.status == FAILED:
            raise LabError(case.exit, "without a mistake the kernel fails: "
                           f"row {row.title}: {case.message}",
                           booted.console.log)
        memory[row.title] = booted.memory
    return memory


def wanted_rows(chosen: list[Mutant], table: list[Row]) -> list[Row]:
    """The rows that @chosen name, and those their memory is compared with."""
    names = {name for one in chosen for name in one.rows}
    return boot_table.with_references(
        [row for row in table if row.name in names
         and row.config == rows.DEFAULT_CONFIG], table)


def common_digest(head: str, runs: list[kunit.Run]) -> str:
    """What all verdicts depend on: the tree, the compiler, KUnit, the guest."""
    return mutants.digest(
        [git.ask(paths.TREE, "rev-parse", f"{head}^{{tree}}").strip(),
         build.config_digest(fragments()), repr(runs),
         guest.SOURCE.read_text(encoding="utf-8")])


def rows_digest(chosen: list[Row]) -> str:
    """sha256 of @chosen, with the overlays that they name."""
    return mutants.digest(
        [repr(row) + (row.overlay.read_text(encoding="utf-8")
                      if row.overlay else "") for row in chosen])


def as_case(mutant: Mutant, verdict: Verdict, log: Path) -> Case:
    """How a mutant counts: killed is passed, a known survivor a skip."""
    case = Case("mutants", mutant.name, PASSED, verdict.by, log=str(log))
    if verdict.state == State.ERROR:
        case.fail(verdict.message, Exit.BUILD)
    elif verdict.state == State.SURVIVED:
        known = "only a model of the caches can see it" if mutant.oracle \
            else mutant.survives
        if known:
            case.status, case.message = SKIPPED, f"survived: {known}"
        else:
            case.fail(f"survived: {mutant.bug}")
    return case


def score(found: list[tuple[Mutant, Verdict]]) -> tuple[int, int]:
    """(killed, of so many), without those left to the oracle."""
    counted = [verdict for mutant, verdict in found
               if verdict.state == State.KILLED
               or (verdict.state == State.SURVIVED and not mutant.oracle)]
    return sum(verdict.state == State.KILLED for verdict in counted), \
        len(counted)


def describe(mutant: Mutant, verdict: Verdict) -> str:
    """`map-x: killed by kunit-virt/dma_contiguous: case`."""
    if verdict.state == State.KILLED:
        text = f"{mutant.name}: killed by {verdict.by}"
        marked = "Needs" if mutant.oracle else \
            "Survives" if mutant.survives else ""
        return text + (f"; take `{marked}` out of its head" if marked else "")
    if verdict.state == State.ERROR:
        return f"{mutant.name}: ERROR, {verdict.message}"
    return f"{mutant.name}: survived" + (" (oracle)" if mutant.oracle else "")


def _try_all(chosen: list[Mutant], slots: list[Slot], tests: Tests,
             folder: Path, options: Options, output: Output,
             tell: Callable[[Mutant, Verdict], None]) -> None:
    """Examine @chosen, as many at a time as there are slots."""
    free: queue.Queue[Slot] = queue.Queue()
    for slot in slots:
        free.put(slot)
    jobs = max(1, build.jobs() // len(slots))

    def one(mutant: Mutant) -> Verdict:
        slot = free.get()
        try:
            return examine(mutant, slot, tests, folder / mutant.name, options,
                           output, jobs)
        finally:
            free.put(slot)

    with process.parallel(len(slots)) as pool:
        futures = {pool.submit(one, mutant): mutant for mutant in chosen}
        for future in as_completed(futures):
            tell(futures[future], future.result())


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Prepare, try the kernel as it is, then each mutant; see above."""
    table = rows.load()
    chosen = select(mutants.load(table), args.only)
    if args.oracle:
        chosen = mutate_oracle.chosen(chosen)
        mutate_oracle.check_rules(chosen)
    else:
        chosen = [one for one in chosen if not (one.oracle and one.rule)]
    runs = kunit.load()
    output.set_steps(6)
    with output.step("packages"):
        packages.require(options, output, "fetch", "build", "run")
    with output.step("fetch"):
        version = source.ensure(options, output).version
    with output.step("apply"):
        tree.ensure(options, output)
    if options.dry_run:
        for mutant in chosen:
            process.run(["git", "apply", str(mutant.path)])
        output.verdict(True, "mutate: nothing was run (--dry-run)")
        return Exit.PASS
    if git.changes(paths.TREE):
        raise LabError(Exit.BUILD, f"{short(paths.TREE)} has uncommitted "
                       "changes: commit them, mutants are made from HEAD")
    with paths.lock("mutate"):
        if args.oracle:
            return _run_oracle(chosen, version, not args.only, options, output)
        return _run(args, chosen, runs, wanted_rows(chosen, table), version,
                    options, output)


def _run(args: argparse.Namespace, chosen: list[Mutant], runs: list[kunit.Run],
         table: list[Row], version: str, options: Options,
         output: Output) -> Exit:
    head = git.ask(paths.TREE, "rev-parse", "HEAD").strip()
    folder = paths.run_folder("mutate")
    common = common_digest(head, runs)
    keys = {one.name: mutants.digest(
        [common, one.digest, rows_digest([row for row in table
                                          if row.name in one.rows])])
            for one in chosen}
    known = Known.load()
    found: dict[str, Verdict] = {}
    if args.resume:
        found = {one.name: verdict for one in chosen
                 if (verdict := known.verdict(keys[one.name]))}
    left = [one for one in chosen if one.name not in found]
    slots: list[Slot] = []
    with output.step("build without a mistake"):
        for number in range(1, min(args.jobs, len(left)) + 1):
            slots.append(make_slot(str(number), head, version, output,
                                   build.jobs(), fragments()))
    for one in list(left):
        reason = mutants.refusal(one, slots[0].prepared.tree)
        if reason:
            found[one.name] = Verdict(State.ERROR, "", reason)
            left.remove(one)
            output.info(describe(one, found[one.name]))
    key = mutants.digest([common, rows_digest(table)])
    with output.step(f"test without a mistake, {len(runs)} runs of KUnit and "
                     f"{len(table)} rows"):
        if left and not (args.resume and key in known.passed):
            known.passed[key] = try_unmutated(
                slots[0], runs, table, folder / "unmutated", options)
            known.save()
        elif left:
            output.note("it passed before")

    def tell(mutant: Mutant, verdict: Verdict) -> None:
        found[mutant.name] = verdict
        output.info(describe(mutant, verdict))
        output.progress(f"{len(found)} of {len(chosen)}")
        if verdict.state != State.ERROR:
            known.verdicts[keys[mutant.name]] = {**asdict(verdict)}
            known.save()

    with output.step(f"try {len(left)} mutants"):
        if left:
            tests = Tests(runs, table, known.passed[key])
            _try_all(left, slots, tests, folder, options, output, tell)
        if len(chosen) > len(left):
            output.note(f"{len(chosen) - len(left)} known")
    return _conclude(args, [(one, found[one.name]) for one in chosen], folder,
                     version, output)


def _run_oracle(chosen: list[Mutant], version: str, all_of_them: bool,
                options: Options, output: Output) -> Exit:
    """`--oracle`: each mutant until its rule is broken."""
    head = git.ask(paths.TREE, "rev-parse", "HEAD").strip()
    folder = paths.run_folder("mutate")
    with output.step("build without a mistake"):
        slot = make_slot("oracle", head, version, output, build.jobs(),
                         mutate_oracle.fragments())
        watcher = oracle.ensure(options, output)

    def trials():
        return mutate_oracle.trials(slot.prepared, watcher, options, output)

    with output.step("test without a mistake"):
        mutate_oracle.unmutated(trials(), folder / "unmutated")
    results, found = Results(), []
    with output.step(f"try {len(chosen)} mutants"):
        for one in chosen:
            case = results.add(Case("oracle", one.name,
                                    log=str(folder / one.name)))
            try:
                by, broken = _examine_oracle(one, slot, trials(),
                                             folder / one.name, output)
            except LabError as error:
                if error.exit != Exit.BUILD:
                    raise
                case.fail(error.message, Exit.BUILD)
                output.info(f"{one.name}: ERROR, {error.message}")
                continue
            found.append((one, by, broken))
            if by:
                output.info(f"{one.name}: {one.rule} in {by}")
            else:
                case.fail(f"not flagged as {one.rule}, but as "
                          f"{broken or 'nothing'}")
                output.info(f"{one.name}: {case.message}")
    if all_of_them and len(found) == len(chosen):
        paths.replace(mutate_oracle.DOCUMENT,
                      mutate_oracle.render(found, version))
        output.info(f"wrote {short(mutate_oracle.DOCUMENT)}")
    return results.conclude(
        output, folder, "mutate", f"Linux {version}: "
        f"{sum(bool(by) for _, by, _ in found)} of {len(chosen)} flagged with "
        "the right rule", version=version)


def _examine_oracle(mutant: Mutant, slot: Slot, trials, folder: Path,
                    output: Output) -> tuple[str, str]:
    folder.mkdir(parents=True)
    prepared = slot.prepared
    try:
        mutants.apply(mutant, prepared.tree, folder / "build.log")
        build.make(prepared.tree, prepared.build, ["zImage"],
                   folder / "build.log", output)
        if image_digest(prepared) == slot.image:
            raise LabError(Exit.BUILD, "the image is the same: this code is "
                           "not built, or the change is none")
        return mutate_oracle.flagged(mutant, trials, folder)
    finally:
        mutants.revert(mutant, prepared.tree)


def _conclude(args: argparse.Namespace, found: list[tuple[Mutant, Verdict]],
              folder: Path, version: str, output: Output) -> Exit:
    results = Results([as_case(mutant, verdict, folder / mutant.name)
                       for mutant, verdict in found])
    killed, counted = score(found)
    errors = sum(verdict.state == State.ERROR for _, verdict in found)
    percent = 100 * killed // counted if counted else 0
    if not args.only:
        case = results.add(Case("mutants", "score"))
        if percent < LEAST:
            case.fail(f"{killed} of {counted} killed, at least {LEAST} % are "
                      "asked for")
        if not errors:
            paths.replace(DOCUMENT, mutants_document.render(
                [(mutant, str(verdict.state), verdict.by)
                 for mutant, verdict in found], killed, counted, version,
                qemu.program_version()))
            output.info(f"wrote {short(DOCUMENT)}")
    facts: dict[str, Any] = {
        "version": version, "killed": killed, "counted": counted,
        "mutants": [{"name": mutant.name, "bug": mutant.bug, **asdict(verdict)}
                    for mutant, verdict in found]}
    oracle = [mutant.name for mutant, verdict in found
              if mutant.oracle and verdict.state == State.SURVIVED]
    shown = [f"left to the oracle: {', '.join(oracle)}"] if oracle else []
    return results.conclude(
        output, folder, "mutate", f"Linux {version}: {killed} of {counted} "
        f"killed, {percent} %, {errors} errors", shown, **facts)
