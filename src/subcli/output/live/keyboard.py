"""The keyboard while the live screen is shown: nothing that is typed is echoed into it, and keys are handed on.

Ctrl-C, Ctrl-Z and Ctrl-\\ still send their signals. Nothing changes while this process is in the background: changing
the terminal, or reading from it, would stop it.

Reading twenty keys takes the thirty lines below; prompt_toolkit and Textual would do it too, and add some 100 and
200 ms to the start of every watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import termios
from collections.abc import Callable, Sequence
from typing import Any, Final, TextIO

_KEY: Final = re.compile(r"\x1b[\[O][0-9;]*[@-~]|\x1b|.", re.DOTALL)
_NAMES: Final = {
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    **{f"\x1b{prefix}{end}": name for prefix in "[O" for end, name in zip("ABCDHF", "↑↓→←⇱⇲", strict=True)},
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[1~": "⇱",
    "\x1b[4~": "⇲",
}
"""What terminals send for keys that are not characters: home and end are ``⇱`` and ``⇲``."""


def keys_of(typed: str) -> list[str]:
    """Return the keys in what a terminal sent: characters as they are, and names; unknown sequences are left out."""
    found = (_NAMES.get(key, key) for key in _KEY.findall(typed))
    return [key for key in found if key.isprintable()]


class Keyboard:
    """Takes the keyboard and gives it back.

    Args:
        on_keys: Gets the keys, in the running event loop; ``None``: nobody wants them.
    """

    def __init__(self, on_keys: Callable[[Sequence[str]], None] | None = None) -> None:
        self._on_keys = on_keys
        self._saved: list[Any] | None = None
        self._read_from: int | None = None

    def take(self) -> None:
        """Switch the echo off, and begin to read. Does nothing if that is done."""
        if self._saved is not None and (self._read_from is not None or self._on_keys is None):
            return
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is None:
            return
        with contextlib.suppress(termios.error):
            saved = termios.tcgetattr(descriptor)
            silent = [*saved[:6], list(saved[6])]
            silent[3] &= ~(termios.ECHO | termios.ECHONL)
            if self._on_keys is not None:
                silent[3] &= ~termios.ICANON
                # A read never waits, whoever else reads.
                silent[6][termios.VMIN] = silent[6][termios.VTIME] = 0
            termios.tcsetattr(descriptor, termios.TCSANOW, silent)
            self._saved = self._saved or saved
        if self._on_keys is not None:
            asyncio.get_running_loop().add_reader(descriptor, self._read)
            self._read_from = descriptor

    def give_back(self) -> None:
        """Stop reading, and restore the settings from before ``take``."""
        self._stop_reading()
        saved, self._saved = self._saved, None
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is not None and saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSANOW, saved)

    def _stop_reading(self) -> None:
        if self._read_from is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                asyncio.get_running_loop().remove_reader(self._read_from)
            self._read_from = None

    def _read(self) -> None:
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is None:
            # In the background: the next frame after `fg` takes the keyboard again.
            self._stop_reading()
            return
        try:
            typed = os.read(descriptor, 1024)
        except OSError:
            typed = b""
        if not typed:
            # The terminal is gone, or somebody else was quicker.
            self._stop_reading()
        elif self._on_keys is not None:
            self._on_keys(keys_of(typed.decode(errors="ignore")))


def _foreground_terminal(stream: TextIO | None) -> int | None:
    """Return the descriptor of ``stream`` if it is a terminal on which this process is in the foreground."""
    try:
        if stream is None or not stream.isatty():
            return None
        descriptor = stream.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):
        return None
