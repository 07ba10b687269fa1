"""Slow HTTP requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from subcli.server.edge.slow_requests import RequestProtocol
from subcli.server.edge.turns import Turns
from tests.hang import HANG_S
from tests.server.gateway.test_gateway import next_event

BEGINNINGS = {
    "nothing": b"",
    "half a line": b"GET /heal",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "half a body": b"POST /api/submissions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    "half of the second request": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /healthz HT",
}


async def test_slow_requests_are_disconnected(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in a request the client stalls, even if it sends a byte now and then. Open sockets are not affected."""
    monkeypatch.setattr("subcli.server.edge.slow_requests.HEAD_TIMEOUT_S", 0.5)
    monkeypatch.setattr("subcli.server.edge.slow_requests.BODY_TIMEOUT_S", 0.5)
    watching = await live.watch(await live.submit("wait"))
    await next_event(watching)
    host, _, port = live.url.removeprefix("http://").partition(":")

    async def until_cut(beginning: bytes) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(beginning)
        dripping = asyncio.create_task(drip(writer))
        try:
            while await reader.read(1000):
                pass
        except ConnectionError:
            pass
        finally:
            dripping.cancel()
            writer.close()

    async def drip(writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            await asyncio.sleep(0.1)
            writer.write(b" ")

    async with asyncio.timeout(HANG_S):
        await asyncio.gather(*(until_cut(beginning) for beginning in BEGINNINGS.values()))
        # Longer than that by now, and still there.
        await watching.send("ping")
        while await watching.recv() != "pong":
            pass
    assert (await live.http.get("/healthz")).status_code == 200


async def test_waiting_for_a_turn_is_not_slow(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is too busy to look at a request in time, the connection is not cut for it."""
    asked = asyncio.get_running_loop().create_future()
    ask = Turns.ask
    monkeypatch.setattr(Turns, "ask", lambda turns, client, begin: asked.set_result(begin))
    asking = asyncio.create_task(live.http.get("/healthz"))
    async with asyncio.timeout(HANG_S):
        begin = await asked
        monkeypatch.setattr(Turns, "ask", ask)
        begin.__self__._time_out()
        begin()
        assert (await asking).status_code == 200


async def test_long_body_is_read_in_small_chunks(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads are small, however much has arrived, because many tiny chunks take long to parse."""
    sizes: list[int] = []
    parse = RequestProtocol.data_received

    def noted(protocol: RequestProtocol, data: bytes) -> None:
        sizes.append(len(data))
        parse(protocol, data)

    monkeypatch.setattr(RequestProtocol, "data_received", noted)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000

    response = await live.http.post("/api/submissions", content=chunks())
    assert response.status_code == 422
    assert sum(sizes) > 1_000_000
    assert max(sizes) <= 16 * 1024


async def test_clients_close_idle_connections_first(live: Any) -> None:
    """Otherwise a request could be sent at the moment in which the server closes."""
    assert live.server.config.timeout_keep_alive > (httpx.Limits().keepalive_expiry or 0)
