"""REST and the WebSocket race the addresses of a name (RFC 8305): one that swallows every packet is passed by."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from subcli.client.client import connect
from subcli.core.watch import Watch
from subcli.settings.config import load
from tests.system.scripted import Server, finish, scripted

SILENT, ALIVE = "127.0.0.2", "127.0.0.1"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own: nobody is logged in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def swallowing() -> Iterator[Any]:
    """Swallows what is sent to ``SILENT``: a listener whose queue is full drops every SYN."""
    opened: list[socket.socket] = []

    def swallow(port: int) -> None:
        listener = socket.socket()
        opened.append(listener)
        listener.bind((SILENT, port))
        listener.listen(0)
        for _ in range(8):
            waiting = socket.socket()
            opened.append(waiting)
            waiting.setblocking(False)
            waiting.connect_ex((SILENT, port))

    yield swallow
    for each in opened:
        each.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops the SYN of a full queue, and has 127.0.0.2")
async def test_address_that_swallows_is_passed_by(swallowing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half waits for the timeout of the first address."""
    loop = asyncio.get_running_loop()

    async def both(host: Any, port: Any, **options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port))) for address in (SILENT, ALIVE)]

    monkeypatch.setattr(loop, "getaddrinfo", both)
    async with scripted(finish) as server:
        swallowing(server.port)
        with socket.socket() as tried:
            tried.settimeout(0.5)
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(tried.connect, (SILENT, server.port))
        await check_both_halves(server)


async def check_both_halves(server: Server) -> None:
    """REST answers and the socket opens well within the 10 s that a single address is given."""
    settings = load({"server": f"http://judge.test:{server.port}"}, {}, Path("/"), None)
    async with connect(settings) as client, asyncio.timeout(9.0):
        await client.api.info()
        watch = Watch(1)
        async for _ in client.session(watch).events():
            pass
    assert watch.verdict is not None
    assert len(server.connects) == 1
