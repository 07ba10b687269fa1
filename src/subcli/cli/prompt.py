"""Ask for a login, or for a yes, on the terminal, without getting in the way of the live screen or of Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from subcli.cli.common import Common
from subcli.cli.patience import Patience
from subcli.cli.streams import Streams
from subcli.client.background import run_in_daemon_thread
from subcli.output.view import View
from subcli.shared.secret import Secret

T = TypeVar("T")


def prompter_for(common: Common, streams: Streams, patience: Patience | None = None) -> TerminalPrompter | None:
    """A prompter, if there is a terminal and ``--no-input`` was not given."""
    if common.no_input or not streams.can_prompt:
        return None
    return TerminalPrompter(streams, patience)


class TerminalPrompter:
    """Asks on the terminal.

    Args:
        streams: whose terminal that is.
        patience: stands still meanwhile.

    Attributes:
        view: leaves the terminal to the prompt, once there is a view.
    """

    def __init__(self, streams: Streams, patience: Patience | None = None) -> None:
        self.view: View | None = None
        self._streams = streams
        self._patience = patience

    async def ask(self, server: str) -> tuple[str, Secret] | None:
        """Ask for user name and password; ``None`` if the user ends the input instead."""
        with self._view_suspended(), self._patience.paused() if self._patience else contextlib.nullcontext():
            self._streams.write_error(f"{server} requires a login.\n")
            # The question goes straight to the terminal: whatever is on its way there comes first.
            await self._streams.read_by_all()
            return await in_daemon_thread(lambda: ask_login(self._streams), self._streams)

    def refused(self, reason: str) -> None:
        """Say why the login failed."""
        self.tell(f"not logged in: {reason}")

    def tell(self, text: str) -> None:
        """Say what became of the login."""
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


def ask_login(streams: Streams, user: str | None = None) -> tuple[str, Secret] | None:
    """Ask for a user name, unless given, and a password; ``None`` if the input ends or either is empty."""
    import getpass

    try:
        if not user:
            streams.write_error("User: ")
            user = streams.stdin.readline().strip()
        password = getpass.getpass("Password: ", stream=streams.stderr) if user else ""
    except EOFError:
        return None
    return (user, Secret(password)) if user and password else None


async def confirm(streams: Streams, question: str) -> bool:
    """Ask a question that is answered by ``y`` or ``yes``; everything else, and the end of the input, is a no."""
    streams.write_error(f"{question} [y/N] ")
    await streams.read_by_all()
    answer = await in_daemon_thread(streams.stdin.readline, streams)
    return answer.strip().lower() in ("y", "yes")


async def in_daemon_thread(work: Callable[[], T], streams: Streams) -> T:
    """Run ``work``, which waits for the user, so that Ctrl-C works at once and leaves the terminal as it was."""
    import termios

    before = termios.tcgetattr(streams.stdin) if streams.stdin_tty else None
    try:
        # A thread that reads the terminal cannot be woken, and must not delay the exit.
        return await run_in_daemon_thread(work)
    except asyncio.CancelledError:
        # The message about it goes on a line of its own, not behind the question.
        if before is not None:
            streams.write_error("\n")
        raise
    finally:
        if before is not None:
            termios.tcsetattr(streams.stdin, termios.TCSADRAIN, before)
