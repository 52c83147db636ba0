# SPDX-License-Identifier: GPL-2.0-only
"""Documentation/matrix.svg: stock beside patched, a square for each boot.

At the top a bar per kernel with the totals; below, by group, a line per row of
the tables with its name and the squares of its machines, stock on the left and
patched on the right. Each square that is not ok has a letter as well as a
colour. Plain SVG with the colours in a style sheet, so that it is readable on
light and dark pages.
"""

from html import escape

from . import outcome
from .outcome import Group, Outcome, Result

WIDTH = 1080
MARGIN = 24
COLUMNS = 3
LINE = 17
SQUARE = 13
STEP = SQUARE + 3
NAME_WIDTH = 226
NAME_LETTERS = 32       # of a name and the ids behind it
COLUMN = (WIDTH - 2 * MARGIN) // COLUMNS
BAR = 24

_LETTER = {Outcome.PANIC: "P", Outcome.HANG: "H", Outcome.SPLAT: "W",
           Outcome.SILENT: "S", Outcome.OK: ""}
_LEGEND = {Outcome.PANIC: "panic or reset", Outcome.HANG: "hang",
           Outcome.SPLAT: "splat in the log",
           Outcome.SILENT: "silently wrong", Outcome.OK: "as it should be"}
_STYLE = """\
text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; }
.head { font-size: 13px; font-weight: 600; }
.small { font-size: 11px; fill: #59636e; }
.in { font-size: 9px; font-weight: 700; fill: #ffffff; text-anchor: middle; }
.number { font-size: 12px; font-weight: 700; fill: #ffffff; text-anchor: middle; }
.right { text-anchor: end; }
.middle { text-anchor: middle; }
.page { fill: #ffffff; }
.rule { stroke: #d1d9e0; }
.panic { fill: #a40e26; }
.hang { fill: #7a3db8; }
.splat { fill: #bc4c00; }
.silent { fill: #806600; }
.ok { fill: #2da44e; }
.none { fill: #d1d9e0; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.small { fill: #9198a1; }
.page { fill: #0d1117; }
.rule { stroke: #3d444d; }
.panic { fill: #e5534b; }
.hang { fill: #986ee2; }
.splat { fill: #e0762f; }
.silent { fill: #b89500; }
.ok { fill: #2f8f46; }
.none { fill: #3d444d; }
.in, .number { fill: #ffffff; }
}
"""


class Canvas:
    """Collects elements; y grows downwards."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        """@text with its baseline at @y."""
        name = f' class="{style}"' if style else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{name}>'
                          f"{escape(text)}</text>")

    def rect(self, x: float, y: float, width: float, height: float,
             style: str, title: str = "", round: int = 2) -> None:
        """A rectangle; @title is what a mouse pointer over it shows."""
        inside = f"><title>{escape(title)}</title></rect>" if title else "/>"
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" '
                          f'height="{height:g}" rx="{round}" '
                          f'class="{style}"{inside}')

    def rule(self, y: float) -> None:
        """A thin line across the page."""
        self.parts.append(f'<path d="M{MARGIN} {y:g}H{WIDTH - MARGIN}" '
                          'class="rule"/>')


def render(results: list[Result], version: str) -> str:
    """The picture; deterministic for the same arguments."""
    canvas = Canvas()
    canvas.text(MARGIN, 36, f"Linux {version}: {len(results)} boots with good "
                "and bad CMA areas, stock beside patched", "title")
    y = _bars(canvas, results, 56)
    y = _legend(canvas, y)
    for group, members in outcome.grouped(results):
        y = _group(canvas, group, members, y)
    height = y + MARGIN
    return "\n".join([
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- SPDX-License-Identifier: GPL-2.0-only -->",
        "<!-- Written by `scripts/cma matrix`. Do not edit. -->",
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{height:g}" viewBox="0 0 {WIDTH} {height:g}" role="img" '
        'aria-label="Outcome of each case, stock beside patched">',
        f"<style>\n{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height:g}" class="page"/>',
        *canvas.parts, "</svg>", ""])


def _bars(canvas: Canvas, results: list[Result], y: float) -> float:
    """The totals; what stock cannot know is not in them."""
    bugs = [result for result in results if not result.row.feature]
    left, width = MARGIN + 76, WIDTH - 2 * MARGIN - 76
    for kernel in ("stock", "patched"):
        canvas.text(MARGIN, y + 17, kernel, "head")
        x = float(left)
        for one, number in outcome.count(
                getattr(result, kernel) for result in bugs).items():
            part = width * number / max(len(bugs), 1)
            if number:
                canvas.rect(x, y, max(part - 2, 1), BAR, one,
                            f"{kernel}: {number} {one}")
                if part > 18:
                    text = f"{number} {one}" if part > 60 else str(number)
                    canvas.text(x + part / 2 - 1, y + 16, text, "number")
            x += part
        y += BAR + 8
    canvas.text(left, y + 8, f"{len(bugs)} boots that a stock kernel could "
                "pass. Labels and cma_map= are new with the series: their "
                "boots are only in the last group below.", "small")
    return y + 22


def _legend(canvas: Canvas, y: float) -> float:
    x = float(MARGIN)
    y += 8
    for one, text in _LEGEND.items():
        _square(canvas, x, y, one, text)
        canvas.text(x + STEP + 4, y + 11, text)
        x += STEP + 22 + 6.4 * len(text)
    canvas.text(WIDTH - MARGIN, y + 11, "of two squares the left one is virt, "
                "the right one zynq", "small right")
    return y + 34


def _square(canvas: Canvas, x: float, y: float, value: Outcome | None,
            title: str) -> None:
    canvas.rect(x, y, SQUARE, SQUARE, value or "none", title)
    if value and _LETTER[value]:
        canvas.text(x + SQUARE / 2, y + 10, _LETTER[value], "in")


def _group(canvas: Canvas, group: Group, members: list[Result],
           y: float) -> float:
    canvas.rule(y - 14)
    canvas.text(MARGIN, y + 6, group.title, "head")
    canvas.text(WIDTH - MARGIN, y + 6, "  \u2192  ".join(
        f"{kernel}: " + outcome.totals(getattr(member, kernel)
                                       for member in members)
        for kernel in ("stock", "patched")), "small right")
    y += 28
    lines: dict[str, list[Result]] = {}
    for member in members:
        lines.setdefault(member.row.name, []).append(member)
    entries = list(lines.items())
    per_column = -(-len(entries) // COLUMNS)
    order = sorted({_board(member) for member in members})
    for column in range(min(COLUMNS, len(entries))):
        x = MARGIN + column * COLUMN
        _column_head(canvas, x, y, len(order))
        part = entries[column * per_column:(column + 1) * per_column]
        for number, (name, cases) in enumerate(part):
            _line(canvas, x, y + 8 + number * LINE, name, cases, order)
    return y + 8 + per_column * LINE + 34


def _board(result: Result) -> str:
    """virt-lpae is virt."""
    return result.row.machine.name.partition("-")[0]


def _places(x: float, widest: int) -> tuple[float, float]:
    """Where the squares of stock and of patched begin."""
    stock = x + NAME_WIDTH
    return stock, stock + widest * STEP + 32


def _column_head(canvas: Canvas, x: float, y: float, widest: int) -> None:
    stock, patched = _places(x, widest)
    half = widest * STEP / 2 - 1
    canvas.text(stock + half, y + 2, "stock", "small middle")
    canvas.text(patched + half, y + 2, "patched", "small middle")


def _line(canvas: Canvas, x: float, y: float, name: str,
          cases: list[Result], order: list[str]) -> None:
    """One row of the tables; each machine of @order has its place."""
    ids = " ".join(cases[0].row.defects)
    room = NAME_LETTERS - len(ids)
    canvas.text(x, y + 11, name if len(name) <= room
                else name[:room - 1] + "\u2026")
    places = _places(x, len(order))
    if ids:
        canvas.text(places[0] - 8, y + 11, ids, "small right")
    for left, kernel in zip(places, ("stock", "patched")):
        for case in cases:
            value = getattr(case, kernel)
            _square(canvas, left + order.index(_board(case)) * STEP, y, value,
                    f"{name} on {case.row.machine.name}, {kernel}: "
                    f"{value or 'not booted'}")
