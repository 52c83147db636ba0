# SPDX-License-Identifier: GPL-2.0-only
"""`check`: what a maintainer would run on the series before reading it.

refresh     patches/ is what the tree exports
checkpatch  --strict --codespell, on every patch
each        every patch builds by itself, without a new warning, and boots
w1          W=1 and kernel-doc on the files a patch touches, before and after
sparse      the same with sparse
configs     after each series: without DMA_CMA, and without OF
dtbs        dt-schema and dtc on the overlays in dts/

Builds run in a work tree of their own. Results are kept under out/check,
by the trees before and after a patch and by the configuration, so what did
not change is not built again.
"""

import argparse
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import (build, check_dtbs, checkpatch, covers, dtschema, git, kconfig, packages, paths,
               prepare, process, series, source, sparse, step_boot, tree)
from .errors import Exit, LabError
from .options import Options
from .output import Output, short

PARTS = ("refresh", "checkpatch", "each", "w1", "sparse", "configs", "dtbs")
FOLDER = paths.OUT / "check"
WORK = FOLDER / "tree"
WARNING = re.compile(r"^(\S+?\.[chS]):(\d+)(?::\d+)?:? (?:warning|error|"
                     r"Warning): (.*)$|^(Warning|warning|error): "
                     r"(\S+?\.[chS]):(\d+)(?::\d+)?:? (.*)$")
OTHER_WARNING = re.compile(r"^WARNING: |: warning: |(?i:^warning: )")
# Small configurations for the series ends: name, architecture, targets, what
# it covers, fragment. Every symbol in a fragment is asserted.
NO_OF = """\
CONFIG_EXPERT=y
CONFIG_PRINTK=y
CONFIG_PROC_FS=y
CONFIG_SYSFS=y
CONFIG_DEBUG_FS=y
CONFIG_CMA=y
CONFIG_DMA_CMA=y
CONFIG_CMA_SYSFS=y
CONFIG_CMA_DEBUGFS=y
# CONFIG_OF is not set
"""
SERIES_ENDS = (
    ("no-dma-cma", "arm", ["zImage"],
     "the laboratory's kernel with DMA_CMA=n", None),
    ("no-of-arm", "arm", ["vmlinux"],
     "ARM without OF (SA-1100, the ARM code and DMA_CMA are in it)",
     NO_OF + "CONFIG_MMU=y\nCONFIG_ATAGS=y\nCONFIG_AEABI=y\n"
     "CONFIG_ARCH_MULTI_V4=y\n# CONFIG_ARCH_MULTI_V7 is not set\n"
     "CONFIG_ARCH_SA1100=y\nCONFIG_SA1100_ASSABET=y\n"),
    ("no-of-x86", "x86_64", ["kernel/dma/", "mm/", "lib/kobject.o"],
     "x86_64 without OF (kernel/dma and mm, compiled, not linked)",
     NO_OF + "CONFIG_64BIT=y\nCONFIG_SMP=y\nCONFIG_DMA_API_DEBUG=y\n"),
)


@dataclass
class Tally:
    """Results so far, in the order they came."""

    output: Output
    results: list[dict[str, str]] = field(default_factory=list)

    def add(self, part: str, name: str, result: str, detail: str = "") -> None:
        """Count and print one result: passed, failed or skipped."""
        self.results.append({"part": part, "name": name, "result": result,
                             "detail": detail})
        text = f"{result:7} {part:10} {name}"
        self.output.info(text + (f": {detail}" if detail else ""))

    def judge(self, part: str, name: str, complaints: list[str],
              note: str = "") -> None:
        """Passed if there are no @complaints; the first one is shown."""
        more = f" (and {len(complaints) - 1} more)" \
            if len(complaints) > 1 else ""
        self.add(part, name, "failed" if complaints else "passed",
                 complaints[0] + more if complaints else note)

    def count(self, result: str) -> int:
        """How many results are @result."""
        return sum(one["result"] == result for one in self.results)


@dataclass
class Step:
    """One patch of the branch with the trees before and after it."""

    name: str
    commit: str
    before: str
    before_tree: str
    after_tree: str
    touched: list[str]


def warnings(text: str) -> set[str]:
    """The warnings and errors in compiler output, without line numbers."""
    found = set()
    for line in text.splitlines():
        line = line.strip().replace(f"{build.LINK}/", "")
        match = WARNING.match(line)
        if match:
            name, _, message, _, name2, _, message2 = match.groups()
            found.add(f"{name or name2}: {message or message2}")
        elif OTHER_WARNING.search(line):
            found.add(re.sub(r":\d+(:\d+)?", "", line))
    return found


class Cache:
    """Lists of complaints by what they depend on; only whole results."""

    def __init__(self, options: Options):
        self.folder = FOLDER / "cache"
        self.options = options

    def get(self, key: list[str],
            make: Callable[[], list[str]]) -> tuple[list[str], bool]:
        """(complaints, whether they were made in an earlier run)."""
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
        path = self.folder / f"{key[0]}-{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")), True
        except (OSError, ValueError):
            pass
        value = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(value), encoding="utf-8")
        temporary.replace(path)
        return value, False


class Walker:
    """Builds in a work tree that goes from commit to commit."""

    def __init__(self, base: str, files: list[Path], output: Output,
                 log: Path):
        self.base, self.files, self.output, self.log = base, files, output, log
        self.known: dict[str, set[str]] = {}
        self.configured: dict[Path, str] = {}

    def checkout(self, commit: str) -> None:
        """Bring the work tree to @commit, touching only what differs."""
        git.run(paths.TREE, "worktree", "prune", log=self.log)
        if not (WORK / ".git").exists():
            shutil.rmtree(WORK, ignore_errors=True)
            git.run(paths.TREE, "worktree", "prune", log=self.log)
            paths.need_space(FOLDER, 3500, "the work tree and builds of check")
            FOLDER.mkdir(parents=True, exist_ok=True)
            git.run(paths.TREE, "worktree", "add", "-q", "--detach",
                    str(WORK), commit, log=self.log)
        git.run(WORK, "checkout", "-q", "--force", "--detach", commit,
                log=self.log)

    def make(self, name: str, targets: list[str], *, arch: str = "arm",
             files: list[Path] | None = None, asserted: list[Path],
             extra: list[str] | None = None,
             keep_going: bool = False) -> set[str]:
        """Configure and build in out/check/@name; returns the warnings."""
        folder = FOLDER / name
        build.prepare_folder(folder, WORK)
        head = git.ask(WORK, "rev-parse", "HEAD^{tree}").strip()
        if self.configured.get(folder) != head:
            build.configure(WORK, folder, files or self.files, self.log,
                            self.output, arch=arch, asserted=asserted)
            self.configured[folder] = head
        return warnings(self.run(folder, targets, arch, extra, keep_going))

    def run(self, folder: Path, targets: list[str], arch: str,
            extra: list[str] | None, keep_going: bool) -> str:
        """One kbuild run; returns all it printed."""
        part = folder / "make.log"
        part.unlink(missing_ok=True)
        try:
            build.make(WORK, folder, targets, part, self.output, arch=arch,
                       extra=extra, keep_going=keep_going)
        finally:
            text = part.read_text(encoding="utf-8", errors="replace") \
                if part.exists() else ""
            with open(self.log, "a", encoding="utf-8") as file:
                file.write(text)
        return text


def steps(found: list[series.Series]) -> list[Step]:
    """The patches of all series with what they touch."""
    made = []
    for one in found:
        before = one.commit.id
        for number, commit in enumerate(one.patches, 1):
            trees = git.ask(paths.TREE, "rev-parse", f"{before}^{{tree}}",
                            f"{commit.id}^{{tree}}").split()
            touched = git.ask(paths.TREE, "diff", "--name-only",
                              "--no-renames", "-z", before, commit.id)
            made.append(Step(f"{one.cover.series}/{number:04d} "
                             f"{commit.subject}", commit.id, before, *trees,
                             [name for name in touched.split("\0") if name]))
            before = commit.id
    return made


def check_each(found: list[Step], walker: Walker, cache: Cache, digest: str,
               asserted: list[Path], tally: Tally) -> None:
    """Build and boot every commit; a new warning is a failure, too."""
    base_tree = git.ask(paths.TREE, "rev-parse",
                        f"{walker.base}^{{tree}}").strip()
    at: str | None = None

    def build_at(commit: str, tree_id: str) -> set[str]:
        nonlocal at
        at = None
        walker.checkout(commit)
        result = walker.make("build", list(prepare.TARGETS),
                             asserted=asserted)
        at = tree_id
        return result

    def build_base() -> list[str]:
        shutil.rmtree(FOLDER / "build", ignore_errors=True)
        return sorted(build_at(walker.base, base_tree))

    baseline, _ = cache.get(["base", base_tree, digest], build_base)
    for step in found:
        def make(step: Step = step) -> list[str]:
            try:
                if at != step.before_tree:
                    build_at(step.before, step.before_tree)
                new = build_at(step.commit, step.after_tree)
            except LabError as error:
                if error.exit != Exit.BUILD:
                    raise
                return [error.message]
            return sorted(new - set(baseline)) + step_boot.complaints(
                walker.output, WORK, FOLDER / "build", FOLDER / "boot")

        complaints, cached = cache.get(
            ["each-boots", step.before_tree, step.after_tree, digest], make)
        tally.judge("each", step.name, complaints, "cached" if cached else "")


def objects_of(step: Step, built: Path) -> tuple[list[str], list[str]]:
    """(objects of touched files in the build, touched C files not in it)."""
    sources = [name for name in step.touched if name.endswith((".c", ".S"))
               and not name.startswith(("tools/", "scripts/", "usr/"))]
    inside = [name for name in sources
              if (built / name).with_suffix(".o").exists()]
    return ([str(Path(name).with_suffix(".o")) for name in inside],
            [name for name in sources if name not in inside])


def compare(part: str, found: list[Step], walker: Walker, cache: Cache,
            digest: str, asserted: list[Path], tally: Tally,
            look: Callable[[list[str], list[str]], set[str]]) -> None:
    """Run @look on what a patch touches, before and after it."""
    folder = FOLDER / "build"
    for step in found:
        def make(step: Step = step) -> list[str]:
            try:
                walker.checkout(step.commit)
                walker.make("build", ["zImage"], asserted=asserted)
                objects, outside = objects_of(step, folder)
                after = look(objects, step.touched)
                walker.checkout(step.before)
                walker.make("build", ["prepare"], asserted=asserted)
                old = [name for name in objects
                       if any((WORK / name).with_suffix(suffix).exists()
                              for suffix in (".c", ".S"))]
                before = look(old, step.touched)
            except LabError as error:
                if error.exit != Exit.BUILD:
                    raise
                return [error.message]
            return [*sorted(after - before),
                    *(f"\0{name}" for name in outside)]

        result, cached = cache.get(
            [part, step.before_tree, step.after_tree, digest], make)
        complaints = [line for line in result if not line.startswith("\0")]
        outside = [line[1:] for line in result if line.startswith("\0")]
        if not any(name.endswith((".c", ".h", ".S"))
                   for name in step.touched):
            tally.add(part, step.name, "passed", "no C in it")
            continue
        tally.judge(part, step.name, complaints, "cached" if cached else "")
        for name in outside:
            tally.add(part, step.name, "skipped",
                      f"{name} is not in the laboratory's configuration")


def check_w1(found: list[Step], walker: Walker, cache: Cache, digest: str,
             asserted: list[Path], tally: Tally) -> None:
    """gcc's W=1 warnings and kernel-doc's, before and after."""
    def look(objects: list[str], touched: list[str]) -> set[str]:
        result: set[str] = set()
        if objects:
            for name in objects:
                (FOLDER / "build" / name).unlink(missing_ok=True)
            result |= warnings(walker.run(FOLDER / "build", objects, "arm",
                                          ["W=1"], False))
        documented = [name for name in touched if name.endswith((".c", ".h"))
                      and (WORK / name).exists()]
        if documented:
            done = process.run(["tools/docs/kernel-doc", "-none", "-Wall",
                                *documented], cwd=WORK, capture=True,
                               log=walker.log, env={"LC_ALL": "C.UTF-8"})
            text = done.stdout + done.stderr
            if "Traceback" in text:
                raise LabError(Exit.BUILD, "kernel-doc failed: "
                               + text.strip().splitlines()[-1], walker.log)
            result |= warnings(text)
        return result

    compare("w1", found, walker, cache, digest, asserted, tally, look)


def check_sparse(found: list[Step], walker: Walker, cache: Cache, digest: str,
                 asserted: list[Path], tally: Tally, program: str) -> None:
    """sparse's warnings, before and after."""
    def look(objects: list[str], touched: list[str]) -> set[str]:
        if not objects:
            return set()
        text = walker.run(FOLDER / "build", objects, "arm",
                          ["C=2", f"CHECK={program}"], False)
        if not re.search(r"^\s+CHECK\s", text, flags=re.MULTILINE):
            raise LabError(Exit.ENVIRONMENT, "make C=2 did not run sparse",
                           walker.log)
        return warnings(text)

    compare("sparse", found, walker, cache, digest, asserted, tally, look)


def check_configs(found: list[series.Series], walker: Walker, cache: Cache,
                  digest: str, tally: Tally) -> None:
    """The configurations of SERIES_ENDS at the last patch of each series."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for one in found:
        last = one.patches[-1].id
        tree_id = git.ask(paths.TREE, "rev-parse", f"{last}^{{tree}}").strip()
        for name, arch, targets, covers_what, fragment in SERIES_ENDS:
            text = fragment or "# CONFIG_DMA_CMA is not set\n"
            path = FOLDER / f"{name}.config"
            path.write_text(text, encoding="utf-8")
            files = [path] if fragment else [*walker.files, path]

            def make() -> list[str]:
                try:
                    walker.checkout(last)
                    walker.make(name, targets, arch=arch, files=files,
                                asserted=[path])
                except LabError as error:
                    if error.exit != Exit.BUILD:
                        raise
                    return [error.message]
                return []

            complaints, cached = cache.get(
                ["configs", tree_id, digest, name, text, " ".join(targets)],
                make)
            tally.judge("configs", f"{one.cover.series} {name}", complaints,
                        covers_what + (", cached" if cached else ""))


def check_device_trees(folder: Path, base: str, output: Output, log: Path,
                       tally: Tally) -> None:
    """The overlays in dts/; a skip where no dt-schema can be had."""
    def judge(name: str, complaints: list[str], note: str) -> None:
        tally.judge("dtbs", name, complaints, note)

    try:
        tool = dtschema.ensure(folder, output)
    except LabError as error:
        if error.exit != Exit.ENVIRONMENT:
            raise
        tally.add("dtbs", "dt-schema", "skipped", error.message)
        return
    check_dtbs.check(folder, base, tool, output, log, judge)


def check_patches(folder: Path, tally: Tally) -> None:
    """checkpatch on every patch file."""
    log = FOLDER / "checkpatch.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    for patch in tree.patch_files(paths.PATCHES):
        if patch.name != covers.NAME:
            tally.output.progress(f"checkpatch {patch.name}")
            tally.judge("checkpatch", f"{patch.parent.name}/{patch.name}",
                        checkpatch.run(folder, patch, log))
    for kind, reason in checkpatch.IGNORED.items():
        tally.output.info(f"note    checkpatch {kind} is not asked for: "
                          f"{reason}")


def check_refresh(output: Output, tally: Tally) -> list[series.Series]:
    """The tree and patches/ are the same."""
    log = FOLDER / "refresh.log"
    fresh = FOLDER / "refresh"
    try:
        found, version = series.prepare(output, fresh, log)
        drifted = version != source.made_on()
        difference = series.first_difference(paths.PATCHES, fresh, drifted)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    tally.judge("refresh", "patches/ is what the tree exports",
                [difference] if difference else [],
                "normalized for the drifted base" if drifted else "")
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `check`."""
    parser.add_argument("--only", action="append", metavar="PART",
                        help=f"only this part: {', '.join(PARTS)}; can be "
                             "given several times")
    parser.add_argument("--fresh", action="store_true",
                        help="forget the results of earlier runs")


def main(args: argparse.Namespace, options: Options,
         output: Output) -> Exit:
    """`scripts/cma check`."""
    wanted = [part for word in args.only or [",".join(PARTS)]
              for part in word.split(",")]
    for part in wanted:
        if part not in PARTS:
            raise LabError(Exit.USAGE, f"--only {part}: no such part; there "
                           f"are {', '.join(PARTS)}")
    parts = [part for part in PARTS if part in wanted]
    output.set_steps(2 + len(parts))
    with output.step("packages"):
        packages.require(options, output, "fetch", "build", "run", "check")
    with output.step("apply"):
        folder = tree.ensure(options, output)
    if options.dry_run:
        output.verdict(True, "check: nothing was run")
        return Exit.PASS
    with paths.lock("check"):
        return _run(parts, args.fresh, folder, options, output)


def _run(parts: list[str], fresh: bool, folder: Path, options: Options,
         output: Output) -> Exit:
    tally = Tally(output)
    run_folder = paths.run_folder("check")
    log = run_folder / "check.log"
    if fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    base = tree.base_commit(folder)
    head = git.ask(folder, "rev-parse", "HEAD").strip()
    found = series.split(series.read_commits(folder, base, head))
    if not found:
        raise LabError(Exit.BUILD, "the tree has no series to check")
    all_steps = steps(found)
    # The suites' symbols do not exist before the patch that brings them:
    # asked for, not asserted.
    asserted = kconfig.fragments("default")
    kunit = paths.KERNEL_CONFIG / "kunit.config"
    files = asserted + ([kunit] if kunit.exists() else [])
    walker = Walker(base, files, output, log)
    cache = Cache(options)
    digest = build.config_digest(files)
    for part in parts:
        with output.step(part):
            before = len(tally.results)
            if part == "refresh":
                check_refresh(output, tally)
            elif part == "checkpatch":
                check_patches(folder, tally)
            elif part == "each":
                check_each(all_steps, walker, cache, digest, asserted, tally)
            elif part == "w1":
                check_w1(all_steps, walker, cache, digest, asserted, tally)
            elif part == "sparse":
                program, version = sparse.ensure(folder, output)
                output.info(f"note    sparse {version} ({short(Path(program))}"
                            "), accepted by scripts/checker-valid.sh")
                check_sparse(all_steps, walker, cache, digest + program,
                             asserted, tally, program)
            elif part == "configs":
                check_configs(found, walker, cache, digest, tally)
            elif part == "dtbs":
                check_device_trees(folder, base, output, log, tally)
            output.note(f"{len(tally.results) - before} results")
    totals = {name: tally.count(name)
              for name in ("passed", "failed", "skipped")}
    output.record(totals=totals, cases=tally.results)
    (run_folder / "results.json").write_text(json.dumps(
        {"totals": totals, "cases": tally.results}, indent=2) + "\n",
        encoding="utf-8")
    text = ", ".join(f"{count} {name}" for name, count in totals.items())
    output.verdict(not totals["failed"], f"check: {text}", run_folder)
    return Exit.TEST_FAILED if totals["failed"] else Exit.PASS
