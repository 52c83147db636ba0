# SPDX-License-Identifier: GPL-2.0-only
"""Kernel configurations: which fragments, and did they take effect."""

import re
from dataclasses import dataclass
from pathlib import Path

from . import paths
from .errors import Exit, LabError

SET = re.compile(r"(CONFIG_[A-Za-z0-9_]+)=(.*)")
NOT_SET = re.compile(r"# (CONFIG_[A-Za-z0-9_]+) is not set")


@dataclass(frozen=True)
class Wish:
    """A value some fragment asks for; "n" stands for "is not set"."""

    fragment: str
    symbol: str
    value: str


def parse(text: str) -> dict[str, str]:
    """Symbol to value, for a fragment or a .config."""
    values = {}
    for line in text.splitlines():
        line = line.strip()
        if match := SET.fullmatch(line):
            values[match.group(1)] = match.group(2)
        elif match := NOT_SET.fullmatch(line):
            values[match.group(1)] = "n"
    return values


def wishes(fragments: list[Path]) -> dict[str, Wish]:
    """What @fragments ask for; a later one overrides an earlier one."""
    found = {}
    for path in fragments:
        for symbol, value in parse(path.read_text(encoding="utf-8")).items():
            found[symbol] = Wish(path.name, symbol, value)
    return found


def broken(wanted: dict[str, Wish], config: str) -> list[str]:
    """One line for each wish that the final @config does not fulfil."""
    got = parse(config)
    return [f"{wish.fragment}: {wish.symbol} should be {wish.value}, "
            f"is {got.get(wish.symbol, 'n')}"
            for wish in wanted.values()
            if got.get(wish.symbol, "n") != wish.value]


def series_fragments(stock: bool) -> tuple[str, ...]:
    """Names of the fragments that only a kernel with the series can have."""
    return () if stock else ("kunit",)


def fragments(config: str, extra: tuple[str, ...] = ()) -> list[Path]:
    """The files of a configuration.

    "default" is kernel-config/base.config; any other name adds
    kernel-config/<name>.config. @extra names further ones, or is a path.
    """
    names = ["base"] + ([config] if config != "default" else [])
    found = []
    for name in [*names, *extra]:
        path = Path(name) if "/" in name else \
            paths.KERNEL_CONFIG / f"{name.removesuffix('.config')}.config"
        if not path.is_file():
            known = sorted(one.stem for one in
                           paths.KERNEL_CONFIG.glob("*.config"))
            raise LabError(Exit.USAGE, f"no configuration {name!r}: there is "
                           f"no {path}; there are default, "
                           + ", ".join(one for one in known if one != "base"))
        found.append(path)
    return found
