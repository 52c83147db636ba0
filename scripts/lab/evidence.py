# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's console proves.

The guest program sends its report through /dev/kmsg, one record per line:
`[    1.234567] guest: SECTION: TEXT`. Where memory lies is read from the DMA
API debug dump, which is not code of the series.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .ranges import Range
from .wish import Device

_RECORD = re.compile(r"^(?:<\d+>)?(?:\[ *\d+\.\d+\]\s*(?:\[[^]]*\]\s*)?)?"
                     r"guest: ([\w-]+): (.*)$")
# dump_show() in kernel/dma/debug.c; the names are its type2name[].
_DUMP_LINE = re.compile(
    r"(?P<driver>.*?) ?(?P<device>\S+) "
    r"(?P<type>single|scatter-gather|coherent|noncoherent|phy)"
    r" idx \d+ P=(?P<paddr>0x[0-9a-f]+) D=(?P<dma>[0-9a-f]+) "
    r"L=(?P<size>[0-9a-f]+) ")
_DMATEST = re.compile(r"dmatest: \S+: summary (\d+) tests, (\d+) failures")
_DMATEST_ERROR = re.compile(r"dmatest: \S+: (?:result #\d+: (?!'test passed')"
                            r"|dstbuf|srcbuf)")
_DISK = re.compile(r"summary (\d+) written, (\d+) read, (\d+) wrong")
_REBIND = re.compile(r"summary (?P<device>\S+) (?P<rounds>\d+) of "
                     r"(?P<wanted>\d+) rounds, (?P<bad>\d+) bad, "
                     r"(?P<leaked>-?\d+) leaked, CmaFree (?P<before>-?\d+) "
                     r"then (?P<after>-?\d+) pages")
_HELD = re.compile(r"area (\S+) held (-?\d+)")
_AREA = re.compile(r"(\S+) base_pfn (\d+) pages (\d+)")
# "CMA %s" of dma_contiguous_iomem_init() in kernel/dma/contiguous.c
_RESOURCE = re.compile(r"\s*([0-9a-f]+)-([0-9a-f]+) : CMA (\S+)")
_FILL = re.compile(r"available (\d+) KiB, filled (\d+) KiB, ")
_VERIFIED = re.compile(r"wrong pages (\d+)")
_TAKEN = re.compile(r"(\S+) pages (\d+) used (\d+) taken (\d+)")
_ALL_TAKEN = re.compile(r"all taken, CmaFree (\d+) KiB")
PAGE = 4096


class Unreadable(ValueError):
    """A line of the evidence has a form that this program does not know."""


@dataclass(frozen=True)
class Mapping:
    """One entry of the DMA API debug dump."""

    driver: str
    device: str
    type: str
    paddr: int
    dma: int
    size: int

    def inside(self, area: Range) -> bool:
        """Both the memory and the handle lie wholly in @area."""
        return area.contains(self.paddr, self.size) and \
            area.contains(self.dma, self.size)

    def __str__(self) -> str:
        return f"{self.device}: {self.type} P=0x{self.paddr:x} " \
               f"D=0x{self.dma:x} size 0x{self.size:x}"


@dataclass(frozen=True)
class Fill:
    """What guest.fill reported, in bytes."""

    available: int
    filled: int
    wrong_pages: int


@dataclass(frozen=True)
class TakenArea:
    """One area in the hands of guest.areas, in bytes."""

    size: int
    used: int
    taken: int


@dataclass(frozen=True)
class Taken:
    """What guest.areas reported; @free is CmaFree with all of them taken."""

    areas: dict[str, TakenArea]
    free: int


def parse_dump(lines: Iterable[str]) -> list[Mapping]:
    """The entries of a DMA API debug dump; raises Unreadable."""
    mappings = []
    for line in lines:
        match = _DUMP_LINE.match(line)
        if not match:
            raise Unreadable(f"not a line of the DMA API debug dump: {line!r}")
        mappings.append(Mapping(
            match["driver"], match["device"], match["type"],
            int(match["paddr"], 16), int(match["dma"], 16),
            int(match["size"], 16)))
    return mappings


@dataclass(frozen=True)
class Rebind:
    """What came of unbinding and binding a device again and again.

    @rounds   that were done, of @wanted
    @bad      of them: not bound, not unbound, or something was held after it
              that was not held after the first round
    @leaked   pages of an area or entries of the DMA API debugging that the
              last bad round held more than the first
    @before   pages of CmaFree after the first round, @after after the last
    @held     area: pages that it gives while the device is bound only
    """

    device: str
    rounds: int
    wanted: int
    bad: int
    leaked: int
    before: int
    after: int
    held: dict[str, int]

    def __str__(self) -> str:
        areas = ", ".join(f"{pages} pages of {name}"
                          for name, pages in self.held.items() if pages)
        return f"{self.rounds} rebinds with {areas or 'no page of an area'}, " \
               f"{self.leaked} leaked, CmaFree {self.after - self.before:+} " \
               "pages"


@dataclass
class Report:
    """Everything a guest said, by section, and what the kernel logged."""

    kernel: list[str] = field(default_factory=list)
    sections: dict[str, list[str]] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)

    @property
    def started(self) -> bool:
        """Whether user space was reached."""
        return "start" in self.sections

    @property
    def ended(self) -> bool:
        """Whether the end marker is there."""
        return bool(self.sections.get("end"))

    @property
    def passed(self) -> bool:
        """Whether the guest itself found nothing wrong."""
        return self.ended and self.sections["end"][-1] == "pass, 0 failures"

    @property
    def failures(self) -> list[str]:
        """The failures that the guest named."""
        return [f"{section}: {line.removeprefix('FAILED: ')}"
                for section, lines in self.sections.items()
                for line in lines if line.startswith("FAILED: ")]

    @property
    def cmdline(self) -> str:
        """The command line as the kernel has it (one line, in chunks)."""
        return "".join(self.sections.get("cmdline", []))

    @property
    def dump(self) -> list[Mapping]:
        """The DMA API debug dump; raises Unreadable if it is not whole."""
        if "dump" not in self.complete:
            raise Unreadable("the DMA API debug dump is missing or cut off")
        return parse_dump(self.sections["dump"])

    def devices(self, names: Iterable[str]) -> list[Device]:
        """The devices called @names; raises Unreadable if one is unknown."""
        known = {}
        for line in self.sections.get("device", []):
            fields = line.split(" ", 2)
            if len(fields) != 3:
                raise Unreadable(f"not a device: {line!r}")
            known[fields[1]] = Device(*fields)
        try:
            return [known[name] for name in names]
        except KeyError as error:
            raise Unreadable(f"the dump has a device {error} that is on no "
                             "bus") from None

    @property
    def areas(self) -> dict[str, Range]:
        """The CMA areas that /sys/kernel/debug/cma shows, by name."""
        areas = {}
        for line in self.sections.get("areas", []):
            match = _AREA.fullmatch(line)
            if not match:
                raise Unreadable(f"not a CMA area: {line!r}")
            areas[match[1]] = Range(int(match[2]) << 12, int(match[3]) << 12)
        return areas

    @property
    def resources(self) -> dict[str, Range]:
        """The CMA areas that /proc/iomem shows, by name."""
        found = filter(None, map(_RESOURCE.fullmatch,
                                 self.sections.get("iomem", [])))
        return {match[3]: Range(int(match[1], 16), int(match[2], 16) + 1
                                - int(match[1], 16)) for match in found}

    @property
    def sysfs_areas(self) -> set[str]:
        """The CMA areas that /sys/kernel/mm/cma shows."""
        return {line.removeprefix("area ")
                for line in self.sections.get("sysfs", [])
                if line.startswith("area ")}

    @property
    def heaps(self) -> set[str]:
        """The DMA heaps that user space can allocate from."""
        return set(self.sections.get("heap", []))

    @property
    def fill(self) -> Fill:
        """How memory was filled; raises Unreadable if it was not."""
        lines = self.sections.get("fill", [])
        filled = next(filter(None, map(_FILL.match, lines)), None)
        verified = next(filter(None, map(_VERIFIED.fullmatch, lines)), None)
        if not filled or not verified:
            raise Unreadable("the memory was not filled and read back")
        return Fill(int(filled[1]) << 10, int(filled[2]) << 10,
                    int(verified[1]))

    @property
    def taken(self) -> Taken:
        """How the areas were taken; raises Unreadable if they were not."""
        lines = self.sections.get("take", [])
        free = next(filter(None, map(_ALL_TAKEN.fullmatch, lines)), None)
        if not free:
            raise Unreadable("the areas were not taken")
        areas = {match[1]: TakenArea(*(int(match[i]) * PAGE
                                       for i in (2, 3, 4)))
                 for match in map(_TAKEN.fullmatch, lines) if match}
        return Taken(areas, int(free[1]) << 10)

    def before(self, name: str) -> int:
        """A figure of /proc/meminfo before the memory was used, in bytes."""
        return self.meminfo(name, "before") or 0

    def meminfo(self, name: str, section: str = "meminfo") -> int | None:
        """A figure of /proc/meminfo in bytes, None if it is not there."""
        for line in self.sections.get(section, []):
            key, _, value = line.partition(":")
            if key == name and value.split():
                return int(value.split()[0]) << 10
        return None

    @property
    def dmatest(self) -> tuple[int, int]:
        """Copies and failures, from dmatest's own summary lines.

        Errors that it reports without counting a failure count, too.
        """
        copies = failed = errors = 0
        for line in self.kernel:
            match = _DMATEST.search(line)
            if match:
                copies += int(match[1])
                failed += int(match[2])
            elif _DMATEST_ERROR.search(line):
                errors += 1
        return copies, failed or errors

    @property
    def rebind(self) -> Rebind | None:
        """The report on rebinding; raises Unreadable, None without one."""
        lines = self.sections.get("rebind", [])
        summary = [line for line in lines if line.startswith("summary ")]
        if not summary:
            return None
        match = _REBIND.fullmatch(summary[-1])
        if not match:
            raise Unreadable(f"not a summary of rebinding: {summary[-1]!r}")
        numbers = {name: int(value) for name, value
                   in match.groupdict().items() if name != "device"}
        held = {area[1]: int(area[2]) for area in map(_HELD.fullmatch, lines)
                if area}
        return Rebind(device=match["device"], held=held, **numbers)

    @property
    def disk(self) -> tuple[int, int]:
        """Disk transfers and blocks that came back wrong."""
        for line in self.sections.get("disk", []):
            match = _DISK.fullmatch(line)
            if match:
                return int(match[1]) + int(match[2]), int(match[3])
        return 0, 0


def parse(lines: Iterable[str]) -> Report:
    """Sort the lines of a console into a Report."""
    report = Report()
    for line in lines:
        line = line.rstrip("\r\n")
        match = _RECORD.match(line)
        if not match:
            report.kernel.append(line)
            continue
        section, text = match.groups()
        if text == "begin":
            report.sections[section] = []
        elif text == "end":
            report.complete.add(section)
        elif text.startswith("absent: "):
            report.absent.add(section)
        else:
            report.sections.setdefault(section, []).append(text)
    return report
