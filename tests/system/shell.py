"""An interactive shell on a pty, with a person who presses TAB."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

from tests.hang import HANG_S

COLUMNS, ROWS = 100, 40


class Shell:
    """One shell, from its start to its end.

    Attributes:
        screen: what can be seen.
    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            try:
                os.chdir(cwd)
                os.execvpe(words[0], list(words), {**env, "COLUMNS": str(COLUMNS), "LINES": str(ROWS)})
            finally:
                os._exit(127)  # an exception would run the rest of the tests twice

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._master)

    @property
    def text(self) -> str:
        """What can be seen."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def line(self) -> str:
        """The line that the cursor is on."""
        return str(self.screen.display[self.screen.cursor.y]).rstrip()

    def press(self, keys: str) -> None:
        """Type, however fast the shell reads."""
        os.write(self._master, keys.encode())

    def until(self, seen: Callable[[Shell], bool], seconds: float = HANG_S) -> None:
        """Wait until the screen fits.

        Raises:
            AssertionError: it never did.
        """
        deadline = time.monotonic() + seconds
        while not seen(self):
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"never seen; instead:\n{self.text}"
            self._stream.feed(self._answered(os.read(self._master, 65536)))

    def _answered(self, data: bytes) -> bytes:
        """As it is; fish asks what terminal this is, and waits for the answer."""
        if b"\x1b[c" in data or b"\x1b[0c" in data:
            os.write(self._master, b"\x1b[?62c")
        return data
