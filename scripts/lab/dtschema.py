# SPDX-License-Identifier: GPL-2.0-only
"""A dt-schema that is new enough: the installed one, or a private one.

Only Debian's newest suite has one that the kernel accepts, and that needs the
Python of the same suite. So the package and all that it depends on, down to
the C library, are unpacked below out/tools. Nothing of it is installed or
configured: its programs are started through its own dynamic loader.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import apt, paths, process
from .errors import Exit, LabError
from .output import Output

SUITE = "sid"
PACKAGE = "dt-schema"
NEEDED_MIB = 300


@dataclass(frozen=True)
class DtSchema:
    """Where it is: below @root, or in PATH without one."""

    root: Path | None
    version: str = ""

    def command(self, program: str, *words: str) -> list[str]:
        """The command line for one of its programs."""
        if self.root is None:
            return [program, *words]
        usr = self.root / "usr"
        loader = _only(self.root, "usr/lib*/ld-linux*.so.*", "lib*/ld-linux*")
        library = _only(self.root, "usr/lib/*-linux-gnu*")
        return ["env", f"PYTHONHOME={usr}", "PYTHONPATH=", str(loader),
                "--library-path", str(library), str(usr / "bin" / "python3"),
                "-s", "-B", str(usr / "bin" / program), *words]


def _only(root: Path, *patterns: str) -> Path:
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if found:
            return found[0]
    raise LabError(Exit.ENVIRONMENT, f"{root}: no {patterns[0]} in it, "
                   "delete the folder")


def minimum(kernel: Path) -> str:
    """The oldest version that this kernel takes; raises LabError(BUILD)."""
    path = kernel / "Documentation/devicetree/bindings/Makefile"
    match = re.search(r"^DT_SCHEMA_MIN_VERSION\s*=\s*([\d.]+)",
                      path.read_text(encoding="utf-8"), re.M)
    if not match:
        raise LabError(Exit.BUILD, f"{path}: no DT_SCHEMA_MIN_VERSION in it")
    return match[1]


def ensure(kernel: Path, output: Output) -> DtSchema:
    """One that is at least minimum().

    Raises LabError(ENVIRONMENT) if there is none and none can be had.
    """
    wanted = minimum(kernel)
    candidates: list[Path | None] = []
    if shutil.which("dt-validate") and shutil.which("dt-mk-schema"):
        candidates.append(None)
    candidates += sorted(paths.TOOLS.glob(f"{PACKAGE}-*"), reverse=True)
    for root in candidates:
        found = DtSchema(root, _version(DtSchema(root)))
        if new_enough(found.version, wanted):
            return found
    root = _unpack(output)
    found = DtSchema(root, _version(DtSchema(root)))
    if not new_enough(found.version, wanted):
        raise LabError(Exit.ENVIRONMENT, f"{PACKAGE} of Debian {SUITE} is "
                       f"version {found.version or '?'}, the kernel needs "
                       f"{wanted}")
    return found


def new_enough(version: str, wanted: str) -> bool:
    """Whether @version, such as 2024.11, is at least @wanted."""
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    return numbers >= [int(number) for number in wanted.split(".")]


def _version(tool: DtSchema) -> str:
    try:
        result = process.run(tool.command("dt-validate", "--version"),
                             capture=True, query=True)
    except LabError:
        return ""
    match = re.match(r"[\d.]+", result.stdout.strip())
    return match[0] if match and result.returncode == 0 else ""


def _unpack(output: Output) -> Path:
    """Fetch and unpack the package and what it depends on."""
    log = paths.OUT / "log" / f"{PACKAGE}.log"
    work = paths.TOOLS / f"{PACKAGE}.new"
    shutil.rmtree(work, ignore_errors=True)
    (work / "archives" / "partial").mkdir(parents=True)
    paths.need_space(paths.TOOLS, NEEDED_MIB, PACKAGE)
    suite = apt.PrivateSuite(SUITE)
    output.progress(f"package lists for {PACKAGE}")
    suite.update(log)
    # With an empty list of installed packages, everything is fetched.
    (work / "status").touch()
    output.progress(f"fetching {PACKAGE}")
    suite.get(["-o", f"Dir::State::status={work / 'status'}",
               "-o", f"Dir::Cache::archives={work / 'archives'}",
               "-o", "Debug::NoLocking=true", "-y", "--download-only",
               "--no-install-recommends", "install", PACKAGE], work, log)
    packages = sorted((work / "archives").glob("*.deb"))
    for path in packages:
        output.progress(f"unpacking {path.name}")
        process.run(["dpkg-deb", "-x", str(path), str(work / "root")],
                    log=log, check=Exit.ENVIRONMENT)
    names = [path.name.split("_")[1] for path in packages
             if path.name.startswith(f"{PACKAGE}_")]
    if not names:
        raise LabError(Exit.ENVIRONMENT, f"apt-get fetched no {PACKAGE}", log)
    target = paths.TOOLS / f"{PACKAGE}-{re.sub(r'[^0-9A-Za-z.~+-]', '', names[0])}"
    shutil.rmtree(target, ignore_errors=True)
    (work / "root").replace(target)
    shutil.rmtree(work)
    return target
