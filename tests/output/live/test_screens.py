"""Approved screens and summaries, read from a real pty."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from subcli.output.live.view import LiveView
from tests.output.conftest import with_colours
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import Clock, Stage
from tests.output.playhouse.terminal import terminal

EVERY_SIZE = ((60, 15), (80, 24), (80, 60), (200, 60))
USUAL = ((80, 24),)
SCREENS = {
    "one": EVERY_SIZE,
    "half": EVERY_SIZE,
    "full": EVERY_SIZE,
    "thousands": EVERY_SIZE,
    "six": EVERY_SIZE,
    "feed": ((80, 24), (200, 60)),
    "start": USUAL,
    "queued": ((60, 15),),
    "unknown-total": USUAL,
    "percent": USUAL,
    "reconnecting": EVERY_SIZE,
    "polling": USUAL,
    "again": USUAL,
    "points": EVERY_SIZE,
    "running": EVERY_SIZE,
}
NARROW = ((20, 15), (40, 15), (80, 24), (200, 60))
SUMMARIES = {
    "same-cause-end": NARROW,
    "long-names-end": NARROW,
    "passed-end": ((60, 15), (80, 24), (200, 60)),
    "failed-end": ((60, 15), (80, 24), (200, 60)),
    "build-failed-end": USUAL,
    "thousands-end": USUAL,
    "six-end": ((60, 15), (80, 24)),
    "feed-end": USUAL,
    "lost-end": USUAL,
    "left-end": USUAL,
    "points-end": ((60, 15), (80, 24), (200, 60)),
    "contest-end": USUAL,
}


def sized(table: dict[str, tuple[tuple[int, int], ...]]) -> list[tuple[str, int, int]]:
    return [(scene, columns, lines) for scene, sizes in table.items() for columns, lines in sizes]


@pytest.mark.parametrize(("scene", "columns", "lines"), sized(SCREENS))
def test_approved_screen(approved: Callable[[str, str], None], scene: str, columns: int, lines: int) -> None:
    """The live view while a submission is judged, at several sizes."""
    clock = Clock()
    with terminal(columns, lines) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        SCENES[scene](Stage(view, clock))
        clock.now += 0.1
        view.tick()
        approved(f"{scene}-{columns}x{lines}", tty.visible())
        assert tty.screen.is_alternate
        assert not tty.scrollback()
        view.close()


@pytest.mark.parametrize(("scene", "columns", "lines"), sized(SUMMARIES))
def test_approved_summary(approved: Callable[[str, str], None], scene: str, columns: int, lines: int) -> None:
    """What stays in the terminal after the watch: the summary and nothing else."""
    clock = Clock()
    with terminal(columns, lines) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        SCENES[scene](Stage(view, clock))
        view.close()
        approved(f"{scene}-{columns}x{lines}", tty.text())


@pytest.mark.parametrize(
    ("scene", "columns", "lines"),
    [
        ("half", 200, 60),
        ("half", 80, 24),
        ("half", 60, 15),
        ("full", 80, 60),
        ("thousands", 80, 24),
        ("six", 80, 24),
        ("six", 200, 60),
        ("six", 60, 15),
        ("points", 80, 60),
        ("points", 200, 60),
        ("points", 60, 15),
        ("reconnecting", 80, 24),
        ("polling", 80, 24),
        ("percent", 80, 24),
        ("again", 80, 24),
        ("queued", 60, 15),
        ("start", 80, 24),
        ("unknown-total", 80, 24),
    ],
)
def test_approved_colours_of_a_screen(
    approved: Callable[[str, str], None], scene: str, columns: int, lines: int
) -> None:
    """The verdict so far can be seen from afar: failures red, what passed green, what is under way cyan."""
    clock = Clock()
    with terminal(columns, lines) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        SCENES[scene](Stage(view, clock))
        tty.settle()
        before = len(tty.raw)
        clock.now += 0.1
        view.tick()
        tty.settle()
        approved(f"colours-{scene}-{columns}x{lines}", with_colours(tty.raw[before:].decode()))
        view.close()


@pytest.mark.parametrize(
    "scene",
    [
        "passed-end",
        "failed-end",
        "build-failed-end",
        "points-end",
        "contest-end",
        "thousands-end",
        "six-end",
        "lost-end",
        "left-end",
    ],
)
def test_approved_colours_of_a_summary(approved: Callable[[str, str], None], scene: str) -> None:
    """The verdict is a badge, and the reason of each failure is red."""
    clock = Clock()
    with terminal(80, 24) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        SCENES[scene](Stage(view, clock))
        tty.settle()
        before = len(tty.raw)
        view.close()
        tty.settle()
        approved(f"colours-{scene}", with_colours(tty.raw[before:].decode()))


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("theme", ["high-contrast", "colour-blind"])
def test_approved_themes(approved: Callable[[str, str], None], theme: str, columns: int) -> None:
    """The screen and the report in true colours; what is not coloured is as in the default theme."""
    clock = Clock()
    with terminal(columns, 24, env={"SUBCLI_THEME": theme, "COLORTERM": "truecolor"}) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        SCENES["failed-end"](Stage(view, clock))
        view.close()
        tty.settle()
        approved(f"theme-{theme}-{columns}", with_colours(tty.raw.decode()))
