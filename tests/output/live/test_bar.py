"""The progress bar."""

from __future__ import annotations

import io
from typing import Any

import pytest

from subcli.core.submission import Connection, Counts, Stage, Submission
from subcli.output.live.bar import bar, progress_text
from subcli.output.terminal.console import make_console
from subcli.output.text.lines import LineRenderer
from tests.output.conftest import with_colours

TESTING = (Stage("testing"),)


def shown(width: int = 10, now: float = 0.0, **fields: Any) -> str:
    """The bar, in which ``G``, ``R``, ``S``, ``A`` and ``.`` are cells: green, red, dim and accent, and empty ones."""
    line = bar(Submission(id=1, **fields), now, width)
    assert line.cells == width
    renderer = LineRenderer(make_console(io.StringIO(), {"FORCE_COLOR": "1"}))
    letters = {"<32>": "G", "<31>": "R", "<2>": "S", "<36>": "A"}
    text, colour = "", ""
    for part in with_colours(renderer.render(line)).replace("<", "\0<").replace(">", ">\0").split("\0"):
        if part.startswith("<"):
            colour = letters.get(part, "")
        text += "".join("." if cell == "─" and colour == "S" else colour for cell in part if cell in "━─")
    return text


@pytest.mark.parametrize(
    ("counts", "total", "cells"),
    [
        (Counts(), 10, ".........."),
        (Counts(1), 10, "G........."),
        (Counts(10), 10, "GGGGGGGGGG"),
        (Counts(5, 5), 10, "GGGGGRRRRR"),
        (Counts(5, 3, 2), 20, "GGGRR....."),
        (Counts(2, 0, 0, 4), 10, "GGSSSS...."),
        (Counts(2, 4, 0, 4), 10, "GGSSSSRRRR"),
        # A single failure among thousands is seen.
        (Counts(4999, 1), 5000, "GGGGGGGGGR"),
        (Counts(0, 1), 5000, "R........."),
        (Counts(1), 5000, "G........."),
        (Counts(0, 0, 0, 1), 5000, "S........."),
        (Counts(999), 1000, "GGGGGGGGG."),
        (Counts(12), 10, "GGGGGGGGGG"),
    ],
)
def test_bar_of_results(counts: Counts, total: int, cells: str) -> None:
    """Passed, skipped, failed and to come; each that there is has a cell."""
    assert shown(counts=counts, total_tests=total) == cells


@pytest.mark.parametrize(
    ("progress", "cells", "text"),
    [(0, "..........", "  0 %"), (42, "AAAA......", " 42 %"), (100, "AAAAAAAAAA", "100 %"), (-7, "..........", "  0 %"),
     (700, "AAAAAAAAAA", "100 %"), (99.4, "AAAAAAAAA.", " 99 %")],
)  # fmt: skip
def test_bar_of_a_percentage(progress: float, cells: str, text: str) -> None:
    """Where the server knows no more than that."""
    assert shown(progress=progress) == cells
    assert progress_text(Submission(id=1, progress=progress, counts=Counts(3))) == text


@pytest.mark.parametrize(
    ("now", "cells"),
    [(0.0, "AA.........."), (0.1, ".AA........."), (0.9, ".........AA."), (1.0, "..........AA"), (1.1, ".........AA."),
     (2.0, "AA.........."), (2.1, ".AA.........")],
)  # fmt: skip
def test_stroke_that_moves(now: float, cells: str) -> None:
    """From one end to the other and back, while nobody knows how much there is."""
    for state in ("open", "polling"):
        assert shown(12, now, stages=TESTING, connection=Connection(state)) == cells


def test_stroke_is_faster_and_longer_on_a_wide_terminal() -> None:
    """It takes as long from end to end."""
    shown_then = shown(120, 0.5, stages=TESTING, connection=Connection("open"))
    assert shown_then == "." * 15 + "A" * 20 + "." * 85


@pytest.mark.parametrize("status", [None, "pending", "queued", "submitted"])
def test_nothing_moves_before_anything_happens(status: str | None) -> None:
    """Nor while the connection is lost."""
    stages = () if status is None else (Stage(status),)
    assert shown(now=0.3, stages=stages, connection=Connection("open")) == ".........."
    assert shown(now=0.3, stages=TESTING, connection=Connection("reconnecting")) == ".........."


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (7, 10, " 7/10"),
        (10, 10, "10/10"),
        (3, None, "3"),
        (0, None, ""),
        (4970, 5000, "4,970/5,000"),
        (5, 5000, "    5/5,000"),
    ],
)
def test_progress_in_numbers(done: int, total: int | None, text: str) -> None:
    """As wide as it will be in the end, so that nothing jumps."""
    assert progress_text(Submission(id=1, total_tests=total, counts=Counts(done))) == text
