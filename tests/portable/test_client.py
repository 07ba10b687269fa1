"""The client as a process, against a scripted server: what has to work on every system.

On macOS and Windows, CI runs this file there (``python -m tests.pythons``). On Linux it runs the program with the ways
of the other two. It uses nothing that one of the systems lacks, and none of the suite's plug-ins and fixtures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from subcli.shared.platform import HERE
from tests.hang import HANG_S
from tests.system.scripted import LOG, Answer, Request, Rest, Script, Server, Wire, finish, gone, scripted, some

ROOT: Final = Path(__file__).parents[2]
OTHERS: Final = ("Windows", "macOS") if HERE.name == "Linux" else ("here",)
WINE: Final = sys.platform == "win32" and "WINEPREFIX" in os.environ
TOKEN: Final = "tok-abcdefghijklmnop"
_KEPT: Final = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "TEMP", "TMP", "LD_LIBRARY_PATH", "WINEPREFIX")


class Program:
    """The program on one system, in a home directory of its own.

    Args:
        system: its name; ``here`` is this one.
        home: an empty directory.
    """

    def __init__(self, system: str, home: Path) -> None:
        self.system = HERE.name if system == "here" else system
        self.home = home
        self.cwd = home / "work"
        self.cwd.mkdir()
        program = ["subcli"] if system == "here" else ["tests.portable.program", system]
        self._words = [sys.executable, "-W", "error", "-m", *program]
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        folders = ("HOME", "USERPROFILE", "WIN_PD_OVERRIDE_APPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA")
        homes = dict.fromkeys(folders, str(home))
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        self.env = {**kept, **homes, "PYTHONPATH": path, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Begin a command, whose signals are its own."""
        own_group: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        return subprocess.Popen(
            [*self._words, *arguments],
            cwd=self.cwd,
            env={**self.env, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            **own_group,
        )

    def __call__(self, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(*arguments, **env) as process:
            out, err = process.communicate(stdin, HANG_S)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Program:
    """The program, by default on the first of the systems."""
    return Program(getattr(request, "param", OTHERS[0]), tmp_path)


everywhere: Final = pytest.mark.parametrize("program", OTHERS, indirect=True)


@contextlib.contextmanager
def serving(*scripts: Script, rest: Callable[[Request], Answer] | None = None) -> Iterator[Server]:
    """A scripted server, in a thread."""
    started = threading.Event()
    found: list[tuple[Server, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async with scripted(*scripts, rest=rest or Rest()) as server:
            stop = asyncio.Event()
            found.append((server, asyncio.get_running_loop(), stop))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(HANG_S)
    server, loop, stop = found[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@everywhere
def test_watch_comes_to_its_verdict(program: Program) -> None:
    """Over a connection that breaks: every event once and in order, in UTF-8 whatever pipes have, and the exit code."""
    with serving(some(3, gone), finish) as server:
        done = program("watch", "1", "--json", "--server", server.url, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    found = lines(done.stdout)
    assert [line["seq"] for line in found if "seq" in line] == [event["seq"] for event in LOG]
    assert found[-1]["type"] == "result"
    assert "Traceback" not in done.stderr


@pytest.mark.thorough
def test_submitted_file(program: Program) -> None:
    """The code arrives as it is; the plain view and the report tell the verdict, and what is not ASCII survives."""
    (program.cwd / "größe.py").write_bytes("print('Größe')\n".encode())
    with serving(finish) as server:
        done = program(
            *("submit", "größe.py", "--problem", "1", "--server", server.url, "--junit-xml", "report.xml", "--plain")
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (posted,) = server.asked("POST", "/api/submissions")
    assert posted.json()["source_code"] == "print('Größe')\n"
    assert "passed" in done.stdout
    assert b"<testcase" in (program.cwd / "report.xml").read_bytes()
    assert not list(program.cwd.glob(".*.tmp"))


@pytest.mark.thorough
def test_failed_verdict(program: Program) -> None:
    """Exit 1 means that it was judged and did not pass."""
    rest = Rest(snapshot={"submission_id": 1, "status": "completed", "final_status": "failed"})
    with serving(gone, rest=rest) as server:
        done = program("watch", "1", "-q", "--server", server.url)
    assert (done.returncode, done.stdout.strip()) == (1, "failed"), done.stderr


@pytest.mark.skipif(WINE, reason="Wine has no Ctrl-Break for a program without a console")
@everywhere
def test_interrupted(program: Program) -> None:
    """Ctrl-C, and Ctrl-Break on Windows, detach, and say how to go on."""
    connected = threading.Event()

    async def stay(wire: Wire) -> None:
        await wire.accept()
        await wire.answered()
        connected.set()
        await wire.stay()

    with serving(stay) as server, program.start("watch", "1", "--plain", "--server", server.url) as process:
        assert connected.wait(HANG_S)
        if sys.platform == "win32":
            # Ctrl-C cannot be sent to one process alone.
            process.send_signal(signal.CTRL_BREAK_EVENT)
            expected, word = 143, "Terminated."
        else:
            process.send_signal(signal.SIGINT)
            expected, word = 130, "Interrupted."
        out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == expected, out + err
    assert word in err
    assert "subcli watch 1" in err
    assert "Traceback" not in err


@pytest.mark.thorough
def test_login_is_kept_in_a_private_file(program: Program) -> None:
    """A token of stdin is verified, kept, found again, and forgotten."""

    def me(request: Request) -> Answer | None:
        if request.path != "/api/auth/me":
            return None
        known = request.headers.get("authorization") == f"Bearer {TOKEN}"
        return Answer(200, {"username": "ada"}) if known else Answer(401, {"detail": "no"})

    with serving(rest=Rest(first=me)) as server:
        at = ("--server", server.url)
        done = program("auth", "login", "--with-token", "--insecure-storage", *at, stdin=f"{TOKEN}\r\n")
        assert done.returncode == 0, done.stderr
        (kept,) = program.home.rglob("credentials.json")
        assert not HERE.files.exposed(str(kept))
        assert program("auth", "status", *at).returncode == 0
        assert program("auth", "logout", *at).returncode == 0
        assert program("auth", "status", *at).returncode == 4


@pytest.mark.thorough
@everywhere
@pytest.mark.parametrize("words", [["serve"], ["test", "x.py"]], ids=" ".join)
def test_judge_refuses(program: Program, words: Sequence[str]) -> None:
    """One sentence says where the server and the judge run, and what to do."""
    done = program(*words, "--json")
    assert done.returncode == 2, done.stderr
    (line,) = lines(done.stdout)
    assert line["error"]["message"] == f"The server and the judge run on Linux only, and this is {program.system}."
    assert "--server" in line["error"]["hint"]


@pytest.mark.thorough
def test_completion_offers_names(program: Program) -> None:
    """What a command has seen is offered at TAB."""
    rest = Rest(
        first=lambda request: Answer(200, [{"id": 1, "slug": "lru-cache"}]) if "problems" in request.path else None
    )
    with serving(rest=rest) as server:
        assert program("problems", "-q", "--server", server.url).returncode == 0
        offered = subprocess.run(
            [sys.executable, "-m", "subcli", "__complete", "problems", "submit", "--server", server.url],
            env=program.env,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
    assert offered.stdout.split() == ["lru-cache"]
