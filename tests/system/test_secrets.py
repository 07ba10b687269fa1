"""Secrets stay where they are: tokens, passwords and proxy credentials, wherever they come from.

Beside these tests, the ``canary`` fixture looks through everything that any test of this directory printed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
from pathlib import Path
from typing import Any

import pytest

from tests.preload.client import VARIABLE

from .command import Commands
from .conftest import CANARIES
from .scripted import LOG, Answer, Request, Rest, Wire, closing, finish, gone, refusing, scripted, some

pytestmark = pytest.mark.side_by_side
TOKEN = CANARIES["token"]


async def test_debug_output_of_everything(command: Commands) -> None:
    """--debug shows the ready states, the frames, the requests and the decisions, and no token."""
    (command.cwd / "s.py").write_text("pass")
    echo = f"your token {TOKEN} ran out"

    async def echoing(wire: Wire) -> None:
        await some(3)(wire)
        await wire.text({"type": "note", "submission_id": 1, "authorization": f"Bearer {TOKEN}", "said": echo})
        await wire.close(1011, f"token={TOKEN}")

    async with scripted(echoing, finish, rest=Rest()) as server:
        done = await command("submit", "s.py", "--problem", "1", "--plain", "--debug", "--server", server.url)
    assert done.code == 0, done
    for word in ("socket:state", "0 CONNECTING", "1 OPEN", "3 CLOSED", "socket:frame", "http", "retry"):
        assert word in done.err
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {TOKEN}"}


async def test_errors_that_repeat_the_token(command: Commands) -> None:
    """A server that repeats the token in its refusals does not get it printed, in any mode."""
    detail = {"detail": f"the token {TOKEN} is not known"}
    rest = Rest(first=lambda request: Answer(401, detail))
    scripts = (closing(4003, f"bad token {TOKEN}"), closing(4500, f"{TOKEN}!"), refusing(401), refusing(500))
    for script, mode in zip(scripts, ("--json", "--plain", "-q", "--json"), strict=True):
        async with scripted(script, rest=rest) as server:
            done = await command("watch", "1", mode, "--debug", "--max-attempts", "0", "--server", server.url)
        assert done.code in (4, 6), done


@pytest.mark.thorough
async def test_forced_crashes(command: Commands) -> None:
    """An uncaught exception whose text and traceback hold the token: exit 3, reported without it."""
    patch = command.cwd / "crash"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import os\n"
        "import importlib.abc, importlib.util, sys\n"
        "class Crash(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == os.environ['CRASH_AT']:\n"
        "            token = os.environ['SUBCLI_TOKEN']\n"
        "            try:\n"
        "                raise ValueError(f'inner {token} http://u:{token}@h/')\n"
        "            except ValueError as inner:\n"
        "                raise RuntimeError(f'wss://host/ws?token={token} and {token}') from inner\n"
        "sys.meta_path.insert(0, Crash())\n"
    )
    for module, words in (
        ("subcli.cli.watching.loop", ("--debug",)),
        ("subcli.client.client", ("--json", "--debug")),
        ("websockets.asyncio.client", ()),
    ):
        done = await command(
            *("watch", "1", *words, "--server", "http://127.0.0.1:9"),
            env={"PYTHONPATH": f"{patch}:{command.env.get('PYTHONPATH', '')}", "CRASH_AT": module},
        )
        assert done.code == 3, done
        assert "RuntimeError" in done.out + done.err
        assert ("Traceback" in done.err) == ("--debug" in words)
        assert "***" in done.out + done.err


async def test_token_from_a_file(command: Commands) -> None:
    """SUBCLI_TOKEN_FILE is read, stripped and sent; what is in it is never printed, nor what is wrong with it."""
    planted = command.cwd / "planted"
    environment = {"SUBCLI_TOKEN": "", "SUBCLI_TOKEN_FILE": str(planted)}
    planted.write_text(f"  {TOKEN}\n")
    async with scripted(finish) as server:
        done = await command("watch", "1", "--json", "--debug", "--server", server.url, env=environment)
        assert done.code == 0, done
        assert server.connects[0].headers["authorization"] == f"Bearer {TOKEN}"
        assert server.connects[0].query("token") == TOKEN, "quoted as a query needs it"
        for wrong in (f"{TOKEN}\nmore", f"two {TOKEN}", f"{TOKEN}é"):
            planted.write_text(wrong)
            done = await command("watch", "1", "--server", server.url, env=environment)
            assert done.code == 2, done
            assert "SUBCLI_TOKEN_FILE" in done.err
        planted.write_bytes(b"\xff\xfe")
        assert (await command("watch", "1", "--server", server.url, env=environment)).code == 2
        planted.write_text("")
        done = await command("watch", "1", "--json", "--server", server.url, env=environment)
        assert done.code == 0
        assert "authorization" not in server.connects[-1].headers, "an empty token is none"


def command_line(pid: int) -> bytes:
    """What `ps` shows of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.thorough(measured=True)
async def test_not_in_the_process_list(command: Commands) -> None:
    """While it runs, nothing secret stands in its command line."""
    seen: list[bytes] = []

    async def look(process: asyncio.subprocess.Process) -> None:
        # Until it has ended, which may be a moment before anybody tells us.
        with contextlib.suppress(FileNotFoundError):
            while True:
                seen.append(command_line(process.pid))
                await asyncio.sleep(0.05)

    async with scripted(some(3), finish) as server:
        done = await command("watch", "1", "--json", "--server", server.url, env={VARIABLE: "real"}, during=look)
    assert done.code == 0
    assert any(b"watch" in line for line in seen)
    assert not any(TOKEN.encode() in line for line in seen)


async def test_a_project_from_strangers(command: Commands) -> None:
    """A `.subcli.toml` that names a server gets no request, let alone a token; `ws_url` is not its to say."""
    for directory, line in (("a", 'server = "{}"'), ("b", 'ws_url = "{}"'), ("c", 'server = "{}"\napi_path = "/x"')):
        (command.cwd / directory).mkdir()
        (command.cwd / directory / "s.py").write_text("pass")
        async with scripted(finish) as server:
            url = server.url if line.startswith("server") else server.url.replace("http", "ws")
            (command.cwd / directory / ".subcli.toml").write_text(line.format(url) + '\nproblem = "1"\n')
            for words in (("watch", "1"), ("submit", "s.py")):
                done = await command(*words, cwd=command.cwd / directory)
                assert done.code == 2, (line, done)
            assert server.requests == []


@pytest.mark.thorough(measured=True)
async def test_over_plain_http(command: Commands) -> None:
    """A token over http to another machine only with --insecure-http, for the WebSocket's address as well."""
    here = "http://127.0.0.1:9"
    for variables in (
        {"SUBCLI_SERVER": "http://judge.example"},
        {"SUBCLI_SERVER": here, "SUBCLI_WS_URL": "ws://judge.example/ws"},
    ):
        done = await command("watch", "1", env=variables)
        assert done.code == 2, done
        assert "--insecure-http" in done.err


@pytest.mark.thorough
async def test_addresses_with_passwords(command: Commands) -> None:
    """A password in an address is not accepted, and not printed, however broken the address is."""
    word = CANARIES["proxy password"]
    for server in (f"http://me:{word}@h", f"http://me:{word}@[", f"me:{word}@h:x", f"http://me:p@{word}@h/"):
        done = await command("watch", "1", "--json", "--debug", "--server", server)
        assert done.code == 2, (server, done)
    server = f"http://me:{word}@["
    assert (await command("watch", f"{server}/submissions/1", "--debug")).code == 2
    assert (await command("watch", "1", "--debug", env={"SUBCLI_WS_URL": server.replace("http", "ws")})).code == 2


def always(answer: Answer, request: Request) -> Answer:
    """The same answer to every request."""
    return answer


@pytest.mark.thorough
async def test_proxies_that_fail(command: Commands) -> None:
    """A proxy that is away, that resets, or that answers nonsense: its credentials are sent and not printed."""
    user, word = CANARIES["proxy user"], CANARIES["proxy password"]
    basic = base64.b64encode(f"{user}:{word}".encode()).decode()

    async def proxied(url: str) -> None:
        done = await command(
            *("watch", "1", "--json", "--debug", "--max-attempts", "0", "--insecure-http"),
            *("--server", "http://judge.example"),
            env=dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), url),
        )
        assert done.code == 6, done
        assert basic not in done.out + done.err

    await proxied(f"http://{user}:{word}@127.0.0.1:9")
    for answer in (Answer(cut=True), Answer(503, {"detail": "no"}), Answer(200, b"hello")):
        async with scripted(gone, rest=Rest(first=functools.partial(always, answer))) as proxy:
            await proxied(f"http://{user}:{word}@127.0.0.1:{proxy.port}")
        assert proxy.requests[0].headers["proxy-authorization"] == f"Basic {basic}"


@pytest.mark.thorough(measured=True)
async def test_hostile_text_in_every_mode(command: Commands) -> None:
    """Close reasons, details, names, urls and statuses with escape sequences: visible in text, escaped in JSON."""
    evil = "\x1b]52;c;aGk=\x07\x9b2J\u202eevil\u200b[red]x[/x]"
    log: list[dict[str, Any]] = [
        {"type": "status_update", "submission_id": 1, "seq": 1, "status": f"st{evil}", "detail": evil},
        {"type": "test_result", "submission_id": 1, "seq": 2, "test_name": evil, "status": "failed", "message": evil},
        {
            "type": "error_analysis",
            "submission_id": 1,
            "seq": 3,
            "error": evil,
            "analysis": evil,
            "suggestions": [evil],
        },
        {"type": f"new{evil}", "submission_id": 1, "seq": 4, evil: evil},
        {"type": "complete", "submission_id": 1, "seq": 5, "final_status": f"odd{evil}"},
    ]

    async def say(wire: Wire) -> None:
        await wire.accept()
        await wire.text(*(event for event in log if event["seq"] > wire.after_seq))
        await wire.close(1011, evil)

    body = {"submission_id": 1, "url": f"http://h/{evil}", "status": evil}
    snapshot = {"submission_id": 1, "status": "testing", "problem": evil, "language": evil, "build_log": evil}
    rest = Rest(
        snapshot=snapshot,
        tests=[{"test_name": evil, "status": "failed", "message": evil}],
        first=lambda request: Answer(201, body) if request.method == "POST" else None,
    )
    (command.cwd / "evil.py").write_text("pass")
    refused = Rest(first=lambda request: Answer(500, {"detail": evil}))
    for mode in ("--json", "--plain", "-q"):
        async with scripted(say, rest=rest) as server:
            watched = await command("submit", "evil.py", "--problem", "1", mode, "--server", server.url)
            shown = await command("status", "1", *((mode,) if mode != "--plain" else ()), "--server", server.url)
        async with scripted(closing(4500, evil)) as server:
            closed = await command("watch", "1", mode, "--server", server.url)
        async with scripted(refusing(500), rest=refused) as server:
            lost = await command("watch", "1", mode, "--max-attempts", "0", "--debug", "--server", server.url)
        assert (watched.code, shown.code, closed.code, lost.code) == (1, 0, 6, 6), (watched, shown, closed, lost)
        for done in (watched, shown, closed, lost):
            for stream in (done.out, done.err):
                assert not [char for char in stream if char in "\x1b\x07\x9b\u202e\u200b"], (mode, done)
    assert LOG


async def test_sockets_are_closed(command: Commands) -> None:
    """With every warning of Python's switched on: nothing unclosed, nothing never awaited."""
    async with scripted(some(3), refusing(503), finish) as server:
        done = await command(
            *("watch", "1", "--json", "--server", server.url),
            env={"PYTHONWARNINGS": "always", "PYTHONDEVMODE": "1"},
        )
    assert done.code == 0
    assert [line for line in done.err.splitlines() if not line.startswith("Executing <")] == []
