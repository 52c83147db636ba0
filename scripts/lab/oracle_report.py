# SPDX-License-Identifier: GPL-2.0-only
"""What the cache oracle found: a verdict, and a text for people."""

import json
from pathlib import Path
from typing import Any

from .errors import Exit
from .output import Output, short
from .report import Case

SHOWN = 12
FORMAT_VERSION = 1
CHANGED_HANDS = ("given", "taken", "coherent")
# What has to have happened, or the oracle has seen nothing.
NEEDED = ("given", "taken")


def load(path: Path) -> dict[str, Any] | None:
    """The document, None if it is not there or not a report."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(document, dict) and \
        document.get("version") == FORMAT_VERSION
    return document if known else None


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _where(place: dict[str, Any]) -> str:
    text = f"in {place.get('at', 'an unknown place')}"
    if place.get("caller"):
        text += f", called from {place['caller']}"
    return text


def _example(example: dict[str, Any]) -> str:
    text = f"{_count(example['lines'], 'line')} from {example['first']}"
    if example.get("bytes"):
        text = f"{_count(example['bytes'], 'byte')} at {example['first']}"
    buffer = example.get("buffer")
    if not buffer:
        return text + ", in no buffer"
    end = int(buffer["start"], 16) + buffer["size"] - 1
    kind = buffer["kind"] if buffer["kind"] == "coherent" \
        else buffer["direction"]
    text += f", buffer {buffer['start']}-{end:#x} ({kind})"
    if buffer.get("device"):
        text += f" of {buffer['device']}"
    if buffer.get("caller"):
        text += f", from {buffer['caller']}"
    return text


def text(document: dict[str, Any]) -> list[str]:
    """Lines for people: each rule and place, with its examples."""
    lines = []
    for group in document["findings"]:
        much = _count(group["times"], "time")
        if not any("bytes" in one for one in group["examples"]):
            much += f", {_count(group['lines'], 'line')}"
        lines.append(f"{group['rule']}: {group['text']}: {much}, "
                     f"{_where(group)}")
        lines += ["    " + _example(example) for example in group["examples"]]
    return lines


def totals(document: dict[str, Any]) -> str:
    """`480 given, 480 taken, 2 coherent; no rule broken`."""
    counters = document["counters"]
    seen = ", ".join(f"{counters[name]} {name}" for name in CHANGED_HANDS)
    broken = ", ".join(f"{rule} {times} times"
                       for rule, times in document["rules"].items())
    allowed = counters.get("allowed_findings", 0)
    return f"{seen}; {broken or 'no rule broken'}" \
        + (f", {allowed} allowed findings" if allowed else "")


def show(output: Output, path: Path) -> None:
    """Print the first findings, and where the others are."""
    document = load(path)
    lines = text(document) if document else []
    for line in lines[:SHOWN]:
        output.info(line)
    if len(lines) > SHOWN:
        output.info(f"and {len(lines) - SHOWN} more lines in "
                    f"{short(path.with_suffix('.txt'))}")


def judge(suite: str, path: Path, moved: bool = True) -> tuple[Case, str]:
    """The case `oracle`, and what was seen in one line.

    @moved  whether buffers have to have changed hands, both ways
    """
    case = Case(suite, "oracle", log=str(path))
    document = load(path)
    if document is None:
        case.fail("the oracle has written no report", Exit.ENVIRONMENT)
        return case, "oracle: no report"
    path.with_suffix(".txt").write_text("\n".join(text(document)) + "\n",
                                        encoding="utf-8")
    counters = document["counters"]
    if document["total"]:
        first = document["findings"][0]
        case.fail(f"{_count(document['total'], 'finding')}, the first is "
                  f"{first['rule']} {_where(first)}", Exit.GUEST)
    elif not document["complete"]:
        case.fail("the oracle has not seen the end of the guest, or of what "
                  "the guest has announced")
    elif counters["lost_track"]:
        case.fail(f"the oracle lost track of {counters['lost_track']} calls")
    elif moved and not all(counters[name] for name in NEEDED):
        missing = next(name for name in NEEDED if not counters[name])
        case.fail(f"no buffer was {missing}, so nothing was judged")
    return case, f"oracle: {totals(document)}"
