# SPDX-License-Identifier: GPL-2.0-only
"""Where things are. Everything generated is under OUT."""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Exit, LabError

REPO = Path(__file__).resolve().parents[2]
OUT = Path(os.environ.get("CMA_OUT") or REPO / "out").absolute()
PATCHES = REPO / "patches" / "v7.3"
KERNEL_CONFIG = REPO / "kernel-config"
CACHE = OUT / "cache"
TREE = OUT / "linux"
STOCK_TREE = OUT / "linux-stock"
TOOLS = OUT / "tools"

MIB = 1 << 20


def BUILD(name: str) -> Path:
    """The kbuild output folder of a configuration."""
    return OUT / "build" / name


def run_folder(verb: str) -> Path:
    """Make out/run/<stamp>-<verb> and let out/latest point at it."""
    base = OUT / "run"
    base.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for suffix in [""] + [f".{n}" for n in range(2, 100)]:
        folder = base / f"{stamp}{suffix}-{verb}"
        try:
            folder.mkdir()
            break
        except FileExistsError:
            continue
    else:
        raise LabError(Exit.ENVIRONMENT, f"{base}: no free name for a run")
    temporary = OUT / f".latest.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.relative_to(OUT))
    temporary.replace(OUT / "latest")
    return folder


def need_space(folder: Path, mebibytes: int, purpose: str) -> None:
    """Raise LabError(ENVIRONMENT) unless @mebibytes are free for @purpose."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free // MIB
    if free < mebibytes:
        raise LabError(Exit.ENVIRONMENT,
                       f"{purpose} needs {mebibytes} MiB in {folder}, "
                       f"{free} MiB are free")


def replace(path: Path, text: str) -> None:
    """Write @text to @path; nobody ever sees half of it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold out/.lock-@name: one process at a time changes that part."""
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / f".lock-{name}", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another cma, which holds {file.name}",
                  file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
