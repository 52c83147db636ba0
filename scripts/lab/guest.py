# SPDX-License-Identifier: GPL-2.0-only
"""Build the guest program on nolibc and pack it with gen_init_cpio."""

import hashlib
from pathlib import Path

from . import paths, process
from .errors import Exit, LabError
from .output import Output

SOURCE = paths.REPO / "scripts" / "guest" / "init.c"
# Targets that build.ensure() has to make for this: the UAPI headers and,
# with zImage, usr/gen_init_cpio.
TARGETS = ("headers",)
COMPILER = "arm-linux-gnueabihf-gcc"
FLAGS = ("-Os", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-static",
         "-nostdlib", "-nostdinc", "-fno-stack-protector")
LIST = """\
dir /dev 0755 0 0
nod /dev/console 0600 0 0 c 5 1
file /init init 0755 0 0
"""


def initramfs(output: Output, tree: Path, build: Path) -> Path:
    """The initramfs for kernels of @build, made anew if anything changed."""
    folder = build / "guest"
    cpio, stamp = folder / "initramfs.cpio", folder / "stamp"
    nolibc = tree / "tools" / "include" / "nolibc"
    digest = hashlib.sha256(repr((FLAGS, LIST)).encode())
    for path in [SOURCE, *sorted(nolibc.rglob("*.h"))]:
        digest.update(path.read_bytes())
    if cpio.exists() and stamp.exists() and \
            stamp.read_text() == digest.hexdigest():
        return cpio
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    log.unlink(missing_ok=True)
    include = process.run([COMPILER, "-print-file-name=include"],
                          capture=True, query=True, check=Exit.BUILD)
    init = folder / "init"
    result = process.run(
        [COMPILER, *FLAGS, "-isystem", include.stdout.strip(),
         "-isystem", str(build / "usr" / "include"), "-I", str(nolibc),
         "-include", str(nolibc / "nolibc.h"), "-o", str(init), str(SOURCE),
         "-lgcc"], log=log)
    if result.returncode:
        raise LabError(Exit.BUILD, "the guest program does not compile", log)
    # the list is read from inside the folder: it allows no space in a path
    (folder / "list").write_text(LIST)
    packed = process.run([str(build / "usr" / "gen_init_cpio"), "-t", "0",
                          "-o", cpio.name, "list"], cwd=folder, log=log)
    if packed.returncode:
        raise LabError(Exit.BUILD, "gen_init_cpio failed", log)
    stamp.write_text(digest.hexdigest())
    output.note("guest program built")
    return cpio
