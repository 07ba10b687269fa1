"""The title and the progress that a terminal is given, and that are taken back however a watch ends."""

from __future__ import annotations

import dataclasses
import signal

import pytest

from .command import Commands
from .scripted import Rest, finish, scripted, some, staying
from .terminal import Terminal, until

pytestmark = pytest.mark.side_by_side
SHOWN = b"\x1b]2;subcli #1 testing"
UNDONE = b"\x1b]2;\x1b\\\x1b[23;2t\x1b]9;4;0\x1b\\"


def with_title(command: Commands, term: str = "xterm-256color") -> Commands:
    """Commands on a terminal that understands titles and progress."""
    return dataclasses.replace(command, env={**command.env, "WT_SESSION": "x", "TERM": term})


async def written_after_title(command: Commands, *options: str, number: int | None = None, keys: bytes = b"") -> bytes:
    """Watch until the title is set, end the watch, and return what was written after the last title."""
    async with (
        scripted(some(3, staying), rest=Rest()) as server,
        Terminal(with_title(command), "watch", "1", "--server", server.url, *options) as terminal,
    ):
        await until(lambda: SHOWN in terminal.raw)
        if keys:
            terminal.press(keys)
        if number is not None:
            terminal.signal(signal.Signals(number))
        await terminal.end()
        assert terminal.raw.count(b"\x1b[22;2t") == terminal.raw.count(b"\x1b[23;2t")
        return terminal.raw.rpartition(b"\x1b]2;subcli")[2]


@pytest.mark.thorough
async def test_title_is_reset_by_an_interrupt(command: Commands) -> None:
    """Ctrl-C takes title and progress back."""
    assert UNDONE in await written_after_title(command, keys=b"\x03")


@pytest.mark.thorough(measured=True)
async def test_title_is_reset_by_sigterm(command: Commands) -> None:
    """SIGTERM takes title and progress back."""
    assert UNDONE in await written_after_title(command, number=signal.SIGTERM)


async def test_title_is_reset_by_a_timeout(command: Commands) -> None:
    """--timeout takes title and progress back; the bell of --notify comes after that."""
    rest = await written_after_title(command, "--timeout", "4", "--notify")
    assert UNDONE in rest
    assert b"\a" in rest.partition(UNDONE)[2]


async def test_title_is_reset_while_stopped(command: Commands) -> None:
    """Ctrl-Z takes the title back for the shell; `fg` sets it again."""
    async with (
        scripted(some(3, staying), rest=Rest()) as server,
        Terminal(with_title(command), "watch", "1", "--server", server.url) as terminal,
    ):
        await until(lambda: SHOWN in terminal.raw)
        # Nobody could wake it: so it is not stopped, and goes on as after `fg`.
        terminal.press(b"\x1a")
        await until(lambda: UNDONE in terminal.raw)
        await until(lambda: SHOWN in terminal.raw.rpartition(UNDONE)[2])
        terminal.press(b"\x03")
        await terminal.end()
        assert terminal.raw.count(UNDONE) == 2


@pytest.mark.parametrize(("options", "term"), [(("--plain",), "xterm"), ((), "dumb"), ((), "linux")])
async def test_no_title_where_it_is_not_understood(command: Commands, options: tuple[str, ...], term: str) -> None:
    """The plain view, and a terminal that does not understand it, get neither title nor progress."""
    async with (
        scripted(finish, rest=Rest()) as server,
        Terminal(with_title(command, term), "watch", "1", "--server", server.url, *options) as terminal,
    ):
        assert await terminal.end() == 0
        assert b"\x1b]" not in terminal.raw, terminal.raw
