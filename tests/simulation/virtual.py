"""An event loop whose time passes only when everybody waits: a night's outage takes a millisecond."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
ITERATIONS_MAX = 200_000


class StuckError(AssertionError):
    """No task waits for time to pass, or no task waits at all: the run would never end."""


Connector: TypeAlias = Callable[[Callable[[], asyncio.Protocol]], Awaitable[tuple[asyncio.Transport, asyncio.Protocol]]]


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets. Its selector is the clock: to wait for a second is to be a second later.

    Attributes:
        connector: who answers ``create_connection``.
    """

    connector: Connector

    def __init__(self, began: float = 0.0) -> None:
        super().__init__()
        self._now = began
        # A sum of waits is a rounding error off: what is due within a microsecond is due.
        self._clock_resolution = 1e-6
        self._iterations = 0
        self._selector = self
        self.failures: list[BaseException] = []
        self.set_exception_handler(_note)

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        self._iterations += 1
        if self._iterations > ITERATIONS_MAX:
            raise StuckError(f"busy without end at {self._now:.1f} s")
        if timeout is None:
            raise StuckError(f"waiting for nothing at {self._now:.1f} s")
        self._now += timeout
        return []

    async def create_connection(self, protocol_factory: Callable[[], Any], *args: Any, **options: Any) -> Any:
        return await self.connector(protocol_factory)

    def _process_events(self, events: list[Any]) -> None:
        return

    def _write_to_self(self) -> None:
        return


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    assert isinstance(loop, VirtualLoop)
    loop.failures.append(context.get("exception") or AssertionError(context["message"]))


def run(main: Coroutine[Any, Any, T], *, began: float = 0.0) -> T:
    """Run ``main`` to its end in virtual time. Nothing may be left running.

    Args:
        began: what the clock shows at first, seconds.
    """
    loop = VirtualLoop(began)
    asyncio.set_event_loop(loop)
    try:
        result = loop.run_until_complete(main)
        loop.run_until_complete(loop.shutdown_asyncgens())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        unfinished = [task for task in left if not task.cancelled()]
        assert not unfinished, f"left running: {unfinished}"
        for failure in loop.failures:
            raise failure
        return result
    finally:
        asyncio.set_event_loop(None)
        loop.close()
