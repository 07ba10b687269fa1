"""One WebSocket as the gateway uses it, and what uvicorn lacks for that.

ASGI has no words for three things that a gateway of live events needs: to send a message that is already a
frame (so that a thousand watchers do not mean encoding it a thousand times), to send several in one write,
and to close on a peer that does not read (an ASGI `send` waits until there is room, the close included).
`GatewayProtocol` offers them beside ASGI; without it `ServerSocket` makes do with ASGI alone.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.http11 import Request
from websockets.protocol import State

from subcli.server.log.records import Record
from subcli.shared.protocol import CloseCode

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_EXTENSION: Final = "subcli.gateway"
_CLOSED_WITH: Final = "subcli.close_code"
_LINGER: Final = 5.0
"""Seconds that a peer who does not read has to see why it is closed."""
FLUSH_TIMEOUT_S: Final = 1.0
"""The same for one that broke the protocol, and may be sending still."""
_FAREWELL: Final = 0.75
"""The same when the server goes down, as a part of `ServerLimits.shutdown`."""
_WRITE_CHUNK: Final = 64 * 1024
_UNSENT: Final = 128 * 1024
"""Bytes that the kernel holds for a peer beyond those under way, before a send has to wait."""
HEAD_BYTES: Final = 1280 * 1024
"""How long a request's head may be. Wide, so that an absurd token is refused as a token: with 401 or 4003."""

# uvicorn has parsed the head; websockets parses it again, with a limit of its own (WEBSOCKETS_MAX_LINE_LENGTH).
http11.MAX_LINE_LENGTH = HEAD_BYTES


class DisconnectedError(Exception):
    """The peer is gone."""


class GatewayProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, offered to the application in `scope["extensions"]`."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        # There is no scope where the handshake was refused. The application has not started yet.
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[_EXTENSION] = self
            self._bound_unsent()

    def _bound_unsent(self) -> None:
        # Or the kernel takes up to 4 MB for a reader that does not read, and it looks like one that does.
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)

    def handle_ping(self) -> None:
        """Answer, where there is room: a peer that pings and does not read would have its answers kept without end."""
        answer = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(answer))

    def shutdown(self) -> None:
        """Close with 1012 and wait a little for the answer. (uvicorn hangs up at once: what the peer has just sent
        then makes the kernel reset the connection, and the close code is lost.)"""
        self.stop_keepalive()
        if self.close_sent:
            return
        if not self.handshake_complete:
            super().shutdown()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.SERVICE_RESTART})
        linger = _FAREWELL * (self.config.timeout_graceful_shutdown or 0)
        self._hang_up(CloseCode.SERVICE_RESTART, "restarting", linger)

    async def send(self, message: Any) -> None:
        """As ASGI has it. Raises ClientDisconnected, behind a close as well."""
        await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # uvicorn took the head and websockets does not, as one with hundreds of lines; nobody would answer.
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.close_sent = True
            self.transport.close()

    async def write_frames(self, frames: bytes) -> None:
        """Write whole frames, when there is room.

        Raises:
            DisconnectedError: the connection is closed or closing.
        """
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise DisconnectedError
        self.transport.write(frames)

    def close_now(self, code: int, reason: str) -> None:
        """Say goodbye behind what is buffered, without waiting for room, and hang up a little later."""
        self._hang_up(code, reason, _LINGER)

    def handle_parser_exception(self) -> None:
        """Say what broke the protocol, a message too long say, and take what is still being sent for a moment: hung up
        upon in the middle of it, the peer would see a reset instead of the code."""
        if self.close_sent or self.conn.close_sent is None:
            return
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._linger(FLUSH_TIMEOUT_S)

    def _hang_up(self, code: int, reason: str, linger: float) -> None:
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._linger(linger)

    def _linger(self, seconds: float) -> None:
        self.close_sent = True
        if self.read_paused:
            # Or the peer's answer would never be read.
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(seconds, self.transport.abort)


class ServerSocket:
    """One accepted or not yet accepted WebSocket."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        extension = (scope.get("extensions") or {}).get(_EXTENSION)
        self._protocol = extension if isinstance(extension, GatewayProtocol) else None

    async def accept(self) -> None:
        """Complete the handshake. Raises DisconnectedError."""
        await self._receive()
        await self._asgi({"type": "websocket.accept"})

    async def receive(self) -> str | bytes:
        """The next message. Raises DisconnectedError."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._scope.setdefault(_CLOSED_WITH, message.get("code"))
            raise DisconnectedError
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def send_text(self, text: str) -> None:
        """Send one message, when there is room. Raises DisconnectedError."""
        await self._asgi({"type": "websocket.send", "text": text})

    async def send_records(self, records: Sequence[Record]) -> None:
        """Send events, when there is room. Raises DisconnectedError."""
        if self._protocol is None:
            for record in records:
                await self.send_text(record.text)
            return
        chunk: list[bytes] = []
        size = 0
        for record in records:
            # What a slow reader's connection holds at most is the transport's limit and one chunk.
            if chunk and size + len(record.frame) > _WRITE_CHUNK:
                await self._protocol.write_frames(b"".join(chunk))
                chunk, size = [], 0
            chunk.append(record.frame)
            size += len(record.frame)
        await self._protocol.write_frames(chunk[0] if len(chunk) == 1 else b"".join(chunk))

    async def close(self, code: int, reason: str = "") -> None:
        """Close, when there is room. Raises DisconnectedError."""
        self._scope.setdefault(_CLOSED_WITH, code)
        await self._asgi({"type": "websocket.close", "code": code, "reason": reason})

    def close_now(self, code: int, reason: str) -> None:
        """Close on a peer that does not read."""
        self._scope.setdefault(_CLOSED_WITH, code)
        if self._protocol is not None:
            self._protocol.close_now(code, reason)

    async def _asgi(self, message: MutableMapping[str, Any]) -> None:
        try:
            await self._send(message)
        except ClientDisconnected:
            raise DisconnectedError from None


def close_code(scope: Scope) -> int | None:
    """The code that the socket was closed with, by whichever side was first; None as long as it is open."""
    code: int | None = scope.get(_CLOSED_WITH)
    return None if code is None else int(code)


def header(scope: Scope, name: bytes) -> str:
    """A header's value, the first if there are several; empty if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""
