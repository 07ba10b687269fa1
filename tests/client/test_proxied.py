"""A proxy between us and the server: the same one for REST and the WebSocket; a broken one is named as the proxy."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from subcli import __version__
from subcli.client.client import Client
from subcli.client.connection import connect
from subcli.client.exchange import wait_silently
from subcli.client.transport import Disconnected
from subcli.core.errors import NetworkError, SubcliError
from subcli.core.inputs import Blocked, Lost, Refused
from subcli.core.watch import Watch
from subcli.settings.config import Settings, load
from tests.system.scripted import Answer, Request, Server, finish, scripted

HTTP, HTTPS = "http://judge.invalid", "https://judge.invalid:8443"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own: nobody is logged in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


async def at_once(seconds: float, reason: str, asked: bool) -> None:
    """No wait."""
    await wait_silently(0.0, reason, asked)


async def rest_error(url: str, **env: str) -> SubcliError:
    """How a call of REST ends."""
    async with connect(load({"server": url}, env, Path("/"), None), max_attempts=0, wait=at_once) as client:
        with pytest.raises(SubcliError) as caught:
            await client.api.submissions(limit=1)
    return caught.value


async def socket_error(url: str, **env: str) -> Blocked | Lost | Refused:
    """How the handshake ends."""
    async with connect(load({"server": url}, env, Path("/"), None)) as client:
        with pytest.raises(Disconnected) as caught:
            await dialled(client)
    assert isinstance(caught.value.input, Blocked | Lost | Refused)
    return caught.value.input


async def dialled(client: Client) -> None:
    """Open the socket of a submission as a session does."""
    await client.session(Watch(1))._dial(1, 0, None, None)


@pytest.mark.parametrize(("url", "name"), [(HTTP, "HTTP_PROXY"), (HTTPS, "https_proxy"), (HTTPS, "ALL_PROXY")])
async def test_dead_proxy_is_named(url: str, name: str) -> None:
    """Never the server, which nobody asked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{free.getsockname()[1]}"
        error = await rest_error(url, **{name: f"ada:hunter2@{proxy}"})
        lost = await socket_error(url, **{name: f"ada:hunter2@{proxy}"})
    assert isinstance(error, NetworkError)
    assert error.message == f"The proxy {proxy} (from {name}) refused the connection."
    assert error.hint == f"Check {name}, or name judge.invalid in NO_PROXY."
    assert lost == Lost(f"the proxy {proxy} (from {name}) refused the connection", reached=False, hint=error.hint)


def answering(answer: Answer) -> Callable[[Request], Answer]:
    """The same answer to every request."""
    return lambda request: answer


@pytest.mark.parametrize("status", [403, 405, 502, 504])
async def test_refused_tunnel_shows_its_status(status: int) -> None:
    """With the proxy and where it should have led."""
    async with scripted(rest=answering(Answer(status))) as server:
        proxy = f"127.0.0.1:{server.port}"
        error = await rest_error(HTTPS, HTTPS_PROXY=proxy)
        refused = await socket_error(HTTPS, HTTPS_PROXY=proxy)
    words = f"he proxy {proxy} (from HTTPS_PROXY) refused to connect to judge.invalid: HTTP {status} Said"
    assert error.message == f"T{words}."
    assert "HTTPS_PROXY" in error.hint
    assert refused == Refused(status, f"t{words}", by_proxy=True)


@pytest.mark.parametrize("url", [HTTP, HTTPS])
async def test_proxy_that_requires_credentials(url: str) -> None:
    """Named in both ways, with the variable to change."""
    async with scripted(rest=answering(Answer(407))) as server:
        error = await rest_error(url, ALL_PROXY=f"127.0.0.1:{server.port}")
        blocked = await socket_error(url, ALL_PROXY=f"127.0.0.1:{server.port}")
    assert error.message == f"The proxy 127.0.0.1:{server.port} (from ALL_PROXY) requires credentials (HTTP 407)."
    assert blocked == Blocked(error.message, error.hint)
    assert "ALL_PROXY" in error.hint


@pytest.mark.parametrize("url", [HTTP, HTTPS])
@pytest.mark.parametrize("answer", [Answer(cut=True), Answer(bare=b"220 mail.example ESMTP\r\n")])
async def test_proxy_that_is_none(url: str, answer: Answer) -> None:
    """It hangs up, or speaks something else."""
    async with scripted(rest=answering(answer)) as server:
        proxy = f"127.0.0.1:{server.port} (from ALL_PROXY)"
        blocked = await socket_error(url, ALL_PROXY=f"127.0.0.1:{server.port}")
        error = await rest_error(url, ALL_PROXY=f"127.0.0.1:{server.port}")
    assert f"proxy {proxy}" in error.message
    assert f"proxy {proxy}" in blocked.reason


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip"])
async def test_bodies_are_bounded_behind_a_proxy(encoding: str) -> None:
    """As without one: what was not asked for is not decompressed."""
    async with scripted(rest=answering(Answer(200, [], headers={"Content-Encoding": encoding}))) as server:
        error = await rest_error(HTTP, HTTP_PROXY=f"127.0.0.1:{server.port}")
    assert f"is encoded as '{encoding}', which was not requested" in error.message


async def answer_in_plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a server for plain HTTP says to a TLS handshake."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def test_tls_to_a_plain_proxy() -> None:
    """It is the proxy that does not speak TLS."""
    async with await asyncio.start_server(answer_in_plain, "127.0.0.1", 0) as server:
        proxy = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        error = await rest_error(HTTPS, HTTPS_PROXY=f"https://{proxy}")
        blocked = await socket_error(HTTPS, HTTPS_PROXY=f"https://{proxy}")
    assert error.message == f"The proxy {proxy} (from HTTPS_PROXY) does not speak https: the answer is not TLS."
    assert error.hint == "Write http:// before its address in HTTPS_PROXY."
    assert blocked == Blocked(error.message, error.hint)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
async def test_socks_is_refused_by_name(name: str) -> None:
    """Before anything is sent; a server in NO_PROXY does not care."""
    with pytest.raises(NetworkError, match=f"{name} names socks5://p:1080, but SOCKS proxies are not supported"):
        await rest_error(HTTPS, **{name: "socks5://p:1080"})
    async with scripted(finish) as server, connect(_settings(server, **{name: "socks5://p:1080"})) as client:
        assert await client.api.info()


@pytest.mark.parametrize("no_proxy", ["localhost,[::1]", "10.0.0.0/8", "[::", "*.example,,;"])
async def test_odd_exemptions_do_no_harm(no_proxy: str) -> None:
    """Whatever is in NO_PROXY, REST and the WebSocket work."""
    async with scripted(finish) as server, connect(_settings(server, NO_PROXY=no_proxy)) as client:
        watch = Watch(1)
        async for _ in client.session(watch).events():
            pass
    assert watch.verdict is not None
    assert len(server.connects) == 1
    assert {request.headers["user-agent"] for request in server.requests} == {f"subcli/{__version__}"}


def _settings(server: Server, **env: str) -> Settings:
    return load({"server": server.url}, env, Path("/"), None)


async def test_https_port_is_named() -> None:
    """Plain HTTP to a port for TLS, and the other way round: at once, with the address to use."""
    async with scripted(rest=answering(Answer(bare=b"\x15\x03\x01\x00\x02\x02\x16"))) as server:
        error = await rest_error(server.url)
    assert error.message == f"127.0.0.1:{server.port} does not speak plain http."
    assert error.hint == f"Use `--server https://127.0.0.1:{server.port}`."
    async with await asyncio.start_server(answer_in_plain, "127.0.0.1", 0) as plain:
        address = f"127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        error = await rest_error(f"https://{address}")
        blocked = await socket_error(f"https://{address}")
    assert error.message == f"{address} does not speak https: the answer is not TLS."
    assert f"`--server http://{address}`" in error.hint
    assert blocked == Blocked(error.message, error.hint)
