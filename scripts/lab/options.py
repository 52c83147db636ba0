# SPDX-License-Identifier: GPL-2.0-only
"""Options that every verb understands, before or after its name."""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import Exit, LabError


@dataclass(frozen=True)
class Options:
    """The global options, after the environment was taken into account."""

    yes: bool = False
    verbose: bool = False
    dry_run: bool = False
    json: bool = False
    color: bool = False
    terminal: bool = False
    tree: Path | None = None
    tarball: Path | None = None
    git: str | None = None
    git_ref: str | None = None

    @property
    def may_ask(self) -> bool:
        """Whether a question can be answered: a terminal on both ends."""
        return not self.yes and sys.stdin is not None and sys.stdin.isatty() \
            and sys.stderr.isatty()


def add_arguments(parser: argparse.ArgumentParser, *, defaults: bool) -> None:
    """Add the global options to @parser.

    They exist twice, on the command and on each verb. Only the former
    sets @defaults, or the verb would overwrite what came before its name.
    """
    def default(value):
        return value if defaults else argparse.SUPPRESS

    group = parser.add_argument_group("options of every verb")
    group.add_argument("-y", "--yes", action="store_true",
                       default=default(False),
                       help="install missing packages without asking "
                            "(CI=true means the same)")
    group.add_argument("-v", "--verbose", action="store_true",
                       default=default(False),
                       help="show each external command")
    group.add_argument("--dry-run", action="store_true",
                       default=default(False),
                       help="show the external commands, run none that "
                            "changes anything")
    group.add_argument("--json", action="store_true", default=default(False),
                       help="one JSON document on stdout, text on stderr")
    group.add_argument("--tree", type=Path, metavar="PATH",
                       default=default(None),
                       help="take the kernel from HEAD (or --git-ref) of this "
                            "git tree, which is only read")
    group.add_argument("--tarball", type=Path, metavar="FILE",
                       default=default(None),
                       help="take the kernel from linux-7.3.y.tar.*")
    group.add_argument("--git", metavar="URL", default=default(None),
                       help="take the kernel from this repository, "
                            "together with --git-ref")
    group.add_argument("--git-ref", metavar="TAG", default=default(None),
                       help="tag, branch or commit for --git and --tree")


def from_arguments(args: argparse.Namespace) -> Options:
    """Check and freeze the global options; raises LabError(USAGE)."""
    sources = [name for name in ("tree", "tarball", "git")
               if getattr(args, name) is not None]
    if len(sources) > 1:
        raise LabError(Exit.USAGE,
                       " and ".join(f"--{name}" for name in sources)
                       + " exclude each other: name one kernel source")
    if args.git is not None and args.git_ref is None:
        raise LabError(Exit.USAGE, "--git needs --git-ref TAG, "
                                   "for example --git-ref v7.3.4")
    if args.git_ref is not None and not sources:
        raise LabError(Exit.USAGE, "--git-ref needs --git URL or --tree PATH")
    for name in ("git", "git_ref"):
        value = getattr(args, name)
        if value is not None and (not value or value.startswith("-")):
            raise LabError(Exit.USAGE, f"--{name.replace('_', '-')} "
                                       f"{value!r} is not a valid name")
    if args.tarball is not None and not args.tarball.is_file():
        raise LabError(Exit.USAGE, f"--tarball {args.tarball}: no such file")
    if args.tree is not None and not args.tree.is_dir():
        raise LabError(Exit.USAGE, f"--tree {args.tree}: no such folder")
    text = sys.stderr if args.json else sys.stdout
    terminal = text.isatty() and os.environ.get("TERM") != "dumb"
    return Options(
        yes=args.yes or os.environ.get("CI", "").lower() in ("true", "1"),
        verbose=args.verbose, dry_run=args.dry_run, json=args.json,
        color=terminal and not os.environ.get("NO_COLOR"),
        terminal=terminal,
        tree=args.tree.resolve() if args.tree else None,
        tarball=args.tarball.resolve() if args.tarball else None,
        git=args.git, git_ref=args.git_ref)
