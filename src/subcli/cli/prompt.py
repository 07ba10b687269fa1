"""Ask for a login or a confirmation on the terminal, without disturbing the live screen or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from subcli.cli.common import Common
from subcli.cli.patience import Patience
from subcli.cli.streams import Streams
from subcli.client.background import run_in_daemon_thread
from subcli.core.errors import UsageError
from subcli.output.view import View
from subcli.shared.secret import Secret

_UNREADABLE: Final = "\ufffd"
"""Stands for bytes of stdin that are not text (:func:`subcli.cli.streams.open_streams`)."""


def prompter_for(common: Common, streams: Streams, patience: Patience | None = None) -> TerminalPrompter | None:
    """A prompter, if there is a terminal and ``--no-input`` was not given."""
    if common.no_input or not streams.can_prompt:
        return None
    return TerminalPrompter(streams, patience)


class TerminalPrompter:
    """Asks on the terminal.

    Args:
        streams: whose terminal that is. patience: is paused meanwhile.

    Attributes:
        view: leaves the terminal to the prompt, once there is a view.
    """

    def __init__(self, streams: Streams, patience: Patience | None = None) -> None:
        self.view: View | None = None
        self._streams = streams
        self._patience = patience

    async def ask(self, server: str) -> tuple[str, Secret] | None:
        """Ask for user name and password; ``None`` if the input ends."""
        with self._view_suspended(), self._patience.paused() if self._patience else contextlib.nullcontext():
            self._streams.write_error(f"{server} requires a login.\n")
            return await ask_login(self._streams)

    def refused(self, reason: str) -> None:
        """Say why the login failed."""
        self.tell(f"not logged in: {reason}")

    def tell(self, text: str) -> None:
        """Say how the login ended."""
        from subcli.output.printable import one_line

        with self._view_suspended():
            self._streams.write_error(f"{one_line(text)}\n")

    @contextlib.contextmanager
    def _view_suspended(self) -> Iterator[None]:
        if self.view is None:
            yield
            return
        self.view.suspend()
        try:
            yield
        finally:
            self.view.resume()


async def ask_login(streams: Streams, user: str | None = None) -> tuple[str, Secret] | None:
    """Ask for a user name, unless given, and a password; ``None`` if the input ends or either is empty.

    Raises:
        UsageError: What was typed is not text.
    """
    if not user:
        user = (await answer(streams, "User: ")).strip()
    password = await answer(streams, "Password: ", hidden=True) if user else ""
    return (user, Secret(password)) if user and password else None


async def new_password(streams: Streams, question: str, check: Callable[[str], None]) -> str:
    """Ask for a new password, twice.

    Args:
        check: raises if a password cannot be used, so that nobody repeats it in vain.

    Raises:
        UsageError: None was typed, or not the same one twice.
    """
    password = await answer(streams, question, hidden=True)
    if not password:
        raise UsageError("No password was given.", hint="Type it twice.")
    check(password)
    if password != await answer(streams, "Once more: ", hidden=True):
        raise UsageError("The passwords do not match.", hint="Try again.")
    return password


async def confirm(streams: Streams, question: str) -> bool:
    """Ask a yes-or-no question; only ``y`` and ``yes`` mean yes."""
    return (await answer(streams, f"{question} [y/N] ")).strip().lower() in ("y", "yes")


async def answer(streams: Streams, question: str, *, hidden: bool = False) -> str:
    """The line that the user types; empty at the end of the input.

    Ctrl-C works at once. Ctrl-Z gives the terminal back to the shell as it was, and `fg` asks again.

    Args:
        streams: of the terminal.
        question: to ask, with a trailing space.
        hidden: Whether to hide the input.

    Raises:
        UsageError: It is not text.
    """
    from subcli.cli.runtime import stoppable

    # Nothing is hidden if stdin is no terminal.
    echo = streams.platform.terminal.echo(streams.stdin.fileno()) if streams.stdin_tty and hidden else None

    def ask() -> None:
        if echo is not None:
            echo.hide()
        streams.write_error(question)

    def leave() -> None:
        if echo is not None:
            echo.restore()

    with stoppable(leave, ask, streams):
        try:
            ask()
            # The keys are read from the terminal itself, however slowly it shows the question.
            await streams.read_by_all()
            # A thread that reads the terminal cannot be woken, and must not delay the exit.
            line = await run_in_daemon_thread(streams.stdin.readline)
            if hidden:
                streams.write_error("\n")
        except asyncio.CancelledError:
            # The message goes on its own line, not behind the question.
            streams.write_error("\n")
            raise
        finally:
            leave()
    if _UNREADABLE in line:
        raise UsageError(
            f"The input is not valid {streams.stdin.encoding}.", hint="Check the encoding of the terminal."
        )
    return line.rstrip("\n")
