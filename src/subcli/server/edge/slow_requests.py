"""Protection against slow requests ("slow loris", CVE-2007-6750), which uvicorn lacks.

uvicorn limits how long a connection may be idle *after* a response. A connection that never sends a request, or sends
it byte by byte, stays open for ever, so a single peer can exhaust the file descriptors. Also, asyncio reads up to
256 KiB at once, and all of it is parsed at once: that can be 40,000 body chunks or WebSocket frames, half a second
during which nobody else is served.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_TIMEOUT_S: Final = 60.0
"""How long a whole request, body included, may take to arrive."""

_MAX_READ_BYTES: Final = 16 * 1024


class RequestProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with a time limit for receiving a request."""

    _timeout: asyncio.TimerHandle | None = None
    _is_socket = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Also applies once the connection becomes a WebSocket. Transports of other event loops lack the attribute.
        with suppress(AttributeError):
            transport.max_size = _MAX_READ_BYTES  # type: ignore[attr-defined]
        self._start_timeout()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_socket:
            return
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._start_timeout()
        else:
            self._cancel_timeout()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._is_socket = True
        self._cancel_timeout()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timeout()
        super().connection_lost(exc)

    def _start_timeout(self) -> None:
        """Start the timer, unless it is already running for this request."""
        if self._timeout is None and not self.transport.is_closing():
            self._timeout = self.loop.call_later(REQUEST_TIMEOUT_S, self.transport.abort)

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
