# SPDX-License-Identifier: GPL-2.0-only
"""Read one of the project's tables in TOML."""

import tomllib
from pathlib import Path
from typing import Any

from .errors import Exit, LabError


def read(path: Path) -> dict[str, Any]:
    """The document in @path; raises LabError(USAGE) that names the file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LabError(Exit.USAGE, f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LabError(Exit.USAGE, f"{path}: {error}") from None
