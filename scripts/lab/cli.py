# SPDX-License-Identifier: GPL-2.0-only
"""The command line of scripts/cma: one sub-parser per verb."""

import argparse
import errno
import importlib
import os
import signal
import sys
from typing import NoReturn

from . import options as global_options
from . import paths, process
from .errors import Exit, LabError
from .output import Output

# verb: (module that has add_arguments() and main(), help line)
VERBS = {
    "doctor": ("packages", "report the tools, install what is missing"),
    "fetch": ("source", "get the kernel source"),
    "apply": ("tree", "make the kernel git tree with the series"),
    "build": ("build", "build the kernel"),
    "boot": ("boot", "boot it in QEMU and check where DMA memory lies"),
    "kunit": ("kunit", "run KUnit suites in QEMU"),
    "test": ("test", "unit tests, KUnit, boot checks, the boot table"),
    "fuzz": ("fuzz", "fuzz the parsers of cma= and cma_map="),
    "stress": ("stress", "KUnit and 1,000 rebinds on a kernel that checks "
                         "itself"),
    "matrix": ("matrix", "boot good and bad areas, stock beside patched"),
    "audit": ("audit", "which devices of the device trees would newly get "
                       "an area"),
    "mutate": ("mutate", "do the tests see deliberate mistakes?"),
    "coverage": ("coverage", "which lines do the tests run?"),
    "refresh": ("series", "export the series from the tree to patches/"),
    "check": ("check", "checkpatch, sparse, W=1, every patch builds"),
}

# Set by git for its hooks and by `git rebase -x`; they would point our git
# commands at another repository or put other names into commits.
FOREIGN_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
                     "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
                     "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE",
                     "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
                     "GIT_COMMITTER_DATE", "GIT_EXTERNAL_DIFF",
                     "GIT_DIFF_OPTS", "MAKEFLAGS", "MFLAGS", "KBUILD_OUTPUT",
                     "ARCH", "CROSS_COMPILE", "KCONFIG_CONFIG", "LOCALVERSION")

DESCRIPTION = "Fixed-address, per-device CMA areas: build, boot and test."
EPILOG = "exit codes: 0 pass, 1 a test failed, 2 usage, 3 environment, " \
         "4 apply or build, 5 the guest crashed or splatted, 124 timeout"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"{self.prog}: error: {message} "
                              f"(see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser with a sub-parser for every verb."""
    parser = Parser(prog="cma", description=DESCRIPTION, epilog=EPILOG,
                    allow_abbrev=False)
    global_options.add_arguments(parser, defaults=True)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (module_name, text) in VERBS.items():
        module = importlib.import_module(f"lab.{module_name}")
        sub = verbs.add_parser(verb, help=text, description=text, epilog=EPILOG,
                               allow_abbrev=False)
        module.add_arguments(sub)
        global_options.add_arguments(sub, defaults=False)
        sub.set_defaults(main=module.main)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    for name in FOREIGN_VARIABLES:
        os.environ.pop(name, None)
    args = make_parser().parse_args(arguments)
    try:
        options = global_options.from_arguments(args)
    except LabError as error:
        print(f"cma: error: {error.message}", file=sys.stderr)
        return error.exit
    output = Output(options)
    process.setup(options, output)
    output.record(verb=args.verb)
    try:
        code = int(args.main(args, options, output))
    except LabError as error:
        code = int(error.exit)
        output.verdict(False, f"{args.verb}: {error.message}", error.log)
    except process.Interrupted as signalled:
        process.kill_all()
        code = 128 + signalled.number
        output.verdict(False, f"{args.verb}: ended by "
                              f"{signal.Signals(signalled.number).name}, "
                              "nothing was left running")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        code = int(Exit.ENVIRONMENT)
        output.verdict(False, f"{args.verb}: {error.filename or paths.OUT}: "
                              f"{process.DISK_FULL}")
    output.record(exit=code)
    output.print_document()
    return code
