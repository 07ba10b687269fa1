"""Section 7 of the contract over real sockets: servers that refuse, proxies in between, nothing listening."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from .command import Commands
from .conftest import CANARIES, needs
from .scripted import (
    Answer,
    Request,
    Rest,
    Script,
    Wire,
    closing,
    finish,
    refusing,
    scripted,
)
from .timing import GRACE_S
from .watching import check_all_seen, check_backoff, check_failed, polled, refusing_rest, through, watch

pytestmark = pytest.mark.side_by_side


# -- who are you, what do you want ------------------------------------------------------------------


async def test_close_4003(command: Commands) -> None:
    """4003 with a token that cannot be refreshed exits 4 and says what to set."""
    async with scripted(closing(4003, "expired")) as server:
        done = await watch(command, server)
    check_failed(done, 4, "auth", "expired", "SUBCLI_TOKEN")
    assert len(server.connects) == 1


async def test_handshake_401(command: Commands) -> None:
    """A handshake answered 401 exits 4 and says what to set."""
    async with scripted(refusing(401)) as server:
        done = await watch(command, server)
    check_failed(done, 4, "auth", "SUBCLI_TOKEN")
    assert len(server.connects) == 1


@pytest.mark.parametrize(("status", "code", "kind"), [(401, 4, "auth"), (404, 5, "not_found")])
async def test_handshake_403_is_explained_by_rest(command: Commands, status: int, code: int, kind: str) -> None:
    """After a handshake answered 403, REST decides: 401 exits 4, 404 exits 5."""
    async with scripted(refusing(403), rest=refusing_rest(status)) as server:
        done = await watch(command, server)
    check_failed(done, code, kind)
    assert len(server.connects) == 1


@pytest.mark.thorough
async def test_handshake_403_without_a_cause(command: Commands) -> None:
    """A handshake answered 403 although REST answers is retried, then REST is polled."""
    async with scripted(refusing(403), rest=polled("passed", 2)) as server:
        done = await watch(command, server, "--max-attempts", "1")
    assert done.code == 0, done
    assert len(server.connects) == 2


@pytest.mark.parametrize("script", [closing(4004, "gone"), refusing(404)], ids=["4004", "404"])
async def test_not_found(command: Commands, script: Script) -> None:
    """4004, and a handshake answered 404, exit 5 without another connect."""
    async with scripted(
        script,
        rest=Rest(
            first=lambda request: (
                Answer(404, {"detail": "Submission not found"}) if "submissions" in request.path else None
            )
        ),
    ) as server:
        done = await watch(command, server)
    check_failed(done, 5, "not_found", "subcli list")
    assert len(server.connects) == 1
    assert done.ended - server.connects[0].at <= 1 + done.allowance_s


async def test_close_4029(command: Commands) -> None:
    """After 4029 the command announces the wait that the reason names, waits, and resumes."""
    async with scripted(closing(4029, "too many connects; retry_after=4", upto=3), finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    check_backoff(done, server.gaps[0], 1, at_least=4)
    again = next(line for line in done.of("connection") if line["state"] == "reconnecting")
    assert (again["code"], again["delay_s"]) == (4029, 4)


@pytest.mark.thorough
async def test_handshake_429(command: Commands) -> None:
    """After a handshake answered 429 the command waits as Retry-After says, in seconds or as a date."""
    async with scripted(refusing(429, Retry_After="3"), finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    check_backoff(done, server.gaps[0], 1, at_least=3)

    async def dated(wire: Wire) -> None:
        await wire.refuse(429, Retry_After=formatdate(time.time() + 5, usegmt=True))

    async with scripted(dated, finish) as server:
        done = await command("watch", "1", "--plain", "--server", server.url)
    assert done.code == 0
    assert 3.5 <= server.gaps[0] <= 5 + done.allowance_s
    assert " in " in done.err, "the wait is said"


async def test_rate_limited_beyond_the_attempts(command: Commands) -> None:
    """Limited beyond the attempts: exit 8. No wait is longer than five minutes, whatever the server says."""
    async with scripted(closing(4029, "retry_after=1")) as server:
        done = await watch(command, server, "--max-attempts", "1")
    check_failed(done, 8, "rate_limited")
    assert len(server.connects) == 2
    async with scripted(closing(4029, "retry_after=999999")) as server:
        process = await command.start("watch", "1", "--json", "--server", server.url)
        assert process.stdout is not None
        delay_s = None
        while delay_s is None:
            line = await process.stdout.readline()
            command.printed.append(line.decode())
            delay_s = json.loads(line).get("delay_s")
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        command.printed += [out.decode(), err.decode()]
    assert delay_s == 300
    assert process.returncode == 130


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1010, 4500, 4999])
async def test_fatal_close_code(command: Commands, code: int) -> None:
    """A close code that no retry cures exits 6 without another connect, with code and reason."""
    async with scripted(closing(code, "this and that", upto=2)) as server:
        done = await watch(command, server)
    check_failed(done, 6, "server", str(code), "this and that")
    assert len(server.connects) == 1
    assert done.seqs == [1, 2]


# -- nothing there ----------------------------------------------------------------------------------


async def test_nothing_listens(command: Commands) -> None:
    """Where nothing listens the command tries once more after a second, then exits 6 with the address and a hint."""
    async with scripted(finish) as server:
        pass
    done = await watch(command, server)
    check_failed(done, 6, "network", f"127.0.0.1:{server.port}", "--server", "subcli serve")
    assert done.took >= 1.0
    assert done.idle_s <= 1.2 + GRACE_S
    assert done.states() == ["connecting", "reconnecting", "closed"]


async def test_rest_hangs_and_the_socket_works(command: Commands) -> None:
    """REST that never answers does not hold back the events of a working socket for long."""
    async with scripted(finish, rest=Rest(first=lambda request: Answer(hang=True))) as server:
        done = await watch(command, server)
    assert done.code == 0
    assert done.ended - server.connects[0].at <= 8 + done.allowance_s


async def test_proxy_without_websockets(command: Commands) -> None:
    """Behind a proxy that lets REST through and no WebSocket the verdict comes by polling."""
    tunnels, refused_at = 0, 0.0

    def first(request: Request) -> Answer | None:
        nonlocal tunnels, refused_at
        if request.method == "CONNECT":
            tunnels, refused_at = tunnels + 1, time.monotonic()
            return Answer(405, {"detail": "no tunnels here"})
        if tunnels == 2 and time.monotonic() - refused_at > 1 and request.path == "/api/submissions/1":
            return Answer(200, {"id": 1, "status": "completed", "final_status": "passed"})
        return None

    async with scripted(rest=Rest(features=None, first=first)) as proxy:
        done = await command(
            "watch", "1", "--json", "--insecure-http", "--server", "http://judge.example", env=through(proxy)
        )
    assert done.code == 0, done
    assert tunnels == 2
    assert proxy.asked("GET", "/api/submissions/1")


@pytest.mark.thorough
async def test_proxy_wants_credentials(command: Commands) -> None:
    """407 exits 6 without a retry, by socket and by REST; the credentials that were sent are not printed."""
    async with scripted(rest=lambda request: Answer(407, None, {"Proxy-Authenticate": "Basic"})) as proxy:
        for words in (("watch", "1"), ("status", "1"), ("submit", "a.py", "--problem", "1")):
            (command.cwd / "a.py").write_text("pass")
            done = await command(
                *words, "--json", "--insecure-http", "--server", "http://judge.example", env=through(proxy)
            )
            assert done.code == 6, done
            assert "407" in done.last["error"]["message"]
            assert done.idle_s <= GRACE_S
    assert all("proxy-authorization" in request.headers for request in proxy.requests)


async def test_unusable_proxies(command: Commands) -> None:
    """A proxy setting that cannot be used is named, without its password: exit 6."""
    secret = CANARIES["proxy password"]
    for url in (f"socks5://me:{secret}@127.0.0.1:9", f"gopher://me:{secret}@127.0.0.1:9", f"http://me:{secret}@[::1"):
        variables = {"HTTP_PROXY": url, "HTTPS_PROXY": url}
        for words in (("watch", "1"), ("status", "1")):
            done = await command(
                *words, "--json", "--debug", "--insecure-http", "--server", "http://judge.example", env=variables
            )
            check_failed(done, 6, "network", "HTTP_PROXY")


def certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for 127.0.0.1, and a server's context with it."""
    needs("openssl", shutil.which("openssl"))
    key, file = directory / "key.pem", directory / "cert.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=scripted"
    subprocess.run(
        ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return file, context


@pytest.mark.thorough(measured=True)
async def test_invalid_certificate(command: Commands) -> None:
    """An untrusted certificate exits 6 with the cause, without a retry; SSL_CERT_FILE makes it trusted."""
    file, context = certificate(command.cwd)
    (command.cwd / "tls.py").write_text("pass")
    async with scripted(finish, tls=context) as server:
        for words in (("watch", "1"), ("status", "1"), ("submit", "tls.py", "--problem", "1")):
            done = await command(*words, "--json", "--server", server.url)
            check_failed(done, 6, "network", "certificate", "SSL_CERT_FILE")
            assert "reconnecting" not in done.states()
        assert server.requests == [], "nothing was said to it, no token above all"
        done = await watch(command, server, env={"SSL_CERT_FILE": str(file)})
        check_all_seen(done, server, connects=1)


async def test_unknown_host(command: Commands) -> None:
    """A host name that does not resolve is tried once more after a second, then exit 6 names it."""
    patch = command.cwd / "no-names"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import socket\n"
        "def unknown(*args, **options):\n"
        "    raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')\n"
        "socket.getaddrinfo = unknown\n"
    )
    done = await command(
        *("watch", "1", "--json", "--server", "https://judge.example"),
        env={"PYTHONPATH": f"{patch}:{command.env.get('PYTHONPATH', '')}", "HTTP_PROXY": ""},
    )
    check_failed(done, 6, "network", "judge.example", "--server")
    assert done.states() == ["connecting", "reconnecting", "closed"]
