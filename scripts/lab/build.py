# SPDX-License-Identifier: GPL-2.0-only
"""`build`: kbuild out of tree, configured by fragments that are asserted.

kbuild sees the tree through the symbolic link `tree` in its output folder
(srcroot=tree), so the compiler's command lines are the same for every tree
and output folder, and ccache serves all of them from one cache.
"""

import argparse
import hashlib
import json
import os
import re
from pathlib import Path

from . import git, kconfig, packages, paths, process, tree
from .errors import Exit, LabError
from .options import Options
from .output import Output, short

STATE = ".cma-build.json"
LINK = "tree"
CROSS_COMPILE = {"arm": "arm-linux-gnueabihf-", "arm64": "aarch64-linux-gnu-",
                 "x86_64": ""}
NEEDED_MIB = 700
TARGETS = ("zImage", "dtbs")
ERROR = re.compile(r"(?<!\w)(?:fatal )?error: |undefined reference|"
                   r"multiple definition|^ERROR: |: No rule to make|"
                   r"^ld: |-ld: ")
COMPILED = re.compile(r"\s+(?:CC|AS|HOSTCC|LD|AR|DTC|CHECK)\s")


def environment() -> dict[str, str]:
    """What makes a build repeatable and lets ccache find it again."""
    return {
        "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 2026",
        "KBUILD_BUILD_USER": "cma", "KBUILD_BUILD_HOST": "cma",
        "KBUILD_BUILD_VERSION": "1", "LOCALVERSION": "",
        "DTC_FLAGS": "-@", "LC_ALL": "C",
        "CCACHE_DIR": os.environ.get("CCACHE_DIR",
                                     str(paths.OUT / "ccache")),
        "CCACHE_NOHASHDIR": "1", "CCACHE_MAXSIZE": "1G",
    }


def jobs() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def variables(arch: str = "arm") -> list[str]:
    """The make variables of every kbuild run."""
    cross = CROSS_COMPILE[arch]
    return [f"ARCH={arch}", f"CROSS_COMPILE={cross}", f"CC=ccache {cross}gcc",
            "HOSTCC=ccache gcc", f"srcroot={LINK}"]


def prepare_folder(folder: Path, source_tree: Path) -> None:
    """Make the output folder and its link to the tree."""
    for path in (folder, source_tree):
        if re.search(r"[\s:]", str(path)):
            raise LabError(Exit.ENVIRONMENT, f"{path}: kbuild cannot work in "
                           "a folder with a space or a colon in its name")
    paths.need_space(folder, NEEDED_MIB, "a kernel build")
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / LINK
    target = os.path.relpath(source_tree, folder)
    if not link.is_symlink() or os.readlink(link) != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def make(source_tree: Path, folder: Path, targets: list[str], log: Path,
         output: Output, *, arch: str = "arm", extra: list[str] | None = None,
         keep_going: bool = False) -> str:
    """Run kbuild; returns the end of its output.

    Raises LabError(BUILD) with the first error of the compiler.
    """
    command = ["make", "-C", str(source_tree), f"O={folder}",
               f"-j{jobs()}", *variables(arch), *(extra or []),
               *(["-k"] if keep_going else []), *targets]
    count = 0
    errors: list[str] = []

    def on_line(line: str) -> None:
        nonlocal count
        if COMPILED.match(line):
            count += 1
            output.progress(f"{count} files, {line.split()[-1]}")
        elif len(errors) < 5 and ERROR.search(line):
            errors.append(line.strip())

    result = process.run(command, env=environment(), log=log, on_line=on_line)
    if result.returncode != 0:
        if process.DISK_FULL in result.stdout:
            raise LabError(Exit.ENVIRONMENT, f"{short(folder)}: "
                           f"{process.DISK_FULL}", log)
        lines = errors or [line for line in result.stdout.splitlines()
                           if "***" in line] or ["no error line"]
        raise LabError(Exit.BUILD, "make " + " ".join(targets[:2]) + ": "
                       + lines[0].replace(f"{LINK}/", "", 1), log)
    return result.stdout


def configure(source_tree: Path, folder: Path, files: list[Path], log: Path,
              output: Output, arch: str = "arm",
              asserted: list[Path] | None = None) -> None:
    """Write folder/.config from @files on top of allnoconfig, and assert it.

    @asserted limits the assertion to these fragments. Raises LabError(BUILD) naming fragment, symbol, wanted and got value.
    """
    process.run([f"{LINK}/scripts/kconfig/merge_config.sh", "-m", "-Q", "-O",
                 ".", *(str(path.resolve()) for path in files)], cwd=folder,
                env={**environment(), "KCONFIG_CONFIG": ".config.merged"},
                log=log, check=Exit.BUILD)
    make(source_tree, folder, ["allnoconfig"], log, output, arch=arch,
         extra=[f"KCONFIG_ALLCONFIG={folder / '.config.merged'}"])
    wrong = kconfig.broken(kconfig.wishes(
        files if asserted is None else asserted),
        (folder / ".config").read_text(encoding="utf-8"))
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        with open(log, "a", encoding="utf-8") as file:
            file.write("".join(f"not as asked: {line}\n" for line in wrong))
        raise LabError(Exit.BUILD, wrong[0] + more, log)


def tree_id(source_tree: Path) -> str | None:
    """What identifies the content of a tree; None if it has changes."""
    if git.changes(source_tree):
        return None
    return git.ask(source_tree, "rev-parse", "HEAD^{tree}").strip()


def config_digest(files: list[Path], arch: str = "arm") -> str:
    """sha256 over the fragments, what kbuild is told, and the compiler."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    kept = {name: value for name, value in environment().items()
            if not name.startswith("CCACHE")}
    compiler = process.run([CROSS_COMPILE[arch] + "gcc", "--version"],
                           capture=True, query=True).stdout
    digest.update(json.dumps([kept, variables(arch), compiler]).encode())
    return digest.hexdigest()


def ensure(options: Options, output: Output, source_tree: Path,
           config: str = "default", extra_fragments: tuple[str, ...] = (),
           targets: tuple[str, ...] = TARGETS) -> Path:
    """Build @targets of a configuration for ARM; returns the build folder."""
    packages.require(options, output, "build")
    name = config + ("-stock" if source_tree == paths.STOCK_TREE else "")
    return ensure_files(options, output, source_tree, name,
                        kconfig.fragments(config, extra_fragments), targets)


def ensure_files(options: Options, output: Output, source_tree: Path,
                 name: str, files: list[Path], targets: tuple[str, ...], *,
                 arch: str = "arm", asserted: list[Path] | None = None,
                 extra: list[str] | None = None) -> Path:
    """Build @targets from the fragments @files in out/build/@name.

    Does not even call make if the tree is clean and neither it nor the
    configuration changed since the last success. @asserted is that of
    configure(), @extra more variables for make.
    """
    folder = paths.BUILD(name)
    log = folder / "build.log"
    if options.dry_run:
        _dry_run(source_tree, folder, files, targets, arch)
        return folder
    with paths.lock(f"build-{name}"):
        now = {"tree": tree_id(source_tree), "path": str(source_tree),
               "config": config_digest(files, arch),
               "targets": sorted([*targets, *(extra or [])])}
        try:
            before = json.loads((folder / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = None
        if now["tree"] is not None and before == now:
            output.note("nothing changed")
            return folder
        prepare_folder(folder, source_tree)
        (folder / STATE).unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        configure(source_tree, folder, files, log, output, arch, asserted)
        make(source_tree, folder, list(targets), log, output, arch=arch,
             extra=extra)
        if now["tree"] is None:
            output.note("the tree has uncommitted changes")
        else:
            (folder / STATE).write_text(json.dumps(now) + "\n",
                                        encoding="utf-8")
    return folder


def _dry_run(source_tree: Path, folder: Path, files: list[Path],
             targets: tuple[str, ...], arch: str) -> None:
    process.run([f"{LINK}/scripts/kconfig/merge_config.sh", "-m", "-Q", "-O",
                 ".", *map(str, files)], cwd=folder,
                env={"KCONFIG_CONFIG": ".config.merged"})
    for words in ([f"KCONFIG_ALLCONFIG={folder / '.config.merged'}",
                   "allnoconfig"], list(targets)):
        process.run(["make", "-C", str(source_tree), f"O={folder}",
                     f"-j{jobs()}", *variables(arch), *words], env=environment())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `build`."""
    parser.add_argument("--config", default="default", metavar="NAME",
                        help="default, or a fragment of kernel-config/")
    parser.add_argument("--stock", action="store_true",
                        help="build the pristine tree")
    parser.add_argument("targets", nargs="*", metavar="TARGET",
                        default=list(TARGETS),
                        help=f"targets of kbuild ({' '.join(TARGETS)})")


def main(args: argparse.Namespace, options: Options,
         output: Output) -> Exit:
    """`scripts/cma build`."""
    kconfig.fragments(args.config)      # a wrong name fails at once
    output.set_steps(3)
    with output.step("packages"):
        packages.require(options, output, "fetch", "build")
    with output.step("apply"):
        source_tree = tree.ensure(options, output, stock=args.stock)
    with output.step(f"build {args.config}"):
        folder = ensure(options, output, source_tree, args.config,
                        kconfig.series_fragments(args.stock),
                        targets=tuple(args.targets))
    output.record(folder=folder, config=args.config)
    output.verdict(True, f"build: {args.config} is in {short(folder)}",
                   folder / "build.log")
    return Exit.PASS
