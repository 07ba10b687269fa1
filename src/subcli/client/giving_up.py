"""Close the connection of a request that is cancelled during a TLS handshake.

httpcore closes it when the handshake fails, but not when the request is cancelled meanwhile: the connection would stay
open until the garbage collector finds it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from httpcore import AsyncNetworkStream

_Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]


async def close_when_given_up(request: httpx.Request) -> None:
    """Watch over the request's connection while it is made; an event hook of httpx."""
    request.extensions["trace"] = _Connecting(request.extensions.get("trace")).note


class _Connecting:
    """What httpcore's ``trace`` extension reports about one request.

    Args:
        trace: is called as well.
    """

    def __init__(self, trace: _Trace | None) -> None:
        self._trace = trace
        self._stream: AsyncNetworkStream | None = None

    async def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of an event of httpcore."""
        if self._trace is not None:
            await self._trace(event, info)
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event.endswith(".start_tls.failed") and self._stream is not None:
            await self._stream.aclose()
