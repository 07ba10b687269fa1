"""Servers that send the same events to the same watchers: ours, and typical alternatives.

Each prints ``{"port": N}`` when it is ready, accepts watchers at ``/ws/submissions/ID`` and starts sending once the
file ``--go`` exists: ``--events`` results of each submission, at ``--rate`` per second each, or at full speed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bench import frames


@dataclass(frozen=True)
class Work:
    """What a server has to send.

    Attributes:
        rate: events a second of each submission; 0: as fast as it goes.
    """

    submissions: int
    events: int
    rate: float
    go: str
    data: str

    async def begin(self) -> float:
        """Wait for the signal to start; return its monotonic time in seconds."""
        # A file, since not every contender can be told in another way.
        while not os.path.exists(self.go):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.02)
        return time.monotonic()

    async def ticks(self) -> AsyncIterator[int]:
        """1, 2, 3 … for each event, when it is due; lets others run in between.

        At a rate each caller begins at a moment of its own: submissions do not keep step with each other.
        """
        began = await self.begin() + (random.random() / self.rate if self.rate else 0)
        for number in range(1, self.events + 1):
            wait = began + number / self.rate - time.monotonic() if self.rate else 0
            await asyncio.sleep(max(0.0, wait))
            yield number


def work() -> Work:
    """Parse the command line."""
    words = argparse.ArgumentParser()
    words.add_argument("--submissions", type=int, default=100)
    words.add_argument("--events", type=int, default=100)
    words.add_argument("--rate", type=float, default=0)
    words.add_argument("--go", default="")
    words.add_argument("--data", default="")
    return Work(**vars(words.parse_args()))


def text(submission_id: int, number: int) -> str:
    """One event with a timestamp."""
    return frames.result(submission_id, number, number, time.monotonic_ns()).decode()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listener() -> socket.socket:
    """A socket listening on a free port."""
    return socket.create_server(("127.0.0.1", 0), backlog=2048)


def say_ready(port: int) -> None:
    """Tell the parent process that the server is ready."""
    print(json.dumps({"port": port}), flush=True)
