"""A thousand watchers in one process. They perform the handshake and count frames without decoding them.

Run as a program, it connects all watchers, creates the file that makes the server start, counts until every event has
arrived, and prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import pathlib
import re
import time
from dataclasses import dataclass, field
from typing import Final

from bench.measure import percentile

_MARK: Final = b'"test_result"'
_SENT: Final = re.compile(rb'"sent_ns": ?(\d+)')
AT_ONCE: Final = 100
CONNECT_S: Final = 90.0


@dataclass
class Count:
    """What all watchers together have seen.

    Attributes:
        timed: whether each event's delay is noted.
    """

    expected: int
    timed: bool
    frames: int = 0
    first: float = 0.0
    last: float = 0.0
    delays: list[float] = field(default_factory=list)
    all_came: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, data: bytes) -> None:
        """Count the events in a chunk of bytes."""
        frames = data.count(_MARK)
        if not frames:
            return
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.frames += frames
        if self.timed:
            now = time.monotonic_ns()
            self.delays += [(now - int(sent)) / 1e6 for sent in _SENT.findall(data)]
        if self.frames >= self.expected:
            self.all_came.set()


class Watcher(asyncio.Protocol):
    """One connection."""

    def __init__(self, count: Count, path: str) -> None:
        self._count = count
        self._path = path
        self._rest = b""
        self.open = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if not self.open.done():
            self._rest += data
            if b"\r\n\r\n" not in self._rest:
                return
            if self._rest.startswith(b"HTTP/1.1 101"):
                self.open.set_result(None)
            else:
                self.open.set_exception(ConnectionError(self._rest[:80].decode(errors="replace")))
            data, self._rest = self._rest.partition(b"\r\n\r\n")[2], b""
        # An event that is cut in two is counted once it is whole: none is shorter than what is kept back.
        data = self._rest + data
        keep = 0 if data.endswith(b"}") else min(len(data), 4096)
        cut = data.rfind(b"}") + 1 if keep else len(data)
        self._count.saw(data[:cut])
        self._rest = data[cut:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.open.done():
            self.open.set_exception(ConnectionError("closed during the handshake"))

    def stop(self) -> None:
        """Drop the connection."""
        self._transport.abort()


async def connected(port: int, submissions: range, watchers: int, count: Count) -> list[Watcher]:
    """Connect all watchers, spread evenly over the submissions."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Watcher:
        path = f"/ws/submissions/{submissions[number % len(submissions)]}"
        async with gate:
            _, watcher = await loop.create_connection(lambda: Watcher(count, path), "127.0.0.1", port)
            await watcher.open
            return watcher

    async with asyncio.timeout(CONNECT_S):
        return await asyncio.gather(*map(one, range(watchers)))


async def main() -> None:
    """Connect, count and print."""
    words = argparse.ArgumentParser()
    words.add_argument("--port", type=int, required=True)
    words.add_argument("--submissions", type=int, default=100)
    words.add_argument("--first", type=int, default=1, help="the id of the first submission")
    words.add_argument("--watchers", type=int, default=1000)
    words.add_argument("--events", type=int, default=100)
    words.add_argument("--go", type=pathlib.Path)
    words.add_argument("--limit", type=float, default=30)
    words.add_argument("--timed", action="store_true")
    words.add_argument("--hold", type=float, default=0, help="stay connected for so many seconds, and expect nothing")
    given = words.parse_args()
    count = Count(given.events * given.watchers, given.timed)
    gc.disable()
    submissions = range(given.first, given.first + given.submissions)
    watchers = await connected(given.port, submissions, given.watchers, count)
    if given.hold:
        print(json.dumps({"connected": len(watchers)}), flush=True)
        await asyncio.sleep(given.hold)
    else:
        began, used = time.monotonic(), time.process_time()
        given.go.touch()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(count.all_came.wait(), given.limit)
        told = {"frames": count.frames, "expected": count.expected, "seconds": count.last - began}
        # By the clock that all processes of a machine share; and what the watchers themselves used.
        told |= {"first": count.first, "last": count.last, "cpu_s": time.process_time() - used}
        if count.delays:
            told["p50"], told["p99"] = percentile(count.delays, 50), percentile(count.delays, 99)
        print(json.dumps(told), flush=True)
    for watcher in watchers:
        watcher.stop()


if __name__ == "__main__":
    asyncio.run(main())
