"""Draws one scene on the terminal that it runs in: ``python show.py SCENE [HOLD_SECONDS]``.

Scenes whose name ends in ``-end`` are played to their end; the others are left standing on the screen.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenes import SCENES
from script import Clock, Stage

from subcli.output.console import make_console
from subcli.output.live import LiveView
from subcli.output.plain import PlainView


def main() -> None:
    name = sys.argv[1]
    hold = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    view_class = PlainView if os.environ.get("SHOW") == "plain" else LiveView
    clock = Clock()
    view = view_class(make_console(sys.stdout, os.environ), make_console(sys.stderr, os.environ), clock)
    stage = Stage(view, clock)
    try:
        SCENES[name](stage)
        if not name.endswith("-end"):
            stage.pass_time(0.1)
            print("\x1b]0;ready\x07", end="", file=sys.stderr, flush=True)
            until = time.monotonic() + hold
            while time.monotonic() < until:
                time.sleep(0.1)
                stage.pass_time(0.1)
    finally:
        if name.endswith("-end") or hold:
            view.close()


if __name__ == "__main__":
    main()
