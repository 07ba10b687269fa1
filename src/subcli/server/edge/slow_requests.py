"""Protection against slow requests ("slow loris", CVE-2007-6750) and crowds of connections, which uvicorn lacks.

uvicorn limits how long a connection may be idle *after* a response. A connection that never sends a request, sends it
byte by byte, or does not read the response stays open for ever, so a single peer can exhaust the file descriptors.
Also, asyncio reads up to 256 KiB at once, and all of it is parsed at once: that can be 40,000 body chunks or WebSocket
frames, half a second during which nobody else is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import suppress
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from subcli.server.edge.clients import Clients
from subcli.server.edge.crowd import Crowd
from subcli.server.edge.turns import Turns
from subcli.server.gateway.socket import GatewayProtocol

HEAD_TIMEOUT_S: Final = 10.0
"""How long the head of a request may take to arrive, the first one from the start of the connection,"""
BODY_TIMEOUT_S: Final = 60.0
"""and its body, from the end of the head."""
_GRACE_S: Final = 0.5
READ_TIMEOUT_S: Final = 60.0
"""How long a peer may leave available data unread."""

_MAX_READ_BYTES: Final = 16 * 1024
_MAX_DISCARDED_BYTES: Final = 2 * 1024 * 1024
"""of a body that arrives after the response, so that a client that sends first and then reads gets the response."""
_MAX_SOCKET_READ_BYTES: Final = 2 * 1024
"""Clients send little over a WebSocket, and a frame may be two bytes."""
_SEPARATORS: Final = {b"\n": 128, **dict.fromkeys((b"&", b";", b",", b"%"), 2048)}
"""How often these may occur in a head."""


class RequestProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with limits on time and on the number of connections.

    Args:
        crowd: the connections of this process.
        clients: whose turns what arrives on them counts as.
        turns: in which they are served.
        more: as uvicorn makes its protocols.
    """

    def __init__(self, *, crowd: Crowd, clients: Clients, turns: Turns, **more: Any) -> None:
        super().__init__(**more)
        self._crowd = crowd
        self._clients = clients
        self._turns = turns
        self._counts_as: Hashable = None
        """The client of the request that is arriving, or was the last."""
        self._asks_for_turn = False
        self._discarded_bytes = 0
        self._awaited = ""
        """What the peer is sending: a `head`, a `body`, or nothing."""
        self._timeout: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._is_socket = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Also applies once the connection becomes a WebSocket. Transports of other event loops lack the attribute.
        with suppress(AttributeError):
            transport.max_size = _MAX_READ_BYTES  # type: ignore[attr-defined]
        if self._crowd.enter(transport, self.client[0] if self.client else None):
            self._await("head", HEAD_TIMEOUT_S)
        else:
            transport.abort()

    def handle_events(self) -> None:
        """Parse what has arrived, or has been left over from before the response, when it is our turn.

        uvicorn calls this for both. It parses one request at most.
        """
        if self._asks_for_turn:
            # More than a read need not be kept meanwhile.
            self.flow.pause_reading()
        elif (data := self.conn.trailing_data) != (b"", False):
            self._asks_for_turn = True
            if self.conn.their_state is h11.IDLE:
                self._counts_as = self._clients.of(data[0], self.transport)
            self._turns.ask(self._counts_as, self._parse)

    def _parse(self) -> None:
        self._asks_for_turn = False
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.conn.their_state is h11.IDLE and _has_too_many_parts(self.conn.trailing_data[0]):
            self.send_400_response("The head of the request has too many lines or parts.")
            return
        if self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete:
            self._discarded_bytes += len(self.conn.trailing_data[0])
            if self._discarded_bytes > _MAX_DISCARDED_BYTES:
                self.transport.close()
                return
        super().handle_events()
        if self._is_socket or self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            self._await("head", HEAD_TIMEOUT_S)
        elif self.conn.their_state is h11.SEND_BODY:
            self._await("body", BODY_TIMEOUT_S)
        else:
            self._await_nothing()

    def on_response_complete(self) -> None:
        # Also asks for a turn for the next request, if that was sent already.
        self._discarded_bytes = 0
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._await("body", BODY_TIMEOUT_S)
        elif self.conn.their_state is h11.IDLE or self.transport.is_closing():
            self._crowd.is_waited_for(self.transport)
        if self.transport.get_write_buffer_size():
            self.loop.call_later(READ_TIMEOUT_S, self._abort_if_closing)

    def _abort_if_closing(self) -> None:
        """What is left has not been read for so long: asyncio would wait for ever."""
        if self.transport.is_closing():
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._crowd.is_waited_for(self.transport)
        self._unread = self.loop.call_later(READ_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._crowd.is_served(self.transport)
        self._stop_unread()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._is_socket = True
        self._await_nothing()
        super().handle_websocket_upgrade(event)
        socket = self.transport.get_protocol()
        assert isinstance(socket, GatewayProtocol)
        with suppress(AttributeError):
            self.transport.max_size = _MAX_SOCKET_READ_BYTES  # type: ignore[attr-defined]
        socket.join(self._crowd, self._turns, self._counts_as)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        self._await_nothing()
        self._stop_unread()
        self._crowd.leave(self.transport)

    def _await(self, what: str, seconds: float) -> None:
        """Give the peer this much time, unless its timer is already running."""
        if self._awaited == what or self.transport.is_closing():
            return
        self._await_nothing()
        self._awaited = what
        self._timeout = self.loop.call_later(seconds, self._time_out)
        self._crowd.is_waited_for(self.transport)

    def _time_out(self) -> None:
        if self._asks_for_turn:
            # We are late ourselves. First look at what has arrived.
            self._timeout = self.loop.call_later(_GRACE_S, self._time_out)
        else:
            self.transport.abort()

    def _await_nothing(self) -> None:
        self._awaited = ""
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._crowd.is_served(self.transport)

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def _has_too_many_parts(data: bytes) -> bool:
    """Whether `data` begins with a head, or a part of one, that would take long to parse.

    100,000 header lines, fields of a query, cookies or addresses of proxies fit into one.
    """
    end = data.find(b"\r\n\r\n")
    counts = (data.count(each, 0, end if end >= 0 else len(data)) for each in _SEPARATORS)
    return any(count > most for count, most in zip(counts, _SEPARATORS.values(), strict=True))
