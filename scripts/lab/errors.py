# SPDX-License-Identifier: GPL-2.0-only
"""Exit codes and the one exception that ends a verb with a clear line."""

from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """What scripts/cma returns to its caller."""

    PASS = 0
    TEST_FAILED = 1
    USAGE = 2
    ENVIRONMENT = 3
    BUILD = 4
    GUEST = 5
    TIMEOUT = 124


class LabError(Exception):
    """A failure with its exit code, one line of text and, if any, a log.

    The text says what is wrong, where, and what would be right.
    """

    def __init__(self, exit: Exit, message: str, log: Path | None = None):
        super().__init__(message)
        self.exit = exit
        self.message = message
        self.log = log
