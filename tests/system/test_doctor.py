"""`subcli doctor` finds each problem, names it and says how to fix it."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import time
from email.utils import formatdate
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from subcli.client import transport
from subcli.client.doctor.diagnose import diagnose
from subcli.client.doctor.diagnosis import Diagnosis
from subcli.client.doctor.reach import MAX_RESPONSE_BYTES
from subcli.client.trust import system_trust
from subcli.settings.config import load

from .conftest import Run, Served, needs
from .other_platform import API, OtherPlatform
from .scripted import Answer, Rest, Script, Wire, closing, finish, refusing, scripted, staying

SCHEMA = jsonschema.Draft202012Validator(json.loads(files("subcli").joinpath("schema.json").read_text()))
NAMES = [
    "program",
    "settings",
    "proxy",
    "server",
    "certificate",
    "api",
    "clock",
    "judging",
    "websocket",
    "token",
    "keyring",
]
DEMO = {"name": "subcli", "version": "9", "demo": True, "features": ["resume"]}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, and nothing of this machine's in the way."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


async def findings(url: str, **env: str) -> dict[str, Diagnosis]:
    """What is found on the way to a server, by name; always the same things in the same order."""
    settings = load({"server": url}, env, Path("/"), None)
    found = [finding async for finding in diagnose(settings, "1")]
    assert [finding.name for finding in found if finding.name != "problems"] == NAMES
    assert all(finding.cure for finding in found if finding.state == "failed"), found
    return {finding.name: finding for finding in found}


def info(body: object = DEMO, **headers: str) -> Rest:
    """A server that says this of itself."""
    return Rest(first=lambda request: Answer(200, body, headers) if request.path == "/api/info" else None)


async def test_no_problems(tmp_path: Path) -> None:
    """A server in demo mode; a socket is really opened."""
    async with scripted(finish, rest=info()) as server:
        found = await findings(server.url)
    assert {name for name, finding in found.items() if finding.state != "ok"} == {"clock", "judging", "keyring"}
    assert "subcli 9, demo mode: resume" in found["api"].detail
    assert "demo mode" in found["keyring"].detail
    assert len(server.connects) == 1


async def test_problems_that_are_outdated(tmp_path: Path) -> None:
    """Whoever runs the server should look at its log; learners can go on."""
    rows = [{"slug": f"p{number}", "outdated": number != 3} for number in range(9)]
    answers = {"/api/info": Answer(200, DEMO), "/api/problems": Answer(200, {"problems": rows})}
    async with scripted(finish, rest=Rest(first=lambda request: answers.get(request.path))) as server:
        found = await findings(server.url)
    assert found["problems"].state == "warning"
    assert found["problems"].detail == (
        "not valid as they are now: p0, p1, p2, p4, p5 and more; the versions before stay in service"
    )


async def test_unreachable_server() -> None:
    """The later checks are skipped and reported as skipped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        found = await findings(f"http://127.0.0.1:{port}")
    assert found["server"].state == "failed"
    assert "refused" in found["server"].detail
    assert "subcli serve" in found["server"].cure
    assert {found[name].state for name in NAMES[4:]} == {"skipped"}


@pytest.mark.parametrize(
    ("script", "state", "words", "cure"),
    [
        (refusing(426), "failed", "426", "Upgrade"),
        (refusing(200), "failed", "200", "Upgrade"),
        (refusing(404), "failed", "nothing at ws://", "ws_url"),
        (refusing(403), "ok", "403", ""),
        (closing(4004), "ok", "handshake and answer", ""),
        (closing(4003, "who are you"), "ok", "handshake and answer", ""),
        (staying, "failed", "no answer to the handshake", "Upgrade"),
    ],
)
async def test_websocket_problems(
    monkeypatch: pytest.MonkeyPatch, script: Script, state: str, words: str, cure: str
) -> None:
    """A proxy that drops the upgrade or the frames, a wrong path, a refusing server."""
    if script is staying:
        monkeypatch.setattr(transport, "OPEN_TIMEOUT_S", 0.3)
    async with scripted(script, rest=info()) as server:
        found = await findings(server.url)
    assert found["websocket"].state == state
    assert words in found["websocket"].detail
    assert cure in found["websocket"].cure


async def test_handshake_without_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some proxies pass the handshake but no frame."""
    monkeypatch.setattr("subcli.client.doctor.access.RESPONSE_TIMEOUT_S", 0.2)

    async def mute(wire: Wire) -> None:
        await wire.accept()
        await wire.stay()

    async with scripted(mute, rest=info()) as server:
        found = await findings(server.url)
    assert found["websocket"].state == "failed"
    assert "nothing arrives" in found["websocket"].detail


@pytest.mark.parametrize(
    ("judging", "state", "words"),
    [(True, "ok", "a worker is there"), (False, "failed", "submissions wait"), ("yes", "skipped", "does not say")],
)
async def test_nobody_judges(judging: object, state: str, words: str) -> None:
    """Whether a submission would get a verdict; a server that does not say is not suspected."""
    async with scripted(finish, rest=info({**DEMO, "judging": judging})) as server:
        found = await findings(server.url)
    assert (found["judging"].state, found["judging"].kind == "server") == (state, state == "failed")
    assert words in found["judging"].detail
    assert ("/readyz" in found["judging"].cure) == (state == "failed")


@pytest.mark.parametrize(
    ("off", "state", "words"),
    [
        (0, "ok", "in sync with the server's"),
        (-400, "warning", "7 minutes ahead of"),
        (90, "warning", "behind"),
        (-86400, "warning", "24 hours ahead"),
    ],
)
async def test_clock(off: float, state: str, words: str) -> None:
    """The local clock is compared with the server's."""
    async with scripted(finish, rest=info(Date=formatdate(time.time() + off, usegmt=True))) as server:
        found = await findings(server.url)
    assert found["clock"].state == state
    assert words in found["clock"].detail
    assert ("set-ntp" in found["clock"].cure) == (state == "warning")


def with_accounts(me: Answer) -> Rest:
    """A server that asks who one is."""
    answers = {"/api/info": Answer(200, {"name": "judge", "features": []}), "/api/auth/me": me}
    return Rest(first=lambda request: answers.get(request.path))


@pytest.mark.parametrize(
    ("me", "token", "state", "words"),
    [
        (Answer(200, {"user": "ada"}), "x", "ok", "ada"),
        (Answer(401, {"detail": "no"}), "x", "failed", "SUBCLI_TOKEN"),
        (Answer(404, {"detail": "no"}), "x", "warning", "cannot verify it"),
        (Answer(500, {"detail": "oops"}), "x", "failed", "oops"),
        (Answer(401, {"detail": "no"}), "", "failed", "none for this server"),
    ],
)
async def test_token(me: Answer, token: str, state: str, words: str) -> None:
    """A token is tested on the server; if a required one is missing, the command to type is shown."""
    async with scripted(finish, rest=with_accounts(me)) as server:
        found = await findings(server.url, SUBCLI_TOKEN=token, SUBCLI_SERVER=server.url)
    assert found["token"].state == state
    assert words in found["token"].detail
    if state == "failed" and me.status == 401:
        assert found["token"].kind == "auth"
    if not token:
        assert f"subcli auth login --server {server.url}" in found["token"].cure
        assert (found["keyring"].state, found["keyring"].kind) == ("warning", "auth")


async def test_other_server() -> None:
    """The path is named if the server is not a judge."""
    endless = Answer(200, b"[" + b" " * MAX_RESPONSE_BYTES + b"]")
    for answer in (
        endless,
        Answer(200, b"<html>"),
        Answer(404, b"nothing"),
        Answer(500),
        Answer(302, None, {"Location": "/x"}),
    ):
        rest = Rest(features=None, first=lambda request, answer=answer: answer)  # type: ignore[misc]
        async with scripted(finish, rest=rest) as server:
            found = await findings(server.url)
        assert (found["api"].state, found["api"].kind) == ("failed", "server")
        assert "api_path" in found["api"].cure
        assert found["websocket"].state == "skipped"


async def test_proxy() -> None:
    """What was decided and why, without a password; one that cannot be used is a failure."""
    for value, words in (
        ("socks5://user:hunter2@127.0.0.1:9", "SOCKS proxies are not supported"),
        ("user:hunter2@127.0.0.1:1", "the proxy 127.0.0.1:1 (from HTTP_PROXY) refused the connection"),
    ):
        found = await findings("http://judge.invalid", HTTP_PROXY=value)
        assert found["proxy"].state == "failed"
        assert words in found["proxy"].detail
        assert "HTTP_PROXY" in found["proxy"].cure
        assert "hunter2" not in str(found)
        assert {found[name].state for name in NAMES[3:]} == {"skipped"}
    async with scripted(finish, rest=lambda request: Answer(407)) as proxy:
        url = f"http://user:hunter2@127.0.0.1:{proxy.port}"
        found = await findings("http://judge.invalid", HTTP_PROXY=url)
        assert found["proxy"] == Diagnosis("proxy", "ok", f"through 127.0.0.1:{proxy.port}, from HTTP_PROXY")
        assert found["api"].state == "failed"
        assert "hunter2" not in str(found)
        assert proxy.requests
        found = await findings("http://judge.invalid", HTTP_PROXY=url, NO_PROXY="[::,other.invalid")
        assert found["proxy"].state == "warning"
        assert "unreadable in NO_PROXY: '[::'" in found["proxy"].detail
    found = await findings("http://judge.invalid", HTTP_PROXY=url, NO_PROXY="judge.invalid")
    assert found["proxy"].state == "ok"
    assert "judge.invalid is exempt from HTTP_PROXY by 'judge.invalid' in NO_PROXY" in found["proxy"].detail


@pytest.mark.thorough(measured=True)
async def test_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrusted certificate fails; with SSL_CERT_FILE it is trusted, and its expiry is shown."""
    needs("openssl", shutil.which("openssl"))
    key, file = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=judge -addext subjectAltName=IP:127.0.0.1"
    await asyncio.to_thread(
        subprocess.run,
        ["openssl", *words.split(), "-keyout", str(key), "-out", str(file)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    async with scripted(finish, rest=info(), tls=context) as server:
        system_trust.cache_clear()
        found = await findings(server.url)
        assert found["certificate"].state == "failed"
        assert "SSL_CERT_FILE" in found["certificate"].cure
        assert found["token"].state == "skipped"
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        system_trust.cache_clear()
        found = await findings(server.url)
        assert (found["certificate"].state, found["websocket"].state) == ("warning", "ok")
        assert "valid only until" in found["certificate"].detail
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
        system_trust.cache_clear()
        found = await findings(server.url)
        assert (found["certificate"].state, found["certificate"].kind) == ("failed", "usage")
    system_trust.cache_clear()


async def test_other_platform() -> None:
    """Its bad token fails the handshake; missing features are a warning, and it counts as reachable."""
    platform = OtherPlatform()
    async with scripted(platform.socket, rest=platform) as server:
        settings = load({"server": server.url}, {"SUBCLI_API_PATH": API}, Path("/"), None)
        found = {finding.name: finding async for finding in diagnose(settings, "1")}
    assert found["api"].state == "warning"
    assert found["websocket"].state == "ok"


# -- the command ------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_output(server: Served, run: Run) -> None:
    """One aligned entry per check; JSON that matches the schema; the exit code of the worst check."""
    done = run("doctor", "--server", server.url, env={"SUBCLI_TOKEN": ""})
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    # Long ones go on in the next line.
    assert [line[12:].split()[0] for line in lines if line[:3] in (" ✓ ", " – ", " ! ")] == NAMES
    assert lines[-1] == " No problems found."
    body = json.loads(run("doctor", "--json", "--server", server.url, env={"SUBCLI_TOKEN": ""}).stdout)
    SCHEMA.validate(body)
    assert body["doctor"]["exit_code"] == 0
    assert run("doctor", "-q", "--server", server.url, env={"SUBCLI_TOKEN": ""}).stdout == "ok\n"
    away = run("doctor", "--server", "http://127.0.0.1:9", env={"SUBCLI_TOKEN": ""})
    assert away.returncode == 6
    assert "✗ failed   server" in away.stdout
    assert "→ Name the server" in away.stdout
    wrong = run("doctor", "--json", "--server", "ftp://x", env={"SUBCLI_TOKEN": ""})
    assert (wrong.returncode, json.loads(wrong.stdout)["doctor"]["findings"][0]["state"]) == (2, "failed")
