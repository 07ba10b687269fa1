"""How long a command waits for a server, and what it says meanwhile (contract, section 7).

Each request has its own limits and is repeated; this module limits the total. Waits that the server asked for, and time
in which the user types, do not count.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final
from urllib.parse import urlsplit

from subcli.cli.streams import Streams
from subcli.cli.watching.notices import Countdown
from subcli.core.errors import NetworkError

LIMIT_S: Final = 30.0
"""For the whole of a command without ``--timeout``."""

NOTICE_AFTER_S: Final = 3.0


class Patience:
    """Bounds the part of a command that waits for ``server``; it is also the :data:`subcli.client.exchange.Wait` there.

    Args:
        server: its URL.
        streams: their stderr says what the command is waiting for.
    """

    def __init__(self, server: str, streams: Streams) -> None:
        self._address = urlsplit(server).netloc
        self._streams = streams
        self._countdown = Countdown(streams)
        self._limit: asyncio.Timeout | None = None
        self._notice: asyncio.TimerHandle | None = None
        self._reason = ""

    @contextlib.asynccontextmanager
    async def waiting(self, timeout_s: float | None = None, *, hint: str = "") -> AsyncIterator[None]:
        """Limit the time in this context.

        Args:
            timeout_s: the rest of ``--timeout``, which counts everything; ``None`` if there is none.
            hint: what to do when the limit is reached.

        Raises:
            NetworkError: the server did not answer in ``LIMIT_S`` seconds.
            TimeoutError: it did not answer in ``timeout_s``.
        """
        self._notice = self.expect_answer()
        limit = asyncio.timeout(LIMIT_S if timeout_s is None else timeout_s)
        self._limit = limit if timeout_s is None else None
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired() or timeout_s is not None:
                raise
            why = f" ({self._reason.rstrip('.')})" if self._reason else ""
            raise NetworkError(
                f"{self._address} did not answer within {LIMIT_S:g} s{why}.",
                hint=hint or "`subcli doctor` looks for the cause.",
            ) from None
        finally:
            self._limit = None
            self._notice.cancel()

    def expect_answer(self) -> asyncio.TimerHandle:
        """Say in ``NOTICE_AFTER_S`` seconds what the command is waiting for, unless the handle is cancelled first."""
        return asyncio.get_running_loop().call_later(NOTICE_AFTER_S, self._say)

    async def __call__(self, seconds: float, reason: str, asked: bool) -> None:
        """Wait before a request is repeated, and say why."""
        self._reason = "" if reason.startswith(self._address) else reason
        if self._notice is not None:
            # The countdown says so.
            self._notice.cancel()
        if asked:
            self._extend(seconds)
        await self._countdown(seconds, reason, asked)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """In this context the user is asked, which may take any time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._notice is not None:
            self._notice.cancel()
        limit, self._limit = self._limit, None
        ends_at = limit.when() if limit is not None else None
        if limit is not None:
            limit.reschedule(None)
        try:
            yield
        finally:
            if limit is not None and ends_at is not None:
                limit.reschedule(ends_at + loop.time() - began)
            self._limit = limit

    def _extend(self, seconds: float) -> None:
        ends_at = self._limit.when() if self._limit is not None else None
        if self._limit is not None and ends_at is not None:
            self._limit.reschedule(ends_at + seconds)

    def _say(self) -> None:
        self._streams.write_error(f"waiting for {self._address} to answer …\n")
