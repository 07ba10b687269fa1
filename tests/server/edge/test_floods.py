"""Floods of connections: many that send too little, too much or the wrong thing, and an honest client beside them."""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest

from subcli.server.edge.crowd import MAX_DESCRIPTORS, Crowd, room_for_clients
from subcli.server.run.startup import raise_descriptor_limit
from tests.hang import HANG_S

TOTAL = 20
ATTACKERS = 25
"""More than there is room for."""

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /api/submissions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
UPGRADE = (
    b"GET /ws/submissions/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n"
)
FLOODS = {
    "nothing": b"",
    "half a request line": b"GET /heal",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "an endless header": b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * 300_000,
    "thousands of headers": b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
    "empty lines": b"\r\n" * 10_000,
    "a body that never comes": POST + b"Content-Length: 100\r\n\r\n",
    "half a body": POST + b"Content-Length: 100\r\n\r\n{",
    "chunks without an end": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n{\r\n" * 2000,
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n{",
    "waiting for 100": POST + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    "idle after the response": HEALTH,
    "responses that nobody reads": HEALTH.replace(b"/healthz", b"/static/swagger-ui-bundle.js") * 4,
    "pipelined requests": HEALTH * 500 + b"GET /heal",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "half a handshake": (UPGRADE % b"1")[:-2],
    "refused sockets that stay": UPGRADE % b"999",
    "sockets with half a frame": UPGRADE % b"999" + b"\x81\xff\x00\x00",
    "sockets with noise": UPGRADE % b"999" + b"\xff" * 1000,
}
BUSY = ("responses that nobody reads", "pipelined requests")
"""These have the server at work for a moment."""


async def open_connections(host: str, port: int, sent: bytes) -> list[asyncio.StreamWriter]:
    """Open them all, send, and read nothing."""
    writers = []
    for _ in range(ATTACKERS):
        # The small limit pauses reading, so that the kernel's buffers fill.
        _, writer = await asyncio.open_connection(host, port, limit=16)
        writer.write(sent)
        writers.append(writer)
    return writers


async def is_answered(host: str, port: int) -> bool:
    """Whether a client that asks at once is; not if it is cut."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return (await reader.read(12)) == b"HTTP/1.1 200"
    except ConnectionError:
        return False
    finally:
        writer.close()


@pytest.mark.thorough
async def test_honest_client_beside_floods(start: Callable[..., Any], subtests: pytest.Subtests) -> None:
    """While a flood holds all connections open that it can, a client that sends a request gets its response."""
    async with start(clients=TOTAL) as live:
        host, _, port = live.url.removeprefix("http://").partition(":")
        for name, sent in FLOODS.items():
            with subtests.test(name):
                writers = await open_connections(host, int(port), sent)
                try:
                    async with asyncio.timeout(HANG_S):
                        # The first attempt counts, save while all connections are being served.
                        while not await is_answered(host, int(port)):
                            assert name in BUSY
                    assert len(live.server.server_state.connections) <= TOTAL + 1
                finally:
                    for writer in writers:
                        writer.transport.abort()


async def test_resets_and_sockets_in_use(start: Callable[..., Any]) -> None:
    """Connections that are reset at once leave nothing behind; an open watch is not closed to make room."""
    async with start(clients=TOTAL) as live:
        host, _, port = live.url.removeprefix("http://").partition(":")
        watching = await live.watch(await live.submit("wait"))
        await watching.recv()
        for _ in range(200):
            with socket.create_connection((host, int(port))) as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writers = await open_connections(host, int(port), b"")
        assert await is_answered(host, int(port))
        await watching.send("ping")
        while await watching.recv() != "pong":
            pass
        for writer in writers:
            writer.transport.abort()


# -- the crowd, without connections -------------------------------------------------------------------


def test_oldest_that_waits_makes_room() -> None:
    """Not one that is served; if all are, nobody is let in."""
    crowd = Crowd(3, 3)
    first, second, third, late, later, latest = (Mock() for _ in range(6))
    for each in (first, second, third):
        assert crowd.enter(each, "127.0.0.1")
    crowd.is_served(first)
    assert crowd.enter(late, None)
    second.abort.assert_called_once()
    crowd.leave(second)
    crowd.is_served(third)
    crowd.is_served(late)
    assert not crowd.enter(later, "127.0.0.1")
    crowd.is_waited_for(first)
    assert crowd.enter(latest, "not an address")
    first.abort.assert_called_once()
    assert len(crowd) == 3
    for each in (first, third, late, later, latest):
        crowd.leave(each)
    assert len(crowd) == 0


@pytest.mark.parametrize(
    ("addresses", "admitted"),
    [
        (["192.0.2.1"] * 5, 3),
        (["192.0.2.1", "192.0.2.2"] * 3, 6),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"], 3),
        (["::ffff:192.0.2.1", "192.0.2.1"] * 2, 3),
        (["127.0.0.1", "127.0.0.2", "::1"] * 3, 9),
        (["10.1.2.3"] * 9, 9),
        ([None] * 9, 9),
    ],
)
def test_limit_of_a_network(addresses: list[str | None], admitted: int) -> None:
    """An IPv4 address or an IPv6 /64; not a proxy, which counts for many."""
    crowd = Crowd(100, 3, ["10.0.0.0/8"])
    entered = [Mock() for address in addresses]
    assert sum(crowd.enter(each, address) for each, address in zip(entered, addresses, strict=True)) == admitted
    for each in entered:
        crowd.leave(each)
    assert crowd.enter(Mock(), addresses[0])


def test_network_gets_half_at_most() -> None:
    """However many it may have by the settings."""
    crowd = Crowd(10, 1000)
    assert sum(crowd.enter(Mock(), "192.0.2.1") for _ in range(10)) == 5


@contextmanager
def descriptors(soft: int) -> Iterator[int]:
    """With this soft limit. Yields the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_soft_limit_of_descriptors_is_raised() -> None:
    """As far as the hard one; a reserve is left for everything but connections."""
    with descriptors(1024) as hard:
        assert room_for_clients() == 768
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, MAX_DESCRIPTORS), hard)
        raise_descriptor_limit()
        assert 0 < room_for_clients() < MAX_DESCRIPTORS
