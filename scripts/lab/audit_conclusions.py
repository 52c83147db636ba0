# SPDX-License-Identifier: GPL-2.0-only
"""What people concluded about the devices of the audit.

    conclusion      Markdown, the answer to the whole question
    [[device]]      for every device with a sole reusable region:
        compatible  the first compatible strings of the nodes that it is about
        attaches    the C file that calls of_reserved_mem_device_init*() for
                    it, where that is not the one with the compatible string
        text        what changes for it, from reading its driver
    [[note]]        title and text, Markdown, further findings
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import toml
from .errors import Exit, LabError


@dataclass(frozen=True)
class Device:
    """What was concluded about some devices."""

    compatible: tuple[str, ...]
    text: str
    attaches: str = ""


@dataclass(frozen=True)
class Conclusions:
    """All of the file, in its order."""

    conclusion: str
    devices: tuple[Device, ...]
    notes: tuple[tuple[str, str], ...]

    def about(self, compatible: str) -> Device | None:
        """What was concluded about nodes with this first compatible."""
        return next((device for device in self.devices
                     if compatible in device.compatible), None)


def load(path: Path) -> Conclusions:
    """Read the file; raises LabError(USAGE) that says where it is wrong."""
    document = toml.read(path)
    _only(path, "the file", document, {"conclusion", "device", "note"})
    devices = []
    known: set[str] = set()
    for number, entry in enumerate(document.get("device", []), 1):
        where = f"device {number}"
        _only(path, where, entry, {"compatible", "attaches", "text"})
        names = entry.get("compatible")
        if not isinstance(names, list) or not names or \
                not all(isinstance(name, str) for name in names):
            raise _wrong(path, where, "compatible has to be a list of strings")
        for name in names:
            if name in known:
                raise _wrong(path, where, f"{name} is there twice")
            known.add(name)
        attaches = entry.get("attaches", "")
        if not isinstance(attaches, str):
            raise _wrong(path, where, "attaches has to be the name of a file")
        devices.append(Device(tuple(names), _text(path, where, entry, "text"),
                              attaches))
    notes = []
    for number, entry in enumerate(document.get("note", []), 1):
        where = f"note {number}"
        _only(path, where, entry, {"title", "text"})
        notes.append((_text(path, where, entry, "title"),
                      _text(path, where, entry, "text")))
    return Conclusions(_text(path, "the file", document, "conclusion"),
                       tuple(devices), tuple(notes))


def _only(path: Path, where: str, entry: Any, keys: set[str]) -> None:
    if not isinstance(entry, dict):
        raise _wrong(path, where, "a table is expected")
    for key in entry:
        if key not in keys:
            raise _wrong(path, where, f"no key {key!r}; there are "
                         + ", ".join(sorted(keys)))


def _text(path: Path, where: str, entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(path, where, f"{key} is missing or not a text")
    return value.strip()


def _wrong(path: Path, where: str, what: str) -> LabError:
    return LabError(Exit.USAGE, f"{path}: {where}: {what}")
