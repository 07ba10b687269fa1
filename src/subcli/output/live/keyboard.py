"""Keeps typed characters from being echoed into the live screen."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from typing import Any, TextIO


class KeyboardEcho:
    """Switches the terminal's echo off and on again; keys such as Ctrl-C still send their signals.

    Nothing changes while this process is in the background: changing the terminal from there would stop it.
    """

    def __init__(self) -> None:
        self._saved: list[Any] | None = None

    def disable(self) -> None:
        """Switch the echo off."""
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is None or self._saved is not None:
            return
        with contextlib.suppress(termios.error):
            saved = termios.tcgetattr(descriptor)
            silent = list(saved)
            silent[3] &= ~(termios.ECHO | termios.ECHONL)
            termios.tcsetattr(descriptor, termios.TCSANOW, silent)
            self._saved = saved

    def restore(self) -> None:
        """Restore the settings from before ``disable``."""
        saved, self._saved = self._saved, None
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is not None and saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSANOW, saved)


def _foreground_terminal(stream: TextIO | None) -> int | None:
    """Return the descriptor of ``stream`` if it is a terminal on which this process is in the foreground."""
    try:
        if stream is None or not stream.isatty():
            return None
        descriptor = stream.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):
        return None
