"""The outcome of one request: its response, or why there is none; and how to wait before repeating it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import httpx
import msgspec

from subcli.core.inputs import Blocked, RestFailed

Wait: TypeAlias = Callable[[float, str, bool], Awaitable[None]]
"""Waits this many seconds, and may show the user the given reason. The flag says that the server asked for the wait."""


async def wait_silently(seconds: float, reason: str, asked: bool) -> None:
    """Wait silently."""
    await asyncio.sleep(seconds)


class RequestFailed(Exception):
    """A request got no response, or not the one it asked for.

    Attributes:
        input: what the recovery machine is told.
        status: the HTTP status; ``None`` if there was no response.
        reason: one sentence, without secrets.
        retry_after_s: how long the server asked us to wait, if it did.
        blocked: retrying cannot help: an untrusted certificate, or a proxy that requires credentials.
        hint: what to do about that.
    """

    def __init__(self, input: RestFailed | Blocked) -> None:
        super().__init__(input.reason)
        self.input = input
        self.reason = input.reason
        self.hint = input.hint
        self.blocked = isinstance(input, Blocked)
        if isinstance(input, Blocked):
            self.status, self.retry_after_s = None, None
        else:
            self.status, self.retry_after_s = input.status, input.retry_after_s


class Response(msgspec.Struct, frozen=True):
    """An HTTP response, read to its end."""

    status: int
    phrase: str
    headers: httpx.Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.status < 300

    @property
    def location(self) -> str | None:
        """The target of a redirect."""
        return self.headers.get("Location") if self.status in (301, 302, 303, 307, 308) else None


class RequestStage:
    """How far a request through a proxy got, from httpcore's ``trace`` extension: was the proxy or the server at fault?

    Args:
        tunnelled: the request uses https, so it begins after ``CONNECT``.
    """

    def __init__(self, tunnelled: bool) -> None:
        self.at_proxy = False
        self._reached = "proxy.start_tls.started" if tunnelled else "http11.send_request_body.complete"

    async def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of an event of httpcore."""
        if event == "connection.connect_tcp.started":
            self.at_proxy = True
        elif event == self._reached:
            self.at_proxy = False
