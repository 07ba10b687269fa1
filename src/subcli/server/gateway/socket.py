"""A server-side WebSocket, and what uvicorn lacks for it.

ASGI cannot express three things that a gateway of live events needs: sending a message that is already encoded
as a frame (so that a thousand watchers do not cost a thousand encodings), sending several in one write, and
closing on a peer that does not read (an ASGI `send`, even of a close, waits until there is room).
`GatewayProtocol` offers them as an ASGI extension; without it, `ServerSocket` falls back to plain ASGI.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context
from typing import Any, Final, TypeAlias, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.http11 import Request
from websockets.protocol import State

from subcli.server.edge.crowd import Crowd
from subcli.server.edge.turns import Turns
from subcli.server.gateway.inbox import Inbox, Room
from subcli.server.log.records import Record
from subcli.shared.protocol import CloseCode

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_EXTENSION: Final = "subcli.gateway"
_CLOSED_WITH: Final = "subcli.close_code"
_SLOW_READER_LINGER_S: Final = 5.0
"""How long the connection stays open after the close frame, so that a peer that does not read may still see it."""
FLUSH_TIMEOUT_S: Final = 1.0
"""The same after a protocol error; the peer may still be sending."""
_SHUTDOWN_LINGER_SHARE: Final = 0.75
"""The same on shutdown, as a share of `ServerLimits.shutdown_s`."""
_PING_FRAME: Final = b"\x89\x00"
_MAX_WRITE_BYTES: Final = 64 * 1024
_MAX_UNSENT_BYTES: Final = 128 * 1024
"""How much unsent data the kernel buffers per peer before a send has to wait."""
MAX_HEAD_BYTES: Final = 1280 * 1024
"""Maximum size of a request's head. Large, so that an absurdly long token is refused as a token: 401 or 4003."""

# websockets parses the head again after uvicorn, with its own limit (WEBSOCKETS_MAX_LINE_LENGTH).
http11.MAX_LINE_LENGTH = MAX_HEAD_BYTES


class DisconnectedError(Exception):
    """The peer is gone."""


class GatewayProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, offered to the application in `scope["extensions"]`."""

    _crowd: Crowd | None = None
    _turns: Turns | None = None
    _counts_as: Hashable = None
    _is_detached = False
    _when_ended: Callable[[int | None], object] | None = None

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.queue: Inbox = Inbox()  # type: ignore[assignment]
        self.writable: Room = Room()  # type: ignore[assignment]

    def join(self, crowd: Crowd, turns: Turns, counts_as: Hashable) -> None:
        """Stay in the crowd that the connection is in; before it is served, it can be closed to make room.

        What arrives from now on is parsed in turn, those of this client: thousands of frames fit into one read.
        """
        self._crowd, self._turns, self._counts_as = crowd, turns, counts_as
        self._arrived = bytearray()
        crowd.is_waited_for(self.transport)

    @contextmanager
    def served(self) -> Iterator[None]:
        """While the context is open, the connection is not closed to make room for others."""
        if self._crowd is None:
            yield
            return
        self._crowd.is_served(self.transport)
        try:
            yield
        finally:
            self._crowd.is_waited_for(self.transport)

    async def run_asgi(self) -> None:
        """Call the application. Unless it has detached the connection, that ends with it."""
        try:
            await self.app(self.scope, self.receive, self.send)
        except Exception:
            self.logger.exception("Exception in ASGI application\n")
        if self._is_detached:
            # What only the handshake needed is a third of an idle connection.
            del self.scope, self.request, self.response
        else:
            self.end()

    def detach(self) -> None:
        """Go on after the application has returned, until `end`."""
        self._is_detached = True

    def when_ended(self, call: Callable[[int | None], object]) -> bool:
        """Call this with the close code at the end of the connection, if it goes on alone. Returns whether it does."""
        if self._is_detached:
            self._when_ended = call
        return self._is_detached

    def begin(self, work: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        """Run a coroutine, which a shutdown waits for."""
        task = self.loop.create_task(work, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def end(self, code: int | None = None) -> None:
        """The application has done all that it does on this connection, which was closed with this code."""
        self.queue.when_filled = None
        self.send_500_response()
        if self.close_timer is None:
            self.transport.close()
        if self._when_ended is not None:
            self._when_ended(code)
            self._when_ended = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._crowd is not None:
            self._crowd.leave(self.transport)
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        # A refused handshake has no scope. Otherwise the application has not started yet.
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[_EXTENSION] = self
            self._bound_unsent()

    def _bound_unsent(self) -> None:
        # Otherwise the kernel buffers up to 4 MB for a peer that does not read, which hides that it does not.
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MAX_UNSENT_BYTES)

    def handle_ping(self) -> None:
        """Answer if there is room. Otherwise the pongs for a peer that does not read would pile up in memory."""
        answer = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(answer))

    def shutdown(self) -> None:
        """Close with 1012, then wait a moment for the peer's close frame.

        uvicorn disconnects at once. If the peer has just sent something, the kernel then resets the connection
        and the close code is lost.
        """
        self.stop_keepalive()
        if self.close_sent:
            return
        if not self.handshake_complete:
            super().shutdown()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.SERVICE_RESTART})
        linger_s = _SHUTDOWN_LINGER_SHARE * (self.config.timeout_graceful_shutdown or 0)
        self._close_and_disconnect(CloseCode.SERVICE_RESTART, "restarting", linger_s)

    async def send(self, message: Any) -> None:
        """Send an ASGI message.

        Raises:
            ClientDisconnected: the connection is closed, by either side.
        """
        await self.writable.wait()
        if self.close_sent or self._is_refused():
            raise ClientDisconnected
        await super().send(message)

    def send_500_response(self) -> None:
        """Refuse the handshake, unless it was answered: a shutdown and the application may both want to."""
        if not self._is_refused():
            super().send_500_response()

    def _is_refused(self) -> bool:
        """Whether the handshake was answered by something else than an upgrade. Nothing may follow that."""
        return not self.handshake_complete and self.conn.eof_sent

    def data_received(self, data: bytes) -> None:
        if self._crowd is None or self._turns is None:
            self._parse(data)
            return
        if not self._arrived:
            self.transport.pause_reading()
            self._turns.ask(self._counts_as, self._parse_arrived)
        self._arrived += data

    def _parse_arrived(self) -> None:
        data = bytes(self._arrived)
        self._arrived.clear()
        if not self.transport.is_closing():
            self._parse(data)
            if not self.read_paused:
                self.transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # uvicorn accepted the head but websockets does not, for example because of hundreds of header lines.
            # Neither would respond.
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.close_sent = True
            self.transport.close()

    async def write_frames(self, frames: bytes) -> None:
        """Write whole frames once there is room.

        Raises:
            DisconnectedError: the connection is closed or closing.
        """
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise DisconnectedError
        self.transport.write(frames)

    def write_now(self, frames: bytes) -> bool:
        """Write whole frames if there is room, or nothing. Returns whether it did."""
        if not self.writable.is_set() or self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            return False
        self.transport.write(frames)
        return True

    def close_now(self, code: int, reason: str) -> None:
        """Queue a close frame without waiting for room, and disconnect a little later."""
        self._close_and_disconnect(code, reason, _SLOW_READER_LINGER_S)

    def handle_parser_exception(self) -> None:
        """Close after a protocol error, such as a message that is too long.

        The connection stays open for a moment. Disconnecting while the peer is still sending would reset the
        connection, and the peer would not see the close code.
        """
        if self.close_sent or self.conn.close_sent is None:
            return
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._disconnect_later(FLUSH_TIMEOUT_S)

    def _close_and_disconnect(self, code: int, reason: str, linger_s: float) -> None:
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._disconnect_later(linger_s)

    def _disconnect_later(self, seconds: float) -> None:
        self.close_sent = True
        if self.read_paused:
            # Otherwise the peer's close frame would never be read.
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(seconds, self.transport.abort)


class ServerSocket:
    """A WebSocket, before or after it was accepted. Every method raises DisconnectedError if the peer is gone."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        extension = (scope.get("extensions") or {}).get(_EXTENSION)
        self._protocol = extension if isinstance(extension, GatewayProtocol) else None
        self._finished: asyncio.Future[None] | None = None

    async def accept(self) -> None:
        """Complete the handshake."""
        await self._receive()
        await self._asgi({"type": "websocket.accept"})

    async def refuse(self, status: int, body: object) -> None:
        """Answer the handshake with an HTTP status and JSON instead of completing it."""
        await self._receive()
        content = json.dumps(body).encode()
        kind = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await self._asgi({"type": "websocket.http.response.start", "status": status, "headers": kind})
        await self._asgi({"type": "websocket.http.response.body", "body": content})

    async def detach(self) -> None:
        """Let the application return while the socket goes on until `finished`; without our protocol, wait for that."""
        if self._protocol is not None:
            self._protocol.detach()
            # What the request was, which the middleware's functions hold as well, is not needed any more.
            self._scope = {}
            self._receive, self._send = cast(Receive, self._protocol.receive), self._protocol.send
            return
        self._finished = asyncio.get_running_loop().create_future()
        await self._finished

    def finished(self) -> None:
        """The application has done all that it does on this socket."""
        if self._protocol is not None:
            self._protocol.end(close_code(self._scope))
        elif self._finished is not None:
            self._finished.set_result(None)

    def begin(self, work: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        """Run a coroutine for this socket."""
        if self._protocol is not None:
            return self._protocol.begin(work, context)
        return asyncio.get_running_loop().create_task(work, context=context)

    def when_filled(self, call: Callable[[], object]) -> None:
        """Call this when a message has arrived that nobody waits for, and now if there may be one."""
        if self._protocol is not None:
            self._protocol.queue.when_filled = call
        if self.has_arrived():
            call()

    def has_arrived(self) -> bool:
        """Whether `receive` is to be called: there is a message. Plain ASGI does not tell, so one may arrive."""
        return self._protocol is None or not self._protocol.queue.empty()

    async def receive(self) -> str | bytes:
        """Wait for the next message."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._scope.setdefault(_CLOSED_WITH, message.get("code"))
            raise DisconnectedError
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def send_text(self, text: str) -> None:
        """Send a message once there is room."""
        await self._asgi({"type": "websocket.send", "text": text})

    def send_now(self, frames: bytes) -> bool:
        """Send whole frames if there is room, without waiting. Never raises. Returns whether it did."""
        return self._protocol is not None and self._protocol.write_now(frames)

    def ping(self) -> None:
        """Send a ping, if there is room: a peer that does not read needs no heartbeat."""
        self.send_now(_PING_FRAME)

    async def send_records(self, records: Sequence[Record]) -> None:
        """Send events once there is room."""
        if self._protocol is None:
            for record in records:
                await self.send_text(record.text)
            return
        chunk: list[bytes] = []
        size = 0
        for record in records:
            # Limits what is buffered for a slow reader to the transport's limit plus one chunk.
            if chunk and size + len(record.frame) > _MAX_WRITE_BYTES:
                await self._protocol.write_frames(b"".join(chunk))
                chunk, size = [], 0
            chunk.append(record.frame)
            size += len(record.frame)
        await self._protocol.write_frames(chunk[0] if len(chunk) == 1 else b"".join(chunk))

    def served(self) -> AbstractContextManager[None]:
        """While the context is open, the connection is not closed to make room for others."""
        return nullcontext() if self._protocol is None else self._protocol.served()

    async def close(self, code: int, reason: str = "") -> None:
        """Close once there is room."""
        self._scope.setdefault(_CLOSED_WITH, code)
        await self._asgi({"type": "websocket.close", "code": code, "reason": reason})

    async def close_in_time(self, code: int, reason: str, seconds: float) -> None:
        """Close once there is room, or after so many seconds; a slow reader at once."""
        if code == CloseCode.TRY_AGAIN_LATER:
            self.close_now(code, reason)
            return
        try:
            async with asyncio.timeout(seconds):
                await self.close(code, reason)
        except TimeoutError:
            self.close_now(code, reason)

    def close_now(self, code: int, reason: str) -> None:
        """Close without waiting for room, for a peer that does not read. Never raises."""
        self._scope.setdefault(_CLOSED_WITH, code)
        if self._protocol is not None:
            self._protocol.close_now(code, reason)

    async def _asgi(self, message: MutableMapping[str, Any]) -> None:
        try:
            await self._send(message)
        except ClientDisconnected:
            raise DisconnectedError from None


def when_ended(scope: Scope, call: Callable[[int | None], object]) -> None:
    """Call this with the close code when the socket has ended: now, if it does not go on alone."""
    extension = (scope.get("extensions") or {}).get(_EXTENSION)
    if not isinstance(extension, GatewayProtocol) or not extension.when_ended(call):
        call(close_code(scope))


def close_code(scope: Scope) -> int | None:
    """The close code of whichever side closed first; None while the socket is open."""
    code: int | None = scope.get(_CLOSED_WITH)
    return None if code is None else int(code)


def header(scope: Scope, name: bytes) -> str:
    """The header's first value, or an empty string."""
    return next(iter(headers(scope, name)), "")


def headers(scope: Scope, name: bytes) -> list[str]:
    """All values of a header."""
    return [str(value, "latin-1") for key, value in scope["headers"] if key == name]
