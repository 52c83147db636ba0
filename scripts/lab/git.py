# SPDX-License-Identifier: GPL-2.0-only
"""git in the kernel trees under out/, independent of the user's settings."""

import subprocess
from pathlib import Path

from . import process
from .errors import Exit

# Neither the user's nor the system's configuration may change a commit or an
# exported patch.
ENV = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
       "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
# Who commits what this program makes: fixed, so that the same source and the
# same patches give the same commit ids everywhere.
NAME, EMAIL, DATE = "scripts/cma", "cma@localhost", "1700000000 +0000"
COMMITTER = {**ENV, "GIT_COMMITTER_NAME": NAME, "GIT_COMMITTER_EMAIL": EMAIL,
             "GIT_COMMITTER_DATE": DATE}
AUTHOR = {"GIT_AUTHOR_NAME": NAME, "GIT_AUTHOR_EMAIL": EMAIL,
          "GIT_AUTHOR_DATE": DATE}
OPTIONS = ["-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false",
           "-c", "core.attributesFile=/dev/null", "-c", "gc.auto=0",
           "-c", "commit.gpgSign=false", "-c", "advice.detachedHead=false"]


def command(tree: Path, *words: str) -> list[str]:
    """The command line of git @words in @tree."""
    return ["git", *OPTIONS, "-C", str(tree), *words]


def run(tree: Path, *words: str, env: dict[str, str] | None = None,
        log: Path | None = None, check: Exit | None = Exit.BUILD,
        input: str | None = None, on_line=None,
        ) -> subprocess.CompletedProcess[str]:
    """Run a git command that changes something."""
    return process.run(command(tree, *words), env=env or COMMITTER, log=log,
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
