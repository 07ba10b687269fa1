"""The nginx configuration of `docs/deploy`, in a real nginx in front of two real gateways."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import sys
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
GUIDE = CONF.with_name("README.md")
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


def debian_configuration(directory: Path) -> str:
    """The configuration for Debian, made with the very command of the guide."""
    found = re.search(r"(sed -e 's\|\^user nginx.*?nginx\.conf) > /etc/nginx/nginx\.conf", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    done = subprocess.run(
        ["sh", "-c", found[1]], cwd=CONF.parent, capture_output=True, text=True, check=True, timeout=30
    )
    assert "user www-data;" in done.stdout
    return done.stdout


@asynccontextmanager
async def proxied(directory: Path, *gateways: str, text: str | None = None, prefix: str = "") -> AsyncIterator[Proxy]:
    """Run nginx with our configuration; only addresses and paths are changed.

    Args:
        text: the configuration, if it is that for Debian.
        prefix: the path under which the gateways are shown.
    """
    assert NGINX is not None
    make_certificate(directory / "tls")
    tls = ssl.create_default_context(cafile=str(directory / "tls" / "fullchain.pem"))
    proxy = Proxy(free_port(), free_port(), directory / "access.log", tls)
    changes = {
        "/run/nginx.pid": f"{directory}/nginx.pid",
        "/etc/nginx/tls": f"{directory}/tls",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 512;",
        "listen 80;": f"listen 127.0.0.1:{proxy.plain_port};",
        "listen 443 ssl;": f"listen 127.0.0.1:{proxy.port} ssl;",
        "location / {": f"location {prefix}/ {{",
    }
    addresses = [url.removeprefix("http://") for url in gateways]
    ours = {
        "user nginx;": "daemon off; master_process off;",
        "/dev/stderr": f"{directory}/error.log",
        "/dev/stdout": str(proxy.log),
        **{f"gateway-{n}:8000": address for n, address in enumerate(addresses, 1)},
        "http {\n": "http {\n"
        + "".join(
            f"    {kind}_temp_path {directory}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
    }
    debians = {
        "user www-data;": "user www-data; daemon off;",
        "/var/log/nginx": str(directory),
        **{f"127.0.0.1:800{n}": address for n, address in enumerate(addresses, 1)},
    }
    changes |= ours if text is None else debians
    text = text or CONF.read_text()
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


def has_www_data() -> bool:
    """Whether nginx can become Debian's user here."""
    return os.geteuid() == 0 and any(account.pw_name == "www-data" for account in pwd.getpwall())


def workers_users(pid_file: Path) -> set[str]:
    """The users that the workers of an nginx run as."""
    master = int(pid_file.read_text())
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return {pwd.getpwuid(Path(f"/proc/{child}").stat().st_uid).pw_name for child in children}


@pytest.mark.thorough
@pytest.mark.skipif(not has_www_data(), reason="not root, or there is no user www-data (Debian)")
async def test_debians_nginx(start: Callable[..., Any], tmp_path: Path) -> None:
    """With its own user: workers that cannot read what is ours pass on sockets, and bodies that they keep in files."""
    async with (
        start() as gateway,
        proxied(tmp_path / "nginx", gateway.url, gateway.url, text=debian_configuration(tmp_path)) as proxy,
        httpx.AsyncClient(base_url=f"https://localhost:{proxy.port}", verify=proxy.tls, trust_env=False) as http,
    ):
        await gateway.until(lambda: workers_users(tmp_path / "nginx" / "nginx.pid") == {"www-data"})
        gateway.http = http
        submission_id = await gateway.submit()
        async with proxy.watching(submission_id) as watcher:
            assert (await messages(watcher))[-1]["type"] == "complete"
        big = await http.post("/api/submissions", content=b"x" * 2_500_000)
        assert (big.status_code, "detail" in big.json()) == (413, True)
        await gateway.until(lambda: len(proxy.accesses) >= 3)


@pytest.mark.thorough(measured=True)
async def test_path_prefix(start: Callable[..., Any], tmp_path: Path) -> None:
    """`https://host/judge/`: the program, the page and its links work behind it, and nothing else is there."""
    (tmp_path / "solution.py").write_text("print()")
    async with (
        start(root_path="/judge") as gateway,
        proxied(tmp_path / "nginx", gateway.url, gateway.url, prefix="/judge") as proxy,
        httpx.AsyncClient(base_url=f"https://localhost:{proxy.port}", verify=proxy.tls, trust_env=False) as http,
    ):
        server = f"https://localhost:{proxy.port}/judge"
        certificate = str(tmp_path / "nginx" / "tls" / "fullchain.pem")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SUBCLI_")}

        async def subcli(*words: str) -> tuple[int | None, str]:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "subcli", *words, "--server", server),
                env={**kept, "HOME": str(tmp_path), "SSL_CERT_FILE": certificate, "CI": "1"},
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            out, _ = await process.communicate()
            return process.returncode, out.decode()

        code, out = await subcli("submit", "solution.py", "--problem", "echo", "--plain")
        assert code == 0, out
        assert f"{server}/submissions/1" in out
        assert await subcli("watch", "1", "-q") == (0, "passed\n")
        assert await subcli("status", f"{server}/submissions/1", "-q") == (0, "passed\n")
        page = await http.get("/judge/submissions/1")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        for path in ("/judge/readyz", "/judge/metrics", "/api/info", "/submissions/1"):
            refused = await http.get(path)
            assert (refused.status_code, "nginx" in refused.text) == (404, True), path
