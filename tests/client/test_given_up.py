"""A connection that is given up while it is being made is closed at once, not when the collector happens to run."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from subcli.client.connection import connect
from subcli.core.watch import Watch
from subcli.settings.config import load
from tests.hang import HANG_S

CLIENT_HELLO = 0x16


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home of its own, and no collector: it would close what nobody refers to any more."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    gc.disable()
    yield
    gc.enable()


class Silent:
    """Never answers a TLS handshake; opens a tunnel if it is asked for one."""

    def __init__(self) -> None:
        self.greeted = asyncio.Event()
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        first = await reader.readexactly(1)
        if first != bytes([CLIENT_HELLO]):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            assert await reader.readexactly(1) == bytes([CLIENT_HELLO])
        self.greeted.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        self.left.set()
        writer.close()


@pytest.mark.parametrize("half", ["rest", "socket"])
@pytest.mark.parametrize("way", ["", "http", "https"])
async def test_cancelled_during_the_handshake(half: str, way: str) -> None:
    """With the server, through a proxy, and with the proxy: on Ctrl-C, and when the other half of a watch fails."""
    silent = Silent()
    async with await asyncio.start_server(silent.serve, "127.0.0.1", 0) as server:
        at = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        url, env = ("https://judge.invalid", {"HTTPS_PROXY": f"{way}://{at}"}) if way else (f"https://{at}", {})
        async with connect(load({"server": url}, env, Path("/"), None)) as client, asyncio.timeout(HANG_S):
            session = client.session(Watch(1))
            dial = client.api.submissions(limit=1) if half == "rest" else session._dial(1, 0, None, None)
            task = asyncio.ensure_future(dial)
            await silent.greeted.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await silent.left.wait()
