"""Plays one scene on the terminal it runs in: ``python -m tests.output.playhouse SCENE [HOLD_SECONDS]``.

Scenes whose names end in ``-end`` are played to their end; the others stay on the screen. ``SHOW=plain`` selects the
plain view.
"""

from __future__ import annotations

import os
import sys
import time

from subcli.output.live.view import LiveView
from subcli.output.plain import PlainView
from subcli.output.terminal.console import make_console
from subcli.output.view import View
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import Clock, Stage


def main() -> None:
    name = sys.argv[1]
    hold_s = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    clock = Clock()
    stdout, stderr = (make_console(stream, os.environ) for stream in (sys.stdout, sys.stderr))
    show = PlainView if os.environ.get("SHOW") == "plain" else LiveView
    view: View = show(stdout, stderr, clock)
    stage = Stage(view, clock)
    try:
        SCENES[name](stage)
        if not name.endswith("-end"):
            stage.pass_time(0.1)
            until = time.monotonic() + hold_s
            while time.monotonic() < until:
                time.sleep(0.1)
                stage.pass_time(0.1)
    finally:
        if name.endswith("-end") or hold_s:
            view.close()


if __name__ == "__main__":
    main()
