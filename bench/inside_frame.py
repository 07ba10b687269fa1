"""Run by the interpreter of the measured environment: the cost of one frame of the live view. Prints JSON."""

from __future__ import annotations

import io
import json
import sys
import time

from rich.console import Console

from bench import frames
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.output.live.view import LiveView

FRAMES = 40
ROOM = 120


def filled(results: int) -> tuple[Watch, LiveView]:
    """A submission with this many results, and its screen."""
    watch = Watch(1)
    watch.receive(frames.status(1, 1, "testing", results).decode())
    for seq in range(2, results + 2):
        watch.receive(frames.result(1, seq, seq).decode())
    clock = iter(float(at) for at in range(10**9))
    stdout, stderr = (
        Console(file=io.StringIO(), force_terminal=True, width=ROOM, height=40, _environ={}) for _ in range(2)
    )
    view = LiveView(stdout, stderr, lambda: next(clock))
    view.begin(watch)
    view.event(1, Connection("open"))
    return watch, view


def main() -> None:
    """Measure milliseconds per frame for each number of results, in turns."""
    screens = {size: filled(size) for size in (100, 10_000, 100_000)}
    took: dict[int, list[float]] = {size: [] for size in screens}
    for number in range(FRAMES + 3):
        for size, (watch, view) in screens.items():
            # Something new each time, so that there is something to draw.
            watch.receive(frames.result(1, watch.last_seq + 1, watch.last_seq).decode())
            began = time.process_time()
            view.tick()
            if number >= 3:
                took[size].append((time.process_time() - began) * 1000)
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    main()
