"""Blocking calls that may hang, in daemon threads that nobody has to wait for.

`asyncio.to_thread` is for calls that end: a loop that is closed waits for its threads, and so does the interpreter. A
resolver or a keyring that hangs would delay Ctrl-C (contract, section 3: within a second).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def start_daemon_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Call ``function(*args, **kwargs)`` in a daemon thread of its own.

    Only for calls that may be abandoned at any moment, because they write atomically.

    Returns:
        A future with what the call returns or raises.
    """
    outcome: Future[T] = Future()
    # It cannot be cancelled: the caller may stop waiting, but the call continues.
    outcome.set_running_or_notify_cancel()

    def call() -> None:
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=call, name=f"daemon: {getattr(function, '__name__', '')}", daemon=True).start()
    return outcome


async def run_in_daemon_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`start_daemon_thread`, and wait for the outcome; the call is abandoned when the caller is cancelled."""
    return await asyncio.wrap_future(start_daemon_thread(function, *args, **kwargs))
