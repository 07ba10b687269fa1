"""Approved screens and summaries, read from a real pty."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from subcli.output.live.view import LiveView
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
    "start": USUAL,
    "queued": ((60, 15),),
    "unknown-total": USUAL,
    "percent": USUAL,
    "reconnecting": EVERY_SIZE,
    "polling": USUAL,
    "again": USUAL,
    "points": EVERY_SIZE,
}
SUMMARIES = {
    "passed-end": ((60, 15), (80, 24), (200, 60)),
    "failed-end": ((60, 15), (80, 24), (200, 60)),
    "build-failed-end": USUAL,
    "thousands-end": USUAL,
    "six-end": ((60, 15), (80, 24)),
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
