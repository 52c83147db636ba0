# SPDX-License-Identifier: GPL-2.0-only
"""`apply`: the kernel git tree out/linux, with the series on a branch.

The pristine source is one commit (tag `base`), the series are commits on
the branch v7.3.y of that version. The commits are built in a sparse
work tree aside; only then does out/linux move to them, so a patch that does
not apply leaves it as it was, and files that did not change keep their
times for make.
"""

import argparse
import hashlib
import json
import re
import shutil
import time
from pathlib import Path

from . import covers, git, packages, paths, process, source
from .errors import Exit, LabError
from .options import Options
from .output import Output, short

STATE = Path(".git") / "cma-state.json"
ASIDE = paths.OUT / "linux-apply"
WRITTEN_MIB = 700
# 90,000 loose objects would take twice the space.
INTO_ONE_PACK = ["-c", "core.bigFileThreshold=1", "-c", "core.compression=1"]
IN_PROGRESS = ("rebase-merge", "rebase-apply", "MERGE_HEAD",
               "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG")


def patch_files(folder: Path) -> list[Path]:
    """All patches under patches/v7.3, in the order they apply."""
    return sorted(folder.glob("*/*.patch"))


def patches_digest(folder: Path) -> str:
    """sha256 over names and contents of all patches."""
    digest = hashlib.sha256()
    for path in patch_files(folder):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def load_state(tree: Path) -> dict[str, str]:
    """What apply or refresh last recorded about @tree."""
    try:
        return json.loads((tree / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def save_state(tree: Path, **values: str) -> None:
    """Update the record of @tree."""
    state = {**load_state(tree), **values}
    temporary = tree / STATE.with_suffix(".new")
    temporary.write_text(json.dumps(state, indent=2) + "\n",
                         encoding="utf-8")
    temporary.replace(tree / STATE)


def ensure(options: Options, output: Output, stock: bool = False,
           force: bool = False) -> Path:
    """The kernel work tree: with the series, or pristine for @stock.

    Does nothing if neither source nor patches changed since the last time;
    commits a developer made there since then are kept as they are.
    Raises LabError(BUILD) if a patch does not apply or work would be lost.
    """
    kernel = source.ensure(options, output)
    if options.dry_run:
        _dry_run(stock)
        return paths.STOCK_TREE if stock else paths.TREE
    packages.require(options, output, "fetch")
    log = paths.OUT / "log" / "apply.log"
    with paths.lock("tree"):
        if not (paths.TREE / STATE).exists():
            _create(kernel, output, log)
        state = load_state(paths.TREE)
        patches = patches_digest(paths.PATCHES)
        if kernel.digest != state["source"] or patches != state["patches"]:
            _update(kernel, patches, state, force, output, log)
        else:
            _describe(state, output)
        if stock:
            _stock(log)
            return paths.STOCK_TREE
    return paths.TREE


def base_commit(tree: Path) -> str:
    """The commit of the pristine source; raises LabError(BUILD)."""
    commit = git.resolve(tree, "refs/tags/base")
    if commit is None:
        raise LabError(Exit.BUILD, f"{short(tree)}: the tag `base` is gone; "
                       "delete the folder or restore the tag")
    return commit


def branch(version: str) -> str:
    """The branch that carries the series on this base version."""
    return f"v{version}"


def _describe(state: dict[str, str], output: Output) -> None:
    if git.resolve(paths.TREE, "HEAD") != state["head"]:
        output.note("with commits that are not exported yet")
    else:
        output.note("nothing changed")


def _create(kernel: source.Source, output: Output, log: Path) -> None:
    """Make out/linux with the base commit and no patch."""
    if paths.TREE.exists():
        raise LabError(Exit.BUILD, f"{short(paths.TREE)} is there, but not a "
                       "tree of this program: move it away")
    paths.need_space(paths.OUT, source.UNPACKED_MIB + WRITTEN_MIB,
                     "the kernel tree")
    fresh = paths.OUT / "linux.new"
    shutil.rmtree(fresh, ignore_errors=True)
    output.progress("unpacking the kernel")
    source.unpack(kernel, fresh, output)
    output.progress("recording the base commit")
    git.run(fresh, "init", "-q", "-b", branch(kernel.version), log=log)
    for name, value in (("gc.auto", "0"), ("index.version", "4"),
                        ("core.untrackedCache", "true"),
                        ("rebase.autoSquash", "true")):
        git.run(fresh, "config", name, value, log=log)
    git.run(fresh, *INTO_ONE_PACK, "add", "-A", "-f", ".", log=log)
    tree_id = git.ask(fresh, "write-tree").strip()
    commit = _commit_base(fresh, tree_id, kernel.version)
    git.run(fresh, "update-ref", "HEAD", commit, log=log)
    git.run(fresh, "tag", "base", commit, log=log)
    save_state(fresh, source=kernel.digest, version=kernel.version,
               base=commit, head=commit,
               patches=hashlib.sha256().hexdigest())
    fresh.replace(paths.TREE)


def _commit_base(tree: Path, tree_id: str, version: str) -> str:
    return git.ask(tree, "commit-tree", tree_id, "-m",
                   f"Linux {version}\n\nThe pristine source.",
                   env=git.FIXED_DATE).strip()


def _new_base(kernel: source.Source, output: Output, log: Path) -> str:
    """Commit another source into the existing repository."""
    fresh = paths.OUT / "linux.new"
    index = paths.TREE / ".git" / "index.new-base"
    shutil.rmtree(fresh, ignore_errors=True)
    index.unlink(missing_ok=True)
    output.progress("unpacking the kernel")
    try:
        source.unpack(kernel, fresh, output)
        output.progress("recording the base commit")
        env = {**git.ENV, "GIT_DIR": str(paths.TREE / ".git"),
               "GIT_WORK_TREE": str(fresh), "GIT_INDEX_FILE": str(index)}
        git.run(fresh, *INTO_ONE_PACK, "add", "-A", "-f", ".", env=env,
                log=log)
        tree_id = git.ask(fresh, "write-tree", env=env).strip()
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        index.unlink(missing_ok=True)
    return _commit_base(paths.TREE, tree_id, kernel.version)


def _update(kernel: source.Source, patches: str, state: dict[str, str],
            force: bool, output: Output, log: Path) -> None:
    """Bring out/linux from the recorded state to @kernel and @patches."""
    _guard_local_work(state, force, output, log)
    base = base_commit(paths.TREE)
    if kernel.digest != state["source"]:
        base = _new_base(kernel, output, log)
    head = build_commits(paths.TREE, base, paths.PATCHES, log, output)
    name = branch(kernel.version)
    paths.need_space(paths.OUT, WRITTEN_MIB, "the kernel tree")
    git.run(paths.TREE, "checkout", "-q", "--no-track", "-B", name, head,
            log=log)
    git.run(paths.TREE, "tag", "-f", "base", base, log=log)
    save_state(paths.TREE, source=kernel.digest, version=kernel.version,
               base=base, head=head, patches=patches)
    count = len([path for path in patch_files(paths.PATCHES)
                 if path.name != covers.NAME])
    output.note(f"{count} patches on {name}")


def _guard_local_work(state: dict[str, str], force: bool, output: Output,
                      log: Path) -> None:
    """Refuse to move away from work that exists nowhere else."""
    tree = paths.TREE
    for name in IN_PROGRESS:
        if (tree / ".git" / name).exists():
            raise LabError(Exit.BUILD, f"{short(tree)}: a rebase, merge or "
                           f"bisect is in progress (.git/{name}); finish or "
                           "abort it first")
    dirty = git.changes(tree)
    known = {state["head"], state["base"]}
    heads = {git.resolve(tree, "HEAD"),
             git.resolve(tree, f"refs/heads/{branch(state['version'])}")}
    unexported = heads - known - {None}
    if not dirty and not unexported:
        return
    what = f"uncommitted changes ({dirty[0].strip()}, …)" if dirty \
        else f"commits that were not exported ({min(unexported)[:12]})"
    if not force:
        raise LabError(Exit.BUILD, f"{short(tree)} has {what}, and patches or "
                       "source changed: run `scripts/cma refresh` to export "
                       "them, or `scripts/cma apply --force` to set them "
                       "aside on a backup branch")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number, commit in enumerate(sorted(unexported), 1):
        name = f"backup/{stamp}-{number}"
        git.run(tree, "branch", name, commit, log=log)
        output.info(f"backup: branch {name} keeps {commit[:12]}")
    if dirty:
        name = f"backup/{stamp}-uncommitted"
        git.run(tree, "checkout", "-q", "-b", name, log=log)
        git.run(tree, "add", "-A", log=log)
        git.run(tree, "commit", "-q", "--no-verify", "-m",
                "Uncommitted work, set aside by apply --force",
                env=git.FIXED_DATE, log=log)
        output.info(f"backup: branch {name} keeps the uncommitted changes")


def touched_files(patches: list[Path], cwd: Path) -> list[str]:
    """The files that @patches touch, as git reads them."""
    if not patches:
        return []
    text = git.ask(cwd, "apply", "--numstat", "-z",
                   *(str(path.resolve()) for path in patches))
    return sorted({record.split("\t", 2)[2] for record in text.split("\0")
                   if record.count("\t") >= 2})


def build_commits(tree: Path, base: str, folder: Path, log: Path,
                  output: Output) -> str:
    """Commit the series in @folder on top of @base; returns the last one.

    Works in a sparse work tree of @tree with only the files the patches
    touch. Raises LabError(BUILD) naming the patch and the file that fail.
    """
    _drop_aside(tree)
    series = sorted({path.parent for path in patch_files(folder)})
    git.run(tree, "worktree", "add", "-q", "--no-checkout", "--detach",
            str(ASIDE), base, log=log)
    try:
        plain = [path for path in patch_files(folder)
                 if path.name != covers.NAME]
        try:
            touched = touched_files(plain, tree)
        except LabError as error:
            raise LabError(Exit.BUILD, "patches/ cannot be read by git: "
                           + error.message.partition(": ")[2], log) from None
        patterns = "".join("/" + re.sub(r"([*?\[\\])", r"\\\1", name) + "\n"
                           for name in touched) or "/Makefile\n"
        git.run(ASIDE, "sparse-checkout", "set", "--no-cone", "--stdin",
                input=patterns, log=log)
        git.run(ASIDE, "checkout", "-q", log=log)
        for one in series:
            output.progress(f"git am {one.name}")
            _apply_series(one, log)
        return git.ask(ASIDE, "rev-parse", "HEAD").strip()
    finally:
        _drop_aside(tree)


def _drop_aside(tree: Path) -> None:
    shutil.rmtree(ASIDE, ignore_errors=True)
    process.run(git.command(tree, "worktree", "prune"), env=git.ENV,
                query=True, capture=True)


def _apply_series(folder: Path, log: Path) -> None:
    """Commit the cover of one series, then `git am` its patches."""
    cover_file = folder / covers.NAME
    if not cover_file.is_file():
        raise LabError(Exit.BUILD, f"{short(folder)}: no {covers.NAME}; each "
                       "series has a cover letter")
    try:
        cover, author = covers.from_mail(
            cover_file.read_text(encoding="utf-8"), folder.name)
    except (covers.CoverError, UnicodeDecodeError) as error:
        raise LabError(Exit.BUILD,
                       f"{short(cover_file)}: {error}") from None
    env = {**git.ENV, "GIT_AUTHOR_NAME": author[0],
           "GIT_AUTHOR_EMAIL": author[1], "GIT_AUTHOR_DATE": author[2],
           "GIT_COMMITTER_DATE": author[2]}
    commit = git.ask(ASIDE, "commit-tree", "HEAD^{tree}", "-p", "HEAD",
                     "-F", "-", env=env, input=cover.message()).strip()
    git.run(ASIDE, "update-ref", "HEAD", commit, log=log)
    patches = [path for path in patch_files(folder.parent)
               if path.parent == folder and path.name != covers.NAME]
    if not patches:
        return
    result = git.run(ASIDE, "am", "--quiet", "--keep-non-patch",
                     "--no-scissors", "--no-3way", "--no-gpg-sign",
                     "--whitespace=nowarn", "--committer-date-is-author-date",
                     *map(str, patches), log=log, check=None)
    if result.returncode != 0:
        done = len(git.ask(ASIDE, "rev-list", f"{commit}..HEAD").split())
        git.run(ASIDE, "am", "--abort", log=log, check=None)
        raise _am_error(patches[min(done, len(patches) - 1)],
                        result.stdout, log)


def _am_error(patch: Path, text: str, log: Path) -> LabError:
    if process.DISK_FULL in text:
        return LabError(Exit.ENVIRONMENT, f"git am: {process.DISK_FULL}", log)
    match = re.search(r"^error: (?:patch failed: )?(\S+?):? ?(\d+)?(?:: (.*))?"
                      r"$", text, flags=re.MULTILINE)
    where = "git am says no reason"
    if match:
        where = match.group(1)
        if match.group(2):
            where += f" at line {match.group(2)}"
        if match.group(3):
            where += f": {match.group(3)}"
    return LabError(Exit.BUILD, f"{patch.parent.name}/{patch.name} does not "
                    f"apply: {where}", log)


def _stock(log: Path) -> None:
    """Bring out/linux-stock to `base`, in a work tree of its own."""
    base = base_commit(paths.TREE)
    git.run(paths.TREE, "worktree", "prune", log=log)
    if not (paths.STOCK_TREE / ".git").exists() or \
            git.resolve(paths.STOCK_TREE, "HEAD") is None:
        shutil.rmtree(paths.STOCK_TREE, ignore_errors=True)
        git.run(paths.TREE, "worktree", "prune", log=log)
        paths.need_space(paths.OUT, 2000, "the stock kernel tree")
        git.run(paths.TREE, "worktree", "add", "-q", "--detach",
                str(paths.STOCK_TREE), base, log=log)
    elif git.resolve(paths.STOCK_TREE, "HEAD") != base:
        if git.changes(paths.STOCK_TREE):
            raise LabError(Exit.BUILD, f"{short(paths.STOCK_TREE)} was "
                           "changed, it should be pristine: delete it")
        git.run(paths.STOCK_TREE, "checkout", "-q", "--detach", base, log=log)


def _dry_run(stock: bool) -> None:
    """Show the main commands of a first run."""
    process.run(["git", "-C", str(paths.TREE), "init"])
    process.run(["git", "-C", str(paths.TREE), "add", "-A", "-f", "."])
    for path in sorted({path.parent for path in patch_files(paths.PATCHES)}):
        process.run(["git", "-C", str(paths.TREE), "am", *(
            str(patch) for patch in patch_files(paths.PATCHES)
            if patch.parent == path and patch.name != covers.NAME)])
    if stock:
        process.run(["git", "-C", str(paths.TREE), "worktree", "add",
                     "--detach", str(paths.STOCK_TREE), "base"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `apply`."""
    parser.add_argument("--force", action="store_true",
                        help="set commits and changes that are not exported "
                             "aside on a backup branch")
    parser.add_argument("--stock", action="store_true",
                        help="make the pristine tree out/linux-stock, too")


def main(args: argparse.Namespace, options: Options,
         output: Output) -> Exit:
    """`scripts/cma apply`."""
    output.set_steps(1)
    with output.step("apply"):
        tree = ensure(options, output, stock=args.stock, force=args.force)
    head = None if options.dry_run else git.resolve(tree, "HEAD")
    output.record(tree=tree, head=head)
    output.verdict(True, f"apply: {short(tree)} is at "
                         f"{(head or 'HEAD')[:12]}")
    return Exit.PASS
