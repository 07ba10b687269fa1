"""Ctrl-Z and ``fg``: the screen steps aside for the shell and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

from subcli.output.view import View


@contextlib.contextmanager
def stoppable(view: View) -> Iterator[None]:
    """While this holds, SIGTSTP gives the terminal back before the process stops."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        view.suspend()
        # Not SIGSTOP: where no shell could wake us (ssh HOST -t subcli …), the kernel leaves this one out.
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, stop)
        view.resume()

    loop.add_signal_handler(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTSTP)
