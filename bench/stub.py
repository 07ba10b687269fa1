"""A server that sends as fast as the socket accepts, or at a given rate, so that it is never the bottleneck.

Run as a program it prints ``{"port": N}`` and serves until it is killed. The REST half is as much as subcli asks for.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import gc
import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Final

from bench import frames

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Stub:
    """What it sends.

    Attributes:
        events: of each submission, status and verdict included.
        tests: names of tests that they are about.
        rate: events a second, each stamped; 0: as fast as it goes.
        hold: after the last result say nothing more, instead of the verdict.
        unnumbered: the events have no ``seq``; only as fast as it goes.
    """

    events: int
    tests: int
    rate: float
    hold: bool
    unnumbered: bool
    _pieces: list[bytes] = field(default_factory=list)

    def prepare(self) -> None:
        """Encode the frames in advance, unless there are too many."""
        if not self.rate and self.events <= 300_000:
            self._pieces = list(frames.stream(1, self.events, self.tests, numbered=not self.unnumbered))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._request(reader, writer):
                pass
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        method, target, _ = first.split(b" ", 2)
        if b"sec-websocket-key" in headers:
            await self._socket(headers[b"sec-websocket-key"], reader, writer)
            return False
        await reader.readexactly(int(headers.get(b"content-length", b"0")))
        status, body = self._answer(method, target.partition(b"?")[0])
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        writer.write(head + data)
        await writer.drain()
        return True

    def _answer(self, method: bytes, path: bytes) -> tuple[int, object]:
        if path == b"/api/info":
            return 200, {"name": "stub", "version": "1", "demo": True, "features": ["resume", "idempotency"]}
        if path == b"/api/submissions" and method == b"POST":
            return 201, {"submission_id": 1, "id": 1, "status": "pending", "url": "http://127.0.0.1/submissions/1"}
        if path == b"/api/submissions/1":
            return 200, {"submission_id": 1, "status": "testing", "problem": "leader-election", "language": "python"}
        if path.endswith((b"/events", b"/tests")):
            return 200, []
        return 404, {"detail": "Not found."}

    async def _socket(self, key: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        if self.rate:
            await self._paced(writer)
        elif self._pieces and not self.hold:
            for piece in self._pieces:
                writer.write(piece)
                await writer.drain()
        else:
            await self._held(writer)
        await writer.drain()
        # The client's close, or its end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self.hold else 10):
                while await reader.read(65536):
                    pass

    async def _held(self, writer: asyncio.StreamWriter) -> None:
        piece = [frames.frame(frames.status(1, 1, "testing", self.tests))]
        for seq in range(2, self.events + 1):
            piece.append(frames.frame(frames.result(1, seq, seq % self.tests)))
            if len(piece) >= frames.CHUNK_FRAMES or seq == self.events:
                writer.write(b"".join(piece))
                await writer.drain()
                piece = []

    async def _paced(self, writer: asyncio.StreamWriter) -> None:
        began = time.monotonic()
        for seq in range(1, self.events):
            due = began + seq / self.rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            writer.write(frames.frame(frames.result(1, seq, seq % self.tests, time.monotonic_ns())))
            await writer.drain()
        writer.write(frames.frame(frames.complete(1, self.events, self.tests)))


async def main() -> None:
    """Serve until killed."""
    words = argparse.ArgumentParser()
    words.add_argument("--events", type=int, default=10)
    words.add_argument("--tests", type=int, default=1000)
    words.add_argument("--rate", type=float, default=0)
    words.add_argument("--hold", action="store_true")
    words.add_argument("--unnumbered", action="store_true")
    stub = Stub(**vars(words.parse_args()))
    stub.prepare()
    # Its own pauses would be measured as the client's.
    gc.disable()
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
