# SPDX-License-Identifier: GPL-2.0-only
"""checkpatch.pl on one patch: 0 errors, 0 warnings, 0 checks."""

import re
from pathlib import Path

from . import process

# Type of message: why it is not asked for.
IGNORED = {
    "UNKNOWN_COMMIT_ID": "the tree has one commit and no history to look "
                         "commits up in",
}
# checkpatch asks this of every new file, even if an entry of MAINTAINERS has its
# folder. So MAINTAINERS itself is asked.
NEW_FILE = "FILE_PATH_CHANGES"
TOTAL = re.compile(r"^total: (\d+) errors, (\d+) warnings, (\d+) checks, "
                   r"(\d+) lines checked", re.MULTILINE)
MESSAGE = re.compile(r"^(ERROR|WARNING|CHECK):(\S+): (.*)$", re.MULTILINE)


def run(source_tree: Path, patch: Path, log: Path) -> list[str]:
    """What checkpatch complains about; empty if the patch is clean.

    A run without checkpatch's total line, or without its dictionary, is a
    complaint, too: nothing was checked then.
    """
    command = ["perl", "scripts/checkpatch.pl", "--strict", "--codespell",
               "--no-signoff", "--show-types", "--color=never",
               "--ignore", ",".join(IGNORED), str(patch.resolve())]
    # Python modules of the packages belong to the system's python3.
    result = process.run(command, cwd=source_tree, capture=True, log=log,
                         env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
                              "GIT_CONFIG_GLOBAL": "/dev/null",
                              "LC_ALL": "C.UTF-8"})
    found = judge(result.stdout, result.stderr, result.returncode)
    if any(complaint.endswith(f"[{NEW_FILE}]") for complaint in found):
        found = [complaint for complaint in found
                 if not complaint.endswith(f"[{NEW_FILE}]")]
        found += [f"{path} has no entry in MAINTAINERS"
                  for path in added_files(patch.read_text(encoding="utf-8"))
                  if not has_maintainer(source_tree, path, log)]
    return found


def added_files(patch: str) -> list[str]:
    """The files that a patch creates."""
    return re.findall(r"^--- /dev/null\n\+\+\+ b/(.*)$", patch,
                      flags=re.MULTILINE)


def has_maintainer(source_tree: Path, path: str, log: Path) -> bool:
    """Whether an entry of MAINTAINERS names @path, not just "THE REST"."""
    result = process.run(
        ["perl", "scripts/get_maintainer.pl", "--no-git", "--no-git-fallback",
         "--no-email", "--no-l", "--subsystem", "--no-rolestats", "-f", path],
        cwd=source_tree, capture=True, log=log,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"})
    return any(line.strip() and line.strip() != "THE REST"
               for line in result.stdout.splitlines())


def judge(out: str, err: str, status: int) -> list[str]:
    """The complaints in checkpatch's output and exit status."""
    if "No codespell typos will be found" in err + out:
        return ["codespell's dictionary was not found"]
    if "Traceback" in err:
        return ["spdxcheck.py failed: " + err.strip().splitlines()[-1]]
    total = TOTAL.search(out)
    if not total:
        last = (err or out).strip().splitlines()
        return ["checkpatch printed no total: "
                + (last[-1] if last else f"status {status}")]
    if int(total.group(4)) == 0:
        return ["checkpatch looked at 0 lines"]
    found = [f"{kind}: {text} [{name}]"
             for kind, name, text in MESSAGE.findall(out)]
    if not found and (status != 0 or any(
            int(number) for number in total.groups()[:3])):
        found = [total.group()]
    return found
