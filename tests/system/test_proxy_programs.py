"""Real proxies between the client and a judge: nginx with and without `Upgrade`, haproxy, tinyproxy, and their TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from subcli.client.connection import connect
from subcli.client.trust import system_trust
from subcli.core.errors import NetworkError, SubcliError
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.settings.config import load
from tests.client.certificates import make_certificate, tls_context
from tests.hang import HANG_S

from .conftest import needs
from .scripted import Answer, Request, Rest, Server, finish, scripted

pytestmark = pytest.mark.long
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
DONE = {"submission_id": 1, "status": "completed", "final_status": "passed", "summary": {}}
UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own: nobody is logged in. The TLS context is made anew."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    system_trust.cache_clear()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.asynccontextmanager
async def running(port: int, name: str, *arguments: str) -> AsyncIterator[None]:
    """Run a proxy in the foreground until the block ends; it begins when the proxy listens."""
    program = shutil.which(name, path=PATH)
    needs(name, program)
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(str(program), *arguments, stdout=nowhere, stderr=pipe)
    try:
        async with asyncio.timeout(HANG_S):
            while True:
                assert process.returncode is None, (await process.communicate())[1]
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    break
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@contextlib.asynccontextmanager
async def nginx(directory: Path, judge: Server, location: str, *, tls: str = "") -> AsyncIterator[int]:
    """Nginx in front of the judge; its port."""
    port = free_port()
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"""
        daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;
        events {{ worker_connections 64; }}
        http {{ access_log off; {temporary}
            server {{ listen 127.0.0.1:{port} {"ssl" if tls else ""}; {tls}
                location / {{ proxy_pass http://127.0.0.1:{judge.port}; {location} }} }} }}
    """
    (directory / "nginx.conf").write_text(text)
    words = ("-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log"))
    async with running(port, "nginx", *words):
        yield port


@contextlib.asynccontextmanager
async def tinyproxy(directory: Path, *lines: str) -> AsyncIterator[str]:
    """A forward proxy that tunnels by CONNECT; its address."""
    port = free_port()
    text = "\n".join((f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 20", *lines, ""))
    (directory / "tinyproxy.conf").write_text(text)
    async with running(port, "tinyproxy", "-d", "-c", str(directory / "tinyproxy.conf")):
        yield f"127.0.0.1:{port}"


async def watch(url: str, **env: str) -> list[str]:
    """Watch to the verdict; the states of the connection."""
    watched = Watch(1)
    async with connect(load({"server": url}, env, Path("/"), None)) as client, asyncio.timeout(HANG_S):
        events = [event async for event in client.session(watched).events()]
    assert watched.verdict is not None
    return [event.state for event in events if isinstance(event, Connection)]


async def failure(url: str, **env: str) -> SubcliError:
    """How `list` ends; `watch` ends alike."""
    found: list[SubcliError] = []
    async with connect(load({"server": url}, env, Path("/"), None), max_attempts=0) as client:
        with pytest.raises(SubcliError) as caught:
            await client.submissions(limit=1)
        found.append(caught.value)
        with pytest.raises(SubcliError) as caught:
            await _all(client.session(Watch(1)))
        found.append(caught.value)
    assert (type(found[0]), str(found[0])) == (type(found[1]), str(found[1]))
    return found[0]


async def _all(session: Any) -> None:
    async for _ in session.events():
        pass


LIVE = ["connecting", "open", "closed"]


async def test_nginx_with_upgrade(tmp_path: Path) -> None:
    """The socket goes through."""
    async with scripted(finish) as judge, nginx(tmp_path, judge, UPGRADE) as port:
        assert await watch(f"http://127.0.0.1:{port}") == LIVE


async def test_nginx_without_upgrade(tmp_path: Path) -> None:
    """It makes a plain GET of the handshake, which is 404: REST knows better, and the watch polls."""
    async with scripted(finish, rest=Rest(snapshot=DONE)) as judge, nginx(tmp_path, judge, "") as port:
        states = await watch(f"http://127.0.0.1:{port}")
        assert "open" not in states
        assert judge.connects == []
        before = len(judge.requests)

        # Not in the look that follows the second handshake, but in the first poll after it.
        def done_after_two_handshakes(request: Request) -> Answer | None:
            tried = [each for each in judge.requests[before:] if each.path == "/ws/submissions/1"]
            snapshot = DONE if len(tried) > 1 and request.path == "/api/submissions/1" else None
            return Answer(200, snapshot) if snapshot and judge.requests[-2].path != "/ws/submissions/1" else None

        judge.rest = Rest(first=done_after_two_handshakes)
        assert "polling" in await watch(f"http://127.0.0.1:{port}")


async def test_haproxy(tmp_path: Path) -> None:
    """The socket goes through."""
    port = free_port()
    async with scripted(finish) as judge:
        (tmp_path / "haproxy.cfg").write_text(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
listen judge
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{judge.port}
""")
        async with running(port, "haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg")):
            assert await watch(f"http://127.0.0.1:{port}") == LIVE


@pytest.mark.parametrize("encrypted", [False, True])
async def test_tunnel(encrypted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By CONNECT, with and without TLS inside; NO_PROXY leads past it."""
    # Not loopback by its name, which is never reached through a proxy.
    tls = tls_context(tmp_path, "0.0.0.0") if encrypted else None
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with scripted(finish, tls=tls) as judge, tinyproxy(tmp_path, f'LogFile "{tmp_path}/log"') as proxy:
        url = f"{judge.scheme}://0.0.0.0:{judge.port}"
        assert await watch(url, ALL_PROXY=proxy) == LIVE
        through = (tmp_path / "log").read_text().count("0.0.0.0")
        assert through
        assert await watch(url, ALL_PROXY=proxy, NO_PROXY=f"0.0.0.0/8,x:{judge.port}") == LIVE
        assert (tmp_path / "log").read_text().count("0.0.0.0") == through


async def test_tunnel_refused(tmp_path: Path) -> None:
    """Port not allowed: the proxy and its status are named, not the judge."""
    async with scripted(finish, tls=tls_context(tmp_path, "0.0.0.0")) as judge:
        async with tinyproxy(tmp_path, "ConnectPort 1") as proxy:
            error = await failure(f"https://0.0.0.0:{judge.port}", HTTPS_PROXY=proxy)
        assert isinstance(error, NetworkError)
        assert f"The proxy {proxy} (from HTTPS_PROXY) refused to connect to 0.0.0.0: HTTP 403" in error.message
        async with tinyproxy(tmp_path, "BasicAuth ada hunter2") as proxy:
            error = await failure(f"https://0.0.0.0:{judge.port}", HTTPS_PROXY=proxy)
            assert f"The proxy {proxy} (from HTTPS_PROXY) requires credentials (HTTP 407)" in error.message
    assert judge.requests == []


async def test_tls_with_own_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trusted once a variable names it."""
    certificate, key = make_certificate(tmp_path)
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {key};"
    async with scripted(finish) as judge, nginx(tmp_path, judge, UPGRADE, tls=tls) as port:
        error = await failure(f"https://127.0.0.1:{port}")
        assert "is not trusted" in error.message
        assert "SSL_CERT_FILE" in error.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        system_trust.cache_clear()
        assert await watch(f"https://127.0.0.1:{port}") == LIVE
        error = await failure(f"http://127.0.0.1:{port}")
        assert error.hint == f"Use `--server https://127.0.0.1:{port}`."


@pytest.mark.parametrize(
    ("host", "days", "words", "hint"),
    [("127.0.0.2", (-1, 1), "not valid for '127.0.0.1'", "Use the name"), ("127.0.0.1", (-9, -1), "expired", "runs")],
)
async def test_tls_with_a_bad_certificate(
    host: str, days: tuple[float, float], words: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another host, or expired: at once, with a hint that helps."""
    certificate, key = make_certificate(tmp_path, host, days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {key};"
    async with scripted(finish) as judge, nginx(tmp_path, judge, UPGRADE, tls=tls) as port:
        error = await failure(f"https://127.0.0.1:{port}")
    assert words in error.message
    assert hint in error.hint
