"""Calls that block, in threads, for an event loop.

`loop.run_in_executor` does the same in twice the time: it makes a future with a lock for the thread and chains it to
one for the loop. Every event that is committed passes here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")


class _Call(NamedTuple):
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


class Threads:
    """Up to so many threads, which begin when they are needed and end with `close`."""

    def __init__(self, most: int, name: str) -> None:
        self._most: Final = most
        self._name: Final = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lock = threading.Lock()
        self._is_closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Call this in a thread. If the caller is cancelled, a call that has begun is completed; others are not made.

        Raises what the call does.

        Raises:
            RuntimeError: they have ended.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError(f"the threads of {self._name} have ended")
            self._calls.put(_Call(work, loop, answer))
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._most:
                self._begin()
        return await answer

    def _begin(self) -> None:
        # A daemon, so that a process which failed before `close` can end.
        thread = threading.Thread(target=self._serve, name=f"{self._name}_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while (call := self._next()) is not None:
            if not call.answer.cancelled():
                _make(call)
            # The thread must not hold on to it while it waits.
            del call

    def _next(self) -> _Call | None:
        with self._lock:
            with suppress(Empty):
                return self._calls.get_nowait()
            self._idle += 1
        return self._calls.get()

    def close(self) -> None:
        """Wait for all calls, also those that have not begun, and end the threads."""
        with self._lock:
            self._is_closed = True
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()


def _make(call: _Call) -> None:
    try:
        outcome, error = call.work(), None
    except BaseException as raised:
        outcome, error = None, raised
    # Nobody waits if the loop is closed.
    with suppress(RuntimeError):
        call.loop.call_soon_threadsafe(_answer, call.answer, outcome, error)


def _answer(answer: asyncio.Future[Any], outcome: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(outcome)
    else:
        answer.set_exception(error)
