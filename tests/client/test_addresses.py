"""REST and the WebSocket reach the same addresses.

They race those of a name (RFC 8305), so that one which swallows every packet is passed by, and know IPv6 zones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from subcli.client.connection import connect
from subcli.client.doctor.diagnose import diagnose
from subcli.client.trust import system_trust
from subcli.core.watch import Watch
from subcli.settings.config import load
from tests.client.certificates import tls_context
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


async def check_both_halves(server: Server, host: str = "judge.test") -> None:
    """REST answers and the socket opens well within the 10 s that a single address is given."""
    settings = load({"server": f"{server.scheme}://{host}:{server.port}"}, {}, Path("/"), None)
    async with connect(settings) as client, asyncio.timeout(9.0):
        await client.api.info()
        watch = Watch(1)
        async for _ in client.session(watch).events():
            pass
    assert watch.verdict is not None
    assert len(server.connects) == 1


def scoped_addresses() -> list[str]:
    """This machine's IPv6 addresses with the number or name of their interface: loopback, then link-local if any."""
    table = Path("/proc/net/if_inet6")
    found: list[str] = []
    for line in table.read_text().splitlines() if table.exists() else []:
        digits, index, _, scope, flags, name = line.split()
        address = ipaddress.ip_address(bytes.fromhex(digits))
        if scope == "10":
            found.insert(0, f"{address}%{int(index, 16)}")
        elif scope == "20" and not int(flags, 16) & 0x48:
            found.append(f"{address}%{name}")
    return found


@pytest.fixture
def own_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trust the CA of this test alone."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    system_trust.cache_clear()
    yield
    system_trust.cache_clear()


@pytest.mark.skipif(not scoped_addresses(), reason="no IPv6, or not Linux")
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.usefixtures("own_trust")
async def test_zone_of_an_address(encrypted: bool, tmp_path: Path) -> None:
    """Both halves and doctor connect in the zone, and send the address without it (RFC 6874 section 4)."""
    scoped = scoped_addresses()[-1]
    address, escaped = scoped.partition("%")[0], f"[{scoped.replace('%', '%25')}]"
    tls = tls_context(tmp_path, address) if encrypted else None
    async with scripted(finish, host=scoped, tls=tls) as server:
        await check_both_halves(server, escaped)
        settings = load({"server": f"{server.scheme}://{escaped}:{server.port}"}, {}, Path("/"), None)
        found = {each.name: each.state async for each in diagnose(settings, "0")}
        assert {request.headers["host"] for request in server.requests} == {f"[{address}]:{server.port}"}
    assert (found["server"], found["api"], found["websocket"]) == ("ok", "ok", "ok")
    assert found["certificate"] != "failed", found
