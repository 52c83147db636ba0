# SPDX-License-Identifier: GPL-2.0-only
"""`fetch`: the kernel source, from one of four places, cached.

In this order: --tree (a git tree of the user's, only read), --tarball,
--git with --git-ref, what an earlier fetch got, the Debian package
linux-source-7.3. Git sources are fetched into a bare repository under
out/cache; the others end as one tar file there, kept with its sha256.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from . import apt, packages, paths, process
from .errors import Exit, LabError
from .options import Options
from .output import Output, short

BASE_VERSION = "7.3"
PACKAGE = f"linux-source-{BASE_VERSION}"
# Where Debian has it: in the suite that Debian 13 users get their newer
# kernels from, and, before or after it is there, in the development suite.
SUITES = ("trixie-backports", "sid")
RECORD = paths.CACHE / "source.json"
GIT_CACHE = paths.CACHE / "kernel.git"
FALLBACK_VERSION = "7.3.4"
HEAD_SIZE = 4096
UNPACKED_MIB = 2600
# The user's git configuration stays in force: it may name a proxy.
GIT_ENV = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


@dataclass(frozen=True)
class Source:
    """A kernel source that is in the cache.

    @version  of the kernel, "7.3.4"
    @origin   where it came from, for people
    @kind     "tar" or "git"
    @path     the tar file, or the bare repository
    @digest   sha256 of the tar file, or the commit
    """

    version: str
    origin: str
    kind: str
    path: str
    digest: str


def made_on() -> str:
    """The version the series was exported on, as its covers say."""
    for cover in sorted(paths.PATCHES.glob("*/0000-cover-letter.patch")):
        match = re.search(r"^base: v(\S+)$", cover.read_text(
            encoding="utf-8", errors="replace"), flags=re.MULTILINE)
        if match:
            return match.group(1)
    return FALLBACK_VERSION


def parse_version(makefile: str) -> str | None:
    """The version the first lines of the kernel's Makefile give."""
    values = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *="
                             r" *(\S*)", makefile, flags=re.MULTILINE))
    if not values.get("VERSION", "").isdigit() or \
            not values.get("PATCHLEVEL", "").isdigit():
        return None
    version = f"{values['VERSION']}.{values['PATCHLEVEL']}"
    if values.get("SUBLEVEL", "0") not in ("0", ""):
        version += f".{values['SUBLEVEL']}"
    return version + values.get("EXTRAVERSION", "")


def check_version(version: str | None, where: str) -> str:
    """@version if it is a 7.3.y, else LabError(ENVIRONMENT)."""
    if version is None:
        raise LabError(Exit.ENVIRONMENT, f"{where}: no kernel Makefile with a "
                       f"version at its top; give a Linux {BASE_VERSION}.y")
    if not re.fullmatch(re.escape(BASE_VERSION) + r"(\.\d+)?", version):
        raise LabError(Exit.ENVIRONMENT, f"{where} is Linux {version}, the "
                       f"series needs {BASE_VERSION}.y "
                       f"(it was made on {made_on()})")
    return version


def drift(version: str) -> str | None:
    """One sentence if @version is not the one the series was made on."""
    if version == made_on():
        return None
    return f"series was made on {made_on()}, this is {version}"


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ensure(options: Options, output: Output,
           debian: bool = False) -> Source:
    """The kernel source, fetched if it is not in the cache.

    Raises LabError(ENVIRONMENT) if it cannot be had or is not a 7.3.y.
    """
    packages.require(options, output, "fetch")
    if options.dry_run and not RECORD.exists() and options.tree is None \
            and options.tarball is None:
        _dry_run(options)
        return Source(FALLBACK_VERSION, "not fetched", "tar", "", "")
    with paths.lock("fetch"):
        source = _select(options, output, debian)
        if not options.dry_run:
            paths.CACHE.mkdir(parents=True, exist_ok=True)
            temporary = RECORD.with_suffix(".new")
            temporary.write_text(json.dumps(asdict(source), indent=2) + "\n",
                                 encoding="utf-8")
            temporary.replace(RECORD)
    output.note(f"Linux {source.version}, {source.origin}")
    text = drift(source.version)
    if text:
        output.note(text)
    return source


def _select(options: Options, output: Output, debian: bool) -> Source:
    if options.tree is not None:
        return _from_git(f"file://{options.tree}", options.git_ref or "HEAD",
                         f"git tree {options.tree}", options, output)
    if options.tarball is not None:
        return _from_tarball(options.tarball, output)
    if options.git is not None:
        return _from_git(options.git, options.git_ref or "HEAD", options.git,
                         options, output)
    cached = None if debian else _cached(output)
    return cached or _from_debian(options, output)


def _cached(output: Output) -> Source | None:
    """The source of an earlier fetch, if it is still whole."""
    try:
        source = Source(**json.loads(RECORD.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    path = Path(source.path)
    if source.kind == "git":
        found = process.run(["git", "--git-dir", str(path), "cat-file", "-e",
                             source.digest], query=True, env=GIT_ENV,
                            capture=True)
        return source if found.returncode == 0 else None
    if path.is_file() and _stamp_matches(path, source.digest):
        return source
    if path.exists():
        output.warn(f"{short(path)} changed since it was fetched")
    return None


def _stamp(path: Path) -> dict:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _stamp_matches(path: Path, digest: str) -> bool:
    """Whether the file still has @digest.

    The sum of 160 MB is only made anew when size or time changed.
    """
    note = path.with_name(path.name + ".sha256.json")
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if known == {**_stamp(path), "sha256": digest}:
        return True
    return sha256(path) == digest and _remember(path, digest)


def _remember(path: Path, digest: str) -> bool:
    path.with_name(path.name + ".sha256.json").write_text(
        json.dumps({**_stamp(path), "sha256": digest}) + "\n",
        encoding="utf-8")
    return True


def tar_member(path: Path, pattern: str) -> tuple[str, str] | None:
    """(name, first bytes as text) of the first member matching @pattern.

    Reads only as far as needed: tar is ended once the member is there.
    """
    name = None
    process_ = process.start(["tar", "-tf", str(path)], stdout=-1, stderr=-3,
                             text=True, errors="replace")
    try:
        for line in process_.stdout:
            if re.fullmatch(pattern, line.strip()):
                name = line.strip()
                break
    finally:
        process_.stdout.close()
        process.kill(process_, grace=0)
    if name is None:
        return None
    process_ = process.start(["tar", "-xOf", str(path), "--occurrence=1",
                              name], stdout=-1, stderr=-3)
    try:
        data = process_.stdout.read(HEAD_SIZE)
    finally:
        process_.stdout.close()
        process.kill(process_, grace=0)
    return name, data.decode("utf-8", "replace")


def _from_tarball(path: Path, output: Output) -> Source:
    found = tar_member(path, r"(\./)?[^/]+/Makefile")
    version = check_version(parse_version(found[1]) if found else None,
                            f"--tarball {path}")
    digest = sha256(path)
    return Source(version, f"tarball {path.name}", "tar", str(path), digest)


def _from_git(url: str, ref: str, origin: str, options: Options,
              output: Output) -> Source:
    """Fetch one commit into our own bare repository.

    For a tree of the user's this runs git-upload-pack there, which reads
    only: no branch, index or configuration of that tree changes.
    """
    log = paths.OUT / "log" / "fetch.log"
    paths.need_space(paths.OUT, 1500, "a kernel repository")
    if not GIT_CACHE.exists():
        process.run(["git", "init", "-q", "--bare", str(GIT_CACHE)],
                    env=GIT_ENV, log=log, check=Exit.ENVIRONMENT)
    git = ["git", "--git-dir", str(GIT_CACHE)]
    commit = None
    local_options: list[str] = []
    if url.startswith("file://"):
        # Searching deltas for a copy on the same disk takes minutes.
        local_options = ["--upload-pack", "git -c pack.window=0 upload-pack"]
        local = process.run(["git", "-C", url[7:], "rev-parse", "--verify",
                             "-q", ref + "^{commit}"], capture=True,
                            query=True, env=GIT_ENV)
        commit = local.stdout.strip() or None
        if commit is None:
            raise LabError(Exit.USAGE, f"{origin}: no git tree "
                           f"with a commit {ref}")
    have = commit is not None and process.run(
        [*git, "cat-file", "-e", commit + "^{tree}"], query=True,
        capture=True, env=GIT_ENV).returncode == 0
    if not have:
        result = process.run(
            [*git, "-c", "gc.auto=0", "fetch", "--progress", "--depth=1",
             "--no-tags", "--force", *local_options, url, commit or ref],
            log=log,
            env=GIT_ENV, on_line=output.progress)
        if result.returncode != 0:
            lines = [line for line in result.stdout.splitlines()
                     if line.startswith(("fatal:", "error:"))]
            raise LabError(Exit.ENVIRONMENT, f"{url}: cannot fetch {ref}: "
                           + (lines[0] if lines else "git fetch failed"), log)
        if options.dry_run:
            return Source(FALLBACK_VERSION, origin, "git", str(GIT_CACHE), "")
        commit = process.run([*git, "rev-parse", "FETCH_HEAD^{commit}"],
                             capture=True, query=True, env=GIT_ENV,
                             check=Exit.ENVIRONMENT).stdout.strip()
        process.run([*git, "update-ref", f"refs/sources/{commit}", commit],
                    query=True, env=GIT_ENV, check=Exit.ENVIRONMENT)
    makefile = process.run([*git, "show", f"{commit}:Makefile"], capture=True,
                           query=True, env=GIT_ENV).stdout[:HEAD_SIZE]
    version = check_version(parse_version(makefile), f"{origin} at {ref}")
    return Source(version, f"{origin} at {commit[:12]}", "git",
                  str(GIT_CACHE), commit)


def _from_debian(options: Options, output: Output) -> Source:
    """The source package of Debian's kernel, through apt and its keys."""
    apt.need_apt()
    paths.need_space(paths.OUT, 600, f"the package {PACKAGE}")
    log = paths.OUT / "log" / "fetch.log"
    work = paths.CACHE / "deb"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    known = process.run(["apt-cache", "show", "--no-all-versions", PACKAGE],
                        capture=True, query=True)
    download = ["download", PACKAGE]
    if known.returncode == 0 and "Package:" in known.stdout:
        process.run(["apt-get", "-o", "APT::Sandbox::User=root",
                     *apt.NET_OPTIONS, *download], cwd=work, log=log,
                    check=Exit.ENVIRONMENT)
    else:
        for name in SUITES:
            suite = apt.PrivateSuite(name)
            output.progress(f"package lists of {name}")
            suite.update(log)
            if suite.knows(PACKAGE):
                output.progress(f"downloading {PACKAGE}")
                suite.get(download, work, log, output.progress)
                break
        else:
            raise LabError(Exit.ENVIRONMENT, f"no package {PACKAGE} in "
                           f"{', '.join(SUITES)}; give --tarball, --git or "
                           f"--tree with a Linux {BASE_VERSION}.y", log)
    debs = list(work.glob(f"{PACKAGE}_*.deb"))
    if len(debs) != 1:
        raise LabError(Exit.ENVIRONMENT, f"{PACKAGE}: apt-get left no package "
                       f"in {work}", log)
    output.progress("unpacking the package")
    process.run(["dpkg-deb", "-x", str(debs[0]), str(work)], log=log,
                check=Exit.ENVIRONMENT)
    tars = list((work / "usr" / "src").glob(f"{PACKAGE}.tar.*"))
    if len(tars) != 1:
        raise LabError(Exit.ENVIRONMENT, f"{debs[0].name}: no {PACKAGE}.tar.* "
                       "inside", log)
    package_version = debs[0].name.split("_")[1].replace("%3a", ":")
    target = paths.CACHE / f"{PACKAGE}_{package_version}" \
        f"{''.join(tars[0].suffixes[-2:])}"
    tars[0].replace(target)
    shutil.rmtree(work)
    found = tar_member(target, r"(\./)?[^/]+/Makefile")
    version = check_version(parse_version(found[1]) if found else None,
                            target.name)
    digest = sha256(target)
    _remember(target, digest)
    return Source(version, f"Debian {PACKAGE} {package_version}", "tar",
                  str(target), digest)


def _dry_run(options: Options) -> None:
    if options.git is not None:
        process.run(["git", "--git-dir", str(GIT_CACHE), "fetch", "--depth=1",
                     options.git, options.git_ref or "HEAD"])
    else:
        suite = apt.PrivateSuite(SUITES[0])
        process.run(["apt-get", *suite.options, "update"])
        process.run(["apt-get", *suite.options, "download", PACKAGE])


def unpack(source: Source, folder: Path, output: Output) -> None:
    """Write the source tree into @folder, which must not exist."""
    log = paths.OUT / "log" / "fetch.log"
    paths.need_space(folder.parent, UNPACKED_MIB, "the kernel tree")
    folder.mkdir(parents=True)
    if source.kind == "git":
        archive = folder.with_suffix(".tar")
        try:
            process.run(["git", "--git-dir", source.path, "archive",
                         "--format=tar", f"--output={archive}",
                         source.digest], env=GIT_ENV, log=log,
                        check=Exit.ENVIRONMENT)
            process.run(["tar", "-xf", str(archive), "-C", str(folder)],
                        log=log, check=Exit.ENVIRONMENT)
        finally:
            archive.unlink(missing_ok=True)
    else:
        process.run(["tar", "-xf", source.path, "--strip-components=1",
                     "--no-same-owner", "-C", str(folder)], log=log,
                    check=Exit.ENVIRONMENT,
                    env={"XZ_DEFAULTS": f"-T{os.cpu_count() or 1}"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `fetch`."""
    parser.add_argument("--debian", action="store_true",
                        help="go back to the Debian package")


def main(args: argparse.Namespace, options: Options,
         output: Output) -> Exit:
    """`scripts/cma fetch`."""
    if args.debian and (options.tree or options.tarball or options.git):
        raise LabError(Exit.USAGE, "--debian excludes --tree, --tarball and "
                       "--git: name one kernel source")
    output.set_steps(1)
    with output.step("fetch"):
        source = ensure(options, output, debian=args.debian)
    output.record(**asdict(source))
    if source.kind == "tar" and source.digest:
        output.info(f"sha256 {source.digest}  {source.path}")
    output.verdict(True, f"fetch: Linux {source.version} from "
                         f"{source.origin}")
    return Exit.PASS
