"""Calls to two gateways, timed by kind, and repeated while a gateway restarts or is busy."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final

import httpx

_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_LONGEST_WAIT_S: Final = 2.0
_LIMITS: Final = httpx.Limits(max_connections=200, max_keepalive_connections=200)


class WrongAnswerError(Exception):
    """An answer that the trial does not allow. Says which."""


class Calls:
    """Clients of all gateways.

    Attributes:
        took_ms: how long each answered request took, by kind; a repeated one counts from its last attempt.
        answered: how many these are.
        repeated: how often a request was repeated, because a gateway restarted or was busy.
    """

    def __init__(self, urls: Sequence[str], seed: int) -> None:
        self.took_ms: defaultdict[str, list[float]] = defaultdict(list)
        self.answered = self.repeated = 0
        self._random = random.Random(seed)
        self._urls = urls
        self._clients: list[httpx.AsyncClient] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Calls:
        for url in self._urls:
            client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=120, limits=_LIMITS)
            self._clients.append(await self._stack.enter_async_context(client))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def ask(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        token: str = "",
        gateway: int | None = None,
        allowed: Sequence[int] = (200, 201),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Make a request, until it is answered.

        Args:
            kind: what it counts as.
            gateway: which one is asked; None for any, and for another at each repetition.
            allowed: statuses; any other one ends the trial.
            more: for httpx.

        Raises:
            WrongAnswerError: the status is another one.
        """
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        number = self._random.randrange(len(self._clients)) if gateway is None else gateway
        wait_s = 0.1
        while True:
            began = time.perf_counter()
            try:
                answer = await self._clients[number].request(method, path, headers=sent, **more)
            except httpx.TransportError:
                answer = None
            if answer is not None and (answer.status_code in allowed or answer.status_code not in _AGAIN):
                break
            self.repeated += 1
            if gateway is None:
                number = (number + 1) % len(self._clients)
            await asyncio.sleep(wait_s * (0.5 + self._random.random()))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        # Every request says itself who makes it.
        self._clients[number].cookies.clear()
        if answer.status_code not in allowed:
            raise WrongAnswerError(f"{method} {path}: {answer.status_code}: {answer.text[:300]}")
        self.answered += 1
        self.took_ms[kind].append((time.perf_counter() - began) * 1000)
        return answer

    async def json(self, kind: str, method: str, path: str, **more: Any) -> Any:
        """The same for an answer in JSON."""
        return (await self.ask(kind, method, path, **more)).json()

    def lines(self) -> Iterator[str]:
        """A table of how long they took, in milliseconds."""
        yield f"{'call':<28}{'count':>8}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}"
        for kind, took in sorted(self.took_ms.items()):
            ordered = sorted(took)
            middle, late = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
            yield f"{kind:<28}{len(ordered):>8,}{middle:>10.1f}{late:>10.1f}{ordered[-1]:>10.1f}"
