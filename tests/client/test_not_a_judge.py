"""Answers that no judge gives, and redirects: said at once and in every command, with the address to use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from subcli.client.client import Client
from subcli.client.connection import connect
from subcli.core.errors import NetworkError, NotFoundError, ServerError, SubcliError, UsageError
from subcli.core.watch import Watch
from subcli.settings.config import load
from subcli.workspace.source import read_source
from tests.hang import HANG_S
from tests.system.scripted import Answer, Request, Rest, Script, finish, refusing, scripted

PAGE = b"<!DOCTYPE HTML>\n<html><head><title>%s</title></head><body>...</body></html>"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own: nobody is logged in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


async def never(seconds: float, reason: str, asked: bool) -> None:
    """For what must be said at once."""
    raise AssertionError(f"waits {seconds} s: {reason}")


async def submit(client: Client) -> Any:
    """Submit some code."""
    path = Path(__file__)
    return await client.submit(read_source([str(path)]), problem="lru-cache", language="python")


async def watch(client: Client) -> None:
    """Watch to the end."""
    async for _ in client.session(Watch(1)).events():
        pass


COMMANDS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "submit": submit,
    "watch": watch,
    "status": lambda client: client.api.submission_with_retry(1),
    "list": lambda client: client.submissions(limit=3),
    "cancel": lambda client: client.api.cancel(1),
    "problems": lambda client: client.api.problems(),
    "problems show": lambda client: client.problem("lru-cache"),
    "auth login": lambda client: client.api.require_judge(),
}


async def error_of(name: str, url: str) -> SubcliError:
    """How a command ends, without any wait, and before a second attempt of the socket would begin."""
    settings = load({"server": url}, {}, Path("/"), None)
    async with connect(settings, wait=never) as client, asyncio.timeout(HANG_S):
        with pytest.raises(SubcliError) as caught:
            await COMMANDS[name](client)
    return caught.value


def file_server(request: Request) -> Answer:
    """As `python -m http.server` answers."""
    if request.method != "GET":
        return Answer(501, PAGE % b"Error response")
    return Answer(404, PAGE % b"Error response")


def other_framework(request: Request) -> Answer:
    """A server made with the same framework, or ours with a wrong path."""
    return Answer(404, {"detail": "Not Found"})


def front_page(request: Request) -> Answer:
    """One page for everything."""
    return Answer(200, PAGE % b"Welcome")


def other_api(request: Request) -> Answer:
    """JSON, but not ours."""
    return Answer(404, {"error": "no route"})


def healthy(request: Request) -> Answer:
    """JSON for everything, as of a load balancer that is asked how it is."""
    return Answer(200, {"status": "ok"})


def portal(request: Request) -> Answer:
    """The login page of a network (RFC 6585), before anything beyond it is reached."""
    return Answer(511, PAGE % b"Login Required")


SERVERS = [file_server, other_framework, front_page, other_api, portal]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("command", COMMANDS)
async def test_something_that_is_not_a_judge(server: Callable[[Request], Answer], command: str) -> None:
    """Every command says so, with exit 6: an id or a problem is not what is wrong."""
    async with scripted(refusing(404), rest=server) as running:
        error = await error_of(command, running.url)
    assert type(error) is ServerError, error
    assert error.message.startswith(f"No judge answers: {running.url}/api answers HTTP ")
    assert "a proxy before it" in error.hint  # a judge that was there before may stand behind one that is broken
    assert "subcli doctor" in error.hint
    assert len(running.connects) <= 1


@pytest.mark.parametrize("command", ["submit", "watch", "list", "problems"])
async def test_address_is_named(command: str) -> None:
    """What is JSON, and still no answer of a judge, is said of the address that gave it."""
    async with scripted(refusing(404), rest=healthy) as running:
        error = await error_of(command, running.url)
    assert type(error) is ServerError, error
    assert error.message.startswith(f"No judge answers: {running.url}/api answers HTTP 200: the response ")


@pytest.mark.parametrize("command", COMMANDS)
async def test_api_given_as_the_server(command: str) -> None:
    """The path is there twice; the hint says to leave it out."""
    async with scripted(refusing(404), rest=other_framework) as running:
        error = await error_of(command, f"{running.url}/api")
    assert type(error) is ServerError
    assert f"{running.url}/api/api answers" in error.message
    assert "Remove the path" in error.hint


@pytest.mark.parametrize("detail", ["Not Found", "There is no submission 1.", "Submission not found"])
@pytest.mark.parametrize("features", [None, frozenset({"resume"})])
async def test_judge_without_the_submission(detail: str, features: frozenset[str] | None) -> None:
    """A 404 of a judge is one, however it is worded, and with `/info` or without."""

    def first(request: Request) -> Answer | None:
        if request.path == "/api/problems":
            return Answer(401, {"detail": "Not authenticated"})
        return Answer(404, {"detail": detail}) if request.path == "/api/submissions/1" else None

    async with scripted(refusing(404), rest=Rest(features=features, first=first)) as running:
        for command in ("watch", "status"):
            assert type(await error_of(command, running.url)) is NotFoundError


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_to_https(command: str, status: int) -> None:
    """As many servers do for everything: the address to use is named, prefix included, and nothing is sent there."""

    def moved(request: Request) -> Answer:
        return Answer(status, PAGE % b"Moved", {"Location": f"https://judge.example{request.target}"})

    async with scripted(redirecting(status), rest=moved) as running:
        error = await error_of(command, f"{running.url}/judge")
    assert type(error) is NetworkError
    assert f"127.0.0.1:{running.port} redirects to https://judge.example/judge/" in error.message
    assert error.hint == "Use `--server https://judge.example/judge`."
    assert len(running.connects) <= 1


def redirecting(status: int) -> Script:
    """A handshake that is redirected as well."""
    return refusing(status, Location="https://judge.example/judge/ws/submissions/1")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://sso.example/login?next=secret", "redirects to https://sso.example/login."),
        ("https://ada:hunter2@judge.example/", "not a web address"),
        ("javascript:alert(1)", "not a web address"),
        ("https://[::1", "not a web address"),
        ("https://x.example/\x1b[2J", "not a web address"),
    ],
)
async def test_other_redirects(location: str, words: str) -> None:
    """A login page, and what no browser would follow: without its query, a password or an escape sequence."""
    async with scripted(rest=lambda request: Answer(302, None, {"Location": location})) as running:
        error = await error_of("list", running.url)
    assert words in error.message
    assert "`--server https://sso" not in error.hint
    assert not {"secret", "hunter2", "\x1b"} & set(error.message.split())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(400, PAGE % b"400 Request Header Or Cookie Too Large"), "400 Request Header Or Cookie Too Large"),
        (Answer(431, b""), "HTTP 431 Said"),
        (Answer(403, PAGE % b"Blocked by policy"), "HTTP 403 Blocked by policy"),
        (Answer(400, {"detail": "no such host"}), "no such host"),
    ],
)
async def test_first_answer_says_it_all(answer: Answer, words: str) -> None:
    """`watch` does not try for a minute to get another answer; a page is no judge's answer, whatever the command."""
    async with scripted(refusing(answer.status), rest=lambda request: answer) as running:
        error = await error_of("watch", running.url)
        other = await error_of("status", running.url)
    assert type(error) is ServerError
    assert type(other) is (UsageError if isinstance(answer.body, dict) else ServerError)
    assert words in error.message
    assert words in other.message
    assert len(running.connects) == 1


@pytest.mark.parametrize("words", [b"400 The plain HTTP request was sent to HTTPS port", b"an HTTPS server."])
@pytest.mark.parametrize("command", ["watch", "list"])
async def test_http_to_a_port_for_https(words: bytes, command: str) -> None:
    """As nginx and servers in Go answer it."""
    async with scripted(refusing(400), rest=lambda request: Answer(400, words)) as running:
        error = await error_of(command, running.url)
    assert error.message == f"127.0.0.1:{running.port} does not speak plain http."
    assert error.hint == f"Use `--server https://127.0.0.1:{running.port}`."


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n",
        b"421 disconnected: closed for today\r\n\r\n",
    ],
)
@pytest.mark.parametrize("command", ["watch", "list"])
async def test_something_that_does_not_speak_http(answer: bytes, command: str) -> None:
    """SSH, a radio, a broken proxy: it will not do so the next time either."""

    async def says(wire: Any) -> None:
        await wire.raw(answer)

    async with scripted(says, rest=lambda request: Answer(bare=answer)) as running:
        error = await error_of(command, running.url)
    assert type(error) is ServerError
    assert error.message == f"No judge answers: 127.0.0.1:{running.port} does not speak HTTP."
    assert len(running.connects) <= 1


async def test_long_header_line_in_the_handshake() -> None:
    """The socket's library takes no line over 8 KiB; REST works, so the watch polls."""

    async def long(wire: Any) -> None:
        await wire.raw(b"HTTP/1.1 101 Switching Protocols\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n")

    rest = Rest(snapshot={"submission_id": 1, "status": "completed", "final_status": "passed", "summary": {}})
    async with scripted(long, finish, rest=rest) as running:
        settings = load({"server": running.url}, {}, Path("/"), None)
        async with connect(settings) as client, asyncio.timeout(HANG_S):
            watched = Watch(1)
            async for _ in client.session(watched).events():
                pass
    assert watched.verdict is not None
