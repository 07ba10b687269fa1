"""Running a coroutine as a command: signals become an exception, and the end is quick."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from subcli.errors import InterruptedByUser

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Which signal came, if one did; ``main`` may look when it is cancelled."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def error(self, hint: str = "") -> InterruptedByUser:
        """The exception for the signal. A terminal that was closed counts as terminated."""
        if self.received == signal.SIGINT:
            return InterruptedByUser("Interrupted.", hint=hint, signal_number=signal.SIGINT)
        return InterruptedByUser("Terminated.", hint=hint, signal_number=signal.SIGTERM)


def run(main: Callable[[Interrupts], Coroutine[Any, Any, T]], *, hint: str = "") -> T:
    """Run ``main`` to its end.

    A signal cancels it once; a second one kills, as if we had no handler.

    Args:
        main: the command.
        hint: for the exception, where ``main`` does not end by itself when it is cancelled.

    Raises:
        InterruptedByUser: Ctrl-C, SIGTERM, or the terminal was closed.
    """

    async def guarded() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        interrupts = Interrupts()

        def interrupt(number: signal.Signals) -> None:
            interrupts.received = number
            for each in _SIGNALS:
                loop.remove_signal_handler(each)
            task.cancel()

        for each in _SIGNALS:
            loop.add_signal_handler(each, interrupt, each)
        try:
            return await main(interrupts)
        except asyncio.CancelledError:
            if interrupts.received is None:
                raise
            raise interrupts.error(hint) from None
        finally:
            for each in _SIGNALS:
                loop.remove_signal_handler(each)

    return asyncio.run(guarded())
