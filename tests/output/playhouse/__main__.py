"""Draws one scene on the terminal that it runs in: ``python -m playhouse SCENE [HOLD_SECONDS]``, here above.

Scenes whose name ends in ``-end`` are played to their end; the others are left standing on the screen.
"""

from __future__ import annotations

import os
import sys
import time

from subcli.output.live.screen import FullScreen
from subcli.output.live.view import LiveView
from subcli.output.plain import PlainView
from subcli.output.terminal.console import make_console
from subcli.output.view import View

from .scenes import SCENES
from .script import Clock, Stage

FULL_SCREEN = "-full-screen"


def main() -> None:
    name = sys.argv[1]
    hold = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    clock = Clock()
    stdout, stderr = (make_console(stream, os.environ) for stream in (sys.stdout, sys.stderr))
    view: View = LiveView(stdout, stderr, clock)
    if name.endswith(FULL_SCREEN):
        name = name.removesuffix(FULL_SCREEN)
        view = LiveView(stdout, stderr, clock, region=FullScreen)
    elif os.environ.get("SHOW") == "plain":
        view = PlainView(stdout, stderr, clock)
    stage = Stage(view, clock)
    try:
        SCENES[name](stage)
        if not name.endswith("-end"):
            stage.pass_time(0.1)
            until = time.monotonic() + hold
            while time.monotonic() < until:
                time.sleep(0.1)
                stage.pass_time(0.1)
    finally:
        if name.endswith("-end") or hold:
            view.close()


if __name__ == "__main__":
    main()
