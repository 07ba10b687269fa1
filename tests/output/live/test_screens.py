"""The screens as they were approved, read from a real pty."""

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
}
SUMMARIES = {
    "passed-end": ((60, 15), (80, 24), (200, 60)),
    "failed-end": ((60, 15), (80, 24), (200, 60)),
    "build-failed-end": USUAL,
    "thousands-end": USUAL,
    "six-end": ((60, 15), (80, 24)),
    "lost-end": USUAL,
    "left-end": USUAL,
}


def sized(table: dict[str, tuple[tuple[int, int], ...]]) -> list[tuple[str, int, int]]:
    return [(scene, columns, lines) for scene, sizes in table.items() for columns, lines in sizes]


@pytest.mark.parametrize(("scene", "columns", "lines"), sized(SCREENS))
def test_a_screen_is_as_it_was_approved(
    approved: Callable[[str, str], None], scene: str, columns: int, lines: int
) -> None:
    """The live screen in the middle of things, at its sizes."""
    clock = Clock()
    with terminal(columns, lines) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        SCENES[scene](Stage(view, clock))
        clock.now += 0.1
        view.tick()
        approved(f"{scene}-{columns}x{lines}", tty.text())
        assert not tty.scrollback()
        view.close()


@pytest.mark.parametrize(("scene", "columns", "lines"), sized(SUMMARIES))
def test_a_summary_is_as_it_was_approved(
    approved: Callable[[str, str], None], scene: str, columns: int, lines: int
) -> None:
    """What stays in the terminal when the watch has ended: the summary alone."""
    clock = Clock()
    with terminal(columns, lines) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        SCENES[scene](Stage(view, clock))
        view.close()
        approved(f"{scene}-{columns}x{lines}", tty.text())
