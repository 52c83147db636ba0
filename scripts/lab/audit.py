# SPDX-License-Identifier: GPL-2.0-only
"""`audit`: which devices would newly get an area of their own.

Builds all device trees of arm and arm64 (or takes blobs), and applies the
rule of the automatic attach to every node with memory-region. A run over
both architectures writes MAINTAINERS-notes/4-areas-audit.md.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from . import (audit_conclusions, audit_document, audit_drivers, audit_nodes,
               build, fdt, packages, paths, source, tree)
from .audit_conclusions import Conclusions
from .audit_drivers import Drivers
from .audit_nodes import Use, Verdict
from .errors import Exit, LabError
from .options import Options
from .output import Output, short
from .report import Case, Results

ARCHITECTURES = ("arm", "arm64")
NOTES = paths.REPO / "MAINTAINERS-notes"
DOCUMENT = NOTES / "4-areas-audit.md"
CONCLUSIONS = NOTES / "4-areas-audit.toml"
ALL_DEVICE_TREES = "CONFIG_COMPILE_TEST=y\nCONFIG_OF_ALL_DTBS=y\n"


@dataclass(frozen=True)
class Found:
    """A use in one device tree; @verdict takes the driver into account."""

    where: str
    tree: str
    use: Use
    drivers: tuple[str, ...]
    verdict: Verdict


@dataclass(frozen=True)
class Audit:
    """All that was found; @trees is how many were read of each folder."""

    trees: dict[str, int]
    found: tuple[Found, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `audit`."""
    parser.add_argument("--arch", action="append", default=[],
                        choices=ARCHITECTURES,
                        help="only the device trees of this architecture; may "
                             "be given several times")
    parser.add_argument("--dtb-folder", action="append", default=[],
                        type=Path, metavar="FOLDER",
                        help="instead: the .dtb files below this folder; may "
                             "be given several times")


def main(args: argparse.Namespace, options: Options, output: Output) -> Exit:
    """Build or take the blobs, judge, and write the page."""
    if args.arch and args.dtb_folder:
        raise LabError(Exit.USAGE, "--arch and --dtb-folder exclude each "
                       "other: the one builds device trees, the other takes "
                       "those that there are")
    own = {str(folder): blobs(folder) for folder in args.dtb_folder}
    names = tuple(own) or tuple(name for name in ARCHITECTURES
                                if name in (args.arch or ARCHITECTURES))
    conclusions = audit_conclusions.load(CONCLUSIONS)
    output.set_steps(4 if own else 4 + len(names))
    with output.step("packages"):
        packages.require(options, output, "fetch",
                         *(() if own else
                           ("build", *(set(names) & {"arm64"}))))
    with output.step("fetch"):
        version = source.ensure(options, output).version
    with output.step("apply"):
        kernel = tree.ensure(options, output)
    if not own:
        for name in names:
            with output.step(f"device trees of {name}"):
                made = build_trees(kernel, name, options, output)
                own[name] = [] if options.dry_run else blobs(made)
                output.note(f"{len(own[name])}")
    if options.dry_run:
        output.verdict(True, "audit: nothing was read (--dry-run)")
        return Exit.PASS
    folder = paths.run_folder("audit")
    with output.step("read"):
        audit = judge(read(own, output), kernel, conclusions)
    results = check(audit, conclusions, in_tree=not args.dtb_folder,
                    whole=names == ARCHITECTURES)
    others = audit_drivers.other_sources(kernel, ARCHITECTURES)
    page = audit_document.render(audit, conclusions, version, others)
    target = DOCUMENT if names == ARCHITECTURES and not args.dtb_folder \
        else folder / "audit.md"
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(target)
    totals = {name: audit_document.totals(audit, name) for name in own}
    return results.conclude(
        output, folder, "audit", f"{results.totals}; {short(target)}",
        [f"{name}: " + ", ".join(f"{count} {verdict.name.lower()}" for
                                 verdict, count in one.items())
         for name, one in totals.items()],
        version=version, document=target, nodes={
            name: {verdict.name: count for verdict, count in one.items()}
            for name, one in totals.items()})


def blobs(folder: Path) -> list[Path]:
    """The .dtb files below @folder; raises LabError(USAGE) if none is."""
    if not folder.is_dir():
        raise LabError(Exit.USAGE, f"--dtb-folder {folder}: no such folder")
    found = sorted(folder.rglob("*.dtb"))
    if not found:
        raise LabError(Exit.USAGE, f"--dtb-folder {folder}: no .dtb below it")
    return found


def build_trees(kernel: Path, arch: str, options: Options,
                output: Output) -> Path:
    """Build all device trees of @arch; returns their folder."""
    folder = paths.OUT / "audit" / arch
    made = folder / "arch" / arch / "boot" / "dts"
    if options.dry_run:
        return made
    with paths.lock(f"audit-{arch}"):
        build.prepare_folder(folder, kernel)
        fragment = folder / "device-trees.config"
        fragment.write_text(ALL_DEVICE_TREES, encoding="utf-8")
        log = folder / "build.log"
        log.unlink(missing_ok=True)
        build.configure(kernel, folder, [fragment], log, output, arch=arch)
        build.make(kernel, folder, ["dtbs"], log, output, arch=arch)
    return made


def read(folders: dict[str, list[Path]],
         output: Output) -> dict[str, list[tuple[str, list[Use]]]]:
    """The uses in each blob, by name of the folder.

    Raises LabError(USAGE) that names a blob that cannot be read.
    """
    result: dict[str, list[tuple[str, list[Use]]]] = {}
    for where, files in folders.items():
        result[where] = []
        for path in files:
            output.progress(path.name)
            try:
                uses = audit_nodes.uses(path.read_bytes())
            except fdt.FdtError as error:
                raise LabError(Exit.USAGE, f"{path}: {error}") from None
            result[where].append((path.stem, uses))
    return result


def judge(uses: dict[str, list[tuple[str, list[Use]]]], kernel: Path,
          conclusions: Conclusions) -> Audit:
    """Look for the drivers, and give each use its verdict."""
    drivers = audit_drivers.search(
        kernel, {name for trees in uses.values() for _, nodes in trees
                 for use in nodes for name in use.compatible})
    return Audit({where: len(trees) for where, trees in uses.items()},
                 tuple(_found(where, name, use, drivers, conclusions)
                       for where, trees in uses.items()
                       for name, nodes in trees for use in nodes))


def _found(where: str, name: str, use: Use, drivers: Drivers,
           conclusions: Conclusions) -> Found:
    files = drivers.of(use.compatible)
    verdict = use.verdict
    if verdict == Verdict.ATTACHES:
        said = conclusions.about(use.name)
        helper = [said.attaches] if said and said.attaches else []
        if not files:
            verdict = Verdict.NO_DRIVER
        elif drivers.attaches([*files, *helper]):
            verdict = Verdict.DRIVER
    return Found(where, name, use, files, verdict)


def check(audit: Audit, conclusions: Conclusions, *, in_tree: bool,
          whole: bool) -> Results:
    """Every device tree was read, and somebody concluded what is new.

    A conclusion is needed for each device of the kernel's own trees with a
    sole reusable region. With @whole a conclusion about a device that there
    is not is a failure, too.
    """
    results = Results()
    for where, number in audit.trees.items():
        results.add(Case("audit", f"{number} device trees of {where}"))
    if not in_tree:
        return results
    needed: dict[str, Found] = {}
    for one in audit.found:
        if one.use.sole_reusable:
            known = needed.setdefault(one.use.name, one)
            if one.verdict == Verdict.ATTACHES != known.verdict:
                needed[one.use.name] = one
    for name, one in sorted(needed.items()):
        case = results.add(Case("audit", f"{name}: conclusion"))
        said = conclusions.about(name)
        if said and said.attaches and one.verdict == Verdict.ATTACHES:
            case.fail(f"{short(CONCLUSIONS)} says that {said.attaches} "
                      "attaches it, but that file does not call "
                      "of_reserved_mem_device_init*()")
        if said is None:
            case.fail(f"{one.verdict}, for example {one.use.path} of "
                      f"{one.tree}: [[device]] with compatible = [\"{name}\"] "
                      f"is missing in {short(CONCLUSIONS)}")
    if whole:
        for device in conclusions.devices:
            for name in sorted({*device.compatible} - {*needed}):
                results.add(Case("audit", f"{name}: conclusion")).fail(
                    f"{short(CONCLUSIONS)} has a conclusion, but no device "
                    "tree has such a device with a sole reusable region")
    return results


