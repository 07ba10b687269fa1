"""Prompts on a real terminal: stopped by Ctrl-Z and woken by `fg` of a real shell, or killed."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import termios
from typing import Any

import pytest

from tests.hang import HANG_S

from .command import SUBCLI, Commands
from .conftest import needs
from .scripted import Answer, Request, Rest, scripted
from .terminal import Terminal, until


class Shell(Terminal):
    """A shell with job control, which leaves the settings of the terminal as it finds them."""

    def __init__(self, command: Commands, *arguments: str) -> None:
        super().__init__(command, *arguments)
        self.program = [shutil.which("dash") or "dash", "-i"]


def logging_in(request: Request) -> Answer | None:
    """A server that takes any password."""
    if request.path == "/api/auth/token":
        return Answer(200, {"access_token": "abc", "refresh_token": "def"})
    return Answer(200, {"user": "ada"}) if request.path == "/api/auth/me" else None


def echoes(settings: list[Any]) -> bool:
    """Whether what is typed is shown."""
    return bool(settings[3] & termios.ECHO)


@pytest.mark.thorough
async def test_ctrl_z_and_fg_at_the_password(command: Commands) -> None:
    """The shell's terminal is as it was; after `fg` the question is asked again, and the answer not shown."""
    needs("dash", shutil.which("dash"))
    async with scripted(rest=Rest(first=logging_in)) as server, Shell(command) as shell:
        words = [*SUBCLI, "auth", "login", "--server", server.url, "--user", "ada", "--insecure-storage"]
        shell.press(shlex.join(words).encode() + b"\n")
        await shell.until(lambda text: "Password:" in text)
        await until(lambda: not echoes(shell.after))
        shell.press(b"\x1a")
        await shell.until(lambda text: "Stopped" in text)
        await until(lambda: echoes(shell.after))
        shell.press(b"fg\n")
        await shell.until(lambda text: text.count("Password:") == 2)
        await until(lambda: not echoes(shell.after))
        shell.press(b"correct horse\n")
        await shell.until(lambda text: "Logged in to" in text)
        await shell.until(lambda text: "profile named" in text)
        shell.press(b"\nexit\n")
        await shell.end()
        assert b"correct horse" not in shell.raw


@pytest.mark.thorough
async def test_prompt_that_is_killed(command: Commands) -> None:
    """Ctrl-\\ at the password leaves a terminal that shows what is typed."""
    async with (
        scripted(rest=Rest(first=logging_in)) as server,
        Terminal(command, "auth", "login", "--server", server.url, "--user", "ada", "--insecure-storage") as terminal,
    ):
        await until(lambda: not echoes(terminal.after))
        terminal.signal(signal.SIGQUIT)
        assert await asyncio.wait_for(terminal.process.wait(), HANG_S) == -signal.SIGQUIT
        assert terminal.after == terminal.before
