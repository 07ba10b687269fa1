"""Many watchers in one process, with a minimal RFC 6455 client: a few microseconds per message."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import socket
from collections.abc import Callable
from typing import Final

_TEXT: Final = 1
_CLOSE: Final = 8
_PING: Final = 9
_MASK: Final = b"\0\0\0\0"


class Watcher(asyncio.Protocol):
    """One socket on one submission.

    Args:
        path: and query.
        on_text: called with each message.
        on_closed: called once, with the close code, or 1006.
    """

    def __init__(self, path: str, on_text: Callable[[bytes], None], on_closed: Callable[[int], None]) -> None:
        self._path = path
        self._on_text = on_text
        self._on_closed = on_closed
        self._buffer = bytearray()
        self._is_open = False
        self._code = 1006
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        host, port = transport.get_extra_info("peername")[:2]
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._transport.abort()
                return
            self._buffer, self._is_open = rest, True
            if not self.opened.done():
                self.opened.set_result(None)
        while self._take_frame():
            pass

    def _take_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        length, start = buffer[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(buffer[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start or len(buffer) < start + length:
            return False
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[start : start + length])
        del buffer[: start + length]
        if opcode == _TEXT:
            self._on_text(payload)
        elif opcode == _PING:
            self._transport.write(bytes((0x8A, 0x80 | len(payload))) + _MASK + payload)
        elif opcode == _CLOSE:
            self._code = int.from_bytes(payload[:2], "big") if payload else 1005
            self._transport.write(bytes((0x88, 0x82)) + _MASK + payload[:2])
            self._transport.close()
        return True

    def freeze(self) -> None:
        """Stop reading."""
        self._transport.pause_reading()

    def thaw(self) -> None:
        self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionResetError("no handshake"))
        self._on_closed(self._code)


async def watch(
    port: int,
    path: str,
    on_text: Callable[[bytes], None],
    on_closed: Callable[[int], None],
    receive_buffer: int | None = None,
) -> Watcher:
    """An open socket.

    Raises:
        OSError: there is none.
    """
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        await loop.sock_connect(sock, ("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    _, watcher = await loop.create_connection(lambda: Watcher(path, on_text, on_closed), sock=sock)
    try:
        async with asyncio.timeout(60):
            await watcher.opened
    except BaseException:
        watcher._transport.abort()
        raise
    return watcher


async def until(condition: Callable[[], bool]) -> None:
    """Wait without a timeout until a condition holds."""
    loop = asyncio.get_running_loop()
    while not condition():
        ripe = loop.create_future()
        loop.call_later(0.05, ripe.set_result, None)
        await ripe


def need_files(count: int) -> None:
    """Raise the limit of open files for this process and its children. Raises SystemExit if it is too low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise SystemExit(f"{count} open files are needed and {hard} allowed; raise it with `ulimit -n`.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def in_memory() -> str | None:
    """Return a directory in memory if there is one, so that a shared disk does not affect the result."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def quantile(values: list[float], part: float) -> float:
    """The value at quantile `part`."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
