# SPDX-License-Identifier: GPL-2.0-only
"""`refresh`: export the series from out/linux to patches/v7.3.

The same commits always give the same bytes, whoever exports them and
whatever their git configuration says. What was exported is applied again
and compared with the tree before patches/ changes.
"""

import argparse
import difflib
import itertools
import re
import secrets
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import covers, git, packages, paths, source, tree
from .covers import Cover
from .errors import Exit, LabError
from .options import Options
from .output import Output, short

MOST_PATCHES = 15
FORMAT = ["--numbered", "--zero-commit", "--no-signature", "--full-index",
          "--no-renames", "--diff-algorithm=histogram", "--indent-heuristic",
          "--unified=3", "--inter-hunk-context=0", "--no-thread",
          "--no-attach", "--no-cover-letter", "--no-base", "--no-notes",
          "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative",
          "--no-signoff", "--no-from", "--no-to", "--no-cc",
          "--no-add-header", "--src-prefix=a/", "--dst-prefix=b/",
          "--subject-prefix=PATCH", "--suffix=.patch", "--quiet",
          "--filename-max-length=64", "--encode-email-headers"]


@dataclass(frozen=True)
class Commit:
    """One commit of the branch; @empty if it changes no file."""

    id: str
    empty: bool
    parents: int
    author: tuple[str, str, str]
    message: str

    @property
    def subject(self) -> str:
        return self.message.partition("\n")[0]

    def __str__(self) -> str:
        return f"commit {self.id[:12]} (\"{self.subject}\")"


@dataclass
class Series:
    """A cover and the patches that follow it, oldest first."""

    cover: Cover
    commit: Commit
    patches: list[Commit] = field(default_factory=list)


def read_commits(folder: Path, base: str, head: str) -> list[Commit]:
    """The commits from @base to @head, oldest first."""
    text = git.ask(folder, "log", "--reverse", "--topo-order", "--no-notes",
                   "--encoding=UTF-8",
                   "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%aD%x00%B%x01",
                   f"{base}..{head}")
    commits = []
    last_tree = git.ask(folder, "rev-parse", f"{base}^{{tree}}").strip()
    for record in text.split("\x01"):
        if not record.strip():
            continue
        commit, tree_id, parents, name, address, date, message = \
            record.lstrip("\n").split("\0")
        commits.append(Commit(commit, tree_id == last_tree,
                              len(parents.split()), (name, address, date),
                              message.strip("\n") + "\n"))
        last_tree = tree_id
    return commits


def split(commits: list[Commit]) -> list[Series]:
    """Sort @commits into series, or raise LabError(USAGE) with the reason."""
    found: list[Series] = []
    for commit in commits:
        _check_commit(commit)
        if covers.is_cover(commit.message):
            try:
                cover = covers.from_message(commit.message)
            except covers.CoverError as error:
                raise LabError(Exit.USAGE, f"cover {commit} {error}") from None
            if not commit.empty:
                raise LabError(Exit.USAGE, f"cover {commit} changes files; a "
                               "cover is an empty commit")
            found.append(Series(cover, commit))
        elif commit.empty:
            raise LabError(Exit.USAGE, f"{commit} is empty, and no cover: a "
                           "cover ends with `series:` and `change-id:` lines")
        elif not found:
            raise LabError(Exit.USAGE, f"{commit} belongs to no series: put "
                           "an empty cover commit before it "
                           "(`scripts/cma refresh --new-series` makes one)")
        else:
            found[-1].patches.append(commit)
    for index, series in enumerate(found):
        _check_series(series, found[:index])
    return found


def _check_commit(commit: Commit) -> None:
    if commit.parents != 1:
        raise LabError(Exit.USAGE, f"{commit} is a merge; the series has to "
                       "be one line of commits")
    if re.match(r"(fixup|squash|amend)!", commit.subject):
        raise LabError(Exit.USAGE, f"{commit} is not folded in: run `git "
                       "rebase -i --autosquash base` in the tree")
    if commit.subject.startswith("["):
        raise LabError(Exit.USAGE, f"{commit}: `git am` would drop the [...] "
                       "its subject begins with; reword it")
    if re.search(r"^signed-off-by:", commit.message,
                 flags=re.MULTILINE | re.IGNORECASE):
        raise LabError(Exit.USAGE, f"{commit} has a Signed-off-by line: only "
                       "the person who submits the patch may add theirs, "
                       "with `git am -s`")


def _check_series(series: Series, earlier: list[Series]) -> None:
    name = series.cover.series
    if not series.patches:
        raise LabError(Exit.USAGE, f"series {name} has a cover and no patches")
    if len(series.patches) > MOST_PATCHES:
        raise LabError(Exit.USAGE, f"series {name} has {len(series.patches)} "
                       f"patches, more than {MOST_PATCHES}: split it")
    for other in earlier:
        if other.cover.series == name:
            raise LabError(Exit.USAGE, f"series {name} has two covers: "
                           f"{other.commit} and {series.commit}")
        if other.cover.change_id == series.cover.change_id:
            raise LabError(Exit.USAGE, f"series {other.cover.series} and "
                           f"{name} have the same change-id; each needs its "
                           "own")
    if earlier and earlier[-1].cover.series >= name:
        raise LabError(Exit.USAGE, f"series {name} comes after "
                       f"{earlier[-1].cover.series}: patches/ is applied in "
                       "the order of the names")


def export(folder: Path, found: list[Series], version: str,
           target: Path) -> None:
    """Write the patches of all series of the tree @folder into @target."""
    for series in found:
        out = target / series.cover.series
        out.mkdir(parents=True)
        first, last = series.commit.id, series.patches[-1].id
        git.ask(folder, "format-patch", *FORMAT, "-o",
                str(out), f"{first}..{last}")
        written = sorted(out.glob("*.patch"))
        if len(written) != len(series.patches):
            raise LabError(Exit.BUILD, f"series {series.cover.series}: git "
                           f"exported {len(written)} of "
                           f"{len(series.patches)} patches")
        summary = git.ask(folder, "shortlog", "-w72,2,4", f"{first}..{last}")
        summary += git.ask(folder, "diff", "--no-renames",
                           "--no-ext-diff", "--no-color", "--stat=72",
                           "--summary", first, last)
        mail = covers.to_mail(series.cover, author=series.commit.author,
                              count=len(series.patches), summary=summary,
                              base=f"v{version}")
        (out / covers.NAME).write_text(mail, encoding="utf-8")


def verify(folder: Path, base: str, head: str, exported: Path, log: Path,
           output: Output) -> None:
    """Apply @exported afresh: it must give the commits it was made from."""
    again = tree.build_commits(folder, base, exported, log, output)
    old = read_commits(folder, base, head)
    new = read_commits(folder, base, again)
    for before, after in zip(old, new):
        if before.message != after.message:
            raise LabError(Exit.USAGE, f"{before}: `git am` would change its "
                           "message (a line `---`, a line like `diff -`, or "
                           "white space at an end?); reword it")
        if before.author != after.author:
            raise LabError(Exit.USAGE, f"{before}: `git am` would change its "
                           f"author or date {before.author}")
    same = git.ask(folder, "rev-parse", f"{head}^{{tree}}",
                   f"{again}^{{tree}}").split()
    if len(old) != len(new) or same[0] != same[1]:
        raise LabError(Exit.BUILD, "the exported patches do not give the tree "
                       "they were made from", log)


def normalized(text: str) -> str:
    """A patch without what a drifted base changes by itself.

    Left out: positions and functions in hunk headers, blob names, the base
    line of the cover.
    """
    text = re.sub(r"^@@ -[0-9,]+ \+[0-9,]+ @@.*$", "@@", text,
                  flags=re.MULTILINE)
    text = re.sub(r"^index [0-9a-f]{7,}\.\.[0-9a-f]{7,}", "index", text,
                  flags=re.MULTILINE)
    return re.sub(r"^base: \S+$", "base:", text, flags=re.MULTILINE)


def first_difference(ours: Path, exported: Path,
                     drifted: bool) -> str | None:
    """What differs first between two patch folders; None if nothing does."""
    def names(folder: Path) -> set[str]:
        return {str(path.relative_to(folder))
                for path in tree.patch_files(folder)}

    for name in sorted(names(ours) | names(exported)):
        if not (exported / name).exists():
            return f"{name} is in patches/, the tree does not export it"
        if not (ours / name).exists():
            return f"{name} is not in patches/, the tree exports it"
        # surrogateescape: bytes that are not UTF-8 still compare exactly
        old, new = (
            (folder / name).read_bytes().decode("utf-8", "surrogateescape")
            for folder in (ours, exported))
        if drifted:
            old, new = normalized(old), normalized(new)
        if old != new:
            lines = difflib.unified_diff(
                old.split("\n"), new.split("\n"), n=0, lineterm="")
            changed = [line for line in lines
                       if not line.startswith(("---", "+++", "@@"))][:2]
            number = next(index for index, pair in enumerate(
                itertools.zip_longest(old.split("\n"), new.split("\n")), 1)
                if pair[0] != pair[1])
            return f"{name} line {number}: " + " | ".join(
                ascii(line)[1:-1] for line in changed)
    return None


def swap(fresh: Path, target: Path) -> None:
    """Put @fresh in the place of @target, with its other files."""
    old = target.with_name(f".{target.name}.old")
    if old.exists() and not target.exists():
        old.replace(target)     # an earlier swap was cut short
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        for path in sorted(target.rglob("*")):
            keep = fresh / path.relative_to(target)
            if path.is_file() and path.suffix != ".patch":
                keep.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, keep)
        target.replace(old)
    fresh.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def new_series(folder: Path, name: str, title: str) -> str:
    """Commit an empty cover at the tip of the tree; returns its id."""
    if not covers.SERIES.fullmatch(name):
        raise LabError(Exit.USAGE, f"--new-series {name}: not <n>-<topic>, "
                       "as in 1-fixes")
    topic = name.partition("-")[2]
    cover = Cover(name, f"{time.strftime('%Y%m%d')}-{topic}-"
                        f"{secrets.token_hex(6)}",
                  title, "Say here what the series is for.")
    git.run(folder, "commit", "-q", "--allow-empty", "--only",
            "--cleanup=verbatim", "-m", cover.message(), env=git.USER_ENV)
    return git.ask(folder, "rev-parse", "HEAD").strip()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refresh`."""
    parser.add_argument("--check", action="store_true",
                        help="change nothing; fail unless patches/ is exactly "
                             "what the tree exports")
    parser.add_argument("--force", action="store_true",
                        help="export even if patches/ changed since it was "
                             "applied, which overwrites that change")
    parser.add_argument("--new-series", nargs=2,
                        metavar=("N-TOPIC", "TITLE"),
                        help="commit the empty cover of a new series on the "
                             "branch, and stop")


def main(args: argparse.Namespace, options: Options,
         output: Output) -> Exit:
    """`scripts/cma refresh`."""
    packages.require(options, output, "fetch")
    if args.new_series:
        folder = tree.ensure(options, output)
        if options.dry_run:
            return Exit.PASS
        commit = new_series(folder, *args.new_series)
        output.verdict(True, f"refresh: cover {commit[:12]} is on "
                             f"{short(folder)}; edit it with `git commit "
                             "--amend --allow-empty`, then commit patches")
        return Exit.PASS
    return check(options, output) if args.check else \
        write(options, output, args.force)


def prepare(output: Output, target: Path,
             log: Path) -> tuple[list[Series], str]:
    """Export and verify out/linux into @target: (series, version)."""
    folder = paths.TREE
    state = tree.load_state(folder)
    base = tree.base_commit(folder)
    head = git.ask(folder, "rev-parse", "HEAD").strip()
    for name in tree.IN_PROGRESS:
        if (folder / ".git" / name).exists():
            raise LabError(Exit.USAGE, f"{short(folder)}: a rebase or merge "
                           f"is in progress (.git/{name}); finish it first")
    found = split(read_commits(folder, base, head))
    dirty = git.changes(folder)
    if dirty:
        output.warn(f"{short(folder)} has uncommitted changes, which are not "
                    f"exported: {dirty[0].strip()}")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    export(folder, found, state["version"], target)
    with paths.lock("tree"):
        verify(folder, base, head, target, log, output)
    return found, state["version"]


def write(options: Options, output: Output, force: bool) -> Exit:
    """Export the tree to patches/v7.3."""
    if not (paths.TREE / tree.STATE).exists():
        raise LabError(Exit.USAGE, f"{short(paths.TREE)} is not there, so "
                       "there is nothing to export: run `scripts/cma apply`")
    log = paths.OUT / "log" / "refresh.log"
    state = tree.load_state(paths.TREE)
    if tree.patches_digest(paths.PATCHES) != state["patches"] and not force \
            and tree.patch_files(paths.PATCHES):
        raise LabError(Exit.USAGE, f"{short(paths.PATCHES)} changed since it "
                       "was applied, an export would overwrite that: run "
                       "`scripts/cma apply`, or `refresh --force`")
    fresh = paths.PATCHES.with_name(f".{paths.PATCHES.name}.new")
    output.set_steps(1)
    if options.dry_run:
        output.command("git format-patch (one run for each series)")
        output.verdict(True, "refresh: nothing written")
        return Exit.PASS
    try:
        with output.step("refresh"):
            found, version = prepare(output, fresh, log)
            if paths.PATCHES.exists() or found:
                changed = first_difference(paths.PATCHES, fresh, False)
                if changed:
                    swap(fresh, paths.PATCHES)
                output.note(changed or "nothing changed")
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    text = source.drift(version)
    if text:
        output.warn(text)
    tree.save_state(paths.TREE,
                    patches=tree.patches_digest(paths.PATCHES),
                    head=git.ask(paths.TREE, "rev-parse", "HEAD").strip())
    counts = {one.cover.series: len(one.patches) for one in found}
    output.record(series=counts)
    output.verdict(True, f"refresh: {sum(counts.values())} patches in "
                         f"{len(counts)} series in {short(paths.PATCHES)}")
    return Exit.PASS


def check(options: Options, output: Output) -> Exit:
    """Prove that patches/ is exactly what the tree exports."""
    log = paths.OUT / "log" / "refresh.log"
    fresh = paths.OUT / "refresh-check"
    output.set_steps(2)
    with output.step("apply"):
        folder = tree.ensure(options, output)
    if options.dry_run:
        return Exit.PASS
    made_on = source.made_on()
    try:
        with output.step("export"):
            found, version = prepare(output, fresh, log)
            drifted = version != made_on
            difference = first_difference(paths.PATCHES, fresh, drifted)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    if drifted:
        output.info(f"the base drifted from {made_on} to {version}: hunk "
                    "positions, blob names and the base line are not compared")
    if difference:
        output.verdict(False, f"refresh: {difference}; run `scripts/cma "
                              f"refresh` if {short(folder)} is right")
        return Exit.TEST_FAILED
    count = sum(len(one.patches) for one in found)
    output.verdict(True, f"refresh: {count} patches in {len(found)} series "
                         "are what the tree exports")
    return Exit.PASS
