"""The guard around an application that only counts."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from subcli.server.edge.guard import SECURITY_HEADERS, GuardMiddleware
from subcli.server.edge.origins import SameOrigin
from subcli.server.run.shutdown import Lifecycle

Message = MutableMapping[str, Any]


class App:
    """Responds with 204 and the headers of the test, and counts how often."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": list(self.headers)})
            await send({"type": "http.response.body", "body": b""})


class Exchange:
    """One request to the guard, the response, and who was called."""

    def __init__(self, app: App | None = None, body_bytes: int = 1000) -> None:
        self.app = app or App()
        self.gateway = App()
        self.lifecycle = Lifecycle()
        self.sent: list[Message] = []
        self._guard = GuardMiddleware(self.app, self.gateway, SameOrigin(), self.lifecycle, body_bytes)

    async def run(self, kind: str = "http", **headers: str) -> None:
        raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            self.sent.append(message)

        await self._guard({"type": kind, "method": "GET", "path": "/", "headers": raw}, receive, send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}


@pytest.mark.parametrize(
    ("content_length", "status"),
    [("0", 204), ("1000", 204), ("1001", 413), ("9" * 30, 413), ("", 204), ("-5", 204), ("\u00b2", 204), ("1e9", 204)],
)
async def test_declared_length_is_limited(content_length: str, status: int) -> None:
    """One byte too many is refused before the application sees it. Invalid numbers are ignored here."""
    exchange = Exchange()
    await exchange.run(content_length=content_length)
    assert exchange.status == status
    assert exchange.app.calls == (status == 204)
    assert exchange.headers["x-frame-options"] == "DENY"


async def test_two_lengths_are_refused() -> None:
    """A proxy may have believed the other one, and taken what follows for another client's request (RFC 9112, 6.3)."""
    exchange = Exchange()
    await exchange.run(content_length="5", transfer_encoding="chunked")
    assert (exchange.status, exchange.app.calls) == (400, 0)
    assert exchange.headers["connection"] == "close"


async def test_application_overrides_security_headers() -> None:
    """Pages set their own policy; the headers that they do not set are added."""
    exchange = Exchange(App((b"content-security-policy", b"script-src 'self'")))
    await exchange.run()
    assert exchange.headers.pop("content-security-policy") == "script-src 'self'"
    expected = {name.lower(): value for name, value in SECURITY_HEADERS.items() if "Policy" not in name}
    assert {name: exchange.headers[name] for name in expected} == expected


async def test_foreign_origin_does_not_reach_the_application() -> None:
    """403 with the security headers."""
    exchange = Exchange()
    await exchange.run(host="judge.example", origin="https://evil.example")
    assert (exchange.status, exchange.app.calls) == (403, 0)
    assert exchange.headers["x-frame-options"] == "DENY"


async def test_sockets_go_to_the_gateway() -> None:
    """Unless their origin is foreign: accepted and closed with 4003."""
    allowed, foreign = Exchange(), Exchange()
    await allowed.run("websocket", host="judge.example", origin="https://judge.example")
    assert (allowed.gateway.calls, allowed.app.calls) == (1, 0)
    await foreign.run("websocket", host="judge.example", origin="https://evil.example")
    assert (foreign.gateway.calls, foreign.app.calls) == (0, 0)
    assert [message["type"] for message in foreign.sent] == ["websocket.accept", "websocket.close"]
    assert foreign.sent[-1]["code"] == 4003


async def test_connections_are_closed_once_stopping() -> None:
    """Only then do responses tell the client to close the connection."""
    exchange, stopping = Exchange(), Exchange()
    stopping.lifecycle.stop()
    for each in (exchange, stopping):
        await each.run()
    assert "connection" not in exchange.headers
    assert stopping.headers["connection"] == "close"


async def test_other_scopes_pass() -> None:
    """Lifespan events reach the application untouched."""
    exchange = Exchange()
    await exchange.run("lifespan")
    assert exchange.app.calls == 1
