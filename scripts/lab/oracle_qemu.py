# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU for the cache oracle, and what its plugins are compiled with.

Plugins can read registers and the values of stores since QEMU 10.0. Taken is
the QEMU that $CMA_ORACLE_QEMU names, else that of the PATH if it is new enough,
else that of Debian's backports: unpacked below out/tools with all that it
depends on, down to the C library, and started through its own dynamic loader.
Nothing of it is installed.

No binary package of Debian has qemu-plugin.h. It is looked for in
$QEMU_PLUGIN_HEADER and where `make install` of QEMU puts it, else taken out of
the source package of the backports. A newer QEMU loads what was compiled with
an older header.
"""

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import apt, paths, process
from .errors import Exit, LabError
from .output import Output

PROGRAM = "qemu-system-arm"
MINIMUM = (10, 0)
SUITES = "bookworm bookworm-backports"
NEWEST = "bookworm-backports"
GLIB = "libglib2.0-dev"
FOLDER = "qemu-plugins"
NEEDED_MIB = 700
HEADER_VARIABLE = "QEMU_PLUGIN_HEADER"
QEMU_VARIABLE = "CMA_ORACLE_QEMU"


@dataclass(frozen=True)
class Emulator:
    """@command starts it; plugins need @header and @glib, options of cc."""

    command: tuple[str, ...]
    version: str
    header: Path
    glib: tuple[str, ...]


def ensure(output: Output) -> Emulator:
    """Find one or fetch one; raises LabError(ENVIRONMENT)."""
    own = _own_command()
    header = own_header(own)
    glib = _pkg_config()
    if own and header and glib:
        return Emulator(own, version(own), header, glib)
    private = _private(output)
    return Emulator(own or _loaded(private), version(own or _loaded(private)),
                    header or private / "include" / "qemu-plugin.h",
                    glib or _private_glib(private))


def version(command: tuple[str, ...]) -> str:
    """What it says, such as 10.0.2 (Debian …); empty if it does not run."""
    try:
        result = process.run([*command, "--version"], capture=True, query=True)
    except LabError:
        return ""
    match = re.match(r"QEMU emulator version (\d.*)", result.stdout)
    return match[1].strip() if match else ""


def new_enough(text: str) -> bool:
    """Whether the version @text is at least MINIMUM."""
    numbers = re.match(r"(\d+)\.(\d+)", text)
    return bool(numbers) and \
        (int(numbers[1]), int(numbers[2])) >= MINIMUM


def _own_command() -> tuple[str, ...] | None:
    named = os.environ.get(QEMU_VARIABLE)
    if named:
        found = version((named,))
        if not new_enough(found):
            raise LabError(Exit.ENVIRONMENT, f"{QEMU_VARIABLE}={named}: "
                           + (f"QEMU {found} is too old, " if found else
                              "is no QEMU, ")
                           + "10.0 or newer is needed")
        return (named,)
    path = shutil.which(PROGRAM)
    return (path,) if path and new_enough(version((path,))) else None


def own_header(command: tuple[str, ...] | None) -> Path | None:
    """The user's header, or that of the installation of @command."""
    named = os.environ.get(HEADER_VARIABLE)
    if named:
        if Path(named).name != "qemu-plugin.h" or not Path(named).is_file():
            raise LabError(Exit.ENVIRONMENT, f"{HEADER_VARIABLE}={named}: a "
                           "file qemu-plugin.h is expected; it is in "
                           "QEMU's source, below include/")
        return Path(named).resolve()
    if command:
        path = shutil.which(command[0])
        prefix = Path(path).resolve().parent.parent if path else Path("/")
        header = prefix / "include" / "qemu-plugin.h"
        return header if header.is_file() else None
    return None


def _pkg_config() -> tuple[str, ...] | None:
    if not shutil.which("pkg-config"):
        return None
    result = process.run(["pkg-config", "--cflags", "glib-2.0"], capture=True,
                         query=True)
    return None if result.returncode else tuple(shlex.split(result.stdout))


def _only(root: Path, pattern: str) -> Path:
    found = sorted(root.glob(pattern))
    if not found:
        raise LabError(Exit.ENVIRONMENT, f"{root}: no {pattern} in it, "
                       "delete the folder")
    return found[0]


def _loaded(root: Path) -> tuple[str, ...]:
    """The command for the QEMU below @root."""
    usr = root / "usr"
    libraries = [_only(root, "lib/*-linux-gnu*"),
                 _only(root, "usr/lib/*-linux-gnu*")]
    return (str(_only(root, "lib*/*-linux-gnu*/ld-linux*.so.*")),
            "--library-path", ":".join(map(str, libraries)),
            str(usr / "bin" / PROGRAM), "-L", str(usr / "share" / "qemu"))


def _private_glib(root: Path) -> tuple[str, ...]:
    return (f"-I{_only(root, 'usr/include/glib-2.0')}",
            f"-I{_only(root, 'usr/lib/*/glib-2.0/include')}")


def _private(output: Output) -> Path:
    """Where QEMU, the header and glib's are unpacked; fetches them once."""
    target = paths.TOOLS / FOLDER
    if target.is_dir():
        return target
    with paths.lock("oracle"):
        if not target.is_dir():
            _unpack(target, output)
    return target


def _unpack(target: Path, output: Output) -> None:
    log = paths.OUT / "log" / f"{FOLDER}.log"
    work = paths.TOOLS / f"{FOLDER}.new"
    shutil.rmtree(work, ignore_errors=True)
    (work / "archives" / "partial").mkdir(parents=True)
    paths.need_space(paths.TOOLS, NEEDED_MIB, "QEMU of Debian's backports")
    suite = apt.PrivateSuite(SUITES, "deb deb-src")
    output.progress(f"package lists of {NEWEST}")
    suite.update(log)
    # With an empty list of installed packages, everything is fetched.
    (work / "status").touch()
    output.progress(f"fetching {PROGRAM}")
    newest = ["-t", NEWEST]
    suite.get([*newest, "-o", f"Dir::State::status={work / 'status'}",
               "-o", f"Dir::Cache::archives={work / 'archives'}",
               "-o", "Debug::NoLocking=true", "-y", "--download-only",
               "--no-install-recommends", "install", PROGRAM], work, log)
    suite.get(["download", GLIB], work, log)
    output.progress("fetching the source of QEMU, for its header")
    suite.get([*newest, "source", "--download-only", "--tar-only", "qemu"],
              work, log)
    for path in sorted([*work.glob("archives/*.deb"), *work.glob("*.deb")]):
        output.progress(f"unpacking {path.name}")
        process.run(["dpkg-deb", "-x", str(path), str(work / "root")],
                    log=log, check=Exit.ENVIRONMENT)
    header = work / "root" / "include"
    header.mkdir()
    process.run(["tar", "-xf", str(_only(work, "qemu_*.orig.tar.*")), "-C",
                 str(header), "--wildcards", "--transform", "s,.*/,,",
                 "*/include/*/qemu-plugin.h"], log=log, check=Exit.ENVIRONMENT)
    _only(header, "qemu-plugin.h")
    if not new_enough(version(_loaded(work / "root"))):
        raise LabError(Exit.ENVIRONMENT, f"{PROGRAM} of {NEWEST} does not run, "
                       "or is too old", log)
    (work / "root").replace(target)
    shutil.rmtree(work)
