"""Blocking calls that may hang, in threads that nobody waits for.

`asyncio.to_thread` is for calls that end: a loop that is closed waits for its threads, and so does the interpreter. A
resolver or a keyring that hangs would hold up Ctrl-C (contract, section 3: within a second).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def run_in_daemon_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``function(*args, **kwargs)`` in a thread of its own, which is left behind when the caller is cancelled.

    Only for what may be broken off at any moment: reading, looking up.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: Exception | None) -> None:
        if not outcome.done():
            outcome.set_result(result) if error is None else outcome.set_exception(error)

    def call() -> None:
        result, failed = None, None
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            failed = error
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=call, name=f"let go: {getattr(function, '__name__', '')}", daemon=True).start()
    return await outcome
