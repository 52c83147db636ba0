# SPDX-License-Identifier: GPL-2.0-only
"""A sparse the kernel accepts: the installed one, or one built from source.

With a sparse that is too old `make C=2` says so and succeeds, which checks
nothing. So the kernel's own probe, scripts/checker-valid.sh, decides.
"""

import re
import shutil
from pathlib import Path

from . import apt, build, paths, process
from .errors import Exit, LabError
from .output import Output

SUITE = "sid"


def valid(source_tree: Path, program: str) -> bool:
    """Whether the kernel's probe accepts @program."""
    result = process.run(["sh", "-eu", "scripts/checker-valid.sh", program],
                         cwd=source_tree, capture=True, query=True)
    return result.returncode == 0 and result.stdout.strip() == "1"


def ensure(source_tree: Path, output: Output) -> tuple[str, str]:
    """(path, version) of a sparse that works.

    Raises LabError(ENVIRONMENT) if there is none and none can be built.
    """
    candidates = [shutil.which("sparse")]
    candidates += [str(path) for path in
                   sorted(paths.TOOLS.glob("sparse-*/sparse"), reverse=True)]
    for program in candidates:
        if program and valid(source_tree, program):
            return program, _version(program)
    program = str(_build(output))
    if not valid(source_tree, program):
        raise LabError(Exit.ENVIRONMENT, f"sparse {_version(program)} of "
                       f"Debian {SUITE} is refused by the kernel's "
                       "scripts/checker-valid.sh: a newer one is needed")
    return program, _version(program)


def _version(program: str) -> str:
    return process.run([program, "--version"], capture=True,
                       query=True).stdout.strip()


def _build(output: Output) -> Path:
    """Build sparse from the source package of Debian's newest suite."""
    log = paths.OUT / "log" / "sparse.log"
    work = paths.TOOLS / "sparse-source"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    paths.need_space(paths.TOOLS, 100, "building sparse")
    suite = apt.PrivateSuite(SUITE, "deb-src")
    output.progress("package lists for sparse")
    suite.update(log)
    suite.get(["source", "--download-only", "sparse"], work, log)
    description = next(work.glob("sparse_*.dsc"), None)
    if description is None:
        raise LabError(Exit.ENVIRONMENT, "apt-get source sparse left no .dsc",
                       log)
    # The archive's signature over the package lists covers this file.
    process.run(["dpkg-source", "--no-check", "-x", description.name,
                 "unpacked"], cwd=work, log=log, check=Exit.ENVIRONMENT)
    version = re.sub(r"[^\w.~+-]", "", description.stem.split("_", 1)[1])
    output.progress(f"building sparse {version}")
    process.run(["make", f"-j{build.jobs()}", "CC=gcc", "HAVE_LLVM=no",
                 "HAVE_GTK=no", "HAVE_LIBXML=no", "HAVE_SQLITE=no", "sparse"],
                cwd=work / "unpacked", log=log, check=Exit.ENVIRONMENT)
    target = paths.TOOLS / f"sparse-{version}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    (work / "unpacked" / "sparse").replace(target / "sparse")
    shutil.rmtree(work)
    return target / "sparse"
