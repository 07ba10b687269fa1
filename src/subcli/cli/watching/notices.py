"""Notices on stderr for views that write only to stdout (contract, sections 3, 4 and 7).

The live and the plain view need none. With ``-q`` a script's log should still say why there is no verdict, and that the
socket was given up; with ``--json`` a user who presses Ctrl-C needs the command that resumes watching.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable

from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.core.errors import InterruptedByUser
from subcli.core.submission import Connection
from subcli.output.printable import cut, one_line
from subcli.output.terminal.console import has_cursor
from subcli.output.terminal.report import report
from subcli.output.view import Ending

REASON_MAX = 300
DEFAULT_COLUMNS = 80
"""The width of a terminal that does not report one."""
SILENT_S = 1.0


class StderrNotices:
    """Writes to stderr what the chosen view does not show.

    Args:
        common: tells which view that is.
        several: start each line with the submission's id.
        streams: whose stderr is written to.
        answered: called when a connection is open, or the view has said why not.
    """

    def __init__(
        self, common: Common, several: bool, streams: Streams, answered: Callable[[], None] = lambda: None
    ) -> None:
        self._common = common
        self._several = several
        self._streams = streams
        self._answered = answered
        self._polling: set[int | None] = set()

    def connection(self, submission_id: int | None, connection: Connection) -> None:
        """With ``-q``, report once that the socket was given up. ``None``: it is the one of all submissions."""
        is_silent = self._common.quiet or self._common.json
        if connection.state in ("open", "polling") or (connection.state == "reconnecting" and not is_silent):
            self._answered()
        if not self._common.quiet or connection.state != "polling" or submission_id in self._polling:
            return
        self._polling.add(submission_id)
        why = f": {one_line(connection.reason, REASON_MAX)}" if connection.reason else ""
        self._streams.write_error(f"{self._prefix(submission_id)}polling, without the WebSocket{why}\n")

    def end(self, ending: Ending) -> None:
        """With ``-q``, report why there is no verdict; with ``--json``, how to resume after an interruption."""
        error = ending.error
        if error is None or ending.submission_id is None:
            return
        if self._common.quiet or (self._common.json and isinstance(error, InterruptedByUser)):
            self._streams.stderr.write(self._prefix(ending.submission_id))
            report(error, self._streams.stderr, self._streams.env)

    def _prefix(self, submission_id: int | None) -> str:
        return f"#{submission_id} " if self._several and submission_id is not None else ""


class Countdown:
    """Waits before a request is repeated (:data:`subcli.client.exchange.Wait`), with a message on stderr."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def __call__(self, seconds: float, reason: str, asked: bool) -> None:
        """Wait. On a terminal the line counts down and disappears at the end. Short waits are silent."""
        if seconds <= SILENT_S:
            await asyncio.sleep(seconds)
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if not (self._streams.stderr_tty and has_cursor(self._streams.env)):
            self._streams.write_error(f"{self._words(seconds, reason)}\n")
            await asyncio.sleep(seconds)
            return
        try:
            while (left := until - loop.time()) > 0:
                self._streams.write_error(f"\r\x1b[K{self._fitting(self._words(left, reason))}")
                await asyncio.sleep(min(left, 1.0))
        finally:
            self._streams.write_error("\r\x1b[K")

    def _words(self, seconds: float, reason: str) -> str:
        return f"retrying in {math.ceil(seconds)} s: {one_line(reason, REASON_MAX)}"

    def _fitting(self, words: str) -> str:
        """The part that fits on one line: of a wrapped line, only the last row would be overwritten."""
        try:
            columns = os.get_terminal_size(self._streams.stderr.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        columns = columns or DEFAULT_COLUMNS
        # Other characters may be two columns wide.
        return cut(words, columns - 1 if words.isascii() else columns // 2)
