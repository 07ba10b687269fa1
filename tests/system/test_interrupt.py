"""Ctrl-C ends any command within a second, in every output mode, measured without slack and without the run queue."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.hang import HANG_S
from tests.sampling import first
from tests.unmeasured import UNMEASURED

from .command import Commands
from .scripted import Answer, Request, Rest, Wire, scripted, some, staying
from .terminal import Terminal
from .timing import Ending

WITHIN_S = 1.0


@pytest.fixture
def command(command: Commands) -> Commands:
    """The usual one, at its usual speed."""
    return replace(command, env={**command.env, **UNMEASURED})


async def interrupted(command: Commands, *words: str, ready: asyncio.Event) -> tuple[float, int | None, str]:
    """Press Ctrl-C once ``ready``; how many seconds the end took, the run queue left out, the exit code, and stderr."""
    process = await command.start(*words)
    await asyncio.wait_for(ready.wait(), HANG_S)
    ending = Ending(process.pid)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), HANG_S)
    command.printed += [out.decode(), err.decode()]
    return await ending.took_s(), process.returncode, err.decode()


async def never_closing(wire: Wire) -> None:
    """A peer that does not answer a close, as one that is frozen does not."""
    await wire.accept()
    await asyncio.Event().wait()


@pytest.mark.parametrize("mode", first(1, ["--json", "--plain", "-q"]))
@pytest.mark.parametrize("script", [some(3, staying), never_closing], ids=["open", "frozen"])
async def test_while_watching(command: Commands, mode: str, script: Callable[[Wire], Awaitable[None]]) -> None:
    """Exit 130 and the command to resume, whether or not the server answers the close."""
    async with scripted(script) as server:
        words = ("watch", "1", mode, "--server", server.url)
        took_s, code, err = await interrupted(command, *words, ready=server.connected)
    assert code == 130, err
    assert "`subcli watch 1 --server" in err
    assert took_s < WITHIN_S


async def test_on_live_screen(command: Commands) -> None:
    """The same on the live screen."""
    async with scripted(some(3, staying)) as server, Terminal(command, "watch", "1", "--server", server.url) as tty:
        await tty.until(lambda text: "One" in text)
        ending = Ending(tty.process.pid)
        tty.press(b"\x03")
        assert await tty.end() == 130, tty.text
        assert await ending.took_s() < WITHIN_S


async def test_while_submitting(command: Commands) -> None:
    """Before the POST is answered, nobody knows whether it arrived."""
    (command.cwd / "a.py").write_text("x = 1\n")
    posted = asyncio.Event()

    def hang(request: Request) -> Answer | None:
        if request.method != "POST":
            return None
        posted.set()
        return Answer(hang=True)

    async with scripted(rest=Rest(first=hang)) as server:
        words = ("submit", "a.py", "--problem", "1", "--plain", "--server", server.url)
        took_s, code, err = await interrupted(command, *words, ready=posted)
    assert code == 130, err
    assert "The submission may not have arrived; `subcli list" in err
    assert took_s < WITHIN_S


async def test_during_single_request(command: Commands) -> None:
    """A command that waits for the answer to one request."""
    asked = asyncio.Event()

    def hang(request: Request) -> Answer:
        asked.set()
        return Answer(hang=True)

    async with scripted(rest=Rest(first=hang)) as server:
        took_s, code, err = await interrupted(command, "list", "--server", server.url, ready=asked)
    assert code == 130, err
    assert took_s < WITHIN_S


@pytest.mark.thorough
async def test_during_demo(command: Commands) -> None:
    """Its server ends with it, so no command to resume is suggested, and no address of a page is left behind."""
    process = await command.start("demo", "--plain")
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.readline(), HANG_S)
    assert b"#1" in first
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), HANG_S)
    command.printed += [out.decode(), err.decode()]
    assert process.returncode == 130
    shown = (first + out + err).decode()
    assert "subcli watch" not in shown
    assert "subcli status" not in shown
    assert "subcli serve" in shown
    assert "http" not in shown
