"""Keys in the live view, typed by a person at a terminal on which the program runs."""

from __future__ import annotations

import asyncio
import termios

import pytest

from .command import Commands
from .scripted import LOG, Script, Wire, scripted, some, staying
from .terminal import Terminal


async def rest(wire: Wire) -> None:
    """The events that are left, then 1000."""
    await wire.text(*LOG[3:])
    await wire.close(1000)


def waiting(looking: asyncio.Event) -> Script:
    """Three events; the rest once somebody looks around."""

    async def wait(wire: Wire) -> None:
        await looking.wait()
        await rest(wire)

    return some(3, wait)


async def test_look_around_and_stop_watching(command: Commands) -> None:
    """The list and back; `q` ends like Ctrl-C, with how to resume, and the terminal is as it was."""
    async with scripted(some(3, staying)) as server, Terminal(command, "watch", "1", "--server", server.url) as tty:
        await tty.until(lambda text: "One" in text)
        tty.press(b"j")
        await tty.until(lambda text: "→ ✓ One" in text)
        assert tty.after[3] & termios.ISIG
        assert not tty.after[3] & (termios.ICANON | termios.ECHO)
        tty.press(b"q")
        assert await tty.end() == 130, tty.text
        assert "subcli watch 1" in tty.text
        assert tty.after == tty.before


async def test_the_end_waits_for_who_looks_around(command: Commands) -> None:
    """The verdict does not take the list away; when the person goes back, the summary and the exit code follow."""
    looking = asyncio.Event()
    async with scripted(waiting(looking)) as server, Terminal(command, "watch", "1", "--server", server.url) as tty:
        await tty.until(lambda text: "One" in text)
        tty.press(b"j")
        await tty.until(lambda text: "→ ✓ One" in text)
        looking.set()
        await tty.until(lambda text: "✓ passed" in text)
        assert tty.process.returncode is None
        tty.press(b"\x1b")
        assert await tty.end() == 0, tty.text
        assert "passed" in tty.text
        assert tty.after == tty.before


@pytest.mark.parametrize("key", [b"\x03", b"q"])
async def test_after_the_verdict_the_code_is_its_own(command: Commands, key: bytes) -> None:
    """Ctrl-C or `q` in the list of what has been judged ends the looking around, and interrupts nothing."""
    looking = asyncio.Event()
    async with scripted(waiting(looking)) as server, Terminal(command, "watch", "1", "--server", server.url) as tty:
        await tty.until(lambda text: "One" in text)
        tty.press(b"j")
        await tty.until(lambda text: "→ ✓ One" in text)
        looking.set()
        await tty.until(lambda text: "✓ passed" in text)
        tty.press(key)
        assert await tty.end() == 0, tty.text


async def test_no_keys(command: Commands) -> None:
    """With `--no-keys` nothing typed matters, and it is still there for the shell afterwards."""
    words = ("watch", "1", "--no-keys", "--server")
    async with scripted(some(3, staying)) as server, Terminal(command, *words, server.url) as tty:
        await tty.until(lambda text: "One" in text)
        assert tty.after[3] & termios.ICANON
        tty.press(b"jq\x03")
        assert await tty.end() == 130, tty.text
        assert "→" not in tty.text
