# SPDX-License-Identifier: GPL-2.0-only
"""Compile the kernel's parsers for the host, with libFuzzer and sanitizers.

scripts/fuzz/target.c is what libFuzzer drives. The parsers are cut out of the
kernel tree for each build (see excerpt.py); nothing of the kernel is kept.
"""

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from . import excerpt, paths, process
from .errors import Exit, LabError
from .output import short

SOURCE = paths.REPO / "scripts" / "fuzz"
FOLDER = paths.OUT / "fuzz"
ROOTS = ("cma_parse_cmdline", "cma_map_parse", "next_arg", "skip_spaces")
# Where the parsers and what they use are defined.
SOURCES = (
    "kernel/dma/contiguous.h", "kernel/dma/contiguous.c",
    "kernel/dma/cma_map.c", "include/linux/cma.h",
    "lib/cmdline.c", "lib/vsprintf.c", "lib/kstrtox.h", "lib/kstrtox.c",
    "lib/string.c", "lib/string_helpers.c", "lib/ctype.c",
    "include/linux/ctype.h", "include/linux/string.h",
    "include/linux/overflow.h", "include/linux/limits.h",
    "include/linux/sizes.h", "include/linux/args.h",
)
# The host's versions of these know the sanitizers' limits.
FROM_HOST = ("memchr", "memcmp", "memcpy", "memmove", "memset", "snprintf",
             "strchr", "strcmp", "strcpy", "strlen", "strncmp", "strncpy",
             "strnlen", "strrchr", "strspn", "strcspn", "strstr", "strsep")
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-funsigned-char", "-O1", "-g",
         "-fno-omit-frame-pointer", "-Wall", "-Werror",
         "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
TIMEOUT = 120.0


@dataclass(frozen=True)
class Variant:
    """The types of a kernel: @defines choose those of scripts/fuzz/kernel.h."""

    name: str
    defines: tuple[str, ...]


VARIANTS = (Variant("arm", ()), Variant("arm-lpae", ("-DFUZZ_LPAE",)))


def parsers(tree: Path) -> str:
    """C source of the parsers in @tree; raises LabError(BUILD)."""
    definitions: list[excerpt.Definition] = []
    for name in SOURCES:
        try:
            text = (tree / name).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise LabError(Exit.BUILD, f"{short(tree / name)}: "
                           f"{error.strerror}; the parsers need it, or SOURCES"
                           " in scripts/lab/fuzz_target.py is out of date"
                           ) from None
        definitions += excerpt.scan(name, text)
    shim = excerpt.scan("kernel.h", (SOURCE / "kernel.h").read_text(
        encoding="utf-8"))
    known = [*FROM_HOST, *(name for one in shim for name in one.names)]
    try:
        return excerpt.text(excerpt.closure(definitions, ROOTS, known), tree)
    except LookupError as missing:
        raise LabError(Exit.BUILD, f"{missing}() is not defined in {short(tree)}"
                       f", neither in {', '.join(SOURCES[:3])} nor elsewhere in"
                       " SOURCES of scripts/lab/fuzz_target.py") from None


def word_flags(log: Path) -> tuple[str, ...]:
    """-m32 where clang can link that, else nothing: the host's own words."""
    if platform.machine() != "x86_64":
        return ()
    FOLDER.mkdir(parents=True, exist_ok=True)
    probe = FOLDER / "probe.c"
    probe.write_text("int LLVMFuzzerTestOneInput(const unsigned char *data, "
                     "unsigned int size)\n{\n\treturn 0;\n}\n")
    result = process.run(["clang", "-m32", *FLAGS, str(probe), "-o",
                          str(FOLDER / "probe")], log=log, timeout=TIMEOUT)
    return ("-m32",) if result.returncode == 0 else ()


def build(tree: Path, variant: Variant, words: tuple[str, ...], folder: Path,
          log: Path) -> Path:
    """Compile the parsers in @tree and return the program in @folder.

    Raises LabError(BUILD) with the first error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "parsers.h").write_text(parsers(tree), encoding="utf-8")
    program = folder / "fuzz"
    errors: list[str] = []

    def on_line(line: str) -> None:
        if re.search(r"\b(error|undefined reference)\b", line):
            errors.append(line)

    result = process.run(
        ["clang", *words, *variant.defines, *FLAGS, f"-I{SOURCE}",
         f"-I{folder}", str(SOURCE / "target.c"), "-o", str(program)],
        log=log, timeout=TIMEOUT, on_line=on_line)
    if result.returncode:
        raise LabError(Exit.BUILD, build_error(errors, tree), log)
    return program


def build_error(lines: list[str], tree: Path) -> str:
    """One line about why clang failed, from its lines with an error."""
    line = lines[0] if lines else "clang failed without an error"
    match = re.match(r"(\S+?):(\d+):\d+: (?:fatal )?error: (.*)", line)
    if not match:
        return f"the parsers do not compile for the host: {line}"
    path, number, text = match.groups()
    where = path.removeprefix(f"{tree}/")
    advice = ""
    name = re.search(r"(?:undeclared|implicit declaration of|unknown type "
                     r"name|incomplete).*?'([^']*)'", text)
    if name:
        advice = f"; add the file that defines it to SOURCES in " \
                 "scripts/lab/fuzz_target.py, or a stand-in to " \
                 "scripts/fuzz/kernel.h"
    return f"{where}:{number}: {text}{advice}"
