"""Keeps typed keys from being echoed into what is drawn: a newline among them would shift it."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from typing import Any, TextIO


class QuietKeys:
    """Switches the echo off and on again.

    Signals still come from the keyboard. Nothing is changed where this process is not in the foreground: it
    would be stopped for it.
    """

    def __init__(self) -> None:
        self._saved: list[Any] | None = None

    def begin(self) -> None:
        """No echo from now on."""
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is None or self._saved is not None:
            return
        with contextlib.suppress(termios.error):
            saved = termios.tcgetattr(descriptor)
            quiet = list(saved)
            quiet[3] &= ~(termios.ECHO | termios.ECHONL)
            termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
            self._saved = saved

    def end(self) -> None:
        """As it was before ``begin``."""
        saved, self._saved = self._saved, None
        descriptor = _foreground_terminal(sys.stdin)
        if descriptor is not None and saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSANOW, saved)


def _foreground_terminal(stream: TextIO | None) -> int | None:
    """The descriptor of a terminal that this process is in the foreground of."""
    try:
        if stream is None or not stream.isatty():
            return None
        descriptor = stream.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):
        return None
