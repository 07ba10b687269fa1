"""Draws the screens of a terminal as an SVG that shows them one after another.

Each distinct row is drawn once, in ``<defs>``; a frame names the rows that it consists of. CSS alone switches frames.
Readers who asked for less motion see the last frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import pyte

CELL_WIDTH: Final = 8.4
LINE_HEIGHT: Final = 18
MARGIN: Final = 16
HEAD: Final = 36
"""Above the screen: the title."""
GROUND: Final = "#14171c"
TEXT: Final = "#d7dae0"
FADED: Final = "#9aa3b0"
_COLOURS: Final = {
    "black": "#6b7480",
    "red": "#ff7b72",
    "green": "#56d364",
    "brown": "#e3b341",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
    "white": TEXT,
}
"""pyte's names of the eight colours, as they look on the ground."""


@dataclass(frozen=True)
class Run:
    """Characters beside each other that look alike."""

    column: int
    text: str
    colour: str
    ground: str
    bold: bool


Row = tuple[Run, ...]


@dataclass(frozen=True)
class Frame:
    """One screen, and the time at which it appears."""

    at_s: float
    rows: tuple[Row, ...]


def read_screen(columns: int, lines: int) -> Callable[[str], tuple[Row, ...]]:
    """Return a function that takes what is printed next and gives the screen after it."""
    screen = pyte.Screen(columns, lines)
    stream = pyte.Stream(screen)

    def feed(text: str) -> tuple[Row, ...]:
        stream.feed(text)
        return tuple(_row(screen.buffer[line], columns) for line in range(lines))

    return feed


def _row(cells: Any, columns: int) -> Row:
    runs: list[Run] = []
    for column in range(columns):
        cell = cells[column]
        colour, ground = _colour(cell.fg, TEXT), _colour(cell.bg, GROUND)
        if cell.reverse:
            colour, ground = ground, colour
        last = runs[-1] if runs else None
        if last and (last.colour, last.ground, last.bold) == (colour, ground, cell.bold):
            runs[-1] = Run(last.column, last.text + cell.data, colour, ground, cell.bold)
        else:
            runs.append(Run(column, cell.data, colour, ground, cell.bold))
    return tuple(run for run in runs if run.text.strip() or run.ground != GROUND)


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return _COLOURS.get(name.removeprefix("bright"), f"#{name}" if len(name) == 6 else default)


def svg(frames: list[Frame], *, columns: int, lines: int, title: str) -> str:
    """Return the picture.

    Args:
        frames: At least one, in order.
        columns: The width of the terminal.
        lines: Its height.
        title: What stands above the screen, and describes the picture.
    """
    width, height = round(columns * CELL_WIDTH + 2 * MARGIN), HEAD + lines * LINE_HEIGHT + MARGIN
    names: dict[Row, str] = {}
    shown: list[str] = []
    for number, frame in enumerate(frames):
        uses = []
        for line, row in enumerate(frame.rows):
            if row:
                name = names.setdefault(row, f"r{len(names)}")
                uses.append(f'<use href="#{name}" y="{line * LINE_HEIGHT}"/>')
        shown.append(f'<g class="f" id="f{number}">{"".join(uses)}</g>')
    rows = [f'<g id="{name}">{_drawn(row)}</g>' for row, name in names.items()]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_style(frames)}\n</style>",
        f"<defs>\n{chr(10).join(rows)}\n</defs>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{GROUND}"/>',
        f'<text x="{MARGIN}" y="24" fill="{FADED}">$ {escape(title)}</text>',
        f'<g transform="translate({MARGIN} {HEAD})">',
        *shown,
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _drawn(row: Row) -> str:
    parts = []
    for run in row:
        x, length = round(run.column * CELL_WIDTH, 1), round(len(run.text) * CELL_WIDTH, 1)
        if run.ground != GROUND:
            parts.append(f'<rect x="{x}" width="{length}" height="{LINE_HEIGHT}" fill="{run.ground}"/>')
        weight = ' font-weight="bold"' if run.bold else ""
        parts.append(
            f'<text x="{x}" y="13" fill="{run.colour}" textLength="{length}"{weight}>{escape(run.text)}</text>'
        )
    return "".join(parts)


def _style(frames: list[Frame]) -> str:
    """CSS that shows each frame from its time to that of the next one, and the last one for ever."""
    first_s = frames[0].at_s
    rules = [
        'text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; }',
        ".f { visibility: hidden; }",
        "@keyframes show { from, to { visibility: visible; } }",
    ]
    for number, frame in enumerate(frames[:-1]):
        begin_s, end_s = frame.at_s - first_s, frames[number + 1].at_s - first_s
        rules.append(f"#f{number} {{ animation: show {end_s - begin_s:.2f}s {begin_s:.2f}s; }}")
    last = len(frames) - 1
    rules.append(f"#f{last} {{ animation: show 1s {frames[-1].at_s - first_s:.2f}s forwards; }}")
    still = f"#f{last} {{ visibility: visible; }} .f {{ animation: none !important; }}"
    return "\n".join([*rules, f"@media (prefers-reduced-motion: reduce) {{ {still} }}"])
