"""Asking for a login on the terminal."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import signal
import termios
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pytest

from subcli.cli.common import Common
from subcli.cli.prompt import TerminalPrompter, ask_login, prompter_for
from subcli.core.errors import UsageError
from subcli.output.view import NullView
from subcli.shared.platform import Windows
from subcli.shared.secret import Secret
from tests.cli.streams import captured
from tests.shared.platform.model import ModelApi
from tests.system.terminal import until


class Stepping(NullView):
    """Keeps when the terminal is left to the prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def suspend(self) -> None:
        self.steps.append("suspend")

    def resume(self) -> None:
        self.steps.append("resume")


def test_nobody_to_ask(tmp_path: Path) -> None:
    """No terminal, or `--no-input`."""
    assert prompter_for(Common(), captured(tmp_path).streams) is None
    assert prompter_for(Common(no_input=True), captured(tmp_path, tty=True).streams) is None
    assert prompter_for(Common(), captured(tmp_path, tty=True).streams) is not None


@pytest.mark.parametrize(
    ("stdin", "user", "found"),
    [
        ("ada\ncorrect horse\n", None, ("ada", Secret("correct horse"))),
        (" ada \n two words ", None, ("ada", Secret(" two words "))),
        ("correct horse\n", "bob", ("bob", Secret("correct horse"))),
        ("", None, None),
        ("\n", None, None),
        ("ada\n", None, None),
        ("ada\n\n", None, None),
        ("", "bob", None),
    ],
)
async def test_ask_login(tmp_path: Path, stdin: str, user: str | None, found: tuple[str, Secret] | None) -> None:
    """A user name that is given is not asked for; an empty answer, and the end of the input, is a no."""
    here = captured(tmp_path, stdin)
    assert await ask_login(here.streams, user) == found
    assert ("User: " in here.err.getvalue()) is (user is None)


async def test_password_that_is_not_text(tmp_path: Path) -> None:
    """A Latin-1 keyboard in a UTF-8 locale: said at once, and not sent as another password."""
    typed = io.TextIOWrapper(io.BytesIO(b"gar\xe7on\n"), encoding="utf-8", errors="replace")
    here = replace(captured(tmp_path).streams, stdin=typed)
    with pytest.raises(UsageError, match="not valid utf-8"):
        await ask_login(here, "ada")


async def test_view_leaves_the_terminal(tmp_path: Path) -> None:
    """While somebody types, and while it is said why that did not help."""
    here = captured(tmp_path, "ada\ncorrect horse\n")
    prompter = TerminalPrompter(here.streams)
    prompter.view = view = Stepping()
    assert await prompter.ask("http://a.example") == ("ada", Secret("correct horse"))
    prompter.refused("wrong\x1b password")
    assert view.steps == ["suspend", "resume"] * 2
    assert here.err.getvalue() == (
        "http://a.example requires a login.\nUser: Password: \nnot logged in: wrong^[ password\n"
    )


ECHO, LINES = 4, 2
"""Modes of a Windows console."""


class Pty:
    """A terminal of which the test has the keyboard."""

    def __init__(self, keyboard: int, stdin: TextIO) -> None:
        self.stdin = stdin
        self._keyboard = keyboard

    @property
    def echoes(self) -> bool:
        """Whether it shows what is typed."""
        return bool(termios.tcgetattr(self.stdin)[3] & termios.ECHO)

    def type(self, text: str) -> None:
        """Type."""
        os.write(self._keyboard, text.encode())


@pytest.fixture
def terminal() -> Iterator[Pty]:
    """One for a test."""
    keyboard, slave = pty.openpty()
    with open(slave) as stdin:
        yield Pty(keyboard, stdin)
    os.close(keyboard)


async def test_ctrl_z_at_the_password(tmp_path: Path, terminal: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell gets a terminal that shows what is typed; `fg` hides it again, and asks again."""
    at_stop: list[bool] = []
    monkeypatch.setattr(signal, "raise_signal", lambda number: at_stop.append(terminal.echoes))
    here = captured(tmp_path)
    asking = asyncio.create_task(ask_login(replace(here.streams, stdin=terminal.stdin, stdin_tty=True), "ada"))
    await until(lambda: not terminal.echoes)
    os.kill(os.getpid(), signal.SIGTSTP)
    await until(lambda: here.err.getvalue().count("Password: ") == 2)
    assert (at_stop, terminal.echoes) == ([True], False)
    terminal.type("correct horse\n")
    assert await asking == ("ada", Secret("correct horse"))
    assert terminal.echoes


async def test_password_at_a_windows_console(tmp_path: Path, terminal: Pty) -> None:
    """The console hides it by a mode of its own, which is restored; there is no Ctrl-Z."""
    descriptor = terminal.stdin.fileno()
    api = ModelApi({descriptor: ECHO | LINES})
    streams = replace(captured(tmp_path).streams, stdin=terminal.stdin, stdin_tty=True, platform=Windows(api))
    asking = asyncio.create_task(ask_login(streams, "ada"))
    await until(lambda: api.consoles[descriptor] == LINES)
    terminal.type("correct horse\n")
    assert await asking == ("ada", Secret("correct horse"))
    assert api.consoles[descriptor] == ECHO | LINES


async def test_interrupt_at_the_password(tmp_path: Path, terminal: Pty) -> None:
    """The terminal is what it was, at once."""
    streams = replace(captured(tmp_path).streams, stdin=terminal.stdin, stdin_tty=True)
    asking = asyncio.create_task(ask_login(streams, "ada"))
    await until(lambda: not terminal.echoes)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert terminal.echoes
    # The thread, which cannot be woken, is not left behind.
    terminal.type("\n")
