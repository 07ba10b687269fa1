"""How the gateway ends a socket, with fakes around it that end at a chosen moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from subcli.server.accounts.identity import DemoIdentities
from subcli.server.gateway.gateway import Gateway
from subcli.server.gateway.socket import GatewayProtocol
from subcli.server.limits import FullError
from subcli.server.observe.metrics import Metrics
from subcli.server.parts import Services
from subcli.server.run.shutdown import Lifecycle
from subcli.server.settings import ServerLimits

Message = MutableMapping[str, Any]
HANDSHAKE = (
    b"GET /ws/submissions/7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Fakes:
    """A journal without events, a store that knows every submission, and a free slot."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.lifecycle = Lifecycle()
        self.followed: list[tuple[int, int, str | None]] = []
        self.is_full = False

    async def run(self, _method: object, *_args: object) -> None:
        return None

    def subscribe(self, _submission_id: int) -> AbstractContextManager[None]:
        return nullcontext()

    def reader(self, _subscription: None, submission_id: int, after: int, epoch: str | None) -> Any:
        self.followed.append((submission_id, after, epoch))
        return SimpleNamespace(ended=True, leave=lambda _relay: None)

    @asynccontextmanager
    async def slot(self, _key: str, _limit: int) -> AsyncIterator[None]:
        if self.is_full:
            raise FullError
        yield

    def gateway(self, limits: ServerLimits) -> Gateway:
        services = SimpleNamespace(
            store=SimpleNamespace(run=self.run, lookup=SimpleNamespace(snapshot=None)),
            journal=self,
            identities=DemoIdentities(),
            metrics=self.metrics,
            lifecycle=self.lifecycle,
            limiter=self,
        )
        return Gateway(cast(Services, services), limits)


async def serve(fakes: Fakes, query: bytes = b"", limits: ServerLimits | None = None) -> list[Message]:
    """Serve one socket whose client disconnects at once. Returns what was sent."""
    sent: list[Message] = []
    received: list[Message] = [{"type": "websocket.connect"}]

    async def receive() -> Message:
        return received.pop() if received else {"type": "websocket.disconnect", "code": 1005}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/ws/submissions/7", "query_string": query, "headers": []}
    await fakes.gateway(limits or ServerLimits())(scope, receive, send)
    return sent


@pytest.mark.parametrize("message", ["websocket.accept", "websocket.close", "websocket.http.response.start"])
async def test_a_handshake_during_a_shutdown_is_refused_once(message: str, caplog: pytest.LogCaptureFixture) -> None:
    """A shutdown refuses it, is repeated, and then the application answers; the server ended with a traceback."""
    asked, may_answer, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        asked.set()
        await may_answer.wait()
        try:
            await send({"type": message, "status": 429})
        finally:
            answered.set()

    config = uvicorn.Config(app, log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: GatewayProtocol(config, state, {}), "127.0.0.1", 0)
    async with listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(HANDSHAKE)
        await asked.wait()
        (protocol,) = state.connections
        protocol.shutdown()
        protocol.shutdown()
        may_answer.set()
        await answered.wait()
        response = await reader.read()
        writer.close()
        await writer.wait_closed()
        await asyncio.gather(*state.tasks)
    assert response.startswith(b"HTTP/1.1 500 ")
    assert response.count(b"HTTP/1.1") == 1
    assert "Assertion" not in caplog.text


async def test_verdict_decides_if_the_client_leaves_at_the_same_time() -> None:
    """Everything was sent, so the socket is closed with 1000, whatever the client did meanwhile."""
    fakes = Fakes()
    accepted, closed = await serve(fakes, b"after_seq=3&epoch=e")
    assert accepted["type"] == "websocket.accept"
    assert (closed["type"], closed["code"]) == ("websocket.close", 1000)
    assert fakes.followed == [(7, 3, "e")]
    assert (fakes.metrics.opened, fakes.metrics.connections) == (1, 0)


async def test_full_submission_is_refused_with_the_configured_wait() -> None:
    """4029 with `retry_after=`, before any event."""
    fakes = Fakes()
    fakes.is_full = True
    closed = (await serve(fakes, limits=ServerLimits(retry_after_s=9)))[-1]
    assert (closed["code"], closed["reason"]) == (4029, "retry_after=9")
    assert fakes.followed == []


async def test_stopping_server_refuses_new_sockets() -> None:
    """1012, before anything is looked up."""
    fakes = Fakes()
    fakes.lifecycle.stop()
    closed = (await serve(fakes, b"after_seq=x"))[-1]
    assert (closed["code"], closed["reason"]) == (1012, "restarting")


@pytest.mark.parametrize(
    ("position", "code"),
    [(b"9", 1000), (b"-1", 1008), (b"", 1008), (b"1.5", 1008), (b"%D9%A3", 1008), (b"9" * 19, 1008)],
)
async def test_positions_are_decimal_numbers(position: bytes, code: int) -> None:
    """ASCII digits only, and no more than a 64-bit integer holds."""
    closed = (await serve(Fakes(), b"after_seq=" + position))[-1]
    assert closed["code"] == code
