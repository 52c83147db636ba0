# SPDX-License-Identifier: GPL-2.0-only
"""`coverage`: which lines of the touched files do the tests run?

The files that the patches touch are built with the compiler's counters. KUnit
and then every row of the boot matrix are booted with the laboratory's guest,
which prints the counters in the end. A boot that failed has no say here; its
counters are needed all the same, so it ends the run.

Writes Documentation/coverage.md, and out/coverage/html with every line.
"""

import argparse
import re
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path

from . import (boot_table, build, coverage_document, evidence, gcov, git,
               guest, kconfig, kunit, machines, matrix, packages, paths,
               prepare, process, qemu, rows, source, splats, test, tree)
from .coverage_document import File
from .errors import Exit, LabError
from .gcov import Coverage
from .options import Options
from .output import Output, short
from .prepare import Prepared
from .rows import Row

FOLDER = paths.OUT / "coverage"
DOCUMENT = paths.REPO / "Documentation" / "coverage.md"
CONFIG = "gcov"
TIMEOUT = 300.0
# In these at least so many percent of the lines have to run.
LEAST = 90.0
REQUIRED = ("kernel/dma/contiguous.c", "arch/arm/mm/dma-mapping.c")
_NOT_OK = re.compile(r"^(?:\[[ .\d]+\]\s*)?\s*not ok \d+ (.*)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `coverage`."""
    parser.add_argument("--kunit", action="store_true",
                        help="only the KUnit suites, no row of the matrix")
    parser.add_argument("--only", action="append", default=[], metavar="GLOB",
                        help="only rows with such a name; may be given "
                             "several times")


def touched(folder: Path) -> list[str]:
    """The C files that the patches touch, without the suites themselves."""
    names = git.ask(folder, "diff", "--name-only", "base", "HEAD", "--",
                    "*.c").split()
    return [name for name in names if "/tests/" not in name]


def changed_lines(folder: Path, name: str) -> set[int]:
    """The lines of @name that the patches wrote."""
    text = git.ask(folder, "diff", "-U0", "base", "HEAD", "--", name)
    return {line for first, count in re.findall(
        r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", text, re.M)
            for line in range(int(first), int(first) + int(count or 1))}


def kernel(options: Options, output: Output, folder: Path,
           files: list[str], version: str) -> Prepared:
    """The kernel with counters in @files, and a guest for it."""
    made = build.ensure_files(
        options, output, folder, CONFIG,
        kconfig.fragments(CONFIG, kconfig.series_fragments(False)),
        prepare.TARGETS, extra=[f"GCOV_PROFILE_{Path(name).stem}.o=y"
                                for name in files])
    initrd = guest.initramfs(output, folder, made)
    return Prepared(version, folder, made, initrd, False)


def boot_kunit(run: kunit.Run, prepared: Prepared, folder: Path
               ) -> evidence.Report:
    """Run suites in a boot that goes on to user space afterwards."""
    own = folder / f"{run.name}-{run.machine.name}"
    own.mkdir(parents=True)
    machine = run.machine
    assert isinstance(machine, machines.Machine)
    dtb = kunit.device_tree(run, prepared, own)
    console = qemu.run(qemu.Boot(
        machine, own, prepared.kernel,
        qemu.append(machine, "printk.devkmsg=on kunit.enable=1",
                    f"kunit.filter_glob={run.filter}", run.cmdline,
                    "guest.gcov"),
        machine.memory, dtb, prepared.initrd, timeout=TIMEOUT))
    name = f"kunit {run.name} on {machine.name}"
    failed = [match[1] for match in map(_NOT_OK.match, console.lines) if match]
    if failed:
        raise LabError(Exit.TEST_FAILED, f"{name}: {failed[0]} failed",
                       console.log)
    if not any(line.rstrip().endswith(f"Subtest: {suite}")
               for suite in run.suites for line in console.lines):
        raise LabError(Exit.TEST_FAILED, f"{name}: no suite of "
                       f"{', '.join(run.suites)} has run", console.log)
    return _ended(name, console, run.allowed)


def _ended(name: str, console: qemu.Console, allowed: tuple[str, ...] = ()
           ) -> evidence.Report:
    report = evidence.parse(console.lines)
    found = splats.scan(console.lines, allowed)
    if found:
        raise LabError(Exit.GUEST, f"{name}: {found[0]}", console.log)
    if not report.ended:
        raise LabError(Exit.TIMEOUT if console.timed_out else Exit.GUEST,
                       f"{name}: the guest did not reach its end",
                       console.log)
    return report


def boot_rows(chosen: list[Row], prepared: Prepared, folder: Path,
              progress: Callable[[str], None]) -> list[evidence.Report]:
    """Boot @chosen with the word that makes the guest print its counters."""
    asked = [replace(row, cmdline=f"{row.cmdline} guest.gcov".strip(),
                     fill=test.FILL) for row in chosen]
    done = boot_table.boot_all(
        asked, {(rows.DEFAULT_CONFIG, False): prepared}, folder,
        [(row, False) for row in asked], matrix.SPIN,
        lambda _, count: progress(f"{count} of {len(asked)}"))
    return [_ended(title, booted.console)
            for (title, _), booted in done.items()]


def collect(reports: list[evidence.Report], prepared: Prepared, folder: Path
            ) -> Coverage:
    """The counts of all @reports together."""
    total: Coverage = {}

    def one(number: int) -> Coverage:
        return gcov.read(gcov.data_files(reports[number]), prepared.build,
                         folder / str(number))

    with process.parallel(build.jobs()) as pool:
        futures = [pool.submit(one, number) for number in range(len(reports))]
        for future in as_completed(futures):
            gcov.add(total, future.result())
    return total


def web_pages(total: Coverage, files: list[File], folder: Path) -> Path:
    """lcov's pages with every line; returns the first one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    info = FOLDER / "coverage.info"
    names = {one.name for one in files}
    info.write_text(gcov.tracefile(
        {name: counts for name, counts in total.items() if name in names},
        folder, "tests"), encoding="utf-8")
    process.run(["genhtml", "--quiet", "--prefix", str(folder), "--title",
                 "the tests of the patches", "--output-directory",
                 str(FOLDER / "html"), str(info)],
                log=FOLDER / "genhtml.log", check=Exit.ENVIRONMENT)
    return FOLDER / "html" / "index.html"


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Build, boot, count, and write the pages; see above."""
    table = [row for row in rows.load() if row.config == rows.DEFAULT_CONFIG]
    chosen = [] if args.kunit else matrix.select(table, args.only)
    runs = kunit.load()
    output.set_steps(7)
    with output.step("packages"):
        packages.require(options, output, "fetch", "build", "run", "coverage")
    with output.step("fetch"):
        version = source.ensure(options, output).version
    with output.step("apply"):
        folder = tree.ensure(options, output)
    if options.dry_run:
        output.verdict(True, "coverage: nothing was run (--dry-run)")
        return Exit.PASS
    files = touched(folder)
    with output.step(f"build {len(files)} files with counters"):
        prepared = kernel(options, output, folder, files, version)
    own = paths.run_folder("coverage")
    with output.step(f"kunit, {len(runs)} boots"):
        kunit_counts = collect(
            [boot_kunit(run, prepared, own / "kunit") for run in runs],
            prepared, own / "kunit-gcov")
    total: Coverage = {}
    gcov.add(total, kunit_counts)
    with output.step(f"boot matrix, {len(chosen)} boots"):
        if chosen:
            gcov.add(total, collect(
                boot_rows(chosen, prepared, own / "rows", output.progress),
                prepared, own / "rows-gcov"))
    with output.step("pages"):
        found = [File(name, kunit_counts.get(name), total.get(name),
                      changed_lines(folder, name)) for name in files]
        page = web_pages(total, found, folder)
    if not args.kunit and not args.only:
        paths.replace(DOCUMENT, coverage_document.render(
            found, version, qemu.program_version(), len(runs), len(chosen)))
        output.info(f"wrote {short(DOCUMENT)}")
    return _conclude(found, page, output)


def _conclude(found: list[File], page: Path, output: Output) -> Exit:
    short_of = []
    for one in found:
        output.info(one.line())
        if one.name in REQUIRED and (
                one.total is None or one.total.percent < LEAST):
            short_of.append(one.name)
    output.record(files=[one.record() for one in found], page=page,
                  totals={"passed": len(REQUIRED) - len(short_of),
                          "failed": len(short_of), "skipped": 0})
    output.info(f"every line: {short(page)}")
    if short_of:
        output.verdict(False, f"coverage: less than {LEAST:g} % of the lines "
                       f"run in {', '.join(short_of)}")
        return Exit.TEST_FAILED
    output.verdict(True, f"coverage: at least {LEAST:g} % of the lines run "
                   f"in {', '.join(REQUIRED)}")
    return Exit.PASS
