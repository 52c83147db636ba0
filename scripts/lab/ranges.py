# SPDX-License-Identifier: GPL-2.0-only
"""Physical address ranges and the numbers of the kernel's command line."""

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([kKmMgGtT]?)", re.ASCII)
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


@dataclass(frozen=True, order=True)
class Range:
    """@size bytes from the physical address @start."""

    start: int
    size: int

    @property
    def last(self) -> int:
        """The address of the last byte."""
        return self.start + self.size - 1

    def contains(self, start: int, size: int = 1) -> bool:
        """Whether the @size bytes from @start all lie in this range."""
        return self.start <= start and \
            start + max(size, 1) - 1 <= self.last

    def __str__(self) -> str:
        return f"0x{self.start:08x}-0x{self.last:08x}"


def number(text: str) -> int:
    """A number as memparse() reads it: 0x, octal, decimal and a suffix.

    Raises ValueError if @text is anything else or has something after it.
    """
    match = _NUMBER.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a number such as 8M or 0x2000000")
    digits, suffix = match.groups()
    base = 16 if digits[:2] in ("0x", "0X") else \
        8 if digits[0] == "0" and len(digits) > 1 else 10
    return int(digits, base) << _SHIFT[suffix.lower()]


def parse(text: str) -> Range:
    """A range as `8M@32M` or `0x02000000-0x027fffff`.

    Raises ValueError that says what would be right.
    """
    if "@" in text:
        size, start = (number(part) for part in text.split("@", 1))
    elif "-" in text:
        start, last = (number(part) for part in text.split("-", 1))
        size = last - start + 1
    else:
        raise ValueError(f"{text!r} is not a range such as 8M@32M or "
                         "0x02000000-0x027fffff")
    if size <= 0:
        raise ValueError(f"{text!r} is empty")
    return Range(start, size)


def size_text(size: int) -> str:
    """@size bytes for people: `8 MiB`, `260 KiB`, `24 bytes`."""
    if size and size % (1 << 20) == 0:
        return f"{size >> 20} MiB"
    if size and size % (1 << 10) == 0:
        return f"{size >> 10} KiB"
    return f"{size} bytes"
