"""`cancel`, `open`, the warnings before a submit, and the files that a command leaves behind."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import signal
import stat
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from subcli.workspace.completion_cache import CompletionCache
from tests.hang import HANG_S

from .command import Commands
from .conftest import Run, Served
from .scripted import Answer, Request, Rest, finish, refusing, scripted, some, staying
from .terminal import until

SCHEMA = jsonschema.Draft202012Validator(json.loads(files("subcli").joinpath("schema.json").read_text()))


@pytest.mark.thorough
def test_cancel(held: Served, run: Run) -> None:
    """`cancel` stops a queued or running submission; one with a verdict cannot be cancelled."""
    at = ("--server", held.url)
    for _ in range(2):
        run("submit", "a.py", "--problem", "held", "--no-watch", "-q", *at)
    told = run("cancel", "2", *at)
    assert (told.returncode, told.stdout) == (0, "#2 cancelled\n"), told
    done = run("cancel", "#1", "--json", *at)
    assert done.returncode == 0
    body = json.loads(done.stdout)
    SCHEMA.validate(body)
    assert body["cancel"] == {"submission_id": 1, "status": "cancelled", "final_status": "cancelled"}
    assert run("watch", "2", "-q", *at).stdout == "cancelled\n"
    again = run("cancel", "1", *at)
    assert (again.returncode, "already has a verdict" in again.stderr) == (2, True)
    assert f"`subcli status 1 --server {held.url}`" in again.stderr
    assert run("cancel", "99", *at).returncode == 5


def has_text(path: Path, text: str) -> bool:
    """Whether a file says this by now."""
    return path.read_text() == text


@pytest.mark.thorough
async def test_open(command: Commands) -> None:
    """The page opens in the browser; its URL is printed, and nothing else with -q and --json."""
    browser = command.cwd / "browser"
    browser.write_text(f'#!/bin/sh\necho noise\nprintf "%s" "$1" > {command.cwd}/opened\n')
    browser.chmod(stat.S_IRWXU)
    opened = command.cwd / "opened"
    env = {"BROWSER": str(browser), "DISPLAY": ""}
    for said, page in ((None, "/submissions/1"), ("/pages/1", "/pages/1"), ("file:///x", "/submissions/1")):
        snapshot: dict[str, Any] = {"submission_id": 1, "status": "testing", "url": said}
        async with scripted(finish, rest=Rest(snapshot=snapshot)) as server:
            wanted = server.url + page
            if said == "/pages/1":
                snapshot["url"] = wanted
            done = await command("open", "1", "--server", server.url, env=env)
            assert (done.code, done.out, done.err) == (0, f"{wanted}\n", "")
            await until(opened.exists)
            await until(functools.partial(has_text, opened, wanted))
            opened.unlink()
            if said is not None:
                continue
            quiet = await command("open", "1", "-q", "--server", server.url, env=env)
            assert (quiet.code, quiet.out) == (0, f"{wanted}\n")
            body = json.loads((await command("open", "1", "--json", "--server", server.url, env=env)).out)
            SCHEMA.validate(body)
            assert body["open"] == {"submission_id": 1, "url": wanted}
            assert not opened.exists()
            nothing = await command("open", "1", "--server", server.url, env={"PATH": "/nowhere", "DISPLAY": ""})
            assert (nothing.code, nothing.out) == (2, f"{wanted}\n")
            assert "BROWSER" in nothing.err
            assert (await command("open", "2", "--server", server.url, env=env)).code == 5


# -- before the submit -------------------------------------------------------------------------------


@pytest.mark.thorough
async def test_warnings(command: Commands) -> None:
    """Repeated code and a size near the limit give warnings on stderr; stdout and the submission are unaffected."""
    (command.cwd / "a.py").write_text("x = 1\n")
    (command.cwd / "b.py").write_text("#" * 240_000)
    async with scripted(finish, rest=Rest()) as server:
        words = ("submit", "a.py", "--problem", "7", "--no-watch", "-q", "--server", server.url)
        first = await command(*words)
        again = await command(*words)
        (command.cwd / "a.py").write_text("x = 2\n")
        other = await command(*words)
        large = await command("submit", "b.py", *words[2:])
    assert (first.code, first.out, first.err) == (0, "1\n", "")
    assert (again.code, again.out) == (0, "1\n")
    assert again.err == "warning: This is the same code as #1, submitted just now.\n"
    assert (other.code, other.err) == (0, "")
    assert (large.code, "234 KiB" in large.err) == (0, True)


def unknown(request: Request) -> Answer | None:
    """A server that does not know the submission."""
    return Answer(404, {"detail": "Submission not found"}) if "/submissions/1" in request.path else None


@pytest.mark.thorough(measured=True)
async def test_submission_is_recorded_however_it_ends(command: Commands) -> None:
    """After Ctrl-C, a refusal or a closed pipe, TAB offers the id, and repeated code is noticed."""
    (command.cwd / "a.py").write_text("x = 1\n")
    again = ("submit", "a.py", "--problem", "7", "--no-watch", "-q")

    async def interrupted(process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)

    async def unread(process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        await process.stdout.readline()
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]

    async def left_alone(process: asyncio.subprocess.Process) -> None:
        pass

    for number, (end, script, code) in enumerate(
        ((interrupted, some(1, staying), 130), (unread, some(1, staying), 141), (left_alone, refusing(404), 5)), 1
    ):
        state = {f"XDG_{kind}_HOME": str(command.cwd / f"{kind}-{number}") for kind in ("STATE", "CACHE")}
        async with scripted(script, rest=Rest(first=unknown)) as server:
            at = ("--server", server.url)
            process = await command.start(*again[:4], "--json", *at, env=state)
            await end(process)
            assert await asyncio.wait_for(process.wait(), HANG_S) == code
            told = await command(*again, *at, env=state)
        assert told.err == "warning: This is the same code as #1, submitted just now.\n"
        assert CompletionCache(server.url, command.cwd / f"CACHE-{number}" / "subcli" / "names").names("ids") == ["1"]


def known(request: Request) -> Answer | None:
    """A server with one problem, which refuses all else."""
    problems = [{"id": 7, "slug": "leader-election", "title": "Leader Election", "languages": ["python", "c"]}]
    if request.path == "/api/problems":
        return Answer(200, problems)
    if request.path == "/api/submissions" and request.method == "POST":
        body = request.json()
        if body.get("problem") != "leader-election":
            return Answer(404, {"detail": "There is no such problem."})
        return Answer(422, {"detail": "Not in this language."})
    return Answer(404, {"detail": "Not Found"}) if request.path.startswith("/api/problems/") else None


@pytest.mark.parametrize(
    ("words", "code", "meant"),
    [
        ("submit a.py --problem leader-electoin", 5, "leader-election"),
        ("submit a.py --problem leader", 5, "leader-election"),
        ("submit a.py --problem leader-election --language pyton", 2, "python"),
        ("problems show leder-election", 5, "leader-election"),
        ("init leaderelection", 5, "leader-election"),
        ("submit a.py --probelm x", 2, "--problem"),
        ("sumbit a.py", 2, "submit"),
    ],
)
async def test_did_you_mean(command: Commands, words: str, code: int, meant: str) -> None:
    """A mistyped command, option, problem or language gets a suggestion."""
    (command.cwd / "a.py").write_text("x = 1\n")
    async with scripted(finish, rest=Rest(first=known)) as server:
        done = await command(*words.split(), env={"SUBCLI_SERVER": server.url})
    assert done.code == code, done
    assert re.search(rf"Did you mean [`']{meant}[`']\?", done.err), done.err


def test_failed_command_writes_nothing_to_home(run: Run, tmp_path: Path) -> None:
    """If it fails before anything was submitted."""
    run("submit", "nope.py", "--problem", "x", "--server", "http://127.0.0.1:9")
    assert not (tmp_path / "home" / ".local").exists()
