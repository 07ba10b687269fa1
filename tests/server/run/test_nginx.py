"""The nginx configuration of `docs/deploy`, in a real nginx in front of two real gateways."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.hang import HANG_S
from tests.server.gateway.test_gateway import closed, messages, next_event

CONF = Path(__file__).parents[3] / "docs" / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx (Debian: nginx-light) is missing")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def make_certificate(directory: Path) -> None:
    """Write a key and a self-signed certificate for localhost."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(parents=True)
    (directory / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@dataclass
class Proxy:
    """A running nginx."""

    port: int
    plain_port: int
    log: Path
    tls: ssl.SSLContext

    def watching(self, submission_id: int, query: str = "", **options: Any) -> Any:
        url = f"wss://localhost:{self.port}/ws/submissions/{submission_id}{query}"
        return connect(url, ssl=self.tls, proxy=None, compression=None, open_timeout=HANG_S, **options)

    def client(self) -> httpx.AsyncClient:
        base = f"https://localhost:{self.port}"
        return httpx.AsyncClient(base_url=base, verify=self.tls, trust_env=False, timeout=HANG_S)

    @property
    def accesses(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@asynccontextmanager
async def proxied(directory: Path, *gateways: str) -> AsyncIterator[Proxy]:
    """Run nginx with our configuration; only addresses and paths are changed."""
    assert NGINX is not None
    make_certificate(directory / "tls")
    tls = ssl.create_default_context(cafile=str(directory / "tls" / "fullchain.pem"))
    proxy = Proxy(free_port(), free_port(), directory / "access.log", tls)
    text = CONF.read_text()
    changes = {
        "user nginx;": "daemon off; master_process off;",
        "/run/nginx.pid": f"{directory}/nginx.pid",
        "/dev/stderr": f"{directory}/error.log",
        "/dev/stdout": str(proxy.log),
        "/etc/nginx/tls": f"{directory}/tls",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 512;",
        "listen 80;": f"listen 127.0.0.1:{proxy.plain_port};",
        "listen 443 ssl;": f"listen 127.0.0.1:{proxy.port} ssl;",
        **{f"gateway-{n}:8000": url.removeprefix("http://") for n, url in enumerate(gateways, 1)},
        "http {\n": "http {\n"
        + "".join(
            f"    {kind}_temp_path {directory}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    (directory / "nginx.conf").write_text(text)
    arguments = [NGINX, "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]
    process = await asyncio.create_subprocess_exec(*arguments, stderr=subprocess.PIPE)
    try:
        await answers(proxy, process)
        yield proxy
    finally:
        process.terminate()
        await process.communicate()


async def answers(proxy: Proxy, process: asyncio.subprocess.Process) -> None:
    """Wait until nginx listens."""
    async with asyncio.timeout(HANG_S):
        while True:
            assert process.returncode is None, (await process.communicate())[1].decode()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                writer.close()
                await writer.wait_closed()
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    """`nginx -t` reports no problems."""
    assert NGINX is not None
    make_certificate(tmp_path / "tls")
    text = CONF.read_text().replace("user nginx;", "").replace("/etc/nginx/tls", f"{tmp_path}/tls")
    text = text.replace("gateway-1", "127.0.0.1").replace("gateway-2", "127.0.0.2")
    (tmp_path / "nginx.conf").write_text(text.replace("/run/nginx.pid", f"{tmp_path}/nginx.pid"))
    arguments = [NGINX, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "log")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@pytest.mark.long
async def test_two_gateways_behind_nginx(start: Callable[..., Any], tmp_path: Path) -> None:
    """Submitting, watching, pings and close codes work, whichever gateway serves the request."""
    async with (
        start(auth=True, logins_address=3) as one,
        start(auth=True) as two,
        proxied(tmp_path / "nginx", one.url, two.url) as proxy,
        httpx.AsyncClient(
            base_url=f"https://localhost:{proxy.port}", verify=proxy.tls, trust_env=False, timeout=HANG_S
        ) as http,
    ):
        one.http, two.http = http, http
        granted = await one.be("ada")
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        submission_id = await one.submit("wait")
        async with proxy.watching(submission_id, additional_headers=headers) as watcher:
            assert (await next_event(watcher))["status"] == "pending"
            await watcher.send("ping")
            async with asyncio.timeout(HANG_S):
                while await watcher.recv() != "pong":
                    pass
        watched = [
            await messages(await one.sockets.enter_async_context(watching))
            for watching in [proxy.watching(await one.submit(), additional_headers=headers) for _ in range(4)]
        ]
        assert {events[-1]["type"] for events in watched} == {"complete"}
        assert one.services.metrics.opened
        assert two.services.metrics.opened
        async with proxy.watching(submission_id, "?token=secret-in-the-query") as stranger:
            assert (await closed(stranger))[0] == 4003
        # The link that a person clicks has the proxy's scheme and name.
        shown = (await http.get(f"/api/submissions/{submission_id}")).json()
        assert shown["url"] == f"https://localhost:{proxy.port}/submissions/{submission_id}"
        for path in ("/metrics", "/readyz", "/healthz", "/attempts/1"):
            for prefix in ("", "/judge", "/judge/"):
                refused = await http.get(prefix + path)
                # By nginx itself: a gateway has these paths with its prefix, too.
                assert (refused.status_code, "nginx" in refused.text) == (404, True)
        response = await http.get(
            f"http://127.0.0.1:{proxy.plain_port}/api/info?x=1", headers={"Host": "judge.example"}
        )
        assert (response.status_code, response.headers["location"]) == (308, "https://judge.example/api/info?x=1")
        big = await http.post("/api/submissions", content=b"x" * 2_500_000)
        assert (big.status_code, "detail" in big.json()) == (413, True)
        # Its lines are objects that name the request as we do, and hold no query.
        request = (await http.get("/api/info")).headers["x-request-id"]
        await one.until(lambda: request in proxy.log.read_text())
        check_log(proxy, request)


def check_log(proxy: Proxy, request: str) -> None:
    assert [line["path"] for line in proxy.accesses if line["request"] == request] == ["/api/info"]
    assert "secret-in-the-query" not in proxy.log.read_text()
    assert "secret-in-the-query" not in proxy.log.with_name("error.log").read_text()


async def test_gateway_shutdown_behind_nginx(start: Callable[..., Any], tmp_path: Path) -> None:
    """Watchers of a gateway that stops get its 1012 through the proxy and come back to the other one; nobody who asks
    meanwhile notices."""
    async with start() as staying:
        leaving = start(closing_per_s=20.0)
        going = await leaving.__aenter__()
        directory = tmp_path / "nginx"
        async with proxied(directory, going.url, staying.url) as proxy, proxy.client() as http:
            staying.http = http
            submission_id = await staying.submit("wait")
            watchers = [await staying.sockets.enter_async_context(proxy.watching(submission_id)) for _ in range(8)]
            for watcher in watchers:
                await next_event(watcher)
            held = going.services.metrics.connections
            assert 0 < held < 8
            stopping = asyncio.create_task(leaving.__aexit__(None, None, None))
            statuses = set()
            while not stopping.done():
                statuses.add((await http.get("/api/info")).status_code)
            assert statuses == {200}
            await stopping
            gone = [watcher for watcher in watchers if watcher.close_code is not None]
            assert [watcher.close_code for watcher in gone] == [1012] * held
            for _ in gone:
                again = await staying.sockets.enter_async_context(proxy.watching(submission_id, "?after_seq=0"))
                assert (await next_event(again))["seq"] == 1


async def test_nginx_passes_client_addresses(start: Callable[..., Any], tmp_path: Path) -> None:
    """Limits per address use the client's real address, which it cannot spoof: `127.0.0.1` in this test."""
    async with (
        start(auth=True, logins_address=3) as gateway,
        start(auth=True) as other,
        proxied(tmp_path / "nginx", gateway.url, gateway.url) as proxy,
        httpx.AsyncClient(
            base_url=f"https://localhost:{proxy.port}", verify=proxy.tls, trust_env=False, timeout=HANG_S
        ) as http,
    ):
        fields = {"grant_type": "password", "password": "wrong"}
        answers = [
            await http.post(
                "/api/auth/token",
                data={**fields, "username": f"user{number}"},
                headers={"X-Forwarded-For": f"203.0.113.{number}"},
            )
            for number in range(4)
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert (await other.http.post("/api/auth/token", data={**fields, "username": "user9"})).status_code == 401
