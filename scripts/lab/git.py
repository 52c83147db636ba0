# SPDX-License-Identifier: GPL-2.0-only
"""git in the kernel trees under out/, independent of the user's settings."""

import os
import subprocess
from pathlib import Path

from . import paths, process
from .errors import Exit

# Neither the user's nor the system's configuration may change a commit or an
# exported patch. Who commits what this program makes is fixed, so that the
# same source and the same patches give the same commit ids everywhere.
CONFIG_FILE = paths.OUT / "gitconfig"
CONFIG = """\
# Written by scripts/cma for its own git commands.
[user]
	name = scripts/cma
	email = cma@localhost
[core]
	hooksPath = /dev/null
	autocrlf = false
	attributesFile = /dev/null
	abbrev = 12
[gc]
	auto = 0
[commit]
	gpgSign = false
[advice]
	detachedHead = false
[diff]
	orderFile = /dev/null
	suppressBlankEmpty = false
[i18n]
	logOutputEncoding = UTF-8
[format]
	mboxrd = false
"""
ENV = {"GIT_CONFIG_GLOBAL": str(CONFIG_FILE), "GIT_CONFIG_NOSYSTEM": "1",
       "LC_ALL": "C"}
DATE = "1700000000 +0000"
FIXED_DATE = {**ENV, "GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE}
# For what the developer commits through this program: their own settings.
USER_ENV = {"LC_ALL": "C"}


def command(tree: Path, *words: str) -> list[str]:
    """The command line of git @words in @tree."""
    if not CONFIG_FILE.exists() or CONFIG_FILE.read_text() != CONFIG:
        CONFIG_FILE.parent.mkdir(parents=True, exist_ok=True)
        temporary = CONFIG_FILE.with_suffix(f".{os.getpid()}")
        temporary.write_text(CONFIG)
        temporary.replace(CONFIG_FILE)
    return ["git", "-C", str(tree), *words]


def run(tree: Path, *words: str, env: dict[str, str] | None = None,
        log: Path | None = None, check: Exit | None = Exit.BUILD,
        input: str | None = None, on_line=None,
        ) -> subprocess.CompletedProcess[str]:
    """Run a git command that changes something."""
    return process.run(command(tree, *words), env=env or ENV, log=log,
                       check=check, input=input, on_line=on_line)


def ask(tree: Path, *words: str, env: dict[str, str] | None = None,
        input: str | None = None) -> str:
    """The output of a git command that only reads; fails loudly."""
    return process.run(command(tree, *words), env=env or ENV, capture=True,
                       query=True, check=Exit.BUILD, input=input).stdout


def resolve(tree: Path, name: str) -> str | None:
    """The commit @name stands for, or None."""
    result = process.run(command(tree, "rev-parse", "--verify", "-q",
                                 name + "^{commit}"),
                         env=ENV, capture=True, query=True)
    return result.stdout.strip() or None


def changes(tree: Path) -> list[str]:
    """What differs from HEAD, one `git status --porcelain` line each."""
    return ask(tree, "status", "--porcelain",
               "--untracked-files=normal").splitlines()
