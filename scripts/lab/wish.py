# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel command line asks for, read independently of the kernel.

The laboratory computes from it where a device's memory has to be, and then
looks for evidence that it is there. It is lenient: what it does not
understand is left out, since judging bad input is the kernel's job.
"""

import fnmatch
import shlex
from dataclasses import dataclass

from . import ranges
from .ranges import Range


@dataclass(frozen=True)
class Device:
    """A device as rules see it: bus, name, path in the device tree or "-"."""

    bus: str
    name: str
    node: str = "-"


@dataclass(frozen=True)
class Rule:
    """One rule of cma_map=: [bus/]device[*] or /path, and an area's label."""

    device: str
    label: str

    def matches(self, device: Device) -> bool:
        """Whether @device is covered."""
        if self.device.startswith("/"):
            return self.device == device.node
        bus, slash, pattern = self.device.rpartition("/")
        if slash and bus != device.bus:
            return False
        name = device.name
        if pattern.endswith("*"):
            return fnmatch.fnmatchcase(
                name, pattern[:-1].replace("[", "[[]") + "*")
        return name == pattern


@dataclass(frozen=True)
class Wish:
    """The labelled areas (None: anywhere) and the rules, in order."""

    areas: dict[str, Range | None]
    rules: tuple[Rule, ...]

    def rule_for(self, device: Device) -> Rule | None:
        """The first rule that matches @device."""
        return next((rule for rule in self.rules if rule.matches(device)),
                    None)


def words(cmdline: str) -> list[str]:
    """The parameters of @cmdline; double quotes protect spaces."""
    lexer = shlex.shlex(cmdline, posix=True)
    lexer.whitespace_split = True
    lexer.quotes, lexer.escape, lexer.commenters = '"', "", ""
    try:
        return list(lexer)
    except ValueError:
        return cmdline.split()


def _area(region: str) -> tuple[str, Range | None] | None:
    label, equals, rest = region.partition("=")
    if not equals or not label:
        return None
    size, at, start = rest.partition("@")
    try:
        if not at:
            ranges.number(size)
            return label, None
        if "-" in start:
            return label, None
        return label, Range(ranges.number(start), ranges.number(size))
    except ValueError:
        return None


def _rules(value: str) -> list[Rule]:
    rules, pending = [], ""
    for segment in value.split(","):
        pending = f"{pending},{segment}" if pending else segment
        if "=" not in segment:
            continue
        device, _, label = pending.rpartition("=")
        pending = ""
        if device and label:
            rules.append(Rule(device, label))
    return rules


def parse(cmdline: str) -> Wish:
    """The wish in @cmdline; areas and rules add up over its parameters."""
    areas: dict[str, Range | None] = {}
    rules: list[Rule] = []
    for word in words(cmdline):
        name, _, value = word.partition("=")
        if name == "cma":
            for region in value.split(","):
                area = _area(region)
                if area:
                    areas.setdefault(*area)
        elif name == "cma_map":
            rules += _rules(value)
    return Wish(areas, tuple(rules))
