"""HTTP connections that have to say something: what uvicorn lacks against a peer that opens many and sends nothing.

uvicorn bounds how long a connection may be idle *after* an answer. One that never asks, or asks a byte at a time, it
keeps for ever, and a single peer takes every descriptor that way (CVE-2007-6750, "slow loris"). And what was read at
once is parsed at once: in asyncio's 256 KiB are 40,000 chunks of a body or frames of a WebSocket, half a second of work
during which nobody else is answered.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE: Final = 60.0
"""Seconds within which a whole request has to come, its body included."""

_READ_AT_ONCE: Final = 16 * 1024


class RequestProtocol(H11Protocol):
    """uvicorn's protocol; hangs up on a peer that takes longer than `PATIENCE` to say what it wants."""

    _overdue: asyncio.TimerHandle | None = None
    _is_socket = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Stays when the connection becomes a WebSocket. Other event loops' transports do not have it.
        with suppress(AttributeError):
            transport.max_size = _READ_AT_ONCE  # type: ignore[attr-defined]
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_socket:
            return
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._expect()
        else:
            self._stop_expecting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._is_socket = True
        self._stop_expecting()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect(self) -> None:
        """From now on, unless the same request is expected already."""
        if self._overdue is None and not self.transport.is_closing():
            self._overdue = self.loop.call_later(PATIENCE, self.transport.abort)

    def _stop_expecting(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
