# SPDX-License-Identifier: GPL-2.0-only
"""apt: install packages, and read other suites of the machine's own mirror.

Packages of a suite the machine does not subscribe to are found through a
private sources list and private package lists under out/cache/apt. The
mirror and its key come from the machine's own apt configuration, which is
not changed.
"""

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import paths, process
from .errors import Exit, LabError
from .options import Options
from .output import Output

ETC = Path("/etc/apt")
NET_OPTIONS = ["-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30",
               "-o", "Acquire::https::Timeout=30"]
INSTALL_OPTIONS = ["-o", "DPkg::Lock::Timeout=300", *NET_OPTIONS]
UNREACHABLE = re.compile(
    r"Could not resolve|Temporary failure resolving|Could not connect|"
    r"Unable to connect|Cannot initiate the connection|Connection failed|"
    r"Connection timed out|Failed to fetch|Unable to fetch|"
    r"Network is unreachable|does not have a Release file")
NOT_FOUND = re.compile(r"Unable to locate package|has no installation "
                       r"candidate|No packages found|Can't find a source")


@dataclass(frozen=True)
class Entry:
    """One archive of the apt configuration; sources.list(5)."""

    types: tuple[str, ...]
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None


def parse_one_line(text: str) -> list[Entry]:
    """The entries of a one-line-style .list file; broken lines are skipped."""
    entries = []
    for line in text.splitlines():
        match = re.match(r"\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+"
                         r"(\S+)([^#]*)", line)
        if not match:
            continue
        kind, options, uri, suite, components = match.groups()
        values = dict(word.split("=", 1) for word in (options or "").split()
                      if "=" in word)
        entries.append(Entry((kind,), (uri,), (suite,),
                             tuple(components.split()),
                             values.get("signed-by")))
    return entries


def parse_deb822(text: str) -> list[Entry]:
    """The enabled entries of a deb822-style .sources file."""
    entries = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n(?:[ \t]*\n)+", "\n".join(lines) + "\n"):
        fields: dict[str, str] = {}
        name = None
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t") and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if not fields.get("uris") or \
                fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        entries.append(Entry(*(tuple(fields.get(field, "").split()) for field
                               in ("types", "uris", "suites", "components")),
                             fields.get("signed-by")))
    return entries


def configured(etc: Path = ETC) -> list[Entry]:
    """All entries of the machine's apt configuration, in apt's order."""
    entries = []
    files = [etc / "sources.list"]
    files += sorted((etc / "sources.list.d").glob("*"))
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if file.suffix == ".sources":
            entries += parse_deb822(text)
        elif file.suffix == ".list":
            entries += parse_one_line(text)
    return entries


def main_archive(entries: list[Entry]) -> Entry | None:
    """The first archive of binary packages that is a release of its own."""
    for entry in entries:
        own = [suite for suite in entry.suites if not re.search(
            r"security|updates|backports|/", suite)]
        if "deb" in entry.types and "main" in entry.components and own:
            return entry
    return None


def private_sources(archive: Entry, suite: str, types: str) -> str:
    """A deb822 source for another @suite of the mirror of @archive."""
    text = f"Types: {types}\nURIs: {archive.uris[0]}\nSuites: {suite}\n" \
           "Components: main\n"
    if archive.signed_by:
        text += f"Signed-By: {archive.signed_by}\n"
    return text


def need_apt() -> None:
    """Raise LabError(ENVIRONMENT) where there is no apt."""
    if not shutil.which("apt-get"):
        raise LabError(Exit.ENVIRONMENT, "apt-get: not found; this works on "
                       "Debian, elsewhere install the tools by hand and give "
                       "--tree, --tarball or --git")


def error_line(text: str) -> str:
    """The line of apt's output that says most about a failure."""
    lines = [line.strip() for line in text.splitlines()]
    for pattern in (UNREACHABLE, re.compile(r"^E: ")):
        for line in lines:
            if pattern.search(line):
                return re.sub(r"^[EW]: ", "", line)
    return next((line for line in reversed(lines) if line), "no output")


class PrivateSuite:
    """Package lists of a suite the machine does not subscribe to.

    Several suites, or kinds of packages, are separated by spaces.
    """

    def __init__(self, suite: str, types: str = "deb"):
        self.suite, self.types = suite, types
        self.folder = paths.CACHE / "apt" / \
            f"{suite}-{types}".replace(" ", "+")
        self.options = [
            "-o", f"Dir::State::Lists={self.folder / 'lists'}",
            "-o", f"Dir::Etc::SourceList={self.folder / 'suite.sources'}",
            "-o", "Dir::Etc::SourceParts=/dev/null",
            "-o", f"Dir::Cache={self.folder / 'cache'}",
            "-o", "APT::Sandbox::User=root", *NET_OPTIONS]

    def update(self, log: Path) -> None:
        """Fetch the lists; raises LabError(ENVIRONMENT) with one line."""
        need_apt()
        archive = main_archive(configured())
        if archive is None:
            raise LabError(Exit.ENVIRONMENT, f"{ETC}: no Debian archive with "
                           "component main is configured; give --tree, "
                           "--tarball or --git")
        for name in ("lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "suite.sources").write_text(
            private_sources(archive, self.suite, self.types),
            encoding="utf-8")
        result = process.run(["apt-get", *self.options, "-o",
                              "APT::Update::Error-Mode=any", "update"],
                             log=log)
        if result.returncode != 0:
            raise _network_error(f"{self.suite} of {archive.uris[0]}",
                                 result.stdout, log)

    def get(self, words: list[str], cwd: Path, log: Path,
            on_line=None) -> None:
        """Run apt-get with @words in @cwd, with this suite alone."""
        result = process.run(["apt-get", *self.options, *words], cwd=cwd,
                             log=log, on_line=on_line)
        if result.returncode != 0:
            raise _network_error(f"{words[-1]} of {self.suite}",
                                 result.stdout, log)

    def knows(self, package: str) -> bool:
        """Whether the binary @package is in these lists."""
        result = process.run(["apt-cache", *self.options, "show", package],
                             capture=True, query=True)
        return result.returncode == 0 and "Package:" in result.stdout


def _network_error(what: str, text: str, log: Path | None) -> LabError:
    if process.DISK_FULL in text:
        return LabError(Exit.ENVIRONMENT, f"apt-get: {process.DISK_FULL}", log)
    reason = "the package archive cannot be reached" \
        if UNREACHABLE.search(text) else "apt-get failed"
    return LabError(Exit.ENVIRONMENT,
                    f"{what}: {reason}: {error_line(text)}", log)


def as_root(command: list[str], options: Options) -> list[str] | None:
    """@command with what it takes to run as root; None if that cannot be."""
    if os.geteuid() == 0:
        return command
    if not shutil.which("sudo"):
        return None
    return ["sudo"] + ([] if options.may_ask else ["-n"]) + command


def install_commands(packages: list[str]) -> list[list[str]]:
    """What root runs to install @packages."""
    return [["apt-get", *NET_OPTIONS, "update"],
            ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get",
             *INSTALL_OPTIONS, "install", "-y", "--no-install-recommends",
             *packages]]


def install(packages: list[str], options: Options, output: Output) -> None:
    """Install @packages or raise LabError(ENVIRONMENT) with one line.

    Asks on a terminal; goes ahead under -y and CI=true; otherwise only
    says which command would do it.
    """
    plain = f"apt-get install --no-install-recommends {shlex.join(packages)}"
    if not shutil.which("apt-get"):
        raise LabError(Exit.ENVIRONMENT, "missing tools, and no apt-get to "
                       f"install them (Debian names: {' '.join(packages)})")
    commands = [as_root(command, options)
                for command in install_commands(packages)]
    hint = plain if os.geteuid() == 0 else f"sudo {plain}"
    if any(command is None for command in commands):
        raise LabError(Exit.ENVIRONMENT, f"missing packages: as root run "
                       f"`{plain}` (there is no sudo here)")
    if not options.dry_run and not options.yes:
        if not options.may_ask:
            raise LabError(Exit.ENVIRONMENT, f"missing packages: run `{hint}`,"
                           " or give -y to let this command do it")
        output.info(f"missing packages: {' '.join(packages)}")
        output.stream.write(f"Run `{hint}` now? [Y/n] ")
        output.stream.flush()
        if input().strip().lower() not in ("", "y", "yes"):
            raise LabError(Exit.ENVIRONMENT, f"missing packages: run `{hint}`")
    log = None if options.dry_run else paths.OUT / "log" / "apt.log"
    text = ""
    for command in commands:
        if options.may_ask and command[0] == "sudo":
            result = process.run(command, foreground=True)
        else:
            result = process.run(command, log=log, on_line=output.progress)
        text += result.stdout
        if result.returncode != 0 and "install" in command:
            if command[0] == "sudo" and "sudo:" in result.stdout:
                raise LabError(Exit.ENVIRONMENT, "missing packages, and sudo "
                               f"needs a password: run `{hint}`", log)
            raise _network_error(" ".join(packages), text, log)
